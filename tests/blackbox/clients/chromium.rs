//! Chromium: a page with all that a page does, and what came of it.

use super::{Front, run};
use crate::support::{PATIENCE, Target, within};
use crate::upgrade::accept;
use base64::Engine as _;
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use tungstenite::protocol::{Role, WebSocket};

/// The page and what belongs to it. The browser shows what it has when all is loaded, so that one image is held back until the
/// page has found what it looks for.
fn site() -> Target {
    let found = AtomicBool::new(false);
    Target::with("site", move |peer| {
        while let Some(seen) = peer.request() {
            let image = r#"<svg xmlns="http://www.w3.org/2000/svg" width="3" height="2"/>"#;
            let (kind, body) = match seen.path.as_str() {
                "/page" => ("text/html", include_str!("page.html")),
                "/echo" => {
                    peer.echo(&seen);
                    continue;
                }
                "/found" => {
                    found.store(true, Ordering::SeqCst);
                    ("text/plain", "")
                }
                "/held" => {
                    within(PATIENCE, || found.load(Ordering::SeqCst));
                    ("image/svg+xml", image)
                }
                "/socket" => {
                    let key = accept(&seen.field("sec-websocket-key").unwrap());
                    peer.send(format!(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Accept: {key}\r\n\r\n"
                    ));
                    let mut socket = WebSocket::from_raw_socket(&mut **peer, Role::Server, None);
                    while let Ok(message) = socket.read() {
                        if message.is_text() && socket.send(message).is_err() {
                            return;
                        }
                    }
                    return;
                }
                path if path.starts_with("/script/") => ("text/javascript", "scripts++;"),
                path if path.starts_with("/image/") => ("image/svg+xml", image),
                // The browser asks for an icon, too.
                _ => ("text/plain", ""),
            };
            if peer.reply(200, &[&format!("Content-Type: {kind}")], body.as_bytes()).is_none() {
                return;
            }
        }
    })
}

/// What the page finds.
fn findings(front: &Front) -> Value {
    let folder = front.ca.parent().unwrap();
    let key = KeyPair::from_pem(&std::fs::read_to_string(folder.join("site.key")).unwrap()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key.subject_public_key_info());
    let trusted = base64::engine::general_purpose::STANDARD.encode(digest);
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"]);
    command.args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", folder.join("chromium").display()));
    command.arg(format!("--ignore-certificate-errors-spki-list={trusted}"));
    let (good, page, told) =
        run(command.args(["--host-resolver-rules=MAP site.test 127.0.0.1", "--dump-dom", &front.url("/page")]));
    let text = page.split_once("<pre id=\"findings\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let found = text.and_then(|(text, _)| serde_json::from_str(text).ok());
    found.unwrap_or_else(|| panic!("{good}\n{page}\n{told}"))
}

#[track_caller]
fn assert_all_comes(secure: bool, protocol: &str, logged: &str) {
    let site = site();
    let front = Front::start(secure, &[&site], "");
    let talked = json!({ "got": [1, 200, 70_000], "code": 4002, "clean": true });
    let want = json!({
        "scripts": 30, "images": vec![3; 20], "uploads": [true, true, true], "talked": talked,
        // The page itself, and all but the socket.
        "loaded": 1 + 30 + 20 + 3, "protocols": [protocol],
    });
    assert_eq!(findings(&front), want);
    for path in ["/page", "/script/29", "/image/19", "/echo", "/socket"] {
        let line = front.proxy.out.wait(&[&format!("\"uri\":\"{path}\"")]);
        assert!(line.contains(&format!("\"protocol\":\"{logged}\"")), "{line}");
    }
}

#[test]
fn a_page_over_tls_comes_by_http2_and_its_websocket_too() {
    assert_all_comes(true, "h2", "HTTP/2.0");
}

#[test]
fn a_page_in_clear_comes_by_http11() {
    assert_all_comes(false, "http/1.1", "HTTP/1.1");
}
