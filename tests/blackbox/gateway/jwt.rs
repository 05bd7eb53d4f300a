//! JSON Web Tokens: who comes in by them, what is refused, and what targets are told.

use super::{config, faults};
use crate::reload::{reload, rewrite};
use crate::support::client::Response;
use crate::support::issuer::{FAMILIES, Issuer, base64, claims, mac, now, sealed};
use crate::support::proxy::{Directory, Proxy};
use crate::support::{Target, eventually, h2};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A rule whose keys are in a file, with these keys more.
fn rule(folder: &Directory, issuer: &Issuer, more: &str) -> String {
    let file = folder.write("keys.json", &issuer.jwks());
    format!(
        "[rules.token]\ntype = \"jwt\"\nissuer = \"https://id.test\"\naudiences = [\"api\"]\njwks_file = \"{file}\"\n\
         forward_claims = {{ sub = \"X-User-Id\", \"realm.level\" = \"x-level\" }}\n{more}\n"
    )
}

fn start(target: &Target, rule: &str) -> Proxy {
    Proxy::start(rule.to_owned() + &config(target, "[\"token\"]", ""))
}

fn ask(proxy: &Proxy, token: &str) -> Response {
    proxy.client().ask("GET", "/v1/x", &[&format!("Authorization: Bearer {token}")])
}

/// The answer to a request, and what the log says of it.
#[track_caller]
fn asked(proxy: &Proxy, query: &str, fields: &[&str]) -> (Response, Value) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    // Workers write their lines by themselves.
    let path = format!("/v1/{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let answer = proxy.client().ask("GET", &format!("{path}{query}"), fields);
    let mut line = Value::Null;
    eventually("the log has it", || {
        let lines = proxy.out.all().into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        line = lines
            .into_iter()
            .find(|line| line["uri"].as_str().and_then(|uri| uri.split('?').next()) == Some(&*path))
            .unwrap_or_default();
        !line.is_null()
    });
    (answer, line)
}

