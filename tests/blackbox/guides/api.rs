//! An API with tokens and plans.

use super::Guide;
use crate::support::client::Response;
use crate::support::issuer::{Issuer, Said, now};
use crate::support::tls::{Authority, Dial, Kind};
use crate::support::{Proxy, Target, eventually};
use serde_json::{Value, json};

struct Api {
    proxy: Proxy,
    dial: Dial,
    issuer: Issuer,
    targets: [Target; 2],
    _keys: Target,
}

/// The page's API, whose limits give nothing back while the test runs.
fn start() -> Api {
    let issuer = Issuer::new("id");
    let keys = Said::keys(&issuer.jwks()).server("keys");
    let targets = ["a", "b"].map(Target::echo);
    let setup = Guide::read("api")
        .with("\"0.0.0.0:443\", \"[::]:443\"", "\"127.0.0.1:0\"")
        .with("https://id.example.com/.well-known/jwks.json", format!("http://{keys}/.well-known/jwks.json"))
        .with("rate = \"600/m\"", "rate = \"1/h\"")
        .with("rate = \"60/m\"", "rate = \"1/h\"")
        .with("rate = \"50/s\"", "rate = \"1/h\"")
        .with("10.0.0.71:8080", &targets[0])
        .with("10.0.0.72:8080", &targets[1])
        .setup();
    let authority = Authority::new("Guide");
    authority.server(&["api.example.com"], Kind::Ecdsa).write(&setup.directory().join("certs"), "api.example.com");
    let proxy = setup.start();
    eventually("the issuer's keys are known", || proxy.metric("ringway_issuer_keys", &[("rule", "token")]) >= 1.0);
    Api { proxy, dial: authority.dial(), issuer, targets, _keys: keys }
}

impl Api {
    /// A request from an address of its own, as `flood` counts by it.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, fields: &[&str]) -> Response {
        let mut client = self.dial.to(&self.proxy.at("api"), "api.example.com");
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: api.example.com\r\n{fields}\r\n"));
        client.response_to(method).unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    #[track_caller]
    fn get(&self, token: &str) -> Response {
        self.ask("GET", "/v1/orders", &[&format!("Authorization: Bearer {token}")])
    }

