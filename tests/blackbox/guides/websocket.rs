//! WebSockets that stay: with their target, over silence, over a reload and an upgrade, and while a target drains.

use super::Guide;
use crate::reload::{reload, rewrite};
use crate::support::proxy::{Proxy, Setup, ringway};
use crate::support::tls::{Authority, Dial, Kind};
use crate::support::wire::Wire;
use crate::support::{PATIENCE, Target, eventually};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

/// Answers plain requests with its name, and over a WebSocket says it again whenever it is asked.
fn chat(name: &'static str) -> Target {
    Target::with(name, move |peer| {
        peer.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let Some(seen) = peer.head() else { return };
        if seen.path != "/chat" {
            peer.reply(200, &["Connection: close"], name.as_bytes());
            return;
        }
        let key = seen.field("sec-websocket-key").unwrap();
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        peer.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        ));
        let mut socket = WebSocket::from_raw_socket(&mut **peer, tungstenite::protocol::Role::Server, None);
        while let Ok(message) = socket.read() {
            if message.is_text() && socket.send(Message::text(name)).is_err() {
                return;
            }
        }
    })
}

struct Chat {
    targets: [Target; 2],
    dial: Dial,
    setup: Setup,
}

fn chat_with(change: impl FnOnce(Guide) -> Guide) -> Chat {
    let authority = Authority::new("Guide");
    let targets = ["a", "b"].map(chat);
    let guide = Guide::read("websocket")
        .with("\"0.0.0.0:443\", \"[::]:443\"", "\"127.0.0.1:0\"")
        .with("10.0.0.51:8080", &targets[0])
        .with("10.0.0.52:8080", &targets[1]);
    let setup = change(guide).setup();
    authority.server(&["chat.example.com"], Kind::Ecdsa).write(&setup.directory().join("certs"), "chat.example.com");
    Chat { targets, dial: authority.dial(), setup }
}

/// Begins a WebSocket as a browser does that has this cookie: where it came to, and the cookie that it is given.
fn open(proxy: &Proxy, dial: &Dial, cookie: Option<&str>) -> (WebSocket<Wire>, String, Option<String>) {
    let client = dial.to(&proxy.at("secure"), "chat.example.com");
    client.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = "wss://chat.example.com/chat".into_client_request().unwrap();
    if let Some(cookie) = cookie {
        request.headers_mut().insert("cookie", HeaderValue::from_str(cookie).unwrap());
    }
    let (mut socket, answer) =
        tungstenite::client(request, client.into_wire()).unwrap_or_else(|error| panic!("{error}"));
    let given = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
    let with = says(&mut socket).unwrap();
    (socket, with, given)
}

/// Who is at the other end.
fn says(socket: &mut WebSocket<Wire>) -> Option<String> {
    socket.send(Message::text("who")).ok()?;
    socket.read().ok().map(|message| message.into_text().unwrap().to_string())
}

fn value(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_client_stays_with_its_target_and_its_socket_lives_through_changes() {
    let Chat { targets, dial, setup } = chat_with(|guide| guide);
    let mut proxy = setup.start();
    let (mut first, home, given) = open(&proxy, &dial, None);
    let given = given.expect("who is new is given a cookie");
    for part in ["CHATSRV=", "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(given.contains(part), "{given}");
    }
    let cookie = value(&given);
    let mut others: Vec<_> = (0..3).map(|_| open(&proxy, &dial, None)).collect();
    let at_home = others.iter().filter(|(_, with, _)| *with == home).count();
    assert_eq!(at_home, 1, "who is new goes to the target with the fewest");
    for _ in 0..3 {
        let (socket, with, again) = open(&proxy, &dial, Some(&cookie));
        assert_eq!((&with, again), (&home, None), "who was here before goes where it was");
        others.push((socket, with, None));
    }
    let seen = targets.iter().flat_map(Target::seen).find(|seen| seen.head.start.contains("/chat")).unwrap();
    assert_eq!(seen.field("cookie"), None, "targets do not see it");
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("https"));

    // Drained: those who belong there still come, nobody new does, and nobody is cut off.
    let target = targets.iter().find(|target| target.name() == home).unwrap().to_string();
    let file = proxy.config_file().display().to_string();
    let (code, said, why) = ringway(&["target", "set", "chat", &target, "--state", "drain", "-c", &file]);
    assert_eq!(code, Some(0), "{said}{why}");
    assert_eq!(open(&proxy, &dial, Some(&cookie)).1, home);
    for _ in 0..4 {
        assert_ne!(open(&proxy, &dial, None).1, home);
    }
    assert_eq!(says(&mut first).as_ref(), Some(&home));

    rewrite(&proxy, |text| text.replace("least-conn", "round-robin"));
    reload(&proxy, "applied");
    assert_eq!(says(&mut first).as_ref(), Some(&home), "a reload ends none");
    proxy.upgrade();
    assert_eq!(says(&mut first).as_ref(), Some(&home), "nor does an upgrade");
    assert_eq!(open(&proxy, &dial, Some(&cookie)).1, home, "and the new process knows where a client belongs");

    // Lost: the client goes to the other one, and is told so.
    targets.iter().find(|target| target.name() == home).unwrap().kill();
    let (_, with, moved) = open(&proxy, &dial, Some(&cookie));
    assert_ne!(with, home);
    assert_ne!(value(&moved.expect("another cookie")), cookie);
}

#[test]
fn a_socket_may_be_silent_for_as_long_as_the_page_says_and_no_longer() {
    let Chat { targets: _targets, dial, setup } =
        chat_with(|guide| guide.with("tunnel = \"4h\"", "tunnel = \"500ms\""));
    let proxy = setup.start();
    let (mut socket, _, _) = open(&proxy, &dial, None);
    assert!(socket.read().is_err(), "it ends");
    let record = proxy.out.wait(&["tunnel-timeout"]);
    assert!(record.contains("\"route\":\"chat\"") && record.contains("\"status\":101"), "{record}");
    eventually("nothing is left", || proxy.metric("ringway_pool_in_flight", &[("pool", "chat")]) == 0.0);
}
