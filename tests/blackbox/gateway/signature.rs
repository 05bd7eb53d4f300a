//! Requests that are signed (RFC 9421).

use super::{faults, in_order};
use crate::reload::{reload, rewrite};
use crate::support::client::Response;
use crate::support::proxy::{Directory, Proxy};
use crate::support::toml::http;
use crate::support::{Target, eventually, h2};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;
use std::time::SystemTime;

const SECRET: &[u8; 32] = b"a secret of thirty-two bytes, ok";

/// A route `/v1/` for who signs by a key of a file.
fn config(target: &Target, folder: &Directory, more: &str) -> String {
    let keys = format!("# keys\nkey-1 hmac-sha256 {} acme\n", STANDARD.encode(SECRET));
    let keys = folder.write("keys", &keys);
    http(&[target])
        + &format!(
            "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"signed\"]\n\
             [rules.signed]\ntype = \"signature\"\nkeys_file = \"{keys}\"\n{more}\n\
             [consumers.acme]\ngroups = [\"gold\"]\n[access_log]\n"
        )
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// What is signed of a request to `/v1/x?a=1` of site.test, beside what is given, and by which parameters.
struct Signing {
    method: &'static str,
    /// Names and values of more components.
    more: Vec<(&'static str, String)>,
    created: u64,
    parameters: String,
}

impl Signing {
    fn of(method: &'static str) -> Self {
        Self { method, more: Vec::new(), created: now(), parameters: String::new() }
    }

    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }

    fn with(mut self, parameters: &str) -> Self {
        self.parameters.push_str(parameters);
        self
    }

    /// `Signature-Input` and `Signature`.
    fn values(&self) -> [String; 2] {
        let target = [
            ("@method", self.method.to_owned()),
            ("@authority", "site.test".to_owned()),
            ("@path", "/v1/x".to_owned()),
            ("@query", "?a=1".to_owned()),
        ];
        let all: Vec<(&str, String)> = target.into_iter().chain(self.more.iter().cloned()).collect();
        let names: Vec<String> = all.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let input = format!("({});created={};keyid=\"key-1\"{}", names.join(" "), self.created, self.parameters);
        let base: String = all.iter().map(|(name, value)| format!("\"{name}\": {value}\n")).collect();
        let base = format!("{base}\"@signature-params\": {input}");
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), base.as_bytes());
        [format!("sig1={input}"), format!("sig1=:{}:", STANDARD.encode(signature))]
    }

    fn lines(&self) -> Vec<String> {
        let [input, signature] = self.values();
        vec![format!("Signature-Input: {input}"), format!("Signature: {signature}")]
    }
}

fn ask(proxy: &Proxy, method: &str, path: &str, lines: &[String]) -> Response {
    let fields: Vec<&str> = lines.iter().map(String::as_str).collect();
    proxy.client().ask(method, path, &fields)
}

fn post(proxy: &Proxy, lines: &[String], body: &str) -> Response {
    let mut client = proxy.client();
    let fields: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("POST /v1/x?a=1 HTTP/1.1\r\nHost: site.test\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    client = client.dribbled(head + body, 1 << 20, std::time::Duration::ZERO);
    client.response()
}

fn content_digest(body: &str) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest::digest(&digest::SHA256, body.as_bytes())))
}

