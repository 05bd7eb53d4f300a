use super::*;
use crate::config::model::{HostPolicy, Retry, Route, ValueMatch};
use crate::gateway::{self, About, Who};
use crate::plan::path::normalise;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

mod properties;
mod vary;
mod when;
mod why;

/// A request as a test writes it.
#[derive(Clone, Debug)]
struct Ask {
    method: String,
    host: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    client_ip: IpAddr,
}

impl Ask {
    fn get(host: &str, path: &str) -> Ask {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query.to_owned())));
        Ask {
            method: "GET".into(),
            host: host.into(),
            path: path.into(),
            query,
            headers: Vec::new(),
            client_ip: Ipv4Addr::new(192, 0, 2, 1).into(),
        }
    }
    fn method(mut self, method: &str) -> Ask {
        self.method = method.into();
        self
    }
    fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Ask {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }
    fn from(mut self, ip: &str) -> Ask {
        self.client_ip = ip.parse().unwrap();
        self
    }
}

impl Request for Ask {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }
    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }
    fn query(&self) -> Option<&[u8]> {
        self.query.as_deref().map(str::as_bytes)
    }
    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
    fn client_ip(&self) -> IpAddr {
        self.client_ip
    }
    fn meets(&self, when: &When, path: &[u8]) -> Result<bool, condition::Error> {
        let who = &Who::default();
        let about = About { client: self.client_ip, route: "", request: &Seen(self, path), who, path: None };
        when.condition.holds(&about)
    }
}

/// A request as conditions see it, and its path.
struct Seen<'a>(&'a Ask, &'a [u8]);

impl gateway::Request for Seen<'_> {
    fn method(&self) -> &[u8] {
        self.0.method()
    }
    fn scheme(&self) -> &str {
        "http"
    }
    fn authority(&self) -> &[u8] {
        self.0.host()
    }
    fn path(&self) -> &[u8] {
        self.1
    }
    fn query(&self) -> Option<&[u8]> {
        self.0.query()
    }
    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        self.0.header(name).for_each(see);
    }
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn route(hosts: &[&str], paths: &[&str]) -> Route {
    Route {
        listeners: Vec::new(),
        hosts: strings(hosts),
        paths: strings(paths),
        methods: Vec::new(),
        headers: BTreeMap::new(),
        query: BTreeMap::new(),
        client_ip: Vec::new(),
        priority_class: 0,
        cache: None,
        priority: 0,
        pool: Some("pool".into()),
        respond: None,
        redirect: None,
        strip_prefix: None,
        host: HostPolicy::Client,
        retry: Retry::default(),
        hedge: None,
        allow_in_path: Vec::new(),
        ..Route::default()
    }
}

fn with(mut route: Route, change: impl FnOnce(&mut Route)) -> Route {
    change(&mut route);
    route
}

fn method(route: Route, methods: &[&str]) -> Route {
    with(route, |route| route.methods = strings(methods))
}

fn header(route: Route, name: &str, value: ValueMatch) -> Route {
    with(route, |route| drop(route.headers.insert(name.into(), value)))
}

fn query(route: Route, name: &str, value: ValueMatch) -> Route {
    with(route, |route| drop(route.query.insert(name.into(), value)))
}

fn priority(route: Route, priority: i64) -> Route {
    with(route, |route| route.priority = priority)
}

fn allow(route: Route, forms: &[&str]) -> Route {
    with(route, |route| route.allow_in_path = strings(forms))
}

fn exact(text: &str) -> ValueMatch {
    ValueMatch::Exact(text.into())
}

fn build(routes: &[(&str, Route)]) -> Result<Router, Vec<Tie>> {
    Router::new(routes.iter().map(|(name, route)| ((*name).to_owned(), Conditions::compile(route).unwrap())).collect())
}

/// A router and the names of its routes.
struct Named(Router, Vec<String>);

fn router(routes: &[(&str, Route)]) -> Named {
    Named(build(routes).unwrap(), routes.iter().map(|(name, _)| (*name).to_owned()).collect())
}

