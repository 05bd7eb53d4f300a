//! A quota that several hosts share: what this one may admit of it by itself, and what it asks of the others through a store.
//!
//! A request is decided by what this host has: of each key it may admit so many (`given`), which it has been given ahead of time, and counts what it
//! has (`spent`). At each turn it tells the store what it spent and takes more, as fast as it spends and no more than half of what is free; what
//! is not needed lies here as this host's part of what is left, should the store be away: a part for each host of twice as many. Where little is left,
//! who wants more says so (`low`), and who does not need what it has gives it back.
//!
//! What always holds, whatever is away, slow, dead or begun anew: each change of a [`Row`] is made from what it says, and only if it still says so;
//! nobody spends what is not its own in the row. So of all hosts together no more than the limit is admitted, but for what a host admits of a key of
//! which it knows nothing: for that the others leave room ([`blind`]) where they know of that host, and it is a fortieth of the limit or one request
//! ([`stranger`]) where they do not. What a host was given that is not heard of any more goes to the others after [`patience`], by when it has itself
//! stopped to spend it.
//!
//! Pure: time, the store's answers and the other hosts are passed in.

use super::calendar::{Period, Window};
use super::row::{Entry, GIVEN_BACK, Row};
use super::spend::Quota;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What this host has of a quota's keys in a period.
#[derive(Debug, Default)]
pub struct Share {
    window: Option<Window>,
    held: HashMap<u64, Held>,
    turn: u64,
    /// What was free for keys of which nothing is known: now, and at the turn before.
    blind: [u64; 2],
    /// Whether something that was spent may have been told to nobody, and is not known here any more: then all that this host was given counts as spent
    /// of a key that is met again.
    forgot: bool,
}

/// What is known of a key.
#[derive(Debug, Default)]
struct Held {
    /// What stood in the row for this host before this count began, as after a reload with another limit.
    base: u64,
    /// Up to how many may be admitted here.
    given: u64,
    /// How many were.
    spent: u64,
    /// What was spent in a turn of late.
    pace: u64,
    /// The row as it was read or written last.
    text: String,
    /// What the store was told last: spent and given.
    told: Option<(u64, u64)>,
    /// The turn at which it was counted last.
    seen: u64,
    /// The turn at which something was spent last.
    spent_at: u64,
    /// Whether its row was read.
    is_met: bool,
    /// Whether the store has no room for its row.
    is_shut: bool,
}

/// Who shares.
#[derive(Debug, Default)]
pub struct Peers {
    /// This host.
    pub me: u64,
    /// How many there are, or more.
    pub hosts: u64,
    /// How long ago each of the others was heard of.
    pub ages: HashMap<u64, Duration>,
    /// How much longer others wait for a host than it waits itself: no less than it may take it to look at the clock and to reach the store.
    pub slack: Duration,
    /// How old what the store knows of them is: of one that it does not know nothing was heard for as long.
    pub absent: Duration,
}

/// A row that is to be changed from `old`, if it still is that, to `new`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: u64,
    /// The row as it was known.
    pub old: String,
    /// As it is to be.
    pub new: String,
    given: u64,
    spent: u64,
}

/// What is to be told at a turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// Rows.
    pub changes: Vec<Change>,
    /// Keys of which others are to give back what they do not need.
    pub low: Vec<u64>,
}

/// Turns for which who spends is given in advance.
const AHEAD: u64 = 20;
/// Turns without a request after which a key needs nothing.
const IDLE: u64 = 10;
/// Turns after which a key that has nothing here is told of again, as it may be asked for.
const PATIENT: u64 = 3;
/// Turns after which the store is asked again whether it has room for a key.
const SHUT: u64 = 100;

/// For how long a host spends what it has when it does not reach the store: a quarter of the period, an hour at most.
pub fn patience(period: Period) -> Duration {
    Duration::from_secs((period.seconds() / 4).min(3600))
}

