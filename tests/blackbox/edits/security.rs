//! What browsers are told so that pages are harder to abuse.

use crate::support::client::Response;
use crate::support::toml::pool;
use crate::support::{Proxy, Target};

const ROUTES: &str = r#"
[listeners.web]
listen = ["127.0.0.1:0"]

[defaults.route]
security_headers = true

[routes.mild]
paths = ["/"]
pool = "site"

[routes.strict]
paths = ["/strict/"]
pool = "site"
security_headers = "strict"

[routes.table]
paths = ["/table/"]
pool = "site"
security_headers = { frame_options = "DENY", referrer_policy = false, cross_origin_embedder_policy = true, hide = false }
response.headers.set = { "x-content-type-options" = "own" }

[routes.none]
paths = ["/none/"]
pool = "site"
security_headers = false

[routes.fixed]
paths = ["=/fixed"]
respond = { status = 200 }
"#;

const TOLD: [&str; 10] = [
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "x-permitted-cross-domain-policies",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "cross-origin-embedder-policy",
    "content-security-policy",
    "server",
    "x-powered-by",
];

/// What is told, in the order of [`TOLD`]; the beginning of what is long.
fn told(answer: &Response) -> Vec<String> {
    TOLD.iter().map(|name| answer.field(name).unwrap_or_default().chars().take(18).collect()).collect()
}

#[test]
fn browsers_are_told_what_targets_do_not_say_and_nothing_of_targets() {
    let bare = Target::says("bare", "HTTP/1.1 200 OK\r\nServer: s/1\r\nX-Powered-By: p\r\nContent-Length: 0\r\n\r\n");
    let proxy = Proxy::start(ROUTES.to_owned() + &pool("site", &[&bare], ""));
    let mild = ["nosniff", "SAMEORIGIN", "strict-origin-when", "none", "", "", "", "", "", ""];
    assert_eq!(told(&proxy.get("/")), mild);
    assert_eq!(told(&proxy.get("/fixed")), mild);
    let strict =
        ["nosniff", "DENY", "no-referrer", "none", "same-origin", "same-origin", "", "default-src 'self'", "", ""];
    assert_eq!(told(&proxy.get("/strict/")), strict);
    assert_eq!(told(&proxy.get("/table/")), ["own", "DENY", "", "none", "", "", "require-corp", "", "s/1", "p"]);
    assert_eq!(told(&proxy.get("/none/")), ["", "", "", "", "", "", "", "", "s/1", "p"]);
}

#[test]
fn what_a_target_says_itself_stays_unless_it_is_to_be_strict() {
    let own = Target::says(
        "own",
        "HTTP/1.1 200 OK\r\nX-Frame-Options: ALLOWALL\r\nReferrer-Policy: unsafe-url\r\nContent-Security-Policy: img-src *\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let proxy = Proxy::start(ROUTES.to_owned() + &pool("site", &[&own], ""));
    let mild = ["nosniff", "ALLOWALL", "unsafe-url", "none", "", "", "", "img-src *", "", ""];
    assert_eq!(told(&proxy.get("/")), mild);
    let strict = ["nosniff", "DENY", "no-referrer", "none", "same-origin", "same-origin", "", "img-src *", "", ""];
    assert_eq!(told(&proxy.get("/strict/")), strict);
}
