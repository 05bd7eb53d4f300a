//! The way to the server: kept open, told of, and the one thing that others ask through.

use super::call::{Away, Call, Script};
use super::dial;
use super::line::Line;
use super::standing::{Host, Standing};
use crate::observe::counters::Store as Counts;
use crate::observe::wall::now;
use crate::plan::Sharing;
use arc_swap::{ArcSwap, ArcSwapOption};
use redis::{FromRedisValue, Value, from_redis_value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The way to the server. There always is one; whether a server is configured is a matter of [`Link::sharing`].
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    /// This process.
    own: Host,
    sharing: watch::Sender<Option<Arc<Sharing>>>,
    line: ArcSwapOption<Line>,
    standing: ArcSwap<Standing>,
    counts: Arc<Counts>,
    /// How often a server has begun to answer.
    comings: AtomicU64,
    /// Since when more hosts share than there are to be.
    crowded: ArcSwapOption<Instant>,
    /// Whether the log was told of it.
    warned: AtomicBool,
    /// When it was found last that a server has lost something.
    lost: ArcSwapOption<Instant>,
    /// When this host was heard of last by the server, by its clock.
    heard: AtomicU64,
}

/// Says that this host is there.
static ANNOUNCE: Script = Script::new(include_str!("announce.lua"));
/// Tells whether the server throws away what it has no room for, and how, if it may be asked.
static POLICY: Script = Script::new(include_str!("policy.lua"));

/// How often it says so.
const BEAT: Duration = Duration::from_secs(1);
/// How long nothing may be heard of a host before it counts as gone.
const GONE: Duration = Duration::from_secs(10);
/// Between a connection that ended and the next, at first; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long there may be more hosts than there are to be: one that gives way to the next process, or was killed, is heard of for some time.
const LEAVING: Duration = Duration::from_secs(15);
/// How long hosts take to put back what a server has lost: they see it at their next beat, or when they have come back to it.
const PUT_BACK: Duration = Duration::from_secs(3);
/// At last.
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How long a connection must have held for the next to be opened soon.
const HELD: Duration = Duration::from_secs(5);