/// What a host may admit of a key of which it knows nothing, as the others leave room for it.
pub fn blind(limit: u64, hosts: u64) -> u64 {
    limit.div_ceil(hosts.max(1) * 2).max(stranger(limit, hosts))
}

/// What one may of which the others do not know.
pub fn stranger(limit: u64, hosts: u64) -> u64 {
    (limit / 40 / hosts.saturating_sub(1).max(1)).max(1)
}

impl Share {
    /// What goes on where another has ended without a word: of what the quota counts it is not known what was told.
    pub fn again() -> Self {
        Self { forgot: true, ..Self::default() }
    }

    /// What may be admitted of keys of which nothing is known, from now on.
    pub fn see_blindly(&mut self, quota: &Quota, most: u64, now: Duration) {
        let most = most.min(quota.limit());
        if let Some(window) = self.window.filter(|_| self.turn > 0 && most != self.blind[0]) {
            // What is known by now began with what was free until now.
            self.look(quota, window, now);
        }
        self.blind = [most, self.blind[0]];
        quota.set_blind(most);
    }

    /// Whether nothing is held of this period yet.
    pub fn is_new(&self, window: Window) -> bool {
        self.window != Some(window)
    }

    /// Begins a period.
    pub fn begin(&mut self, window: Window) {
        // Nothing was told of a new period.
        self.forgot &= self.window.is_none();
        self.window = Some(window);
        self.held.clear();
    }

    /// Of how many keys something is held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// What the store was told may be lost, as it has begun anew or comes back from a former state: all is told again.
    pub fn tell_again(&mut self) {
        self.held.values_mut().for_each(|held| held.told = None);
    }

    /// Takes up what stands in the store of a key of which little is free, before anything of it is asked for here.
    pub fn take_up(&mut self, quota: &Quota, key: u64, text: &str, peers: &Peers, now: Duration) {
        let Some(window) = self.window else { return };
        let (limit, row) = (quota.limit(), Row::parse(text));
        let blind = blind(limit, peers.hosts);
        if self.held.contains_key(&key) || could(limit, &row, peers, quota.calendar().period()) >= blind {
            return;
        }
        if quota.fill(key, window, now) {
            let held = Held { text: text.to_owned(), seen: self.turn, ..Held::default() };
            self.held.insert(key, held);
        }
    }

    /// Others want what is not needed of these.
    fn hear_low(&mut self, quota: &Quota, window: Window, low: &HashSet<u64>, now: Duration) {
        for &key in low {
            if !self.held.contains_key(&key) && quota.fill(key, window, now) {
                self.held.insert(key, Held { seen: self.turn, ..Held::default() });
            }
        }
    }

    /// What was spent since.
    fn look(&mut self, quota: &Quota, window: Window, now: Duration) {
        let limit = quota.limit();
        let blind = self.blind[0].max(self.blind[1]);
        for (key, count) in quota.counted(window) {
            let new = Held { given: blind, ..Held::default() };
            let held = self.held.entry(key).or_insert(new);
            let before = held.spent;
            let expected = (limit - held.given.min(limit)).saturating_add(held.spent);
            if count.saturating_add(GIVEN_BACK) < expected {
                // It gave way to others and came again: what it has now, it has blindly.
                let since = count.saturating_sub(limit.saturating_sub(blind));
                held.spent += since;
                held.given = held.spent;
                quota.withhold(key, u64::MAX, window, now);
            } else {
                held.spent = (count + held.given).saturating_sub(limit).min(held.given);
            }
            held.pace = held.spent.saturating_sub(before).max(held.pace * 3 / 4);
            if held.spent > before {
                held.spent_at = self.turn;
            }
            held.seen = self.turn;
        }
        // Clients choose keys: of no more that gave way is there anything to tell than the quota counts.
        let (turn, mut room) = (self.turn, quota.table().size());
        self.held.retain(|_, held| {
            if held.seen == turn {
                return true;
            }
            // It gave way: nobody spends what was given.
            (held.given, held.pace) = (held.spent, 0);
            let is_nothing = held.told.is_none() && held.spent == 0 && held.text.is_empty();
            if is_nothing || held.told == Some((held.spent, held.spent)) {
                return false;
            }
            let is_kept = room > 0;
            self.forgot |= !is_kept;
            room = room.saturating_sub(1);
            is_kept
        });
    }

