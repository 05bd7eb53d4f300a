//! Limits, driven by hand.

use crate::gateway::limits::several::tightest;
use crate::gateway::limits::{Allowance, Decision, Full, InFlight, Limiter, Unfit, bytes, decide_all};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(100_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn at(millis: u64) -> Duration {
    NOW + Duration::from_millis(millis)
}

fn pace(limit: u32, time: Duration, burst: u32) -> Limiter {
    Limiter::new(Allowance::pace(limit, time, burst).unwrap(), 1000, None)
}

fn window(limit: u32, length: Duration) -> Limiter {
    Limiter::new(Allowance::window(limit, length).unwrap(), 1000, None)
}

/// How many of `asked` are admitted.
fn admitted(limiter: &Limiter, key: u64, asked: usize, now: Duration) -> usize {
    (0..asked).filter(|_| limiter.decide(key, now).allowed).count()
}

#[test]
fn a_pace_says_what_remains_and_when_more_does() {
    let limiter = pace(10, SECOND, 3);
    let all = |now| (0..5).map(|_| limiter.decide(7, now)).collect::<Vec<_>>();
    let said = all(at(0));
    assert_eq!(said[0], Decision { allowed: true, limit: 3, remaining: 2, more: 1, reset: 1 });
    assert_eq!(said.iter().map(|one| one.allowed).collect::<Vec<_>>(), [true, true, true, false, false]);
    assert_eq!((said[3].remaining, said[3].retry_after(), said[2].retry_after()), (0, Some(1), None));
    assert_eq!(admitted(&limiter, 7, 9, at(99)), 0);
    assert_eq!(admitted(&limiter, 7, 9, at(100)), 1, "what was denied took nothing");
    assert_eq!((admitted(&limiter, 8, 9, at(100)), limiter.table().len(at(100))), (3, 2), "another key");
    assert_eq!((limiter.table().len(at(399)), limiter.table().len(at(401))), (2, 0), "who has recovered is forgotten");
    let slow = pace(1000, HOUR, 1000);
    assert_eq!(admitted(&slow, 7, 2000, NOW), 1000);
    let denied = slow.decide(7, NOW);
    assert_eq!((denied.more, denied.reset, denied.limit), (4, 3600, 1000));
    assert!(slow.decide(7, NOW + Duration::from_secs(denied.more)).allowed);
}

#[test]
fn a_window_slides() {
    let limiter = window(100, 10 * SECOND);
    assert_eq!(admitted(&limiter, 7, 200, at(9_000)), 100);
    let denied = limiter.decide(7, at(9_000));
    assert_eq!(denied, Decision { allowed: false, limit: 100, remaining: 0, more: 2, reset: 11 });
    assert_eq!(admitted(&limiter, 7, 200, at(10_000)), 0, "no second limit at the edge of a fixed window");
    assert_eq!(admitted(&limiter, 7, 200, at(11_000)), 10);
    assert_eq!(admitted(&limiter, 7, 200, at(15_000)), 40);
    assert_eq!(admitted(&limiter, 7, 200, at(20_000)), 50);
    let said = limiter.decide(7, at(20_000));
    assert_eq!((said.allowed, said.remaining), (false, 0));
    assert_eq!((limiter.table().len(at(20_000)), limiter.table().len(at(40_000))), (1, 0));
    assert_eq!(limiter.decide(7, at(45_000)).remaining, 99, "all is forgotten");
    // A thread whose clock is a little behind counts in the window that is there.
    assert_eq!(admitted(&limiter, 7, 200, at(39_990)), 99);
}

#[test]
fn what_a_client_is_told_to_wait_is_enough_and_not_more_than_a_second_too_much() {
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..300 {
        let limit = random.u32(1..if round % 10 == 0 { 20_000 } else { 50 });
        let length = Duration::from_millis(random.u64(100..100_000_000));
        let limiter = if random.bool() { window(limit, length) } else { pace(limit, length, limit) };
        let mut now = NOW + Duration::from_millis(random.u64(0..100_000_000));
        for _ in 0..5 {
            admitted(&limiter, 7, random.usize(0..=limit as usize), now);
            now += length.mul_f64(random.f64() * 1.2);
        }
        admitted(&limiter, 7, limit as usize + 1, now);
        let more = limiter.decide(7, now).retry_after().unwrap();
        let too_soon = now + Duration::from_secs(more - 1);
        if more > 1 {
            assert!(!limiter.decide(7, too_soon).allowed, "{round}: {more} of {length:?}");
        }
        assert!(limiter.decide(7, now + Duration::from_secs(more)).allowed, "{round}: {more} of {length:?}");
    }
}

#[test]
fn what_one_of_several_denies_none_counts() {
    let (quick, slow, other) = (pace(10, SECOND, 10), window(15, HOUR), pace(1, HOUR, 1000));
    let ask = |now| decide_all(&[(&quick, 7), (&slow, 8), (&other, 9)], now);
    let allowed = |now| (0..20).filter(|_| ask(now).iter().all(|one| one.allowed)).count();
    assert_eq!(allowed(at(0)), 10);
    let said = ask(at(0));
    assert_eq!(
        said.iter().map(|one| (one.allowed, one.remaining)).collect::<Vec<_>>(),
        [(false, 0), (true, 5), (true, 990)]
    );
    assert_eq!(tightest(&said).map(|one| one.limit), Some(10));
    assert_eq!(allowed(at(1000)), 5, "the window has had ten, and not what the pace denied");
    let said = ask(at(1000));
    assert_eq!(
        said.iter().map(|one| (one.allowed, one.remaining)).collect::<Vec<_>>(),
        [(true, 5), (false, 0), (true, 985)]
    );
    assert_eq!(tightest(&said).map(|one| one.limit), Some(15));
    assert!(tightest(&said).unwrap().more > 1000 && decide_all::<Limiter>(&[], NOW).is_empty());
}

#[test]
fn what_is_given_back_was_never_taken() {
    let nanos = u64::try_from(NOW.as_nanos()).unwrap();
    for limiter in [pace(10, SECOND, 10), window(10, SECOND)] {
        assert_eq!(admitted(&limiter, 7, 4, NOW), 4);
        let (taken, _) = limiter.take_at(7, nanos).unwrap();
        limiter.take_back(7, &taken);
        assert_eq!(admitted(&limiter, 7, 20, NOW), 6);
        let (taken, _) = limiter.take_at(8, nanos).unwrap();
        limiter.take_back(8, &taken);
        assert_eq!((limiter.table().len(NOW), admitted(&limiter, 8, 20, NOW)), (1, 10), "a key that was new");
    }
    let limiter = window(10, SECOND);
    let (taken, _) = limiter.take_at(7, nanos).unwrap();
    assert_eq!(admitted(&limiter, 7, 5, at(1000)), 5);
    limiter.take_back(7, &taken);
    assert_eq!(admitted(&limiter, 7, 20, at(1000)), 5, "from the window before");
    let limiter = pace(10, SECOND, 10);
    let (taken, _) = limiter.take_at(7, nanos).unwrap();
    assert_eq!(admitted(&limiter, 7, 1, NOW), 1);
    limiter.take_back(7, &taken);
    assert_eq!(admitted(&limiter, 7, 20, NOW), 8, "by a pace it stays taken once another request came");
}

#[test]
fn an_allowance_that_cannot_be_kept_is_none() {
    assert_eq!(Allowance::pace(0, SECOND, 1), Err(Unfit::Nothing));
    assert_eq!(Allowance::pace(1, SECOND, 0), Err(Unfit::Nothing));
    assert_eq!(Allowance::pace(30_000_000, SECOND, 1), Err(Unfit::TooOften));
    assert_eq!(Allowance::pace(1, 400 * 24 * HOUR, 1000), Err(Unfit::TooLong));
    assert_eq!(Allowance::window(1, Duration::from_millis(99)), Err(Unfit::TooShort));
    assert_eq!(Allowance::window(1 << 24, SECOND), Err(Unfit::TooMany));
    assert_eq!(Allowance::window(0, SECOND), Err(Unfit::Nothing));
    assert_eq!(Allowance::window(1, Duration::MAX), Err(Unfit::TooLong));
    assert!(Allowance::window(16_777_214, SECOND).is_ok(), "as the error says");
}

#[test]
fn a_reload_counts_on_unless_that_would_hold_somebody_back() {
    let old = pace(10, SECOND, 10);
    assert_eq!(admitted(&old, 7, 20, NOW), 10);
    let after = |allowance: Result<Allowance, Unfit>, size| Limiter::new(allowance.unwrap(), size, Some(&old));
    assert_eq!(admitted(&after(Allowance::pace(1, SECOND, 10), 1000), 7, 20, NOW), 9, "one second ahead of ten");
    assert_eq!(admitted(&after(Allowance::pace(10, SECOND, 5), 1000), 7, 20, NOW), 5, "it recovers sooner");
    assert_eq!(admitted(&after(Allowance::pace(10, SECOND, 10), 2000), 7, 20, NOW), 10, "another size");
    assert_eq!(admitted(&after(Allowance::window(10, SECOND), 1000), 7, 20, NOW), 10, "another meaning");
    let longer = after(Allowance::pace(1, SECOND, 10), 1000);
    let shorter = Limiter::new(Allowance::pace(5, SECOND, 10).unwrap(), 1000, Some(&longer));
    assert_eq!(admitted(&shorter, 7, 20, NOW), 10, "it recovers sooner than the last one, if not than the first");
    let old = window(10, SECOND);
    assert_eq!(admitted(&old, 7, 20, NOW), 10);
    let less = Limiter::new(Allowance::window(5, SECOND).unwrap(), 1000, Some(&old));
    assert_eq!(admitted(&less, 7, 20, NOW), 0);
    assert_eq!((less.decide(7, NOW).more, admitted(&less, 7, 20, at(1_600))), (2, 1));
}

#[test]
fn the_next_process_counts_on() {
    for old in [pace(10, HOUR, 10), window(10, HOUR)] {
        assert_eq!(admitted(&old, old.table().key(b"a"), 4, NOW), 4);
        let bytes = old.table().to_bytes(NOW, 10);
        let new = Limiter::new(*old.allowance(), 500, None);
        assert_eq!(new.table().take_bytes(&bytes, at(1)), Some(1));
        assert_eq!(admitted(&new, new.table().key(b"a"), 20, at(1)), 6);
        let other = window(10, 2 * HOUR);
        assert_eq!(other.table().take_bytes(&bytes, at(1)), None, "what means something else is not taken");
        let quick = pace(10, SECOND, 10);
        if quick.table().take_bytes(&bytes, at(1)).is_some() {
            assert!(
                quick.decide(quick.table().key(b"a"), at(1_001)).allowed,
                "held back for no longer than the allowance does"
            );
        }
    }
}

#[test]
fn a_million_keys_fit_into_the_memory_that_is_stated_and_are_forgotten() {
    let all = if std::env::var_os("RINGWAY_TEST_QUICK").is_some() { 100_000 } else { 1_000_000 };
    assert!(bytes(1_000_000) <= 27_500_000);
    let (pace, window) =
        (Allowance::pace(1, Duration::from_secs(60), 1), Allowance::window(1, Duration::from_secs(60)));
    for (allowance, keys) in [(pace, all), (window, all / 10)] {
        let limiter = Limiter::new(allowance.unwrap(), keys as usize, None);
        let key = |n: u64| limiter.table().key(&n.to_le_bytes());
        assert!((0..keys).all(|n| limiter.decide(key(n), NOW).allowed));
        let known = limiter.table().len(NOW) as u64;
        assert_eq!(known + limiter.table().evictions(), keys);
        assert!(limiter.table().evictions() < 10, "{} gave way before it was full", limiter.table().evictions());
        let twice = (0..keys).step_by(7).filter(|&n| limiter.decide(key(n), NOW).allowed).count() as u64;
        assert!(twice < 10, "all are counted at once: {twice}");
        let later = NOW + Duration::from_secs(120);
        assert_eq!(limiter.table().len(later), 0);
        assert!((keys..keys + 1000).all(|n| limiter.decide(key(n), later).allowed));
        assert_eq!(limiter.table().uncounted(), 0);
    }
}

#[test]
fn a_flood_of_keys_pushes_out_those_that_are_missed_the_least() {
    let limiter = Limiter::new(Allowance::pace(1, SECOND, 100).unwrap(), 1000, None);
    for key in 1..=100 {
        admitted(&limiter, limiter.table().key(&[key]), 50, NOW);
    }
    for n in 0..100_000_u32 {
        limiter.decide(limiter.table().key(&n.to_le_bytes()), NOW);
    }
    let kept = (1..=100).filter(|&key| admitted(&limiter, limiter.table().key(&[key]), 60, NOW) == 50).count();
    assert!(kept == 100 && limiter.table().evictions() > 90_000, "{kept} of those that came often are known");
}

#[test]
fn no_more_are_in_flight_than_may_be() {
    let limit = InFlight::new(2, 100, None);
    let held = [(); 2].map(|()| limit.enter(7, NOW).unwrap().unwrap());
    assert_eq!(limit.enter(7, NOW).unwrap_err(), Full::Connections);
    assert!(limit.enter(8, NOW).is_ok());
    let more = InFlight::new(3, 100, Some(&limit));
    let third = more.enter(7, NOW).unwrap();
    assert_eq!(more.enter(7, NOW).unwrap_err(), Full::Connections);
    drop((held, third));
    assert_eq!(more.table().len(NOW), 0);
    assert!(InFlight::new(1, 50, Some(&more)).enter(7, NOW).is_ok());
}
