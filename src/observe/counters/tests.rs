//! Counters that go on, and those that begin.

use super::super::reason::Cached;
use super::*;

#[test]
fn a_reader_on_another_thread_sees_what_the_writer_added() {
    let shape = Shape { listeners: vec!["web".into()], ..Shape::default() };
    let counters = std::sync::Arc::new(WorkerCounters::new(&shape));
    let writer = counters.clone();
    std::thread::spawn(move || (0..10_000).for_each(|_| writer.listener(0).sent.add(3))).join().unwrap();
    assert_eq!(counters.listener(0).sent.get(), 30_000);
}

#[test]
fn two_workers_share_no_cache_line() {
    let shape = Shape { pools: vec![("a".into(), vec!["t".into()])], ..Shape::default() };
    let counters = WorkerCounters::new(&shape);
    let line = std::mem::align_of::<CachePadded<u8>>();
    for (start, size) in [
        (&raw const **counters.worker as usize, std::mem::size_of::<CachePadded<WorkerSet>>()),
        (&raw const ***counters.pool(0).own() as usize, std::mem::size_of::<CachePadded<PoolSet>>()),
        (&raw const ***counters.pool(0).target(0) as usize, std::mem::size_of::<CachePadded<TargetSet>>()),
    ] {
        assert_eq!(start % line, 0);
        assert_eq!(size % line, 0);
    }
}

#[test]
fn a_peak_lasts_at_least_a_minute_and_then_fades() {
    const SECOND: u64 = 1_000_000_000;
    let peak = Peak::default();
    peak.record(900, 59 * SECOND);
    peak.record(5, 61 * SECOND);
    assert_eq!(peak.get(), 900, "a scrape two seconds later still sees it");
    peak.record(7, 121 * SECOND);
    assert_eq!(peak.get(), 7);
    peak.record(3, 600 * SECOND);
    assert_eq!(peak.get(), 3, "a window without records is no reason to keep the old peak");
}

#[test]
fn requests_are_counted_by_class_and_by_reason() {
    let set = ListenerSet::default();
    set.requests.status(204);
    set.requests.status(200);
    set.requests.status(0);
    set.refusals.refused(Reason::NoRoute);
    assert_eq!(set.requests.get()[Class::Success.index()], 2);
    assert_eq!(set.requests.get()[Class::None.index()], 1);
    assert_eq!(set.refusals.get()[Reason::NoRoute.index()], 1);
}

#[test]
fn what_keeps_its_name_counts_on() {
    let shape = |listener: &str, targets: &[&str]| Shape {
        listeners: vec![listener.into()],
        routes: vec!["r".into(), "(none)".into()],
        pools: vec![("a".into(), targets.iter().map(|&target| target.into()).collect())],
        caches: vec!["c".into()],
        rules: vec!["r".into()],
        ..Shape::default()
    };
    let (first, second) = (shape("web", &["x", "y"]), shape("other", &["y", "z"]));
    let old = WorkerCounters::new(&first);
    old.listener(0).sent.add(1);
    old.pool(0).requests.add(2);
    old.pool(0).target(0).requests.add(3);
    old.pool(0).target(1).requests.add(4);
    old.cache(0).served(Cached::Hit, 5);
    old.rule(0).denied.add(6);
    let new = old.succeed(&first, &second);
    assert_eq!((new.cache(0).sent.get(), new.cache(0).requests.get()[Cached::Hit.index()]), (5, 1));
    assert_eq!(new.rule(0).denied.get(), 6);
    old.route(1).requests.status(404);
    assert_eq!(new.listener(0).sent.get(), 0);
    assert_eq!(new.pool(0).requests.get(), 2);
    assert_eq!((new.pool(0).target(0).requests.get(), new.pool(0).target(1).requests.get()), (4, 0));
    assert_eq!(new.route(1).requests.get()[Class::ClientError.index()], 1);
    let control = ControlCounters::new(&first);
    control.target(0, 1).up.set(0);
    let control = control.succeed(&first, &second);
    assert_eq!((control.target(0, 0).up.get(), control.target(0, 1).up.get()), (0, 1));
}

#[test]
fn targets_start_up() {
    let shape = Shape { pools: vec![("a".into(), vec!["x".into(), "y".into()])], ..Shape::default() };
    assert_eq!(ControlCounters::new(&shape).target(0, 1).up.get(), 1);
}
