//! What a user is told about how clients stay with their targets, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

const POOL: &str = "[pools.b]\ntargets = ['10.0.0.1:1']\n";

#[test]
fn a_pool_is_sticky_by_one_thing() {
    for (sticky, expected) in [
        (
            "sticky = {}",
            r#"3:1 pool `b` is sticky by nothing; add cookie = "RWSRV", learn = { cookie = "JSESSIONID" }, or source = true"#,
        ),
        (
            "sticky = { source = false }",
            r#"3:1 pool `b` is sticky by nothing; add cookie = "RWSRV", learn = { cookie = "JSESSIONID" }, or source = true"#,
        ),
        (
            "sticky = { cookie = 'A', source = true }",
            "3:35 pool `b` is sticky by both `cookie` and `source`; a pool is sticky by exactly one of `cookie`, `learn`, `source`",
        ),
        (
            "sticky = { learn = { query = 'sid' } }",
            r#"3:12 nothing is learned from answers; add cookie = "JSESSIONID" or header = "x-session""#,
        ),
        ("sticky = { source = true, secure = true }", "3:36 `secure` means nothing without `cookie`; remove it"),
        (
            "sticky = { cookie = 'A', size = 1000 }",
            "3:33 `size` means nothing where nothing is noted in a table; remove it",
        ),
        (
            "sticky = { cookie = 'A', mode = 'prefix', max_age = '1h' }",
            "3:53 `max_age` means nothing where the target sets the cookie; remove it",
        ),
        (
            "sticky = { learn = { cookie = 'A' }, ipv4_prefix = 24 }",
            "3:52 `ipv4_prefix` means nothing unless `source` is true; remove it",
        ),
        (
            "sticky = { cookie = 'A', mode = 'rewrite', preserve = true }",
            "3:55 `preserve` means nothing where the target sets the cookie; remove it",
        ),
        (
            "sticky = { cookie = 'A', attributes = ['Partitioned', 'samesite=lax'] }",
            "3:55 `samesite` is no further attribute; write `same_site`",
        ),
        (
            "sticky = { cookie = 'A', attributes = ['partitioned'], secure = false }",
            "3:65 browsers take a cookie that is partitioned over TLS alone; remove `secure`, or the attribute",
        ),
        (
            "sticky = { cookie = 'A', attributes = ['a; b'] }",
            "3:40 'a; b' is not an attribute of a cookie: `;` cannot be in an attribute; write \"Partitioned\" or \"Priority=High\"",
        ),
        ("sticky = { cookie = 'a b' }", r#"3:21 'a b' is not a cookie's name: a blank cannot be in it; write "RWSRV""#),
        (
            "sticky = { cookie = 'A', same_site = 'none', secure = false }",
            r#"3:55 browsers take a cookie for all sites over TLS alone; remove `secure`, or write same_site = "lax""#,
        ),
        (
            "sticky = { cookie = '__Host-A', domain = 'site.test' }",
            "3:42 browsers take no domain for a cookie of this name; remove `domain`, or give it another name",
        ),
        (
            "sticky = { cookie = '__Secure-A', secure = false }",
            "3:44 browsers take a cookie of this name over TLS alone; remove `secure`, or give it another name",
        ),
        (
            "sticky = { cookie = 'A', max_idle = '2h', max_life = '1h' }",
            "3:37 `max_idle` is longer than `max_life`, 1h; remove `max_idle`, or make it shorter",
        ),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &format!("{POOL}{sticky}{REST}"))]).faults());
        assert_eq!(told, [expected], "\n{sticky}");
    }
}

#[test]
fn a_listener_that_sees_bytes_alone_knows_no_cookies() {
    let tcp = "[listeners.a]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'b'\n";
    for (sticky, told) in [
        ("sticky = { source = true }", None),
        (
            "sticky = { cookie = 'A' }",
            Some(
                "7:21 listener `a` passes on bytes and sees no `cookie`; write sticky = { source = true }, or give it a pool of its own",
            ),
        ),
    ] {
        let text = format!("{tcp}{POOL}{sticky}");
        match told {
            Some(told) => assert_eq!(brief(&Folder::with(&[("ring.toml", &text)]).faults()), [told]),
            None => drop(load(&text)),
        }
    }
}

#[test]
fn the_defaults_of_one_way_do_not_meet_another() {
    let defaults = "[defaults.pool.sticky]\ncookie = 'A'\nhttp_only = false\n";
    let text = format!("{defaults}{POOL}sticky = {{ source = true }}{REST}");
    let config = load(&text).config;
    assert!(config.pools["b"].sticky.as_ref().is_some_and(|sticky| sticky.source && sticky.cookie.is_none()));
    let site = config.pools["site"].sticky.as_ref().unwrap();
    assert_eq!((site.cookie.as_deref(), site.http_only), (Some("A"), false));
}
