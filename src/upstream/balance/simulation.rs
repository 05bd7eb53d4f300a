//! A pool to test policies with, and a simulator that runs clients against it in virtual time.

use super::{Balancer, Kind, Seed, Targets};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Clone, Debug)]
pub struct Target {
    pub weight: u32,
    pub backup: bool,
    pub usable: bool,
    pub in_flight: u32,
    pub id: u64,
}

pub struct Pool {
    pub targets: Vec<Target>,
}

impl Targets for Pool {
    fn len(&self) -> usize {
        self.targets.len()
    }
    fn weight(&self, index: usize) -> u32 {
        self.targets[index].weight
    }
    fn backup(&self, index: usize) -> bool {
        self.targets[index].backup
    }
    fn usable(&self, index: usize) -> bool {
        self.targets[index].usable
    }
    fn in_flight(&self, index: usize) -> u32 {
        self.targets[index].in_flight
    }
    fn id(&self, index: usize) -> u64 {
        self.targets[index].id
    }
}

/// A pool of usable, idle targets.
pub fn weighted(weights: &[u32]) -> Pool {
    let target = |(index, &weight)| Target {
        weight,
        backup: false,
        usable: true,
        in_flight: 0,
        id: xxhash_rust::xxh3::xxh3_64(format!("10.0.0.{index}:80").as_bytes()),
    };
    Pool { targets: weights.iter().enumerate().map(target).collect() }
}

/// The balancers of all workers.
pub fn balancers(kind: Kind, pool: &Pool, workers: usize) -> Vec<Balancer> {
    (0..workers).map(|worker| Balancer::new(kind, pool, Seed { worker, workers, random: 1 })).collect()
}

/// Clients that each send a request as soon as the last was answered, spread over workers.
pub struct Simulation {
    pub kind: Kind,
    pub clients: usize,
    pub workers: usize,
    pub requests: u32,
    /// Keys are drawn below this.
    pub keys: u64,
    pub seed: u64,
}

impl Default for Simulation {
    fn default() -> Self {
        Simulation { kind: Kind::Random, clients: 16, workers: 1, requests: 20_000, keys: 1000, seed: 7 }
    }
}

/// What came of it, by target.
pub struct Outcome {
    pub served: Vec<u32>,
    /// Mean over time, after the first tenth.
    pub in_flight: Vec<f64>,
    pub most_in_flight: Vec<u32>,
}

impl Simulation {
    /// Runs it against targets with these weights, which take these times, nanoseconds, give or take a half.
    pub fn run(&self, weights: &[u32], latencies_ns: &[f64]) -> Outcome {
        let mut pool = weighted(weights);
        let mut balancers = balancers(self.kind, &pool, self.workers);
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut served = vec![0; weights.len()];
        let mut most_in_flight = vec![0; weights.len()];
        let mut held = vec![0.0; weights.len()];
        let (mut now, mut measured_ns) = (0, 0.0);
        let mut answers: BinaryHeap<Reverse<(u64, usize, usize, u64)>> = BinaryHeap::new();
        for request in 0..self.requests {
            let mut client = request as usize;
            if client >= self.clients {
                let Some(Reverse((time, answered, target, sent))) = answers.pop() else { break };
                if request > self.requests / 10 {
                    let elapsed = (time - now) as f64;
                    measured_ns += elapsed;
                    held.iter_mut().zip(&pool.targets).for_each(|(held, t)| *held += elapsed * f64::from(t.in_flight));
                }
                now = time;
                client = answered;
                pool.targets[target].in_flight -= 1;
                served[target] += 1;
                balancers[client % self.workers].observe(target, now - sent, now);
            }
            let target = balancers[client % self.workers].pick(&pool, random.u64(..self.keys), now).unwrap();
            pool.targets[target].in_flight += 1;
            most_in_flight[target] = most_in_flight[target].max(pool.targets[target].in_flight);
            let takes = latencies_ns[target] * (0.5 + random.f64());
            answers.push(Reverse((now + takes as u64, client, target, now)));
        }
        Outcome { served, in_flight: held.iter().map(|held| held / measured_ns).collect(), most_in_flight }
    }
}

#[test]
fn no_policy_picks_what_cannot_take_a_request() {
    for &kind in Kind::ALL {
        let mut pool = weighted(&[1, 0, 3, 2, 5]);
        pool.targets[2].usable = false;
        pool.targets[4].backup = true;
        let balancer = &mut balancers(kind, &pool, 1)[0];
        let mut seen = [false; 5];
        for key in 0..500 {
            let pick = balancer.pick(&pool, key, key).unwrap();
            balancer.observe(pick, 1000, key);
            seen[pick] = true;
        }
        assert_eq!(seen, [true, false, false, true, false], "{kind:?}");
    }
}

#[test]
fn backups_take_over_together_and_step_back() {
    for &kind in Kind::ALL {
        let mut pool = weighted(&[1, 1, 1, 1]);
        pool.targets[2].backup = true;
        pool.targets[3].backup = true;
        let balancer = &mut balancers(kind, &pool, 1)[0];
        let mut seen = |pool: &Pool| {
            let mut seen = [false; 4];
            for key in 0..500 {
                let pick = balancer.pick(pool, key, key).unwrap();
                balancer.observe(pick, 1000, key);
                seen[pick] = true;
            }
            seen
        };
        assert_eq!(seen(&pool), [true, true, false, false], "{kind:?}");
        pool.targets[0].usable = false;
        assert_eq!(seen(&pool), [false, true, false, false], "{kind:?}");
        pool.targets[1].weight = 0;
        assert_eq!(seen(&pool), [false, false, true, true], "{kind:?}");
        pool.targets[0].usable = true;
        assert_eq!(seen(&pool), [true, false, false, false], "{kind:?}");
    }
}

#[test]
fn without_a_usable_target_there_is_no_pick() {
    for &kind in Kind::ALL {
        let mut pool = weighted(&[1, 1]);
        pool.targets[1].backup = true;
        pool.targets.iter_mut().for_each(|target| target.usable = false);
        assert_eq!(balancers(kind, &pool, 1)[0].pick(&pool, 1, 1), None, "{kind:?}");
        let none = weighted(&[]);
        assert_eq!(balancers(kind, &none, 1)[0].pick(&none, 1, 1), None, "{kind:?}");
    }
}

#[test]
fn a_single_target_takes_everything() {
    for &kind in Kind::ALL {
        let mut pool = weighted(&[7]);
        let balancer = &mut balancers(kind, &pool, 1)[0];
        for key in 0..100 {
            assert_eq!(balancer.pick(&pool, key, key), Some(0), "{kind:?}");
            pool.targets[0].in_flight += 1;
        }
    }
}
