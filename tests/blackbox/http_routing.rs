//! Which route takes a request. Protects http-rules/normalize_uri, stream/test_content_switching and the case
//! "same host, other spelling".

use crate::support::client::request;
use crate::support::toml::{http, http_with, pool};
use crate::support::{Client, Proxy, Target};

/// A route that answers with its own name.
fn route(name: &str, lines: &str) -> String {
    format!(
        "\n[routes.{name}]\n{lines}\nrespond = {{ status = 200, body = \"{name}\", content_type = \"text/plain\" }}\n"
    )
}

/// A listener without a pool: what no route takes is 404.
fn routes(all: &[(&str, &str)]) -> String {
    let listener = "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\n".to_owned();
    all.iter().fold(listener, |config, (name, lines)| config + &route(name, lines))
}

/// The name of the route that answers; the status where none does.
#[track_caller]
fn taken(client: &mut Client, method: &str, host: &str, target: &str, fields: &[&str]) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for field in fields {
        text += &format!("{field}\r\n");
    }
    client.send(text + "\r\n");
    let response = client.response_to(method).unwrap_or_else(|e| panic!("{method} {host} {target}: {e:?}"));
    if response.status == 200 { response.text() } else { response.status.to_string() }
}

#[test]
fn the_more_specific_host_and_then_path_wins() {
    let proxy = Proxy::start(routes(&[
        ("any", "paths = [\"/\"]"),
        ("exact-host", "hosts = [\"a.test\"]"),
        ("wild-host", "hosts = [\"*.a.test\"]"),
        ("deep-wild-host", "hosts = [\"*.b.a.test\"]"),
        ("exact", "hosts = [\"p.test\"]\npaths = [\"=/x/y\"]"),
        ("long", "hosts = [\"p.test\"]\npaths = [\"/x/y/\"]"),
        ("short", "hosts = [\"p.test\"]\npaths = [\"/x/\"]"),
        ("regex", "hosts = [\"p.test\"]\npaths = [\"~^/(x|z)/[0-9]+$\"]"),
    ]));
    let mut client = proxy.client();
    for (host, path, route) in [
        ("other.test", "/x", "any"),
        ("a.test", "/x", "exact-host"),
        ("b.a.test", "/x", "wild-host"),
        ("c.b.a.test", "/x", "deep-wild-host"),
        ("p.test", "/x/y", "exact"),
        ("p.test", "/x/y/", "long"),
        ("p.test", "/x/y/z", "long"),
        ("p.test", "/x/yz", "short"),
        ("p.test", "/x/12", "short"),
        ("p.test", "/z/12", "regex"),
        ("p.test", "/z/12a", "any"),
    ] {
        assert_eq!(taken(&mut client, "GET", host, path, &[]), route, "{host}{path}");
    }
}

#[test]
fn a_prefix_ends_at_a_segment() {
    let proxy = Proxy::start(routes(&[("api", "paths = [\"/v1/\"]")]));
    let mut client = proxy.client();
    for (path, route) in
        [("/v1/", "api"), ("/v1/x", "api"), ("/v1?q", "api"), ("/v1", "api"), ("/v10", "404"), ("/v1x/", "404")]
    {
        assert_eq!(taken(&mut client, "GET", "any.test", path, &[]), route, "{path}");
    }
}

#[test]
fn methods_headers_and_query_decide_after_the_path() {
    let proxy = Proxy::start(routes(&[
        ("plain", "paths = [\"/\"]"),
        ("post", "paths = [\"/\"]\nmethods = [\"POST\", \"PUT\"]"),
        ("tenant", "paths = [\"/\"]\nheaders = { \"x-tenant\" = \"~^[a-z]+$\", \"x-debug\" = false }"),
        ("debug", "paths = [\"/\"]\nheaders = { \"x-debug\" = true }"),
        ("exact", "paths = [\"/h/\"]\nheaders = { \"X-Kind\" = \"blue\" }"),
        ("version", "paths = [\"/\"]\nquery = { version = \"1\" }"),
    ]));
    let mut client = proxy.client();
    for (method, path, fields, route) in [
        ("GET", "/", &[][..], "plain"),
        ("POST", "/", &["Content-Length: 0"], "post"),
        ("PUT", "/", &["Content-Length: 0"], "post"),
        ("GET", "/", &["X-Tenant: acme"], "tenant"),
        ("GET", "/", &["X-Tenant: Acme"], "plain"),
        ("GET", "/", &["X-Tenant: acme", "X-Debug: 1"], "debug"),
        ("GET", "/", &["X-Debug:"], "debug"),
        ("GET", "/h/", &["x-kind: blue"], "exact"),
        ("GET", "/h/", &["x-kind: Blue"], "plain"),
        ("GET", "/?version=1", &[], "version"),
        ("GET", "/?a=b&version=1", &[], "version"),
        ("GET", "/?version=2", &[], "plain"),
        ("GET", "/?xversion=1", &[], "plain"),
        ("GET", "/?version=%31", &[], "version"),
    ] {
        assert_eq!(taken(&mut client, method, "any.test", path, fields), route, "{method} {path} {fields:?}");
    }
}

