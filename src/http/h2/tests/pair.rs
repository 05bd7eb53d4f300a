//! A client's session and a server's that talk to each other.

use super::*;
use crate::http::h1::{ChunkDecoder, push_chunk_size, push_last_chunk};
use crate::http::h2::session::ROOM;
use crate::http::h2::stream::{Held, Kind, Shared};
use crate::net::Lease;
use crate::tls::Multiplexed;
use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::future::{LocalBoxFuture, join};
use futures_util::stream::FuturesUnordered;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

/// Two sessions, and who uses their streams. Whoever is not woken is not run.
pub(super) struct Pair<'a> {
    pub(super) client: Shared,
    pub(super) server: Shared,
    pub(super) rng: Rng,
    /// How long the pieces are at most in which bytes arrive.
    pub(super) most: usize,
    pub(super) tasks: FuturesUnordered<LocalBoxFuture<'a, ()>>,
    /// What becomes of requests.
    pub(super) serve: Box<dyn Fn(Held<'a>, Vec<u8>) -> LocalBoxFuture<'a, ()> + 'a>,
}

impl<'a> Pair<'a> {
    pub(super) fn new(most: usize, serve: impl Fn(Held<'a>, Vec<u8>) -> LocalBoxFuture<'a, ()> + 'a) -> Self {
        let session = |role| Rc::new(RefCell::new(Session::new(role, LIMITS)));
        Self {
            client: session(Role::Client),
            server: session(Role::Server),
            rng: Rng::with_seed(most as u64),
            most,
            tasks: FuturesUnordered::new(),
            serve: Box::new(serve),
        }
    }

    /// Goes on until nothing happens any more.
    pub(super) fn run(&mut self) {
        while self.step() {}
    }

    pub(super) fn step(&mut self) -> bool {
        let mut moved = false;
        loop {
            let arrival = self.server.borrow_mut().arrivals.pop_front();
            let Some(Arrival { key, text, to_head }) = arrival else { break };
            let held = Held::new(self.server.clone(), key, Kind::Answer { to_head }, None);
            self.tasks.push((self.serve)(held, text.to_vec()));
        }
        while let Poll::Ready(Some(())) = self.tasks.poll_next_unpin(&mut cx()) {
            moved = true;
        }
        for (from, to) in [(&self.client, &self.server), (&self.server, &self.client)] {
            if !to.borrow().listens() {
                continue;
            }
            let output = from.borrow_mut().take_output();
            let Some(output) = output else { continue };
            moved = true;
            assert!(output.len() <= ROOM + (64 << 10), "{} bytes wait", output.len());
            let mut rest = &output[..];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(self.rng.usize(1..=self.most.min(rest.len())));
                to.borrow_mut().feed(piece);
                rest = more;
            }
        }
        moved
    }

    /// Nothing is under way, and both may send what they could at the beginning.
    pub(super) fn is_balanced(&self) {
        for session in [&self.client, &self.server] {
            let session = session.borrow();
            assert!(!session.failed && session.streams.len() == 0 && session.line.is_empty());
            assert_eq!(balance(&session), i64::from(LIMITS.connection_window));
        }
        assert_eq!(self.client.borrow().send_window, self.server.borrow().receive_window);
        assert_eq!(self.server.borrow().send_window, self.client.borrow().receive_window);
    }
}

fn lease(text: &[u8]) -> Lease {
    let mut lease = Lease::new();
    lease.buffer().extend_from_slice(text);
    lease
}

pub(super) async fn say(held: &Held<'_>, text: &[u8]) -> io::Result<()> {
    let mut text = lease(text);
    while !held.push(&mut text)? {
        poll_fn(|cx| held.poll_room(cx)).await?;
    }
    Ok(())
}

/// All that comes until the end.
pub(super) async fn hear(held: &Held<'_>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        poll_fn(|cx| held.poll_wait(cx)).await?;
        let piece = held.take().unwrap();
        if piece.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&piece);
    }
}

