//! Hosts, a ledger and the way between them, by a clock of its own: what is lost, late, doubled, begun anew or emptied, as a seed has it.

use super::call::{Call, Reply, Terms};
use super::counters::Counters;
use super::host::Host;
use super::ledger::Ledger;
use crate::gateway::limits::shares::UNIT;
use crate::gateway::limits::{Allowance, Limiter, Shares};
use fastrand::Rng;
use std::sync::Arc;
use std::time::Duration;

const RULE: u64 = 7;
const INTERVAL: u64 = 100;
const TIMEOUT: u64 = 250;
const FORGET: u64 = 10_000;

/// How the way to the ledger is: in a thousand, how many calls and answers are lost, doubled, or come late.
#[derive(Clone, Copy)]
struct Weather {
    lost: u32,
    doubled: u32,
    late: u32,
}

const FAIR: Weather = Weather { lost: 0, doubled: 0, late: 0 };
const FOUL: Weather = Weather { lost: 100, doubled: 100, late: 50 };

struct World {
    random: Rng,
    now: u64,
    terms: Terms,
    allowance: Allowance,
    weather: Weather,
    ledger: Ledger,
    is_up: bool,
    /// On each machine one, or none.
    processes: Vec<Option<Process>>,
    begun: u64,
    on_the_way: Vec<(u64, Message)>,
    keys: u64,
    admitted: Vec<u64>,
}

struct Process {
    id: String,
    host: Host,
    counters: Counters,
    limiter: Limiter,
    next: u64,
    waits: Option<(u64, u64)>,
    /// Until when nothing of it comes through.
    cut: u64,
}

enum Message {
    Call(usize, String, Call),
    /// Which nobody waits for any more.
    Double(usize, Call),
    Reply(usize, String, u64, Reply),
}

impl World {
    fn new(seed: u64, hosts: u32, allowance: Allowance, weather: Weather) -> Self {
        let mut world = Self {
            random: Rng::with_seed(seed),
            now: 1_000_000,
            terms: Terms { hosts, forget: FORGET },
            allowance,
            weather,
            ledger: Ledger::default(),
            is_up: true,
            processes: (0..hosts).map(|_| None).collect(),
            begun: 0,
            on_the_way: Vec::new(),
            keys: 3,
            admitted: vec![0; 3],
        };
        (0..hosts as usize).for_each(|machine| world.begin(machine, Vec::new()));
        world
    }

    fn begin(&mut self, machine: usize, dead: Vec<String>) {
        self.begun += 1;
        let id = format!("{machine}-{}", self.begun);
        let host = Host::new(self.terms, id.clone(), dead, self.now);
        let shares = Arc::new(Shares::new(host.base()));
        let limiter = Limiter::new(self.allowance, 1000, None).shared(shares);
        let counters = Counters::with([(RULE, limiter.clone())]);
        let next = self.now + self.random.u64(0..INTERVAL);
        self.processes[machine] = Some(Process { id, host, counters, limiter, next, waits: None, cut: 0 });
    }

    fn kill(&mut self, machine: usize) -> String {
        self.processes[machine].take().map(|process| process.id).unwrap_or_default()
    }

    /// It ends as it should.
    fn leave(&mut self, machine: usize) {
        let Some(mut process) = self.processes[machine].take() else { return };
        let call = process.host.leave(&mut process.counters);
        self.send(Message::Call(machine, process.id, call));
    }

    fn send(&mut self, message: Message) {
        let cut =
            |world: &Self, machine: usize| world.processes[machine].as_ref().is_some_and(|one| one.cut > world.now);
        let (Message::Call(machine, ..) | Message::Double(machine, ..) | Message::Reply(machine, ..)) = &message;
        if !self.is_up || cut(self, *machine) || self.random.u32(0..1000) < self.weather.lost {
            return;
        }
        let delay = |world: &mut Self| match world.random.u32(0..1000) < world.weather.late {
            true => world.random.u64(0..3000),
            false => world.random.u64(0..20),
        };
        if let Message::Call(machine, _, call) = &message
            && self.random.u32(0..1000) < self.weather.doubled
        {
            let at = self.now + delay(self);
            self.on_the_way.push((at, Message::Double(*machine, call.clone())));
        }
        let at = self.now + delay(self);
        self.on_the_way.push((at, message));
    }

