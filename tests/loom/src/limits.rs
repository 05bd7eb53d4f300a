//! The table of keys and the limits on requests, as the gateway has them.
//!
//! What is shown: never more than a limit is admitted, not less either, no key stands twice, what one of several limits denies is
//! counted by none, and what has something open is not forgotten.

use crate::sync;
use crate::{joined, model};
use loom::thread;
use std::time::Duration;
use sync::Arc;

#[path = "../../../src/gateway/limits/allowance.rs"]
mod allowance;
#[path = "../../../src/gateway/limits/limit.rs"]
mod limit;
#[path = "../../../src/gateway/limits/open.rs"]
mod open;
#[path = "../../../src/gateway/limits/pace.rs"]
mod pace;
#[path = "../../../src/gateway/limits/several.rs"]
mod several;
#[path = "../../../src/gateway/limits/table.rs"]
mod table;
#[path = "../../../src/gateway/limits/window.rs"]
mod window;

/// No limit here is shared with other hosts.
mod shares {
    pub const UNIT: u32 = 1;
    pub const FULL: u32 = 1;

    #[derive(Debug)]
    pub struct Shares;

    impl Shares {
        pub fn of(&self, _key: u64) -> u32 {
            UNIT
        }

        pub fn ask(&self, _key: u64) -> (u32, bool) {
            (UNIT, true)
        }

        pub fn note_short(&self, _key: u64) {}
    }
}

use allowance::Allowance;
use limit::Limiter;
use open::Clients;

const NOW: Duration = Duration::from_secs(1000);
const HOUR: Duration = Duration::from_secs(3600);

/// Keys that are at home in the same of two buckets.
const KEYS: [u64; 5] = [2, 4, 6, 8, 10];

fn pace(burst: u32) -> Allowance {
    Allowance::pace(1, HOUR, burst).unwrap()
}

fn window(limit: u32) -> Allowance {
    Allowance::window(limit, HOUR).unwrap()
}

/// Two threads ask `limiter` for each of `keys`, by turns. Returns how many were admitted.
fn by_two(limiter: &Limiter, keys: &'static [u64]) -> usize {
    let ask = |limiter: &Limiter, nth: usize| {
        keys.iter().skip(nth).step_by(2).filter(|&&key| limiter.decide(key, NOW).allowed).count()
    };
    let other = limiter.clone();
    let other = thread::spawn(move || ask(&other, 1));
    ask(limiter, 0) + joined(other)
}

#[test]
fn a_key_that_is_new_to_all_is_put_in_once() {
    for allowance in [pace(1), window(1)] {
        model(move || {
            let limiter = Limiter::new(allowance, 2, None);
            assert_eq!(by_two(&limiter, &[2, 2]), 1);
            assert_eq!((limiter.table().len(NOW), limiter.table().uncounted()), (1, 0));
        });
    }
}

#[test]
fn as_many_are_admitted_as_may_be() {
    for allowance in [pace(3), window(3)] {
        model(move || {
            let limiter = Limiter::new(allowance, 2, None);
            assert!(limiter.decide(2, NOW).allowed);
            assert_eq!(by_two(&limiter, &[2, 2, 2, 2]), 2);
        });
    }
}

#[test]
fn who_loses_the_last_one_to_another_gives_back_what_it_took() {
    // A pace cannot give back what another one has built upon.
    for (wide, may_lose) in [(window(3), false), (pace(3), true)] {
        model(move || {
            // The wide one is the slower, and is taken from first.
            let tight = Allowance::pace(1, Duration::from_secs(60), 1).unwrap();
            let (wide, tight) = (Limiter::new(wide, 2, None), Limiter::new(tight, 2, None));
            assert_eq!(wide.decide(2, NOW).remaining, 2);
            let ask = |wide: &Limiter, tight: &Limiter| {
                several::decide_all(&[(wide, 2), (tight, 4)], NOW).iter().all(|one| one.allowed)
            };
            let other = {
                let (wide, tight) = (wide.clone(), tight.clone());
                thread::spawn(move || ask(&wide, &tight))
            };
            let own = ask(&wide, &tight);
            assert!(own ^ joined(other), "one of two");
            let remaining = wide.look_at(2, NOW.as_nanos() as u64).remaining;
            assert!(remaining == 1 || may_lose && remaining == 0, "{remaining} remain");
        });
    }
}

#[test]
fn what_is_open_stays_while_others_come_and_go() {
    model(|| {
        let clients = Arc::new(Clients::new(2));
        let held = clients.enter(KEYS[0], Some(1), None, NOW).unwrap().unwrap();
        let other = {
            let clients = clients.clone();
            thread::spawn(move || {
                for key in &KEYS[1..] {
                    drop(clients.enter(*key, Some(1), None, NOW));
                }
            })
        };
        assert!(clients.enter(KEYS[0], Some(1), None, NOW).is_err());
        drop(held);
        let again = clients.enter(KEYS[0], Some(1), None, NOW).unwrap().unwrap();
        joined(other);
        assert!(clients.enter(KEYS[0], Some(1), None, NOW).is_err());
        drop(again);
        assert_eq!(clients.len(NOW), 0);
    });
}

#[test]
fn a_key_that_gives_way_takes_nothing_from_who_comes_in_its_place() {
    model(|| {
        let limiter = Limiter::new(pace(2), 2, None);
        for key in &KEYS[..4] {
            assert!(limiter.decide(*key, NOW).allowed);
        }
        // All slots are taken: whoever comes takes one of a key that is asked for at the same time.
        let other = limiter.clone();
        let other = thread::spawn(move || other.decide(KEYS[0], NOW).allowed);
        assert!(limiter.decide(KEYS[4], NOW).allowed);
        assert!(joined(other));
        if limiter.table().evictions() > 1 {
            // It gave way in its turn.
            return;
        }
        let more = (0..3).filter(|_| limiter.decide(KEYS[4], NOW).allowed).count();
        assert!(more <= 1, "{more} more where one is left");
    });
}
