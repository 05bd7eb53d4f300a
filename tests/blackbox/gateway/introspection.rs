//! Tokens of which their issuer alone knows whether they are good.

use super::{config, faults};
use crate::support::client::Response;
use crate::support::issuer::now;
use crate::support::proxy::{Directory, Proxy};
use crate::support::{Target, eventually, h2, within};
use base64::Engine;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the issuer says of each token, by a part of the body that it is asked with.
type Known = Arc<Mutex<Vec<(&'static str, u16, String)>>>;

fn issuer(known: &Known) -> Target {
    let known = known.clone();
    Target::with("issuer", move |peer| {
        while let Some(seen) = peer.request() {
            let body = String::from_utf8(seen.body).unwrap();
            let said = known.lock().unwrap().iter().find(|(token, ..)| body.contains(token)).cloned();
            let (_, status, text) = said.unwrap_or(("", 200, "{\"active\":false}".to_owned()));
            if peer.reply(status, &["Content-Type: application/json"], text.as_bytes()).is_none() {
                return;
            }
        }
    })
}

fn start(target: &Target, folder: &Directory, endpoint: &str, more: &str) -> Proxy {
    let secret = folder.write("secret", "s:cret&\n");
    let rule = format!(
        "[rules.token]\ntype = \"introspection\"\nendpoint = \"{endpoint}\"\nclient_id = \"us\"\nsecret_file = \"{secret}\"\n\
         forward_claims = {{ sub = \"X-User-Id\" }}\n{more}\n"
    );
    Proxy::start(rule + &config(target, "[\"token\"]", ""))
}

fn ask(proxy: &Proxy, token: &str) -> Response {
    proxy.client().ask("GET", "/v1/x", &[&format!("Authorization: Bearer {token}")])
}

#[test]
fn the_issuer_is_asked_once_and_believed_for_a_while() {
    let (target, folder, known) = (Target::echo("a"), Directory::new(), Known::default());
    let good = json!({"active": true, "sub": "alice", "scope": "read", "exp": now() + 600}).to_string();
    known.lock().unwrap().push(("token=good%2B%2F%3D&", 200, good));
    let issuer = issuer(&known);
    let proxy =
        start(&target, &folder, &format!("http://{issuer}/introspect"), "cache = \"1h\"\nnegative_cache = \"1h\"");
    for _ in 0..12 {
        let answer = proxy.client().ask("GET", "/v1/x", &["Authorization: Bearer good+/=", "X-User-Id: root"]);
        assert_eq!(answer.status, 200);
        assert_eq!(target.last().field("x-user-id").as_deref(), Some("alice"));
        assert_eq!(ask(&proxy, "bad").status, 401);
    }
    let client = h2::Client::to(&proxy.web());
    let mut request = h2::request(Method::GET, "/v1/x");
    request.headers_mut().append("authorization", HeaderValue::from_static("Bearer good+/="));
    assert_eq!(client.ask(request, b"").unwrap().status, 200);
    assert!(issuer.requests() <= 4, "each worker asks for itself: {}", issuer.requests());
    let seen = issuer.seen().into_iter().find(|seen| seen.body.starts_with(b"token=good")).unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/introspect"));
    let sent = base64::engine::general_purpose::STANDARD.encode("us:s%3Acret%26");
    assert_eq!(seen.field("authorization").unwrap(), format!("Basic {sent}"));
    assert_eq!(seen.field("content-type").as_deref(), Some("application/x-www-form-urlencoded"));
}

#[test]
fn what_is_not_good_is_refused_and_what_has_ended_is_asked_for_again() {
    let (target, folder, known) = (Target::echo("a"), Directory::new(), Known::default());
    let says = |more: Value| {
        let mut said = json!({"active": true, "sub": "alice", "aud": "api", "scope": "read"});
        more.as_object().unwrap().iter().for_each(|(name, value)| said[name] = value.clone());
        said.to_string()
    };
    *known.lock().unwrap() = vec![
        ("token=good&", 200, says(json!({}))),
        ("token=scope&", 200, says(json!({"scope": "other"}))),
        ("token=aud&", 200, says(json!({"aud": "other"}))),
        ("token=ended&", 200, says(json!({"exp": now() - 10}))),
        ("token=later&", 200, says(json!({"nbf": now() + 600}))),
        ("token=short&", 200, says(json!({"exp": now() + 3}))),
        ("token=twice&", 200, "{\"active\":false,\"active\":true}".to_owned()),
        ("token=text&", 200, says(json!({"active": "true"}))),
        ("token=none&", 200, "{}".to_owned()),
        ("token=html&", 200, "<html>".to_owned()),
        ("token=wrong&", 401, says(json!({}))),
    ];
    let issuer = issuer(&known);
    let more = "scopes = [\"read\"]\naudiences = [\"api\"]\ncache = \"1h\"\nnegative_cache = \"0s\"";
    let proxy = start(&target, &folder, &format!("http://{issuer}/"), more);
    for (token, status) in [
        ("good", 200),
        ("scope", 403),
        ("aud", 401),
        ("ended", 401),
        ("later", 401),
        ("unknown", 401),
        ("twice", 503),
        ("text", 503),
        ("none", 503),
        ("html", 503),
        ("wrong", 503),
    ] {
        let before = target.requests();
        let answer = ask(&proxy, token);
        assert_eq!(answer.status, status, "{token}");
        assert_eq!(target.requests() - before, usize::from(status == 200), "{token}");
        assert_eq!(answer.field("www-authenticate").is_some(), [401, 403].contains(&status), "{token}");
    }
    assert_eq!(ask(&proxy, "short").status, 200);
    assert!(
        within(Duration::from_secs(20), || ask(&proxy, "short").status == 401),
        "it is good no longer than it says"
    );
    for word in ["token-inactive", "introspection-malformed", "introspection-refused", "token-scope"] {
        eventually(word, || proxy.out.all().iter().any(|line| line.contains(&format!("\"reason\":\"{word}\""))));
    }
    assert!(proxy.metric("ringway_refused_total", &[("reason", "unanswered")]) >= 5.0);
}

#[test]
fn while_the_issuer_is_away_nobody_comes_in_who_is_not_known() {
    let (target, folder, known) = (Target::echo("a"), Directory::new(), Known::default());
    known.lock().unwrap().push(("token=good&", 200, json!({"active": true}).to_string()));
    let mut issuer = issuer(&known);
    let proxy = start(&target, &folder, &format!("http://{issuer}/"), "timeout = \"2s\"");
    issuer.kill();
    let answer = ask(&proxy, "good");
    assert_eq!((answer.status, answer.field("retry-after").as_deref()), (503, Some("5")));
    assert_eq!(target.requests(), 0);
    eventually("the log says so", || proxy.out.all().iter().any(|line| line.contains("introspection-away")));
    issuer.revive();
    eventually("it is back", || ask(&proxy, "good").status == 200);
    let slow = Target::mute("slow");
    let proxy = start(&target, &folder, &format!("http://{slow}/"), "timeout = \"100ms\"");
    assert_eq!(ask(&proxy, "good").status, 503);
    eventually("the log says so", || proxy.out.all().iter().any(|line| line.contains("introspection-timeout")));
}

#[test]
fn a_rule_that_cannot_ask_is_told_where_it_stands() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let secret = folder.write("secret", "x");
    let text = format!(
        "[rules.token]\ntype = \"introspection\"\nendpoint = \"https://id.test/\"\nclient_id = \"us\"\nsecret_file = \"{secret}\"\n"
    ) + &config(&target, "[\"token\"]", "");
    let line = format!("secret_file = \"{secret}\"");
    for (from, to, expected) in [
        (&*line, "secret_file = \"none\"", "cannot be read"),
        ("client_id = \"us\"", "", "client_id"),
        ("endpoint = \"https://id.test/\"", "endpoint = \"id.test\"", "endpoint"),
        (&*line, &format!("{line}\nca = \"none.pem\""), "none.pem"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(expected) && told.contains("ringway.toml:"), "{to}: {told}");
    }
}
