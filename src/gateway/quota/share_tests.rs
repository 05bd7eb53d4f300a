//! A quota that hosts share, simulated: hosts, a store and their time, with everything that can go wrong.

use super::share::{Peers, Share, Turn, blind, patience, stranger};
use super::{Calendar, Period, Quota};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

const NOON: Duration = Duration::from_secs(1_795_867_200);
const TURN: Duration = Duration::from_millis(100);
/// How long others wait for a host, and how long a store that has begun anew gives nothing, so that all have put back what they know.
const SLACK: Duration = Duration::from_secs(5);
const KEYS: u64 = 3;

#[derive(Default)]
struct Store {
    rows: HashMap<u64, String>,
    heard: HashMap<u64, Duration>,
    low: BTreeMap<u64, u64>,
    number: u64,
    epoch: u64,
    begun: Duration,
    is_down: bool,
    /// How often it came back.
    comings: u64,
    /// What it comes back with: it may be older than what was told.
    kept: HashMap<u64, String>,
}

struct Host {
    id: u64,
    quota: Quota,
    share: Share,
    /// When it reached the store last.
    reached: Option<Duration>,
    epoch: u64,
    comings: u64,
    resumed: Option<Duration>,
    cursor: u64,
    /// It does not reach the store until then.
    cut: Duration,
    dead: bool,
    admitted: HashMap<u64, u64>,
    pace: [u64; KEYS as usize],
}

impl Host {
    fn new(id: u64, limit: u64, period: Period, random: &mut fastrand::Rng) -> Self {
        let calendar = Calendar::new(period, None).unwrap();
        let quota = Quota::new(limit, calendar, 256, None);
        quota.set_blind(stranger(limit, 4));
        let pace = std::array::from_fn(|_| [0, 0, 1, 3, 20][random.usize(..5)]);
        let none = Duration::ZERO;
        let share = Share::default();
        Self {
            id,
            quota,
            share,
            reached: None,
            epoch: 0,
            comings: 0,
            resumed: None,
            cursor: 0,
            cut: none,
            dead: false,
            admitted: HashMap::new(),
            pace,
        }
    }

    /// What it knows of its share is lost, and not what it counts.
    fn fall(&mut self, now: Duration) {
        self.share = Share::again();
        self.share.begin(self.quota.calendar().window(now));
        self.share.lapse(&self.quota, now);
        (self.reached, self.cursor) = (None, 0);
    }

    fn spend(&mut self, now: Duration, random: &mut fastrand::Rng) {
        for key in 0..KEYS {
            for _ in 0..random.u64(0..=self.pace[key as usize]) {
                if self.quota.decide(key + 1, now).allowed {
                    *self.admitted.entry(key + 1).or_default() += 1;
                }
            }
        }
    }

    /// Tells and hears, unless the answers get lost on their way back.
    fn exchange(&mut self, store: &mut Store, hosts: u64, now: Duration, is_lost: bool) {
        let window = self.quota.calendar().window(now);
        let period = self.quota.calendar().period();
        let limit = self.quota.limit();
        if self.share.is_new(window) {
            self.share.begin(window);
            self.cursor = 0;
        }
        let is_late = self.reached.is_none_or(|reached| now - reached > patience(period));
        self.share.see_blindly(&self.quota, if is_late { stranger(limit, hosts) } else { blind(limit, hosts) }, now);
        if is_late {
            self.share.lapse(&self.quota, now);
        }
        if store.is_down || now < self.cut {
            return;
        }
        if store.comings != self.comings {
            self.share.tell_again();
            (self.comings, self.resumed) = (store.comings, Some(now));
        }
        store.heard.insert(self.id, now);
        if store.epoch != self.epoch {
            self.share.tell_again();
            (self.epoch, self.cursor) = (store.epoch, 0);
        }
        let ages = store.heard.iter().filter(|(id, _)| **id != self.id).map(|(id, at)| (*id, now - *at)).collect();
        let peers = Peers { me: self.id, hosts, ages, slack: SLACK, absent: now.saturating_sub(store.begun) };
        if is_late {
            for (key, text) in &store.rows {
                self.share.take_up(&self.quota, *key, text, &peers, now);
            }
        }
        self.reached = Some(now);
        let low: HashSet<u64> = store.low.range(self.cursor + 1..).map(|(_, key)| *key).collect();
        self.cursor = store.number;
        let is_settled = self.resumed.is_none_or(|resumed| now - resumed >= SLACK);
        let may_take = is_settled && now - store.begun >= SLACK;
        let mut turn = self.share.turn(&self.quota, (&peers, &low), (may_take, 1000), now);
        for _ in 0..3 {
            for key in std::mem::take(&mut turn.low) {
                store.number += 1;
                store.low.retain(|_, known| *known != key);
                store.low.insert(store.number, key);
            }
            let mut next = Turn::default();
            for change in turn.changes {
                let row = store.rows.entry(change.key).or_default();
                if *row == change.old {
                    row.clone_from(&change.new);
                    if !is_lost {
                        self.share.written(&self.quota, change, now);
                    }
                } else if !is_lost {
                    let again =
                        self.share.refused(&self.quota, (change.key, row.clone()), (&peers, &low), (may_take, now));
                    next.changes.extend(again.changes);
                    next.low.extend(again.low);
                }
            }
            turn = next;
        }
    }
}