impl Named {
    fn takes(&self, ask: Ask) -> &str {
        self.0.find(&ask).map_or("-", |found| &self.1[found.route])
    }

    /// Judges the path as an exchange does.
    fn admit(&self, raw: &str) -> Result<(&str, Forward), &'static str> {
        let mut normal = Vec::new();
        let verdict = normalise(raw.as_bytes(), &mut normal);
        let path = if verdict == Verdict::Plain { raw.to_owned() } else { String::from_utf8(normal).unwrap() };
        let admitted = self.0.admit(&Ask { path, ..Ask::get("a.test", "/") }, verdict, &mut Vec::new());
        admitted
            .map(|admitted| (admitted.found.map_or("-", |found| &*self.1[found.route]), admitted.forward))
            .map_err(Refusal::reason)
    }
}

#[test]
fn hosts_go_before_paths_and_exact_hosts_before_wildcards() {
    let router = router(&[
        ("any", route(&[], &["/v1/orders/"])),
        ("exact", route(&["api.example.com"], &["/v1/"])),
        ("long", route(&["*.api.example.com"], &[])),
        ("short", route(&["*.example.com"], &["=/v1/orders"])),
        ("bottom", route(&[], &[])),
    ]);
    assert_eq!(router.takes(Ask::get("api.example.com", "/v1/orders/1")), "exact");
    assert_eq!(router.takes(Ask::get("api.example.com", "/v1/orders")), "exact");
    assert_eq!(router.takes(Ask::get("api.example.com", "/v2")), "bottom", "the exact host's route does not match");
    assert_eq!(router.takes(Ask::get("eu.api.example.com", "/v1/orders")), "long");
    assert_eq!(router.takes(Ask::get("a.b.api.example.com", "/")), "long");
    assert_eq!(router.takes(Ask::get("www.example.com", "/v1/orders")), "short");
    assert_eq!(router.takes(Ask::get("www.example.com", "/v1/orders/1")), "any");
    assert_eq!(router.takes(Ask::get("example.com", "/v1/orders")), "any");
    assert_eq!(router.takes(Ask::get("", "/")), "bottom");
}

#[test]
fn paths_go_exact_longest_prefix_regex_everything() {
    let router = router(&[
        ("exact", route(&[], &["=/v1/orders"])),
        ("longer", route(&[], &["/v1/orders/"])),
        ("shorter", route(&[], &["/v1/"])),
        ("regex", route(&[], &["~^/(v1|v2)/"])),
        ("all", route(&[], &["/"])),
    ]);
    for (path, taker) in [
        ("/v1/orders", "exact"),
        ("/v1/orders/", "longer"),
        ("/v1/orders/1", "longer"),
        ("/v1/ordersx", "shorter"),
        ("/v1/x", "shorter"),
        ("/v2/x", "regex"),
        ("/v3/x", "all"),
        ("/", "all"),
    ] {
        assert_eq!(router.takes(Ask::get("a.test", path)), taker, "{path}");
    }
}

#[test]
fn templates_go_behind_exact_paths_and_before_prefixes() {
    let router = router(&[
        ("mine", route(&[], &["=/v1/orders/mine"])),
        ("get", method(route(&[], &["=/v1/orders/{id}"]), &["GET"])),
        ("put", method(route(&[], &["=/v1/orders/{name}"]), &["PUT"])),
        ("parts", route(&[], &["=/v1/{kind}/{id}/parts", "=/v1/{a}-{b}"])),
        ("rest", route(&[], &["/v1/orders/"])),
        ("regex", route(&[], &["~^/v1/"])),
    ]);
    for (method, path, taker) in [
        ("GET", "/v1/orders/mine", "mine"),
        ("GET", "/v1/orders/7", "get"),
        ("PUT", "/v1/orders/7", "put"),
        ("POST", "/v1/orders/7", "rest"),
        ("GET", "/v1/orders/7/parts", "parts"),
        ("GET", "/v1/x-y", "parts"),
        ("GET", "/v1/x/7/parts/", "regex"),
    ] {
        let ask = Ask::get("a.test", path).method(method);
        let found = router.0.find(&ask).map(|found| found.route);
        assert_eq!(router.takes(Ask::get("a.test", path).method(method)), taker, "{method} {path}");
        assert_eq!(router.0.standings(&ask, found).len(), 6);
    }
    let ties = build(&[("a", route(&[], &["=/x/{id}"])), ("b", route(&[], &["=/x/{name}"]))]).unwrap_err();
    assert_eq!(ties[0].routes, ["a", "b"]);
    assert!(Conditions::compile(&route(&[], &["=/x/{id"])).is_err());
}

