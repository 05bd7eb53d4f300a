//! Heads bent at random: whatever is let through must read the same on the other side.

use super::*;
use crate::http::head::{Name, TargetForm};

/// Heads with something of everything that the parsers look at.
const SEEDS: [&str; 6] = [
    "GET /a/b?c=d HTTP/1.1\r\nHost: a.test:80\r\nUser-Agent: x\r\nAccept: */*\r\nConnection: keep-alive, x-a\r\nX-A: b\r\n\r\n",
    "POST http://a.test/x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\n",
    "PUT / HTTP/1.0\r\nHost: [::1]:8080\r\nContent-Length: 17\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nX_Real_IP: 5\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGVzdHRlc3R0ZXN0dGVzdA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=b\r\n\r\n",
    "HTTP/1.1 101 Switching\r\nDate: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
];

fn mutate(random: &mut fastrand::Rng, text: &mut Vec<u8>) {
    const WORDS: [&[u8]; 16] = [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"\0",
        b",",
        b"\r\n ",
        b"chunked",
        b"Content-Length: 3\r\n",
        b"Host: b\r\n",
        b"\xff",
        b"?",
        b"#",
        b"*",
    ];
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=text.len());
        match random.u8(..6) {
            0 if at < text.len() => text[at] = random.u8(..),
            1 if at < text.len() => text[at] ^= 1 << random.u8(..8),
            2 => drop(text.drain(at..(at + random.usize(..4)).min(text.len()))),
            3 => {
                let from = random.usize(..=text.len());
                let piece = text[from..(from + random.usize(..30)).min(text.len())].to_vec();
                text.splice(at..at, piece);
            }
            4 if random.u8(..8) == 0 => text.truncate(at.max(8)),
            _ => drop(text.splice(at..at, random.choice(WORDS).unwrap_or_default().iter().copied())),
        }
    }
}

#[test]
fn what_is_forwarded_reads_as_what_was_understood() {
    let mut random = fastrand::Rng::with_seed(42);
    let (mut served, mut refused) = (0, 0);
    let (mut out, mut head, mut again) = (Vec::new(), RequestHead::default(), RequestHead::default());
    for round in 0..100_000 {
        let mut text = SEEDS[round % 4].as_bytes().to_vec();
        mutate(&mut random, &mut text);
        let incoming = match parse_request(&text, &LIMITS, &mut Scan::default(), &mut head) {
            Ok(Parsed::Complete(incoming)) => incoming,
            Ok(Parsed::Partial { .. }) => continue,
            Err(reject) => {
                refused += 1;
                assert!((400..=505).contains(&reject.status) && !reject.reason.is_empty());
                continue;
            }
        };
        served += 1;
        out.clear();
        let style = [Style::Xff, Style::Rfc7239, Style::Both, Style::None][round / 4 % 4];
        let forwarding = Forwarding { style, trusted: round % 3 == 0, ..FORWARDING };
        encode_request(&mut out, &head, &text, &Onward { forwarding, ..onward(&incoming) });
        let shown = || format!("{}\n-> {}", text.escape_ascii(), out.escape_ascii());
        let second = match parse_request(&out, &LIMITS, &mut Scan::default(), &mut again) {
            Ok(Parsed::Complete(second)) => second,
            other => panic!("{other:?}: {}", shown()),
        };
        assert_eq!(second.head_len, out.len(), "{}", shown());
        assert_eq!((second.framing, second.websocket), (incoming.framing, incoming.websocket), "{}", shown());
        assert_eq!(again.method_text.of(&out), head.method_text.of(&text), "{}", shown());
        assert_eq!(again.query.map(|query| query.of(&out)), head.query.map(|query| query.of(&text)), "{}", shown());
        assert_eq!(again.fields.iter().filter(|field| field.kind == Name::Host).count(), 1, "{}", shown());
        assert_ne!(again.form, TargetForm::Absolute, "{}", shown());
        if !head.authority.is_empty() {
            assert_eq!(again.authority.of(&out), head.authority.of(&text), "{}", shown());
        }
        assert!(again.find(Name::Disguised).is_none() && again.find(Name::Proxy).is_none(), "{}", shown());
        if !forwarding.trusted {
            let claims = |value: &[u8]| value != FORWARDING.peer && value == b"1.2.3.4";
            assert!(!again.values(&out, b"x-forwarded-for").any(claims), "{}", shown());
        }
    }
    assert!(served > 10_000 && refused > 10_000, "{served} {refused}");
}

#[test]
fn what_is_returned_reads_as_what_was_understood() {
    let mut random = fastrand::Rng::with_seed(43);
    let (mut good, mut bad) = (0, 0);
    let (mut out, mut head, mut again) = (Vec::new(), ResponseHead::default(), ResponseHead::default());
    for round in 0..100_000 {
        let mut text = SEEDS[4 + round % 2].as_bytes().to_vec();
        mutate(&mut random, &mut text);
        let question =
            Question { method: if round % 5 == 0 { Method::Head } else { Method::Get }, websocket: round % 4 == 1 };
        let answer = match parse_response(&text, &question, &LIMITS, &mut Scan::default(), &mut head) {
            Ok(Parsed::Complete(answer)) => answer,
            Ok(Parsed::Partial { .. }) => continue,
            Err(_) => {
                bad += 1;
                continue;
            }
        };
        good += 1;
        out.clear();
        let backward = Backward {
            framing: answer.framing.towards(Version::Http11),
            tunnel: answer.tunnel,
            method: question.method,
            ..BACKWARD
        };
        match answer.interim {
            true => encode_interim(&mut out, &head, &text),
            false => encode_response(&mut out, &head, &text, &backward),
        }
        let shown = || format!("{}\n-> {}", text.escape_ascii(), out.escape_ascii());
        let second = match parse_response(&out, &question, &LIMITS, &mut Scan::default(), &mut again) {
            Ok(Parsed::Complete(second)) => second,
            other => panic!("{other:?}: {}", shown()),
        };
        assert_eq!(second.head_len, out.len(), "{}", shown());
        assert_eq!((second.framing, again.status), (backward.framing, head.status), "{}", shown());
        let count = |kind| again.fields.iter().filter(|field| field.kind == kind).count();
        assert!(count(Name::ContentLength) + count(Name::TransferEncoding) <= 1, "{}", shown());
    }
    assert!(good > 10_000 && bad > 10_000, "{good} {bad}");
}
