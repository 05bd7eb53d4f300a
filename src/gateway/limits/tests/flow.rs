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
        clocks[one] += shared.take(7, 20, clocks[one]);
    }
    let took = (clocks.into_iter().max().unwrap_or_default() - begun).as_millis();
    assert!((1800..=1900).contains(&took), "{took}");
    assert_eq!(shared.take(8, 20, begun), Duration::ZERO, "others have their own");
}