#[test]
fn priority_overrides_what_is_more_specific() {
    let proxy = Proxy::start(routes(&[
        ("first", "paths = [\"/\"]\nheaders = { \"x-maintenance\" = true }\npriority = 10"),
        ("exact", "hosts = [\"a.test\"]\npaths = [\"=/x\"]"),
    ]));
    let mut client = proxy.client();
    assert_eq!(taken(&mut client, "GET", "a.test", "/x", &[]), "exact");
    assert_eq!(taken(&mut client, "GET", "a.test", "/x", &["X-Maintenance: 1"]), "first");
}

#[test]
fn the_clients_address_can_decide() {
    let proxy = Proxy::start(routes(&[
        ("inside", "paths = [\"/\"]\nclient_ip = [\"127.0.0.2/32\", \"10.0.0.0/8\"]"),
        ("outside", "paths = [\"/\"]"),
    ]));
    assert_eq!(taken(&mut Client::from("127.0.0.2", &proxy.web()), "GET", "a.test", "/", &[]), "inside");
    assert_eq!(taken(&mut Client::from("127.0.0.3", &proxy.web()), "GET", "a.test", "/", &[]), "outside");
}

#[test]
fn a_route_serves_its_listeners_alone() {
    let config = "[listeners.one]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\n\
                  [listeners.two]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\n"
        .to_owned()
        + &route("both", "paths = [\"/both/\"]")
        + &route("two-only", "listeners = [\"two\"]\npaths = [\"/two/\"]");
    let proxy = Proxy::start(config);
    let (mut one, mut two) = (Client::to(&proxy.at("one")), Client::to(&proxy.at("two")));
    assert_eq!(taken(&mut one, "GET", "a.test", "/both/", &[]), "both");
    assert_eq!(taken(&mut two, "GET", "a.test", "/both/", &[]), "both");
    assert_eq!(taken(&mut one, "GET", "a.test", "/two/", &[]), "404");
    assert_eq!(taken(&mut two, "GET", "a.test", "/two/", &[]), "two-only");
}

#[test]
fn what_no_route_takes_goes_to_the_listeners_pool_or_is_404() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + &route("one", "paths = [\"/one/\"]"));
    assert_eq!(proxy.get("/other").target(), "a");
    assert_eq!(proxy.get("/one/").text(), "one");
    let bare = Proxy::start(routes(&[("one", "paths = [\"/one/\"]")]));
    let response = bare.get("/other");
    assert_eq!(response.status, 404);
    assert_eq!(bare.metric("ringway_refused_total", &[("reason", "no-route")]), 1.0);
}

/// stream/test_content_switching: routing by header to pools.
#[test]
fn a_header_chooses_the_pool() {
    let (blue, green) = (Target::echo("blue"), Target::echo("green"));
    let config = http(&[&blue])
        + "\n[routes.green]\npaths = [\"/\"]\nheaders = { \"x-colour\" = \"green\" }\npool = \"green\"\n"
        + &pool("green", &[&green], "");
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    assert_eq!(client.ask("GET", "/", &["X-Colour: green"]).target(), "green");
    assert_eq!(client.ask("GET", "/", &["X-Colour: red"]).target(), "blue");
}

#[test]
fn a_prefix_is_stripped_for_the_target_alone() {
    let target = Target::echo("a");
    let config = http(&[&target]) + "\n[routes.v1]\npaths = [\"/v1/\"]\nstrip_prefix = \"/v1\"\npool = \"site\"\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    for (path, at_target) in [
        ("/v1/orders?x=1", "/orders?x=1"),
        ("/v1/", "/"),
        ("/v1?x=/v1", "/?x=/v1"),
        ("/v10/a", "/v10/a"),
        ("/v1/v1/", "/v1/"),
    ] {
        assert_eq!(client.get(path).status, 200, "{path}");
        assert_eq!(target.last().path, at_target, "{path}");
    }
}

#[test]
fn a_route_answers_by_itself() {
    let config = routes(&[])
        + "\n[routes.gone]\npaths = [\"/old/\"]\nrespond = { status = 410, body = \"gone\", content_type = \"text/plain\" }\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    let response = client.get("/old/x");
    assert_eq!((response.status, response.text().as_str()), (410, "gone"));
    assert_eq!(response.field("content-type").as_deref(), Some("text/plain"));
    assert_eq!(client.ask("HEAD", "/old/", &[]).status, 410);
    client.send(request("POST", "/old/", &["Content-Length: 5"]) + "hello");
    let response = client.response();
    assert_eq!(response.status, 410);
    if !response.head.names("connection", "close") {
        assert_eq!(client.get("/old/").status, 410, "the body of the POST was not taken for a request");
    }
}

