//! The balancing policies, seen from outside. Protects balance/balance-rr and balance-uri.

use crate::support::client::{Client, request};
use crate::support::load;
use crate::support::proxy::Setup;
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, rounds};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

const REQUESTS: usize = 10_000;

fn echoes(n: usize) -> Vec<Target> {
    (0..n).map(|n| Target::echo(&format!("t{n}"))).collect()
}

fn start(targets: &[Target], workers: usize, lines: &str) -> Proxy {
    Setup::new(http_with("", targets, lines)).workers(workers).start()
}

/// A pool whose targets have these weights.
fn weighted(targets: &[Target], weights: &[u32], workers: usize, balance: &str) -> Proxy {
    let plain: Vec<String> = targets.iter().map(|t| format!("\"{t}\"")).collect();
    let tables: Vec<String> =
        targets.iter().zip(weights).map(|(t, w)| format!("{{ address = \"{t}\", weight = {w} }}")).collect();
    let config =
        http_with("", targets, &format!("balance = \"{balance}\"")).replace(&plain.join(", "), &tables.join(", "));
    Setup::new(config).workers(workers).start()
}

/// Requests until every target's count is known.
fn spread(proxy: &Proxy, targets: &[Target], clients: usize, requests: usize) -> Vec<usize> {
    let count = load::run(&proxy.web(), clients, requests, |n| format!("/{n}"));
    count.assert_clean();
    let spread: Vec<usize> = targets.iter().map(|t| count.of(t.name())).collect();
    assert_eq!(spread.iter().sum::<usize>(), requests);
    spread
}

#[test]
fn round_robin_is_exact_to_one_per_target_and_worker() {
    for workers in [1, 2] {
        let targets = echoes(3);
        let proxy = start(&targets, workers, "balance = \"round-robin\"");
        let requests = rounds(REQUESTS, 2000);
        let spread = spread(&proxy, &targets, 8, requests);
        for n in &spread {
            let off = (*n as f64 - requests as f64 / 3.0).abs();
            assert!(off <= workers as f64, "{workers} workers: {spread:?}");
        }
    }
}

/// balance-rr: visits servers in turn.
#[test]
fn round_robin_takes_turns() {
    let targets = echoes(4);
    let proxy = start(&targets, 1, "balance = \"round-robin\"");
    let mut client = proxy.client();
    let order: Vec<String> = (0..12).map(|_| client.get("/").target()).collect();
    assert_eq!(order[..4], order[4..8]);
    assert_eq!(order[..4], order[8..]);
    let mut one: Vec<&String> = order[..4].iter().collect();
    one.sort();
    one.dedup();
    assert_eq!(one.len(), 4, "{order:?}");
}

#[test]
fn weighted_round_robin_is_exact_and_smooth() {
    for workers in [1, 2] {
        let targets = echoes(3);
        let proxy = weighted(&targets, &[5, 2, 1], workers, "round-robin");
        let requests = rounds(8000, 1600);
        let spread = spread(&proxy, &targets, 4, requests);
        for (n, weight) in spread.iter().zip([5.0, 2.0, 1.0]) {
            let off = (*n as f64 - requests as f64 * weight / 8.0).abs();
            assert!(off <= workers as f64 * 2.0, "{workers} workers: {spread:?}");
        }
    }
    let targets = echoes(2);
    let proxy = weighted(&targets, &[3, 1], 1, "round-robin");
    let mut client = proxy.client();
    let order: Vec<String> = (0..16).map(|_| client.get("/").target()).collect();
    let longest = order.chunk_by(|a, b| a == b).filter(|run| run[0] == "t1").map(|run| run.len()).max();
    assert_eq!(longest, Some(1), "the light one is spread out: {order:?}");
}

/// Short connections, one request each: the workers start staggered, so that their sum is even.
#[test]
fn round_robin_is_even_over_short_connections_too() {
    let targets = echoes(4);
    let proxy = start(&targets, 2, "balance = \"round-robin\"");
    for _ in 0..40 {
        assert_eq!(proxy.get("/").status, 200);
    }
    for target in &targets {
        assert!((8..=12).contains(&target.requests()), "{} got {}", target.name(), target.requests());
    }
}

#[test]
fn random_passes_a_chi_square_test() {
    for workers in [1, 2] {
        let targets = echoes(5);
        let proxy = start(&targets, workers, "balance = \"random\"");
        let requests = rounds(REQUESTS, 2000);
        // One at a time per worker: with nothing in flight two random choices are as good as one.
        let spread = spread(&proxy, &targets, 1, requests);
        let expected = requests as f64 / 5.0;
        let chi: f64 = spread.iter().map(|n| (*n as f64 - expected).powi(2) / expected).sum();
        // 4 degrees of freedom: 23.5 is passed by chance once in 10,000 runs.
        assert!(chi < 23.5, "{workers} workers: chi-square {chi:.1} of {spread:?}");
    }
}

