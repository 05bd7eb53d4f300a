//! Versions of an API: by path, header, query and media type; and what their answers vary on, for caches of others and for our own.

use crate::support::h2;
use crate::support::proxy::{Directory, Proxy, ringway};
use crate::support::target::Target;
use crate::support::toml::{http_with, pool};
use http::Method;

const V1: &str = "application/vnd.example.v1+json";
const V2: &str = "application/vnd.example.v2+json";

/// Routes for the same path by media type, of which each says its name.
fn by_type() -> String {
    let route = |name: &str, lines: &str| {
        format!("[routes.{name}]\npaths = [\"/orders/\"]\n{lines}\nrespond = {{ status = 200, body = \"{name}\" }}\n")
    };
    "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n".to_owned()
        + &route("v1", &format!("accept = [\"{V1}\", \"application/json;version=1\"]"))
        + &route("v2", &format!("accept = [\"{V2}\", \"application/json;version=2\"]"))
        + &route("default", "")
        + "[routes.put]\npaths = [\"/put/\"]\ncontent_type = [\"application/vnd.example.v2+json\"]\nrespond = { status = 200, body = \"put-v2\" }\n\
           [routes.putdefault]\npaths = [\"/put/\"]\nrespond = { status = 200, body = \"put\" }\n\
           [routes.other]\npaths = [\"/orders/x/\"]\nrespond = { status = 200, body = \"other\" }\n"
}

#[test]
fn the_version_is_the_one_that_the_client_names_and_wants_most() {
    let proxy = Proxy::start(by_type());
    let mut client = proxy.client();
    for (accept, route) in [
        (V1, "v1"),
        (V2, "v2"),
        ("Application/VND.Example.V2+JSON", "v2"),
        ("application/json; version=2", "v2"),
        ("application/json; Version=\"2\"; charset=utf-8", "v2"),
        ("application/json;version=3", "default"),
        ("application/json", "default"),
        ("*/*", "default"),
        ("application/*", "default"),
        (&format!("{V2};q=0"), "default"),
        (&format!("{V2};q=0, {V1};q=0.1"), "v1"),
        (&format!("{V1};q=0.4, {V2};q=0.5, */*;q=0.1"), "v2"),
        (&format!("{V1}, {V2};q=0.5"), "v1"),
        (&format!("{V2}, {V1};q=0.5"), "v2"),
        (&format!("{V1}, {V2}"), "v1"),
    ] {
        let response = client.ask("GET", "/orders/", &[&format!("Accept: {accept}")]);
        assert_eq!(response.text(), route, "{accept}");
        assert_eq!(response.field("vary").as_deref(), Some("accept"), "{accept}");
    }
    assert_eq!(client.get("/orders/").text(), "default", "who says nothing gets the route without a type");
    let several = [&*format!("Accept: {V1};q=0.4"), &format!("Accept: {V2}")];
    assert_eq!(client.ask("GET", "/orders/", &several).text(), "v2", "lines of one field are one");
    let response = client.ask("GET", "/orders/x/", &[&format!("Accept: {V1}")]);
    assert_eq!((response.text().as_str(), response.field("vary")), ("other", None), "no header has a say in that");
    let typed = |kind: &str| [format!("Content-Type: {kind}"), "Content-Length: 0".to_owned()];
    for (kind, route) in [(V2, "put-v2"), ("application/vnd.example.v2+json; charset=utf-8", "put-v2"), (V1, "put")] {
        let fields = typed(kind);
        let response = client.ask("PUT", "/put/", &[&fields[0], &fields[1]]);
        assert_eq!(
            (response.text().as_str(), response.field("vary").as_deref()),
            (route, Some("content-type")),
            "{kind}"
        );
    }
    let mut request = h2::request(Method::GET, "/orders/");
    request.headers_mut().insert("accept", V2.parse().unwrap());
    let answer = h2::Client::to(&proxy.web()).ask(request, b"").unwrap();
    assert_eq!((&answer.body[..], &answer.fields["vary"]), (&b"v2"[..], &"accept".parse().unwrap()));
}

