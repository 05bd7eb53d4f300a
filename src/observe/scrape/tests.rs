//! A page, and what it says.

use super::super::latency::Latencies;
use super::super::prometheus::tests::{Sample, parse};
use super::super::reason::{Cached, Lost};
use super::*;

fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is = |s: &&Sample| s.name == name && labels.iter().all(|(k, v)| s.labels.get(*k).is_some_and(|l| l == v));
    let found: Vec<_> = samples.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}");
    found[0].value
}

#[test]
fn a_page_sums_the_workers_and_parses_strictly() {
    let shape = Shape {
        listeners: vec!["web".into(), "we\"b\\2".into()],
        routes: vec!["api".into(), "site".into()],
        passing: vec![0],
        pools: vec![("a".into(), vec!["10.0.0.1:80".into(), "10.0.0.2:80".into()]), ("empty".into(), vec![])],
        caches: vec!["c".into()],
        rules: vec!["r".into()],
        banning: vec![0],
        ..Shape::default()
    };
    let workers: Vec<_> = (0..2).map(|_| Arc::new(WorkerCounters::new(&shape))).collect();
    let control = ControlCounters::new(&shape);
    let mut latencies = LatenciesSnapshot::default();
    for worker in &workers {
        worker.listener(1).requests.status(204);
        worker.listener(1).refusals.refused(Reason::NoRoute);
        worker.pool(0).failures.failed(Failure::Reset);
        worker.pool(0).queued.add(2);
        worker.cache(0).served(Cached::StaleOnError, 10);
        worker.pool(0).target(1).received.add(7);
        worker.pool(0).target(1).datagrams.sent.add(8);
        worker.listener(1).datagrams.lost.lost(Lost::Late, 9);
        worker.worker.longest_turn.record(2_000_000, 5);
        worker.worker.log_lines_dropped.add(4);
        worker.worker.spans_dropped.add(5);
        let own = Latencies::new(2, 2, 1);
        own.request(0, 3_000_000);
        own.request(1, 3_000_000);
        latencies.merge(&own.snapshot());
    }
    control.target(0, 1).up.set(0);
    control.spans.delivered(Delivered::Dropped, 1);
    let page = Scrape {
        shape: &shape,
        workers: &workers,
        control: &control,
        latencies: &latencies,
        certificates: &[Certificates { listener: 1, count: 3, acme: true, ending: vec![("a\"b.pem".into(), -5)] }],
        tarpits: &[Tarpit { rule: 0, held: 2 }],
        idempotency: &[],
        bans: Bans { by_operators: 1, by_rules: 2, lost: 3 },
        guards: &[Guard { listener: 1, clients: 4, evictions: 5, uncounted: 6, size: 1000 }],
        rule_keys: &[RuleKeys {
            rule: "limit".to_owned(),
            keys: 3,
            evictions: 2,
            size: 1000,
            open: Some(4),
            shared: None,
        }],
        splits: &[],
        mirrors: &[],
        lifecycles: &[],
        parts: &[],
        queues: &[Queue { pool: 0, waiting: 7, limit: None, targets: vec![None, Some(9)] }],
        secure_pools: &[SecurePool { pool: 0, ending: Some(("us.pem".into(), 60)) }],
        caches: &[Cache { unkept: vec![("private", 6)], ..Cache::default() }],
        sticky_pools: &[StickyPool {
            pool: 0,
            table: Some(StickyTable { size: 100, evictions: 1, entries: vec![2, 3] }),
        }],
        datagrams: &[UdpListener { listener: 1, pool: 0 }],
        live: &[LivePool {
            pool: 0,
            doubted: Some(true),
            outliers: vec![LiveTarget::default(), LiveTarget { ejected: true, ejections: [3, 2, 1, 0], withheld: 4 }],
            shares: vec![1.0, 0.25],
        }],
        discovered: &[],
        issuers: &[],
        access_log: Some(&Lines::default()),
        sharing: true,
        tracing: true,
        compression: true,
        log_lines_dropped: 1,
        plan: 3,
        reloads: &Reloads::default(),
        process: Process::read(),
    }
    .text();
    let samples = parse(&page);
    let get = |name, labels: &[(&str, &str)]| value(&samples, name, labels);
    assert_eq!(get("ringway_http_requests_total", &[("listener", "we\"b\\2"), ("code_class", "2xx")]), 2.0);
    assert_eq!(get("ringway_refused_total", &[("listener", "we\"b\\2"), ("reason", "no-route")]), 2.0);
    assert_eq!(get("ringway_listener_clients", &[("listener", "we\"b\\2")]), 4.0);
    assert_eq!(get("ringway_pool_errors_total", &[("pool", "a"), ("kind", "reset")]), 2.0);
    assert_eq!(get("ringway_target_received_bytes_total", &[("target", "10.0.0.2:80")]), 14.0);
    assert_eq!(get("ringway_target_datagrams_sent_total", &[("target", "10.0.0.2:80")]), 16.0);
    assert_eq!(get("ringway_udp_datagrams_lost_total", &[("reason", "late")]), 18.0);
    assert_eq!(get("ringway_target_up", &[("target", "10.0.0.1:80")]), 1.0);
    assert_eq!(get("ringway_target_up", &[("target", "10.0.0.2:80")]), 0.0);
    assert_eq!(get("ringway_target_ejected", &[("target", "10.0.0.2:80")]), 1.0);
    let by_rate = &[("target", "10.0.0.2:80"), ("reason", "rate")];
    assert_eq!(get("ringway_target_ejections_total", by_rate), 2.0);
    assert_eq!(get("ringway_target_ejections_withheld_total", &[("target", "10.0.0.2:80")]), 4.0);
    assert_eq!(get("ringway_target_slow_start_share", &[("target", "10.0.0.2:80")]), 0.25);
    assert_eq!(get("ringway_pool_panic", &[("pool", "a")]), 1.0);
    assert_eq!(get("ringway_worker_longest_turn_seconds", &[("worker", "1")]), 0.002);
    assert_eq!(get("ringway_access_log_lines_lost_total", &[("where", "queue")]), 8.0);
    assert_eq!(get("ringway_trace_spans_total", &[("result", "dropped")]), 11.0);
    assert_eq!(get("ringway_http_request_duration_seconds_count", &[("route", "api")]), 2.0);
    assert_eq!(get("ringway_http_request_duration_seconds_count", &[("route", OVERFLOW)]), 2.0);
    assert_eq!(get("ringway_pool_queue_length", &[("pool", "a")]), 7.0);
    assert_eq!(get("ringway_pool_queued_total", &[("pool", "a")]), 4.0);
    assert_eq!(get("ringway_target_max_in_flight", &[("target", "10.0.0.2:80")]), 9.0);
    let secure = &[("listener", "we\"b\\2"), ("certificate", "a\"b.pem")];
    assert_eq!(get("ringway_tls_certificate_expiry_seconds", secure), -5.0);
    assert_eq!(get("ringway_acme_issued_total", &[("listener", "we\"b\\2")]), 0.0);
    assert_eq!(get("ringway_tls_handshakes_total", &[("kind", "tls1.3")]), 0.0);
    assert_eq!(get("ringway_pool_tls_handshakes_total", &[("pool", "a"), ("kind", "tls1.2")]), 0.0);
    assert_eq!(get("ringway_pool_tls_certificate_expiry_seconds", &[("certificate", "us.pem")]), 60.0);
    assert_eq!(get("ringway_target_sticky_entries", &[("pool", "a"), ("target", "10.0.0.2:80")]), 3.0);
    assert_eq!(get("ringway_cache_requests_total", &[("result", "stale"), ("reason", "if-error")]), 2.0);
    assert_eq!(get("ringway_cache_sent_bytes_total", &[("cache", "c")]), 20.0);
    assert_eq!(get("ringway_cache_not_stored_total", &[("reason", "private")]), 6.0);
    assert!(get("process_resident_memory_bytes", &[]) > 0.0);
}
