//! tungstenite, a library of WebSockets, as client and as target: it masks, fragments and closes by the book.

use super::Front;
use crate::support::{Client, PATIENCE, Target, assert_same, eventually, pattern};
use std::sync::{Arc, Mutex};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message};

/// Mirrors messages, and leaves where one asks for it. What it is told at the end goes into the list.
fn mirror() -> (Target, Arc<Mutex<Vec<CloseFrame>>>) {
    let told: Arc<Mutex<Vec<CloseFrame>>> = Arc::default();
    let tells = told.clone();
    let target = Target::with("ws", move |peer| {
        peer.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let Ok(mut socket) = tungstenite::accept(&mut **peer) else { return };
        // It answers pings by itself.
        while let Ok(message) = socket.read() {
            let _ = match message {
                Message::Text(text) if text == "leave" => socket.close(Some(close(4000, "have left"))),
                Message::Text(_) | Message::Binary(_) => socket.send(message),
                Message::Close(frame) => {
                    tells.lock().unwrap().extend(frame);
                    Ok(())
                }
                _ => Ok(()),
            };
        }
    });
    (target, told)
}

fn close(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code: code.into(), reason: reason.into() }
}

/// In clear, over TLS, and over HTTP/2 to the target.
fn each_way(target: &Target, mut talk: impl FnMut(Client)) {
    let (clear, secure) = (Front::start(false, &[target], ""), Front::start(true, &[target], ""));
    let outer = Front::start(false, &[clear.proxy.web()], "protocol = \"h2\"");
    for front in [&clear, &secure, &outer] {
        talk(front.dial());
    }
}

#[test]
fn messages_of_any_size_pass_both_ways() {
    let (target, _) = mirror();
    let bytes = pattern(1 << 20);
    each_way(&target, |mut client| {
        let (mut socket, answer) = tungstenite::client("ws://site.test/chat", &mut *client).unwrap();
        assert_eq!(answer.status(), 101);
        for text in ["", "gr\u{fc}\u{df}e", &"x".repeat(70_000)] {
            socket.send(Message::text(text)).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text(text));
        }
        for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            socket.send(Message::binary(bytes[..size].to_vec())).unwrap();
            assert_same(&socket.read().unwrap().into_data(), &bytes[..size]);
        }
    });
}

#[test]
fn pings_are_answered_by_the_other_end_in_their_order() {
    let (target, _) = mirror();
    each_way(&target, |mut client| {
        let (mut socket, _) = tungstenite::client("ws://site.test/chat", &mut *client).unwrap();
        for n in 0..20 {
            let payload = format!("{n}");
            socket.send(Message::Ping(payload.clone().into())).unwrap();
            socket.send(Message::text(&payload)).unwrap();
            assert_eq!(socket.read().unwrap(), Message::Pong(payload.clone().into()));
            assert_eq!(socket.read().unwrap(), Message::text(payload));
        }
    });
}

#[test]
fn whoever_closes_is_heard_with_code_and_reason() {
    let (target, told) = mirror();
    each_way(&target, |mut client| {
        let (mut socket, _) = tungstenite::client("ws://site.test/chat", &mut *client).unwrap();
        socket.close(Some(close(4001, "enough"))).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Close(Some(close(4001, "enough"))), "its echo");
        assert!(matches!(socket.read(), Err(Error::ConnectionClosed)), "in good order");
        eventually("the target is told", || std::mem::take(&mut *told.lock().unwrap()) == [close(4001, "enough")]);
    });
    each_way(&target, |mut client| {
        let (mut socket, _) = tungstenite::client("ws://site.test/chat", &mut *client).unwrap();
        socket.send(Message::text("leave")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Close(Some(close(4000, "have left"))));
        assert!(matches!(socket.read(), Err(Error::ConnectionClosed)), "in good order");
    });
}