/// The content behind a head, and the trailers.
fn content(head: &[u8], mut text: &[u8]) -> (Vec<u8>, String) {
    if !String::from_utf8_lossy(head).contains("transfer-encoding: chunked") {
        return (text.to_vec(), String::new());
    }
    let (mut decoder, mut all) = (ChunkDecoder::default(), Vec::new());
    loop {
        let step = decoder.decode(text).unwrap();
        all.extend_from_slice(&text[step.data.clone()]);
        text = &text[step.consumed..];
        if step.end {
            assert!(text.is_empty());
            return (all, String::from_utf8(decoder.trailers().to_vec()).unwrap());
        }
        assert!(step.consumed > 0, "the end is missing");
    }
}

/// A head, and content framed as it says.
pub(super) fn message(first: &str, content: &[u8], chunked: bool) -> Vec<u8> {
    if !chunked {
        return [format!("{first}\r\nContent-Length: {}\r\n\r\n", content.len()).as_bytes(), content].concat();
    }
    let mut text = format!("{first}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in content.chunks(10_000) {
        push_chunk_size(&mut text, piece.len());
        text.extend_from_slice(piece);
        text.extend_from_slice(b"\r\n");
    }
    push_last_chunk(&mut text, if content.len().is_multiple_of(2) { b"x-sum: 1\r\n" } else { b"" });
    text
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 / 8) as u8).collect()
}

/// Answers with what came.
fn echo<'a>(held: Held<'a>, head: Vec<u8>) -> LocalBoxFuture<'a, ()> {
    Box::pin(async move {
        let text = hear(&held).await.unwrap();
        let (content, trailers) = content(&head, &text);
        let chunked = head.starts_with(b"PUT");
        assert!(!head.windows(2).any(|two| two == b"ch") || trailers.is_empty() == (content.len() % 2 == 1));
        say(&held, &message("HTTP/1.1 200 OK", &content, chunked)).await.unwrap();
    })
}

#[test]
fn messages_of_all_sizes_go_there_and_back() {
    for most in [1, 100, usize::MAX] {
        let mut pair = Pair::new(most, |held, head| echo(held, head));
        let sizes: &[usize] =
            if most < 1000 { &[0, 1, 70_000] } else { &[0, 1, 16_383, 16_385, 65_536, 300_000, 1 << 20] };
        for &size in sizes {
            for (up, down) in [(false, "POST"), (true, "POST"), (false, "PUT"), (true, "PUT")] {
                let done = Rc::new(RefCell::new(0));
                for each in 0..3 {
                    let (client, done) = (pair.client.clone(), done.clone());
                    pair.tasks.push(Box::pin(async move {
                        let key = client.borrow_mut().begin().unwrap();
                        let held = Held::new(client.clone(), key, Kind::Request { scheme: "http" }, None);
                        let body = pattern(size + each);
                        let text = message(&format!("{down} / HTTP/1.1\r\nHost: a.test"), &body, up);
                        let (sent, heard) = join(say(&held, &text), hear(&held)).await;
                        sent.unwrap();
                        let heard = heard.unwrap();
                        let end = memchr::memmem::find(&heard, b"\r\n\r\n").unwrap() + 4;
                        assert!(heard.starts_with(b"HTTP/1.1 200 OK\r\n"));
                        assert!(content(&heard[..end], &heard[end..]).0 == body);
                        *done.borrow_mut() += 1;
                    }));
                }
                pair.run();
                assert_eq!(*done.borrow(), 3, "{size} bytes in pieces of {most}: nothing moves");
                pair.is_balanced();
            }
        }
    }
}

