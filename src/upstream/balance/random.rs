//! Random of two: two different targets are drawn by weight, and the less loaded one for its weight is taken.

use super::{Candidates, Policy, Seed, Targets};

/// Tries before a draw walks over all targets: with equal weights and half of the targets down, one draw in 256 does.
const DRAWS: usize = 8;

/// The power of two choices. Where both are equally loaded the first draw counts, so an idle pool's traffic follows the
/// weights exactly.
#[derive(Debug)]
pub struct Random {
    lots: fastrand::Rng,
    /// The greatest weight seen.
    heaviest: u32,
}

impl Policy for Random {
    fn new(targets: &impl Targets, seed: Seed) -> Self {
        let heaviest = (0..targets.len()).map(|index| targets.weight(index)).max().unwrap_or(0);
        let own = (seed.worker as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Random { lots: fastrand::Rng::with_seed(seed.random ^ own), heaviest }
    }

    fn pick<T: Targets>(&mut self, candidates: &Candidates<'_, T>, _key: u64, _now_ns: u64) -> Option<usize> {
        let (first, first_weight) = self.draw(candidates, None)?;
        let Some((second, second_weight)) = self.draw(candidates, Some(first)) else { return Some(first) };
        let load = |index, other_weight| u64::from(candidates.in_flight(index)) * u64::from(other_weight);
        Some(if load(second, first_weight) < load(first, second_weight) { second } else { first })
    }
}

impl Random {
    /// A candidate other than `except`, each as likely as its weight says.
    fn draw<T: Targets>(&mut self, candidates: &Candidates<'_, T>, except: Option<usize>) -> Option<(usize, u32)> {
        let count = candidates.len();
        if count == 0 {
            return None;
        }
        for _ in 0..DRAWS {
            let index = self.lots.usize(..count);
            let weight = candidates.weight(index);
            self.heaviest = self.heaviest.max(weight);
            // Kept with a chance of weight / heaviest, which makes an even draw a weighted one.
            if weight > 0
                && Some(index) != except
                && (weight == self.heaviest || self.lots.u32(..self.heaviest) < weight)
            {
                return Some((index, weight));
            }
        }
        let others = || candidates.iter().filter(|&(index, _)| Some(index) != except);
        let total: u64 = others().map(|(_, weight)| u64::from(weight)).sum();
        let mut left = if total == 0 { 0 } else { self.lots.u64(..total) };
        others().find(|&(_, weight)| match left.checked_sub(u64::from(weight)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::upstream::balance::Kind;
    use crate::upstream::balance::simulation::{Pool, balancers, weighted};

    /// The statistic of Pearson's test of 10,000 picks over the usable targets.
    fn chi_square(pool: &Pool, workers: usize) -> f64 {
        let mut counts = vec![0_u32; pool.targets.len()];
        for balancer in &mut balancers(Kind::Random, pool, workers) {
            for _ in 0..10_000 / workers {
                counts[balancer.pick(pool, 0, 0).unwrap()] += 1;
            }
        }
        let total: u32 = pool.targets.iter().filter(|target| target.usable).map(|target| target.weight).sum();
        pool.targets
            .iter()
            .zip(counts)
            .filter(|(target, got)| {
                assert!(target.usable || *got == 0);
                target.usable
            })
            .map(|(target, got)| {
                let expected = 10_000.0 * f64::from(target.weight) / f64::from(total);
                (f64::from(got) - expected).powi(2) / expected
            })
            .sum()
    }

    #[test]
    fn idle_targets_pass_a_chi_square_test() {
        // The 99.9 % points for 4, 3 and 9 degrees of freedom.
        for workers in [1, 2, 4] {
            assert!(chi_square(&weighted(&[1; 5]), workers) < 18.47);
            assert!(chi_square(&weighted(&[1, 2, 5, 8]), workers) < 16.27);
            assert!(chi_square(&weighted(&[3, 1, 1, 1, 1, 1, 1, 1, 1, 9]), workers) < 27.88);
        }
    }

    #[test]
    fn weights_hold_with_most_targets_down() {
        let mut pool = weighted(&[1; 40]);
        for target in &mut pool.targets[3..] {
            target.usable = false;
        }
        pool.targets[1].weight = 3;
        assert!(chi_square(&pool, 2) < 13.82, "the 99.9 % point for 2 degrees of freedom");
    }

    #[test]
    fn the_less_loaded_of_two_is_taken() {
        let mut pool = weighted(&[1, 1]);
        pool.targets[0].in_flight = 1;
        let balancer = &mut balancers(Kind::Random, &pool, 1)[0];
        assert!((0..100).all(|_| balancer.pick(&pool, 0, 0) == Some(1)));
        let mut pool = weighted(&[3, 1]);
        (pool.targets[0].in_flight, pool.targets[1].in_flight) = (5, 2);
        let balancer = &mut balancers(Kind::Random, &pool, 1)[0];
        assert!((0..100).all(|_| balancer.pick(&pool, 0, 0) == Some(0)));
    }

    #[test]
    fn a_seed_repeats_itself_and_workers_differ() {
        let pool = weighted(&[1; 8]);
        let run = |worker: usize| {
            let balancer = &mut balancers(Kind::Random, &pool, 2)[worker];
            (0..32).map(|_| balancer.pick(&pool, 0, 0)).collect::<Vec<_>>()
        };
        assert_eq!(run(0), run(0));
        assert_ne!(run(0), run(1));
    }
}
