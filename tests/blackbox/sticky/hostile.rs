//! Cookies that are not quite ours.

use super::{echoes, named, set, start, with_cookie};
use crate::support::client::request;

#[test]
fn what_only_looks_like_it_goes_on_and_means_nothing() {
    let targets = echoes(2);
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let value = set(&proxy.get("/")).unwrap();
    let mut client = proxy.client();
    for cookies in [
        format!("XRWSRV={value}"),
        format!("RWSRVX={value}"),
        format!("rwsrv={value}"),
        format!("a=RWSRV={value}"),
        format!("RW SRV={value}"),
        format!("=RWSRV={value}"),
        "RWSRV".to_owned(),
        "a=1, b=2".to_owned(),
    ] {
        let response = with_cookie(&mut client, &cookies);
        assert!(set(&response).is_some(), "{cookies}");
        assert_eq!(named(&targets, &response.target()).last().field("cookie"), Some(cookies));
    }
    proxy.settles("ringway_pool_sticky_total", &[("result", "new")], 9.0);
}

#[test]
fn a_value_that_is_wrong_is_replaced_and_reaches_no_target() {
    let targets = echoes(2);
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let value = set(&proxy.get("/")).unwrap();
    let huge = "x".repeat(20_000);
    let (short, long, upper) = (&value[1..], format!("{value}A"), format!("{value}.1"));
    let mut wrong = 0.0;
    for bad in ["", "\"", "\"\"", "x", "127.0.0.1:80", "%00", "a~b", "..", &huge, short, &long, &upper] {
        let response = with_cookie(&mut proxy.client(), &format!("a=1; RWSRV={bad}; b=2"));
        assert_eq!(response.status, 200);
        assert!(set(&response).is_some(), "{bad:.40}");
        assert_eq!(
            named(&targets, &response.target()).last().field("cookie").as_deref(),
            Some("a=1; b=2"),
            "{bad:.40}"
        );
        wrong += 1.0;
    }
    let mut client = proxy.client();
    client.send([&request("GET", "/", &["Cookie: RWSRV=\u{e9}"]).into_bytes()[..]].concat());
    assert!(set(&client.response()).is_some());
    client.send(b"GET / HTTP/1.1\r\nHost: site.test\r\nCookie: RWSRV=\xff\xfe\r\n\r\n");
    assert!(set(&client.response()).is_some());
    proxy.settles("ringway_pool_sticky_total", &[("result", "unknown")], wrong + 2.0);
}

#[test]
fn of_several_the_first_that_names_a_target_counts_and_none_goes_on() {
    let targets = echoes(3);
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let (first, second) = (proxy.get("/"), proxy.get("/"));
    let (one, other) = (set(&first).unwrap(), set(&second).unwrap());
    let mut client = proxy.client();
    for cookies in [
        format!("RWSRV={one}; RWSRV={other}"),
        format!("RWSRV=x; RWSRV={one};RWSRV={other}"),
        format!("RWSRV=\"{one}\""),
        format!(" ;; RWSRV = {one} ; "),
    ] {
        let response = with_cookie(&mut client, &cookies);
        assert_eq!((response.target(), set(&response)), (first.target(), None), "{cookies}");
        assert_eq!(named(&targets, &first.target()).last().field("cookie"), None, "{cookies}");
    }
    let (one, two) = (format!("Cookie: a=1; RWSRV={one}"), format!("Cookie: RWSRV={other}; b=2"));
    let response = client.ask("GET", "/", &[&one, &two]);
    assert_eq!(response.target(), first.target());
    assert_eq!(named(&targets, &first.target()).last().head.lines("cookie"), ["a=1", "b=2"]);
}

/// A cookie is good for the pool that set it: where another one has the same name for it, it means no target there.
#[test]
fn a_cookie_of_another_pool_is_replaced_and_reaches_no_target() {
    let (targets, others) = (echoes(2), echoes(2));
    let lines = "sticky = { cookie = \"RWSRV\" }\n";
    let list: Vec<String> = others.iter().map(|target| format!("\"{target}\"")).collect();
    let config = super::config(&targets, "cookie = \"RWSRV\"")
        + "\n[routes.other]\npaths = [\"/other/\"]\npool = \"other\"\n"
        + &format!("[pools.other]\ntargets = [{}]\n{lines}", list.join(", "));
    let proxy = crate::support::Proxy::start(config);
    let value = set(&proxy.get("/")).unwrap();
    let mut client = proxy.client();
    let response = client.ask("GET", "/other/", &[&format!("Cookie: a=1; RWSRV={value}")]);
    let new = set(&response).expect("the client belongs to nobody here");
    assert_ne!(new, value);
    assert_eq!(named(&others, &response.target()).last().field("cookie").as_deref(), Some("a=1"));
    let response = client.ask("GET", "/other/", &[&format!("Cookie: RWSRV={new}")]);
    assert_eq!(set(&response), None);
    proxy.settles("ringway_pool_sticky_total", &[("pool", "other"), ("result", "unknown")], 1.0);
}
