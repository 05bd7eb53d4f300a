//! Protocols that servers complain about when who checks them is not polite (field case 25), and scripts.

use super::{Listens, health, passed, shown, up};
use crate::support::toml::tcp_with;
use crate::support::wire::Broken;
use crate::support::{Proxy, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn smtp_waits_for_the_greeting_reads_all_lines_and_says_quit() {
    let mail = Listens::with(|peer| {
        assert!(peer.quiet(Duration::from_millis(300)), "nothing is said before the greeting");
        peer.send("220-mail.test ESMTP\r\n220 ready\r\n");
        let hello = peer.exact("EHLO lb.example.test\r\n".len()).ok()?;
        for line in ["250-mail.test\r\n", "250-SIZE 1000\r\n", "250 HELP\r\n"] {
            thread::sleep(Duration::from_millis(20));
            peer.send(line);
        }
        let quit = peer.exact(6).ok()?;
        peer.send("221 bye\r\n");
        Some([hello, quit].concat())
    });
    let proxy = Proxy::start(tcp_with("", &[&mail.target], &health("\"smtp\", host = \"lb.example.test\"")));
    let (heard, end) = mail.wait_for(1);
    assert_eq!(String::from_utf8_lossy(&heard), "EHLO lb.example.test\r\nQUIT\r\n");
    assert_eq!(end, Broken::Closed, "by FIN, and not by a reset");
    eventually("the check passes", || passed(&proxy) >= 1.0);
    assert_eq!(shown(&proxy, "site", &mail.target)["check"]["detail"], "250 HELP");
}

#[test]
fn a_mail_server_that_turns_everybody_away_is_down() {
    let mail = Listens::with(|peer| peer.try_send("421 too busy\r\n").ok().map(|()| Vec::new()));
    let proxy = Proxy::start(tcp_with("", &[&mail.target], &health("\"smtp\"")));
    eventually("it is down", || !up(&proxy, &mail.target));
    let check = &shown(&proxy, "site", &mail.target)["check"];
    assert_eq!(
        (&check["result"], &check["code"], &check["detail"]),
        (&"L7STS".into(), &421.into(), &"421 too busy".into())
    );
    proxy.log.wait(&["target is down", "check=\"L7STS\"", "421 too busy"]);
}

/// A message of PostgreSQL.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

/// Reads the startup message.
fn startup(peer: &mut crate::support::target::Peer) -> Option<Vec<u8>> {
    let length = peer.exact(4).ok()?;
    let rest = peer.exact(u32::from_be_bytes(length[..].try_into().unwrap()) as usize - 4).ok()?;
    Some([length, rest].concat())
}

#[test]
fn postgres_begins_a_session_and_terminates_it() {
    let server = Listens::with(|peer| {
        let startup = startup(peer)?;
        peer.send(
            [message(b'R', &[0; 4]), message(b'S', b"a\0b\0"), message(b'K', &[0; 8]), message(b'Z', b"I")].concat(),
        );
        Some(startup)
    });
    let _proxy =
        Proxy::start(tcp_with("", &[&server.target], &health("\"postgres\", user = \"probe\", database = \"db\"")));
    let (heard, end) = server.wait_for(1);
    assert_eq!(&heard[4..8], [0, 3, 0, 0], "protocol 3.0");
    let text = String::from_utf8_lossy(&heard);
    assert!(text.contains("user\0probe\0database\0db\0"), "{text:?}");
    assert!(heard.ends_with(b"\0\0X\0\0\0\x04"), "Terminate is the last word: {text:?}");
    assert_eq!(end, Broken::Closed);
}

#[test]
fn postgres_that_starts_up_is_down_and_one_that_asks_for_a_password_is_alive() {
    let starting = Arc::new(AtomicBool::new(true));
    let copy = starting.clone();
    let server = Listens::with(move |peer| {
        let startup = startup(peer)?;
        match copy.load(Ordering::SeqCst) {
            true => peer.send(message(b'E', b"SFATAL\0C57P03\0Mthe database system is starting up\0\0")),
            false => peer.send(message(b'R', &[0, 0, 0, 10, b'S', 0, 0])),
        }
        Some(startup)
    });
    let proxy = Proxy::start(tcp_with("", &[&server.target], &health("\"postgres\", user = \"probe\"")));
    eventually("it is down", || !up(&proxy, &server.target));
    proxy.log.wait(&["target is down", "57P03 the database system is starting up"]);
    starting.store(false, Ordering::SeqCst);
    eventually("it is up", || up(&proxy, &server.target));
    let heard = server.heard.lock().unwrap().pop().unwrap();
    assert_eq!(heard.1, Broken::Closed);
    assert!(!heard.0.ends_with(b"X\0\0\0\x04"), "who owes a password leaves without a word, as the server has it");
}

/// A packet of MySQL.
fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

fn hear(peer: &mut crate::support::target::Peer) -> Option<(u8, Vec<u8>)> {
    let head = peer.exact(4).ok()?;
    let body = peer.exact(u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize).ok()?;
    Some((head[3], body))
}

const GREETING: &[u8] = b"\x0a8.0.36\0\x01\0\0\0saltsalt\0\xff\xf7\x21\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0caching_sha2_password\0";
const OK: &[u8] = b"\0\0\0\x02\0\0\0";

/// A node that lets everybody in and answers commands with `answer`.
fn node(answer: &'static [u8]) -> Listens {
    Listens::with(move |peer| {
        peer.send(packet(0, GREETING));
        let (sequence, login) = hear(peer)?;
        assert_eq!(sequence, 1);
        peer.send(packet(2, b"\xfecaching_sha2_password\0saltsaltsaltsaltsalt\0"));
        assert_eq!(hear(peer)?, (3, vec![0]), "there is no password");
        peer.send(packet(4, OK));
        let (sequence, command) = hear(peer)?;
        assert_eq!(sequence, 0, "each command begins anew");
        peer.send(packet(1, answer));
        let (_, quit) = hear(peer)?;
        Some([login, command, quit].concat())
    })
}

#[test]
fn mysql_is_logged_into_pinged_and_left_with_quit() {
    let server = node(OK);
    let proxy = Proxy::start(tcp_with("", &[&server.target], &health("\"mysql\", user = \"probe\"")));
    let (heard, end) = server.wait_for(1);
    let text = String::from_utf8_lossy(&heard);
    assert!(text.contains("probe\0") && heard.ends_with(&[0x0e, 0x01]), "{text:?}");
    assert_eq!(end, Broken::Closed);
    eventually("the check passes", || passed(&proxy) >= 1.0);
    assert_eq!(shown(&proxy, "site", &server.target)["check"]["detail"], "8.0.36");
}

#[test]
fn a_mysql_node_that_lets_in_but_refuses_queries_is_down() {
    let server = node(b"\xff\x17\x04#08S01WSREP has not yet prepared node for application use");
    let query = "\"mysql\", user = \"probe\", query = \"SELECT 1\"";
    let proxy = Proxy::start(tcp_with("", &[&server.target], &health(query)));
    eventually("it is down", || !up(&proxy, &server.target));
    proxy.log.wait(&["target is down", "1047 WSREP has not yet prepared node"]);
    let (heard, end) = server.wait_for(1);
    assert!(heard.ends_with(b"\x03SELECT 1\x01"), "{:?}", String::from_utf8_lossy(&heard));
    assert_eq!(end, Broken::Closed);
}

#[test]
fn a_mysql_handshake_is_never_cut_short_although_nobody_is_named() {
    let server = Listens::with(|peer| {
        peer.send(packet(0, GREETING));
        let (_, login) = hear(peer)?;
        peer.send(packet(2, b"\xff\x15\x04#28000Access denied for user"));
        Some(login)
    });
    let proxy = Proxy::start(tcp_with("", &[&server.target], &health("\"mysql\"")));
    let (heard, end) = server.wait_for(3);
    assert!(String::from_utf8_lossy(&heard).contains("ringway-health\0"), "the greeting is answered");
    assert_eq!(end, Broken::Closed);
    assert!(up(&proxy, &server.target), "a server that refuses a stranger is well");
}

#[test]
fn a_mysql_login_is_followed_to_its_end_whatever_the_server_asks() {
    // What it sends, and what is said to that.
    type Asks = &'static [(&'static [u8], &'static [u8])];
    const SHA2: Asks = &[(b"\xfecaching_sha2_password\0saltsaltsaltsaltsalt\0", &[0]), (b"\x01\x04", &[0])];
    const SIGNED: Asks = &[(b"\xfeclient_ed25519\0saltsaltsaltsaltsaltsaltsaltsalt", &[])];
    for asks in [SHA2, SIGNED] {
        let server = Listens::with(move |peer| {
            peer.send(packet(0, GREETING));
            let (mut sequence, _) = hear(peer)?;
            for (asked, answer) in asks {
                peer.send(packet(sequence + 1, asked));
                let (next, heard) = hear(peer)?;
                assert_eq!((next, heard.as_slice()), (sequence + 2, *answer), "there is no password");
                sequence = next;
            }
            peer.try_send(packet(sequence + 1, b"\xff\x15\x04#28000Access denied")).ok().map(|()| b"denied".to_vec())
        });
        let proxy = Proxy::start(tcp_with("", &[&server.target], &health("\"mysql\"")));
        assert_eq!(server.wait_for(2), (b"denied".to_vec(), Broken::Closed));
        assert!(up(&proxy, &server.target), "a stranger is turned away by a server that is well");
    }
}

#[test]
fn a_mysql_server_that_has_no_room_is_down_for_strangers_too() {
    let server = Listens::with(|peer| {
        peer.send(packet(0, GREETING));
        hear(peer)?;
        peer.try_send(packet(2, b"\xff\x10\x04#08004Too many connections")).ok().map(|()| Vec::new())
    });
    let proxy = Proxy::start(tcp_with("", &[&server.target], &health("\"mysql\"")));
    eventually("it is down", || !up(&proxy, &server.target));
    proxy.log.wait(&["target is down", "1040 Too many connections"]);
}

/// What somebody in between puts before the handshake is not taken for what the server has said.
#[test]
fn postgres_that_says_more_than_that_it_has_tls_is_not_believed() {
    let server = Listens::with(|peer| {
        let asked = peer.exact(8).ok()?;
        peer.send([&b"S"[..], &message(b'R', &[0; 4]), &message(b'Z', b"I")].concat());
        Some(asked)
    });
    let check = health("\"postgres\", user = \"probe\", tls = true");
    let proxy = Proxy::start(tcp_with("", &[&server.target], &check));
    eventually("it is down", || !up(&proxy, &server.target));
    proxy.log.wait(&["target is down", "check=\"L6RSP\"", "in clear"]);
    assert_eq!(server.wait_for(1).0, [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
}

#[test]
fn redis_is_shown_a_password_from_a_file_and_told_goodbye() {
    let server = Listens::with(|peer| {
        let auth = peer.exact(b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n".len()).ok()?;
        peer.send("+OK\r\n");
        let ping = peer.exact(b"*1\r\n$4\r\nPING\r\n".len()).ok()?;
        peer.send("+PONG\r\n");
        let quit = peer.exact(b"*1\r\n$4\r\nQUIT\r\n".len()).ok()?;
        peer.send("+OK\r\n");
        Some([auth, ping, quit].concat())
    });
    let setup = crate::support::proxy::Setup::new("");
    std::fs::write(setup.directory().join("password"), "secret\n").unwrap();
    let config = tcp_with("", &[&server.target], &health("\"redis\", password_file = \"password\""));
    let proxy = setup.with(config).start();
    let (heard, end) = server.wait_for(1);
    assert_eq!(
        String::from_utf8_lossy(&heard),
        "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n"
    );
    assert_eq!(end, Broken::Closed);
    eventually("the check passes", || passed(&proxy) >= 1.0);
    assert!(!proxy.log.contains(&["secret"]) && !proxy.ask_admin("GET", "/v1/pools").text().contains("secret"));
}

#[test]
fn a_redis_that_wants_a_password_or_still_loads_is_down() {
    for (answer, words) in [
        ("-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."),
        ("-LOADING Redis is loading the dataset in memory\r\n", "LOADING Redis is loading"),
    ] {
        let server = Listens::with(move |peer| {
            peer.exact(14).ok()?;
            peer.try_send(answer).ok().map(|()| Vec::new())
        });
        let proxy = Proxy::start(tcp_with("", &[&server.target], &health("\"redis\"")));
        eventually("it is down", || !up(&proxy, &server.target));
        proxy.log.wait(&["target is down", words]);
    }
}

/// checks/tcp-check_min-recv: what must not come is looked for in enough bytes.
#[test]
fn a_script_speaks_any_protocol_of_texts_and_bytes() {
    let server = Listens::with(|peer| {
        let hello = peer.exact(3).ok()?;
        peer.send("READY slowly ");
        thread::sleep(Duration::from_millis(50));
        peer.send("but surely\r\n");
        let ask = peer.exact(7).ok()?;
        peer.send("role: REP");
        thread::sleep(Duration::from_millis(50));
        peer.send("LICA\r\n");
        Some([hello, ask].concat())
    });
    let steps = "\"script\", steps = [{ send_hex = \"00 ff0a\" }, { expect = \"~^READY .* surely\" }, { send = \"ROLE?\\r\\n\" }, STEP]";
    let at = &server.target;
    let proxy = Proxy::start(tcp_with("", &[at], &health(&steps.replace("STEP", "{ expect_not = \"REPLICA\" }"))));
    eventually("a replica is no primary, however its answer comes", || !up(&proxy, at));
    proxy.log.wait(&["target is down", "step 4: `REPLICA` has come"]);
    let (heard, end) = server.wait_for(1);
    assert_eq!((heard.as_slice(), end), (&b"\0\xff\nROLE?\r\n"[..], Broken::Closed));
    let proxy = Proxy::start(tcp_with(
        "",
        &[at],
        &health(&steps.replace("STEP", "{ expect_not = \"PRIMARY\", min_bytes = 12 }")),
    ));
    eventually("it passes", || passed(&proxy) >= 1.0);
}
