//! Whoever waits is served, in the order of coming, on whichever worker it is.

use super::limits::{asking, wait_for_waiting};
use super::{Busy, config, limited};
use crate::support::client::Client;
use crate::support::{Proxy, Target, eventually, rounds};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Which worker serves a client's address.
fn workers(proxy: &Proxy) -> HashMap<String, u64> {
    let page: Value =
        serde_json::from_str(&proxy.ask_admin("GET", "/v1/connections?listener=web&limit=1000").text()).unwrap();
    let items = page["items"].as_array().unwrap().clone();
    items.iter().map(|item| (item["client"].as_str().unwrap().to_owned(), item["worker"].as_u64().unwrap())).collect()
}

#[test]
fn never_one_too_many_and_both_workers_clients_wait_alike() {
    // Who takes a core away from one worker makes its clients wait for a moment; an unfair line would do so each time.
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let (first, second) = mean_waits();
        if (first / second - 1.0).abs() < 0.1 {
            return;
        }
        seen.push((first, second));
    }
    panic!("mean waits of the workers' clients: {seen:?}");
}

/// Has 200 clients of two workers ask a target that takes 10 at a time. How long each worker's clients waited on average, in seconds.
fn mean_waits() -> (f64, f64) {
    const CLIENTS: usize = 200;
    let busy = Busy::working("a", Duration::from_millis(5));
    let proxy = Proxy::start(config("http", &[limited(&busy.target, 10)], "timeouts = { queue = \"30s\" }"));
    let each = rounds(12, 6);
    let (connected, go) = (Barrier::new(CLIENTS + 1), Barrier::new(CLIENTS + 1));
    let mut waits: Vec<(String, Vec<Duration>)> = Vec::new();
    let mut served_by = HashMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::to(&proxy.web());
                    let name = client.socket.local_addr().unwrap().as_socket().unwrap().to_string();
                    connected.wait();
                    go.wait();
                    let mut waits = Vec::new();
                    for _ in 0..each {
                        let begun = Instant::now();
                        assert_eq!(client.get("/").status, 200);
                        waits.push(begun.elapsed());
                    }
                    (name, waits)
                })
            })
            .collect();
        connected.wait();
        eventually("all are accepted", || {
            served_by = workers(&proxy);
            served_by.len() == CLIENTS
        });
        go.wait();
        waits = clients.into_iter().map(|client| client.join().unwrap()).collect();
    });
    assert!(busy.most() <= 10, "{} at a time", busy.most());
    assert!(busy.most() >= 8, "room is used: {} at a time", busy.most());
    // The first and the last round have fewer beside them.
    let mean = |worker: u64| {
        let own = waits.iter().filter(|(name, _)| served_by[name] == worker);
        let all: Vec<f64> = own.flat_map(|(_, waits)| &waits[1..each - 1]).map(Duration::as_secs_f64).collect();
        assert!(all.len() > CLIENTS / 4, "both workers have clients");
        all.iter().sum::<f64>() / all.len() as f64
    };
    let (first, second) = (mean(0), mean(1));
    let longest = waits.iter().flat_map(|(_, waits)| waits).max().unwrap().as_secs_f64();
    assert!(longest < 4.0 * first, "one waited {longest}, on average they did {first}");
    proxy.settles("ringway_pool_queue_length", &[("pool", "site")], 0.0);
    let queued = proxy.metric("ringway_pool_queued_total", &[("pool", "site")]);
    assert!(queued >= (CLIENTS * each / 2) as f64, "{queued}");
    assert_eq!(proxy.metric("ringway_pool_queue_duration_seconds_count", &[("pool", "site")]), queued);
    assert_eq!(proxy.metric("ringway_target_max_in_flight", &[("pool", "site")]), 10.0);
    (first, second)
}

/// The case "queued request left waiting while servers idle".
#[test]
fn nobody_is_left_waiting_while_targets_are_idle() {
    const AT_ONCE: usize = 200;
    let busy = [Busy::working("a", Duration::from_millis(5)), Busy::working("b", Duration::from_millis(5))];
    let targets: Vec<String> = busy.iter().map(|busy| limited(&busy.target, 1)).collect();
    let proxy = Proxy::start(config("http", &targets, "timeouts = { queue = \"20s\" }"));
    for _ in 0..rounds(20, 2) {
        let go = Barrier::new(AT_ONCE);
        let longest = thread::scope(|scope| {
            let clients: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = proxy.client();
                        go.wait();
                        let begun = Instant::now();
                        assert_eq!(client.get("/").status, 200);
                        begun.elapsed()
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).max().unwrap()
        });
        // All of the work is 500 ms.
        assert!(longest < Duration::from_secs(8), "the last one waited {longest:?}");
    }
    assert!(busy.iter().all(|busy| busy.most() == 1), "one at a time at each");
    let (a, b) = (busy[0].target.requests() as f64, busy[1].target.requests() as f64);
    assert!((0.7..1.4).contains(&(a / b)), "{a} and {b}: who is free takes the next");
}

/// A target that holds "/first" until it is let go.
fn gated() -> (Target, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let target = Target::with("a", move |peer| {
        while let Some(seen) = peer.request() {
            while seen.path == "/first" && !gate.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(2));
            }
            if peer.echo(&seen).is_none() {
                return;
            }
        }
    });
    (target, open)
}

#[test]
fn who_came_first_is_served_first_whatever_worker_it_is_on() {
    let (target, open) = gated();
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], "timeouts = { queue = \"30s\" }"));
    let mut clients = vec![asking(&proxy, "/first")];
    target.wait_for(1);
    for number in 1..=12 {
        clients.push(asking(&proxy, &format!("/{number}")));
        // Each is in line before the next one comes.
        wait_for_waiting(&proxy, number);
    }
    open.store(true, Ordering::SeqCst);
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    let order: Vec<String> = target.seen().into_iter().skip(1).map(|seen| seen.path).collect();
    assert_eq!(order, (1..=12).map(|number| format!("/{number}")).collect::<Vec<_>>());
}

#[test]
fn a_lower_class_goes_first() {
    let (target, open) = gated();
    let routes = "\n[routes.urgent]\npaths = [\"/urgent\"]\npool = \"site\"\npriority_class = -5\n\
                  [routes.late]\npaths = [\"/late\"]\npool = \"site\"\npriority_class = 5\n";
    let pool = "timeouts = { queue = \"30s\" }";
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], pool) + routes);
    let mut clients = vec![asking(&proxy, "/first")];
    target.wait_for(1);
    clients.extend(["/late", "/plain", "/urgent"].map(|path| asking(&proxy, path)));
    wait_for_waiting(&proxy, 3);
    open.store(true, Ordering::SeqCst);
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    let order: Vec<String> = target.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(order, ["/first", "/urgent", "/plain", "/late"]);
}