    /// A millisecond, in which each machine is asked so often for each key.
    fn step(&mut self, asks: &[(usize, u64, u32)]) {
        self.now += 1;
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.on_the_way).into_iter().partition(|(at, _)| *at <= now);
        self.on_the_way = later;
        let due: Vec<(u64, Message)> = due;
        for (_, message) in due {
            self.arrive(message);
            self.check();
        }
        for machine in 0..self.processes.len() {
            self.turn(machine);
            self.check();
        }
        let time = Duration::from_millis(now);
        for &(machine, key, count) in asks {
            let Some(process) = &self.processes[machine] else { continue };
            for _ in 0..count {
                self.admitted[key as usize] += u64::from(process.limiter.decide(key + 1, time).allowed);
            }
        }
    }

    fn turn(&mut self, machine: usize) {
        let now = self.now;
        let name = format!("{:x}", self.random.u64(..));
        let Some(process) = &mut self.processes[machine] else { return };
        process.counters.set_now(Duration::from_millis(now));
        if process.waits.is_some_and(|(_, until)| now >= until) {
            process.waits = None;
            process.host.lost();
        }
        if now < process.next || process.waits.is_some() {
            return;
        }
        process.next = now + INTERVAL;
        process.host.tick(now, &mut process.counters);
        for key in process.counters.short() {
            assert!(process.host.divide(key, now, &mut process.counters));
        }
        process.counters.publish();
        let call = process.host.call(now, name, &mut process.counters);
        process.waits = Some((call.number, now + TIMEOUT));
        let id = process.id.clone();
        self.send(Message::Call(machine, id, call));
    }

    fn arrive(&mut self, message: Message) {
        let now = self.now;
        match message {
            Message::Call(machine, id, call) => {
                if !self.is_up {
                    return;
                }
                let reply = self.ledger.hear(&call, now);
                self.send(Message::Reply(machine, id, call.number, reply));
            }
            Message::Double(_, call) => {
                if self.is_up {
                    self.ledger.hear(&call, now);
                }
            }
            Message::Reply(machine, id, number, reply) => {
                let other = format!("{machine}-{}", self.random.u64(..));
                let Some(process) = &mut self.processes[machine] else { return };
                if process.id != id || process.waits.is_none_or(|(waited, _)| waited != number) {
                    return;
                }
                process.waits = None;
                process.counters.set_now(Duration::from_millis(now));
                process.host.hear(number, reply, other, &mut process.counters);
                process.counters.publish();
                if process.host.has_news() {
                    process.next = now + 10;
                }
            }
        }
    }

    /// What all that live have of a key is no more than there is.
    fn check(&self) {
        for key in 0..=self.keys {
            let has = |process: &Process| process.limiter.shares().map_or(0, |shares| shares.of(key + 1));
            let has: Vec<u32> = self.processes.iter().flatten().map(has).collect();
            let all: u32 = has.iter().sum();
            assert!(all <= UNIT, "at {}: {has:?} of key {key}", self.now - 1_000_000);
        }
    }

    /// How many of a key are admitted in so many milliseconds.
    fn run(&mut self, millis: u64, mut asks: impl FnMut(&mut Rng, u64) -> Vec<(usize, u64, u32)>) -> Vec<u64> {
        let before = self.admitted.clone();
        for nth in 0..millis {
            let asks = asks(&mut self.random, nth);
            self.step(&asks);
        }
        self.admitted.iter().zip(before).map(|(now, before)| now - before).collect()
    }
}

fn pace(rate: u32, burst: u32) -> Allowance {
    Allowance::pace(rate, Duration::from_secs(1), burst).unwrap()
}

/// Of one and a half times the limit of `rate` a second, nine tenths come to one machine, which is another one every two seconds.
fn skewed(rate: u32, machines: usize) -> impl FnMut(&mut Rng, u64) -> Vec<(usize, u64, u32)> {
    let mut due = vec![0.0; machines * 3];
    move |_, nth| {
        let mut asks = Vec::new();
        for machine in 0..machines {
            for key in 0..3 {
                let hot = (nth / 2000 + key) as usize % machines == machine;
                let part = if hot { 0.9 } else { 0.1 / (machines - 1).max(1) as f64 };
                let due = &mut due[machine * 3 + key as usize];
                *due += f64::from(rate) * 1.5 * part / 1000.0;
                asks.push((machine, key, *due as u32));
                *due -= due.floor();
            }
        }
        asks
    }
}

#[test]
fn of_a_skewed_load_as_much_is_admitted_as_of_one_limit() {
    for hosts in [1, 2, 4] {
        for seed in 0..1 {
            let mut world = World::new(seed, hosts, pace(400, 400), FAIR);
            let mut load = skewed(400, hosts as usize);
            world.run(1000, &mut load);
            for admitted in world.run(10_000, &mut load) {
                assert!((3800..=4600).contains(&admitted), "{hosts} hosts, seed {seed}: {admitted}");
            }
            for admitted in world.run(20_000, &mut load) {
                assert!((7600..=8400).contains(&admitted), "{hosts} hosts, seed {seed}: {admitted}");
            }
        }
    }
}