struct Faults {
    down: bool,
    cuts: bool,
    deaths: bool,
    losses: bool,
    /// What shares ends without a word, and begins again.
    falls: bool,
}

/// Returns what was admitted of each key.
fn simulate(seed: u64, limit: u64, period: Period, turns: u32, faults: &Faults) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let count = random.u64(2..=4);
    let mut store = Store { epoch: 1, begun: NOON - SLACK * 2, ..Store::default() };
    let mut hosts: Vec<Host> = (1..=count).map(|id| Host::new(id, limit, period, &mut random)).collect();
    let mut back = Duration::ZERO;
    for turn in 0..turns {
        let now = NOON + TURN * turn;
        let chance = |random: &mut fastrand::Rng, is_on: bool| is_on && random.u32(..400) == 0;
        if store.is_down && now >= back {
            store.is_down = false;
            store.comings += 1;
        } else if !store.is_down && chance(&mut random, faults.down) {
            store.is_down = true;
            back = now + Duration::from_millis(random.u64(100..20_000));
            match random.u32(..3) {
                0 if faults.losses => {
                    let comings = store.comings;
                    store = Store { epoch: random.u64(..), begun: back, is_down: true, comings, ..Store::default() };
                }
                1 if faults.losses => store.rows.clone_from(&store.kept),
                _ => {}
            }
        }
        if turn % 100 == 0 {
            store.kept.clone_from(&store.rows);
        }
        for at in 0..hosts.len() {
            if chance(&mut random, faults.cuts) {
                hosts[at].cut = now + Duration::from_millis(random.u64(100..60_000));
            }
            if chance(&mut random, faults.falls) {
                hosts[at].fall(now);
            }
            if chance(&mut random, faults.deaths) && hosts.len() < count as usize + 2 && !hosts[at].dead {
                hosts[at].dead = true;
                let id = hosts.len() as u64 + 1;
                hosts.push(Host::new(id, limit, period, &mut random));
            }
        }
        for host in hosts.iter_mut().filter(|host| !host.dead) {
            host.spend(now, &mut random);
            if random.u32(..3) > 0 {
                let is_lost = faults.cuts && random.u32(..50) == 0;
                host.exchange(&mut store, count, now, is_lost);
            }
        }
    }
    (1..=KEYS).map(|key| hosts.iter().map(|host| host.admitted.get(&key).copied().unwrap_or(0)).sum()).collect()
}

#[test]
fn all_of_a_quota_is_admitted_and_no_more_while_the_store_is_there() {
    let faults = Faults { down: false, cuts: false, deaths: false, losses: false, falls: false };
    for seed in 0..60 {
        let limit = [20, 100, 1000, 5000][seed as usize % 4];
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.u64(2..=4);
        let admitted = simulate(seed, limit, Period::Hour, 3000, &faults);
        let paces: Vec<u64> = (0..KEYS as usize)
            .map(|key| {
                let mut random = fastrand::Rng::with_seed(seed);
                let count = random.u64(2..=4);
                (1..=count).map(|id| Host::new(id, limit, Period::Hour, &mut random).pace[key]).sum()
            })
            .collect();
        for (admitted, pace) in admitted.iter().zip(paces) {
            assert!(*admitted < limit + count, "seed {seed}: {admitted} of {limit}");
            // Who asks for enough gets it.
            let enough = pace * 3000 / 2 > limit * 2;
            assert!(!enough || *admitted >= limit * 95 / 100, "seed {seed}: {admitted} of {limit} at {pace}");
        }
    }
}