impl Link {
    /// Nothing is opened yet.
    pub fn new(counts: Arc<Counts>) -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let own = Host { id: format!("{:016x}", fastrand::u64(..)), name: name.trim().to_owned() };
        Self(Arc::new(Inner {
            own,
            sharing: watch::Sender::new(None),
            line: ArcSwapOption::empty(),
            standing: ArcSwap::default(),
            counts,
            comings: AtomicU64::new(0),
            crowded: ArcSwapOption::empty(),
            warned: AtomicBool::new(false),
            lost: ArcSwapOption::empty(),
            heard: AtomicU64::new(0),
        }))
    }

    /// Goes by this from now on: opens a way to another server, or to none.
    pub fn follow(&self, sharing: Option<&Arc<Sharing>>) {
        self.0.sharing.send_if_modified(|present| {
            let is_same = match (present.as_ref(), sharing) {
                (None, None) => true,
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                _ => false,
            };
            if !is_same {
                *present = sharing.cloned();
            }
            !is_same
        });
    }

    /// How hosts share what they know; `None`: no server is configured.
    pub fn sharing(&self) -> Option<Arc<Sharing>> {
        self.0.sharing.borrow().clone()
    }

    /// Whether the server answers.
    pub fn is_up(&self) -> bool {
        self.0.line.load().is_some()
    }

    /// How often a server has begun to answer: with each time it may have become another, or one that has forgotten the last things told.
    pub fn comings(&self) -> u64 {
        self.0.comings.load(Ordering::Relaxed)
    }

    /// For how long what is there may not be all that hosts have told, as it was lost of late and they put it back; `None`: it is all.
    pub fn is_incomplete(&self) -> Option<Duration> {
        PUT_BACK.checked_sub(self.0.lost.load().as_ref()?.elapsed()).filter(|left| !left.is_zero())
    }

    /// How it stands.
    pub fn standing(&self) -> Arc<Standing> {
        self.0.standing.load_full()
    }

    /// What tells this process from others.
    pub fn id(&self) -> &str {
        &self.0.own.id
    }

    /// How many hosts share what there is: so many as are configured, or more if more have been heard of. 1 where nothing is shared.
    pub fn hosts(&self) -> u32 {
        let seen = u32::try_from(self.0.standing.load().hosts.len()).unwrap_or(u32::MAX);
        self.0.sharing.borrow().as_ref().map_or(1, |sharing| sharing.hosts.max(seen))
    }

    /// The name of a key, with the prefix that all of them have.
    pub fn key(&self, name: &str) -> String {
        let sharing = self.0.sharing.borrow();
        format!("{}:{name}", sharing.as_ref().map_or("ringway", |sharing| &sharing.prefix))
    }

    /// Asks one question.
    ///
    /// # Errors
    /// There is no answer, or none that can be read.
    pub async fn ask<T: FromRedisValue>(&self, call: Call) -> Result<T, Away> {
        let answers = self.ask_all(&[call]).await?;
        let answer = answers.into_iter().next().unwrap_or_else(|| Err(Away("no answer".to_owned())))?;
        from_redis_value(answer).map_err(|error| Away(error.to_string()))
    }

    /// Asks several at once. What the server refuses is an error of that one.
    ///
    /// # Errors
    /// There are no answers.
    pub async fn ask_all(&self, calls: &[Call]) -> Result<Vec<Result<Value, Away>>, Away> {
        let Some(line) = self.0.line.load_full() else { return Err(Away("the server is away".to_owned())) };
        self.ask_by(&line, calls).await
    }

    async fn ask_by(&self, line: &Line, calls: &[Call]) -> Result<Vec<Result<Value, Away>>, Away> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let (counts, begun) = (&self.0.counts, Instant::now());
        counts.calls.add(calls.len() as u64);
        let asked = line.ask(calls).await;
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        counts.questions.inc();
        counts.micros.add(took);
        counts.latency.set(took);
        let answers = asked.map_err(|why| {
            counts.failures.add(calls.len() as u64);
            Away(why)
        })?;
        let answer = |answer: Value| match answer {
            Value::ServerError(error) => {
                counts.failures.inc();
                let details = error.details().unwrap_or_default();
                tracing::debug!(code = error.code(), details, "the store refuses what it is asked");
                Err(Away(format!("it refuses: {} {details}", error.code())))
            }
            answer => Ok(answer),
        };
        Ok(answers.into_iter().map(answer).collect())
    }

    /// Keeps the way open for as long as the process lives.
    pub async fn serve(self) {
        let mut watching = self.0.sharing.subscribe();
        let mut pause = FIRST_PAUSE;
        loop {
            let sharing = watching.borrow_and_update().clone();
            let Some(sharing) = sharing else {
                self.0.standing.store(Arc::default());
                self.0.counts.up.set(0);
                if watching.changed().await.is_err() {
                    return;
                }
                continue;
            };
            self.begins(&sharing);
            let changed = tokio::select! {
                changed = watching.changed() => Some(changed),
                () = self.keep(&sharing, &mut pause) => None,
            };
            self.0.line.store(None);
            match changed {
                Some(Err(_)) => return,
                Some(Ok(())) => pause = FIRST_PAUSE,
                None => {}
            }
        }
    }

    /// A server that has not been asked yet.
    fn begins(&self, sharing: &Sharing) {
        let place = sharing.url.to_string();
        if self.0.standing.load().place != place {
            self.0.standing.store(Arc::new(Standing { place, since: now(), ..Standing::default() }));
            self.0.counts.up.set(0);
        }
    }

    /// Opens a connection, holds it as long as it is of use, and waits before the next.
    async fn keep(&self, sharing: &Arc<Sharing>, pause: &mut Duration) {
        let begun = Instant::now();
        let why = self.hold(sharing).await;
        self.0.line.store(None);
        self.is_away(&why);
        if begun.elapsed() >= HELD {
            *pause = FIRST_PAUSE;
        }
        sleep(shortened(*pause, fastrand::f64())).await;
        *pause = (*pause * 2).min(LAST_PAUSE);
    }

    /// Opens a connection, and holds it until it is of no use. Returns why.
    async fn hold(&self, sharing: &Arc<Sharing>) -> String {
        let line = match timeout(sharing.timeout * 2, dial::open(sharing)).await {
            Ok(Ok(line)) => Arc::new(line),
            Ok(Err(why)) => return why,
            Err(_) => return format!("no connection within {:?}", sharing.timeout * 2),
        };
        loop {
            // A server that cannot be written to is of no use, either.
            if let Err(Away(why)) = self.announce(&line, false).await {
                return why;
            }
            if self.0.line.load().is_none() {
                self.look_at_policy(&line).await;
                self.0.comings.fetch_add(1, Ordering::Relaxed);
                self.0.line.store(Some(line.clone()));
                self.is_back();
            }
            tokio::select! {
                why = line.end() => return why,
                () = sleep(BEAT) => {}
            }
        }
    }

    /// A server that throws away what hosts have told does so unseen.
    async fn look_at_policy(&self, line: &Line) {
        let answer = self.ask_by(line, &[Call::new(&POLICY)]).await.ok().and_then(|answers| answers.into_iter().next());
        let policy = answer.and_then(Result::ok).and_then(|answer| from_redis_value::<String>(answer).ok());
        if let Some(policy) = policy.filter(|policy| !policy.is_empty()) {
            tracing::warn!(
                policy,
                "redis throws away what hosts share where it is full: set its maxmemory-policy to noeviction"
            );
        }
    }

    /// Says that this host is there, or leaves, and learns who else is.
    async fn announce(&self, line: &Line, leaves: bool) -> Result<(), Away> {
        let own = &self.0.own;
        let call = Call::new(&ANNOUNCE).key(self.key("hosts")).key(self.key("epoch")).arg(own.text());
        let call = call.arg(GONE.as_millis() as u64).arg(format!("{:016x}", fastrand::u64(..))).arg(u8::from(leaves));
        let answer = self.ask_by(line, &[call]).await?.into_iter().next();
        let answer = answer.unwrap_or_else(|| Err(Away("no answer".to_owned())))?;
        let (epoch, hosts, heard, time): (String, Vec<String>, f64, u64) =
            from_redis_value(answer).map_err(|error| Away(format!("what it says makes no sense: {error}")))?;
        let hosts: Vec<Host> = hosts.iter().filter_map(|text| Host::parse(text)).collect();
        let before = self.standing();
        let most = line.sharing.hosts as usize;
        let is_more = hosts.len() > most;
        let crowded = self.0.crowded.load().as_ref().map(|since| since.elapsed() > LEAVING);
        match (is_more, crowded) {
            (false, _) => self.0.crowded.store(None),
            (true, None) => self.0.crowded.store(Some(Arc::new(Instant::now()))),
            _ => {}
        }
        let warned = self.0.warned.load(Ordering::Relaxed);
        self.0.warned.store(is_more && (warned || crowded == Some(true)), Ordering::Relaxed);
        if is_more && crowded == Some(true) && !warned {
            tracing::warn!(
                hosts = hosts.len(),
                "more hosts share than `store.redis.hosts` says: while Redis is away they would take more than there is"
            );
        }
        let last = self.0.heard.swap(time, Ordering::Relaxed);
        // Who was not heard of for long is forgotten there, be it that the server is in a former state.
        let (is_forgotten, is_former) = (heard < 0.0, last > 0 && heard < last as f64 && !leaves);
        if !before.epoch.is_empty() && (before.epoch != epoch || is_former) {
            self.0.lost.store(Some(Arc::new(Instant::now())));
            // As good as another one.
            self.0.comings.fetch_add(1, Ordering::Relaxed);
            if before.epoch != epoch || !is_forgotten {
                tracing::warn!("redis has lost what hosts had shared: they put back what they know");
            }
        }
        self.0.counts.hosts.set(hosts.len() as u64);
        let latency = self.0.counts.latency.get();
        self.0.standing.store(Arc::new(Standing { hosts: hosts.into(), epoch, latency, ..(*before).clone() }));
        Ok(())
    }

    fn is_back(&self) {
        let before = self.standing();
        match before.up {
            Some(true) => return,
            Some(false) => tracing::info!(store = before.place, hosts = before.hosts.len(), "redis is back"),
            None => tracing::info!(store = before.place, hosts = before.hosts.len(), "redis is there"),
        }
        self.0.counts.up.set(1);
        let standing = Standing { up: Some(true), since: now(), trouble: None, ..(*before).clone() };
        self.0.standing.store(Arc::new(standing));
    }

    fn is_away(&self, why: &str) {
        let before = self.standing();
        let since = match before.up {
            Some(false) => before.since,
            _ => {
                tracing::warn!(store = before.place, why, "redis is away: each host goes on with its last share");
                now()
            }
        };
        self.0.counts.up.set(0);
        let trouble = Some(why.to_owned());
        self.0.standing.store(Arc::new(Standing { up: Some(false), since, trouble, ..(*before).clone() }));
    }

    /// Takes leave of the other hosts, as the process ends. Waits no longer than an answer may take.
    pub async fn leave(&self) {
        let Some(line) = self.0.line.load_full() else { return };
        let _ = self.announce(&line, true).await;
        self.follow(None);
    }
}

/// A pause, by chance less, so that hosts do not all come at once. `chance`: from 0 to 1. It is no longer: others reckon with that, and papers say so.
fn shortened(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_again_after_two_seconds_at_most() {
        for chance in [0.0, 0.5, 0.999, 1.0] {
            let pause = shortened(LAST_PAUSE, chance);
            assert!(pause >= LAST_PAUSE / 2 && pause <= Duration::from_secs(2), "{pause:?}");
        }
    }
}