#[test]
fn a_prefix_ends_on_a_segment_border() {
    for written in ["/v1", "/v1/"] {
        let router = router(&[("v1", route(&[], &[written]))]);
        for (path, taken) in [
            ("/v1", true),
            ("/v1/", true),
            ("/v1/x", true),
            ("/v1/x/y", true),
            ("/v1x", false),
            ("/v", false),
            ("/", false),
        ] {
            let found = router.0.find(&Ask::get("a.test", path));
            assert_eq!(found, taken.then_some(Found { route: 0, prefix: 3 }), "{written} {path}");
        }
    }
}

#[test]
fn a_route_takes_paths_in_any_spelling() {
    let router = router(&[("café", route(&[], &["/café"])), ("tilde", route(&[], &["=/%7Euser"]))]);
    assert_eq!(router.takes(Ask::get("a.test", "/caf%C3%A9/x")), "café");
    assert_eq!(router.takes(Ask::get("a.test", "/~user")), "tilde");
}

#[test]
fn more_conditions_are_more_specific() {
    let base = || route(&[], &["/a/"]);
    let router = router(&[
        ("none", base()),
        ("client", with(base(), |route| route.client_ip = vec!["10.0.0.0/8".parse().unwrap()])),
        ("query", query(base(), "v", exact("1"))),
        ("two-queries", query(query(base(), "v", exact("1")), "w", ValueMatch::Present)),
        ("header", header(base(), "X-A", ValueMatch::Present)),
        ("two-headers", header(header(base(), "x-a", ValueMatch::Present), "x-b", ValueMatch::Present)),
        ("method", method(base(), &["POST", "PUT"])),
        ("method-header", header(method(base(), &["POST"]), "x-a", ValueMatch::Present)),
    ]);
    let ask = || Ask::get("a.test", "/a/b?v=1&w=");
    assert_eq!(router.takes(Ask::get("a.test", "/a")), "none");
    assert_eq!(router.takes(Ask::get("a.test", "/a").from("10.1.2.3")), "client");
    assert_eq!(router.takes(Ask::get("a.test", "/a").from("::ffff:10.1.2.3")), "client");
    assert_eq!(router.takes(Ask::get("a.test", "/a?v=1").from("10.1.2.3")), "query");
    assert_eq!(router.takes(ask()), "two-queries");
    assert_eq!(router.takes(ask().header("x-a", "")), "header");
    assert_eq!(router.takes(ask().header("x-a", "1").header("x-b", "2")), "two-headers");
    assert_eq!(router.takes(ask().header("x-b", "2").method("PUT")), "method");
    assert_eq!(router.takes(ask().header("x-a", "2").header("x-b", "2").method("POST")), "method-header");
    assert_eq!(router.takes(ask().method("post")), "two-queries");
}