#[test]
fn random_is_weighted() {
    let targets = echoes(2);
    let proxy = weighted(&targets, &[3, 1], 1, "random");
    let requests = rounds(4000, 1500);
    let spread = spread(&proxy, &targets, 1, requests);
    let share = spread[0] as f64 / requests as f64;
    assert!((0.70..0.80).contains(&share), "{spread:?}");
}

/// Which target each key comes to.
fn map(proxy: &Proxy, keys: usize) -> BTreeMap<usize, String> {
    let mut client = proxy.client();
    (0..keys).map(|key| (key, client.ask("GET", "/", &[&format!("X-Key: k{key}")]).target())).collect()
}

#[test]
fn hash_moves_only_the_keys_of_a_lost_target() {
    for workers in [1, 2] {
        let targets = echoes(5);
        let lines = "balance = \"hash\"\nkey = \"header:x-key\"\n\
                     health = { type = \"tcp\", interval = \"100ms\", rise = 2, fall = 2 }";
        let proxy = start(&targets, workers, lines);
        let keys = rounds(1000, 300);
        let before = map(&proxy, keys);
        assert_eq!(map(&proxy, keys), before, "the same key comes to the same target, whatever the worker");
        targets[2].kill();
        crate::support::eventually("it is down", || {
            proxy.metric("ringway_target_up", &[("target", &targets[2].to_string())]) == 0.0
        });
        let after = map(&proxy, keys);
        for key in 0..keys {
            if before[&key] != "t2" {
                assert_eq!(after[&key], before[&key], "key {key} moved without need");
            } else {
                assert_ne!(after[&key], "t2");
            }
        }
    }
}

#[test]
fn hash_is_stable_over_a_restart_and_fairly_even() {
    let targets = echoes(4);
    let lines = "balance = \"hash\"\nkey = \"header:x-key\"";
    let keys = rounds(2000, 600);
    let first = map(&start(&targets, 1, lines), keys);
    assert_eq!(map(&start(&targets, 2, lines), keys), first);
    for target in &targets {
        let share = first.values().filter(|name| *name == target.name()).count() as f64 / keys as f64;
        assert!((0.15..0.37).contains(&share), "{}: {share}", target.name());
    }
}

/// balance-uri, balance-uri-path-only: the same path always maps to the same server, whatever its query.
#[test]
fn every_kind_of_key_is_hashed() {
    for (key, field, path) in [
        ("path", "X-None: 1", "/N?x=RANDOM"),
        ("header:x-key", "X-Key: N", "/RANDOM"),
        ("cookie:user", "Cookie: a=RANDOM; user=N; b=c", "/RANDOM"),
        ("query:user", "X-None: 1", "/?a=RANDOM&user=N"),
    ] {
        let targets = echoes(4);
        let proxy = start(&targets, 2, &format!("balance = \"hash\"\nkey = \"{key}\""));
        let mut used = std::collections::BTreeSet::new();
        for n in 0..20 {
            let mut names: Vec<String> = (0..5)
                .map(|round| {
                    let fill = |text: &str| text.replace("RANDOM", &format!("r{round}")).replace('N', &format!("{n}"));
                    proxy.client().ask("GET", &fill(path), &[&fill(field)]).target()
                })
                .collect();
            names.dedup();
            assert_eq!(names.len(), 1, "{key}: key {n} went to {names:?}");
            used.insert(names.remove(0));
        }
        assert!(used.len() >= 3, "{key}: 20 keys came to {used:?} only");
    }
    let targets = echoes(8);
    let proxy = start(&targets, 2, "balance = \"hash\"\nkey = \"client-ip\"");
    let mut used = std::collections::BTreeSet::new();
    for n in 2..18 {
        let source = format!("127.0.0.{n}");
        let mut names: Vec<String> = (0..3).map(|_| Client::from(&source, &proxy.web()).get("/").target()).collect();
        names.dedup();
        assert_eq!(names.len(), 1, "{source} went to {names:?}");
        used.insert(names.remove(0));
    }
    assert!(used.len() >= 4, "16 addresses came to {used:?} only");
}

