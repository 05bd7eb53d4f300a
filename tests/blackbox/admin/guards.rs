//! Who may do what: the token, the socket's rights, other sites' pages, the bounds of requests.

use super::{Operator, desk, setup, start};
use crate::support::client::Client;
use crate::support::proxy::Setup;
use crate::support::target::refused;
use crate::support::tls::{Authority, Kind, listener};
use crate::support::toml::{http, http_with};
use crate::support::{PATIENCE, eventually};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const BAN: &str = "/v1/bans/192.0.2.1";

#[test]
fn without_a_token_tcp_is_read_only_and_the_socket_may_change() {
    let desk = start(&http(&[refused()]));
    let remote = desk.remote();
    assert_eq!(remote.get("/v1/status")["state"], "ready");
    assert!(remote.wrong("PUT", BAN, "{}", 403).contains("token_file"));
    assert!(remote.wrong("POST", "/v1/reload", "", 403).contains("read only"));
    desk.operator.told("PUT", BAN, "{}", 200);
    let socket = desk.proxy.config_file().with_file_name("admin.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn operators_with_a_certificate_change_things_through_a_listener_in_front_of_the_socket() {
    let (setup, authority, operators) = (Setup::new(""), Authority::new("Test"), Authority::new("Operators"));
    let folder = setup.directory().display().to_string();
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    std::fs::write(setup.directory().join("operators.pem"), operators.pem()).unwrap();
    let asks = listener(&["site"], "client_auth = { mode = \"required\", ca = \"operators.pem\" }");
    let admin = format!("[admin]\nsocket = \"{folder}/admin.sock\"\n");
    let config = admin + &http_with(&asks, &[format!("unix:{folder}/admin.sock")], "");
    let proxy = setup.with(config).runtime(&format!("state_dir = \"{folder}/state\"")).start();
    let dial = authority.dial().version(&rustls::version::TLS12);
    assert!(dial.try_to(&proxy.web(), "site.test").is_err(), "nobody comes in without one");
    let mut client = dial.showing(&operators.client("ann", 6)).to(&proxy.web(), "site.test");
    assert_eq!(client.get("/dashboard/").status, 200);
    assert!(client.get("/v1/session").text().contains("\"changes\":true"));
    for (origin, status) in [("https://site.test", 200), ("https://evil.test", 403), ("https://site.test:8443", 403)] {
        let head =
            format!("PUT {BAN} HTTP/1.1\r\nHost: site.test\r\nOrigin: {origin}\r\nContent-Type: application/json");
        client.send(format!("{head}\r\nContent-Length: 2\r\n\r\n{{}}"));
        assert_eq!(client.response().status, status, "{origin}");
    }
}

#[test]
fn a_token_that_the_group_may_read_is_as_it_should_be() {
    let setup = setup(&http(&[refused()]), "token_file = \"admin.token\"");
    let file = setup.directory().join("admin.token");
    std::fs::write(&file, "0123456789abcdef0123\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let desk = desk(setup.start());
    assert_eq!(desk.remote().with("Authorization: Bearer 0123456789abcdef0123").ask("PUT", BAN, "{}").status, 200);
    assert!(!desk.proxy.log.contains(&["others may read the admin token"]));
}

#[test]
fn changes_over_tcp_need_the_token_of_the_file_as_it_is_now() {
    let setup = setup(&http(&[refused()]), "token_file = \"admin.token\"");
    let file = setup.directory().join("admin.token");
    std::fs::write(&file, "0123456789abcdef0123\n").unwrap();
    let desk = desk(setup.start());
    desk.proxy.log.wait(&["others may read the admin token", "chmod 600"]);
    let ask = |field: &str| desk.remote().with(field).ask("PUT", BAN, "{}");
    assert_eq!(desk.remote().get("/v1/bans")["items"].as_array().unwrap().len(), 0, "reading is free on loopback");
    for field in [
        "X: y",
        "Authorization: Bearer 0123456789abcdef012",
        "Authorization: Bearer 0123456789abcdef01234",
        "Authorization: Basic 0123456789abcdef0123",
        "Authorization: 0123456789abcdef0123",
        "Authorization: Bearer 0123456789abcdef0123\r\nAuthorization: Bearer x",
    ] {
        let response = ask(field);
        assert_eq!(response.status, 401, "{field}");
        assert!(response.field("www-authenticate").unwrap().starts_with("Bearer"), "{field}");
        assert!(!response.text().contains("0123"), "{}", response.text());
    }
    let asked = Instant::now();
    assert_eq!(desk.remote().with("Authorization: Bearer wrong").ask("GET", "/v1/bans", "").status, 401);
    assert!(asked.elapsed() >= Duration::from_millis(300), "who guesses has to wait");
    desk.proxy.log.wait(&["a wrong admin token was shown", "127.0.0.1"]);
    assert_eq!(ask("Authorization: bearer 0123456789abcdef0123").status, 200);
    std::fs::write(&file, "another-token-of-16-bytes").unwrap();
    eventually("the new token counts", || ask("Authorization: Bearer another-token-of-16-bytes").status == 200);
    assert_eq!(ask("Authorization: Bearer 0123456789abcdef0123").status, 401);
    std::fs::write(&file, "short").unwrap();
    desk.proxy.log.wait(&["the admin token from before stays", "less than 16 bytes"]);
    assert_eq!(ask("Authorization: Bearer another-token-of-16-bytes").status, 200);
    assert!(!desk.proxy.log.contains(&["0123456789abcdef0123"]) && !desk.proxy.log.contains(&["another-token"]));
    let page = desk.operator.ask("GET", "/v1/plan", "").text();
    assert!(page.contains("admin.token") && !page.contains("another-token"), "{page}");
}

#[test]
fn an_address_that_others_can_reach_asks_for_the_token_always() {
    let setup = Setup::new("");
    let file = setup.directory().join("t");
    std::fs::write(&file, "0123456789abcdef").unwrap();
    let admin = format!("[admin]\nlisten = \"0.0.0.0:0\"\ntoken_file = \"{}\"\n", file.display());
    let proxy = setup.with(admin + &http(&[refused()])).start();
    let at = proxy.admin().replace("0.0.0.0", "127.0.0.1");
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 401), ("/v1/status", 401), ("/x", 401)] {
        assert_eq!(Operator::at(&at).ask("GET", path, "").status, status, "{path}");
    }
    let knowing = Operator::at(&at).with("Authorization: Bearer 0123456789abcdef");
    for (path, status) in [("/metrics", 200), ("/v1/status", 200), ("/x", 404)] {
        assert_eq!(knowing.ask("GET", path, "").status, status, "{path}");
    }
}