    fn token(&self, more: &Value) -> String {
        let mut claims = json!({
            "iss": "https://id.example.com/", "aud": "https://api.example.com", "sub": "ann", "exp": now() + 600,
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.issuer.token("ES256", &claims)
    }

    fn of(&self, consumer: &str) -> String {
        self.token(&json!({ "client_id": consumer }))
    }

    fn requests(&self) -> usize {
        self.targets.iter().map(|target| target.requests_for("/v1/orders").len()).sum()
    }
}

#[test]
fn a_plan_says_how_often_its_consumers_may_ask() {
    let api = start();
    let (gold, silver) = (api.of("acme"), api.of("initech"));
    let first = api.get(&silver);
    assert_eq!(first.status, 200);
    let policy = first.field("ratelimit-policy").unwrap();
    assert!(policy.starts_with("\"silver-rate\";q=10;"), "{policy}");
    assert!(policy.contains("\"silver-day\";q=10000;w=86400"), "{policy}");
    assert!(!policy.contains("flood") && !policy.contains("gold"), "{policy}");
    let left = first.field("ratelimit").unwrap();
    assert!(left.contains("\"silver-rate\";r=9;") && left.contains("\"silver-day\";r=9999;"), "{left}");
    assert_eq!((0..10).map(|_| api.get(&silver).status).collect::<Vec<_>>(), [[200; 9].as_slice(), &[429]].concat());
    let refused = api.get(&silver);
    assert!(refused.field("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 0));
    // Another plan, and counts of its own.
    assert!(api.get(&gold).field("ratelimit-policy").unwrap().starts_with("\"gold-rate\";q=50;"));
    assert_eq!((0..50).filter(|_| api.get(&gold).status == 200).count(), 49);
    assert_eq!(api.requests(), 10 + 50, "what is refused reaches no target");
    let denied = |rule: &str| api.proxy.metric("ringway_rule_requests_total", &[("rule", rule), ("result", "denied")]);
    assert_eq!((denied("silver-rate"), denied("gold-rate"), denied("flood")), (2.0, 1.0, 0.0));
}

#[test]
fn a_target_is_told_who_asks_and_nobody_else_comes_in() {
    let api = start();
    let forged = ["X-Consumer-Username: root", "x-user-id: root", "X-Consumer-Groups: admin"];
    let token = format!("Authorization: Bearer {}", api.of("initech"));
    let answer = api.ask("GET", "/v1/orders", &[&[token.as_str()], forged.as_slice()].concat());
    assert_eq!(answer.status, 200);
    let seen = api.targets.iter().find_map(|target| target.requests_for("/v1/orders").pop()).unwrap();
    let told = ["x-consumer-username", "x-consumer-groups", "x-user-id"].map(|name| seen.field(name));
    assert_eq!(told, ["initech", "silver", "ann"].map(|value| Some(value.to_owned())));

    let nobody = api.ask("GET", "/v1/orders", &forged);
    assert_eq!(nobody.status, 401);
    assert!(nobody.field("www-authenticate").unwrap().starts_with("Bearer realm=\"api\""));
    for (wrong, status) in [
        (json!({ "client_id": "initech", "aud": "https://other.example.com" }), 401),
        (json!({ "client_id": "initech", "iss": "https://id.example.com" }), 401),
        (json!({ "client_id": "initech", "exp": now() - 600 }), 401),
        (json!({ "client_id": "hooli" }), 403),
        (json!({}), 403),
    ] {
        assert_eq!(api.get(&api.token(&wrong)).status, status, "{wrong}");
    }
    let stranger = Issuer::new("id").token("ES256", &json!({ "client_id": "acme", "exp": now() + 600 }));
    assert_eq!(api.get(&stranger).status, 401);
    assert_eq!(api.ask("GET", "/internal", &[&token]).status, 404, "what is no part of the API");
    assert_eq!(api.ask("POST", "/v1/orders", &[&token, "Content-Length: 2000000"]).status, 413);
    assert_eq!(api.requests(), 1);
}

#[test]
fn scripts_of_the_named_pages_may_use_it_and_no_others() {
    let api = start();
    let asked = "Access-Control-Request-Method: POST";
    let before = api.ask("OPTIONS", "/v1/orders", &["Origin: https://app.example.com", asked]);
    assert_eq!(before.status, 204);
    assert_eq!(before.field("access-control-allow-origin").as_deref(), Some("https://app.example.com"));
    let allowed = before.field("access-control-allow-headers").unwrap().to_lowercase();
    assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
    assert_eq!(api.ask("OPTIONS", "/v1/orders", &["Origin: https://evil.example", asked]).status, 403);

    let token = format!("Authorization: Bearer {}", api.of("acme"));
    let answer = api.ask("GET", "/v1/orders", &["Origin: https://app.example.com", &token]);
    assert_eq!(answer.field("access-control-allow-origin").as_deref(), Some("https://app.example.com"));
    let exposed = answer.field("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
        assert!(exposed.split(',').any(|one| one.trim() == name), "{exposed}");
    }
    // A script has to see why it is refused.
    let refused = api.ask("GET", "/v1/orders", &["Origin: https://app.example.com"]);
    assert_eq!(refused.status, 401);
    assert_eq!(refused.field("access-control-allow-origin").as_deref(), Some("https://app.example.com"));
    assert_eq!(api.requests(), 1);
}

#[test]
fn who_floods_is_refused_before_any_token_is_looked_at() {
    let api = start();
    let statuses: Vec<u16> = (0..101).map(|_| api.get("no-token").status).collect();
    assert!(statuses[..100].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(statuses[100], 429);
    assert_eq!(api.get(&api.of("acme")).status, 429, "whoever it is");
}
