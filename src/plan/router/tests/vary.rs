//! By which headers answers vary: where a route is chosen by them, and where it is what is left.

use super::*;

fn by(name: &str, hosts: &[&str], paths: &[&str]) -> Route {
    with(route(hosts, paths), |route| drop(route.headers.insert(name.into(), ValueMatch::Present)))
}

#[track_caller]
fn names(routes: &[Route]) -> Vec<String> {
    let mut all: Vec<Conditions> = routes.iter().map(|route| Conditions::compile(route).unwrap()).collect();
    let on: Vec<usize> = (0..all.len()).collect();
    let mut vary = vec![std::collections::BTreeSet::new(); all.len()];
    settle(&mut all, &on, &mut vary);
    vary.into_iter().map(|names| names.into_iter().collect::<Vec<_>>().join(",")).collect()
}

#[test]
fn a_header_has_a_say_in_what_is_left_by_its_route_and_in_nothing_else() {
    let first = || by("x-a", &[], &["/v1/"]);
    for (other, expected) in [
        (route(&[], &["/v1/"]), "x-a"),
        (route(&[], &[]), "x-a"),
        (route(&[], &["~^/v[0-9]"]), "x-a"),
        (route(&[], &["/v1/orders/"]), ""),
        (route(&[], &["=/v1/orders"]), ""),
        (route(&[], &["=/v1/{id}"]), ""),
        (route(&[], &["/v2/"]), ""),
        (route(&["a.test"], &["/v1/"]), ""),
        (by("x-b", &[], &["/v1/"]), "x-a,x-b"),
        (by("x-b", &[], &["/v2/"]), "x-b"),
        (with(route(&["a.test"], &["/v1/orders/"]), |route| route.priority = -1), "x-a"),
        (with(route(&[], &["/v1/"]), |route| route.priority = 1), ""),
    ] {
        assert_eq!(names(&[first(), other.clone()])[1], expected, "{:?} {:?}", other.hosts, other.paths);
    }
    let hosts = [by("x-a", &["a.test"], &[]), route(&["*.test"], &[]), route(&["b.test"], &[]), route(&[], &[])];
    assert_eq!(names(&hosts), ["x-a", "x-a", "", "x-a"]);
    let when = with(route(&[], &[]), |route| route.when = Some("request.headers['X-C'] == '1'".into()));
    assert_eq!(names(&[when, route(&[], &[])]), ["x-c", "x-c"]);
}

#[test]
fn types_of_routes_for_one_place_are_weighed_against_each_other() {
    let accepts = |accept: &str| with(route(&[], &["/x/"]), |route| route.accept = strings(&[accept]));
    let routes = [accepts("a/v1"), accepts("a/v2"), route(&[], &["/x/"])];
    let mut all: Vec<Conditions> = routes.iter().map(|route| Conditions::compile(route).unwrap()).collect();
    let mut vary = vec![std::collections::BTreeSet::new(); all.len()];
    // On two listeners.
    settle(&mut all, &[0, 1, 2], &mut vary);
    settle(&mut all, &[0, 1], &mut vary);
    assert_eq!(all[0].accept.as_ref().map(|accept| accept.rivals.len()), Some(1));
    assert_eq!(vary, vec![std::collections::BTreeSet::from(["accept".to_owned()]); 3]);
    let named = ["v1", "v2", "any"].map(str::to_owned).into_iter().zip(all).collect();
    let router = Router::new(named).unwrap();
    for (accept, found) in [("a/v1", 0), ("a/v1;q=0.5,a/v2", 1), ("*/*", 2)] {
        let ask = Ask::get("x.test", "/x/").header("accept", accept);
        assert_eq!(router.find(&ask).map(|found| found.route), Some(found), "{accept}");
    }
}
