//! What targets see of a URL, and what clients see of what targets say of it. Protects the complaint that rewritten paths are decoded
//! on the way, and that redirects lead nowhere.

use crate::support::h2;
use crate::support::toml::pool;
use crate::support::{Client, Proxy, Target};

const ROUTES: &str = r#"
[listeners.web]
listen = ["127.0.0.1:0"]
trusted_proxies = ["127.0.0.2/32"]

[routes.stripped]
paths = ["/v1/"]
pool = "site"
strip_prefix = "/v1"

[routes.moved]
paths = ["/shop/"]
pool = "site"
strip_prefix = "/shop"
host = "app.internal"
rewrite = { add_prefix = "/app", scheme = "https", query = { remove = ["debug"], set = { shop = "{request.host}" } } }

[routes.users]
paths = ["/u/"]
pool = "site"
rewrite = { match = "^/u/([^/]+)$", path = "/profile/{1}", query = { set = { id = "{1}" } } }

[routes.off]
paths = ["/off/"]
pool = "site"
strip_prefix = "/off"
rewrite.back = false

[routes.plain]
paths = ["/plain/"]
pool = "site"

[routes.tls]
paths = ["/tls/"]
pool = "site"
rewrite.back = true
response.headers.append = { "x-seen" = "{response.headers.location}" }
"#;

fn start(target: &Target) -> Proxy {
    Proxy::start(ROUTES.to_owned() + &pool("site", &[target], ""))
}

#[test]
fn targets_get_the_clients_own_bytes_behind_another_prefix() {
    let target = Target::echo("a");
    let proxy = start(&target);
    for (sent, got) in [
        ("/v1/a%2Bb;c=%7e/?q=%2F", "/a%2Bb;c=%7e/?q=%2F"),
        ("/shop/a%2Bb?x=1&debug=1&%64ebug&y", "/app/a%2Bb?x=1&y&shop=site.test"),
        ("/shop/../shop//x", "/app/x?shop=site.test"),
        ("/u/a%26b", "/profile/a%26b?id=a%26b"),
        ("/u/a&b=c?d", "/profile/a&b=c?d&id=a%26b%3Dc"),
        ("/u/a/b?c", "/u/a/b?c"),
        ("/plain/x", "/plain/x"),
    ] {
        assert_eq!(proxy.get(sent).status, 200, "{sent}");
        assert_eq!(target.last().path, got, "{sent}");
    }
    let asked = target.requests();
    let refused = proxy.get("/u/a%2Fb");
    assert_eq!((refused.status, target.requests()), (400, asked));
    proxy.get("/shop/");
    let seen = target.last();
    for (name, value) in [
        ("host", "app.internal"),
        ("x-forwarded-host", "site.test"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ] {
        assert_eq!(seen.field(name).as_deref(), Some(value), "{name}");
    }
    let client = h2::Client::to(&proxy.web());
    assert_eq!(client.get("/u/7").status, 200);
    assert_eq!(target.last().path, "/profile/7?id=7");
}

/// Answers with what the request asks for in `X-Say`, lines of a head with `|` between.
fn repeats() -> Target {
    Target::with("repeats", |peer| {
        while let Some(seen) = peer.request() {
            let lines = seen.field("x-say").unwrap_or_default();
            let lines: Vec<&str> = lines.split('|').collect();
            if peer.reply(302, &lines, b"").is_none() {
                return;
            }
        }
    })
}

#[test]
fn what_targets_say_of_their_places_is_what_clients_can_ask_for() {
    let target = repeats();
    let proxy = start(&target);
    let own = format!("http://{target}");
    for (path, said, seen) in [
        ("/v1/x", "Location: /login?next=/a", "/v1/login?next=/a"),
        ("/v1/x", "Location: http://site.test/login", "http://site.test/v1/login"),
        ("/v1/x", &format!("Location: {own}/login"), "http://site.test/v1/login"),
        ("/v1/x", "Location: http://other.test/login", "http://other.test/login"),
        ("/v1/x", "Location: https://site.test/login", "https://site.test/login"),
        ("/v1/x", "Location: next", "next"),
        ("/shop/x", "Location: https://app.internal/app/login", "https://site.test/shop/login"),
        ("/shop/x", "Location: http://app.internal/app", "https://site.test/shop"),
        ("/shop/x", "Location: /app/login", "/shop/login"),
        ("/u/x", "Location: /profile/y", "/profile/y"),
        ("/off/x", "Location: /login", "/login"),
        ("/plain/x", &format!("Location: {own}/login"), &format!("{own}/login")),
    ] {
        let answer = proxy.client().ask("GET", path, &[&format!("X-Say: {said}")]);
        assert_eq!(answer.field("location").as_deref(), Some(seen), "{path} {said}");
    }
    let lines =
        "Content-Location: /a|Link: </b>; rel=next|Refresh: 1; url=/c|Set-Cookie: d=1; Path=/e|Set-Cookie: f=1; Path=/";
    let answer = proxy.client().ask("GET", "/v1/x", &[&format!("X-Say: {lines}")]);
    for (name, values) in [
        ("content-location", &["/v1/a"][..]),
        ("link", &["</v1/b>; rel=next"]),
        ("refresh", &["1; url=/v1/c"]),
        ("set-cookie", &["d=1; Path=/v1/e", "f=1; Path=/v1"]),
    ] {
        assert_eq!(answer.head.lines(name), values, "{name}");
    }
    let mut request = h2::request(http::Method::GET, "/v1/x");
    request.headers_mut().insert("x-say", "Location: /login".parse().unwrap());
    let answer = h2::Client::to(&proxy.web()).ask(request, b"").unwrap();
    assert_eq!(answer.fields["location"], "/v1/login");
}

#[test]
fn what_a_proxy_in_front_says_of_the_client_counts() {
    let target = repeats();
    let proxy = start(&target);
    let fields = ["X-Say: Location: http://site.test/a", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.test"];
    let answer = Client::from("127.0.0.2", &proxy.web()).ask("GET", "/tls/", &fields);
    assert_eq!(answer.field("location").as_deref(), Some("http://site.test/a"), "it is not where its client was");
    let fields = ["X-Say: Location: http://site.test/a", "X-Forwarded-Proto: https"];
    let answer = Client::from("127.0.0.2", &proxy.web()).ask("GET", "/tls/", &fields);
    assert_eq!(answer.field("location").as_deref(), Some("https://site.test/a"));
    assert_eq!(answer.field("x-seen").as_deref(), Some("https://site.test/a"), "edits of headers come after that");
    let answer = Client::from("127.0.0.3", &proxy.web()).ask("GET", "/tls/", &fields);
    assert_eq!(answer.field("location").as_deref(), Some("http://site.test/a"), "anybody could say so");
}