/// balance-hash-maxconn's sense with bounded load: a hot key spills over before its target drowns.
#[test]
fn a_hot_key_stays_within_the_load_bound() {
    let targets: Vec<Target> = (0..4).map(|n| Target::slow(&format!("t{n}"), Duration::from_millis(100))).collect();
    let proxy = start(&targets, 1, "balance = \"hash\"\nkey = \"header:x-key\"");
    let clients = 32;
    let counts = std::sync::Mutex::new(BTreeMap::<String, usize>::new());
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = proxy.client();
                for _ in 0..4 {
                    client.send(request("GET", "/", &["X-Key: hot"]));
                    let name = client.response().target();
                    *counts.lock().unwrap().entry(name).or_default() += 1;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let most = *counts.values().max().unwrap() as f64 / (clients * 4) as f64;
    // Even shares are 0.25; a bound of a few times the mean leaves room, an unbounded hash gives 1.
    assert!(counts.len() >= 2 && most < 0.5, "{counts:?}");
}

/// The share of in-flight requests of each target is its number of answers times how long each took.
fn in_flight_share(proxy: &Proxy, slow: Duration, fast: Duration, clients: usize, requests: usize) -> (f64, f64) {
    let count = load::run(&proxy.web(), clients, requests, |n| format!("/{n}"));
    count.assert_clean();
    let time = |name: &str, each: Duration| count.of(name) as f64 * each.as_secs_f64();
    let (s, a, b) = (time("slow", slow), time("a", fast), time("b", fast));
    (s / (s + a + b), count.of("slow") as f64 / requests as f64)
}

#[test]
fn least_conn_gives_a_slow_target_its_fair_share_of_what_is_in_flight() {
    let (slow, fast) = (Duration::from_millis(100), Duration::from_millis(10));
    for workers in [1, 2] {
        let targets = [Target::slow("slow", slow), Target::slow("a", fast), Target::slow("b", fast)];
        let proxy = start(&targets, workers, "balance = \"least-conn\"");
        let (share, requests) = in_flight_share(&proxy, slow, fast, 24, rounds(3000, 1000));
        assert!((0.2..0.45).contains(&share), "{workers} workers: a third of in-flight is fair, got {share:.2}");
        assert!(requests < 0.2, "{workers} workers: {requests:.2} of the requests");
    }
}

/// In-flight is counted over all workers: long requests held by one worker are seen by the other.
#[test]
fn least_conn_sees_what_other_workers_have_in_flight() {
    let targets = [Target::slow("a", Duration::from_secs(2)), Target::slow("b", Duration::from_secs(2))];
    let proxy = start(&targets, 2, "balance = \"least-conn\"");
    let mut clients: Vec<Client> = Vec::new();
    for n in 1..=20 {
        let mut client = proxy.client();
        client.send(request("GET", "/", &[]));
        clients.push(client);
        crate::support::eventually("it arrives", || targets[0].requests() + targets[1].requests() == n);
    }
    let off = targets[0].requests().abs_diff(targets[1].requests());
    assert!(off <= 2, "{} and {}", targets[0].requests(), targets[1].requests());
}

#[test]
fn latency_avoids_a_slow_target() {
    let (slow, fast) = (Duration::from_millis(50), Duration::from_millis(5));
    for workers in [1, 2] {
        let targets = [Target::slow("slow", slow), Target::slow("a", fast), Target::slow("b", fast)];
        let proxy = start(&targets, workers, "balance = \"latency\"");
        let requests = rounds(4000, 1200);
        let count = load::run(&proxy.web(), 8, requests, |n| format!("/{n}"));
        count.assert_clean();
        let share = count.of("slow") as f64 / requests as f64;
        assert!(share < 1.0 / 6.0, "{workers} workers: the slow third got {share:.3}");
        assert!(count.of("slow") > 0, "it is still looked at now and then");
    }
}

/// The default policy needs no word in the file.
#[test]
fn the_default_serves_from_every_target() {
    let targets = echoes(3);
    let proxy = start(&targets, 2, "");
    assert!(spread(&proxy, &targets, 4, 300).iter().all(|n| *n > 30));
}

#[test]
fn weights_of_least_conn_are_shares_of_what_is_in_flight() {
    let targets: Vec<Target> = (0..2).map(|n| Target::slow(&format!("t{n}"), Duration::from_millis(20))).collect();
    let proxy = weighted(&targets, &[3, 1], 1, "least-conn");
    let requests = rounds(2000, 800);
    let share = spread(&proxy, &targets, 16, requests)[0] as f64 / requests as f64;
    assert!((0.65..0.85).contains(&share), "{share:.2}");
}

/// Of two drawn at random the less busy one is taken: a slow target fills up and is passed over.
#[test]
fn random_of_two_avoids_a_busy_target() {
    let (slow, fast) = (Duration::from_millis(100), Duration::from_millis(5));
    let targets = [Target::slow("slow", slow), Target::slow("a", fast), Target::slow("b", fast)];
    let proxy = start(&targets, 2, "balance = \"random\"");
    let requests = rounds(2000, 800);
    let count = load::run(&proxy.web(), 16, requests, |n| format!("/{n}"));
    count.assert_clean();
    assert!(count.of("slow") * 5 < requests, "{count:?}");
}
