//! Routes that keep answers (RFC 9111). Protects cache/basic, caching_rules, expires, if-modified-since, if-none-match, post_on_entry,
//! vary, vary_accept_encoding, and the complaints about polling locks, refreshes that hold up the next request, and Age.

mod collapsing;
mod crowd;
mod disk;
mod fills;
mod freshness;
mod invalidation;
mod negotiation;
mod poisoning;
mod ranges;
mod stale;
mod storing;
mod validation;
mod window;

use crate::support::client::{Client, Response};
use crate::support::target::{Peer, Seen};
use crate::support::toml::{http_with, pool};
use crate::support::{Proxy, Target};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// What an origin answers.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    fields: Vec<String>,
    body: Vec<u8>,
}

/// 200 with these fields.
fn says(fields: &[&str], body: &str) -> Answer {
    status(200, fields, body)
}

fn status(status: u16, fields: &[&str], body: &str) -> Answer {
    Answer { status, fields: fields.iter().map(|&field| field.to_owned()).collect(), body: body.into() }
}

/// 200, fresh for a minute.
fn fresh(body: &str) -> Answer {
    says(&["Cache-Control: max-age=60"], body)
}

/// A target that answers as `act` says, which is told how often the same method and path was asked for, this time included.
fn origin(act: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Target {
    let count = Mutex::<HashMap<String, usize>>::default();
    Target::with("origin", move |peer| {
        while let Some(seen) = peer.request() {
            let nth = {
                let mut count = count.lock().unwrap();
                let nth = count.entry(format!("{} {}", seen.method, seen.path)).or_default();
                *nth += 1;
                *nth
            };
            if answer(peer, &seen, &act(&seen, nth)).is_none() {
                return;
            }
        }
    })
}

/// Sends an answer with its length.
fn answer(peer: &mut Peer, seen: &Seen, answer: &Answer) -> Option<()> {
    let mut text = format!("HTTP/1.1 {} Status\r\n", answer.status);
    for field in &answer.fields {
        text += &format!("{field}\r\n");
    }
    let bare = matches!(answer.status, 204 | 304);
    if !bare && !answer.fields.iter().any(|field| field.starts_with("Content-Length")) {
        text += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    text += "\r\n";
    let body = if bare || seen.method == "HEAD" { &[][..] } else { &answer.body };
    peer.try_send([text.as_bytes(), body].concat()).ok()
}

/// A configuration whose one route has the cache "c", with further keys of `[routes.all.cache]`.
fn config(target: &Target, lines: &str) -> String {
    config_with(target, lines, "16MiB", "")
}

/// The same with the memory of the cache and further keys of the pool.
fn config_with(target: &Target, lines: &str, memory: &str, pool: &str) -> String {
    http_with("", &[target], pool)
        + &format!("\n[caches.c]\nmemory = \"{memory}\"\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\n")
        + &format!("[routes.all.cache]\nstore = \"c\"\n{lines}\n")
}

/// A proxy with that configuration, as plain as can be.
fn start(target: &Target) -> Proxy {
    Proxy::start(config(target, ""))
}

/// What Cache-Status says.
#[track_caller]
fn told(answer: &Response) -> String {
    answer.field("cache-status").unwrap_or_default()
}

/// Whether it came from the store.
#[track_caller]
fn hit(answer: &Response) -> bool {
    told(answer).starts_with("Ringway; hit")
}

/// A date that many seconds from now.
fn date(offset: i64) -> String {
    let now = SystemTime::now();
    let span = Duration::from_secs(offset.unsigned_abs());
    httpdate::fmt_http_date(if offset < 0 { now - span } else { now + span })
}

/// Puts dates in the place of `{-60}` and the like.
fn dated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (offset, after) = after.split_once('}').unwrap();
        out += before;
        out += &date(offset.parse().unwrap());
        rest = after;
    }
    out + rest
}

/// The head fields of an answer, one a line: "Cache-Control: max-age=60\nAge: 3".
fn lines(text: &str) -> Vec<String> {
    dated(text).lines().map(str::to_owned).collect()
}

/// Asks twice for each case's own path and compares whether the second answer came from the store.
#[track_caller]
fn assert_reused(lines_of_route: &str, cases: &'static [(u16, &str, bool)]) {
    let target = origin(move |seen, nth| {
        let place: usize = seen.path[1..].parse().unwrap();
        let (status, fields, _) = cases[place];
        Answer { status, fields: lines(fields), body: nth.to_string().into() }
    });
    let proxy = Proxy::start(config(&target, lines_of_route));
    let mut client = proxy.client();
    let mut wrong = Vec::new();
    for (place, (status, fields, reused)) in cases.iter().enumerate() {
        let path = format!("/{place}");
        let first = client.get(&path);
        let second = client.get(&path);
        assert_eq!((first.status, second.status), (*status, *status), "{fields}");
        if hit(&second) != *reused || (*status != 204) && second.text() != if *reused { "1" } else { "2" } {
            wrong.push(format!("{status} {fields:?}: reused {}, {}", !reused, told(&second)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A second pool "other" whose route has no cache.
fn beside(target: &Target) -> String {
    pool("other", &[target], "") + "[routes.other]\npaths = [\"/other/\"]\npool = \"other\"\n"
}

/// Sends a request as it stands and reads the answer.
#[track_caller]
fn raw(client: &mut Client, method: &str, text: &str) -> Response {
    client.send(text);
    client.response_to(method).unwrap_or_else(|e| panic!("no response to {text:?}: {e:?}"))
}
