//! Quotas that hosts share: has each go by what it was given of them, and tells the store and hears from it at each turn.
//!
//! What always holds: what is decided stands in [`Share`]; here is the clock, the store and its answers. Nobody waits for it but who ends.

use super::now;
use crate::control::keep_up;
use crate::control::present::Shared;
use crate::control::store::{Away, Call, Link, Script};
use crate::gateway::quota::{Change, Peers, Quota, Share, Turn, Window, blind, patience, stranger};
use crate::plan::KeptQuota;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

/// How control has what was given be given back at the end.
#[derive(Debug)]
pub(in crate::control) struct SharedQuotas(mpsc::Sender<oneshot::Sender<()>>);

/// A quota's share, by the rule's name and what it counts under.
type Books = HashMap<(String, String), Book>;

struct Book {
    quota: Quota,
    share: Share,
    /// When the store was reached last.
    reached: Option<Instant>,
    /// Whether what was given is spent no more.
    lapsed: bool,
    peers: Peers,
    low: HashSet<u64>,
    /// How often there was no room for the row of a key since metrics were told of it.
    no_room: u64,
    /// Whether the log was, in this period.
    is_told: bool,
    /// The last call for what others do not need that was heard.
    cursor: u64,
    /// What the store had when it was reached; empty: it has begun anew.
    epoch: String,
    /// Whether all hosts have had the time to put back what they know.
    may_take: bool,
    /// How often a server had begun to answer when it was asked last.
    comings: Option<u64>,
    /// When one did that was not the first.
    resumed: Option<Instant>,
}

/// What the store says.
type Said = (String, u64, Vec<(String, f64)>, Vec<(String, u64)>, Vec<String>);

static EXCHANGE: Script = Script::new(include_str!("exchange.lua"));
static ROWS: Script = Script::new(include_str!("rows.lua"));
static LEAVE: Script = Script::new(include_str!("leave.lua"));

/// Rows that are told of at a time.
const MOST: usize = 1000;
/// Rows that the store has room for, for each key that a host counts.
const ROWS_OF_KEYS: usize = 2;
/// How often a row is told of at a turn, if others are faster.
const ROUNDS: usize = 3;
/// How long a store that has begun anew gives nothing, so that all have put back what they know, and others wait for a host, if all is as fast as
/// it usually is: within it who was cut off dials again, after 2 s at most, is answered and tells what it has.
const SLACK: Duration = Duration::from_secs(5);
/// Turns and answers that it has to be time for.
const STEPS: u32 = 8;
/// How long rows outlive their period.
const AFTERWARDS: Duration = Duration::from_secs(3600);
/// How long who ends waits.
const LAST: Duration = Duration::from_secs(2);

impl SharedQuotas {
    /// Begins.
    pub(in crate::control) fn serve(link: Link, shared: Shared) -> Self {
        let (sender, asks) = mpsc::channel(1);
        let (asks, fell) = (Arc::new(Mutex::new(asks)), AtomicBool::new(false));
        keep_up("the sharing of quotas", move || {
            serve(link.clone(), shared.clone(), asks.clone(), fell.swap(true, Ordering::Relaxed))
        });
        Self(sender)
    }

    /// Gives back what is not spent.
    pub(in crate::control) async fn leave(&self) {
        let (done, waits) = oneshot::channel();
        let left = async {
            if self.0.send(done).await.is_ok() {
                let _ = waits.await;
            }
        };
        // What was given goes to the others later.
        let _ = timeout(LAST, left).await;
    }
}

/// `fell`: whether another has ended without a word.
async fn serve(link: Link, shared: Shared, asks: Arc<Mutex<mpsc::Receiver<oneshot::Sender<()>>>>, fell: bool) {
    let (mut books, mut asks) = (Books::new(), asks.lock().await);
    if fell {
        // Nobody else would see that what was given is spent no more when its time is over.
        let now = now();
        follow(&mut books, shared.load().plan.lasting.shared_quotas());
        books.values_mut().for_each(|book| book.take_over(now));
    }
    loop {
        let pause = link.sharing().map_or(Duration::from_secs(1), |sharing| sharing.interval);
        let ends = tokio::select! {
            () = tokio::time::sleep(pause) => None,
            ask = asks.recv() => match ask {
                Some(done) => Some(done),
                None => return,
            },
        };
        let quotas = shared.load().plan.lasting.shared_quotas().to_vec();
        follow(&mut books, &quotas);
        for ((rule, under), book) in &mut books {
            let name = format!("quota:{rule}:{:x}", xxh3_64(under.as_bytes()));
            let told = match ends.is_some() {
                true => book.end(&link, &name).await,
                false => book.turn(&link, &name).await,
            };
            let no_room = std::mem::take(&mut book.no_room);
            shared.load().control.store.no_room.add(no_room);
            if no_room > 0 && !std::mem::replace(&mut book.is_told, true) {
                tracing::warn!(
                    rule,
                    "redis has no room for more keys of a quota in this period: of others each host lets in what it may by itself"
                );
            }
            if let Err(Away(why)) = told {
                tracing::debug!(rule, why, "what is shared of a quota is not told");
            }
        }
        if let Some(done) = ends {
            if !books.is_empty() {
                let _ = link.ask::<u64>(Call::new(&LEAVE).key(link.key("quota:hosts")).arg(link.id())).await;
            }
            let _ = done.send(());
            return;
        }
    }
}

