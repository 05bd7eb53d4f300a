//! What a user is told about a wrong `[dns]` or `discover`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

#[track_caller]
fn told(toml: &str) -> Vec<String> {
    brief(&Folder::with(&[("ring.toml", &format!("{toml}{REST}"))]).faults())
}

#[test]
fn where_targets_are_found_is_said_in_one_way() {
    let cases: [(&str, &[&str]); 13] = [
        ("{}", &["2:1 it is not said where targets are found; give it one of `dns`, `srv`, `file`, `http`"]),
        (
            "{ dns = 'a.test', port = 80, file = 'x' }",
            &[
                "2:48 targets are found by `dns` and by `file`; a pool has one of `dns`, `srv`, `file`, `http`: make two pools, or one list of both",
            ],
        ),
        (
            "{ dns = 'a.test:80' }",
            &["2:20 'a.test:80' is not a name of DNS: it has a port; write dns = \"a.test\", port = 80"],
        ),
        (
            "{ dns = '10.0.0.1', port = 80 }",
            &["2:20 '10.0.0.1' is not a name of DNS: it is an address, which needs no lookup; write it into `targets`"],
        ),
        ("{ srv = 'http' }", &["2:20 'http' is not a service's name: it has one label; write \"_http._tcp.http\""]),
        (
            "{ srv = '_http._tcp.a.test', port = 80, interval = '5s' }",
            &[
                "2:48 `port` means nothing beside `srv`; remove it: SRV records have ports",
                "2:63 `interval` means nothing beside `srv`; remove it: it goes with `http`",
            ],
        ),
        (
            "{ srv = '_http._tcp.a.test', weight = 3 }",
            &["2:50 `weight` means nothing beside `srv`; remove it: SRV records have weights"],
        ),
        (
            "{ file = 'x', servers = ['127.0.0.1'] }",
            &["2:36 `servers` means nothing beside `file`; remove it: it goes with `dns` and `srv`"],
        ),
        (
            "{ dns = 'a.test', port = 80, servers = ['dns.test', '0.0.0.0'] }",
            &[
                "2:52 'dns.test' is not a server of DNS: it is no IP address; write \"127.0.0.1\" or \"127.0.0.1:8600\"",
                "2:64 '0.0.0.0' is not a server of DNS: it is no address of one host; write \"127.0.0.1\", or \"127.0.0.1:8600\" with a port",
            ],
        ),
        (
            "{ dns = 'a.test', port = 80, min_ttl = '2m' }",
            &["2:51 `min_ttl` is above `max_ttl`, which is 1m; a name is asked for again after `min_ttl` to `max_ttl`"],
        ),
        (
            "{ http = 'ftp://a.test' }",
            &[
                "2:21 'ftp://a.test' is not a URL: it begins with neither `http://` nor `https://`; write \"https://registry.example.com/targets\"",
            ],
        ),
        (
            "{ http = 'http://a.test/', ca = 'ca.pem' }",
            &["2:44 `ca` means nothing where the source is asked in clear; remove it, or write an https URL"],
        ),
        ("{ dsn = 'a.test' }", &["2:14 unknown key `dsn` in `pools.b.discover`; did you mean `dns`?"]),
    ];
    for (discover, expected) in cases {
        assert_eq!(told(&format!("[pools.b]\ndiscover = {discover}\n")), *expected, "\n{discover}");
    }
    assert_eq!(
        told("[pools.b]\n"),
        [
            "1:8 pool `b` has no targets; write targets = [\"127.0.0.1:9000\"], or discover = { dns = \"api.local\", port = 8080 }"
        ]
    );
    assert_eq!(told("[dns]\nservers = ['a']\nattempts = 0\n").len(), 2);
}

#[test]
fn defaults_say_how_and_a_pool_says_where() {
    let loaded = load(&format!(
        "[defaults.pool.discover]\nhold = '5s'\ndns = 'other.test'\n[pools.b]\ndiscover = {{ srv = '_a._tcp.b.test' }}{REST}"
    ));
    let discover = loaded.config.pools["b"].discover.as_ref().unwrap();
    assert_eq!((discover.hold.to_string().as_str(), discover.shown().as_str()), ("5s", "srv _a._tcp.b.test"));
    assert_eq!(loaded.config.pools["site"].discover, None);
}

/// Nobody could guess that of a pool of bytes.
#[test]
fn a_port_goes_without_saying_where_http_is_spoken() {
    let pools = "[pools.b]\ndiscover = { dns = 'b.test' }\n[pools.c]\ndiscover = { dns = 'c.test' }\ntls = {}\n";
    let loaded = load(&format!("{pools}[routes.c]\npaths = ['/c/']\npool = 'c'\n{REST}"));
    let port = |pool: &str| loaded.config.pools[pool].discover.as_ref().unwrap().port;
    assert_eq!((port("b"), port("c")), (Some(80), Some(443)));
    let listener = "[listeners.db]\nlisten = ['127.0.0.1:5432']\nprotocol = 'tcp'\npool = 'b'\n";
    assert_eq!(
        told(&format!("[pools.b]\ndiscover = {{ dns = 'b.test' }}\n{listener}")),
        [
            "2:20 a name has addresses and no port, and the pool does not serve HTTP alone; add port = 5432, or write `srv`, whose records have ports"
        ]
    );
}

#[test]
fn a_token_that_would_leave_the_host_in_clear_is_warned_of() {
    for (url, warned) in [("http://127.0.0.1/", false), ("http://a.test/", true), ("https://a.test/", false)] {
        let pool = format!("[pools.b]\ndiscover = {{ http = '{url}', token_file = 'token' }}\n");
        let warnings = load(&format!("{pool}{REST}")).warnings.to_string();
        assert_eq!(warnings.contains("the token goes to another host in clear"), warned, "{url}: {warnings}");
    }
}
