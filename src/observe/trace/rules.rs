//! Which exchanges are told of, and who may say so.

use super::context::{Context, Ids, Parent};
use fastrand::Rng;
use std::time::Duration;

/// Which exchanges are told of. Immutable: whoever wants other rules makes new ones.
#[derive(Clone, Debug)]
pub struct Rules {
    trust: Trust,
    /// Traces whose last 56 bits are at least this are in the sample, as W3C Trace Context Level 2 means them to be used.
    threshold: u64,
    slow_ns: u64,
}

/// Whose `traceparent` counts. What a trace is called costs nothing, and everybody's name for it is taken over; whether it
/// is recorded costs the collector's room, and is for us to say or for those who are trusted with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Everybody's ids are taken over; the decision to sample only from trusted proxies.
    Proxies,
    /// Everybody's ids and decisions are.
    All,
    /// Nobody's: every trace begins here.
    None,
}

/// The random bits of a trace's id.
const RANDOM_BITS: u32 = 56;

impl Rules {
    /// Rules by which the share `sample` (0 to 1) of the traces is told of, and each exchange that takes `slow` or longer.
    pub fn new(sample: f64, slow: Duration, trust: Trust) -> Self {
        let whole = (1u64 << RANDOM_BITS) as f64;
        // A float to integer cast saturates, and NaN becomes 0.
        let threshold = (whole - sample.clamp(0.0, 1.0) * whole) as u64;
        Self { trust, threshold, slow_ns: u64::try_from(slow.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// Whether anybody's `traceparent` counts.
    pub fn continues(&self) -> bool {
        self.trust != Trust::None
    }

    /// The place of an exchange that came with `parent`. `trusted`: its peer is a trusted proxy.
    pub fn place(&self, parent: Option<Parent>, trusted: bool, random: &mut Rng) -> Context {
        let span_id = random.u64(1..);
        let Some(parent) = parent.filter(|_| self.continues()) else {
            // As good as any of all 128 bits, and never 0.
            let trace_id = u128::from(random.u64(..)) << 64 | u128::from(random.u64(1..));
            let ids = Ids { trace_id, span_id };
            return Context { ids, parent: 0, sampled: self.takes(trace_id as u64), random: true };
        };
        let believed = self.trust == Trust::All || trusted;
        Context {
            ids: Ids { trace_id: parent.trace_id, span_id },
            parent: parent.span_id,
            // A draw of our own: an id can be made to fall into the sample.
            sampled: if believed { parent.sampled } else { self.takes(random.u64(..)) },
            random: parent.random,
        }
    }

    /// Whether an exchange that took `total_ns` was slow.
    #[inline]
    pub fn is_slow(&self, total_ns: u64) -> bool {
        total_ns >= self.slow_ns
    }

    fn takes(&self, bits: u64) -> bool {
        bits & ((1 << RANDOM_BITS) - 1) >= self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(1);
    const PARENT: Parent = Parent { trace_id: u128::MAX, span_id: 9, sampled: true, random: true };

    fn share(rules: &Rules, parent: Option<Parent>, trusted: bool) -> usize {
        let mut random = Rng::with_seed(7);
        (0..10_000).filter(|_| rules.place(parent, trusted, &mut random).sampled).count()
    }

    #[test]
    fn a_sample_is_a_share_of_the_traces_that_begin_here() {
        assert_eq!(share(&Rules::new(0.0, SLOW, Trust::Proxies), None, false), 0);
        assert_eq!(share(&Rules::new(1.0, SLOW, Trust::Proxies), None, false), 10_000);
        assert!((900..1_100).contains(&share(&Rules::new(0.1, SLOW, Trust::Proxies), None, false)));
    }

    #[test]
    fn every_hop_with_the_same_share_takes_the_same_traces() {
        let (few, many) = (Rules::new(0.1, SLOW, Trust::All), Rules::new(0.4, SLOW, Trust::All));
        let mut random = Rng::with_seed(1);
        for _ in 0..1_000 {
            let context = few.place(None, false, &mut random);
            assert_eq!(few.takes(context.ids.trace_id as u64), context.sampled);
            assert!(
                !context.sampled || many.takes(context.ids.trace_id as u64),
                "a larger share holds the smaller one"
            );
        }
    }

    #[test]
    fn a_stranger_names_the_trace_and_cannot_have_it_sampled() {
        let rules = Rules::new(0.0, SLOW, Trust::Proxies);
        let context = rules.place(Some(PARENT), false, &mut Rng::with_seed(1));
        assert_eq!((context.ids.trace_id, context.parent, context.sampled), (PARENT.trace_id, 9, false));
        assert_eq!(share(&rules, Some(PARENT), false), 0, "not by an id with the highest bits either");
        assert_eq!(share(&rules, Some(PARENT), true), 10_000);
        assert_eq!(share(&Rules::new(0.0, SLOW, Trust::All), Some(PARENT), false), 10_000);
    }

    #[test]
    fn a_trusted_hop_that_does_not_sample_is_followed() {
        let quiet = Parent { sampled: false, ..PARENT };
        assert_eq!(share(&Rules::new(1.0, SLOW, Trust::Proxies), Some(quiet), true), 0);
        assert_eq!(share(&Rules::new(1.0, SLOW, Trust::Proxies), Some(quiet), false), 10_000);
    }

    #[test]
    fn with_trust_in_nobody_every_trace_begins_here() {
        let context = Rules::new(0.0, SLOW, Trust::None).place(Some(PARENT), true, &mut Rng::with_seed(1));
        assert_eq!((context.parent, context.sampled, context.random), (0, false, true));
        assert_ne!(context.ids.trace_id, PARENT.trace_id);
    }
}