#[test]
fn a_token_that_cannot_be_used_is_told_at_the_start() {
    for (text, told) in [(Some("short"), "less than 16 bytes"), (None, "cannot be read")] {
        let setup = setup(&http(&[refused()]), "token_file = \"t\"");
        if let Some(text) = text {
            std::fs::write(setup.directory().join("t"), text).unwrap();
        }
        let mut proxy = setup.spawn();
        assert_eq!(proxy.exit().code(), Some(1));
        proxy.log.wait(&["admin.token_file cannot be used", told]);
    }
}

#[test]
fn a_page_of_another_site_changes_nothing_and_is_granted_nothing() {
    let desk = start(&http(&[refused()]));
    let put = |field: &str| Operator::at(&desk.operator.at).with(field).ask("PUT", BAN, "{}").status;
    for field in [
        "Origin: http://evil.example",
        "Origin: https://localhost.evil.example",
        "Origin: https://localhost:9",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://localhost\r\nSec-Fetch-Site: cross-site",
    ] {
        assert_eq!(put(field), 403, "{field}");
    }
    assert_eq!(desk.operator.get("/v1/bans")["items"].as_array().unwrap().len(), 0);
    for field in
        ["Origin: http://localhost", "Origin: https://localhost", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"]
    {
        assert_eq!(put(field), 200, "{field}");
    }
    let asks = desk.remote().with("Origin: http://evil.example").with("Access-Control-Request-Method: PUT");
    for response in [asks.ask("OPTIONS", BAN, ""), asks.ask("GET", "/v1/bans", "")] {
        assert!(response.head.lines("access-control-allow-origin").is_empty(), "{:?}", response.head);
    }
    assert_eq!(asks.ask("OPTIONS", BAN, "").status, 405);
    let foreign = crate::support::client::get(&desk.proxy.admin(), "/v1/status");
    assert_eq!(foreign.status, 403, "a name of another site");
}

#[test]
fn bodies_are_bounded_typed_and_known_to_the_last_field() {
    let desk = start(&http(&[refused()]));
    let operator = &desk.operator;
    let large = format!("{{\"reason\":\"{}\"}}", "x".repeat(70_000));
    operator.wrong("PUT", BAN, &large, 413);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let other = Operator::at(&operator.at).with(format!("Content-Type: {kind}"));
        assert!(other.wrong("PUT", BAN, "{}", 415).contains("application/json"), "{kind}");
    }
    let charset = Operator::at(&operator.at).with("Content-Type: Application/JSON; charset=utf-8");
    charset.told("PUT", BAN, "{}", 200);
    for (body, status, told) in [
        ("{\"reson\":\"x\"}", 422, "unknown field `reson`"),
        ("{\"reason\":7}", 422, "expected a string"),
        ("{\"for\":\"10\"}", 422, "`for` cannot be `10`: it has no unit"),
        ("{\"for\":\"0s\"}", 422, "longer than 0s"),
        ("{\"reason\":\"a\\nb\"}", 422, "one line"),
        ("{", 400, "EOF"),
        ("{} {}", 400, "trailing"),
        ("[]", 422, "must be an object"),
        ("null", 422, "must be an object"),
    ] {
        let detail = operator.wrong("PUT", BAN, body, status);
        assert!(detail.contains(told), "{body}: {detail}");
    }
    for (path, told) in [
        ("/v1/bans?limt=3", "unknown field `limt`"),
        ("/v1/bans?limit=0", "1 to 1000"),
        ("/v1/bans?limit=x", "1 to 1000"),
        ("/v1/bans?limit=1&limit=2", "twice"),
        ("/v1/bans?after=%zz", "not encoded"),
    ] {
        let detail = operator.wrong("GET", path, "", 422);
        assert!(detail.contains(told), "{path}: {detail}");
    }
}