fn reason(proxy: &Proxy, count: usize) -> String {
    eventually("the log has it", || proxy.out.all().len() >= count);
    let line: Value = serde_json::from_str(proxy.out.all().last().unwrap()).unwrap();
    line["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn who_signs_is_the_consumer_whose_key_it_is_and_others_are_told_what_to_sign() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = in_order(config(&target, &folder, "realm = \"staff\"\ntag = \"app\""));
    let good = Signing::of("GET").with(";tag=\"app\"");
    assert_eq!(ask(&proxy, "GET", "/v1/x?a=1", &good.lines()).status, 200);
    let seen = target.last();
    assert_eq!(seen.field("x-consumer-username").as_deref(), Some("acme"));
    assert_eq!(seen.field("x-consumer-groups").as_deref(), Some("gold"));
    assert_eq!([seen.field("signature"), seen.field("signature-input")], [None, None]);
    let old = Signing { created: now() - 400, ..Signing::of("GET").with(";tag=\"app\"") };
    let later = Signing { created: now() + 100, ..Signing::of("GET").with(";tag=\"app\"") };
    for (number, (method, path, lines, word)) in [
        ("GET", "/v1/x?a=1", Vec::new(), "no-signature"),
        ("GET", "/v1/x?a=1", Signing::of("GET").lines(), "no-signature"),
        ("GET", "/v1/x?a=2", good.lines(), "signature-wrong"),
        ("GET", "/v1/y?a=1", good.lines(), "signature-wrong"),
        ("GET", "/v1/%78?a=1", good.lines(), "signature-wrong"),
        ("PUT", "/v1/x?a=1", good.lines(), "signature-wrong"),
        ("GET", "/v1/x?a=1", old.lines(), "signature-old"),
        ("GET", "/v1/x?a=1", later.lines(), "signature-later"),
        ("GET", "/v1/x?a=1", good.lines()[..1].to_vec(), "signature-malformed"),
        ("GET", "/v1/x?a=1", Signing::of("GET").with(";tag=\"app\";alg=\"ed25519\"").lines(), "signature-algorithm"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ask(&proxy, method, path, &lines);
        assert_eq!(answer.status, 401, "{number}");
        assert_eq!(answer.field("www-authenticate").as_deref(), Some("Signature realm=\"staff\""), "{number}");
        let accepted = answer.field("accept-signature").unwrap();
        assert_eq!(
            accepted,
            "sig1=(\"@method\" \"@target-uri\" \"content-digest\");created;keyid;alg=\"hmac-sha256\";tag=\"app\""
        );
        assert_eq!(reason(&proxy, number + 2), word, "{number}");
    }
    assert_eq!(target.requests(), 1);
}

#[test]
fn over_http2_it_is_the_same_and_content_without_a_length_is_content() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = Proxy::start(config(&target, &folder, "digest = true"));
    let client = h2::Client::to(&proxy.web());
    let ask = |method: Method, signing: &Signing, body: &[u8], more: &[(&'static str, String)]| {
        let mut request = h2::request(method, "/v1/x?a=1");
        let [input, signature] = signing.values();
        let fields = [("signature-input", input), ("signature", signature)];
        for (name, value) in fields.iter().chain(more) {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        client.ask(request, body).unwrap().status.as_u16()
    };
    assert_eq!(ask(Method::GET, &Signing::of("GET"), b"", &[]), 200);
    assert_eq!(ask(Method::GET, &Signing::of("PUT"), b"", &[]), 401);
    assert_eq!(ask(Method::POST, &Signing::of("POST"), b"hello", &[]), 401, "its content is not signed");
    let digest = content_digest("hello");
    let signing = Signing::of("POST").and("content-digest", &digest);
    assert_eq!(ask(Method::POST, &signing, b"hello", &[("content-digest", digest.clone())]), 200);
    assert_eq!(target.last().body, b"hello");
    let before = target.requests();
    assert_eq!(ask(Method::POST, &signing, b"hellO", &[("content-digest", digest.clone())]), 400);
    assert_eq!(ask(Method::POST, &signing, b"hell", &[("content-digest", digest)]), 400);
    assert_eq!(target.requests(), before, "no target sees content that is not what was signed");
}

#[test]
fn content_reaches_a_target_once_it_is_what_was_signed() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = Proxy::start(config(&target, &folder, "digest = true\ndigest_body = \"64KiB\""));
    let signed = |body: &str| {
        let digest = content_digest(body);
        let mut lines = Signing::of("POST").and("content-digest", &digest).lines();
        lines.push(format!("Content-Digest: {digest}"));
        lines
    };
    for length in [1, 100, 64 << 10] {
        let body = "x".repeat(length);
        assert_eq!(post(&proxy, &signed(&body), &body).status, 200, "{length}");
        assert_eq!(target.last().body.len(), length);
    }
    let before = target.requests();
    for (body, status, word) in [
        ("y".repeat(100), 400, "content-digest-wrong"),
        ("x".repeat(99), 400, "content-digest-wrong"),
        ("x".repeat((64 << 10) + 1), 413, "content-digest-too-long"),
    ] {
        let lines = if status == 413 { signed(&body) } else { signed(&"x".repeat(100)) };
        assert_eq!(post(&proxy, &lines, &body).status, status, "{word}");
        eventually("it is logged", || proxy.out.count(&[word]) > 0);
    }
    assert_eq!(target.requests(), before);
    let bare = Signing::of("POST").lines();
    assert_eq!(post(&proxy, &bare, "hello").status, 401, "its content is not signed");
    assert_eq!(post(&proxy, &bare, "").status, 200, "there is none");
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "content-digest")]), 3.0);
}

