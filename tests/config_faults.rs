//! What a user is told about a wrong configuration, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::config::{Fault, KeyPath};

#[track_caller]
fn draws(toml: &str, expected: &str) {
    let drawn = Folder::with(&[("ring.toml", toml)]).faults();
    assert_eq!(drawn, expected.trim_matches('\n'), "\n{drawn}");
}

fn tell(cases: &[(&str, &[&str])]) {
    for (toml, expected) in cases {
        let told = brief(&Folder::with(&[("ring.toml", &format!("{toml}{REST}"))]).faults());
        assert_eq!(told, *expected, "\n{toml}");
    }
}

#[test]
fn an_unknown_key_is_underlined_with_the_nearest_good_name() {
    draws(
        "[listeners.web]\nlisen = [\"127.0.0.1:80\"]\npool = \"site\"\n\n[pools.site]\ntargets = [\"127.0.0.1:1\"]\n",
        r#"
error: unknown key `lisen` in `listeners.web`
 --> ring.toml:2:1
  |
2 | lisen = ["127.0.0.1:80"]
  | ^^^^^
  |
  = help: did you mean `listen`?
"#,
    );
}

#[test]
fn a_bind_that_is_there_twice_shows_both() {
    draws(
        r#"
[listeners.a]
listen = ["127.0.0.1:80", "127.0.0.1:81"]
pool = "site"

[listeners.b]
listen = ["127.0.0.1:81"]
pool = "site"

[pools.site]
targets = ["127.0.0.1:1"]
"#,
        r#"
error: `127.0.0.1:81` is bound twice
 --> ring.toml:7:11
  |
3 | listen = ["127.0.0.1:80", "127.0.0.1:81"]
  |                           -------------- first bound here
...
7 | listen = ["127.0.0.1:81"]
  |           ^^^^^^^^^^^^^^
"#,
    );
}

#[test]
fn a_table_that_is_there_twice_shows_both() {
    draws(
        "[pools.a]\ntargets = [\"127.0.0.1:1\"]\n\n[pools.a]\ntargets = [\"127.0.0.1:2\"]\n[listeners.l]\nlisten=[\":1\"]\npool=\"a\"",
        r#"
error: `a` is defined twice
 --> ring.toml:4:8
  |
1 | [pools.a]
  |        - first defined here
...
4 | [pools.a]
  |        ^
"#,
    );
}

