//! What operators see of clients that belong to targets, and what they have forgotten.

use super::{config, echoes, named, set, with_cookie};
use crate::admin::start;
use crate::support::Client;

#[test]
fn a_target_that_drains_is_watched_until_nobody_belongs_to_it() {
    let targets = echoes(2);
    let desk = start(&config(&targets, "source = true"));
    let ask = |n: u8| Client::from(&format!("127.0.6.{n}"), &desk.proxy.web()).get("/").target();
    let before: Vec<String> = (1..=8).map(ask).collect();
    let address = targets[0].to_string();
    let path = format!("/v1/pools/site/targets/{address}");
    desk.operator.told("PATCH", &path, "{\"state\":\"drain\"}", 200);
    let after: Vec<String> = (1..=8).map(ask).collect();
    assert_eq!(after, before, "who belongs to it stays");
    let noted = before.iter().filter(|target| *target == "t0").count();
    let target = desk.operator.get(&path);
    assert_eq!(target["sticky"]["noted"], noted);
    let status = desk.runs(&["status"]);
    assert!(status.contains(&format!("overridden, {noted} sticky")), "{status}");
    let table = desk.operator.get("/v1/pools/site/sticky");
    assert_eq!((&table["size"], &table["entries"], &table["found"]), (&100_000.into(), &8.into(), &().into()));
    let client = before.iter().position(|target| target == "t0").unwrap() + 1;
    let found = desk.operator.get(&format!("/v1/pools/site/sticky?client=127.0.6.{client}"));
    assert_eq!(found["found"]["target"], address);
    let forgot = desk.operator.told("DELETE", &format!("/v1/pools/site/sticky?target={address}"), "", 200);
    assert_eq!(forgot["entries"], noted);
    assert!((1..=8).all(|n| ask(n) == "t1"), "they have gone elsewhere");
    assert_eq!(desk.operator.told("DELETE", "/v1/pools/site/sticky?client=127.0.6.1", "", 200)["entries"], 1);
    assert_eq!(desk.operator.told("DELETE", "/v1/pools/site/sticky", "", 200)["entries"], 7);
}

#[test]
fn users_by_cookie_are_seen_by_what_they_ask() {
    let targets = echoes(2);
    let desk = start(&config(&targets, "cookie = \"RWSRV\""));
    let first = desk.proxy.get("/");
    let cookie = format!("RWSRV={}", set(&first).unwrap());
    (0..3).for_each(|_| drop(with_cookie(&mut desk.proxy.client(), &cookie)));
    let target = named(&targets, &first.target());
    desk.proxy.settles("ringway_target_sticky_total", &[("target", &target.to_string())], 3.0);
    let seen = desk.operator.get(&format!("/v1/pools/site/targets/{target}"));
    assert_eq!((&seen["sticky"]["served"], &seen["sticky"]["noted"]), (&3.into(), &().into()));
    let why = desk.operator.wrong("GET", "/v1/pools/site/sticky", "", 404);
    assert!(why.contains("in no table"), "{why}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let targets = echoes(1);
    let desk = start(&config(&targets, "learn = { cookie = \"SID\" }"));
    let target = targets[0].to_string();
    for (method, query, status) in [
        ("GET", "?client=127.0.0.1".to_owned(), 422),
        ("GET", "?value=unknown".to_owned(), 404),
        ("GET", "?client=x".to_owned(), 422),
        ("DELETE", format!("?target={target}&value=x"), 422),
        ("DELETE", "?target=10.0.0.1:1".to_owned(), 404),
        ("DELETE", "?target=x".to_owned(), 422),
    ] {
        desk.operator.wrong(method, &format!("/v1/pools/site/sticky{query}"), "", status);
    }
    desk.operator.wrong("DELETE", "/v1/pools/none/sticky", "", 404);
    assert_eq!(desk.operator.told("DELETE", "/v1/pools/site/sticky?value=unknown", "", 200)["entries"], 0);
}
