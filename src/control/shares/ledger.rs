//! What ledger.lua does, in Rust: for the simulation, and to hold the script to.

use super::call::{AT_ONCE, Call, Done, Key, MOST, MOST_ASKED, Reply, Report, Role, Terms, Told};
use crate::gateway::limits::shares::{FULL, UNIT};
use std::collections::{BTreeMap, BTreeSet};

/// The ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    name: String,
    clock: u64,
    last: Option<u64>,
    settled: bool,
    version: u64,
    members: BTreeMap<String, Member>,
    expected: BTreeSet<String>,
    entries: BTreeMap<Key, Entry>,
    news: BTreeMap<String, BTreeSet<Key>>,
}

#[derive(Clone, Debug)]
struct Member {
    role: Role,
    seen: u64,
    number: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    version: u64,
    /// What is used of what nobody has.
    debt: u32,
    /// When that was so, and in how many milliseconds a whole burst comes back.
    since: u64,
    recovery: u64,
    /// When it was last asked for.
    time: u64,
    shares: BTreeMap<String, u32>,
    asked: BTreeMap<String, u64>,
}

/// Milliseconds that a key is asked for by nobody before it is divided evenly again.
const IDLE: u64 = 10_000;

impl Terms {
    /// By how much a host may have more than it needs, so that not all is told at all times.
    fn slack(self) -> u32 {
        UNIT / self.hosts / 200
    }

    /// How long a ledger that knows nothing waits for hosts of which none has heard that is there. Three times as long it waits, where nobody has heard
    /// of any, before it takes those for all that have anything.
    fn patience(self) -> u64 {
        self.forget / 10
    }

    /// How long nobody may have come before a ledger knows nothing any more: hosts may have gone back to even parts.
    fn gap(self) -> u64 {
        self.forget / 4
    }
}

impl Ledger {
    /// What it answers at `now`, in milliseconds.
    pub(super) fn hear(&mut self, call: &Call, now: u64) -> Reply {
        let terms = call.terms;
        let is_old = self.members.get(&call.id).is_some_and(|me| me.number < call.answered);
        match self.last {
            Some(last) if now.saturating_sub(last) <= terms.gap() && !is_old => {
                self.clock += now.saturating_sub(last).min(terms.patience());
            }
            _ => *self = Self { name: call.name.clone(), ..Self::default() },
        }
        self.last = Some(now);
        let clock = self.clock;
        self.members.retain(|id, one| !call.dead.contains(id) && clock - one.seen <= terms.forget);
        let before = self.members.get(&call.id).cloned();
        if before.as_ref().is_some_and(|me| call.number <= me.number) {
            return Reply::Late;
        }
        if call.leaves {
            self.members.remove(&call.id);
            self.news.remove(&call.id);
            let (ledger, settled) = (self.name.clone(), self.settled);
            return Reply::Done(Done { ledger, settled, ..Done::default() });
        }
        let may_join = call.joins && !(self.settled && call.is_even);
        if call.ledger != self.name || before.is_none() && !may_join {
            if !self.settled {
                self.expected.extend(call.members.iter().cloned());
            }
            return Reply::Join { ledger: self.name.clone(), settled: self.settled };
        }
        let hosts = terms.hosts as usize;
        let mut role = match before {
            None if self.sharing() >= hosts => Role::Surplus,
            None if call.is_even => Role::Even,
            None => Role::Least,
            Some(me) if me.role == Role::Even && call.joins && !call.is_even => Role::Least,
            Some(me) => me.role,
        };
        self.members.insert(call.id.clone(), Member { role, seen: clock, number: call.number });
        if !self.settled {
            let is_complete = self.expected.iter().all(|id| self.members.contains_key(id));
            let is_time = self.sharing() >= hosts || !self.expected.is_empty() && clock >= terms.patience();
            self.settled = clock >= terms.forget || is_complete && is_time;
        }
        if role == Role::Surplus && self.sharing() < hosts {
            role = Role::Least;
        } else if role == Role::Least {
            let knows_all = self.settled && call.role == Role::Least && call.known == self.version;
            if knows_all || !self.settled && clock >= terms.patience() * 3 {
                role = Role::Even;
            }
        }
        if let Some(me) = self.members.get_mut(&call.id) {
            me.role = role;
        }
        let (mut told, mut known) = (Vec::new(), 0);
        if self.settled && role != Role::Surplus {
            for report in &call.reports {
                told.push(self.report(call, report));
            }
            known = self.news(call, role, &mut told);
        }
        let members = self.members.keys().cloned().collect();
        Reply::Done(Done { ledger: self.name.clone(), settled: self.settled, role, known, members, told })
    }

