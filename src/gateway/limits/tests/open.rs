//! What is counted of clients, driven by hand and by many threads.

use crate::gateway::limits::sync::WAYS;
use crate::gateway::limits::{Clients, Full, Held, Pace};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1000);

fn at(millis: u64) -> Duration {
    NOW + Duration::from_millis(millis)
}

#[test]
fn one_more_than_may_be_is_refused_until_one_leaves() {
    let table = Arc::new(Clients::new(1000));
    let enter = |key, now| table.enter(key, Some(3), None, now);
    let mut held: Vec<_> = (0..3).map(|n| enter(7, at(n)).unwrap().unwrap()).collect();
    assert_eq!(enter(7, at(3)).unwrap_err(), Full::Connections);
    assert!(enter(8, at(3)).is_ok(), "another client");
    assert_eq!(table.len(at(4)), 1);
    held.pop();
    held.push(enter(7, at(5)).unwrap().unwrap());
    assert_eq!(enter(7, at(6)).unwrap_err(), Full::Connections);
    drop(held);
    assert_eq!(table.len(at(7)), 0);
}

#[test]
fn a_pace_lets_a_burst_through_and_then_one_by_one() {
    let table = Arc::new(Clients::new(1000));
    let pace = Some(Pace::of_open(Duration::from_millis(100), 3));
    let enter = |millis| table.enter(7, None, pace, at(millis)).map(|_| ());
    assert_eq!([enter(0), enter(0), enter(0)], [Ok(()); 3]);
    assert_eq!(enter(99), Err(Full::Rate));
    assert_eq!([enter(100), enter(100)], [Ok(()), Err(Full::Rate)]);
    assert_eq!([enter(201), enter(202)], [Ok(()), Err(Full::Rate)], "refusals cost nothing");
    assert_eq!(table.len(at(202)), 1);
    assert_eq!([enter(9000), enter(9000), enter(9000), enter(9000)], [Ok(()), Ok(()), Ok(()), Err(Full::Rate)]);
    assert_eq!(table.len(at(9301)), 0, "it is forgotten once it could do all again");
}

#[test]
fn what_the_count_refuses_takes_nothing_from_the_rate() {
    let table = Arc::new(Clients::new(1000));
    let pace = Some(Pace::of_open(Duration::from_secs(1), 2));
    let held = table.enter(7, Some(1), pace, NOW).unwrap();
    assert_eq!(table.enter(7, Some(1), pace, NOW).unwrap_err(), Full::Connections);
    drop(held);
    assert!(table.enter(7, Some(1), pace, NOW).is_ok());
    assert_eq!(table.enter(7, Some(1), pace, NOW).unwrap_err(), Full::Rate);
}

#[test]
fn a_full_table_forgets_who_has_none_open_and_never_who_has() {
    let table = Arc::new(Clients::new(1000));
    let pace = Some(Pace::of_open(Duration::from_secs(60), 1));
    let mut random = fastrand::Rng::with_seed(3);
    let kept: Vec<(u64, _)> = (0..500)
        .map(|_| random.u64(..))
        .map(|key| (key, table.enter(key, Some(1), None, NOW).unwrap().unwrap()))
        .collect();
    for n in 0..100_000 {
        let _ = table.enter(random.u64(..), Some(1), pace, at(n));
    }
    assert!(table.evictions() > 90_000 && table.len(at(100_000)) <= 1500 + WAYS);
    assert_eq!(table.uncounted(), 0);
    for (key, _) in &kept {
        assert_eq!(table.enter(*key, Some(1), None, at(100_000)).unwrap_err(), Full::Connections);
    }
    let mut all = Vec::new();
    while table.uncounted() == 0 {
        all.push(table.enter(random.u64(..), Some(1), None, NOW).unwrap());
    }
    assert!(all.len() > 500, "as many as it is for are counted: {}", all.len() + kept.len());
}

#[test]
fn a_worker_that_is_gone_leaves_nobody_counted_and_who_leaves_later_takes_nothing() {
    let table = Arc::new(Clients::new(1000));
    let before = table.enter(7, Some(1), None, NOW).unwrap();
    table.forget_open();
    let after = table.enter(7, Some(1), None, NOW).unwrap();
    drop(before);
    assert_eq!(table.enter(7, Some(1), None, NOW).unwrap_err(), Full::Connections);
    drop(after);
    assert!(table.enter(7, Some(1), None, NOW).is_ok());
}

#[test]
fn counts_are_exact_over_threads() {
    // Few buckets, so that clients come and go, and give way to each other, all the time.
    let table = Arc::new(Clients::new(20));
    let open: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (table, open) = (&table, &open);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut held: Vec<(usize, Held)> = Vec::new();
                for n in 0..50_000 {
                    if held.len() > 4 || random.bool() && !held.is_empty() {
                        let (client, held) = held.swap_remove(random.usize(..held.len()));
                        open[client].fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                        continue;
                    }
                    let client = random.usize(..open.len());
                    let key = (client as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    if let Ok(Some(one)) = table.enter(key, Some(3), None, at(n)) {
                        assert!(open[client].fetch_add(1, Ordering::SeqCst) < 3, "never a fourth");
                        held.push((client, one));
                    }
                }
                for (client, held) in held {
                    open[client].fetch_sub(1, Ordering::SeqCst);
                    drop(held);
                }
            });
        }
    });
    assert_eq!(table.len(at(50_000)), 0, "all have left");
    let all: Vec<_> = (1..=3).map(|_| table.enter(5, Some(3), None, NOW).unwrap().unwrap()).collect();
    assert_eq!(table.enter(5, Some(3), None, NOW).unwrap_err(), Full::Connections);
    drop(all);
}
