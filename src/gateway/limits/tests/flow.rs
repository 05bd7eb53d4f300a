//! Bytes in a time.

use crate::gateway::limits::flow::{Due, Shared, Speed};
use std::time::Duration;

const SPEED: Speed = Speed { rate: 1000, burst: 100 };

#[test]
fn bytes_flow_at_their_rate_behind_a_burst() {
    let (due, mut now) = (Due::default(), Duration::from_secs(1000));
    let begun = now;
    for _ in 0..100 {
        now += due.take(SPEED, 20, now);
    }
    let took = (now - begun).as_millis();
    // All but the last piece and the burst.
    assert_eq!(took, 1880);
}

#[test]
fn who_is_late_after_a_wait_loses_nothing_as_long_as_the_burst_lasts() {
    let (due, mut now) = (Due::default(), Duration::from_secs(1000));
    let begun = now;
    for _ in 0..100 {
        let wait = due.take(SPEED, 20, now);
        now += if wait.is_zero() { wait } else { wait + Duration::from_millis(4) };
    }
    let took = (now - begun).as_millis();
    assert!((1880..1890).contains(&took), "{took}");
}

#[test]
fn those_who_share_a_key_flow_as_one_does() {
    let shared = Shared::new(SPEED, 1000, None);
    let begun = Duration::from_secs(1000);
    let mut clocks = [begun; 4];
    for round in 0..100 {
        let one = round % clocks.len();
        clocks[one] += shared.take(7, 20, clocks[one]).0;
    }
    let took = (clocks.into_iter().max().unwrap_or_default() - begun).as_millis();
    assert!((1800..=1900).contains(&took), "{took}");
    assert_eq!(shared.take(8, 20, begun).0, Duration::ZERO, "others have their own");
}

#[test]
fn what_does_not_flow_after_all_is_given_back_and_those_behind_move_up() {
    let shared = Shared::new(SPEED, 1000, None);
    let now = Duration::from_secs(1000);
    let gone: Vec<_> = (0..1000).map(|_| shared.take(7, 100, now).1).collect();
    let (wait, turn) = shared.take(7, 100, now);
    assert_eq!(wait.as_millis(), 99_900);
    gone.into_iter().for_each(|turn| shared.give_back(7, turn, 100, now));
    let (wait, turn) = shared.waits(7, turn, 100, now);
    assert_eq!(wait, Duration::ZERO);
    shared.give_back(7, turn, 100, now);
    assert_eq!(shared.take(7, 100, now).0, Duration::ZERO);
    let (wait, turn) = shared.take(7, 100, now);
    assert_eq!((wait, shared.waits(7, turn, 100, now).0), (Duration::ZERO, Duration::ZERO));
    let (wait, turn) = shared.take(7, 100, now);
    assert_eq!(
        (wait.as_millis(), shared.waits(7, turn, 100, now).0.as_millis()),
        (100, 100),
        "who is last waits for the others"
    );

    let due = Due::default();
    due.take(SPEED, 100, now);
    due.take(SPEED, 100, now);
    let wait = due.take(SPEED, 100, now);
    assert_eq!((wait.as_millis(), due.waits(SPEED, 100, now)), (100, wait));
    due.give_back(SPEED, 100);
    assert_eq!(due.take(SPEED, 100, now), wait);
}

#[test]
fn no_number_of_bytes_is_too_large() {
    for speed in
        [Speed { rate: 1, burst: 0 }, Speed { rate: 1000, burst: u64::MAX }, Speed { rate: u64::MAX, burst: u64::MAX }]
    {
        let (due, shared) = (Due::default(), Shared::new(speed, 1000, None));
        let now = Duration::from_secs(1000);
        for bytes in [u64::MAX, 1, u64::MAX] {
            due.take(speed, bytes, now);
            let (_, turn) = shared.take(7, bytes, now);
            due.waits(speed, bytes, now);
            shared.waits(7, turn, bytes, now);
            due.give_back(speed, bytes);
            shared.give_back(7, turn, bytes, now);
        }
    }
}
