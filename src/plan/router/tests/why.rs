//! What people are told of why a route was taken or not.

use super::*;

/// What is said of the route "b" beside a route "a".
fn said(a: Route, b: Route, ask: Ask) -> Standing {
    let router = build(&[("a", a), ("b", b)]).unwrap();
    let found = router.find(&ask).map(|found| found.route);
    router.standings(&ask, found).pop().unwrap()
}

#[test]
fn the_first_condition_that_fails_is_told() {
    let get = || Ask::get("a.test", "/x?v=1").header("x-tenant", "Acme");
    let hosts = ["1.test", "2.test", "*.3.test", "4.test", "5.test"];
    for (route, told) in [
        (route(&["b.test"], &["/y/"]), "host a.test is not b.test"),
        (route(&hosts, &[]), "host a.test is none of 1.test, 2.test, *.3.test, 4.test, …"),
        (route(&["a.test"], &["/y/"]), "path /x is not /y/"),
        (route(&[], &["=/x/", "~^/[0-9]"]), "path /x is none of =/x/, ~^/[0-9]"),
        (method(route(&[], &[]), &["POST"]), "method GET is not POST"),
        (header(route(&[], &[]), "x-debug", ValueMatch::Present), "header x-debug is absent"),
        (header(route(&[], &[]), "x-tenant", ValueMatch::Absent), "header x-tenant is present"),
        (header(route(&[], &[]), "x-tenant", exact("acme")), "header x-tenant is `Acme`, not `acme`"),
        (
            header(route(&[], &[]), "x-tenant", ValueMatch::Regex("^[a-z]+$".into())),
            "header x-tenant is `Acme`, which `~^[a-z]+$` does not match",
        ),
        (query(route(&[], &[]), "v", exact("2")), "query v is `1`, not `2`"),
        (query(route(&[], &[]), "w", ValueMatch::Present), "query w is absent"),
        (
            with(route(&[], &[]), |route| route.client_ip = vec!["10.0.0.0/8".parse().unwrap()]),
            "client 192.0.2.1 is not within 10.0.0.0/8",
        ),
    ] {
        let missed = said(super::route(&["x.test"], &[]), route, get());
        let Standing::Misses(condition, words) = missed else { panic!("{missed:?}") };
        assert_eq!(words, told);
        assert!(told.starts_with(condition.word()) || condition == Condition::Client, "{told}: {condition:?}");
    }
    let nameless = said(route(&["x.test"], &[]), route(&["b.test"], &[]), Ask::get("", "/"));
    assert_eq!(nameless, Standing::Misses(Condition::Host, "no host is named, and it is not b.test".to_owned()));
}

#[test]
fn what_makes_another_route_go_first_is_told() {
    let plain = || route(&[], &["/x/"]);
    for (first, second, told) in [
        (priority(plain(), 7), plain(), " has the higher priority: 7 goes before 0"),
        (route(&["a.b.test"], &[]), plain(), " is more specific: an exact host goes before any host"),
        (
            route(&["*.b.test"], &[]),
            route(&["*.test"], &["=/x"]),
            " is more specific: a longer wildcard host goes before a shorter one",
        ),
        (
            route(&["a.b.test"], &[]),
            route(&["*.test"], &[]),
            " is more specific: an exact host goes before a wildcard host",
        ),
        (route(&[], &["=/x"]), plain(), " is more specific: an exact path goes before a prefix"),
        (route(&[], &["/x/"]), route(&[], &["/"]), " is more specific: a prefix goes before every path"),
        (route(&[], &["/x/"]), route(&[], &["~x"]), " is more specific: a prefix goes before a regex"),
        (method(plain(), &["GET"]), plain(), " is more specific: one method condition goes before none"),
        (
            header(header(plain(), "a", ValueMatch::Absent), "b", ValueMatch::Absent),
            header(plain(), "a", ValueMatch::Absent),
            " is more specific: 2 header conditions go before one header condition",
        ),
    ] {
        assert_eq!(said(first, second, Ask::get("a.b.test", "/x")), Standing::Yields(told.to_owned()));
    }
    let twice = Ask::get("a.test", "/").header("h", "1").header("h", "2");
    let valued = |value| header(route(&[], &[]), "h", exact(value));
    let told = " comes first by name, and neither is more specific";
    assert_eq!(said(valued("1"), valued("2"), twice), Standing::Yields(told.to_owned()));
}

#[test]
fn what_a_route_is_taken_by_is_told() {
    let narrow = with(header(method(route(&["*.test"], &["/x/", "=/x"]), &["GET"]), "x-a", exact("1")), |route| {
        route.query.insert("q".into(), ValueMatch::Absent);
        route.client_ip = vec!["192.0.2.0/24".parse().unwrap()];
        route.priority = 3;
    });
    let taken = said(route(&[], &[]), narrow, Ask::get("a.test", "/x").header("x-a", "1"));
    let by = [
        "host *.test",
        "path =/x, exact",
        "method GET",
        "header x-a is `1`",
        "query q is absent",
        "client within 192.0.2.0/24",
        "priority 3",
    ];
    assert_eq!(taken, Standing::Takes(strings(&by)));
}
