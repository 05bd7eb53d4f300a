//! Keys of issuers that are fetched: rotated, away, replaced, and asked for by tokens.

use super::config;
use crate::admin;
use crate::reload::{reload, rewrite};
use crate::support::issuer::{Issuer, Said, claims};
use crate::support::proxy::{Directory, Proxy};
use crate::support::secure::{Secure, Speaks};
use crate::support::tls::{Authority, Kind};
use crate::support::{Target, eventually};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

fn start(target: &Target, from: &str) -> Proxy {
    let rule = format!("[rules.token]\ntype = \"jwt\"\naudiences = [\"api\"]\n{from}\n");
    Proxy::start(rule + &config(target, "[\"token\"]", ""))
}

fn ask(proxy: &Proxy, token: &str) -> u16 {
    proxy.client().ask("GET", "/v1/x", &[&format!("Authorization: Bearer {token}")]).status
}

fn fetches(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_issuer_fetches_total", &[("rule", "token"), ("result", result)])
}

#[test]
fn keys_are_rotated_in_mid_traffic_and_no_good_token_is_refused() {
    let target = Target::echo("a");
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let said = Said::keys(&old.jwks());
    let server = said.server("issuer");
    let proxy = start(&target, &format!("jwks_url = \"http://{server}/keys\""));
    let (stop, rotated, refused, asked) =
        (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..4 {
            let (proxy, stop, rotated, refused, asked, old, new) =
                (&proxy, &stop, &rotated, &refused, &asked, &old, &new);
            scope.spawn(move || {
                let mut client = proxy.client();
                for turn in 0.. {
                    let issuer = if rotated.load(Ordering::SeqCst) { new } else { old };
                    let token = issuer.token("ES256", &claims(&json!({"jti": format!("{number}-{turn}")})));
                    let status = client.ask("GET", "/v1/x", &[&format!("Authorization: Bearer {token}")]).status;
                    refused.fetch_add(usize::from(status != 200), Ordering::SeqCst);
                    asked.fetch_add(1, Ordering::SeqCst);
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        let more = |count| {
            let before = asked.load(Ordering::SeqCst);
            eventually("they go on asking", || asked.load(Ordering::SeqCst) >= before + count);
        };
        more(40);
        said.say(200, &[("", &new.jwks())]);
        rotated.store(true, Ordering::SeqCst);
        more(80);
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(refused.load(Ordering::SeqCst), 0);
    assert_eq!(server.requests(), 2, "the new keys were fetched once");
    assert_eq!(ask(&proxy, &old.token("ES256", &claims(&json!({"jti": "late"})))), 401, "the old ones are gone");
    assert_eq!([fetches(&proxy, "changed"), fetches(&proxy, "failed")], [2.0, 0.0]);
}

#[test]
fn whoever_makes_up_names_of_keys_has_no_more_fetches_made() {
    let target = Target::echo("a");
    let (issuer, mallory) = (Issuer::new("one"), Issuer::new("made-up"));
    let server = Said::keys(&issuer.jwks()).server("issuer");
    let proxy = start(&target, &format!("jwks_url = \"http://{server}/keys\""));
    for turn in 0..50 {
        let header = json!({"alg": "ES256", "kid": format!("made-up-{turn}")}).to_string();
        let token = mallory.seal("ES256", &header, &claims(&json!({})).to_string());
        assert_eq!(ask(&proxy, &token), 401);
    }
    assert!(server.requests() <= 2 + 1, "{}", server.requests());
    assert_eq!(ask(&proxy, &issuer.token("ES256", &claims(&json!({})))), 200);
}

#[test]
fn without_keys_nobody_is_let_in_until_the_issuer_is_back() {
    let target = Target::echo("a");
    let issuer = Issuer::new("one");
    let said = Said::default();
    said.say(500, &[("", "")]);
    let server = said.server("issuer");
    let proxy = start(&target, &format!("jwks_url = \"http://{server}/keys\"\nrefresh = \"1s\""));
    let token = issuer.token("RS256", &claims(&json!({})));
    let answer = proxy.client().ask("GET", "/v1/x", &[&format!("Authorization: Bearer {token}")]);
    assert_eq!((answer.status, answer.field("retry-after").as_deref()), (503, Some("5")));
    assert_eq!(proxy.client().ask("GET", "/v1/x", &[]).status, 401, "who has none is told so");
    assert_eq!(target.requests(), 0);
    eventually("the log has both", || proxy.out.all().len() >= 2);
    let line = proxy.out.find(|line| line.contains("\"status\":503")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["reason"], &line["denied_by"]), (&"keys-away".into(), &"token".into()));
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "unanswered")]), 1.0);
    assert_eq!(proxy.metric("ringway_issuer_keys", &[("rule", "token")]), 0.0);
    proxy.log.wait(&["there are none", "status 500"]);
    assert!(fetches(&proxy, "failed") >= 1.0);
    said.say(200, &[("", &issuer.jwks())]);
    eventually("the keys are there", || ask(&proxy, &token) == 200);
    assert_eq!(proxy.metric("ringway_issuer_keys", &[("rule", "token")]), 5.0);
    proxy.log.wait(&["can be fetched again"]);
}