#[test]
fn streams_share_the_room_and_a_reader_that_stalls_holds_a_window() {
    // What has come on the one that is read and the ones that are not.
    let read = Rc::new(RefCell::new(vec![0; 8]));
    let all = read.clone();
    let mut pair = Pair::new(usize::MAX, move |held, head| {
        let (read, stream) = (all.clone(), usize::from(head[6] - b'0'));
        Box::pin(async move {
            // The first two are read, and more slowly than they come.
            while stream < 2 && poll_fn(|cx| held.poll_wait(cx)).await.is_ok() {
                read.borrow_mut()[stream] += held.take().unwrap().len();
                let mut waited = false;
                poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
            }
            std::future::pending::<()>().await;
        })
    });
    for stream in 0..5 {
        let client = pair.client.clone();
        pair.tasks.push(Box::pin(async move {
            let key = client.borrow_mut().begin().unwrap();
            let held = Held::new(client.clone(), key, Kind::Request { scheme: "http" }, None);
            let text = message(&format!("POST /{stream} HTTP/1.1\r\nHost: a.test"), &vec![7; 8 << 20], false);
            // The connection ends before.
            assert!(say(&held, &text).await.is_err());
        }));
    }
    for _ in 0..200 {
        pair.step();
        // Those that read are run again.
        let all = std::mem::take(&mut pair.tasks);
        all.into_iter().for_each(|task| pair.tasks.push(task));
    }
    let read = read.borrow();
    assert!(read[0] > 500_000 && read[0].abs_diff(read[1]) <= 128 << 10, "{read:?}");
    let window = LIMITS.stream_window as usize;
    let held: Vec<usize> = pair.server.borrow_mut().streams.each().map(|stream| stream.inbox.len()).collect();
    assert!(held.iter().all(|&held| held <= window) && held.iter().filter(|&&held| held == window).count() == 3);
    pair.client.borrow_mut().cut();
    pair.server.borrow_mut().cut();
}

/// Requests that end in all the ways that there are: nothing of them is left, and the connection goes on.
#[test]
fn whatever_becomes_of_streams_the_windows_are_whole_again() {
    for seed in 0..24 {
        let rng = Rc::new(RefCell::new(Rng::with_seed(seed)));
        let chance = rng.clone();
        let most = [1, 50, 5000, usize::MAX][seed as usize % 4];
        let mut pair = Pair::new(most, move |held, head| {
            let rng = chance.clone();
            Box::pin(async move {
                let what = rng.borrow_mut().u8(..6);
                let size = rng.borrow_mut().usize(..20_000);
                let text = message("HTTP/1.1 200 OK", &pattern(size), head.len() % 2 == 0);
                let part = rng.borrow_mut().usize(30..=text.len());
                // Each of these may fail, as the client may have gone.
                let _ = match what {
                    0 => Ok(()),
                    1 => poll_fn(|cx| held.poll_wait(cx)).await.map(drop),
                    2 => say(&held, &text).await,
                    3 => join(say(&held, &text[..part]), hear(&held)).await.1.map(drop),
                    4 => say(&held, &text[..part]).await.map(|()| held.reset()),
                    _ => join(say(&held, &text), hear(&held)).await.0,
                };
            })
        });
        for _ in 0..8 {
            let count = rng.borrow_mut().usize(1..=8);
            for _ in 0..count {
                let (client, rng) = (pair.client.clone(), rng.clone());
                pair.tasks.push(Box::pin(async move {
                    let Some(key) = client.borrow_mut().begin() else { return };
                    let held = Held::new(client.clone(), key, Kind::Request { scheme: "http" }, None);
                    let what = rng.borrow_mut().u8(..5);
                    let size = rng.borrow_mut().usize(..if most == 1 { 5000 } else { 100_000 });
                    let text = message("POST / HTTP/1.1\r\nHost: a.test", &pattern(size), what % 2 == 0);
                    let part = rng.borrow_mut().usize(60..=text.len());
                    let _ = match what {
                        0 => say(&held, &text[..part]).await,
                        1 => join(say(&held, &text[..part]), poll_fn(|cx| held.poll_wait(cx))).await.1.map(drop),
                        2 => say(&held, &text[..part]).await.map(|()| held.reset()),
                        _ => join(say(&held, &text), hear(&held)).await.1.map(drop),
                    };
                }));
            }
            pair.run();
        }
        // Whoever still waits does so for a peer that never goes on: it gives up.
        pair.tasks.clear();
        pair.run();
        pair.is_balanced();
        pair.client.borrow_mut().close();
        pair.server.borrow_mut().announce_end();
        pair.run();
        pair.server.borrow_mut().sweep(coarse_now() + FLUSH);
        pair.run();
        assert!(pair.client.borrow().is_over() && pair.server.borrow().is_over());
    }
}