#[test]
fn headers_are_present_absent_equal_or_found() {
    let takes = |value: ValueMatch, values: &[&[u8]]| {
        let router = router(&[("x", header(route(&[], &[]), "x-a", value))]);
        let ask = values.iter().fold(Ask::get("a.test", "/"), |ask, value| ask.header("x-a", value));
        router.takes(ask) == "x"
    };
    assert!(takes(ValueMatch::Present, &[b""]));
    assert!(!takes(ValueMatch::Present, &[]));
    assert!(takes(ValueMatch::Absent, &[]));
    assert!(!takes(ValueMatch::Absent, &[b"x"]));
    assert!(takes(exact("x"), &[b"y", b"x"]));
    assert!(!takes(exact("x"), &[b"X", b"xx"]));
    let regex = |text: &str| ValueMatch::Regex(text.into());
    assert!(takes(regex("b+"), &[b"abc"]));
    assert!(!takes(regex("^b+$"), &[b"abc"]));
    assert!(takes(regex("^[a-z]+$"), &[b"1", b"abc"]));
    assert!(takes(regex("b"), &[b"\xFFb"]));
    assert!(!takes(regex("b"), &[]));
}

#[test]
fn query_parameters_are_compared_decoded() {
    let takes = |value: ValueMatch, path: &str| {
        router(&[("x", query(route(&[], &[]), "my key", value))]).takes(Ask::get("a.test", path)) == "x"
    };
    assert!(takes(exact("a b"), "/?my+key=a%20b"));
    assert!(takes(exact("a b"), "/?x=1&&m%79%20key=c&my%20key=a+b"));
    assert!(takes(exact(""), "/?my%20key"));
    assert!(takes(exact("100%"), "/?my+key=100%"));
    assert!(!takes(exact("a"), "/?my+keys=a"));
    assert!(takes(ValueMatch::Present, "/?my+key"));
    assert!(!takes(ValueMatch::Present, "/?"));
    assert!(takes(ValueMatch::Absent, "/"));
    assert!(!takes(ValueMatch::Absent, "/?my+key=1"));
    assert!(takes(ValueMatch::Regex("^[0-9]$".into()), "/?my+key=7"));
}

#[test]
fn priority_goes_before_everything() {
    let router = router(&[
        ("exact", route(&["a.test"], &["=/x"])),
        ("high", priority(route(&[], &["~x"]), 10)),
        ("low", priority(route(&["a.test"], &["=/y"]), -1)),
        ("all", route(&[], &[])),
    ]);
    assert_eq!(router.takes(Ask::get("a.test", "/x")), "high");
    assert_eq!(router.takes(Ask::get("a.test", "/y")), "all");
}

fn tied(routes: &[(&str, Route)]) -> Vec<[String; 2]> {
    build(routes).err().unwrap_or_default().into_iter().map(|tie| tie.routes).collect()
}

#[test]
fn routes_that_tie_are_named() {
    let pair = |first: Route, second: Route| !tied(&[("a", first), ("b", second)]).is_empty();
    let base = || route(&["a.test"], &["/v1/"]);
    assert!(pair(base(), base()));
    assert!(pair(base(), route(&["A.test", "b.test"], &["/v1"])));
    assert!(pair(route(&[], &[]), route(&[], &["/"])));
    assert!(pair(method(base(), &["GET", "PUT"]), method(base(), &["PUT"])));
    assert!(pair(header(base(), "a", exact("1")), header(base(), "b", exact("1"))));
    assert!(pair(header(base(), "a", exact("11")), header(base(), "a", ValueMatch::Regex("1".into()))));
    assert!(pair(route(&[], &["~^/a"]), route(&[], &["~^/a/b"])));
    let net = |text: &str| with(base(), |route| route.client_ip = vec![text.parse().unwrap()]);
    assert!(pair(net("10.0.0.0/8"), net("10.1.0.0/16")));
    assert!(pair(priority(base(), 1), priority(base(), 1)));

    assert!(!pair(base(), priority(base(), 1)));
    assert!(!pair(base(), route(&["a.test"], &["=/v1"])));
    assert!(!pair(base(), route(&["*.test"], &["/v1/"])));
    assert!(!pair(base(), method(base(), &["GET"])));
    assert!(!pair(method(base(), &["GET"]), method(base(), &["PUT"])));
    assert!(!pair(header(base(), "a", exact("1")), header(base(), "a", exact("2"))));
    assert!(!pair(header(base(), "a", exact("1")), header(base(), "a", ValueMatch::Absent)));
    assert!(!pair(header(base(), "a", exact("2")), header(base(), "a", ValueMatch::Regex("1".into()))));
    assert!(!pair(query(base(), "a", exact("1")), query(base(), "a", exact("2"))));
    assert!(!pair(route(&[], &["~^/a/[0-9]"]), route(&[], &["~^/b/[0-9]"])));
    assert!(!pair(net("10.0.0.0/16"), net("10.1.0.0/16")));
    assert!(!pair(route(&[], &["/a", "/a/", "=/b", "=/b"]), route(&[], &["/c"])));

    let ties = build(&[("web", base()), ("other", route(&[], &["/x"])), ("shop", base())]).unwrap_err();
    assert_eq!(ties.len(), 1);
    assert_eq!(
        ties[0].to_string(),
        "routes \"web\" and \"shop\" tie: both could take a request for a.test, path \"/v1/\""
    );
    assert!(ties[0].help().contains("priority"));
}

