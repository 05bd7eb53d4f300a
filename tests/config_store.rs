//! What a user is told about a wrong `[store.redis]`, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::plan;

fn told(keys: &str) -> Vec<String> {
    brief(&Folder::with(&[("ring.toml", &format!("[store.redis]\n{keys}\n{REST}"))]).faults())
}

#[test]
fn each_fault_is_told_where_it_is_and_shows_no_password() {
    let url = "url = 'redis://h'\n";
    let cases: [(&str, &[&str]); 12] = [
        (
            "hosts = 2",
            &[
                "1:8 `store.redis` has no `url`; `url`: where it is: \"redis://127.0.0.1:6379\", \"rediss://\" over TLS, \"unix:/run/redis.sock\"",
            ],
        ),
        (
            "url = '127.0.0.1:6379'",
            &[
                "2:7 `url` is not the URL of a server of Redis: it begins with none of `redis://`, `rediss://` and `unix:`; write \"redis://127.0.0.1:6379\"",
            ],
        ),
        (
            "url = 'redis://:secret@h:x'",
            &[
                "2:7 `url` is not the URL of a server of Redis: its port must be 1 to 65535; write \"redis://127.0.0.1:6379\"",
            ],
        ),
        (
            "url = 'redis://h:6379?db=1'",
            &[
                "2:7 `url` is not the URL of a server of Redis: a query follows its host; write the number of the database behind the host: \"redis://127.0.0.1:6379/1\"",
            ],
        ),
        (
            "url = 'redis://h/x'",
            &[
                "2:7 `url` is not the URL of a server of Redis: what follows the host must be the number of a database; write \"redis://127.0.0.1:6379/0\"",
            ],
        ),
        (
            "url = 'redis://%z@h'",
            &[
                "2:7 `url` is not the URL of a server of Redis: it is not percent-encoded well; write %25 for a percent sign, %40 for an `@`",
            ],
        ),
        (
            &format!("{url}ca = 'ca.pem'"),
            &["3:6 `ca` means nothing where the server is asked in clear; remove it, or write a `rediss://` URL"],
        ),
        (
            "url = 'redis://:secret@h'\npassword_file = 'p'",
            &["3:17 the password is given twice: here, and in `url`; remove it from `url`"],
        ),
        (&format!("{url}hosts = 0"), &["3:9 0 is out of range for `hosts`; it may be 1 to 1000"]),
        (&format!("{url}timeout = '1m'"), &["3:11 '1m' is out of range for `timeout`; it may be 10ms to 10s"]),
        (
            &format!("{url}prefix = 'a b'"),
            &[
                "3:10 'a b' is not a prefix of keys: a blank cannot be in it; a prefix has letters, digits, `-`, `_`, `.` and `:`, 64 at most",
            ],
        ),
        (
            &format!("{url}pasword_file = 'x'"),
            &["3:1 unknown key `pasword_file` in `store.redis`; did you mean `password_file`?"],
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(told(keys), *expected, "\n{keys}");
    }
}

#[test]
fn keys_that_are_not_shared_and_rules_that_have_nothing_to_share_by_are_told_of() {
    let listener = "[listeners.web.tls]\ncertificates = [{ cert = 'a.pem', key = 'a.key' }]\n";
    let warned = |more: &str| {
        let text = format!("[store.redis]\nurl = 'redis://127.0.0.1'\n{more}\n{REST}{listener}");
        load(&text).warnings.to_string()
    };
    assert!(warned("").contains("hosts do not share the keys of TLS tickets, as they have no secret for it"));
    assert!(warned("secret_file = 's'").is_empty());
    let none = format!("{listener}[listeners.web.tls.tickets]\nlifetime = '0s'\n");
    let none = load(&format!("[store.redis]\nurl = 'redis://127.0.0.1'\n{REST}{none}")).warnings.to_string();
    assert!(none.is_empty(), "no tickets are made: {none}");
    let rule = "[rules.q]\ntype = 'quota'\nlimit = 5\nperiod = 'day'\nscope = 'cluster'\n";
    let told = brief(&Folder::with(&[("ring.toml", &format!("{rule}{REST}"))]).faults());
    assert_eq!(
        told,
        [
            "5:9 hosts have nothing through which they could share what they know; add [store.redis] with url = \"redis://127.0.0.1:6379\", or write scope = \"process\""
        ]
    );
}

#[test]
fn a_password_in_clear_to_another_host_is_warned_of_without_its_line() {
    let warned = |url: &str| {
        let text = format!("[store.redis]\nurl = '{url}'\nhosts = 2\n{REST}");
        load(&text).warnings.to_string()
    };
    assert!(warned("redis://:secret@127.0.0.1").is_empty());
    assert!(warned("rediss://:secret@redis.test").is_empty());
    let told = warned("redis://:secret@redis.test");
    assert!(told.contains("goes to another host in clear") && !told.contains("secret"), "{told}");
}

#[test]
fn a_limit_that_hosts_share_needs_a_store() {
    let rule = "[rules.often]\ntype = 'rate-limit'\nrate = '1/s'\nscope = 'cluster'\n";
    assert_eq!(
        brief(&Folder::with(&[("ring.toml", &format!("{rule}{REST}"))]).faults()),
        [
            "4:9 there is nothing through which hosts could share a limit; add [store.redis] with its url and hosts, or write scope = \"process\""
        ]
    );
    let faults = |text: &str| Folder::with(&[("ring.toml", text)]).faults();
    let bad = faults(&format!("[store.redis]\nurl = 'h'\n{rule}{REST}"));
    assert!(!bad.contains("nothing through which"), "the fault of the store says it all: {bad}");
}

#[test]
fn a_secret_that_is_not_there_is_told_how_to_make() {
    let loaded = load(&format!("[store.redis]\nurl = 'redis://h'\nsecret_file = 'none'\n{REST}"));
    let faults = plan::compile(&loaded.config, 1).err().unwrap_or_default();
    let told = loaded.sources.report(&faults).to_string();
    assert!(told.contains("cannot be read") && told.contains("help: make it by: openssl rand -hex 32"), "{told}");
}

#[test]
fn a_url_without_a_password_is_shown_where_it_is_wrong() {
    let drawn = |url: &str| Folder::with(&[("ring.toml", &format!("[store.redis]\nurl = '{url}'\n{REST}"))]).faults();
    let open = drawn("redis://127.0.0.1:6379?db=1");
    assert!(open.contains("2 | url = 'redis://127.0.0.1:6379?db=1'"), "{open}");
    let hidden = drawn("redis://:hunter2@127.0.0.1:6379?db=1");
    assert!(hidden.contains("2 | url = ****") && !hidden.contains("hunter2"), "{hidden}");
}