    /// What a host is told of a key of which it has told.
    fn report(&mut self, call: &Call, report: &Report) -> Told {
        let (id, key, terms) = (&call.id, report.key, call.terms);
        let asked = report.asked.min(MOST_ASKED);
        self.load(call, key, true);
        if !self.entries.contains_key(&key) && asked > 0 && self.entries.len() < MOST {
            self.version += 1;
            let sharing = self.members.iter().filter(|(_, one)| one.role != Role::Surplus);
            let part = |one: &Member| if one.role == Role::Even { terms.even() } else { terms.least() };
            let shares = sharing.map(|(id, one)| (id.clone(), part(one))).collect();
            let (version, debt, time) = (self.version, FULL, self.clock);
            let (since, recovery) = (time, 0);
            self.entries.insert(key, Entry { version, debt, since, recovery, time, shares, asked: BTreeMap::new() });
        }
        let Some(mut entry) = self.entries.remove(&key) else { return gone(key) };
        let mine = entry.share(id, terms.least());
        let share = report.share.max(terms.least()).min(mine);
        entry.recovery = report.recovery;
        if share < mine {
            entry.debt = used((self.free(call, &entry), entry.debt), (mine - share, report.debt));
        }
        entry.shares.insert(id.clone(), share);
        entry.asked.insert(id.clone(), asked);
        if asked > 0 {
            entry.time = self.clock;
        }
        let (up, _) = self.wish(call, &entry, id);
        let more = up.saturating_sub(share).min(self.free(call, &entry));
        entry.shares.insert(id.clone(), share + more);
        let mut is_even = true;
        for (host, member) in &self.members {
            if member.role == Role::Surplus {
                continue;
            }
            let has = entry.share(host, terms.least());
            let (down, idle) = self.wish(call, &entry, host);
            if host != id && (has > down + terms.slack() || idle && has > down) {
                self.news.entry(host.clone()).or_default().insert(key);
            }
            is_even &= idle && has == down;
        }
        if is_even {
            return gone(key);
        }
        let debt = entry.debt;
        self.entries.insert(key, entry);
        self.tell(call, key, debt)
    }

    /// Adds what a host is to know besides. Returns how far it knows what is divided.
    fn news(&mut self, call: &Call, role: Role, told: &mut Vec<Told>) -> u64 {
        let mut done: BTreeSet<Key> = told.iter().map(|one| one.key).collect();
        let fresh = self.news.entry(call.id.clone()).or_default();
        let now: Vec<Key> = fresh.iter().take(AT_ONCE).copied().collect();
        for key in now {
            if let Some(fresh) = self.news.get_mut(&call.id) {
                fresh.remove(&key);
            }
            if done.insert(key) {
                self.load(call, key, false);
                told.push(self.tell(call, key, FULL));
            }
        }
        if role != Role::Least {
            return self.version;
        }
        let behind = self.entries.iter().filter(|(_, entry)| entry.version > call.known);
        let mut page: Vec<(u64, Key)> = behind.map(|(&key, entry)| (entry.version, key)).collect();
        page.sort_unstable();
        page.truncate(AT_ONCE);
        for &(_, key) in &page {
            if done.insert(key) {
                self.load(call, key, false);
                told.push(self.tell(call, key, FULL));
            }
        }
        page.get(AT_ONCE - 1).map_or(self.version, |&(version, _)| version)
    }

