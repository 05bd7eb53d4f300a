//! Latency: the target that is expected to answer first.

use super::{Candidates, Policy, Seed, Targets};

/// How fast what was learnt is forgotten, nanoseconds: after this time a measurement counts for 1/e of what it did.
const DECAY_NS: f64 = 10e9;

/// Peak EWMA: a target costs its latency × (requests in flight + 1) / weight, and the cheapest is taken.
///
/// A target's latency is an exponentially weighted moving average over time that jumps up to a slower measurement at
/// once. It fades while nothing is measured, so that a target which was slow gets another try after a while. A target
/// that was never measured gets one request at once; until the answer is there it counts as the quickest known one.
///
/// Each worker learns for itself.
#[derive(Debug)]
pub struct Latency {
    averages: Vec<Average>,
    /// How many of them are not known yet.
    unknown: usize,
    /// Where the search begins, so that equals take turns.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Average {
    latency_ns: f64,
    measured_ns: u64,
}

impl Policy for Latency {
    fn new(targets: &impl Targets, seed: Seed) -> Self {
        let count = targets.len();
        let next = count * (seed.worker % seed.workers.max(1)) / seed.workers.max(1);
        Latency { averages: vec![Average::UNKNOWN; count], unknown: count, next }
    }

    fn pick<T: Targets>(&mut self, candidates: &Candidates<'_, T>, _key: u64, now_ns: u64) -> Option<usize> {
        let quickest = self.quickest(candidates, now_ns);
        let count = candidates.len();
        let mut best: Option<(f64, usize)> = None;
        for index in (self.next.min(count)..count).chain(0..self.next.min(count)) {
            let weight = candidates.weight(index);
            if weight == 0 {
                continue;
            }
            let in_flight = candidates.in_flight(index);
            let latency_ns = match self.averages.get(index) {
                Some(average) if average.is_known() => average.at(now_ns),
                _ if in_flight == 0 => 0.0,
                _ => quickest,
            };
            let cost = latency_ns * (f64::from(in_flight) + 1.0) / f64::from(weight);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, index));
            }
        }
        let (_, index) = best?;
        self.next = index + 1;
        Some(index)
    }

    fn observe(&mut self, index: usize, latency_ns: u64, now_ns: u64) {
        if let Some(average) = self.averages.get_mut(index) {
            self.unknown -= usize::from(!average.is_known());
            average.add(latency_ns, now_ns);
        }
    }
}

impl Latency {
    /// The least latency of a candidate that was measured; 1 ns if none was, which leaves in-flight counts to decide.
    fn quickest<T: Targets>(&self, candidates: &Candidates<'_, T>, now_ns: u64) -> f64 {
        if self.unknown == 0 {
            return 1.0;
        }
        let known =
            candidates.iter().filter_map(|(index, _)| self.averages.get(index)).filter(|known| known.is_known());
        known.map(|known| known.at(now_ns)).min_by(f64::total_cmp).unwrap_or(1.0)
    }
}

impl Average {
    const UNKNOWN: Average = Average { latency_ns: f64::NAN, measured_ns: 0 };

    fn is_known(&self) -> bool {
        !self.latency_ns.is_nan()
    }

    #[inline]
    fn at(&self, now_ns: u64) -> f64 {
        self.latency_ns * decay(now_ns.saturating_sub(self.measured_ns))
    }

    fn add(&mut self, latency_ns: u64, now_ns: u64) {
        // A zero would make the target free of cost however loaded it is.
        let latency_ns = latency_ns.max(1) as f64;
        self.latency_ns = if self.latency_ns > latency_ns {
            let old = decay(now_ns.saturating_sub(self.measured_ns));
            self.latency_ns * old + latency_ns * (1.0 - old)
        } else {
            latency_ns
        };
        self.measured_ns = now_ns;
    }
}

/// e^(-elapsed / DECAY), by its tangent where that is exact to a few parts in 10,000: under load it always is.
#[inline]
fn decay(elapsed_ns: u64) -> f64 {
    let share = elapsed_ns as f64 * (1.0 / DECAY_NS);
    if share < 1.0 / 64.0 { 1.0 - share } else { (-share).exp() }
}

#[cfg(test)]
mod tests {
    use crate::upstream::balance::Kind;
    use crate::upstream::balance::simulation::{Simulation, balancers, weighted};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_slow_target_gets_less_than_half_of_its_weights_share() {
        for (weights, workers, clients) in
            [(&[1, 1, 1], 1, 16), (&[1, 1, 1], 2, 64), (&[4, 1, 2], 2, 64), (&[1, 1, 1], 2, 2)]
        {
            let run = Simulation { kind: Kind::Latency, clients, workers, ..Simulation::default() }
                .run(weights, &[10e6, 1e6, 1e6]);
            let total: u32 = weights.iter().sum();
            let served: u32 = run.served.iter().sum();
            let share = f64::from(served) * f64::from(weights[0]) / f64::from(total);
            assert!(f64::from(run.served[0]) < 0.5 * share, "{weights:?} over {workers}: {:?}", run.served);
            assert!(run.served[0] > 0);
        }
    }

    #[test]
    fn every_target_is_tried_at_once() {
        let mut pool = weighted(&[1; 5]);
        let balancer = &mut balancers(Kind::Latency, &pool, 1)[0];
        let mut seen = [false; 5];
        for _ in 0..5 {
            let pick = balancer.pick(&pool, 0, 0).unwrap();
            pool.targets[pick].in_flight += 1;
            seen[pick] = true;
        }
        assert_eq!(seen, [true; 5]);
    }

    #[test]
    fn a_target_that_never_answered_does_not_swallow_requests() {
        let mut pool = weighted(&[1, 1]);
        let balancer = &mut balancers(Kind::Latency, &pool, 1)[0];
        balancer.observe(0, 1_000_000, 0);
        let mut silent = 0;
        for _ in 0..1000 {
            if balancer.pick(&pool, 0, 0) == Some(1) {
                pool.targets[1].in_flight += 1;
                silent += 1;
            }
        }
        assert!((1..=2).contains(&silent), "{silent}");
    }

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let pool = weighted(&[1, 1]);
        let balancer = &mut balancers(Kind::Latency, &pool, 1)[0];
        for _ in 0..10 {
            balancer.observe(0, 1_000_000, SECOND);
            balancer.observe(1, 1_100_000, SECOND);
        }
        assert_eq!(balancer.pick(&pool, 0, SECOND), Some(0));
        balancer.observe(0, 20_000_000, SECOND);
        assert_eq!(balancer.pick(&pool, 0, SECOND), Some(1));
        balancer.observe(1, 1_100_000, 20 * SECOND);
        assert_eq!(balancer.pick(&pool, 0, 20 * SECOND), Some(1));
        balancer.observe(1, 1_100_000, 40 * SECOND);
        assert_eq!(balancer.pick(&pool, 0, 40 * SECOND), Some(0), "it is tried again");
    }

    #[test]
    fn load_outweighs_latency() {
        let mut pool = weighted(&[1, 1]);
        let balancer = &mut balancers(Kind::Latency, &pool, 1)[0];
        balancer.observe(0, 1_000_000, 0);
        balancer.observe(1, 3_000_000, 0);
        pool.targets[0].in_flight = 3;
        assert_eq!(balancer.pick(&pool, 0, 0), Some(1));
        pool.targets[0].weight = 2;
        assert_eq!(balancer.pick(&pool, 0, 0), Some(0));
    }
}