fn follow(books: &mut Books, quotas: &[KeptQuota]) {
    let is_there = |name: &(String, String)| quotas.iter().any(|kept| kept.rule == name.0 && kept.under == name.1);
    books.retain(|name, _| is_there(name));
    for KeptQuota { rule, under, quota } in quotas {
        let book = books.entry((rule.clone(), under.clone())).or_insert_with(|| Book::new(quota));
        if !Arc::ptr_eq(book.quota.table(), quota.table()) {
            *book = Book::new(quota);
        }
        book.quota.clone_from(quota);
    }
}

impl Book {
    fn new(quota: &Quota) -> Self {
        Self {
            quota: quota.clone(),
            share: Share::default(),
            reached: None,
            lapsed: false,
            peers: Peers::default(),
            low: HashSet::new(),
            no_room: 0,
            is_told: false,
            cursor: 0,
            epoch: String::new(),
            may_take: false,
            comings: None,
            resumed: None,
        }
    }

    /// Goes on where another has ended without a word: first nothing is spent any more of what was given.
    fn take_over(&mut self, now: Duration) {
        self.share = Share::again();
        self.share.begin(self.quota.calendar().window(now));
        self.share.lapse(&self.quota, now);
        self.lapsed = true;
    }

    /// Tells and hears what there is.
    async fn turn(&mut self, link: &Link, name: &str) -> Result<(), Away> {
        let now = now();
        let window = self.quota.calendar().window(now);
        let (hosts, limit) = (u64::from(link.hosts()), self.quota.limit());
        if self.share.is_new(window) {
            self.share.begin(window);
            (self.cursor, self.low, self.is_told) = (0, HashSet::new(), false);
        }
        let is_late = self.reached.is_none_or(|at| at.elapsed() > patience(self.quota.calendar().period()));
        self.share.see_blindly(&self.quota, if is_late { stranger(limit, hosts) } else { blind(limit, hosts) }, now);
        if is_late && !self.lapsed {
            self.share.lapse(&self.quota, now);
            self.lapsed = true;
        }
        if !link.is_up() {
            return Ok(());
        }
        let begun = Instant::now();
        let comings = link.comings();
        if self.comings.replace(comings).is_some_and(|before| before != comings) {
            // It may have been restored from a state that lacks what was told last.
            self.share.tell_again();
            self.resumed = Some(begun);
        }
        let step = link.sharing().map_or(Duration::ZERO, |sharing| sharing.interval + sharing.timeout);
        self.peers.slack = SLACK.max(step * STEPS);
        (self.peers.hosts, self.peers.me) = (hosts, u64::from_str_radix(link.id(), 16).unwrap_or(0));
        let asked = Asked { link, name, window };
        if is_late || self.epoch.is_empty() {
            // From here on the others leave room for what this host may admit blindly; what they did before it has to know.
            let Some(_) = self.ask(&asked, &[], Vec::new()).await? else { return Ok(()) };
            self.take_up(&asked, now).await?;
        }
        let low = std::mem::take(&mut self.low);
        let mut may_take = self.may_take;
        let mut turn = self.share.turn(&self.quota, (&self.peers, &low), (may_take, MOST), now);
        for _ in 0..ROUNDS {
            let Some(answers) = self.ask(&asked, &turn.changes, turn.low).await? else { return Ok(()) };
            may_take &= self.may_take;
            let mut next = Turn::default();
            for (change, answer) in turn.changes.into_iter().zip(answers) {
                match answer.strip_prefix('~') {
                    None if answer == "!" => {
                        self.share.shut(&change);
                        self.no_room += 1;
                    }
                    None => self.share.written(&self.quota, change, now),
                    Some(row) => {
                        let known = (change.key, row.to_owned());
                        let again = self.share.refused(&self.quota, known, (&self.peers, &low), (may_take, now));
                        next.changes.extend(again.changes);
                        next.low.extend(again.low);
                    }
                }
            }
            turn = next;
            if turn.changes.is_empty() {
                break;
            }
        }
        (self.reached, self.lapsed) = (Some(begun), false);
        Ok(())
    }