#[test]
fn no_more_than_a_quota_is_admitted_whatever_fails() {
    for seed in 0..120 {
        let losses = seed % 3 != 0 && seed % 5 == 0;
        let falls = seed % 7 == 0 && !losses;
        let faults = Faults { down: true, cuts: seed % 2 == 0, deaths: seed % 3 == 0, losses, falls };
        let limit = [100, 1000, 5000][seed as usize % 3];
        let admitted = simulate(seed, limit, Period::Day, 4000, &faults);
        for admitted in admitted {
            // A host of which the store does not know, as it begins while that is away, has a little of each key.
            assert!(admitted <= limit + (limit / 20).max(3), "seed {seed}: {admitted} of {limit}");
        }
    }
}

#[test]
fn what_a_dead_host_was_given_goes_to_the_others() {
    let mut random = fastrand::Rng::with_seed(1);
    let (limit, period) = (1000, Period::Minute);
    // The dead host's patience is 15 s of the minute, the others' 20 s.
    let mut store = Store { epoch: 1, begun: NOON - SLACK * 2, ..Store::default() };
    let mut hosts = [Host::new(1, limit, period, &mut random), Host::new(2, limit, period, &mut random)];
    hosts[0].pace = [3, 0, 0];
    hosts[1].pace = [5, 0, 0];
    for turn in 0..550 {
        let now = NOON + TURN * turn;
        for host in hosts.iter_mut().filter(|host| host.id == 2 || turn < 50) {
            host.spend(now, &mut random);
            host.exchange(&mut store, 2, now, false);
        }
    }
    let admitted: u64 = hosts.iter().map(|host| host.admitted.values().sum::<u64>()).sum();
    assert!((950..=1000).contains(&admitted), "{admitted}");
    assert!(hosts[0].admitted.values().sum::<u64>() > 20);
}

#[test]
fn what_was_given_is_not_spent_twice_where_it_is_not_known_what_was_told() {
    let mut random = fastrand::Rng::with_seed(1);
    let (limit, period) = (1000, Period::Day);
    let mut store = Store { epoch: 1, begun: NOON - SLACK * 2, ..Store::default() };
    let mut hosts = [Host::new(1, limit, period, &mut random), Host::new(2, limit, period, &mut random)];
    for host in &mut hosts {
        host.pace = [5, 0, 0];
    }
    for turn in 0..2000 {
        let now = NOON + TURN * turn;
        for host in &mut hosts {
            host.spend(now, &mut random);
            if turn % 40 == 39 {
                // It has spent since it told of it last.
                host.fall(now);
                let before = host.admitted.get(&1).copied();
                host.spend(now, &mut random);
                assert_eq!(host.admitted.get(&1).copied(), before, "nothing is spent before the store is heard");
            }
            host.exchange(&mut store, 2, now, false);
        }
    }
    let admitted: u64 = hosts.iter().map(|host| host.admitted.values().sum::<u64>()).sum();
    // What it does not know to be left counts as spent.
    assert!((300..=limit).contains(&admitted), "{admitted}");
}

#[test]
fn keys_that_clients_choose_are_not_held_without_end() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut store = Store { epoch: 1, begun: NOON - SLACK * 2, ..Store::default() };
    let mut host = Host::new(1, 100, Period::Day, &mut random);
    let size = host.quota.table().size();
    let mut most = 0;
    for turn in 0..400 {
        let now = NOON + TURN * turn;
        // For some time nothing can be told.
        store.is_down = (100..200).contains(&turn);
        for _ in 0..100 {
            host.quota.decide(random.u64(1..), now);
        }
        host.exchange(&mut store, 2, now, false);
        most = most.max(host.share.held());
    }
    assert!(most <= size * 3, "{most} of {size}");
    assert!(store.rows.len() > size * 10, "{}", store.rows.len());
}

#[test]
fn a_key_for_which_the_store_has_no_room_is_told_of_seldom_and_no_more_is_admitted_than_blindly() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut host = Host::new(1, 100, Period::Day, &mut random);
    let window = host.quota.calendar().window(NOON);
    let peers = Peers { me: 1, hosts: 2, slack: SLACK, absent: SLACK * 3, ..Peers::default() };
    host.share.begin(window);
    let (mut admitted, mut told) = (0, 0);
    for turn in 0..300 {
        let now = NOON + TURN * turn;
        host.share.see_blindly(&host.quota, blind(100, 2), now);
        admitted += u64::from(host.quota.decide(7, now).allowed);
        let turn = host.share.turn(&host.quota, (&peers, &HashSet::new()), (true, 1000), now);
        told += turn.changes.len();
        turn.changes.iter().for_each(|change| host.share.shut(change));
    }
    assert_eq!(admitted, blind(100, 2));
    assert!((2..=4).contains(&told), "{told}");
}
