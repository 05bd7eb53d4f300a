//! Limits beside models that are plain: a bucket of tokens in whole nanoseconds, a list of all that was admitted.

use crate::gateway::limits::{Allowance, Limiter, decide_all};
use fastrand::Rng;
use std::collections::HashMap;
use std::time::Duration;

/// What a plain model of an allowance says, one key each.
enum Model {
    /// Nanoseconds that have been saved, and when that was.
    Pace { interval: u128, burst: u128, saved: u128, then: u128 },
    /// When requests were admitted.
    Window { limit: usize, length: u128, admitted: Vec<u128> },
}

impl Model {
    /// How many count, before one more at `now`.
    fn may(&mut self, now: u128) -> bool {
        match self {
            Self::Pace { interval, burst, saved, then } => {
                *saved = (*saved + now - *then).min(*interval * *burst);
                *then = now;
                *saved >= *interval
            }
            Self::Window { limit, length, admitted } => {
                let number = now / *length;
                let of = |window: u128| admitted.iter().filter(|&&at| at / *length == window).count();
                let (before, count) = (of(number.wrapping_sub(1)) as u128, of(number));
                // Below 4096 nothing is rounded but the share of the window, to nine digits.
                let left = *length - now % *length;
                (before * left).div_ceil(*length) as usize + count < *limit
            }
        }
    }

    fn take(&mut self, now: u128) {
        match self {
            Self::Pace { interval, saved, .. } => *saved -= *interval,
            Self::Window { admitted, .. } => admitted.push(now),
        }
    }
}

/// An allowance, and how a model of it begins.
fn allowance(random: &mut Rng) -> (Allowance, impl Fn() -> Model + use<>) {
    let limit = random.u32(1..30);
    let burst = random.u32(1..10);
    // A power of two: both round the same.
    let length = 1_u64 << random.u32(27..36);
    let is_pace = random.bool();
    let time = Duration::from_nanos(length);
    let allowance = if is_pace { Allowance::pace(limit, time, burst) } else { Allowance::window(limit, time) };
    let interval = u128::from(length).div_ceil(u128::from(limit));
    let model = move || match is_pace {
        true => Model::Pace { interval, burst: u128::from(burst), saved: u128::MAX / 2, then: 0 },
        false => Model::Window { limit: limit as usize, length: u128::from(length), admitted: Vec::new() },
    };
    (allowance.unwrap(), model)
}

#[test]
fn limits_say_what_plain_models_say() {
    for seed in 0..400 {
        let mut random = Rng::with_seed(seed);
        let allowances: Vec<_> = (0..random.usize(1..4)).map(|_| allowance(&mut random)).collect();
        let limiters: Vec<_> = allowances.iter().map(|(allowance, _)| Limiter::new(*allowance, 1000, None)).collect();
        let mut models: HashMap<u64, Vec<Model>> = HashMap::new();
        let mut now = random.u64(1..1 << 50);
        let step = 1 << random.u32(20..34);
        for nth in 0..400 {
            now += if random.u8(..) < 200 { random.u64(0..step) } else { random.u64(0..step * 20) };
            let key = random.u64(1..4);
            let asked: Vec<_> = limiters.iter().map(|limiter| (limiter, key)).collect();
            let said = decide_all(&asked, Duration::from_nanos(now));
            let models = models.entry(key).or_insert_with(|| allowances.iter().map(|(_, model)| model()).collect());
            let may: Vec<bool> = models.iter_mut().map(|model| model.may(u128::from(now))).collect();
            let says: Vec<bool> = said.iter().map(|one| one.allowed).collect();
            assert_eq!(
                says,
                may,
                "seed {seed}, request {nth}: {allowances:?} at {now}",
                allowances = allowances.iter().map(|(allowance, _)| allowance).collect::<Vec<_>>()
            );
            if may.iter().all(|&may| may) {
                models.iter_mut().for_each(|model| model.take(u128::from(now)));
            }
        }
    }
}
