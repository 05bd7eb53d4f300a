//! Limits of which this host has a part.

use crate::gateway::limits::shares::{FULL, UNIT};
use crate::gateway::limits::{Allowance, Limiter, Shares, decide_all};
use std::sync::Arc;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(100_000);
const SECOND: Duration = Duration::from_secs(1);

fn shared(allowance: Allowance, base: u32) -> Limiter {
    Limiter::new(allowance, 1000, None).shared(Arc::new(Shares::new(base)))
}

fn pace(limit: u32, burst: u32) -> Allowance {
    Allowance::pace(limit, SECOND, burst).unwrap()
}

fn window(limit: u32) -> Allowance {
    Allowance::window(limit, SECOND).unwrap()
}

fn set(limiter: &Limiter, key: u64, share: u32) {
    limiter.shares().unwrap().change([(key, share)], []);
}

fn admitted(limiter: &Limiter, key: u64, asked: usize, now: Duration) -> usize {
    (0..asked).filter(|_| limiter.decide(key, now).allowed).count()
}

#[test]
fn of_a_pace_there_is_the_part_of_the_burst_and_of_the_rate() {
    let limiter = shared(pace(100, 20), UNIT / 4);
    let said = limiter.decide(7, NOW);
    assert_eq!((said.limit, said.remaining), (20, 4), "the whole limit, and what remains here");
    assert_eq!(admitted(&limiter, 7, 50, NOW), 4);
    assert_eq!(admitted(&limiter, 7, 50, NOW + SECOND), 5);
    let each: usize = (1..=100).map(|nth| admitted(&limiter, 7, 3, NOW + SECOND + nth * SECOND / 100)).sum();
    assert_eq!(each, 25);
    set(&limiter, 8, 0);
    let said = limiter.decide(8, NOW);
    assert_eq!((said.allowed, said.remaining, said.retry_after()), (false, 0, Some(1)));
    set(&limiter, 9, UNIT / 100);
    assert_eq!(admitted(&limiter, 9, 5, NOW), 1, "one may come at once, however small the part");
    assert_eq!(admitted(&limiter, 9, 5, NOW + SECOND - Duration::from_millis(1)), 0);
    assert_eq!(admitted(&limiter, 9, 5, NOW + SECOND + Duration::from_millis(1)), 1);
}

#[test]
fn parts_of_a_window_are_never_more_than_it() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..200 {
        let limit = random.u32(1..500);
        let (mut left, mut all) = (UNIT, 0);
        for _ in 0..5 {
            let share = random.u32(0..=left);
            left -= share;
            all += admitted(&shared(window(limit), share), 7, 600, NOW);
        }
        assert!(all <= limit as usize, "{all} of {limit}");
    }
    assert_eq!(admitted(&shared(window(9), UNIT / 3), 7, 20, NOW), 3);
}

#[test]
fn what_is_left_of_a_burst_goes_with_the_part_and_once() {
    let (one, other) = (shared(pace(1, 1000), UNIT / 2), shared(pace(1, 1000), UNIT / 2));
    assert_eq!((admitted(&one, 7, 2000, NOW), admitted(&other, 7, 100, NOW)), (500, 100));
    set(&other, 7, UNIT / 10);
    let debt = other.debt(7, NOW);
    assert_eq!(debt, FULL / 5);
    one.grow(7, (UNIT / 2, UNIT / 10 * 9), debt, NOW);
    set(&one, 7, UNIT / 10 * 9);
    let (here, there) = (admitted(&one, 7, 2000, NOW), admitted(&other, 7, 2000, NOW));
    assert!((319..=320).contains(&here) && (79..=80).contains(&there), "a thousand, all in all: {here} {there}");
    let fresh = shared(pace(1, 1000), UNIT / 2);
    fresh.grow(7, (UNIT / 2, UNIT), FULL, NOW);
    set(&fresh, 7, UNIT);
    assert_eq!(admitted(&fresh, 7, 2000, NOW), 500, "what comes is used up");
}

#[test]
fn of_a_window_nobody_gives_what_is_used() {
    let limiter = shared(window(100), UNIT / 2);
    assert_eq!(limiter.least(7, NOW), 0);
    assert_eq!(admitted(&limiter, 7, 30, NOW), 30);
    let least = limiter.least(7, NOW);
    assert_eq!(least, UNIT / 100 * 30 + UNIT % 100 * 30 / 100);
    set(&limiter, 7, least);
    assert_eq!(admitted(&limiter, 7, 30, NOW), 0);
    assert_eq!(limiter.least(7, NOW + 3 * SECOND), 0);
}

#[test]
fn keys_that_are_short_are_told_once_and_what_is_divided_is_counted() {
    let limiter = shared(pace(10, 8), UNIT / 2);
    let shares = limiter.shares().unwrap();
    assert_eq!(admitted(&limiter, 7, 2, NOW), 2);
    assert_eq!(shares.next_short(), None, "there is enough");
    admitted(&limiter, 7, 9, NOW);
    assert_eq!((shares.next_short(), shares.next_short()), (Some(7), None));
    set(&limiter, 7, UNIT / 2);
    let other = shared(pace(10, 8), UNIT);
    decide_all(&[(&limiter, 7), (&other, 7)], NOW);
    admitted(&limiter, 7, 4, NOW);
    assert_eq!(shares.next_short(), None);
    assert_eq!(shares.part(7).unwrap().take_asked(), 5, "those count that another limit was asked with");
    shares.change([], [7]);
    assert_eq!((shares.divided(), shares.of(7)), (0, UNIT / 2));
}

#[test]
fn parts_of_any_pace_are_rounded_to_the_side_of_less() {
    for (count, hours) in [(1, 24 * 365), (1, 8), (1, 7), (3, 1), (1_000_000, 1), (72_000_000, 1)] {
        let time = Duration::from_secs(3600 * hours);
        let whole = Allowance::pace(count, time, 1).unwrap();
        for share in [1, 7, UNIT / 3, UNIT - 1] {
            let exact = (time.as_nanos().div_ceil(u128::from(count)) * u128::from(UNIT)).div_ceil(u128::from(share));
            let part = whole.part(share, UNIT).unwrap();
            assert_eq!(u128::from(part.slowness()), exact.min(u128::from(u64::MAX)), "{count} in {hours} h, {share}");
        }
    }
}
