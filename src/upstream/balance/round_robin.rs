//! Round robin: the targets in turn, smoothly by weight.

use super::{Candidates, Policy, Seed, Targets};

/// Smooth weighted round robin: a target of weight 3 among 5 gets every 3 of 5 requests, and never three in a row.
///
/// Workers start at different places of the sequence, so that together they are even too: with two workers and two
/// targets, the second worker begins with the second target.
#[derive(Debug)]
pub struct RoundRobin {
    turns: Turns,
}

impl Policy for RoundRobin {
    fn new(targets: &impl Targets, seed: Seed) -> Self {
        RoundRobin { turns: Turns::new(targets, seed) }
    }

    fn pick<T: Targets>(&mut self, candidates: &Candidates<'_, T>, _key: u64, _now_ns: u64) -> Option<usize> {
        self.turns.next(candidates.iter())
    }
}

/// Whose turn it is. Each target has a credit: a turn adds to it the target's weight, and takes all weights from the
/// one with the most. So credits sum to zero, and a target's credit is how much it got too little, in requests times
/// the sum of weights.
#[derive(Debug)]
pub(super) struct Turns {
    credits: Vec<i64>,
}

impl Turns {
    /// The state after this worker's share of one round, `worker / workers` of it. Backups take turns of their own.
    pub(super) fn new(targets: &impl Targets, seed: Seed) -> Turns {
        let mut credits = vec![0; targets.len()];
        for backups in [false, true] {
            let weights: Vec<(usize, i64)> = (0..targets.len())
                .filter(|&index| targets.backup(index) == backups && targets.weight(index) > 0)
                .map(|index| (index, i64::from(targets.weight(index))))
                .collect();
            stagger(&mut credits, &weights, seed);
        }
        Turns { credits }
    }

    /// Gives the turn to one of these targets, with their weights.
    #[inline]
    pub(super) fn next(&mut self, among: impl Iterator<Item = (usize, u32)>) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(i64, usize)> = None;
        for (index, weight) in among {
            let weight = i64::from(weight);
            let Some(credit) = self.credits.get_mut(index) else { continue };
            *credit += weight;
            total += weight;
            if best.is_none_or(|(most, _)| *credit > most) {
                best = Some((*credit, index));
            }
        }
        let (_, index) = best?;
        self.credits[index] -= total;
        Some(index)
    }
}

/// Sets the credits as they are after the worker's share of a round: each target got its share of those requests, the
/// largest fractions rounded up.
fn stagger(credits: &mut [i64], weights: &[(usize, i64)], seed: Seed) {
    let total: i64 = weights.iter().map(|(_, weight)| weight).sum();
    let divisor = weights.iter().fold(0, |divisor, &(_, weight)| greatest_divisor(divisor, weight));
    if total == 0 {
        return;
    }
    let round = total / divisor;
    let worker = (seed.worker % seed.workers.max(1)) as i64;
    let requests = round * worker / seed.workers.max(1) as i64;
    for &(index, weight) in weights {
        credits[index] = requests * weight % total;
    }
    let mut by_fraction: Vec<usize> = weights.iter().map(|&(index, _)| index).collect();
    by_fraction.sort_by_key(|&index| std::cmp::Reverse(credits[index]));
    let rounded_up = by_fraction.iter().map(|&index| credits[index]).sum::<i64>() / total;
    for &index in by_fraction.iter().take(rounded_up as usize) {
        credits[index] -= total;
    }
    debug_assert_eq!(weights.iter().map(|&(index, _)| credits[index]).sum::<i64>(), 0);
}

fn greatest_divisor(one: i64, other: i64) -> i64 {
    if other == 0 { one } else { greatest_divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use crate::upstream::balance::Kind;
    use crate::upstream::balance::simulation::{Pool, balancers, weighted};

    fn picks(pool: &Pool, count: usize) -> Vec<usize> {
        let balancer = &mut balancers(Kind::RoundRobin, pool, 1)[0];
        (0..count).map(|_| balancer.pick(pool, 0, 0).unwrap()).collect()
    }

    #[test]
    fn a_heavy_target_is_spread_over_the_round() {
        assert_eq!(picks(&weighted(&[5, 1, 1]), 14), [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(picks(&weighted(&[1, 1, 1]), 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn every_window_holds_every_share_to_within_one() {
        for weights in [&[1, 1][..], &[1, 1, 1], &[3, 1], &[5, 1, 1], &[1, 2, 3, 4], &[256, 1, 128], &[7; 10]] {
            let total: u32 = weights.iter().sum();
            let picks = picks(&weighted(weights), 1000);
            for (from, to) in [(0, 10_usize), (0, 997), (3, 40), (123, 900), (500, 501)] {
                for (target, weight) in weights.iter().enumerate() {
                    let got = picks[from..to].iter().filter(|&&pick| pick == target).count() as f64;
                    let share = (to - from) as f64 * f64::from(*weight) / f64::from(total);
                    assert!(
                        (got - share).abs() <= 1.0 + 1e-9 || from > 0 && (got - share).abs() < 2.0,
                        "{weights:?} {from}..{to}"
                    );
                }
            }
        }
    }

    #[test]
    fn workers_are_even_alone_and_together() {
        for weights in [&[1, 1][..], &[1, 1, 1], &[1; 7], &[2, 1], &[3, 1], &[5, 1, 1], &[1, 2, 3, 4]] {
            let total: u32 = weights.iter().sum();
            let pool = weighted(weights);
            for workers in [1, 2, 4] {
                let mut balancers = balancers(Kind::RoundRobin, &pool, workers);
                let mut counts = vec![vec![0_u32; weights.len()]; workers];
                for round in 1..=100 {
                    for (balancer, counts) in balancers.iter_mut().zip(&mut counts) {
                        counts[balancer.pick(&pool, 0, 0).unwrap()] += 1;
                    }
                    for (target, weight) in weights.iter().enumerate() {
                        let share = f64::from(round * weight) / f64::from(total);
                        let off = |got: u32, share: f64| (f64::from(got) - share).abs();
                        for counts in &counts {
                            assert!(off(counts[target], share) < 1.5, "{weights:?} of {workers}");
                        }
                        let sum = counts.iter().map(|counts| counts[target]).sum();
                        let equal = weights.iter().all(|other| other == weight);
                        let bound = if equal || workers == 1 { 1.0 } else { workers as f64 };
                        assert!(off(sum, share * workers as f64) <= bound, "{weights:?} of {workers}: {counts:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn workers_do_not_all_begin_with_the_first_target() {
        let pool = weighted(&[1, 1, 1, 1]);
        let firsts: Vec<_> = balancers(Kind::RoundRobin, &pool, 4).iter_mut().map(|b| b.pick(&pool, 0, 0)).collect();
        assert_eq!(firsts, [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_target_that_was_away_gets_no_more_than_its_share() {
        let mut pool = weighted(&[1, 1]);
        let balancer = &mut balancers(Kind::RoundRobin, &pool, 1)[0];
        pool.targets[1].usable = false;
        for _ in 0..100 {
            assert_eq!(balancer.pick(&pool, 0, 0), Some(0));
        }
        pool.targets[1].usable = true;
        let back: Vec<_> = (0..4).filter_map(|_| balancer.pick(&pool, 0, 0)).collect();
        assert_eq!(back.iter().filter(|&&pick| pick == 1).count(), 2);
    }
}