#[test]
fn what_comes_to_another_host_is_admitted_there_after_a_few_turns() {
    for seed in 0..4 {
        let mut world = World::new(seed, 2, pace(1000, 10), FAIR);
        let only = |machine: usize| move |_: &mut Rng, _: u64| vec![(machine, 0, 2)];
        world.run(2000, only(0));
        assert!(world.run(1000, only(0))[0] >= 950);
        world.run(400, only(1));
        let admitted = world.run(1000, only(1))[0];
        assert!((950..=1010).contains(&admitted), "seed {seed}: {admitted}");
    }
}

#[test]
fn a_burst_that_is_left_at_an_idle_host_is_had_where_requests_come() {
    let mut world = World::new(1, 2, pace(10, 1000), FAIR);
    world.run(1000, |_, _| Vec::new());
    let admitted = world.run(5000, |_, _| vec![(0, 0, 1)])[0];
    assert!((950..=1050).contains(&admitted), "{admitted}");
    let admitted = world.run(5000, |_, _| vec![(1, 0, 1)])[0];
    assert!(admitted <= 70, "it is not had twice: {admitted}");
}

#[test]
fn windows_that_slide_move_what_is_not_used() {
    let window = Allowance::window(1000, Duration::from_secs(2)).unwrap();
    let mut world = World::new(1, 2, window, FAIR);
    let mut load = skewed(500, 2);
    world.run(4000, &mut load);
    for admitted in world.run(20_000, &mut load) {
        assert!((9500..=10_500).contains(&admitted), "{admitted}");
    }
}

#[test]
fn keys_that_nobody_asks_for_are_divided_evenly_again() {
    let mut world = World::new(1, 2, pace(100, 10), FAIR);
    world.run(3000, skewed(100, 2));
    let divided =
        |world: &World| world.processes.iter().flatten().map(|one| one.host.entries(RULE).count()).sum::<usize>();
    assert_eq!(divided(&world), 6);
    world.run(25_000, |_, _| Vec::new());
    assert_eq!(divided(&world), 0);
    let shares = |world: &World| -> Vec<u32> { world.processes.iter().flatten().map(|one| one.host.base()).collect() };
    assert_eq!(shares(&world), [UNIT / 2, UNIT / 2]);
}

#[test]
fn parts_never_add_up_to_more_than_there_is() {
    for seed in 0..10 {
        let mut fate = Rng::with_seed(seed);
        let hosts = fate.u32(1..5);
        let weather = if fate.bool() { FOUL } else { FAIR };
        let mut world = World::new(seed, hosts, pace(400, 40), weather);
        let mut load = skewed(400, hosts as usize);
        let began = world.now;
        for _ in 0..8 {
            world.run(fate.u64(2000..6000), &mut load);
            let machine = fate.usize(0..hosts as usize);
            match fate.u8(0..8) {
                0 => {
                    world.kill(machine);
                    world.run(fate.u64(0..3000), &mut load);
                    world.begin(machine, Vec::new());
                }
                1 => {
                    let dead = world.kill(machine);
                    world.begin(machine, vec![dead]);
                }
                2 => {
                    world.leave(machine);
                    world.run(fate.u64(0..3000), &mut load);
                    world.begin(machine, Vec::new());
                }
                3 => world.ledger = Ledger::default(),
                7 => {
                    let old = world.ledger.clone();
                    world.run(fate.u64(300..3000), &mut load);
                    world.ledger = old;
                }
                4 => {
                    world.is_up = false;
                    world.run(fate.u64(0..9000), &mut load);
                    world.is_up = true;
                }
                5 => {
                    world.is_up = false;
                    world.run(fate.u64(0..25_000), &mut load);
                    world.ledger = Ledger::default();
                    world.is_up = true;
                }
                _ => {
                    let until = world.now + fate.u64(0..7000);
                    if let Some(process) = &mut world.processes[machine] {
                        process.cut = until;
                    }
                    world.run(8000, &mut load);
                }
            }
        }
        world.run(3000, &mut load);
        // What a process has counted that was killed is not known: each begins with a burst of its part.
        let (passed, bursts) = ((world.now - began) as f64 / 1000.0, 40.0 * world.begun as f64);
        for &admitted in &world.admitted {
            assert!(admitted as f64 <= 400.0 * passed * 1.05 + bursts, "seed {seed}: {admitted} in {passed} s");
        }
    }
}
