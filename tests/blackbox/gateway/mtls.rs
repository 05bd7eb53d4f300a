//! Consumers by the certificates that they show, and conditions on these.

use super::faults;
use crate::reload::{reload, rewrite};
use crate::support::proxy::Proxy;
use crate::support::target::Seen;
use crate::support::tls::{Authority, Dial, Made, connect, listener, resumed};
use crate::support::toml::http_with;
use crate::support::{Client, Target, eventually, h2};
use crate::tls::Edge;
use http::{HeaderName, HeaderValue, Method};
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

const ASKS: &str = "client_auth = { mode = \"optional\", ca = \"clients.pem\" }";

/// Ann is known by a fingerprint, bob by his mail's address, carol by her common name; and a key is known.
fn config(edge: &Edge, clients: &Authority, ann: &Made, target: &Target, rules: &str) -> String {
    std::fs::write(edge.setup.directory().join("clients.pem"), clients.pem()).unwrap();
    http_with(&listener(&["site"], ASKS), &[target], "")
        + "[listeners.clear]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n"
        + &format!(
            "[routes.api]\npaths = [\"/v1/\"]\nlisteners = [\"web\", \"clear\"]\npool = \"site\"\nrules = {rules}\n\
             [rules.mtls]\ntype = \"mtls\"\nrealm = \"staff\"\n\
             [rules.key]\ntype = \"api-key\"\nheader = \"X-Key\"\n\
             [rules.any]\ntype = \"any-of\"\nrules = [\"mtls\", \"key\", \"guest\"]\n\
             [rules.guest]\ntype = \"anonymous\"\nconsumer = \"guest\"\n\
             [rules.gold]\ntype = \"groups\"\nallow = [\"gold\"]\n\
             [consumers.ann]\ngroups = [\"gold\"]\ncertificates = [\"sha256:{}\"]\n\
             [consumers.bob]\ncertificates = [\"email:bob@site.test\"]\n\
             [consumers.carol]\ncertificates = [\"cn:carol\"]\n\
             [consumers.dave]\nkeys = [\"key-of-dave\"]\n[consumers.guest]\n[access_log]\n",
            fingerprint(ann)
        )
}

/// As openssl writes it.
fn fingerprint(made: &Made) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &made.der);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn told(seen: &Seen) -> (Option<String>, Option<String>) {
    (seen.field("x-consumer-username"), seen.field("x-consumer-groups"))
}

