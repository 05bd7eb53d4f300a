//! One pick and what it is told afterwards, by policy.

use divan::{Bencher, black_box};
use ringway::net::Address;
use ringway::upstream::Target;
use ringway::upstream::balance::{Balancer, Kind, Seed, Targets};
use std::net::{Ipv4Addr, SocketAddr};

/// The real targets of one worker, seen without an exchange's tries.
struct Pool(Vec<Target>);

impl Targets for Pool {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn weight(&self, index: usize) -> u32 {
        self.0[index].weight
    }

    fn backup(&self, index: usize) -> bool {
        self.0[index].backup
    }

    fn usable(&self, index: usize) -> bool {
        self.0[index].is_up()
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.0[index].in_flight()
    }

    fn id(&self, index: usize) -> u64 {
        self.0[index].id
    }
}

#[divan::bench(args = [3, 1000])]
fn round_robin(bencher: Bencher<'_, '_>, targets: u16) {
    pick(bencher, Kind::RoundRobin, targets);
}

#[divan::bench(args = [3, 1000])]
fn least_conn(bencher: Bencher<'_, '_>, targets: u16) {
    pick(bencher, Kind::LeastConn, targets);
}

#[divan::bench(args = [3, 1000])]
fn latency(bencher: Bencher<'_, '_>, targets: u16) {
    pick(bencher, Kind::Latency, targets);
}

#[divan::bench(args = [3, 1000])]
fn random(bencher: Bencher<'_, '_>, targets: u16) {
    pick(bencher, Kind::Random, targets);
}

#[divan::bench(args = [3, 1000])]
fn hash(bencher: Bencher<'_, '_>, targets: u16) {
    pick(bencher, Kind::Hash, targets);
}

fn pick(bencher: Bencher<'_, '_>, kind: Kind, targets: u16) {
    let address = |port| Address::Ip(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    let pool = Pool((1..=targets).map(|port| Target::new(address(port), 1, false, 1)).collect());
    let mut balancer = Balancer::new(kind, &pool, Seed { worker: 0, workers: 1, random: 1 });
    let (mut key, mut now) = (0u64, 0u64);
    bencher.bench_local(|| {
        key = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
        now += 20_000;
        let picked = balancer.pick(black_box(&pool), key, now);
        if let Some(index) = picked {
            balancer.observe(index, 100_000 + key % 1024, now);
        }
        picked
    });
}
