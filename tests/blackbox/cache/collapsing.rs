//! Many who ask for the same at once: one question to the origin, and what has come goes to all of them at once.

use super::{config, start, told};
use crate::support::client::{Client, Response, request};
use crate::support::target::Peer;
use crate::support::wire::Broken;
use crate::support::{GLANCE, Proxy, Target, eventually, h2, pattern};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// How far a target may go.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicUsize>);

impl Gate {
    fn open(&self, to: usize) {
        self.0.fetch_max(to, Ordering::SeqCst);
    }

    fn pass(&self, step: usize) {
        let end = Instant::now() + crate::support::PATIENCE;
        while self.0.load(Ordering::SeqCst) < step && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Answers with `head`, then, as the gate opens: "first" at 1, "last" at 2.
fn in_steps(gate: &Gate, head: &'static str) -> Target {
    let gate = gate.clone();
    Target::with("steps", move |peer| {
        while peer.request().is_some() {
            if steps(peer, &gate, head).is_none() {
                return;
            }
        }
    })
}

fn steps(peer: &mut Peer, gate: &Gate, head: &str) -> Option<()> {
    gate.pass(1);
    peer.try_send(format!("HTTP/1.1 200 OK\r\n{head}\r\nContent-Length: 9\r\n\r\nfirst")).ok()?;
    gate.pass(2);
    peer.try_send("last").ok()
}

/// That many clients, each of which has asked.
fn ask(proxy: &Proxy, count: usize, path: &str) -> Vec<Client> {
    (0..count)
        .map(|_| {
            let mut client = proxy.client();
            client.send(request("GET", path, &[]));
            client
        })
        .collect()
}

/// Waits until a client has this much of an answer's content, and no more.
#[track_caller]
fn has(client: &mut Client, content: &str) {
    let end = format!("\r\n\r\n{content}");
    let found = |client: &Client| client.buffer.ends_with(end.as_bytes());
    eventually("the first bytes are there", || {
        found(client) || client.fill(Duration::from_secs(1)).is_ok() && found(client)
    });
}

const FRESH: &str = "Cache-Control: max-age=60";

#[test]
fn all_who_ask_for_a_cold_object_get_its_first_bytes_while_the_rest_comes_from_one_question() {
    let gate = Gate::default();
    let target = in_steps(&gate, FRESH);
    let proxy = start(&target);
    let mut clients = ask(&proxy, 24, "/a");
    target.wait_for(1);
    gate.open(1);
    for client in &mut clients {
        has(client, "first");
    }
    // Who comes now gets what is there, too, over HTTP/1 and HTTP/2 alike.
    let mut late = ask(&proxy, 4, "/a");
    for client in &mut late {
        has(client, "first");
    }
    let web = proxy.web();
    let multiplexed = std::thread::spawn(move || h2::Client::to(&web).get("/a"));
    std::thread::sleep(GLANCE);
    gate.open(2);
    for client in clients.iter_mut().chain(&mut late) {
        assert_eq!(client.response().text(), "firstlast");
    }
    assert_eq!(multiplexed.join().unwrap().body, b"firstlast");
    assert_eq!(target.requests(), 1);
}

#[test]
fn the_first_client_may_leave_and_the_others_get_all() {
    let gate = Gate::default();
    let target = in_steps(&gate, FRESH);
    let proxy = start(&target);
    for (path, step) in [("/before", 0), ("/after", 1)] {
        gate.0.store(0, Ordering::SeqCst);
        let leader = ask(&proxy, 1, path);
        eventually("it is asked for", || target.requests_for(path).len() == 1);
        let mut others = ask(&proxy, 6, path);
        if step == 1 {
            gate.open(1);
            others.iter_mut().for_each(|client| has(client, "first"));
        }
        leader.into_iter().for_each(Client::reset);
        std::thread::sleep(GLANCE / 3);
        gate.open(2);
        for client in &mut others {
            assert_eq!(client.response().text(), "firstlast", "{path}");
        }
        assert_eq!(target.requests_for(path).len(), 1);
    }
    // It goes on even if nobody is left: the next one finds it stored.
    gate.0.store(0, Ordering::SeqCst);
    let leader = ask(&proxy, 1, "/alone");
    eventually("it is asked for", || target.requests_for("/alone").len() == 1);
    leader.into_iter().for_each(Client::reset);
    std::thread::sleep(GLANCE / 3);
    gate.open(2);
    assert_eq!(proxy.get("/alone").text(), "firstlast");
    assert_eq!(target.requests_for("/alone").len(), 1);
}

#[test]
fn a_failing_origin_is_asked_once_by_all_who_wait_and_so_is_one_whose_whole_is_asked_for_as_a_range() {
    for (path, field, status) in [("/fails", "X: 1", 503), ("/film", "Range: bytes=0-", 206)] {
        let gate = Gate::default();
        let own = gate.clone();
        let target = Target::with("crowded", move |peer| {
            while let Some(seen) = peer.request() {
                own.pass(1);
                let (status, control) = if seen.path == "/fails" { (503, "X: 1") } else { (200, FRESH) };
                if peer.reply(status, &[control], b"all of it").is_none() {
                    return;
                }
            }
        });
        let proxy = start(&target);
        let mut clients: Vec<Client> = (0..12).map(|_| proxy.client()).collect();
        clients.iter_mut().for_each(|client| client.send(request("GET", path, &[field])));
        target.wait_for(1);
        std::thread::sleep(GLANCE);
        gate.open(1);
        for client in &mut clients {
            let answer = client.response();
            assert_eq!((answer.status, answer.text()), (status, "all of it".to_owned()), "{path}");
        }
        // On a busy machine some may have come too late to wait with the others.
        assert!(target.requests() <= 3, "{path}: {} questions", target.requests());
        assert!(path == "/film" || !told(&proxy.get(path)).contains("hit"), "a failure is not stored");
    }
}

#[test]
fn what_breaks_off_looks_complete_to_nobody_and_is_not_stored() {
    for framing in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        let gate = Gate::default();
        let own = gate.clone();
        let count = AtomicUsize::new(0);
        let target = Target::with("breaks", move |peer| {
            if peer.request().is_none() {
                return;
            }
            own.pass(1);
            let chunked = framing.starts_with("Transfer");
            let first = if chunked { "5\r\nfirst\r\n" } else { "first" };
            let _ = peer.try_send(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n{framing}\r\n\r\n{first}"));
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                let _ = peer.try_send(if chunked { "4\r\nlast\r\n0\r\n\r\n" } else { "last" });
                peer.ending();
            } else {
                own.pass(2);
            }
        });
        let proxy = start(&target);
        let mut clients = ask(&proxy, 8, "/a");
        target.wait_for(1);
        gate.open(1);
        for client in &mut clients {
            eventually("the first bytes are there", || {
                client.buffer.windows(5).any(|part| part == b"first") || client.fill(Duration::from_secs(1)).is_err()
            });
        }
        let web = proxy.web();
        let multiplexed =
            std::thread::spawn(move || h2::Client::to(&web).ask(h2::request(http::Method::GET, "/a"), b""));
        let mut old = proxy.client();
        old.send("GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n");
        std::thread::sleep(GLANCE);
        gate.open(2);
        for client in &mut clients {
            let broken = client.response_to("GET").expect_err("it broke off");
            assert_ne!(broken, Broken::TimedOut, "{framing}");
        }
        assert!(multiplexed.join().unwrap().is_err(), "{framing}: a stream that broke off has no end");
        // A client of HTTP/1.0 can tell by a reset alone.
        if framing.starts_with("Transfer") {
            assert!(old.until_end().is_err(), "{framing}: {:?}", String::from_utf8_lossy(&old.buffer));
        } else {
            assert!(old.response_to("GET").is_err(), "{framing}");
        }
        assert_eq!(target.requests(), 1, "{framing}");
        let whole = proxy.get("/a");
        assert_eq!((whole.status, whole.text().as_str()), (200, "firstlast"), "{framing}");
        assert_eq!(target.requests(), 2, "{framing}: nothing of it was stored");
        assert!(!proxy.log.contains(&["panic"]), "{framing}");
    }
}

#[test]
fn nobody_waits_for_an_answer_that_is_for_another() {
    const CLIENTS: usize = 8;
    let barrier = Arc::new(Barrier::new(CLIENTS - 1));
    let meeting = barrier.clone();
    let count = AtomicUsize::new(0);
    let target = Target::with("own", move |peer| {
        while peer.request().is_some() {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            // All but the first are there at the same time, or it never ends.
            if nth == 0 {
                std::thread::sleep(GLANCE);
            } else if nth < CLIENTS {
                meeting.wait();
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nCache-Control: private\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{nth:02}\r\n0\r\n\r\n"
            );
            if peer.try_send(head).is_err() {
                return;
            }
        }
    });
    let proxy = start(&target);
    let mut texts: Vec<String> = ask(&proxy, CLIENTS, "/a").iter_mut().map(|client| client.response().text()).collect();
    texts.sort();
    let own: Vec<String> = (0..CLIENTS).map(|nth| format!("{nth:02}")).collect();
    assert_eq!(texts, own, "each has its own");
    assert_eq!(target.requests(), CLIENTS);
    let next: Response = proxy.get("/a");
    assert!(told(&next).contains("detail=private") && !told(&next).contains("collapsed"), "{}", told(&next));
}

#[test]
fn a_slow_reader_holds_up_nobody() {
    let body = pattern(4 << 20);
    let sent = body.clone();
    let target = Target::with("large", move |peer| {
        while peer.request().is_some() {
            let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {}\r\n\r\n", sent.len());
            if peer.try_send([head.as_bytes(), &sent].concat()).is_err() {
                return;
            }
        }
    });
    // It is kept whole.
    let proxy = Proxy::start(super::config_with(&target, "", "128MiB", ""));
    let mut slow = ask(&proxy, 3, "/a");
    target.wait_for(1);
    let quick = proxy.get("/a");
    assert!(quick.body == body, "{} bytes", quick.body.len());
    eventually("it is stored while they have not read it", || super::hit(&proxy.get("/a")));
    for client in &mut slow {
        assert!(client.response().body == body);
    }
    assert_eq!(target.requests(), 1);
}

#[test]
fn a_route_may_have_each_client_ask_for_itself() {
    let gate = Gate::default();
    let target = in_steps(&gate, FRESH);
    let proxy = Proxy::start(config(&target, "collapse = false"));
    let mut clients = ask(&proxy, 4, "/a");
    eventually("all ask", || target.requests() == 4);
    gate.open(2);
    for client in &mut clients {
        assert_eq!(client.response().text(), "firstlast");
    }
    assert!(super::hit(&proxy.get("/a")));
}

#[test]
fn variants_are_asked_for_at_the_same_time() {
    let barrier = Arc::new(Barrier::new(2));
    let target = super::origin(move |seen, _| {
        let kind = seen.field("x-kind").unwrap_or_default();
        if kind != "0" {
            barrier.wait();
        }
        super::says(&["Cache-Control: max-age=60", "Vary: X-Kind"], &kind)
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    client.ask("GET", "/a", &["X-Kind: 0"]);
    // It is known by now what it varies on: they do not wait for each other.
    std::thread::scope(|scope| {
        for kind in ["1", "2"] {
            let proxy = &proxy;
            scope
                .spawn(move || assert_eq!(proxy.client().ask("GET", "/a", &[&format!("X-Kind: {kind}")]).text(), kind));
        }
    });
    assert_eq!(target.requests(), 3);
}

#[test]
fn who_waits_for_a_variant_that_is_not_its_own_asks_for_itself() {
    let gate = Gate::default();
    let own = gate.clone();
    let target = super::origin(move |seen, _| {
        own.pass(1);
        super::says(&["Cache-Control: max-age=60", "Vary: X-Kind"], &seen.field("x-kind").unwrap_or_default())
    });
    let proxy = start(&target);
    let mut clients: Vec<(String, Client)> = (0..6)
        .map(|n| {
            let kind = (n % 3).to_string();
            let mut client = proxy.client();
            client.send(request("GET", "/a", &[&format!("X-Kind: {kind}")]));
            (kind, client)
        })
        .collect();
    target.wait_for(1);
    std::thread::sleep(GLANCE / 3);
    gate.open(1);
    for (kind, client) in &mut clients {
        assert_eq!(client.response().text(), *kind);
    }
    assert_eq!(target.requests(), 3, "one for each variant");
}

#[test]
fn a_failure_goes_to_all_who_wait_and_is_not_kept() {
    let gate = Gate::default();
    let own = gate.clone();
    let target = Target::with("fails", move |peer| {
        if peer.request().is_some() {
            own.pass(1);
            let _ = peer.try_send(if own.0.load(Ordering::SeqCst) > 1 {
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\ngood"
            } else {
                "HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n"
            });
        }
    });
    let proxy = start(&target);
    let mut clients = ask(&proxy, 6, "/a");
    target.wait_for(1);
    std::thread::sleep(GLANCE / 3);
    let before = target.requests();
    gate.open(1);
    for client in &mut clients {
        assert_eq!(client.response().status, 502);
    }
    assert!(target.requests() <= before + 1, "one question for all: {}", target.requests());
    gate.open(2);
    assert_eq!(proxy.get("/a").text(), "good");
}
