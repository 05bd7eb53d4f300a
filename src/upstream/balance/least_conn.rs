//! Least connections: the target with the fewest requests in flight for its weight.

use super::round_robin::Turns;
use super::{Candidates, Policy, Seed, Targets};

/// Compares in-flight counts over all workers, divided by weight. Equals take turns by weight, so that an idle pool is
/// served evenly and not from its first target.
#[derive(Debug)]
pub struct LeastConn {
    turns: Turns,
}

impl Policy for LeastConn {
    fn new(targets: &impl Targets, seed: Seed) -> Self {
        LeastConn { turns: Turns::new(targets, seed) }
    }

    fn pick<T: Targets>(&mut self, candidates: &Candidates<'_, T>, _key: u64, _now_ns: u64) -> Option<usize> {
        let least = candidates
            .iter()
            .map(|(index, weight)| Load { in_flight: candidates.in_flight(index), weight })
            .reduce(|least, load| if load.is_less_than(least) { load } else { least })?;
        let equals = candidates
            .iter()
            .filter(|&(index, weight)| !least.is_less_than(Load { in_flight: candidates.in_flight(index), weight }));
        // Another worker may have added to the only one with the least in the meantime.
        self.turns.next(equals).or_else(|| self.turns.next(candidates.iter()))
    }
}

#[derive(Clone, Copy)]
struct Load {
    in_flight: u32,
    weight: u32,
}

impl Load {
    fn is_less_than(self, other: Load) -> bool {
        u64::from(self.in_flight) * u64::from(other.weight) < u64::from(other.in_flight) * u64::from(self.weight)
    }
}

#[cfg(test)]
mod tests {
    use crate::upstream::balance::Kind;
    use crate::upstream::balance::simulation::{Simulation, balancers, weighted};

    #[test]
    fn a_slow_target_holds_its_share_of_what_is_in_flight() {
        for (weights, workers) in [(&[1, 1, 1, 1], 1), (&[1, 1, 1, 1], 2), (&[3, 1, 2, 1], 2)] {
            let run = Simulation { kind: Kind::LeastConn, clients: 56, workers, ..Simulation::default() }
                .run(weights, &[10e6, 1e6, 1e6, 1e6]);
            let total: u32 = weights.iter().sum();
            for (target, weight) in weights.iter().enumerate() {
                let share = 56.0 * f64::from(*weight) / f64::from(total);
                let held = run.in_flight[target];
                assert!(
                    (held - share).abs() < 0.1 * share + 0.5,
                    "target {target} of {weights:?} holds {held}, not {share}"
                );
            }
            let quick = f64::from(run.served[1]) / f64::from(weights[1]);
            let slow = f64::from(run.served[0]) / f64::from(weights[0]);
            assert!(slow < 0.2 * quick, "{:?}", run.served);
        }
    }

    #[test]
    fn equals_take_turns_by_weight() {
        let pool = weighted(&[3, 1]);
        let balancer = &mut balancers(Kind::LeastConn, &pool, 1)[0];
        let firsts = (0..400).filter(|_| balancer.pick(&pool, 0, 0) == Some(0)).count();
        assert_eq!(firsts, 300);
    }

    #[test]
    fn the_least_loaded_for_its_weight_is_taken() {
        let mut pool = weighted(&[4, 1, 1]);
        (pool.targets[0].in_flight, pool.targets[1].in_flight, pool.targets[2].in_flight) = (7, 2, 2);
        let balancer = &mut balancers(Kind::LeastConn, &pool, 1)[0];
        assert_eq!(balancer.pick(&pool, 0, 0), Some(0));
        pool.targets[0].usable = false;
        assert_ne!(balancer.pick(&pool, 0, 0), Some(0));
    }
}