#[test]
fn a_pair_ties_once_however_much_it_shares() {
    let both = || route(&["a.test", "*.b.test"], &["/x", "/y", "~z"]);
    assert_eq!(tied(&[("a", both()), ("b", both()), ("c", both())]).len(), 3);
}

#[test]
fn faults_of_a_route_say_what_to_write() {
    let faults = |route: Route| Conditions::compile(&route).unwrap_err();
    let one = |route: Route| {
        let faults = faults(route);
        assert_eq!(faults.len(), 1, "{faults:?}");
        let fault = faults.into_iter().next().unwrap();
        (fault.key, format!("{} {}", fault.message, fault.help.unwrap_or_default()))
    };
    let says = |route: Route, key: &str, word: &str| {
        let (found, text) = one(route);
        assert_eq!(found, key);
        assert!(text.contains(word), "{text}");
    };
    says(route(&["bücher.example"], &[]), "hosts", "punycode");
    says(route(&[], &["v1"]), "paths", "begin");
    says(route(&[], &["/a/../b"]), "paths", "write \"/b\"");
    says(route(&[], &["/a//b"]), "paths", "write \"/a/b\"");
    says(route(&[], &["/a%2Fb"]), "paths", "allow_in_path");
    says(route(&[], &["/a b"]), "paths", "path-bad-byte");
    says(route(&[], &["/100%"]), "paths", "%25");
    says(route(&[], &["/a;b"]), "paths", "allow_in_path = [\";\"]");
    says(route(&[], &["=/%24meta"]), "paths", "plainly");
    says(route(&[], &["~^/(a"]), "paths", "unclosed group");
    says(method(route(&[], &[]), &["get"]), "methods", "\"GET\"");
    says(method(route(&[], &[]), &["GE T"]), "methods", "no method");
    says(header(route(&[], &[]), "Host", ValueMatch::Present), "headers", "hosts");
    says(header(route(&[], &[]), "a b", ValueMatch::Present), "headers", "header name");
    says(header(header(route(&[], &[]), "A", ValueMatch::Present), "a", ValueMatch::Absent), "headers", "twice");
    says(query(route(&[], &[]), "q", ValueMatch::Regex("[".into())), "query", "\"q\"");
    says(allow(route(&[], &[]), &["%2G"]), "allow_in_path", "dot-segments");
    assert_eq!(faults(method(route(&["*"], &["x", "y"]), &["get"])).len(), 4);
    assert!(Conditions::compile(&allow(route(&[], &["/a%2Fb"]), &["%2f"])).is_ok());
}

