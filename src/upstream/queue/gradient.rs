//! How much a target should have in hand, found from how long it takes: the gradient of its latency.
//!
//! A target that has less to do than it can work on answers in the time that the work takes; more in hand only makes everybody
//! wait. So the least time that is seen while it has little in hand is held against the present one: while they are alike the
//! limit grows, when the present one is longer it shrinks by as much. As in Envoy's adaptive concurrency and Netflix's
//! concurrency limits.
//!
//! Pure: no I/O, no clock. Time is passed in, nanoseconds from any fixed start.

use std::time::Duration;

/// How a limit is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The least that it may be, at least 1. So much a target has in hand while its least time is measured.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// How much longer than the least time counts as alike, as a share of it.
    pub tolerance: f64,
    /// How long times are gathered until the limit changes.
    pub window: Duration,
    /// From one measurement of the least time to the next.
    pub probe: Duration,
}

/// Answers without which a window says nothing.
const ENOUGH: usize = 10;
/// Answers of a window that are looked at; of more, the latest.
const KEPT: usize = 128;
/// Windows after which a measurement is given up whose target never has as little in hand as it should.
const PATIENCE: u64 = 20;

/// A limit that follows a target's latency.
#[derive(Debug)]
pub struct Gradient {
    settings: Settings,
    limit: f64,
    /// The least time, once it is known.
    least_ns: Option<u64>,
    phase: Phase,
    opened_ns: u64,
    times: Vec<u64>,
    next: usize,
    /// The most that was in hand in this window.
    most: u32,
    measured_ns: u64,
    /// A share of `probe` by which this one's measurements are off the others', so that targets are not measured all at once.
    jitter: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The limit follows.
    Following,
    /// The target works off what it has, down to the least limit, since then.
    Emptying(u64),
    /// The least time is measured.
    Measuring,
}

impl Gradient {
    /// For a target of which nothing is known yet. `jitter` is between 0 and 1.
    pub fn new(settings: Settings, jitter: f64) -> Self {
        Self {
            settings,
            limit: f64::from(settings.min),
            least_ns: None,
            phase: Phase::Measuring,
            opened_ns: 0,
            times: Vec::with_capacity(KEPT),
            next: 0,
            most: 0,
            measured_ns: 0,
            jitter: jitter * 0.15,
        }
    }

    /// How much the target may have in hand.
    pub fn limit(&self) -> u32 {
        match self.phase {
            Phase::Following => (self.limit as u32).clamp(self.settings.min, self.settings.max),
            Phase::Emptying(_) | Phase::Measuring => self.settings.min,
        }
    }

    /// Learns that an answer took `took_ns`, when `in_flight` were in hand. Returns the limit if that has changed.
    pub fn answered(&mut self, took_ns: u64, in_flight: u32, now_ns: u64) -> Option<u32> {
        let before = self.limit();
        if let Phase::Emptying(since) = self.phase {
            let window = nanos(self.settings.window);
            if in_flight > self.settings.min {
                if now_ns.saturating_sub(since) > window.saturating_mul(PATIENCE) {
                    self.follow(now_ns);
                }
                return Some(self.limit()).filter(|&limit| limit != before);
            }
            (self.phase, self.most) = (Phase::Measuring, 0);
            self.open(now_ns);
        }
        self.note(took_ns, in_flight, now_ns);
        let full = now_ns.saturating_sub(self.opened_ns) >= nanos(self.settings.window);
        if full && self.times.len() >= ENOUGH {
            self.close(now_ns);
        }
        Some(self.limit()).filter(|&limit| limit != before)
    }

    fn note(&mut self, took_ns: u64, in_flight: u32, now_ns: u64) {
        if self.times.is_empty() {
            self.opened_ns = now_ns;
        }
        self.most = self.most.max(in_flight);
        match self.times.get_mut(self.next) {
            Some(place) => *place = took_ns,
            None => self.times.push(took_ns),
        }
        self.next = (self.next + 1) % KEPT;
    }

    fn open(&mut self, now_ns: u64) {
        self.times.clear();
        (self.next, self.most, self.opened_ns) = (0, 0, now_ns);
    }

    fn close(&mut self, now_ns: u64) {
        let middle = self.times.len() / 2;
        let median = *self.times.select_nth_unstable(middle).1;
        let most = self.most;
        self.open(now_ns);
        if self.phase == Phase::Measuring {
            self.least_ns = Some(median);
            self.measured_ns = now_ns;
            return self.follow(now_ns);
        }
        let least = self.least_ns.map_or(median, |least| least.min(median)).max(1);
        self.least_ns = Some(least);
        let gradient = (least as f64 * (1.0 + self.settings.tolerance) / median.max(1) as f64).clamp(0.5, 2.0);
        let next = self.limit * gradient + self.limit.sqrt();
        // A limit that nobody comes near says nothing about what the target can do.
        if next < self.limit || f64::from(most) * 2.0 >= self.limit {
            self.limit = next.clamp(f64::from(self.settings.min), f64::from(self.settings.max));
        }
        let probe = self.settings.probe.as_nanos() as f64 * (1.0 + self.jitter);
        if now_ns.saturating_sub(self.measured_ns) as f64 >= probe {
            self.phase = Phase::Emptying(now_ns);
        }
    }