#[test]
fn keys_stay_in_force_while_the_issuer_is_away_and_over_reloads_until_they_are_too_old() {
    let target = Target::echo("a");
    let issuer = Issuer::new("one");
    let server = Said::keys(&issuer.jwks()).server("issuer");
    let from = format!("jwks_url = \"http://{server}/keys\"\nrefresh = \"1s\"\nstale = \"1h\"");
    let proxy = start(&target, &from);
    let token = issuer.token("PS384", &claims(&json!({})));
    assert_eq!(ask(&proxy, &token), 200, "they are there before the first request");
    server.kill();
    proxy.log.wait(&["those that are known stay in force"]);
    assert_eq!(ask(&proxy, &token), 200);
    for (from, to) in
        [("audiences = [\"api\"]", "audiences = [\"api\", \"b\"]"), ("refresh = \"1s\"", "refresh = \"2s\"")]
    {
        rewrite(&proxy, |text| text.replace(from, to));
        reload(&proxy, "applied");
        assert_eq!(ask(&proxy, &token), 200, "{to}");
    }
    assert!(proxy.metric("ringway_issuer_age_seconds", &[("rule", "token")]) < 600.0);
    rewrite(&proxy, |text| text.replace("stale = \"1h\"", "stale = \"1s\""));
    reload(&proxy, "applied");
    eventually("they are too old", || ask(&proxy, &token) == 503);
    proxy.log.wait(&["the keys are too old"]);
}

#[test]
fn an_issuer_says_itself_where_its_keys_are_and_is_believed_of_itself_alone() {
    let target = Target::echo("a");
    let issuer = Issuer::new("one");
    let said = Said::default();
    let server = said.server("issuer");
    let name = format!("http://{server}/realm");
    let document = |issuer: &str| json!({"issuer": issuer, "jwks_uri": format!("http://{server}/k")}).to_string();
    let say = |name: &str| {
        let (document, keys) = (document(name), issuer.jwks());
        said.say(200, &[("/realm/.well-known/openid-configuration", &*document), ("/k", &*keys)]);
    };
    say("http://another.test");
    let proxy = start(&target, &format!("issuer = \"{name}\"\ndiscovery = true\nrefresh = \"1s\""));
    let token = issuer.token("ES512", &claims(&json!({"iss": name})));
    assert_eq!(ask(&proxy, &token), 503);
    proxy.log.wait(&["it is of the issuer", "another.test"]);
    say(&name);
    eventually("it is the one", || ask(&proxy, &token) == 200);
    assert_eq!(ask(&proxy, &issuer.token("ES512", &claims(&json!({"iss": "http://another.test"})))), 401);
}

