//! What a user is told who has routes that pass TLS on wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::plan;

const OTHERS: &str = "\n[listeners.raw]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'site'\n[pools.secure]\n\
    targets = ['127.0.0.1:2']\ntls = {}\n[listeners.more]\nlisten = [':2']\nprotocol = 'tcp'\npool = 'secure'\n";

/// The faults of a route with these lines.
#[track_caller]
fn told(lines: &str) -> Vec<String> {
    brief(&Folder::with(&[("ring.toml", &format!("[routes.a]\n{lines}{OTHERS}{REST}"))]).faults())
}

const GOOD: &str = "listeners = ['raw']\nsni = ['a.test']\npassthrough = true\npool = 'site'\n";

#[test]
fn a_route_that_passes_tls_on_says_whose_which_and_where() {
    assert_eq!(load(&format!("[routes.a]\n{GOOD}{OTHERS}{REST}")).warnings.to_string(), "");
    for (lines, expected) in [
        (
            "listeners = ['raw']\nsni = ['a.test']\npassthrough = true",
            "1:9 route `a` passes TLS on to no pool; add pool = \"…\"",
        ),
        (
            "sni = ['a.test']\npassthrough = true\npool = 'site'",
            "1:9 route `a` does not say whose TLS it passes on; add listeners = [\"…\"]",
        ),
        (
            "listeners = ['raw']\npassthrough = true\npool = 'site'",
            "1:9 route `a` does not say which TLS it passes on; add sni = [\"db.example.com\"]; for all of it, a tcp \
             listener's `pool` is enough",
        ),
        (
            "listeners = ['web']\nalpn = ['h2']\npassthrough = true\npool = 'site'",
            "2:14 nobody speaks TLS to listener `web`; name a tcp listener, or one with TLS",
        ),
        (
            "listeners = ['rw']\nalpn = ['h2']\npassthrough = true\npool = 'site'",
            "2:14 no listener is named `rw`; did you mean `raw`?",
        ),
        (
            "listeners = ['raw']\nalpn = ['h2']\npassthrough = true\npool = 'secure'",
            "5:8 pool `secure` speaks TLS with its targets: what is passed on is TLS already; give the route a pool \
             without `tls`",
        ),
        (
            "sni = ['a.test']\npool = 'site'",
            "2:7 `sni` means nothing on a route that passes no TLS on; set passthrough = true, or choose by `hosts` where \
             TLS ends here",
        ),
    ] {
        assert_eq!(told(lines), [expected], "{lines}");
    }
}

#[test]
fn keys_for_requests_are_faults_on_a_route_that_sees_none() {
    for (line, place) in [
        ("hosts = ['a.test']", "6:9"),
        ("paths = ['/']", "6:9"),
        ("priority = 1", "6:12"),
        ("retry = { attempts = 1 }", "6:1"),
        ("redirect = { scheme = 'https' }", "6:1"),
    ] {
        let key = line.split(' ').next().unwrap();
        let expected = format!(
            "{place} `{key}` means nothing on a route that passes TLS on unopened; remove it: nobody here sees a request"
        );
        assert_eq!(told(&format!("{GOOD}{line}\n")), [expected]);
    }
    let inherited = format!("[defaults.route.retry]\nattempts = 1\n[routes.a]\n{GOOD}{OTHERS}{REST}");
    assert_eq!(load(&inherited).warnings.to_string(), "", "what all routes have is no fault of this one");
}

#[test]
fn routes_that_would_pass_the_same_on_tie() {
    let faults = |more: &str| {
        let config = load(&format!("[routes.a]\n{GOOD}[routes.b]\n{more}{OTHERS}{REST}")).config;
        let faults = plan::compile(&config, 1).err().unwrap_or_default();
        faults.into_iter().map(|fault| format!("{} {}", fault.at, fault.what)).collect::<Vec<_>>()
    };
    let tie = |shared: &str| [format!("routes.b routes \"a\" and \"b\" tie: both would pass on TLS for {shared}")];
    assert_eq!(faults(&GOOD.replace("a.test", "*.b.test', 'A.test.")), tie("a.test"));
    assert_eq!(faults(&GOOD.replace("sni = ['a.test']", "alpn = ['h2']")), [""; 0]);
    assert_eq!(faults(&GOOD.replace("'raw'", "'more'")), [""; 0], "on another listener");
    let address = faults(&GOOD.replace("a.test", "10.0.0.1"));
    assert_eq!(address, ["routes.b.sni[0] `10.0.0.1` is an address: no client asks for one by name"]);
}

#[test]
fn a_tcp_listener_may_have_routes_in_place_of_a_pool() {
    let bare = "[listeners.bare]\nlisten = [':3']\nprotocol = 'tcp'\n";
    let good = load(&format!("{bare}[routes.a]\n{}{OTHERS}{REST}", GOOD.replace("raw", "bare")));
    assert!(plan::compile(&good.config, 1).is_ok());
    let told = brief(&Folder::with(&[("ring.toml", &format!("{bare}{REST}"))]).faults());
    assert_eq!(told, ["1:12 tcp listener `bare` has no pool; add pool = \"…\""]);
}
