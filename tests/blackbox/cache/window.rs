//! Objects that are too large to be kept: passed on to all who ask, through a window of memory.

use super::{config_with, told};
use crate::support::client::{Client, request};
use crate::support::{GLANCE, Proxy, Target, assert_same, eventually, pattern};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LENGTH: usize = 12 << 20;

/// A target of one large object that knows ranges to its end; it begins once `open` is 1 and ends once that is 2.
fn large(fields: &'static str, open: Arc<AtomicUsize>) -> Target {
    let body = pattern(LENGTH);
    Target::with("large", move |peer| {
        while let Some(seen) = peer.request() {
            let ranged = !fields.contains("none");
            let from = seen
                .field("range")
                .filter(|_| ranged)
                .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
            let status = match from {
                Some(from) => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{LENGTH}", LENGTH - 1),
                None => "200 OK".to_owned(),
            };
            let content = &body[from.unwrap_or(0)..];
            let head = format!(
                "HTTP/1.1 {status}\r\nCache-Control: max-age=60\r\n{fields}Content-Length: {}\r\n\r\n",
                content.len()
            );
            let middle = content.len().min(1 << 18);
            crate::support::within(crate::support::PATIENCE, || open.load(Ordering::SeqCst) > 0);
            if peer.try_send([head.as_bytes(), &content[..middle]].concat()).is_err() {
                return;
            }
            crate::support::within(crate::support::PATIENCE, || open.load(Ordering::SeqCst) > 1);
            if peer.try_send(&content[middle..]).is_err() {
                return;
            }
        }
    })
}

fn ask(proxy: &Proxy, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.send(request("GET", "/a", &[])));
    clients
}

#[test]
fn an_object_too_large_to_be_kept_goes_to_all_who_ask_and_a_slow_one_among_them_loses_nothing() {
    let open = Arc::new(AtomicUsize::new(0));
    let target = large("ETag: \"a\"\r\n", open.clone());
    let proxy = Proxy::start(config_with(&target, "", "8MiB", ""));
    let before = proxy.resident();
    let mut clients = ask(&proxy, 6);
    target.wait_for(1);
    std::thread::sleep(GLANCE);
    open.store(1, Ordering::SeqCst);
    for client in &mut clients {
        eventually("the first bytes are there", || {
            client.buffer.len() > 1000 || client.fill(Duration::from_secs(1)).is_ok()
        });
    }
    // On a busy machine one may have come too late to wait with the others.
    assert!(target.requests() <= 2, "one question for all who waited: {}", target.requests());
    open.store(2, Ordering::SeqCst);
    let want = pattern(LENGTH);
    let slow = clients.pop().unwrap();
    std::thread::scope(|scope| {
        for mut client in clients {
            let want = &want;
            scope.spawn(move || assert_same(&client.response().body, want));
        }
    });
    // It has read next to nothing until now.
    let mut slow = slow;
    let answer = slow.response();
    assert_eq!(answer.status, 200);
    assert_same(&answer.body, &want);
    assert!(slow.alive());
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let next = proxy.get("/a");
    assert_same(&next.body, &want);
    assert!(!told(&next).contains("hit"), "{}", told(&next));
}

#[test]
fn a_slow_client_loses_nothing_of_what_turns_out_too_large_in_its_middle() {
    let body = pattern(LENGTH);
    let target = Target::with("chunked", move |peer| {
        while let Some(seen) = peer.request() {
            let from: Option<usize> =
                seen.field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            let sent = match from {
                Some(from) => {
                    let part = format!("Content-Range: bytes {from}-{}/{LENGTH}", LENGTH - 1);
                    peer.reply(206, &["ETag: \"a\"", &part], &body[from..])
                }
                None => {
                    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\n";
                    let chunks = body
                        .chunks(100_000)
                        .map(|part| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
                    let all: Vec<u8> = chunks.flatten().collect();
                    peer.try_send([head.as_bytes(), &all, b"0\r\n\r\n"].concat()).ok()
                }
            };
            if sent.is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(config_with(&target, "", "8MiB", ""));
    let mut clients = ask(&proxy, 3);
    let want = pattern(LENGTH);
    let mut slow = clients.pop().unwrap();
    eventually("it is being answered", || slow.buffer.len() > 1000 || slow.fill(Duration::from_secs(1)).is_ok());
    // The others take all of it in the meantime.
    for client in &mut clients {
        assert_same(&client.response().body, &want);
    }
    let answer = slow.response();
    assert_eq!((answer.status, answer.field("content-length")), (200, None));
    assert_same(&answer.body, &want);
    assert!(slow.alive());
}

#[test]
fn without_a_validator_each_has_a_large_object_for_itself() {
    let open = Arc::new(AtomicUsize::new(2));
    let target = large("", open);
    let proxy = Proxy::start(config_with(&target, "", "8MiB", ""));
    let want = pattern(LENGTH);
    let mut clients = ask(&proxy, 4);
    std::thread::sleep(GLANCE);
    // One after the other: each but the first is slower than the one before it.
    for client in &mut clients {
        assert_same(&client.response().body, &want);
    }
}

#[test]
fn what_nobody_wants_any_more_and_is_not_kept_is_not_fetched_to_its_end() {
    let open = Arc::new(AtomicUsize::new(0));
    let target = large("ETag: \"a\"\r\n", open.clone());
    let proxy = Proxy::start(config_with(&target, "", "8MiB", ""));
    let clients = ask(&proxy, 2);
    target.wait_for(1);
    open.store(1, Ordering::SeqCst);
    std::thread::sleep(GLANCE);
    clients.into_iter().for_each(Client::reset);
    std::thread::sleep(GLANCE);
    open.store(2, Ordering::SeqCst);
    eventually("its connection is ended", || target.open() == 0);
}

#[test]
fn a_part_of_a_large_object_is_cut_from_the_whole_where_the_origin_knows_no_ranges() {
    let target = large("ETag: \"a\"\r\nAccept-Ranges: none\r\n", Arc::new(AtomicUsize::new(2)));
    let proxy = Proxy::start(config_with(&target, "", "8MiB", ""));
    let answer = proxy.client().ask("GET", "/a", &["Range: bytes=9000000-9000009"]);
    assert_eq!((answer.status, answer.field("content-range")), (206, Some(format!("bytes 9000000-9000009/{LENGTH}"))));
    assert_same(&answer.body, &pattern(LENGTH)[9_000_000..9_000_010]);
}