/// The status of the answer to a request of `/v1/x` over each protocol.
fn ask(dial: &Dial, proxy: &Proxy, fields: &[&str]) -> [u16; 2] {
    let over_h1 = dial.to(&proxy.web(), "site.test").ask("GET", "/v1/x", fields).status;
    let mut request = h2::request(Method::GET, "/v1/x");
    for (name, value) in fields.iter().filter_map(|field| field.split_once(": ")) {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    let client = h2::Client::secure(dial.clone().alpn(&["h2"]).config(), &proxy.web(), "site.test");
    [over_h1, client.ask(request, b"").unwrap().status.as_u16()]
}

fn last_reason(proxy: &Proxy, count: usize) -> Value {
    eventually("the log has it", || proxy.out.all().len() >= count);
    let line: Value = serde_json::from_str(proxy.out.all().last().unwrap()).unwrap();
    line["reason"].clone()
}

#[test]
fn who_shows_a_certificate_of_a_consumer_is_that_consumer_over_both_protocols() {
    let (edge, clients, target) = (Edge::new(), Authority::new("Clients"), Target::echo("a"));
    let (ann, dial) = (clients.client("ann", 1), edge.authority.dial());
    let text = config(&edge, &clients, &ann, &target, "[\"mtls\"]");
    let proxy = in_order_of(edge, text);
    let forged = ["X-Consumer-Username: ann", "X-Consumer-Groups: root", "X-Client-Cert-Subject: CN=carol"];
    for (made, name, groups) in [
        (&ann, "ann", Some("gold")),
        (&clients.client("bob", 2), "bob", None),
        (&clients.client("carol", 3), "carol", None),
    ] {
        for version in [&TLS12, &TLS13] {
            let dial = dial.clone().version(version).showing(made);
            assert_eq!(ask(&dial, &proxy, &forged), [200, 200], "{name}");
            assert_eq!(told(&target.last()), (Some(name.to_owned()), groups.map(str::to_owned)));
        }
    }
    let (reached, mut logged) = (target.requests(), 12);
    // The same names by nobody's certificate, and no certificate at all.
    let other = clients.client("ann", 4);
    for (made, word) in [(Some(&other), "unknown-certificate"), (None, "no-certificate")] {
        let dial = made.iter().fold(dial.clone(), |dial, made| dial.showing(made));
        assert_eq!(ask(&dial, &proxy, &forged), [401, 401], "{word}");
        logged += 2;
        assert_eq!(last_reason(&proxy, logged), word);
    }
    let clear = Client::to(&proxy.at("clear")).ask("GET", "/v1/x", &forged);
    assert_eq!((clear.status, clear.field("www-authenticate").as_deref()), (401, Some("Certificate realm=\"staff\"")));
    assert_eq!(last_reason(&proxy, logged + 1), "no-certificate");
    let stranger = Authority::new("Clients").client("carol", 3);
    let refused = dial.showing(&stranger).try_to(&proxy.web(), "site.test");
    assert!(!refused.is_ok_and(|mut client| client.alive()), "another authority has signed it");
    assert_eq!(target.requests(), reached);
}

fn in_order_of(edge: Edge, text: String) -> Proxy {
    edge.setup.with(text).workers(1).start()
}

#[test]
fn a_certificate_is_one_of_several_ways_in_and_a_wrong_one_is_no_guest() {
    let (edge, clients, target) = (Edge::new(), Authority::new("Clients"), Target::echo("a"));
    let (ann, dial) = (clients.client("ann", 1), edge.authority.dial());
    let text = config(&edge, &clients, &ann, &target, "[\"any\"]");
    let proxy = edge.setup.with(text).start();
    let unknown = clients.client("eve", 9);
    for (made, fields, expected) in [
        (Some(&ann), &[][..], Ok("ann")),
        (Some(&ann), &["X-Key: key-of-dave"], Ok("ann")),
        (None, &["X-Key: key-of-dave"], Ok("dave")),
        (Some(&unknown), &["X-Key: key-of-dave"], Ok("dave")),
        (None, &[], Ok("guest")),
        (Some(&unknown), &[], Err(401)),
        (None, &["X-Key: nonsense"], Err(401)),
    ] {
        let dial = made.iter().fold(dial.clone(), |dial, made| dial.showing(made));
        let status = expected.err().unwrap_or(200);
        assert_eq!(ask(&dial, &proxy, fields), [status, status], "{expected:?} {fields:?}");
        if let Ok(name) = expected {
            assert_eq!(target.last().field("x-consumer-username").as_deref(), Some(name));
        }
    }
}

#[test]
fn a_session_that_comes_back_is_still_who_it_was_and_a_reload_says_who_that_is() {
    let (edge, clients, target) = (Edge::new(), Authority::new("Clients"), Target::echo("a"));
    let (ann, dial) = (clients.client("ann", 1), edge.authority.dial());
    let text = config(&edge, &clients, &ann, &target, "[\"mtls\", \"gold\"]");
    let proxy = edge.setup.with(text).start();
    for version in [&TLS12, &TLS13] {
        let config = dial.clone().version(version).showing(&ann).config();
        for round in 0..3 {
            let mut client = connect(&config, &proxy.web(), "site.test").unwrap();
            assert_eq!(client.get("/v1/x").status, 200);
            assert_eq!((resumed(&client), told(&target.last()).0.as_deref()), (round > 0, Some("ann")));
        }
    }
    let bob = dial.clone().showing(&clients.client("bob", 2));
    assert_eq!(ask(&bob, &proxy, &[]), [403, 403], "he is known, and in no group");
    let config = dial.showing(&ann).config();
    let mut stays = connect(&config, &proxy.web(), "site.test").unwrap();
    assert_eq!(stays.get("/v1/x").status, 200);
    rewrite(&proxy, |text| text.replace(&fingerprint(&ann), &"00".repeat(32)));
    reload(&proxy, "applied");
    assert_eq!(stays.get("/v1/x").status, 401, "the connection is open, and the certificate nobody's");
}

#[test]
fn conditions_go_by_what_a_client_s_certificate_says() {
    let (edge, clients, target) = (Edge::new(), Authority::new("Clients"), Target::echo("a"));
    let ann = clients.client("ann", 1);
    let print = fingerprint(&ann).replace(':', "").to_lowercase();
    let conditions = [
        "tls.client_certificate.present",
        "tls.client_certificate.common_name == 'bob'",
        "tls.client_certificate.subject == 'CN=carol,O=Example\\\\, Inc.'",
        "tls.client_certificate.san.contains('email:dave@')",
        &format!("tls.client_certificate.fingerprint == '{print}'"),
        "tls.enabled && tls.version == '1.2' && tls.sni == 'site.test' && !tls.client_certificate.present",
    ];
    let routes: String = (1..)
        .zip(conditions)
        .map(|(place, when)| {
            format!(
                "[routes.r{place}]\npaths = [\"/x/\"]\nlisteners = [\"web\", \"clear\"]\npriority = {place}\n\
                 when = \"{}\"\nrespond = {{ status = 200, body = \"{place}\" }}\n",
                when.replace('\\', "\\\\")
            )
        })
        .collect();
    let allowed = "[routes.ours]\npaths = [\"/ours/\"]\nlisteners = [\"web\", \"clear\"]\nrespond = { status = 204 }\nrules = [\"ours\"]\n\
                   [rules.ours]\ntype = \"cel\"\nallow = \"tls.client_certificate.subject.endsWith('Inc.')\"\n";
    let other = "[routes.other]\npaths = [\"/x/\"]\nlisteners = [\"web\", \"clear\"]\nrespond = { status = 200, body = \"other\" }\n";
    let dial = edge.authority.dial();
    let text = config(&edge, &clients, &ann, &target, "[\"mtls\"]") + &routes + other + allowed;
    let proxy = edge.setup.with(text).start();
    let taken = |dial: &Dial| {
        let over_h1 = dial.to(&proxy.web(), "site.test").get("/x/");
        let client = h2::Client::secure(dial.clone().alpn(&["h2"]).config(), &proxy.web(), "site.test");
        assert_eq!(client.get("/x/").body, over_h1.text().as_bytes());
        (over_h1.text(), client.get("/ours/").status.as_u16())
    };
    for (name, expected) in [("ann", "5"), ("bob", "2"), ("carol", "3"), ("dave", "4"), ("eve", "1")] {
        let made = if name == "ann" { ann.clone() } else { clients.client(name, 7) };
        assert_eq!(taken(&dial.clone().showing(&made)), (expected.to_owned(), 204), "{name}");
    }
    assert_eq!(taken(&dial.clone().version(&TLS12)), ("6".to_owned(), 403));
    assert_eq!(taken(&dial.version(&TLS13)), ("other".to_owned(), 403));
    assert_eq!(Client::to(&proxy.at("clear")).get("/x/").text(), "other");
    assert_eq!(Client::to(&proxy.at("clear")).get("/ours/").status, 403);
}

#[test]
fn faults_of_certificates_name_their_place() {
    let (edge, clients, target) = (Edge::new(), Authority::new("Clients"), Target::echo("a"));
    let text = config(&edge, &clients, &clients.client("ann", 1), &target, "[\"any\"]")
        .replace("clients.pem", &edge.setup.directory().join("clients.pem").display().to_string())
        .replace("\"site.", &format!("\"{}/site.", edge.setup.directory().display()));
    for (from, to, expected) in [
        ("\"cn:carol\"", "\"CN=carol\"", &["`CN=carol`", "begins with none of sha256:", "write \"dns:"][..]),
        ("\"cn:carol\"", "\"email:bob@site.test\"", &["`email:bob@site.test`", "consumer `bob` has", "as well"]),
        ("\"optional\"", "\"none\"", &["rules = [\"any\"]", "no listener of this route asks clients for one"]),
    ] {
        let told = faults(&text, from, to);
        assert!(expected.iter().all(|part| told.contains(part)), "{told}");
    }
}