    /// What is to be told: at most so many rows. `low`: of what others want what is not needed. `may_take`: whether anything may be taken.
    pub fn turn(
        &mut self,
        quota: &Quota,
        (peers, low): (&Peers, &HashSet<u64>),
        (may_take, most): (bool, usize),
        now: Duration,
    ) -> Turn {
        let Some(window) = self.window else { return Turn::default() };
        self.turn += 1;
        self.hear_low(quota, window, low, now);
        self.look(quota, window, now);
        let mut turn = Turn::default();
        let mut keys: Vec<(bool, u64)> = Vec::new();
        for (&key, held) in &self.held {
            let has = held.given - held.spent;
            let is_told = held.told == Some((held.spent, held.given));
            let is_over = || held.told.is_some() && Row::parse(&held.text).spent() >= quota.limit();
            // Nobody knows whether somebody asks for what is not there.
            let is_due = has > 0 || !held.is_idle(self.turn) || key.wrapping_add(self.turn) % PATIENT == 0;
            let wants = held.seen == self.turn && is_due && has < (held.pace * AHEAD / 2).max(1) && !is_over();
            let is_open = !held.is_shut || key.wrapping_add(self.turn) % SHUT == 0;
            if is_open && (!is_told || wants || low.contains(&key)) {
                keys.push((has > 0, key));
            }
        }
        // Who has nothing comes first.
        keys.sort_unstable();
        for (_, key) in keys.into_iter().take(most) {
            self.tell(quota, key, (peers, low), may_take, (&mut turn, now));
        }
        turn
    }

    fn tell(
        &mut self,
        quota: &Quota,
        key: u64,
        (peers, low): (&Peers, &HashSet<u64>),
        may_take: bool,
        (turn, now): (&mut Turn, Duration),
    ) {
        let Some((window, held)) = self.window.zip(self.held.get_mut(&key)) else { return };
        let (period, limit) = (quota.calendar().period(), quota.limit());
        let row = Row::parse(&held.text);
        if !held.is_met && !held.text.is_empty() {
            held.is_met = true;
            held.base = row.of(peers.me).map_or(0, |own| if self.forgot { own.given } else { own.spent });
        }
        let is_gone = |host| peers.is_gone(host, period);
        let spent = held.base + held.spent;
        let free = could(limit, &row, peers, period).saturating_sub(spent);
        let is_here = held.seen == self.turn;
        let has = held.given - held.spent;
        let want = match is_here {
            true if has > 0 && low.contains(&key) && held.is_idle(self.turn) => 0,
            true => (held.pace * AHEAD).max(1),
            false => 0,
        };
        let part = if want == 0 { 0 } else { free / (2 * peers.hosts.max(1)) };
        let mut target = want.min(free.div_ceil(2)).max(part);
        let others_hold =
            row.taken(peers.me, is_gone) > row.taken(peers.me, |_| true) || peers.unheard(&row, period) > 0;
        if free < want && others_hold {
            turn.low.push(key);
        }
        // What others do not want stays.
        if !low.contains(&key) {
            target = target.max(has.min(free));
        }
        if !may_take {
            target = target.min(has);
        }
        if target < has {
            held.given -= quota.withhold(key, has - target, window, now);
        }
        let given = held.spent + target.max(held.given - held.spent);
        let entry = Entry { host: peers.me, spent, given: held.base + given };
        let new = row.with(entry, is_gone).to_string();
        if new != held.text || given != held.given || held.told.is_none() || free < want {
            turn.changes.push(Change { key, old: held.text.clone(), new, given, spent: held.spent });
        } else {
            held.told = Some((held.spent, held.given));
        }
    }

