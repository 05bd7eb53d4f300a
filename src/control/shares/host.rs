//! What a host knows of the parts that it has, and what it says to the ledger: a state machine with time passed in, in milliseconds.
//!
//! What always holds, whatever becomes of calls and answers:
//! - Of each key this host has no more than the ledger says that it has. It comes down first and tells of that with the next call; it goes up
//!   by an answer to its last call alone.
//! - A host that begins has the least of each key until the ledger has told it what is divided: others may have all the rest.
//! - A host that hears nothing of the ledger goes on with what it has. After most of the time in which it is forgotten there it comes down to the
//!   even part of what it has more of; after half as long again it has the even part of all keys, as all hosts have by then if there is no ledger.

use super::call::{AT_ONCE, Call, Done, Key, MOST, MOST_ASKED, Reply, Report, Role, Terms, Told};
use crate::gateway::limits::shares::FULL;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What counts requests by the parts that this host has.
pub(super) trait Buckets {
    /// Sets the part of each key that is not divided in another way.
    fn set_base(&mut self, share: u32);
    /// Divides a key, of which this host has so much.
    fn set(&mut self, key: Key, share: u32);
    /// A key is not divided any more.
    fn remove(&mut self, key: Key);
    /// The part grows from one to the other; what comes has used so much of its burst.
    fn grow(&mut self, key: Key, from_to: (u32, u32), debt: u32);
    /// How much of the burst is used, and in how many milliseconds a whole one comes back; 0: there is none.
    fn debt(&self, key: Key) -> (u32, u64);
    /// The smallest part by which no more is used than there is.
    fn least(&self, key: Key) -> u32;
    /// How often a key was asked for since this was last asked, and over how many milliseconds it makes sense to say how often that is.
    fn asked(&mut self, key: Key) -> (u64, u64);
}

/// What a host knows.
#[derive(Debug)]
pub(super) struct Host {
    terms: Terms,
    id: String,
    number: u64,
    answered: u64,
    ledger: String,
    joins: bool,
    role: Role,
    known: u64,
    members: Vec<String>,
    dead: Vec<String>,
    /// What it has of each key that stands not here.
    base: u32,
    entries: BTreeMap<Key, Entry>,
    /// When the last call was sent that was answered, or this was made.
    contact: u64,
    is_alone: bool,
    sent: Option<Sent>,
    counted: u64,
    /// Calls in a row that came too late.
    late: u32,
}

#[derive(Debug)]
struct Sent {
    at: u64,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Entry {
    share: u32,
    /// What the ledger has said last, which is no less.
    allowed: u32,
    /// Requests in a second, of late.
    rate: f64,
    /// When there was one.
    asked: u64,
    reported: Option<u64>,
}

/// What the process is told that speaks for the host from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) id: String,
    hosts: u32,
    forget: u64,
    number: u64,
    ledger: String,
    role: Role,
    known: u64,
    members: Vec<String>,
    base: u32,
    contact: u64,
    /// Rule, key, what it has and may have, and requests in a second.
    entries: Vec<(u64, u64, u32, u32, f64)>,
}

/// Keys of a rule that a host has divided at the most.
pub(super) const MOST_OF_RULE: usize = 1024;
/// Calls in a row that may come too late.
const MOST_LATE: u32 = 3;
/// How often is told of a key of which there is nothing new.
const HEARTBEAT: u64 = 2000;

impl Host {
    /// One that begins. `dead`: those before it on this machine.
    pub(super) fn new(terms: Terms, id: String, dead: Vec<String>, now: u64) -> Self {
        Self {
            terms,
            id,
            number: 0,
            answered: 0,
            ledger: String::new(),
            joins: false,
            role: Role::None,
            known: 0,
            members: Vec::new(),
            dead,
            base: terms.least(),
            entries: BTreeMap::new(),
            contact: now,
            is_alone: false,
            sent: None,
            counted: now,
            late: 0,
        }
    }

    /// One that goes on from what a process before has handed over; `None`: that reckoned otherwise.
    pub(super) fn heir(terms: Terms, kept: Kept) -> Option<Self> {
        let is_same = Terms { hosts: kept.hosts, forget: kept.forget } == terms && kept.role != Role::None;
        let entry = |(rule, key, share, allowed, rate)| {
            (Key { rule, key }, Entry { share, allowed, rate, asked: kept.contact, reported: None })
        };
        is_same.then(|| Self {
            number: kept.number,
            ledger: kept.ledger,
            role: kept.role,
            known: kept.known,
            members: kept.members,
            base: kept.base,
            entries: kept.entries.into_iter().map(entry).collect(),
            ..Self::new(terms, kept.id, Vec::new(), kept.contact)
        })
    }

