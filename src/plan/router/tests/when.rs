//! Conditions in CEL as a part of which route takes a request.

use super::*;

fn when(route: Route, text: &str) -> Route {
    with(route, |route| route.when = Some(text.to_owned()))
}

fn every() -> Route {
    route(&[], &["/x/"])
}

#[test]
fn a_condition_is_the_last_that_makes_a_route_more_specific() {
    let router = router(&[
        ("any", every()),
        ("beta", when(every(), "request.headers['x-beta'] == '1' || request.query.beta == '1'")),
        ("posts", method(every(), &["POST"])),
        ("deep", when(route(&[], &["/x/deep/"]), "request.path.endsWith('.json')")),
    ]);
    let get = |path: &str| Ask::get("a.test", path);
    for (ask, taken) in [
        (get("/x/"), "any"),
        (get("/x/").header("x-beta", "1"), "beta"),
        (get("/x/?beta=1"), "beta"),
        (get("/x/").header("x-beta", "2"), "any"),
        (get("/x/").header("x-beta", "1").method("POST"), "posts"),
        (get("/x/deep/a.json"), "deep"),
        (get("/x/deep/a.xml"), "any"),
    ] {
        assert_eq!(router.takes(ask.clone()), taken, "{ask:?}");
    }
}

#[test]
fn what_cannot_be_told_is_not_met() {
    let router = router(&[("any", every()), ("one", when(every(), "int(request.headers['x-n']) == 1"))]);
    let get = || Ask::get("a.test", "/x/");
    assert_eq!(router.takes(get()), "any");
    assert_eq!(router.takes(get().header("x-n", "one")), "any");
    assert_eq!(router.takes(get().header("x-n", "1")), "one");
}

#[test]
fn two_conditions_tie_unless_they_plainly_exclude_each_other() {
    let pair = |one: &str, two: &str| tied(&[("a", when(every(), one)), ("b", when(every(), two))]);
    let tie = [["a".to_owned(), "b".to_owned()]];
    assert_eq!(pair("request.headers.a == '1'", "request.headers.b == '1'"), tie);
    assert_eq!(pair("tls.enabled", "tls.enabled"), tie);
    assert!(pair("request.headers.a == '1'", "request.headers.a == '2'").is_empty());
    assert!(pair("tls.enabled", "!tls.enabled && request.size > 0").is_empty());
}

#[test]
fn the_path_that_a_target_could_read_has_to_meet_it_too() {
    let guarded = when(route(&[], &["/"]), "request.path.startsWith('/admin/')");
    let router = build(&[("any", route(&[], &["/"])), ("guarded", guarded)]).unwrap();
    let admit = |sent: &str| {
        let (mut path, mut scratch) = (Vec::new(), Vec::new());
        let verdict = normalise(sent.as_bytes(), &mut path);
        let path = if path.is_empty() { sent.to_owned() } else { String::from_utf8(path).unwrap() };
        router.admit(&Ask::get("a.test", &path), verdict, &mut scratch).is_ok()
    };
    assert!(admit("/admin/x") && admit("/x/../admin/y") && admit("/other"));
    assert!(!admit("/admin%2Fx") && !admit("/x/..%2Fadmin/"));
}

#[test]
fn explanations_tell_of_it() {
    let get = || Ask::get("a.test", "/x/");
    let said = |text: &str, ask: Ask| {
        let router = build(&[("a", every()), ("b", when(every(), text))]).unwrap();
        let found = router.find(&ask).map(|found| found.route);
        router.standings(&ask, found).pop().unwrap()
    };
    let misses = |words: &str| Standing::Misses(Condition::When, words.to_owned());
    assert_eq!(said("tls.enabled", get()), misses("`tls.enabled` does not hold"));
    let told = "`int(request.query.n) == 1` cannot be told: a value cannot be made one of another kind";
    assert_eq!(said("int(request.query.n) == 1", get()), misses(told));
    let taken = said("!tls.enabled", get());
    assert_eq!(taken, Standing::Takes(strings(&["path /x/, a prefix", "`!tls.enabled` holds"])));
    let router = build(&[("a", when(every(), "!tls.enabled")), ("b", every())]).unwrap();
    let told = " is more specific: one `when` goes before none";
    assert_eq!(router.standings(&get(), Some(0)).pop(), Some(Standing::Yields(told.to_owned())));
}

#[test]
fn a_condition_that_is_wrong_is_a_fault_of_the_route() {
    let fault = |text: &str| Conditions::compile(&when(every(), text)).unwrap_err().pop().unwrap();
    let wrong = fault("reqest.path == '/'");
    assert_eq!((wrong.key, wrong.help.as_deref()), ("when", Some("did you mean `request.path`?")));
    assert_eq!(wrong.message, "nothing is named `reqest.path`, at character 1 of the condition");
    assert_eq!(
        fault("consumer.name == 'a'").message,
        "`consumer.name` is not known here, at character 1 of the condition"
    );
}