    /// Gives back what is not spent.
    async fn end(&mut self, link: &Link, name: &str) -> Result<(), Away> {
        let now = now();
        let window = self.quota.calendar().window(now);
        if !link.is_up() || self.share.is_new(window) {
            return Ok(());
        }
        self.share.see_blindly(&self.quota, 0, now);
        let mut turn = self.share.end(&self.quota, &self.peers, now);
        let asked = Asked { link, name, window };
        for _ in 0..ROUNDS {
            let Some(answers) = self.ask(&asked, &turn.changes, Vec::new()).await? else { return Ok(()) };
            let refused = turn.changes.iter().zip(answers).filter_map(|(change, answer)| {
                let row = answer.strip_prefix('~')?.to_owned();
                Some(self.share.refused(&self.quota, (change.key, row), (&self.peers, &self.low), (false, now)).changes)
            });
            turn.changes = refused.flatten().collect();
            if turn.changes.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Asks once, and takes up what is said of other hosts. `None`: the store has begun anew, and all has to be told again.
    async fn ask(&mut self, asked: &Asked<'_>, changes: &[Change], low: Vec<u64>) -> Result<Option<Vec<String>>, Away> {
        let Asked { link, name, window } = asked;
        let epoch = link.standing().epoch.clone();
        let rows = link.key(&format!("{name}:{}", window.start));
        let left = Duration::from_secs(window.left(now())) + AFTERWARDS;
        let mut call = Call::new(&EXCHANGE).key(link.key("epoch")).key(link.key("quota:hosts")).key(rows.as_str());
        call = call.key(format!("{rows}:low")).key(format!("{rows}:number"));
        call = call.arg(&epoch).arg(link.id()).arg(millis(left)).arg(self.cursor).arg(low.len());
        call = call.arg(self.quota.table().size().saturating_mul(ROWS_OF_KEYS));
        for key in low {
            call = call.arg(format!("{key:x}"));
        }
        for change in changes {
            call = call.arg(format!("{:x}", change.key)).arg(&change.old).arg(&change.new);
        }
        let (found, time, hosts, low, answers): Said = link.ask(call).await?;
        if found != epoch || epoch.is_empty() || self.epoch != epoch {
            self.share.tell_again();
            (self.cursor, self.low) = (0, HashSet::new());
            self.epoch = if found == epoch { epoch } else { String::new() };
        }
        if self.epoch.is_empty() {
            return Ok(None);
        }
        let begun = self.epoch.split_once('-').and_then(|(begun, _)| begun.parse::<u64>().ok());
        self.peers.absent = Duration::from_millis(time.saturating_sub(begun.unwrap_or(time)));
        let is_settled = self.resumed.is_none_or(|at| at.elapsed() >= self.peers.slack);
        self.may_take = is_settled && self.peers.absent >= self.peers.slack;
        let age = |(host, at): (String, f64)| {
            let host = u64::from_str_radix(&host, 16).ok().filter(|&host| host != self.peers.me)?;
            Some((host, Duration::from_millis(time.saturating_sub(at as u64))))
        };
        self.peers.ages = hosts.into_iter().filter_map(age).collect();
        for (key, number) in low {
            self.cursor = self.cursor.max(number);
            self.low.extend(u64::from_str_radix(&key, 16).ok());
        }
        Ok(Some(answers))
    }

    /// Takes up what others have told of keys before this host was there.
    async fn take_up(&mut self, asked: &Asked<'_>, now: Duration) -> Result<(), Away> {
        let rows = asked.link.key(&format!("{}:{}", asked.name, asked.window.start));
        let mut place = "0".to_owned();
        let mut left = self.quota.table().size();
        loop {
            let call = Call::new(&ROWS).key(rows.as_str()).arg(&place);
            let (next, found): (String, Vec<(String, String)>) = asked.link.ask(call).await?;
            for (key, row) in &found {
                if let Ok(key) = u64::from_str_radix(key, 16) {
                    self.share.take_up(&self.quota, key, row, &self.peers, now);
                }
            }
            left = left.saturating_sub(found.len());
            if next == "0" || left == 0 {
                return Ok(());
            }
            place = next;
        }
    }
}

/// Of what the store is asked.
struct Asked<'a> {
    link: &'a Link,
    name: &'a str,
    window: Window,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::limits::several::Counts;
    use crate::gateway::quota::{Calendar, Period};

    #[test]
    fn what_another_was_given_is_spent_no_more_once_this_one_goes_on() {
        let noon = Duration::from_secs(1_795_867_200);
        let quota = Quota::new(100, Calendar::new(Period::Day, None).unwrap(), 1000, None);
        quota.set_blind(10);
        assert!(quota.decide(7, noon).allowed);
        Book::new(&quota).take_over(noon);
        assert!(!quota.decide(7, noon).allowed, "others may have it by now");
        assert_eq!(quota.look(8, noon).remaining, 10, "of a key that is new there is what all leave room for");
    }
}