    /// What a process needs to know that goes on from here.
    pub(super) fn kept(&self) -> Kept {
        let entry = |(key, of): (&Key, &Entry)| (key.rule, key.key, of.share, of.allowed, of.rate);
        Kept {
            id: self.id.clone(),
            hosts: self.terms.hosts,
            forget: self.terms.forget,
            number: self.number,
            ledger: self.ledger.clone(),
            role: self.role,
            known: self.known,
            members: self.members.clone(),
            base: self.base,
            contact: self.contact,
            entries: self.entries.iter().map(entry).collect(),
        }
    }

    /// What it is called.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What it reckons by.
    pub(super) fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether it knows all that it needs to: until then it is worth while to call again at once.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.role, Role::Even | Role::Surplus)
    }

    /// Whether it has given up what the ledger does not know yet.
    pub(super) fn has_news(&self) -> bool {
        self.joins && self.role == Role::None || self.entries.values().any(|entry| entry.share < entry.allowed)
    }

    /// Whether the ledger has been silent for so long that this host has gone back to even parts.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Its role.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// What it has of each key that stands not here.
    pub(super) fn base(&self) -> u32 {
        self.base
    }

    /// How many are in the ledger.
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// The keys of a rule that are divided, and what this host has of each.
    pub(super) fn entries(&self, rule: u64) -> impl Iterator<Item = (u64, u32)> {
        let (first, last) = (Key { rule, key: 0 }, Key { rule, key: u64::MAX });
        self.entries.range(first..=last).map(|(key, entry)| (key.key, entry.share))
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: u64, buckets: &mut impl Buckets) {
        let (silent, forget, even) = (now.saturating_sub(self.contact), self.terms.forget, self.terms.even());
        if silent >= forget * 3 / 2 {
            if !self.is_alone {
                self.forget_all(even, buckets);
                (self.ledger, self.role, self.joins) = (String::new(), Role::None, false);
                (self.is_alone, self.sent) = (true, None);
            }
        } else if silent >= forget / 5 * 4 {
            self.come_down(even, buckets);
        }
    }

    /// The part of a key is short: it is to be divided by who asks for it. Returns false if there is no room.
    pub(super) fn divide(&mut self, key: Key, now: u64, buckets: &mut impl Buckets) -> bool {
        if self.entries.contains_key(&key) || self.base == 0 {
            return true;
        }
        if self.entries.len() >= MOST || self.entries(key.rule).count() >= MOST_OF_RULE {
            return false;
        }
        let share = self.base;
        // It has been asked for at least once.
        self.entries.insert(key, Entry { share, allowed: share, rate: 1.0, asked: now, reported: None });
        buckets.set(key, share);
        true
    }

    /// What is to be said now. `name`: a name that no ledger has had.
    pub(super) fn call(&mut self, now: u64, name: String, buckets: &mut impl Buckets) -> Call {
        self.count(now, buckets);
        self.number += 1;
        let mut due: Vec<(bool, u64, Key)> = self
            .entries
            .iter()
            .filter_map(|(&key, entry)| {
                let (is_told, since) = (entry.share == entry.allowed, entry.reported.unwrap_or(0));
                let is_quiet = is_told && entry.rate == 0.0 && entry.reported.is_some();
                (!is_quiet || now.saturating_sub(since) >= HEARTBEAT).then_some((is_told, since, key))
            })
            .collect();
        due.sort_unstable();
        due.truncate(AT_ONCE);
        if self.role == Role::None {
            due.clear();
        }
        let mut keys: Vec<Key> = due.into_iter().map(|(.., key)| key).collect();
        keys.sort_unstable();
        let report = |&key: &Key| {
            let entry = self.entries.get(&key)?;
            let asked = ((entry.rate * 1000.0) as u64).min(MOST_ASKED);
            let (debt, recovery) = buckets.debt(key);
            Some(Report { key, share: entry.share, debt, asked, recovery })
        };
        let reports = keys.iter().filter_map(report).collect();
        self.sent = Some(Sent { at: now, keys });
        Call {
            terms: self.terms,
            id: self.id.clone(),
            number: self.number,
            ledger: self.ledger.clone(),
            name,
            joins: self.joins,
            is_even: self.base == self.terms.even() && self.base != self.terms.least(),
            role: self.role,
            known: self.known,
            members: self.members.clone(),
            dead: self.dead.clone(),
            leaves: false,
            answered: self.answered,
            reports,
        }
    }

    /// What it says last.
    pub(super) fn leave(&mut self, buckets: &mut impl Buckets) -> Call {
        let call = self.call(self.counted, String::new(), buckets);
        self.forget_all(0, buckets);
        self.sent = None;
        Call { leaves: true, reports: Vec::new(), ..call }
    }

    /// What the ledger has answered to the call of this number. `id`: one that no host has had.
    pub(super) fn hear(&mut self, number: u64, reply: Reply, id: String, buckets: &mut impl Buckets) {
        if number != self.number {
            return;
        }
        let Some(sent) = self.sent.take() else { return };
        self.contact = sent.at;
        if reply != Reply::Late {
            (self.late, self.answered) = (0, number);
        }
        match reply {
            // What was on the way has come twice, or in another order.
            Reply::Late if self.late < MOST_LATE => self.late += 1,
            // Somebody else goes by this name: what that one has said is not known.
            Reply::Late => {
                self.late = 0;
                self.forget_all(self.terms.least(), buckets);
                (self.id, self.ledger, self.role, self.joins) = (id, String::new(), Role::None, false);
            }
            Reply::Join { ledger, settled } => {
                match settled {
                    // Others have divided what there is.
                    true => self.forget_all(self.terms.least().min(self.base), buckets),
                    false => self.come_down(self.terms.even(), buckets),
                }
                (self.ledger, self.joins, self.role, self.known) = (ledger, true, Role::None, 0);
                self.entries.values_mut().for_each(|entry| entry.allowed = entry.share);
            }
            Reply::Done(done) => self.done(&sent, done, buckets),
        }
        self.is_alone = false;
    }

    /// No answer comes to the last call.
    pub(super) fn lost(&mut self) {
        self.sent = None;
    }

    fn done(&mut self, sent: &Sent, done: Done, buckets: &mut impl Buckets) {
        let (even, least) = (self.terms.even(), self.terms.least());
        (self.joins, self.role, self.known, self.members) = (false, done.role, done.known, done.members);
        self.dead.clear();
        match done.role {
            Role::Even if self.base != even => self.base_is(even, buckets),
            Role::Least if self.base != least => self.base_is(least, buckets),
            Role::Surplus | Role::None if self.base != 0 => self.forget_all(0, buckets),
            _ => {}
        }
        if done.role == Role::Surplus {
            return;
        }
        for told in done.told {
            self.told(sent, told, buckets);
        }
    }

    fn told(&mut self, sent: &Sent, told: Told, buckets: &mut impl Buckets) {
        let (base, key) = (self.base, told.key);
        if told.gone {
            if let Some(entry) = self.entries.remove(&key) {
                if entry.share < base {
                    buckets.grow(key, (entry.share, base), FULL);
                }
                buckets.remove(key);
            }
            return;
        }
        let is_new = !self.entries.contains_key(&key);
        let entry = self.entries.entry(key).or_insert(Entry {
            share: base,
            allowed: base,
            rate: 0.0,
            asked: sent.at,
            reported: None,
        });
        let before = entry.share;
        let is_reported = sent.keys.binary_search(&key).is_ok();
        if is_reported {
            entry.reported = Some(sent.at);
            if told.share > entry.share {
                buckets.grow(key, (entry.share, told.share), told.debt);
                entry.share = told.share;
            }
        }
        entry.share = entry.share.min(told.share);
        entry.allowed = told.share;
        if told.wish < entry.share || is_new || entry.share != before {
            // It comes down first, and looks then at what is used: nobody takes more meanwhile.
            let wish = told.wish.min(entry.share);
            buckets.set(key, wish);
            let share = wish.max(buckets.least(key)).min(entry.share);
            if share != wish {
                buckets.set(key, share);
            }
            entry.share = share;
        }
    }

    /// How often keys were asked for.
    fn count(&mut self, now: u64, buckets: &mut impl Buckets) {
        let passed = now.saturating_sub(self.counted);
        if passed == 0 {
            return;
        }
        self.counted = now;
        for (&key, entry) in &mut self.entries {
            let (asked, over) = buckets.asked(key);
            if asked > 0 {
                entry.asked = now;
            }
            let (passed, over) = (passed as f64, over.max(1) as f64);
            let weight = 1.0 - (-passed / over).exp();
            entry.rate += (asked as f64 * 1000.0 / passed - entry.rate) * weight;
            if now.saturating_sub(entry.asked) as f64 > over * 8.0 {
                entry.rate = 0.0;
            }
        }
    }

    /// Has no more of anything than that.
    fn come_down(&mut self, most: u32, buckets: &mut impl Buckets) {
        if self.base > most {
            self.base_is(most, buckets);
        }
        for (&key, entry) in &mut self.entries {
            if entry.share > most {
                entry.share = most;
                buckets.set(key, most);
            }
        }
    }

    /// Knows of no key any more, and has that of each.
    fn forget_all(&mut self, base: u32, buckets: &mut impl Buckets) {
        if base < self.base {
            self.base_is(base, buckets);
        }
        for (key, entry) in std::mem::take(&mut self.entries) {
            if entry.share < base {
                buckets.grow(key, (entry.share, base), FULL);
            }
            buckets.remove(key);
        }
        self.base_is(base, buckets);
    }

    fn base_is(&mut self, base: u32, buckets: &mut impl Buckets) {
        self.base = base;
        buckets.set_base(base);
    }
}