#[test]
fn a_request_that_was_heard_of_counts_once_also_after_a_reload_and_an_upgrade() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let mut proxy = in_order(config(&target, &folder, "nonce = true"));
    let once = Signing::of("GET").with(";nonce=\"n-1\"");
    let status = |proxy: &Proxy, signing: &Signing| ask(proxy, "GET", "/v1/x?a=1", &signing.lines()).status;
    assert_eq!([status(&proxy, &once), status(&proxy, &once)], [200, 401]);
    assert_eq!(reason(&proxy, 2), "signature-replayed");
    assert_eq!(status(&proxy, &Signing::of("GET")), 401);
    assert_eq!(reason(&proxy, 3), "signature-no-nonce");
    rewrite(&proxy, |text| text.replace("nonce = true", "nonce = true\nmax_age = \"10m\""));
    reload(&proxy, "applied");
    let later = Signing::of("GET").with(";nonce=\"n-2\"");
    assert_eq!([status(&proxy, &once), status(&proxy, &later)], [401, 200]);
    proxy.upgrade();
    let last = Signing::of("GET").with(";nonce=\"n-3\"");
    assert_eq!([status(&proxy, &once), status(&proxy, &later), status(&proxy, &last)], [401, 401, 200]);
    assert_eq!(proxy.metric("ringway_rule_keys", &[("rule", "signed")]), 3.0);
}

#[test]
fn keys_are_replaced_by_a_reload() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = Proxy::start(config(&target, &folder, ""));
    let status = || ask(&proxy, "GET", "/v1/x?a=1", &Signing::of("GET").lines()).status;
    assert_eq!(status(), 200);
    let file = folder.path().join("keys");
    std::fs::write(&file, format!("key-1 hmac-sha256 {}\n", STANDARD.encode(b"another of thirty-two bytes, yes")))
        .unwrap();
    reload(&proxy, "applied");
    assert_eq!(status(), 401);
    std::fs::write(&file, "key-1 hmac-sha256 c2hvcnQ=\n").unwrap();
    reload(&proxy, "failed");
    proxy.log.wait(&["line 1: key `key-1`: it is shorter than 16 bytes"]);
    assert_eq!(proxy.log.count(&["c2hvcnQ="]), 0, "keys are no log's");
}

#[test]
fn signatures_that_make_no_sense_are_told_where_they_stand() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let text = config(&target, &folder, "tag = \"app\"\ncomponents = [\"@method\", \"date\"]");
    for (from, to, said) in [
        ("\"date\"", "\"Date\"", "no header's name in lower case"),
        ("\"date\"", "\"@date\"", "no component is named `@date`"),
        ("\"date\"", "\"date\", \"date\"", "`date` is named twice"),
        ("tag = \"app\"", "tag = \"a\\\"b\"", "a tag has printable characters"),
        ("tag = \"app\"", "tga = \"app\"", "did you mean `tag`?"),
        ("tag = \"app\"", "max_age = \"0s\"", "max_age"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(said), "{to}: {told}");
    }
}