#[test]
fn keys_come_over_tls_from_whom_the_authority_knows() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let (issuer, authority, other) = (Issuer::new("one"), Authority::new("Ours"), Authority::new("Theirs"));
    let keys = issuer.jwks();
    let wrong = other.server(&["localhost"], Kind::Ecdsa);
    let server = Secure::with("issuer", &Speaks::with(&wrong), move |peer| {
        while peer.request().is_some() && peer.reply(200, &[], keys.as_bytes()).is_some() {}
    });
    let address = server.target.address;
    let ca = folder.write("ca.pem", &authority.pem());
    let proxy = start(&target, &format!("jwks_url = \"https://{address}/keys\"\nca = \"{ca}\"\nrefresh = \"1s\""));
    let token = issuer.token("ES256", &claims(&json!({})));
    assert_eq!(ask(&proxy, &token), 503);
    proxy.log.wait(&["there are none", "ertificate"]);
    let ip = address.ip().to_string();
    server.now(&Speaks::with(&authority.server(&[&ip], Kind::Ecdsa)));
    eventually("it has proven its name", || ask(&proxy, &token) == 200);
}

#[test]
fn the_process_that_follows_knows_the_keys_though_the_issuer_is_away() {
    let target = Target::echo("a");
    let issuer = Issuer::new("one");
    let said = Said::default();
    let server = said.server("issuer");
    let name = format!("http://{server}/realm");
    let document = json!({"issuer": name, "jwks_uri": format!("http://{server}/k")}).to_string();
    said.say(200, &[("/realm/.well-known/openid-configuration", &*document), ("/k", &*issuer.jwks())]);
    let mut proxy = start(&target, &format!("issuer = \"{name}\"\ndiscovery = true\nrefresh = \"1s\""));
    let token = issuer.token("RS256", &claims(&json!({"iss": name})));
    assert_eq!(ask(&proxy, &token), 200);
    server.kill();
    proxy.log.wait(&["those that are known stay in force"]);
    for _ in 0..2 {
        proxy.upgrade();
        assert_eq!(ask(&proxy, &token), 200, "no request waits for an issuer that is away");
        assert_eq!(ask(&proxy, &issuer.token("RS256", &claims(&json!({"iss": "http://other.test"})))), 401);
        assert_eq!(proxy.metric("ringway_issuer_keys", &[("rule", "token")]), 5.0);
    }
}

#[test]
fn a_running_process_explains_by_the_keys_that_it_has_fetched() {
    let (target, issuer, mallory) = (Target::echo("a"), Issuer::new("one"), Issuer::new("one"));
    let server = Said::keys(&issuer.jwks()).server("issuer");
    let rule = format!("[rules.token]\ntype = \"jwt\"\naudiences = [\"api\"]\njwks_url = \"http://{server}/keys\"\n");
    let desk = admin::start(&(rule + &config(&target, "[\"token\"]", "")));
    let url = format!("http://{}/v1/x", desk.proxy.web());
    let explain = |arguments: &[&str], token: &str| {
        let header = format!("Authorization: Bearer {token}");
        let (code, out, err) = desk.run(&[&["explain", "-H", &header, &url], arguments].concat());
        assert_eq!(code, Some(0), "{out}{err}");
        out
    };
    let good = issuer.token("ES256", &claims(&json!({})));
    let out = explain(&[], &good);
    assert!(out.contains("503") && out.contains("--live"), "the file does not say which keys there are: {out}");
    assert!(explain(&["--live"], &good).contains("site"), "{}", explain(&["--live"], &good));
    for (token, word) in [
        (mallory.token("ES256", &claims(&json!({}))), "token-signature"),
        (issuer.token("ES256", &claims(&json!({"exp": 1}))), "token-expired"),
        (issuer.token("ES256", &claims(&json!({"aud": "other"}))), "token-audience"),
    ] {
        let told: Value = serde_json::from_str(&explain(&["--live", "--json"], &token)).unwrap();
        assert_eq!((&told["status"], &told["word"]), (&401.into(), &word.into()), "{told}");
        assert_eq!(ask(&desk.proxy, &token), 401, "as it is done");
    }
    let asked = json!({"url": url, "headers": [format!("Authorization: Bearer {good}")]}).to_string();
    let told = desk.operator.told("POST", "/v1/explain", &asked, 200);
    assert_eq!(told["explanation"]["outcome"], "forward", "{told}");
    assert!(desk.operator.wrong("POST", "/v1/explain", "{\"url\":\"nowhere\"}", 422).contains("is not a URL"));
    assert_eq!(target.requests(), 0, "nothing is sent");
    assert_eq!(desk.proxy.metric("ringway_rule_requests_total", &[("rule", "token"), ("result", "passed")]), 0.0);
}