    fn follow(&mut self, now_ns: u64) {
        (self.phase, self.measured_ns) = (Phase::Following, now_ns);
        self.open(now_ns);
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    const MS: u64 = 1_000_000;

    fn settings() -> Settings {
        Settings {
            min: 4,
            max: 1000,
            tolerance: 0.25,
            window: Duration::from_millis(100),
            probe: Duration::from_secs(60),
        }
    }

    /// A target that works on `cores` requests at a time, each for `work_ns`, give or take a tenth; the others wait within it.
    struct Server {
        cores: usize,
        work_ns: u64,
        /// When each core is free.
        free: BinaryHeap<Reverse<u64>>,
        random: fastrand::Rng,
    }

    impl Server {
        fn new(cores: usize, work_ns: u64) -> Self {
            Self { cores, work_ns, free: (0..cores).map(|_| Reverse(0)).collect(), random: fastrand::Rng::with_seed(7) }
        }

        fn change(&mut self, cores: usize, work_ns: u64) {
            let last = self.free.iter().map(|free| free.0).max().unwrap_or(0);
            (self.cores, self.work_ns) = (cores, work_ns);
            self.free = (0..cores).map(|_| Reverse(last)).collect();
        }

        /// When a request that comes now is answered.
        fn answer(&mut self, now: u64) -> u64 {
            let start = self.free.pop().map_or(now, |free| free.0.max(now));
            let end = start + self.work_ns * self.random.u64(90..=110) / 100;
            self.free.push(Reverse(end));
            end
        }
    }

    /// Clients that each ask again as soon as they were answered, behind the limit.
    struct World {
        gradient: Gradient,
        server: Server,
        clients: usize,
        now: u64,
        /// End, start of those at the server.
        inside: BinaryHeap<Reverse<(u64, u64)>>,
    }

    impl World {
        fn new(settings: Settings, server: Server, clients: usize) -> Self {
            Self { gradient: Gradient::new(settings, 0.0), server, clients, now: 0, inside: BinaryHeap::new() }
        }

        /// Runs for so long; the mean of the limit in its second half.
        fn run(&mut self, seconds: u64) -> f64 {
            let (begun, end) = (self.now, self.now + seconds * 1000 * MS);
            let (mut sum, mut count) = (0.0, 0.0);
            while self.now < end {
                while self.inside.len() < self.clients.min(self.gradient.limit() as usize) {
                    let answered = self.server.answer(self.now);
                    self.inside.push(Reverse((answered, self.now)));
                }
                let Some(Reverse((now, started))) = self.inside.pop() else { unreachable!("somebody is inside") };
                self.now = now;
                self.gradient.answered(now - started, self.inside.len() as u32 + 1, now);
                if now > begun + (end - begun) / 2 {
                    sum += f64::from(self.gradient.limit());
                    count += 1.0;
                }
            }
            sum / count
        }
    }

    #[test]
    fn the_limit_comes_to_what_the_target_can_work_on() {
        for (cores, work) in [(8, 5 * MS), (32, 20 * MS), (100, MS)] {
            let mut world = World::new(settings(), Server::new(cores, work), 500);
            let limit = world.run(30);
            let right = cores as f64;
            assert!(limit > 0.9 * right && limit < 2.2 * right + 5.0, "{cores} cores of {work} ns: {limit}");
        }
    }

    #[test]
    fn it_follows_a_target_that_changes() {
        let mut world = World::new(settings(), Server::new(64, 10 * MS), 500);
        let before = world.run(20);
        world.server.change(16, 10 * MS);
        let after = world.run(20);
        assert!(after < 0.6 * before && after > 14.0, "{before}, then {after}");
        world.server.change(64, 10 * MS);
        let again = world.run(20);
        assert!(again > 0.8 * before, "{before}, then {again}");
    }

    #[test]
    fn work_that_takes_longer_for_good_is_no_reason_to_stay_at_the_bottom() {
        let mut world = World::new(settings(), Server::new(32, 5 * MS), 500);
        world.run(20);
        world.server.change(32, 20 * MS);
        let limit = world.run(240);
        assert!(limit > 25.0, "{limit}: the least time is measured anew");
    }

    #[test]
    fn bounds_hold_whatever_happens() {
        let mut random = fastrand::Rng::with_seed(3);
        let bounds = Settings { min: 2, max: 9, ..settings() };
        let mut gradient = Gradient::new(bounds, 1.0);
        let mut now = 0;
        for _ in 0..200_000 {
            now += random.u64(0..3 * MS);
            gradient.answered(random.u64(..), random.u32(..), now);
            assert!((2..=9).contains(&gradient.limit()), "{}", gradient.limit());
        }
    }

    #[test]
    fn a_limit_that_nobody_comes_near_does_not_grow() {
        let mut world = World::new(settings(), Server::new(64, 10 * MS), 10);
        assert!(world.run(60) < 30.0, "{}", world.gradient.limit());
    }

    #[test]
    fn while_the_least_time_is_measured_the_limit_is_the_least() {
        let mut world = World::new(settings(), Server::new(32, 5 * MS), 500);
        world.run(59);
        let mut seen = 0;
        for _ in 0..30 {
            world.run(1);
            seen += usize::from(world.gradient.limit() == 4);
        }
        assert!(seen <= 2, "it is over soon");
        assert!(world.gradient.measured_ns > 60_000 * MS, "and has been done");
    }
}
