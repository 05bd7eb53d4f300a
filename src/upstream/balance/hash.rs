//! Hash: the same key goes to the same target, with bounded loads.

use super::{Candidates, Policy, Seed, Targets};

/// How much more than its share of what is in flight a target may hold, in quarters: 1.25.
const BOUND_QUARTERS: u64 = 5;

/// Requests in flight up to which no target counts as overloaded: with little traffic one more request is no burden,
/// and a client's parallel requests stay together.
const ALWAYS_ALLOWED: u64 = 8;

/// Weighted rendezvous hashing with bounded loads.
///
/// Each target has a score for each key, from the target's address and the key alone; the best candidate takes it. So a
/// target's loss moves its own keys only, each to the target that is next for it, and they come back with it; a new
/// target or a change of weight moves no key between others. Targets that hold more than 1.25 of their share are passed
/// over, in the same order. All workers and hosts agree without talking to each other.
///
/// A pick costs one pass over the pool; for some hundred targets that is about a microsecond.
#[derive(Debug)]
pub struct Hash;

impl Policy for Hash {
    fn new(_targets: &impl Targets, _seed: Seed) -> Self {
        Hash
    }

    fn pick<T: Targets>(&mut self, candidates: &Candidates<'_, T>, key: u64, _now_ns: u64) -> Option<usize> {
        let first = best(candidates, key, |_, _| true)?;
        if u64::from(candidates.in_flight(first)) < ALWAYS_ALLOWED {
            return Some(first);
        }
        let (weights, in_flight) = candidates.iter().fold((0, 0), |(weights, in_flight), (index, weight)| {
            (weights + u64::from(weight), in_flight + u64::from(candidates.in_flight(index)))
        });
        // One more request must leave the target at 1.25 of its share at most, rounded up.
        let has_room = |index, weight| {
            let held = u64::from(candidates.in_flight(index));
            held < ALWAYS_ALLOWED || held * weights * 4 < (in_flight + 1) * u64::from(weight) * BOUND_QUARTERS
        };
        // Counts may rise while we look at them, up to where nobody seems to have room.
        best(candidates, key, has_room).or(Some(first))
    }
}

/// The candidate with the least score for the key of those that `takes` says yes to.
///
/// With u even between 0 and 1 for each target and key, the score -ln(u) / weight is the least of all as often as the
/// weight says.
fn best<T: Targets>(candidates: &Candidates<'_, T>, key: u64, takes: impl Fn(usize, u32) -> bool) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for (index, weight) in candidates.iter() {
        // 53 bits, and never 0.
        let even = ((mix(key ^ candidates.id(index)) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let weight_share = 1.0 / f64::from(weight);
        // -ln(u) is at least 1 - u, which spares most targets the logarithm.
        let may_win = best.is_none_or(|(least, _)| (1.0 - even) * weight_share < least);
        if !may_win || !takes(index, weight) {
            continue;
        }
        let score = -even.ln() * weight_share;
        if best.is_none_or(|(least, _)| score < least) {
            best = Some((score, index));
        }
    }
    best.map(|(_, index)| index)
}

/// The finaliser of SplitMix64: every bit of the input changes every bit of the output.
#[inline]
fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use crate::upstream::balance::Kind;
    use crate::upstream::balance::simulation::{Pool, Simulation, balancers, weighted};

    const KEYS: u64 = 20_000;

    fn owners(pool: &Pool) -> Vec<usize> {
        let balancer = &mut balancers(Kind::Hash, pool, 1)[0];
        (0..KEYS).map(|key| balancer.pick(pool, key, 0).unwrap()).collect()
    }

    #[test]
    fn keys_spread_as_the_weights_say() {
        for weights in [&[1; 10][..], &[1, 2, 3, 4], &[256, 1, 64]] {
            let owners = owners(&weighted(weights));
            let total: u32 = weights.iter().sum();
            for (target, weight) in weights.iter().enumerate() {
                let share = KEYS as f64 * f64::from(*weight) / f64::from(total);
                let got = owners.iter().filter(|&&owner| owner == target).count() as f64;
                assert!((got - share).abs() < 4.0 * share.sqrt(), "{weights:?}: {target} has {got}, not {share}");
            }
        }
    }

    #[test]
    fn a_targets_loss_moves_its_keys_only() {
        for weights in [&[1; 8][..], &[1, 2, 3, 4, 5]] {
            let mut pool = weighted(weights);
            let before = owners(&pool);
            pool.targets[2].usable = false;
            let after = owners(&pool);
            for (old, new) in before.iter().zip(&after) {
                assert!(if *old == 2 { *new != 2 } else { new == old });
            }
            let heirs = |target| before.iter().zip(&after).filter(|(old, new)| **old == 2 && **new == target).count();
            assert!(
                (0..weights.len()).filter(|&target| target != 2).all(|target| heirs(target) > 0),
                "the loss is shared"
            );
            pool.targets[2].usable = true;
            assert_eq!(owners(&pool), before);
        }
    }

    #[test]
    fn a_target_is_known_by_its_address_not_by_its_place() {
        let pool = weighted(&[1, 2, 3, 4]);
        let names = |pool: &Pool| owners(pool).iter().map(|&owner| pool.targets[owner].id).collect::<Vec<_>>();
        let mut shuffled = weighted(&[1, 2, 3, 4]);
        shuffled.targets.reverse();
        assert_eq!(names(&pool), names(&shuffled));

        let mut more = weighted(&[1, 2, 3, 4, 2]);
        more.targets.rotate_right(1);
        let new = more.targets[0].id;
        for (old, now) in names(&pool).iter().zip(names(&more)) {
            assert!(now == new || now == *old);
        }
    }

    #[test]
    fn a_change_of_weight_moves_no_key_between_others() {
        let before = owners(&weighted(&[2, 2, 3]));
        let after = owners(&weighted(&[2, 2, 9]));
        assert!(before.iter().zip(&after).all(|(old, new)| new == old || *new == 2));
    }

    #[test]
    fn one_hot_key_overloads_no_target() {
        let run = Simulation { kind: Kind::Hash, clients: 100, workers: 2, keys: 1, ..Simulation::default() }
            .run(&[1, 1, 1, 1], &[1e6; 4]);
        assert!(run.most_in_flight.iter().all(|&most| most <= 32), "{:?}", run.most_in_flight);
        assert!(run.served.iter().all(|&served| served > 0));
        let run = Simulation { kind: Kind::Hash, clients: 100, workers: 1, keys: 3, ..Simulation::default() }
            .run(&[4, 1, 1], &[1e6; 3]);
        assert!(run.most_in_flight[0] <= 84 && run.most_in_flight[1] <= 21, "{:?}", run.most_in_flight);
    }

    #[test]
    fn with_little_traffic_a_key_keeps_its_target() {
        let mut pool = weighted(&[1, 1, 1, 1, 1]);
        let balancer = &mut balancers(Kind::Hash, &pool, 1)[0];
        let owner = balancer.pick(&pool, 7, 0).unwrap();
        for _ in 0..8 {
            assert_eq!(balancer.pick(&pool, 7, 0), Some(owner));
            pool.targets[owner].in_flight += 1;
        }
        assert_ne!(balancer.pick(&pool, 7, 0), Some(owner));
    }
}