#[test]
fn slow_and_huge_clients_hold_up_nobody() {
    let desk = start(&http(&[refused()]));
    let mut slow = Vec::new();
    for _ in 0..30 {
        let mut client = Client::to(&desk.operator.at);
        client.send(format!(
            "PUT {BAN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        ));
        slow.push(client);
        let mut client = Client::to(&desk.proxy.admin());
        client.send("GET /v1/status HTTP/1.1\r\nHost: loc");
        slow.push(client);
    }
    let huge = std::thread::spawn({
        let at = desk.operator.at.clone();
        move || {
            let mut client = Client::to(&at);
            client.send(format!(
                "PUT {BAN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            ));
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            (0..1000).take_while(|_| client.try_send(&chunk).is_ok()).count()
        }
    });
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(desk.operator.get("/v1/status")["state"], "ready");
        assert_eq!(desk.proxy.ask_admin("GET", "/readyz").status, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(huge.join().unwrap() < 1000, "it was not read to its end");
    let late = slow[0].response_to("PUT").unwrap();
    assert_eq!(late.status, 408, "a body has its time");
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn the_socket_goes_with_its_process_and_a_dead_one_is_replaced() {
    let setup = setup(&http(&[refused()]), "");
    let socket = setup.directory().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut desk = desk(setup.start());
    assert_eq!(desk.operator.get("/v1/status")["state"], "ready");
    let second = super::setup(&http(&[refused()]), "");
    let text = std::fs::read_to_string(desk.proxy.config_file()).unwrap();
    let mut second = second.with(text.split_once("[admin]").map(|(_, rest)| format!("[admin]{rest}")).unwrap()).spawn();
    assert_eq!(second.exit().code(), Some(1));
    second.log.wait(&["the admin socket cannot listen", "Address already in use"]);
    second.log.wait(&["help:", "is Ringway running already?"]);
    desk.proxy.signal(libc::SIGTERM);
    assert!(desk.proxy.exit().success());
    assert!(!socket.exists());
}