#[test]
fn a_value_over_many_lines_has_its_key_underlined() {
    draws(
        "[listeners.l]\nlisten = [\":1\"]\npool = \"a\"\n[pools.a]\ntargets = [\n  { address = \"10.0.0.1:1\", weight = 0 },\n  { address = \"10.0.0.2:1\", weight = 0 },\n]\n",
        r#"
error: all targets of pool `a` have weight 0
 --> ring.toml:5:1
  |
5 | targets = [
  | ^^^^^^^
  |
  = help: a target of weight 0 takes no new work: give one a weight of 1 or more
"#,
    );
}

#[test]
fn all_faults_of_a_file_are_told_at_once_syntax_too() {
    draws(
        r#"
[runtime]
workers = 0
driver =

[listeners.web]
listen = ["127.0.0.1:99999"]
pool = "sites"

[pools.site]
targets = []
health = { type = "tpc" }
"#,
        r#"
error: 0 is out of range for `workers`
 --> ring.toml:3:11
  |
3 | workers = 0
  |           ^
  |
  = help: it may be 1 to 1024

error: string values must be quoted, expected literal string
 --> ring.toml:4:9
  |
4 | driver =
  |         ^

error: "127.0.0.1:99999" is not an address to listen on: its port is above 65535
 --> ring.toml:7:11
  |
7 | listen = ["127.0.0.1:99999"]
  |           ^^^^^^^^^^^^^^^^^
  |
  = help: write "127.0.0.1:8080", "[::1]:8080", ":8080" for all of IPv4, or "unix:/path"

error: no pool is named `sites`
 --> ring.toml:8:8
  |
8 | pool = "sites"
  |        ^^^^^^^
  |
  = help: did you mean `site`?

error: pool `site` is empty
  --> ring.toml:11:11
   |
11 | targets = []
   |           ^^
   |
   = help: write targets = ["127.0.0.1:9000"]

error: "tpc" is no value of `type`
  --> ring.toml:12:19
   |
12 | health = { type = "tpc" }
   |                   ^^^^^
   |
   = help: did you mean "tcp"?
"#,
    );
}

#[test]
fn faults_of_all_files_are_told_and_a_name_defined_twice_shows_both_files() {
    let folder = Folder::with(&[
        ("ring.toml", "include = [\"conf.d/*.toml\"]\n[listeners.web]\nlisten = [\":80\"]\npool = \"api\"\n"),
        ("conf.d/10.toml", "[pools.api]\ntargets = [\"10.0.0.1:80\"]\nbalanse = \"hash\"\n"),
        ("conf.d/20.toml", "[pools.api]\ntargets = [\"10.0.0.2:80\"]\n[runtime]\ndriver = \"kqueue\"\n"),
        ("conf.d/.30.toml", "not read"),
        ("conf.d/40.txt", "not read"),
    ]);
    let expected = r#"
error: unknown key `balanse` in `pools.api`
 --> conf.d/10.toml:3:1
  |
3 | balanse = "hash"
  | ^^^^^^^
  |
  = help: did you mean `balance`?

error: pool `api` is defined twice
 --> conf.d/20.toml:1:8
  |
1 | [pools.api]
  |        ^^^
  |
 ::: conf.d/10.toml:1:8
  |
1 | [pools.api]
  |        --- first defined here
  |
  = help: give one of them another name, or remove it

error: "kqueue" is no value of `driver`
 --> conf.d/20.toml:4:10
  |
4 | driver = "kqueue"
  |          ^^^^^^^^
  |
  = help: write "auto", "io_uring" or "epoll"
"#;
    assert_eq!(folder.faults(), expected.trim_matches('\n'));
}

#[test]
fn a_file_that_includes_itself_is_told() {
    let folder =
        Folder::with(&[("ring.toml", "include = [\"a.toml\"]\n"), ("a.toml", "include = [\"./ring.toml\"]\n")]);
    let first = brief(&folder.faults());
    assert!(first.iter().any(|fault| fault.starts_with("1:12 `./ring.toml` includes itself")), "{first:?}");
}

#[test]
fn what_came_from_the_environment_is_never_shown() {
    for toml in [
        "[runtime]\ndriver = \"${SECRET}\"\n",
        "[runtime]\nshutdown_timeout = \"${SECRET}\"\n",
        "[runtime]\nshutdown_timeout = \"5${SECRET}\"\n",
        "[routes.a]\npool = \"${SECRET}\"\n",
        "[routes.a]\npool = \"site\"\npaths = [\"~(${SECRET}\"]\n",
        "[routes.a]\npool = \"site\"\nstrip_prefix = \"/${SECRET}\"\npaths = [\"/a\"]\n",
        "[pools.a]\ntargets = [\"unix:/${SECRET}\", \"unix:/${SECRET}\"]\n",
        "[pools.a]\ntargets = [\"${SECRET}:80\"]\n",
    ] {
        let faults = Folder::with(&[("ring.toml", &format!("{toml}{REST}"))]).faults();
        assert!(faults.contains("SECRET}"), "{faults}");
        assert!(!faults.to_lowercase().contains("hunter2"), "{faults}");
    }
}

#[test]
fn a_fault_in_defaults_is_told_once() {
    let toml = "[defaults.pool.timeouts]\nconnect = \"0s\"\n[defaults.listener]\npool = \"sit\"\n\
        [listeners.a]\nlisten = [\":1\"]\n[listeners.b]\nlisten = [\":2\"]\n\
        [pools.site]\ntargets = [\"10.0.0.1:1\"]\n[pools.b]\ntargets = [\"10.0.0.1:1\"]\n";
    let told = brief(&Folder::with(&[("ring.toml", toml)]).faults());
    assert_eq!(
        told,
        [
            "2:11 \"0s\" is out of range for `connect`; it may be 10ms to 1h",
            "4:8 no pool is named `sit`; did you mean `site`?"
        ]
    );
}

#[test]
fn values_that_cannot_be_are_told_with_what_could() {
    tell(&[
        (
            "[runtime]\nworkers = 1.5",
            &[r#"2:11 `workers` must be a number or "auto", not a fraction; write a whole number or "auto""#],
        ),
        (
            "[runtime]\nworkers = 'aut'",
            &[r#"2:11 'aut' is not a number or "auto": it is no whole number; did you mean "auto"?"#],
        ),
        ("[runtime]\nshutdown_timeout = 30", &[r#"2:20 30 is not a duration: it has no unit; write "30s" or "30ms""#]),
        (
            "[runtime]\nshutdown_timeout = '25h'",
            &[r#"2:20 '25h' is out of range for `shutdown_timeout`; it must be at most 24h"#],
        ),
        (
            "[runtime]\nmax_connections = 0",
            &[r#"2:19 0 is out of range for `max_connections`; it may be 1 to 100000000"#],
        ),
        (
            "[runtime]\nballast = 'lead'",
            &[
                r#"2:1 unknown key `ballast` in `runtime`; the keys here are `consumers_file`, `driver`, `group`, `max_connections`, `seccomp`, `shutdown_timeout`, `state_dir`, `temp_dir`, `user`, `watch`, `workers`"#,
            ],
        ),
        (
            "[orchard]\ndrain = '24h'",
            &[
                r#"1:2 unknown key `orchard`; the keys here are `access_log`, `admin`, `analytics`, `apis`, `caches`, `consumers`, `defaults`, `dns`, `include`, `limits`, `listeners`, `plans`, `pools`, `routes`, `rules`, `runtime`, …"#,
            ],
        ),
        (
            "[admin]\nlisten = 'unix:/run/x'",
            &[
                r#"2:10 'unix:/run/x' is not an address for the admin listener: it is a socket's path; write it as `socket`, without "unix:""#,
            ],
        ),
        (
            "[routes.r]\npool = 'site'\ncache = 'statc'\n[caches.static]\n[caches.other]",
            &["3:9 no cache is named `statc`; did you mean `static`?"],
        ),
        (
            "[pools.a]\ntargets = ['127.0.0.1:1']\nretry = { attempts = 2 }",
            &[r#"3:1 unknown key `retry` in `pools.a`; `retry` is a key of `[routes.NAME]`"#],
        ),
        ("[admin]\nsockt = '/run/x'", &[r#"2:1 unknown key `sockt` in `admin`; did you mean `socket`?"#]),
        (
            "[access_log]\nformat = 'jsonn'",
            &[
                r#"2:10 'jsonn' is not a log's format: there is no such format, and no field in it; did you mean "json"?"#,
            ],
        ),
        (
            "[access_log]\nsample = 0.5",
            &[r#"2:10 `sample` must be a share, not a fraction; a share is a percentage: "20%""#],
        ),
        (
            "[access_log]\nsample = '150%'",
            &[r#"2:10 '150%' is not a share: it is more than 100%; a share is a percentage: "20%""#],
        ),
        ("[limits]\nrequest_head = '64k'", &[r#"2:16 '64k' is not a size: its unit is not whole; write "64KiB""#]),
        (
            "[limits]\nrequest_body = 'unlimitd'",
            &[r#"2:16 'unlimitd' is not a size: a number is missing; did you mean "unlimited"?"#],
        ),
        ("[limits]\nheaders = '4'", &[r#"2:11 '4' is out of range for `headers`; it may be 8 to 1024"#]),
        (
            "[listeners.a]\nlisten = ':1'\npool = 'site'",
            &[r#"2:10 `listen` must be an array, not a string; write [':1']"#],
        ),
        (
            "[listeners.a]\nlisten = ['localhost']\npool = 'site'",
            &[
                r#"2:11 'localhost' is not an address to listen on: the port is missing; write an address and a port: "10.0.0.1:8080""#,
            ],
        ),
        (
            "[listeners.a]\nlisten = [':1']\nprotocol = 'quic'\npool = 'site'",
            &[r#"3:12 'quic' is no value of `protocol`; write "http", "tcp" or "udp""#],
        ),
        (
            "[listeners.a]\nlisten = [':1']\npool = 'site'\ntrusted_proxies = ['10.0.0.1/8']",
            &[
                r#"4:20 '10.0.0.1/8' is not an address range: bits are set beyond its prefix length; write "10.0.0.0/8" or "10.0.0.1""#,
            ],
        ),
        (
            "[listeners.a]\nlisten = [':1']\npool = 'site'\nupgrades = ['h2c']",
            &[r#"4:13 'h2c' is no value of `upgrades`; write "websocket""#],
        ),
        (
            "[listeners.a]\nlisten = [':1']\npool = 'site'\ntimeouts = { idle = 0 }",
            &[r#"4:21 0 is not a duration: it has no unit; write "0s" or "0ms""#],
        ),
        (
            "[listeners.'a b']\nlisten = [':1']\npool = 'site'",
            &[r#"1:12 `a b` is not a name: ' ' cannot be in a name; use letters, digits, `-`, `_` and `.`"#],
        ),
        (
            "[routes.a]\npool = 'site'\nhosts = ['a.com:80']",
            &[
                r#"3:10 'a.com:80' is not a host: it has a port; write the name alone; the port of a request is ignored"#,
            ],
        ),
        (
            "[routes.a]\npool = 'site'\npaths = ['a', '/x//y', '~(']",
            &[
                r#"3:10 'a' is not a path: it begins with none of `/`, `=/`, `~`; write "/a""#,
                r#"3:15 '/x//y' is not a path: matching merges `//` into `/`, so that it could match no request; write "/prefix/", "=/exact", or "~^/regex/[0-9]+$""#,
                r#"3:24 '~(' is not a path: the regex is wrong: unclosed group; write "/prefix/", "=/exact", or "~^/regex/[0-9]+$""#,
            ],
        ),
        (
            "[routes.a]\npool = 'site'\nmethods = ['get']",
            &[r#"3:12 'get' is not a method: methods are case-sensitive; write "GET""#],
        ),
        (
            "[routes.a]\npool = 'site'\nheaders = { 'x y' = 'a', x-b = 3 }",
            &[
                r#"3:13 `x y` is not a header's name: a blank cannot be in it; write "x-y""#,
                r#"3:32 `x-b` must be true or false or a string, not a number"#,
            ],
        ),
        (
            r#"[routes.a]
pool = 'site'
headers = { x-b = "a\u0000" }"#,
            &[
                r#"3:19 "a\u0000" is not a value: the control character 0x00 cannot be in a header; write "value" or "~regex""#,
            ],
        ),
        (
            "[routes.a]\npool = 'site'\nclient_ip = ['office']",
            &[
                r#"3:14 'office' is not an address range: it is no IP address; write "10.0.0.0/8", "fd00::/8", or one address"#,
            ],
        ),
        (
            "[routes.a]\npool = 'site'\nretry = { on = ['conect', '200', 503], attempts = 11, methods = 'safe' }",
            &[
                r#"3:17 'conect' is not a reason to try again: there is no such reason; did you mean "connect"?"#,
                r#"3:27 '200' is not a reason to try again: only answers from 400 on are errors; write "connect", "reset", "timeout", "bad-response", or a status from 400 on: "503", "5xx", "502-504""#,
                r#"3:51 11 is out of range for `attempts`; it may be 0 to 10"#,
                r#"3:65 'safe' is no value of `methods`; write "idempotent" or "all""#,
            ],
        ),
        (
            "[routes.a]\npool = 'site'\nallow_in_path = ['%2f']",
            &[r#"3:18 '%2f' is no value of `allow_in_path`; did you mean "%2F"?"#],
        ),
        ("[routes.a]\nrespond = { status = 199 }", &[r#"2:22 199 is out of range for `status`; it may be 200 to 599"#]),
        (
            "[routes.a]\nrespond = { body = 'x' }",
            &[r#"2:1 `routes.a.respond` has no `status`; `status`: the status code"#],
        ),
        (
            r#"[routes.a]
respond = { status = 200, content_type = "a\n" }"#,
            &[
                r#"2:42 "a\n" is not a media type: the control character 0x0a cannot be in a header; write "text/plain""#,
            ],
        ),
        (
            "[routes.a]\nredirect = { host = 'x', status = 200 }",
            &[r#"2:35 200 is no value of `status`; write 301, 302, 303, 307 or 308"#],
        ),
        (
            "[routes.a]\nredirect = { port = 65536 }",
            &[r#"2:21 65536 is out of range for `port`; it may be 1 to 65535"#],
        ),
        (
            "[pools.b]\ntargets = ['app.local:80', '10.0.0.1:0', 5]",
            &[
                r#"2:12 'app.local:80' is not a target's address: names are not resolved in `targets`; write discover = { dns = "app.local", port = 80 } in place of it"#,
                r#"2:28 '10.0.0.1:0' is not a target's address: nothing can be reached on port 0; write "10.0.0.1:8080", "[fd00::1]:8080", or "unix:/path"; names are not resolved"#,
                r#"2:42 an element of `targets` must be a string or a table, not a number"#,
            ],
        ),
        (
            "[pools.b]\ntargets = [{ address = '10.0.0.1:1', weight = 257 }, { adress = '10.0.0.1:2' }]",
            &[
                r#"2:47 257 is out of range for `weight`; it may be 0 to 256"#,
                r#"2:56 unknown key `adress` in `pools.b.targets[1]`; did you mean `address`?"#,
            ],
        ),
        (
            "[pools.b]\nbalance = 'round_robin'\ntargets = ['10.0.0.1:1']",
            &[r#"2:11 'round_robin' is no value of `balance`; did you mean "round-robin"?"#],
        ),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1']\nhealth = { type = 'http', rise = 0, interval = '1ms', expect = '2xx' }",
            &[
                r#"3:34 0 is out of range for `rise`; it may be 1 to 100"#,
                r#"3:48 '1ms' is out of range for `interval`; it may be 100ms to 1h"#,
                r#"3:64 '2xx' is not a set of status codes: a status is a number from 100 to 599; write "200-399" or "200, 204""#,
            ],
        ),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1']\nhealth = {}",
            &[r#"3:1 `pools.b.health` has no `type`; `type`: what a check does"#],
        ),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1']\nconnect = '1s'",
            &[r#"3:1 unknown key `connect` in `pools.b`; did you mean `timeouts.connect`?"#],
        ),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1']\n[pools.b.keepalive]\ncolour = 1",
            &["4:1 unknown key `colour` in `pools.b.keepalive`; the keys here are `idle`, `max_idle`"],
        ),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1']\nbalance = 'hash'\nkey = 'ip'",
            &[
                r#"4:7 'ip' is not a key to hash: there is no such key; write "client-ip", "path", "header:NAME", "cookie:NAME", or "query:NAME""#,
            ],
        ),
        (
            "[pools.b]",
            &[
                r#"1:8 pool `b` has no targets; write targets = ["127.0.0.1:9000"], or discover = { dns = "api.local", port = 8080 }"#,
            ],
        ),
        (
            "pools = 3",
            &[
                r#"1:9 `pools` must be a table, not a number"#,
                r#"5:2 cannot extend value of type integer with a dotted key"#,
            ],
        ),
        ("include = ['a.toml']", &[r#"1:12 'a.toml' names no file"#]),
    ]);
}

#[test]
fn things_that_make_no_sense_together_are_told() {
    tell(&[
        (
            "[routes.a]\nredirect = { status = 301 }",
            &[r#"2:1 the redirect leads to where it came from; set one of `scheme`, `host`, `port`, `path`"#],
        ),
        (
            "[routes.a]\nrespond = { status = 204, body = 'x' }",
            &[r#"2:34 an answer with status 204 has no body; remove the body"#],
        ),
        (
            "[routes.a]\nrespond = { status = 200 }\nstrip_prefix = '/a'",
            &[r#"3:16 `strip_prefix` means nothing without a pool; remove it: this route asks no target"#],
        ),
        (
            "[routes.a]\npool = 'site'\nstrip_prefix = '/a'\npaths = ['/ab/', '=/b']",
            &[r#"3:16 no path of route `a` starts with `/a`"#],
        ),
        (
            "[routes.a]\npool = 'site'\nlisteners = ['wep', 'zzzz']",
            &[
                r#"3:14 no listener is named `wep`; did you mean `web`?"#,
                r#"3:21 no listener is named `zzzz`; the only listener is `web`"#,
            ],
        ),
        (
            "[routes.a]\npool = 'site'\nlisteners = ['t']\n[listeners.t]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'site'",
            &[r#"3:14 `t` is a tcp listener: routes need HTTP"#],
        ),
        ("[listeners.t]\nlisten = [':1']\nprotocol = 'tcp'", &[r#"1:12 tcp listener `t` has no pool; add pool = "…""#]),
        (
            "[listeners.t]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'site'\nforwarded = 'xff'\nredirect = 'https'",
            &[
                r#"5:13 `forwarded` means nothing on a tcp listener; remove it, or set protocol = "http""#,
                r#"6:12 `redirect` means nothing on a tcp listener; remove it, or set protocol = "http""#,
            ],
        ),
        (
            "[listeners.a]\nlisten = [':1']",
            &[r#"1:12 nothing answers on listener `a`; give it a pool or a redirect, or define a route"#],
        ),
        (
            "[listeners.a]\nlisten = []\npool = 'site'",
            &[r#"2:10 listener `a` listens nowhere; write listen = ["127.0.0.1:8080"]"#],
        ),
        (
            "[listeners.a]\nlisten = [':0', ':0', 'unix:/a', 'unix:/a']\npool = 'site'",
            &[r#"2:34 `unix:/a` is bound twice"#],
        ),
        ("[admin]\nlisten = '127.0.0.1:80'", &[r#"4:11 `127.0.0.1:80` is bound twice"#]),
        (
            "[admin]\n",
            &[
                r#"1:2 the admin listener listens nowhere; add listen = "127.0.0.1:9901" or socket = "/run/ringway/admin.sock""#,
            ],
        ),
        (
            "[admin]\nlisten = '0.0.0.0:9901'",
            &[
                r#"2:10 other hosts can reach `0.0.0.0:9901`, and nobody is asked for a token; add `token_file`, or write "127.0.0.1:9901""#,
            ],
        ),
        ("[pools.b]\ntargets = []", &[r#"2:11 pool `b` is empty; write targets = ["127.0.0.1:9000"]"#]),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1', { address = '10.0.0.1:1', weight = 2 }]",
            &[
                r#"2:26 target `10.0.0.1:1` is in pool `b` twice; name it once, and use `weight` to give it more of the work"#,
            ],
        ),
        (
            "[pools.b]\ntargets = [{ address = '10.0.0.1:1', weight = 0 }]",
            &[
                r#"2:11 all targets of pool `b` have weight 0; a target of weight 0 takes no new work: give one a weight of 1 or more"#,
            ],
        ),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1']\nkey = 'path'",
            &[r#"3:7 `key` means nothing unless the balance is "hash"; set balance = "hash", or remove `key`"#],
        ),
        (
            "[pools.b]\ntargets = ['10.0.0.1:1']\nhealth = { type = 'tcp', path = '/' }",
            &[r#"3:33 `path` means nothing for a health check of type "tcp"; set type = "http", or remove it"#],
        ),
    ]);
}

#[test]
fn lists_have_as_many_elements_as_make_sense() {
    let many = format!("[rules.a]\ntype = 'all-of'\nrules = [{}]", "'b',".repeat(17));
    tell(&[
        ("[rules.a]\ntype = 'groups'\nallow = []", &["3:9 `allow` is empty; of elements there must be at least 1"]),
        (&many, &["3:9 `rules` has 17 elements; of elements there may be 1 to 16"]),
    ]);
}

#[test]
fn a_pool_that_nothing_uses_is_a_warning() {
    let loaded = load(&format!("{REST}[pools.spare]\ntargets = ['10.0.0.1:1']\n"));
    let warnings = loaded.warnings.to_string();
    assert!(warnings.starts_with("warning: nothing uses pool `spare`\n"), "{warnings}");
}

#[test]
fn a_fault_found_later_is_shown_at_its_key_or_the_nearest_above() {
    let loaded = load(&format!(
        "{REST}[routes.a]\npaths = [\"/a\"]\npool = \"site\"\n[routes.b]\npaths = [\"/a\"]\npool = \"site\"\n"
    ));
    let tie =
        Fault::new(["routes", "b", "paths"], "routes `a` and `b` tie").also(["routes", "a", "paths"], "the other one");
    let none = Fault::new(KeyPath::from(["routes", "b"]).child("hosts"), "no hosts");
    assert_eq!(
        brief(&loaded.sources.report(&[tie.clone(), none]).to_string()),
        ["10:9 no hosts", "11:9 routes `a` and `b` tie"]
    );
    assert!(loaded.sources.report(&[tie]).to_string().contains("------ the other one"));
    assert_eq!(brief(&loaded.sources.report(&[Fault::new(["pools", "x"], "gone")]).to_string()), ["5:2 gone"]);
}