#[test]
fn no_spelling_gets_around_a_guarded_path() {
    let router =
        router(&[("guard", route(&[], &["/blocked/"])), ("meta", route(&[], &["/x/$meta"])), ("all", route(&[], &[]))]);
    for (raw, expected) in [
        ("/ok", Ok(("all", Forward::Raw))),
        ("/%6fk", Ok(("all", Forward::Raw))),
        ("/ok;a=b/c;d", Ok(("all", Forward::Raw))),
        ("/ok/a%40b", Ok(("all", Forward::Raw))),
        ("/x/../ok", Ok(("all", Forward::Normal))),
        ("//ok", Ok(("all", Forward::Normal))),
        ("/blocked/x", Ok(("guard", Forward::Raw))),
        ("/%62locked", Ok(("guard", Forward::Raw))),
        ("/x/../blocked", Ok(("guard", Forward::Normal))),
        ("/x/..//blocked/y", Ok(("guard", Forward::Normal))),
        ("/blocked/a;b", Ok(("guard", Forward::Raw))),
        ("/blocked;a=b/x", Err("path-parameter")),
        ("/blocked;a=b", Err("path-parameter")),
        ("/blocked%3Ba=b/x", Err("path-parameter")),
        ("/;/blocked/x", Err("path-parameter")),
        ("/x;/%24meta", Err("path-parameter")),
        ("/x/%24meta", Err("path-encoded-reserved")),
        ("/x/..;/blocked", Err("path-hidden-dots")),
        ("/x/%2e%2e/blocked", Err("path-hidden-dots")),
        ("/blocked%2fx", Err("path-encoded-slash")),
        ("/blocked%5cx", Err("path-encoded-backslash")),
        ("/blocked\\x", Err("path-backslash")),
        ("/blocked%00", Err("path-encoded-nul")),
    ] {
        assert_eq!(router.admit(raw), expected, "{raw}");
    }
}

#[test]
fn a_form_allowed_by_name_still_does_not_reach_a_route_that_does_not_allow_it() {
    let all = [";", "%2F", "%5C", "\\", "%00", "dot-segments"];
    let careful = router(&[("guard", route(&[], &["/blocked/"])), ("all", allow(route(&[], &[]), &all))]);
    assert_eq!(careful.admit("/a%2Fb"), Ok(("all", Forward::Raw)));
    assert_eq!(careful.admit("/a%00\\b%5c"), Ok(("all", Forward::Raw)));
    assert_eq!(careful.admit("/a/%2e%2e/b"), Ok(("all", Forward::Normal)));
    assert_eq!(careful.admit("/x/%2e%2e/blocked"), Err("path-hidden-dots"));
    for raw in [
        "/blocked;x",
        "/blocked%2Fx",
        "/x%2F..%2Fblocked",
        "/blocked%5Cx",
        "/blocked\\x",
        "/blocked%00",
        "/x/..;/blocked",
    ] {
        assert!(careful.admit(raw).is_err(), "{raw}");
    }
    let open = router(&[("guard", allow(route(&[], &["/blocked/"]), &all)), ("all", allow(route(&[], &[]), &all))]);
    assert_eq!(open.admit("/blocked;x"), Ok(("all", Forward::Raw)));
    assert_eq!(open.admit("/blocked;x/a%40b"), Ok(("all", Forward::Raw)));
    assert_eq!(open.admit("/blocked%2Fx"), Ok(("all", Forward::Raw)));
}

#[test]
fn a_thousand_routes_are_told_apart() {
    let names: Vec<String> = (0..1000).map(|index| format!("r{index}")).collect();
    let routes: Vec<(&str, Route)> = names
        .iter()
        .enumerate()
        .map(|(index, name)| match index % 3 {
            0 => (name.as_str(), route(&[&format!("h{index}.test")], &[])),
            1 => (name.as_str(), route(&[], &[&format!("/p{index}/q/")])),
            _ => (name.as_str(), route(&[&format!("*.w{index}.test")], &["=/exact"])),
        })
        .collect();
    let router = router(&routes);
    for (index, name) in names.iter().enumerate() {
        let ask = match index % 3 {
            0 => Ask::get(&format!("h{index}.test"), "/any"),
            1 => Ask::get("other.test", &format!("/p{index}/q/r/s")),
            _ => Ask::get(&format!("a.b.w{index}.test"), "/exact"),
        };
        assert_eq!(router.takes(ask), name);
    }
    assert_eq!(router.takes(Ask::get("h1.test", "/p1/qq")), "-");
}