#[test]
fn what_a_target_varies_on_stays_and_nothing_is_said_twice() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let vary = match seen.path.as_str() {
                "/x/star" => "Vary: *",
                "/x/same" => "Vary: Accept-Language, X-API-Version",
                "/x/more" => "Vary: Accept-Encoding",
                _ => "X-None: 1",
            };
            if peer.reply(200, &[vary], b"").is_none() {
                return;
            }
        }
    });
    let routes = "[routes.two]\npaths = [\"/x/\"]\nheaders = { x-api-version = \"2\" }\npool = \"site\"\n\
                  [routes.one]\npaths = [\"/x/\"]\npool = \"site\"\n\
                  [routes.cel]\npaths = [\"/cel/\"]\nwhen = 'request.headers[\"X-Beta\"] == \"1\"'\npool = \"site\"\n";
    let proxy = Proxy::start(http_with("", &[&target], "") + routes);
    let mut client = proxy.client();
    for (path, vary) in [
        ("/x/star", Some("*")),
        ("/x/same", Some("Accept-Language, X-API-Version")),
        ("/x/more", Some("Accept-Encoding, x-api-version")),
        ("/x/none", Some("x-api-version")),
        ("/elsewhere", None),
    ] {
        for fields in [&["X-Api-Version: 2"][..], &[]] {
            assert_eq!(client.ask("GET", path, fields).field("vary").as_deref(), vary, "{path} {fields:?}");
        }
    }
    assert_eq!(client.ask("GET", "/cel/", &["X-Beta: 1"]).field("vary").as_deref(), Some("x-beta"));
}

#[test]
fn our_cache_keeps_routes_apart_that_a_header_chooses() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            // It answers by the header and does not say so.
            let version = seen.field("accept").filter(|accept| accept.contains("v2")).map_or("one", |_| "two");
            if peer.reply(200, &["Cache-Control: max-age=60"], version.as_bytes()).is_none() {
                return;
            }
        }
    });
    let route = |name: &str, line: &str| {
        format!("[routes.{name}]\npaths = [\"/orders/\"]\n{line}\npool = \"site\"\ncache = \"kept\"\n")
    };
    let config = http_with("", &[&target], "")
        + "[caches.kept]\n"
        + &route("v2", &format!("accept = [\"{V2}\"]"))
        + &route("v1", &format!("accept = [\"{V1}\"]"))
        + &route("default", "");
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(client.ask("GET", "/orders/", &[&format!("Accept: {V2}")]).text(), "two");
        assert_eq!(client.ask("GET", "/orders/", &[&format!("Accept: {V1}")]).text(), "one");
        let response = client.get("/orders/");
        assert_eq!((response.text().as_str(), response.field("vary").as_deref()), ("one", Some("accept")));
    }
    assert_eq!(target.requests(), 3, "each of the routes has kept its own");
}

#[test]
fn a_version_by_path_header_query_or_type_goes_to_its_pool_and_is_a_label() {
    let (one, two) = (Target::echo("one"), Target::echo("two"));
    let config = http_with("", &[&one], "")
        + &pool("next", &[&two], "")
        + "[access_log]\npath = \"stdout\"\n\
           [defaults.route]\nversion = \"v2\"\npool = \"next\"\n\
           [routes.by-path]\npaths = [\"/v2/\"]\n\
           [routes.by-header]\npaths = [\"/h/\"]\nheaders = { x-api-version = \"2\" }\n\
           [routes.by-query]\npaths = [\"/q/\"]\nquery = { version = \"2\" }\n\
           [routes.by-type]\npaths = [\"/t/\"]\naccept = [\"application/json;version=2\"]\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    let typed = "Accept: application/json;version=2";
    for (path, fields, name) in [
        ("/v2/x", &[][..], "two"),
        ("/h/", &["X-API-Version: 2"], "two"),
        ("/h/", &["X-API-Version: 1"], "one"),
        ("/q/?version=2", &[], "two"),
        ("/q/?version=1", &[], "one"),
        ("/t/", &[typed], "two"),
        ("/t/", &[], "one"),
    ] {
        assert_eq!(client.ask("GET", path, fields).target(), name, "{path} {fields:?}");
    }
    let line = proxy.out.wait(&["\"by-type\""]);
    assert!(line.contains("\"version\":\"v2\""), "{line}");
}

#[test]
fn explain_says_by_which_type_a_route_is_taken() {
    let directory = Directory::new();
    let file = directory.write("ringway.toml", &by_type().replace(":0\"", ":80\""));
    let asked = |accept: &str| {
        let (code, out, err) = ringway(&["explain", "-c", &file, "-H", accept, "http://x/orders/"]);
        assert_eq!(code, Some(0), "{err}");
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let out = asked("Accept: application/json;version=2");
    assert!(
        out.contains("header accept names `application/vnd.example.v2+json`, `application/json;version=2`"),
        "{out}"
    );
    assert!(out.contains("vary on accept"), "{out}");
    let out = asked("Accept: text/html");
    assert!(out.contains("v2 header accept is `text/html`, which does not name"), "{out}");
}