/// The status of the answer to a token, and the reason of the log.
#[track_caller]
fn verdict(proxy: &Proxy, token: &str) -> (u16, String) {
    let (answer, line) = asked(proxy, "", &[&format!("Authorization: Bearer {token}")]);
    (answer.status, line["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_token_of_each_family_comes_in_and_targets_are_told_what_it_says() {
    let (target, folder, issuer) = (Target::echo("a"), Directory::new(), Issuer::new("one"));
    let proxy = start(&target, &rule(&folder, &issuer, ""));
    let claims = claims(&json!({"realm": {"level": 7}}));
    for family in FAMILIES {
        let token = issuer.token(family, &claims);
        assert_eq!(ask(&proxy, &token).status, 200, "{family}");
        let seen = target.last();
        let told = ["x-user-id", "x-level", "authorization"].map(|name| seen.field(name));
        let passed = format!("Bearer {token}");
        assert_eq!(told, [Some("alice".into()), Some("7".into()), Some(passed)], "{family}");
        let client = h2::Client::to(&proxy.web());
        let mut request = h2::request(Method::GET, "/v1/x");
        let value = HeaderValue::from_str(&format!("bearer {token}")).unwrap();
        request.headers_mut().append("authorization", value);
        assert_eq!(client.ask(request, b"").unwrap().status, 200, "{family} over HTTP/2");
    }
    let (_, line) = asked(&proxy, "", &[&format!("Authorization: Bearer {}", issuer.token("ES256", &claims))]);
    assert_eq!(line["consumer"], "alice");
    let tokens = |result: &str| proxy.metric("ringway_tokens_total", &[("result", result)]);
    eventually("each is verified once a worker", || {
        tokens("known") + tokens("verified") == 11.0 && tokens("verified") >= 5.0
    });
}

#[test]
fn a_secret_and_a_public_key_in_files_verify_what_they_are_for() {
    let (target, folder, issuer) = (Target::echo("a"), Directory::new(), Issuer::new("one"));
    let file = folder.write("secret", &format!("{}\n", issuer.secret));
    let text = rule(&folder, &issuer, "hide = true").replace("jwks_file = ", "secret_file = ");
    let path = folder.path().join("keys.json").display().to_string();
    let proxy = start(&target, &text.replace(&path, &file));
    assert_eq!(ask(&proxy, &issuer.token("HS256", &claims(&json!({})))).status, 200);
    assert_eq!(target.last().field("authorization"), None, "it is hidden");
    assert_eq!(ask(&proxy, &issuer.token("RS256", &claims(&json!({})))).status, 401);
    std::fs::write(&file, issuer.pem()).unwrap();
    rewrite(&proxy, |text| text.replace("secret_file", "algorithms = [\"RS256\"]\nkey_file"));
    reload(&proxy, "applied");
    assert_eq!(ask(&proxy, &issuer.token("RS256", &claims(&json!({})))).status, 200);
    for (algorithm, word) in [("PS384", "token-algorithm-mismatch"), ("HS256", "token-algorithm-mismatch")] {
        assert_eq!(verdict(&proxy, &issuer.token(algorithm, &claims(&json!({})))), (401, word.to_owned()));
    }
}

#[test]
fn what_forgers_try_is_refused_with_its_reason_and_reaches_no_target() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let (issuer, mallory) = (Issuer::new("one"), Issuer::new("one"));
    let proxy = start(&target, &rule(&folder, &issuer, "max_size = \"2KiB\"\nscopes = [\"read\", \"write\"]"));
    let good = claims(&json!({"scope": "read write more"}));
    let with = |more: Value| {
        let mut claims = good.clone();
        more.as_object().unwrap().iter().for_each(|(name, value)| claims[name] = value.clone());
        issuer.token("ES256", &claims)
    };
    let header = |more: Value| {
        let mut header = json!({"alg": "ES256", "kid": issuer.kid("ES256")});
        more.as_object().unwrap().iter().for_each(|(name, value)| header[name] = value.clone());
        issuer.seal("ES256", &header.to_string(), &good.to_string())
    };
    let unsigned = |algorithm: &str| sealed(&json!({"alg": algorithm}).to_string(), &good.to_string(), |_| Vec::new());
    let confused = |kid: &str| {
        let header = json!({"alg": "HS256", "kid": kid}).to_string();
        sealed(&header, &good.to_string(), |message| mac(issuer.pem().as_bytes(), message))
    };
    let by_mallory = |more: Value| {
        let mut header = json!({"alg": "ES256", "kid": issuer.kid("ES256")});
        more.as_object().unwrap().iter().for_each(|(name, value)| header[name] = value.clone());
        mallory.seal("ES256", &header.to_string(), &good.to_string())
    };
    let key: Value = serde_json::from_str(&mallory.jwks()).unwrap();
    let twice = good.to_string().replacen('{', "{\"sub\":\"admin\",", 1);
    let es256 = json!({"alg": "ES256", "kid": issuer.kid("ES256")}).to_string();
    let whole = with(json!({}));
    let (signed, _) = whole.rsplit_once('.').unwrap();
    assert_eq!(ask(&proxy, &whole).status, 200);
    for (token, status, word) in [
        (unsigned("none"), 401, "token-unsigned"),
        (unsigned("nOnE"), 401, "token-unsigned"),
        (unsigned("ES257"), 401, "token-algorithm-unknown"),
        (confused(&issuer.kid("RS256")), 401, "token-algorithm-mismatch"),
        (confused("x"), 401, "token-key-unknown"),
        (by_mallory(json!({})), 401, "token-signature"),
        (by_mallory(json!({"jwk": key["keys"][2]})), 401, "token-signature"),
        (by_mallory(json!({"jku": "http://127.0.0.1:1/keys"})), 401, "token-signature"),
        (by_mallory(json!({"x5u": "http://127.0.0.1:1/keys", "x5c": ["AAAA"]})), 401, "token-signature"),
        (header(json!({"kid": "../../../../dev/null"})), 401, "token-key-unknown"),
        (header(json!({"kid": "http://127.0.0.1:1/key"})), 401, "token-key-unknown"),
        (header(json!({"kid": "x' UNION SELECT 'secret"})), 401, "token-key-unknown"),
        (header(json!({"kid": 1})), 401, "token-malformed"),
        (header(json!({"crit": ["exp"]})), 401, "token-critical"),
        (header(json!({"typ": "logout+jwt"})), 401, "token-type"),
        (with(json!({"exp": now() - 3600})), 401, "token-expired"),
        (with(json!({"exp": "soon"})), 401, "token-bad-claim"),
        (with(json!({"nbf": now() + 3600})), 401, "token-not-yet"),
        (with(json!({"iat": now() + 3600})), 401, "token-issued-later"),
        (with(json!({"aud": "other"})), 401, "token-audience"),
        (with(json!({"aud": ["others", "apis"]})), 401, "token-audience"),
        (with(json!({"iss": "https://id.test/"})), 401, "token-issuer"),
        (with(json!({"scope": "read"})), 403, "token-scope"),
        (with(json!({"long": "x".repeat(2048)})), 401, "token-too-long"),
        (issuer.seal("ES256", &es256, &twice), 401, "token-duplicate-member"),
        (format!("{signed}."), 401, "token-signature"),
        (format!("{whole}="), 401, "token-malformed"),
        (signed.to_owned(), 401, "token-malformed"),
        ("x".to_owned(), 401, "token-malformed"),
    ] {
        let before = target.requests();
        let (answer, line) = asked(&proxy, "", &[&format!("Authorization: Bearer {token}")]);
        assert_eq!((answer.status, line["reason"].as_str()), (status, Some(word)), "{token}");
        let challenge = answer.field("www-authenticate").unwrap();
        let error = if status == 403 { "insufficient_scope" } else { "invalid_token" };
        assert!(challenge.starts_with(&format!("Bearer realm=\"api\", error=\"{error}\", error_description=\"")));
        assert_eq!(challenge.contains(", scope=\"read write\""), status == 403, "{challenge}");
        assert_eq!(target.requests(), before, "{word}");
        assert!(token.len() < 20 || !line.to_string().contains(&token), "a token is no log's");
    }
    // With the signature of another message.
    let (head, _) = signed.split_once('.').unwrap();
    let other = base64(claims(&json!({"sub": "admin", "scope": "read write"})).to_string().as_bytes());
    let (_, signature) = whole.rsplit_once('.').unwrap();
    assert_eq!(ask(&proxy, &format!("{head}.{other}.{signature}")).status, 401);
}

#[test]
fn a_token_is_looked_for_where_the_rule_says_and_there_is_but_one() {
    let (target, folder, issuer) = (Target::echo("a"), Directory::new(), Issuer::new("one"));
    let more = "header = \"Authorization\"\nquery = \"token\"\ncookie = \"token\"\nhide = true";
    let proxy = start(&target, &rule(&folder, &issuer, more));
    let token = issuer.token("ES256", &claims(&json!({})));
    let ask = |path: &str, fields: &[&str]| proxy.client().ask("GET", path, fields);
    let bearer = format!("Authorization: Bearer {token}");
    let basic = "Authorization: Basic YTpi";
    let cookie = format!("Cookie: a=1; token={token}");
    assert_eq!(ask("/v1/x", &[&bearer]).status, 200);
    assert_eq!(ask(&format!("/v1/x?a=1&token={token}"), &[]).status, 200);
    assert_eq!(target.last().path, "/v1/x?a=1");
    assert_eq!(ask("/v1/x", &[&cookie]).status, 200);
    assert_eq!(target.last().field("cookie").as_deref(), Some("a=1"));
    let before = target.requests();
    for (query, fields, word) in [
        ("", vec![&*bearer, &*bearer], "several-tokens"),
        ("", vec![&*bearer, basic], "several-tokens"),
        ("", vec![&*bearer, &*cookie], "several-tokens"),
        (&format!("?token={token}&token={token}"), vec![], "several-tokens"),
        (&format!("?token={token}"), vec![&*cookie], "several-tokens"),
        ("", vec![], "no-token"),
        ("", vec![basic], "no-token"),
        ("", vec!["X-Token: abc"], "no-token"),
    ] {
        let (answer, line) = asked(&proxy, query, &fields);
        assert_eq!((answer.status, line["reason"].as_str()), (401, Some(word)), "{query} {fields:?}");
        let challenge = answer.field("www-authenticate").unwrap();
        assert_eq!(challenge == "Bearer realm=\"api\"", word == "no-token", "{challenge}");
    }
    assert_eq!(target.requests(), before);
    assert!(!proxy.out.all().iter().any(|line| line.contains(&token)), "{:?}", proxy.out.all());
}

#[test]
fn nobody_but_a_token_says_what_its_claims_are() {
    let (target, folder, issuer) = (Target::echo("a"), Directory::new(), Issuer::new("one"));
    let proxy = start(&target, &rule(&folder, &issuer, ""));
    let token = format!("Authorization: Bearer {}", issuer.token("ES256", &claims(&json!({}))));
    for forged in [
        &["X-User-Id: root"][..],
        &["x-user-id: root", "X-USER-ID: root"],
        &["X_User_Id: root", "X-Level: 9"],
        &["Connection: x-user-id", "X-User-Id: root"],
        &["Connection: close, X-User-Id, x-level", "X-Level: 9"],
    ] {
        let fields = [&[&*token], forged].concat();
        assert_eq!(proxy.client().ask("GET", "/v1/x", &fields).status, 200, "{forged:?}");
        let seen = target.last();
        assert_eq!(seen.field("x-user-id").as_deref(), Some("alice"), "{forged:?}");
        let wrong = seen.head.fields.iter().find(|(_, value)| ["root", "9"].contains(&value.as_str()));
        assert_eq!(wrong, None, "{forged:?}: a claim that is not there is told by nobody");
    }
    let evil = issuer.token("ES256", &claims(&json!({"sub": "a\r\nX-Level: 9", "realm": {"level": ["9"]}})));
    assert_eq!(ask(&proxy, &evil).status, 200);
    let seen = target.last();
    assert_eq!(["x-user-id", "x-level"].map(|name| seen.field(name)), [None, None], "what is no line is not told");
}

#[test]
fn a_claim_names_a_consumer_and_other_claims_are_asked_for() {
    let (target, folder, issuer) = (Target::echo("a"), Directory::new(), Issuer::new("one"));
    let more = "consumer_claim = \"client_id\"\nrequired_claims = { tenant = [\"a\", \"7\"], email = [] }\n\
                any_scope = [\"read\", \"write\"]\nmax_age = \"1h\"";
    let proxy = Proxy::start(rule(&folder, &issuer, more) + &config(&target, "[\"gold\", \"token\"]", ""));
    let token = |more: Value| {
        let mut all = claims(
            &json!({"client_id": "acme", "tenant": "a", "email": "a@b.test", "scp": ["read"], "iat": now() - 60}),
        );
        more.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        issuer.token("EdDSA", &all)
    };
    assert_eq!(ask(&proxy, &token(json!({"tenant": 7}))).status, 200);
    let told = ["x-consumer-username", "x-consumer-groups", "x-user-id"].map(|name| target.last().field(name));
    assert_eq!(told, [Some("acme".into()), Some("gold,eu".into()), Some("alice".into())]);
    for (more, status, word) in [
        (json!({"client_id": "other"}), 403, "group"),
        (json!({"client_id": "nobody"}), 403, "unknown-consumer"),
        (json!({"client_id": null}), 403, "unknown-consumer"),
        (json!({"tenant": "b"}), 401, "token-claim"),
        (json!({"email": null}), 401, "token-claim"),
        (json!({"scp": ["other"]}), 403, "token-scope"),
        (json!({"iat": now() - 7200}), 401, "token-expired"),
        (json!({"iat": null}), 401, "token-bad-claim"),
    ] {
        assert_eq!(verdict(&proxy, &token(more.clone())), (status, word.to_owned()), "{more}");
    }
}

#[test]
fn rules_of_tokens_that_make_no_sense_are_told_where_they_stand() {
    let (target, folder, issuer) = (Target::echo("a"), Directory::new(), Issuer::new("one"));
    let text = rule(&folder, &issuer, "") + &config(&target, "[\"token\"]", "");
    let line = text.lines().find(|line| line.starts_with("jwks_file")).unwrap().to_owned();
    let short = folder.write("short", "too short");
    let forward = "forward_claims = { sub = \"X-User-Id\", \"realm.level\" = \"x-level\" }";
    for (from, to, expected) in [
        (&*line, "", "rule `token` has no keys"),
        (&*line, &format!("{line}\njwks_url = \"https://id.test/\""), "`jwks_url` and in `jwks_file`"),
        (&*line, "discovery = true\nrealm = \"a\\\"b\"", "no `\"`"),
        (
            &format!("issuer = \"https://id.test\"\naudiences = [\"api\"]\n{line}"),
            "discovery = true",
            "its name is a URL",
        ),
        (&*line, &format!("secret_file = \"{short}\""), "at least 32 bytes"),
        (&*line, &line.replace("jwks_file", "key_file"), "no public key"),
        (&*line, "key_file = \"none.pem\"", "cannot be read"),
        (&*line, &format!("{line}\nalgorithms = [\"none\"]"), "none"),
        (&*line, &format!("{line}\nconsumer_claim = \"a..b\""), "names a claim of no name"),
        (forward, "forward_claims = { sub = \"x-a\", iss = \"X-A\" }", "tells two claims"),
        (forward, "forward_claims = { sub = \"Connection\" }", "Connection"),
    ] {
        let told = faults(&text, from, to);
        assert!(
            told.to_lowercase().contains(&expected.to_lowercase()) && told.contains("ringway.toml:"),
            "{to}: {told}"
        );
    }
}

#[test]
fn conditions_go_by_what_a_token_says() {
    let (target, folder, issuer) = (Target::echo("a"), Directory::new(), Issuer::new("one"));
    let more = "[rules.admins]\ntype = \"cel\"\n\
                allow = \"consumer.claims.role == 'admin' || consumer.claims.realm.level > 5 || 'ops' in consumer.claims.teams\"\n\
                [rules.writers]\ntype = \"cel\"\nwhen = \"request.method == 'PUT' && consumer.claims.role != 'admin'\"\n\
                allow = \"consumer.claims.email.endsWith('@ours.test')\"\n";
    let text = rule(&folder, &issuer, "") + &config(&target, "[\"writers\", \"admins\", \"token\"]", more);
    let proxy = Proxy::start(text);
    for (method, said, expected) in [
        ("GET", json!({"role": "admin"}), 200),
        ("GET", json!({"role": "user"}), 403),
        ("GET", json!({"role": "Admin"}), 403),
        ("GET", json!({}), 403),
        ("GET", json!({"realm": {"level": 6}}), 200),
        ("GET", json!({"realm": {"level": 5}}), 403),
        ("GET", json!({"teams": ["dev", "ops"]}), 200),
        ("PUT", json!({"role": "admin"}), 200),
        ("PUT", json!({"teams": ["ops"], "email": "a@ours.test"}), 200),
        ("PUT", json!({"teams": ["ops"], "email": "a@theirs.test"}), 403),
        ("PUT", json!({"teams": ["ops"]}), 403),
    ] {
        let bearer = format!("Bearer {}", issuer.token("ES256", &claims(&said)));
        let fields = [&*format!("Authorization: {bearer}"), "Content-Length: 0"];
        assert_eq!(proxy.client().ask(method, "/v1/x", &fields).status, expected, "{method} {said}");
        let mut request = h2::request(Method::from_bytes(method.as_bytes()).unwrap(), "/v1/x");
        request.headers_mut().append("authorization", HeaderValue::from_str(&bearer).unwrap());
        let answer = h2::Client::to(&proxy.web()).ask(request, b"").unwrap();
        assert_eq!(answer.status.as_u16(), expected, "{method} {said} over HTTP/2");
    }
}