    /// That a row was changed: what was taken may be spent.
    pub fn written(&mut self, quota: &Quota, change: Change, now: Duration) {
        let Some((window, held)) = self.window.zip(self.held.get_mut(&change.key)) else { return };
        (held.text, held.is_met, held.is_shut) = (change.new, true, false);
        held.told = Some((change.spent, change.given));
        let more = change.given.saturating_sub(held.given);
        if more > 0 && quota.release(change.key, more, window, now) {
            held.given += more;
        }
    }

    /// That the store has no room for one more row: what there is of the key is what each may admit blindly.
    pub fn shut(&mut self, change: &Change) {
        if let Some(held) = self.held.get_mut(&change.key) {
            held.is_shut = true;
        }
    }

    /// That a row says something else: what is to be told instead.
    pub fn refused(
        &mut self,
        quota: &Quota,
        (key, text): (u64, String),
        (peers, low): (&Peers, &HashSet<u64>),
        (may_take, now): (bool, Duration),
    ) -> Turn {
        let mut turn = Turn::default();
        if let Some(held) = self.held.get_mut(&key) {
            let before = Row::parse(&held.text);
            let merged = Row::parse(&text).or(&before);
            // What is compared is what stands there; what is written has what others have told before, too.
            (held.text, held.is_shut) = (text, false);
            let is_lost = merged.to_string() != held.text;
            self.tell(quota, key, (peers, low), may_take, (&mut turn, now));
            if is_lost {
                for change in &mut turn.changes {
                    change.new = Row::parse(&change.new).or(&merged).to_string();
                }
            }
        }
        turn
    }

    /// What was given is not to be spent any more, as the others may have it by now.
    pub fn lapse(&mut self, quota: &Quota, now: Duration) {
        let Some(window) = self.window else { return };
        self.look(quota, window, now);
        for (key, held) in &mut self.held {
            quota.withhold(*key, u64::MAX, window, now);
            held.given = held.spent;
            held.told = None;
        }
    }

    /// What is to be told at the end: all that is not spent is given back.
    pub fn end(&mut self, quota: &Quota, peers: &Peers, now: Duration) -> Turn {
        self.turn += 1;
        self.lapse(quota, now);
        let keys: Vec<u64> = self.held.keys().copied().collect();
        let mut turn = Turn::default();
        let low = keys.iter().copied().collect();
        keys.iter().for_each(|&key| self.tell(quota, key, (peers, &low), false, (&mut turn, now)));
        turn.low.clear();
        turn
    }
}

impl Held {
    /// Whether nothing was asked for of late.
    fn is_idle(&self, turn: u64) -> bool {
        turn.saturating_sub(self.spent_at) >= IDLE
    }
}

/// Up to how many a host may admit of a key.
fn could(limit: u64, row: &Row, peers: &Peers, period: Period) -> u64 {
    let taken = row.taken(peers.me, |host| peers.is_gone(host, period));
    let room = peers.unheard(row, period).saturating_mul(blind(limit, peers.hosts));
    limit.saturating_sub(taken).saturating_sub(room)
}

impl Peers {
    /// Whether a host is gone, so that what it was given is free.
    fn is_gone(&self, host: u64, period: Period) -> bool {
        let age = self.ages.get(&host).copied().unwrap_or(self.absent);
        host != self.me && age > patience(period) + self.slack
    }

    /// How many of the others have told nothing of a key, so that they may admit something blindly.
    fn unheard(&self, row: &Row, period: Period) -> u64 {
        let unheard = self.ages.keys().filter(|&&host| host != self.me && !self.is_gone(host, period));
        unheard.filter(|&&host| row.of(host).is_none()).count() as u64
    }
}
