//! Limits asked by many threads at once.

use crate::gateway::limits::{Allowance, Limiter, decide_all};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NOW: Duration = Duration::from_secs(1000);
const SECOND: Duration = Duration::from_secs(1);

fn limiter(allowance: Allowance) -> Limiter {
    Limiter::new(allowance, 1000, None)
}

/// How many of what eight threads ask are admitted, each `each` times: `ask` is told how many asked before.
fn by_threads(each: u64, ask: impl Fn(u64) -> bool + Sync) -> u64 {
    let (asked, admitted) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..each {
                    if ask(asked.fetch_add(1, Ordering::Relaxed)) {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    admitted.into_inner()
}

/// Asserts that it is between 0.98 of what may be admitted and that.
fn assert_exact(admitted: u64, may: f64) {
    let share = admitted as f64 / may;
    assert!((0.98..=1.0).contains(&share), "{admitted} of {may}: {share}");
}

#[test]
fn at_ten_times_the_rate_what_may_be_is_admitted_and_never_more() {
    // 100,000 in a second asked for, over 2 s of time that only counts.
    let at = |nth: u64| NOW + Duration::from_micros(nth * 10);
    let pace = limiter(Allowance::pace(10_000, SECOND, 500).unwrap());
    assert_exact(by_threads(25_000, |nth| pace.decide(7, at(nth)).allowed), 10_000.0 * 2.0 + 500.0);
    let window = limiter(Allowance::window(1000, SECOND / 10).unwrap());
    let admitted = by_threads(25_000, |nth| window.decide(7, at(nth)).allowed);
    assert!((19_600..=21_000).contains(&admitted), "{admitted}");
    assert_eq!(pace.table().uncounted() + window.table().uncounted(), 0);
}

/// How many six threads are admitted that ask for 0.4 s of real time and until nothing is left, once the burst is gone, and how long
/// that took.
fn in_real_time(allowance: Allowance) -> (u64, f64) {
    let (limiter, start) = (limiter(allowance), Instant::now());
    while limiter.decide(7, NOW).allowed {}
    let (admitted, last) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let time = start.elapsed();
                    if limiter.decide(7, NOW + time).allowed {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    } else if time > Duration::from_millis(400) {
                        last.fetch_max(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
    assert_eq!(limiter.table().uncounted(), 0, "nobody was denied for want of time");
    (admitted.into_inner(), last.into_inner() as f64 / 1e9)
}

#[test]
fn in_real_time_what_may_be_is_admitted_and_never_more() {
    // A busy machine may stand still for ten seconds before anything of the pace is lost.
    let (admitted, time) = in_real_time(Allowance::pace(2000, SECOND, 20_000).unwrap());
    assert_exact(admitted, 2000.0 * time);
    let (admitted, time) = in_real_time(Allowance::window(1000, SECOND / 10).unwrap());
    assert!(admitted > 0 && admitted as f64 <= 10_000.0 * time, "{admitted} in {time} s");
}

#[test]
fn of_several_limits_all_hold_and_who_is_denied_is_counted_by_none() {
    let at = |nth: u64| NOW + Duration::from_micros(nth * 10);
    let tight = limiter(Allowance::pace(5_000, SECOND, 50).unwrap());
    let window = limiter(Allowance::window(10_000, SECOND).unwrap());
    let wide = limiter(Allowance::pace(10_000, SECOND, 10_000).unwrap());
    let all = |nth| decide_all(&[(&wide, 1), (&tight, 2), (&window, 3)], at(nth)).iter().all(|one| one.allowed);
    assert_exact(by_threads(25_000, all), 5_000.0 * 2.0 + 50.0);
    // The last one of each is taken by one, and what the others took is given back.
    let (first, second) =
        (limiter(Allowance::window(1000, SECOND * 100).unwrap()), limiter(Allowance::window(1000, SECOND).unwrap()));
    let now = Duration::from_secs(500);
    let mut admitted = 0;
    for round in 0..200 {
        let keys = [round * 2 + 1, round * 2 + 2];
        let own = limiter(Allowance::window(5, SECOND).unwrap());
        admitted += by_threads(3, |_| {
            decide_all(&[(&first, 7), (&own, keys[0]), (&second, keys[1])], now).iter().all(|one| one.allowed)
        });
    }
    let remaining = first.look_at(7, 500_000_000_000).remaining;
    assert_eq!(admitted + remaining, 1000, "what was denied is not counted");
}

#[test]
fn keys_that_come_and_go_are_never_given_more_than_each_may_have() {
    // More keys than fit into their buckets at times, so that new ones are put in by all threads at once.
    for round in 0..200_u64 {
        let limiter = limiter(Allowance::pace(1, Duration::from_secs(3600), 5).unwrap());
        let admitted: Vec<AtomicU64> = (0..20).map(|_| AtomicU64::new(0)).collect();
        by_threads(40, |nth| {
            let which = (nth % 20) as usize;
            let key = limiter.table().key(&(round * 100 + which as u64).to_le_bytes());
            let allowed = limiter.decide(key, NOW).allowed;
            admitted[which].fetch_add(u64::from(allowed), Ordering::Relaxed);
            allowed
        });
        let most = admitted.iter().map(|count| count.load(Ordering::Relaxed)).max().unwrap();
        assert!(most <= 5, "{most} in round {round}");
        assert_eq!(limiter.table().evictions(), 0);
    }
}