#[test]
fn redirects_keep_what_they_do_not_name() {
    let config = routes(&[])
        + "\n[routes.host]\npaths = [\"/blog/\"]\nredirect = { host = \"blog.test\", status = 308 }\n\
           [routes.whole]\npaths = [\"/w/\"]\nredirect = { scheme = \"https\", host = \"w.test\", port = 8443, path = \"/new\", status = 302 }\n";
    let proxy = Proxy::start(config);
    let port = proxy.web().rsplit_once(':').unwrap().1.to_owned();
    let mut client = proxy.client();
    client.send(format!("GET /blog/a%20b?x=1 HTTP/1.1\r\nHost: site.test:{port}\r\n\r\n"));
    let response = client.response();
    let location = response.field("location").unwrap();
    assert_eq!(response.status, 308);
    let same_port = format!("http://blog.test:{port}/blog/a%20b?x=1");
    assert!(location == "http://blog.test/blog/a%20b?x=1" || location == same_port, "{location}");
    client.send(request("GET", "/w/x?y=2", &[]));
    let response = client.response();
    assert_eq!(response.status, 302);
    let location = response.field("location").unwrap();
    assert!(location.starts_with("https://w.test:8443/new"), "{location}");
}

#[test]
fn a_redirect_cannot_be_bent_into_another_header_or_host() {
    let proxy = Proxy::start(http_with("redirect = \"https\"", &[crate::support::target::refused()], ""));
    for target in ["/%0d%0aSet-Cookie:%20a=b", "//evil.test/x", "/\\evil.test"] {
        let mut client = proxy.client();
        client.send(request("GET", target, &[]));
        let response = client.response();
        assert_eq!(response.field("set-cookie"), None);
        if let Some(location) = response.field("location") {
            assert!(location.starts_with("https://site.test/"), "{location}");
        }
    }
}

#[test]
fn a_listener_sends_everything_to_https() {
    let target = Target::echo("a");
    let config = http_with("redirect = \"https\"", &[&target], "") + &route("one", "paths = [\"/one/\"]");
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    for path in ["/", "/one/", "/a?b=c"] {
        let response = client.get(path);
        assert!([301, 307, 308].contains(&response.status), "{}", response.status);
        assert_eq!(response.field("location").unwrap(), format!("https://site.test{path}"));
    }
    client.send("GET / HTTP/1.1\r\nHost: site.test:8080\r\n\r\n");
    let location = client.response().field("location").unwrap();
    assert!(!location.contains("8080"), "the plain port is not where TLS is: {location}");
    assert_eq!(target.requests(), 0);
}

/// The case "same host, other spelling": each spelling is the guarded route or refused, never the other one.
#[test]
fn another_spelling_of_a_host_is_the_same_host() {
    let target = Target::echo("open");
    let config = http(&[&target]) + &route("guarded", "hosts = [\"secret.test\"]");
    let proxy = Proxy::start(config);
    for host in [
        "secret.test",
        "SECRET.Test",
        "secret.test.",
        "secret.test:80",
        "secret.test.:80",
        "secret.test:8080",
        "secret%2Etest",
        "%73ecret.test",
        "user@secret.test",
        " secret.test",
    ] {
        let mut client = proxy.client();
        let route = taken(&mut client, "GET", host, "/", &[]);
        assert!(["guarded", "400", "404"].contains(&route.as_str()), "{host:?} got {route}");
    }
    for target in ["http://SECRET.test/", "http://secret.test:80/", "http://secret.test./"] {
        let mut client = proxy.client();
        let route = taken(&mut client, "GET", "other.test", target, &[]);
        assert!(["guarded", "400", "404"].contains(&route.as_str()), "{target} got {route}");
    }
    assert_eq!(target.requests(), 0);
}

/// http-rules/normalize_uri: dot segments, merged slashes, percent case, encoded unreserved characters.
#[test]
fn another_spelling_of_a_path_is_the_same_path_or_refused() {
    let target = Target::echo("open");
    let config = http(&[&target]) + &route("guarded", "paths = [\"/secret/\"]");
    let proxy = Proxy::start(config);
    for path in [
        "/secret/x",
        "/secret",
        "//secret/x",
        "/./secret/x",
        "/a/../secret/x",
        "/%73ecret/x",
        "/%73%65cret",
        "/%2e/secret/x",
        "/a/%2e%2e/secret/x",
        "/a/%2E./secret/x",
        "/secret%2Fx",
        "/secret%5Cx",
        "/secret\\x",
        "/secret%00",
        "/secret;a=b/x",
        "/a%2f..%2fsecret/x",
    ] {
        let mut client = proxy.client();
        let route = taken(&mut client, "GET", "any.test", path, &[]);
        assert!(["guarded", "400"].contains(&route.as_str()), "{path} got {route}");
    }
    assert_eq!(target.requests(), 0);
}

#[test]
fn a_doubtful_path_passes_where_the_route_allows_it_by_name() {
    let target = Target::echo("a");
    let config =
        http(&[&target]) + "\n[routes.files]\npaths = [\"/files/\"]\nallow_in_path = [\"%2F\"]\npool = \"site\"\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    assert_eq!(client.get("/files/a%2Fb").status, 200);
    assert_eq!(target.last().path, "/files/a%2Fb");
    assert_eq!(proxy.get("/other/a%2Fb").status, 400);
    assert_eq!(proxy.get("/files/a%5Cb").status, 400);
    assert!(proxy.metric("ringway_refused_total", &[("reason", "ambiguous-path")]) >= 2.0);
}
