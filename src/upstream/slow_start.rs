//! Slow start: a target that came up takes a small share of the work first, which grows with time to the whole of it.
//!
//! Weights are small whole numbers; where a pool has a slow start all of them are multiplied by [`WHOLE`], so that there are
//! steps between 0 and 1. That moves no work between targets, since policies compare weights. A hash moves only keys that
//! belong to the one that grows, each of them once: from whom it had meanwhile to its own.

use super::target::Pool;
use std::time::Duration;

/// What a weight of 1 becomes in a pool that has a slow start.
const WHOLE: u32 = 256;
/// The share that it begins with, in parts of [`WHOLE`]: a twentieth.
const LEAST: u32 = 13;

impl Pool {
    /// The share of a target among the others of the pool at `now`; 0 takes nothing. Comparable within a pool only.
    #[inline]
    pub(super) fn share(&self, index: usize, now: Duration) -> u32 {
        let target = &self.targets[index];
        match self.slow_start {
            None => target.weight(),
            Some(span) => target.weight().saturating_mul(ramp(target.up_for(now), span)),
        }
    }

    /// How much of its share a target in slow start has, in percent; `None`: all of it.
    pub fn warming(&self, index: usize, now: Duration) -> Option<u32> {
        let ramp = ramp(self.targets.get(index)?.up_for(now), self.slow_start?);
        (ramp < WHOLE).then_some(ramp * 100 / WHOLE)
    }
}

/// From [`LEAST`] to [`WHOLE`].
fn ramp(up_for: Duration, span: Duration) -> u32 {
    if up_for >= span {
        return WHOLE;
    }
    // A float to integer cast saturates.
    let grown = (up_for.as_secs_f64() / span.as_secs_f64() * f64::from(WHOLE)) as u32;
    grown.clamp(LEAST, WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_evenly_from_a_twentieth_to_the_whole() {
        let span = Duration::from_secs(100);
        let at = |seconds| ramp(Duration::from_secs(seconds), span);
        assert_eq!([at(0), at(1), at(25), at(50), at(100), at(1000)], [13, 13, 64, 128, 256, 256]);
        assert_eq!((ramp(Duration::MAX, span), ramp(Duration::ZERO, Duration::ZERO)), (WHOLE, WHOLE));
        assert!((0..100).all(|second| at(second) <= at(second + 1)));
    }
}