    /// Frees what those had of a key who are not there any more; where there is news of it, what nobody has comes back, too.
    fn load(&mut self, call: &Call, key: Key, is_news: bool) {
        let Some(mut entry) = self.entries.remove(&key) else { return };
        let is_there = |id: &String| self.members.get(id).is_some_and(|one| one.role != Role::Surplus);
        let lost: u32 = entry.shares.iter().filter(|(id, _)| !is_there(id)).map(|(_, share)| share).sum();
        entry.shares.retain(|id, _| is_there(id));
        entry.asked.retain(|id, _| is_there(id));
        if lost > 0 || is_news {
            let passed = (self.clock - entry.since).min(1_000_000_000) * u64::from(FULL);
            if let Some(back) = passed.checked_div(entry.recovery) {
                entry.debt = entry.debt.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX));
            }
            entry.since = self.clock;
        }
        if lost > 0 {
            let all = self.free(call, &entry);
            let before = all.saturating_sub(lost);
            entry.debt = used((before, entry.debt), (all - before, FULL));
        }
        self.entries.insert(key, entry);
    }

    fn tell(&self, call: &Call, key: Key, debt: u32) -> Told {
        let Some(entry) = self.entries.get(&key) else { return gone(key) };
        let share = entry.share(&call.id, call.terms.least());
        let (down, idle) = self.wish(call, entry, &call.id);
        let is_near = !idle && share <= down + call.terms.slack();
        let wish = if down > share || is_near { share } else { down };
        Told { key, gone: false, share, wish, debt }
    }

    /// What a host is to have of a key, and whether nobody has asked for it in a while.
    fn wish(&self, call: &Call, entry: &Entry, id: &str) -> (u32, bool) {
        let (terms, total) = (call.terms, entry.asked.values().sum::<u64>());
        let (least, even) = (terms.least(), terms.even());
        let spread = u64::from(UNIT - terms.hosts * least);
        if let Some(part) = (spread * entry.asked.get(id).copied().unwrap_or(0)).checked_div(total) {
            (least + u32::try_from(part).unwrap_or(0), false)
        } else if self.clock - entry.time >= IDLE {
            let is_even = self.members.get(id).is_some_and(|one| one.role == Role::Even);
            (if is_even { even } else { least }, true)
        } else {
            (entry.share(id, least), false)
        }
    }

    /// What nobody has of a key.
    fn free(&self, call: &Call, entry: &Entry) -> u32 {
        let least = call.terms.least();
        let absent = call.terms.hosts - u32::try_from(self.sharing()).unwrap_or(u32::MAX).min(call.terms.hosts);
        let sharing = self.members.iter().filter(|(_, one)| one.role != Role::Surplus);
        let theirs: u32 = sharing.map(|(id, _)| entry.share(id, least)).sum();
        UNIT.saturating_sub(theirs + absent * least)
    }

    fn sharing(&self) -> usize {
        self.members.values().filter(|one| one.role != Role::Surplus).count()
    }
}

impl Entry {
    fn share(&self, id: &str, least: u32) -> u32 {
        self.shares.get(id).copied().unwrap_or(least)
    }
}

fn gone(key: Key) -> Told {
    Told { key, gone: true, share: 0, wish: 0, debt: 0 }
}

/// What of a burst is used of two parts that become one.
fn used((one, one_debt): (u32, u32), (other, other_debt): (u32, u32)) -> u32 {
    let all = u64::from(one) + u64::from(other);
    if all == 0 {
        return FULL;
    }
    let sum = u64::from(one) * u64::from(one_debt) + u64::from(other) * u64::from(other_debt);
    u32::try_from(sum.div_ceil(all)).unwrap_or(u32::MAX)
}
