//! One worker's side of a pool: its balancer and its idle connections.
//!
//! Invariants: an idle connection is armed, and is handed out only while it is quiet, so that neither a target's close nor
//! bytes that nobody asked for reach the next exchange; one on an errand (TLS, a PROXY header), only for
//! the same; the target of one over TLS is told when it is let go. Each [`Attempt`] counts once in its target's in-flight.

use super::ask::Ask;
use super::balance::{Balancer, Seed, Targets};
use super::errand::Errand;
use super::target::{Pool, Target};
use super::ties::{Sight, Tie, Ties};
use super::trunk::Trunks;
use crate::net::proxy_protocol::Header;
use crate::net::{self, Address, Stream};
use crate::tls::Session;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The targets that an exchange has tried already.
#[derive(Clone, Debug, Default)]
pub struct Tried(SmallVec<[u16; 4]>);

/// One worker's side of a pool.
pub struct Local {
    pool: Arc<Pool>,
    balancer: Rc<RefCell<Balancer>>,
    /// Shared with the sides before and after this one, so that an exchange that began under another plan leaves its connection
    /// to the present one.
    idle: Vec<Rc<RefCell<Vec<Idle>>>>,
    /// Until when each target counts as one that closes connections although it said that it would not.
    hasty: Vec<Cell<Duration>>,
    max_idle: usize,
    worker: usize,
    workers: usize,
    /// Connections that carry several exchanges at a time, where targets are asked by HTTP/2.
    pub trunks: Trunks,
    /// Connections that end with their targets.
    pub(super) ties: Rc<Ties>,
    pub(super) sight: Sight,
    /// Whether health is not believed, as of the last sweep.
    doubted: Cell<bool>,
}

/// A target's turn in an exchange or tunnel: counted as in flight until it is dropped.
pub struct Attempt {
    pool: Arc<Pool>,
    target: u32,
    worker: u32,
    /// The place of who tries an ejected target; 0: it is not ejected.
    trial: Cell<u64>,
    tie: Cell<Option<Box<Tie>>>,
}

struct Idle {
    stream: Stream,
    session: Option<Box<Session>>,
    header: Option<Header>,
    since: Duration,
    until: Duration,
}

/// Longest idle time of a connection that may carry a request which must not be sent twice: well under what any server
/// that keeps connections at all keeps them for.
const JUST_USED: Duration = Duration::from_millis(20);
/// A target that closes a connection which was idle for less than this does so on purpose.
const HASTY: Duration = Duration::from_secs(1);
/// For how long that is remembered: a target that was just started again did it once.
const HASTY_FOR: Duration = Duration::from_secs(30);

impl Tried {
    /// Remembers that `target` was tried.
    pub fn add(&mut self, target: usize) {
        if let Ok(target) = u16::try_from(target)
            && !self.0.contains(&target)
        {
            self.0.push(target);
        }
    }

    /// Whether `target` was tried.
    pub fn contains(&self, target: usize) -> bool {
        self.0.iter().any(|&tried| usize::from(tried) == target)
    }

    /// How many targets were tried.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Local {
    /// The side of worker `worker` of `workers`.
    pub fn new(pool: Arc<Pool>, worker: usize, workers: usize) -> Self {
        let seed = Seed { worker, workers, random: fastrand::u64(..) };
        let now = net::coarse_now();
        let view = View { pool: &pool, tried: &Tried::default(), ignore_health: true, now };
        let balancer = Rc::new(RefCell::new(Balancer::new(pool.balance, &view, seed)));
        let idle = pool.targets.iter().map(|_| Rc::default()).collect();
        let max_idle = if pool.keepalive.max_idle == 0 { 0 } else { pool.keepalive.max_idle.div_ceil(workers.max(1)) };
        let hasty = vec![Cell::new(Duration::ZERO); pool.targets.len()];
        let trunks = Trunks::new(pool.targets.len());
        let (ties, sight, doubted) = (Rc::default(), Sight::default(), Cell::new(pool.is_doubted()));
        Self { balancer, idle, hasty, max_idle, worker, workers, trunks, ties, sight, doubted, pool }
    }

    /// This side under another plan: what it knows of the targets that both have, and the connections to them where they
    /// are made in the same way, go over to the new one.
    pub fn succeed(&self, pool: Arc<Pool>) -> Self {
        let mut next = Self::new(pool, self.worker, self.workers);
        let (old, new) = (&self.pool, &next.pool);
        let same = |a: &Target, b: &Target| a.address == b.address && a.backup == b.backup;
        let same_targets =
            old.targets.len() == new.targets.len() && old.targets.iter().zip(&new.targets).all(|(a, b)| same(a, b));
        // Weights have other steps with a slow start than without.
        let same_steps = old.slow_start.is_some() == new.slow_start.is_some();
        if old.balance == new.balance && same_targets && same_steps {
            next.balancer = self.balancer.clone();
        }
        let same_tls = match (&old.tls, &new.tls) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        next.ties = self.ties.clone();
        let places: HashMap<&Address, usize> =
            old.targets.iter().enumerate().map(|(place, target)| (&target.address, place)).collect();
        self.hand_sight(&next, |place| places.get(&new.targets[place].address).copied());
        if same_tls && old.protocol == new.protocol && old.send_proxy == new.send_proxy && old.egress == new.egress {
            for (place, target) in new.targets.iter().enumerate() {
                let Some(&before) = places.get(&target.address) else { continue };
                next.idle[place].clone_from(&self.idle[before]);
                next.hasty[place].set(self.hasty[before].get());
                next.trunks.take_over(place, &self.trunks, before);
            }
        }
        next
    }

    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Chooses a target that was not tried yet and counts the attempt; `None` if there is no such target.
    pub fn choose(&self, ask: &Ask<'_>, now: Duration) -> Option<Attempt> {
        if let Some(queue) = &self.pool.queue {
            return self.choose_with_room(queue, ask, now);
        }
        let view = |ignore_health| View { pool: &self.pool, tried: ask.tried, ignore_health, now };
        let mut target = match ask.owner {
            None => self.pick(ask.key, view, now)?,
            Some(owner) => self.of_owner(owner, ask, view, now)?,
        };
        let mut trial = 0;
        if self.pool.targets[target].ejection().is_ejected() {
            (target, trial) = self.to_try(target, ask, now)?;
        }
        Some(Attempt::new(&self.pool, target, self.worker, trial))
    }

    /// The worker whose side it is.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Takes the place of who tries an ejected target, or finds another target, if somebody else has just taken it. Returns the
    /// target, and the place.
    #[cold]
    fn to_try(&self, mut target: usize, ask: &Ask<'_>, now: Duration) -> Option<(usize, u64)> {
        let limit = self.pool.trial_limit();
        let mut passed = ask.tried.clone();
        for _ in 0..=self.pool.targets.len() {
            let ejection = self.pool.targets[target].ejection();
            if !ejection.is_ejected() {
                return Some((target, 0));
            }
            if let Some(place) = ejection.begin_trial(limit, now) {
                return Some((target, place));
            }
            if self.ignores_health() {
                return Some((target, 0));
            }
            if ask.only_owner {
                return None;
            }
            passed.add(target);
            let view = |ignore_health| View { pool: &self.pool, tried: &passed, ignore_health, now };
            target = self.pick(ask.key, view, now)?;
        }
        None
    }

    /// Whether work goes to targets whatever their health is.
    pub(super) fn ignores_health(&self) -> bool {
        self.doubted.get() || self.pool.is_open() && !self.pool.any_up()
    }

    #[inline]
    pub(super) fn pick<T: Targets>(&self, key: u64, view: impl Fn(bool) -> T, now: Duration) -> Option<usize> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut balancer = self.balancer.borrow_mut();
        let mut pick = |ignore_health| balancer.pick(&view(ignore_health), key, now);
        let doubted = self.doubted.get();
        match pick(doubted) {
            None if !doubted && self.pool.is_open() && !self.pool.any_up() => pick(true),
            picked => picked,
        }
    }

    /// The owner while it can be used, else what the policy says, if that may be.
    pub(super) fn of_owner<'a>(
        &self,
        owner: usize,
        ask: &Ask<'_>,
        view: impl Fn(bool) -> View<'a>,
        now: Duration,
    ) -> Option<usize> {
        let usable = |ignore_health| owner < self.pool.targets.len() && view(ignore_health).usable(owner);
        if usable(false) || self.ignores_health() && usable(true) {
            return Some(owner);
        }
        if ask.only_owner { None } else { self.pick(ask.key, view, now) }
    }

    /// Whether any target but those that were tried can be used.
    pub fn has_other(&self, tried: &Tried) -> bool {
        let any = |ignore_health| {
            let view = View { pool: &self.pool, tried, ignore_health, now: net::coarse_now() };
            (0..view.len()).any(|index| view.weight(index) > 0 && view.usable(index))
        };
        any(false) || self.ignores_health() && any(true)
    }

    /// Tells the balancer how long `target` took to its first byte.
    pub fn observe(&self, target: usize, took: Duration, now: Duration) {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.balancer.borrow_mut().observe(target, nanos(took), nanos(now));
    }

    /// An idle connection to `target`, the one used last. With `once`, for a request that must not be sent twice, only
    /// one that was used just now and that the kernel knows to be quiet.
    pub fn lease(&self, target: usize, once: bool, now: Duration) -> Option<Stream> {
        self.take(target, once, now, Vec::pop).map(|entry| entry.stream)
    }

    /// The same on an errand.
    pub fn lease_for(
        &self,
        target: usize,
        errand: &Errand,
        once: bool,
        now: Duration,
    ) -> Option<(Stream, Option<Box<Session>>)> {
        let entry = self.take(target, once, now, |idle| {
            let fits = |entry: &Idle| {
                let verified = match (&entry.session, &errand.purpose) {
                    (Some(session), Some(purpose)) => session.facts().are_for(purpose),
                    (None, None) => true,
                    _ => false,
                };
                verified && entry.header == errand.header
            };
            idle.iter().rposition(fits).map(|place| idle.remove(place))
        })?;
        Some((entry.stream, entry.session))
    }

    fn take(
        &self,
        target: usize,
        once: bool,
        now: Duration,
        mut next: impl FnMut(&mut Vec<Idle>) -> Option<Idle>,
    ) -> Option<Idle> {
        let mut idle = self.idle.get(target)?.borrow_mut();
        while let Some(entry) = next(&mut idle) {
            if now >= entry.until {
                entry.close();
                continue;
            }
            if !entry.is_quiet() {
                self.note_close(target, &entry, now);
                entry.close();
                continue;
            }
            if !once {
                return Some(entry);
            }
            if now < self.hasty[target].get() || now.saturating_sub(entry.since) > JUST_USED {
                idle.push(entry);
                return None;
            }
            if entry.is_quiet_now() {
                return Some(entry);
            }
            self.note_close(target, &entry, now);
            entry.close();
        }
        None
    }

    /// Keeps a connection for the next exchange, one that began with `header` for one that would, too. `hint` is what the target's own `Keep-Alive: timeout` allows.
    pub fn keep(
        &self,
        target: usize,
        (stream, session): (Stream, Option<Box<Session>>),
        header: Option<Header>,
        hint: Option<Duration>,
        now: Duration,
    ) {
        let Some(idle) = self.idle.get(target) else { return };
        let mut idle = idle.borrow_mut();
        if idle.len() >= self.max_idle {
            match session {
                None if header.is_none() || idle.is_empty() => return,
                Some(session) if idle.is_empty() => return session.part(stream),
                // It may be for a name or a client that nobody asks for any more; this one's has just been asked for.
                _ => idle.remove(0).close(),
            }
        }
        stream.set_deadline(None);
        if stream.arm().is_err() {
            return;
        }
        // A target counts its timeout from when it sent the answer, so we stop a little earlier.
        let hint = hint.map_or(Duration::MAX, |hint| hint.saturating_sub(Duration::from_millis(100)));
        let until = now.saturating_add(self.pool.keepalive.idle.min(hint));
        idle.push(Idle { stream, session, header, since: now, until });
    }

    /// Closes idle connections that are too old, that their target has closed, or whose target is down. Called about ten
    /// times a second.
    pub fn sweep(&self) {
        let now = net::coarse_now();
        let state = self.pool.tls.as_ref().map_or(0, |tls| tls.state());
        self.doubted.set(self.pool.is_doubted());
        self.cut_ties();
        let open = self.pool.is_open();
        for (index, target) in self.pool.targets.iter().enumerate() {
            let mut idle = self.idle[index].borrow_mut();
            let up = target.is_up() || open && !target.is_in_maintenance();
            let ended = idle.extract_if(.., |entry| {
                let quiet = entry.is_quiet();
                if !quiet {
                    self.note_close(index, entry, now);
                }
                // What was verified by files that have changed since is verified no more.
                let current = entry.session.as_ref().is_none_or(|session| session.facts().state == state);
                !(up && quiet && current && now < entry.until)
            });
            ended.for_each(Idle::close);
            if idle.is_empty() {
                idle.shrink_to(8);
            }
        }
        self.pool.look_at_line();
        let targets = &self.pool.targets;
        let gone = |target: usize| {
            let target = &targets[target];
            !target.is_up() && (target.is_in_maintenance() || !open)
        };
        self.trunks.sweep(self.pool.keepalive.idle, state, gone);
    }

    fn note_close(&self, target: usize, entry: &Idle, now: Duration) {
        if now.saturating_sub(entry.since) < HASTY {
            self.hasty[target].set(now + HASTY_FOR);
        }
    }

    /// Idle connections held now.
    pub fn idle(&self) -> usize {
        self.idle.iter().map(|idle| idle.borrow().len()).sum::<usize>() + self.trunks.idle()
    }
}

impl Idle {
    fn close(self) {
        if let Some(session) = self.session {
            session.part(self.stream);
        }
    }

    /// Whether nothing has come that nobody asked for, as far as the driver has heard.
    fn is_quiet(&self) -> bool {
        match &self.session {
            None => self.stream.is_quiet(),
            Some(session) => session.is_quiet(&self.stream, false),
        }
    }

    /// The same as the kernel has it.
    fn is_quiet_now(&self) -> bool {
        match &self.session {
            None => self.stream.is_quiet_now(),
            Some(session) => session.is_quiet(&self.stream, true),
        }
    }
}

impl Attempt {
    /// Begins at a target; where the pool has limits, with a slot that was taken for it.
    pub(super) fn begin(pool: &Arc<Pool>, target: usize, worker: usize) -> Self {
        let ejection = pool.targets[target].ejection();
        let place =
            ejection.is_ejected().then(|| ejection.begin_trial(pool.trial_limit(), net::coarse_now())).flatten();
        Self::new(pool, target, worker, place.unwrap_or(0))
    }

    /// The same, with the place of who tries an ejected target.
    fn new(pool: &Arc<Pool>, target: usize, worker: usize, trial: u64) -> Self {
        pool.targets[target].enter(worker);
        // There are fewer targets and workers than that.
        let (target, worker) = (target as u32, worker as u32);
        Self { pool: pool.clone(), target, worker, trial: Cell::new(trial), tie: Cell::new(None) }
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The target's position in its pool.
    pub fn index(&self) -> usize {
        self.target as usize
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.pool.targets[self.index()]
    }

    pub(super) fn worker(&self) -> usize {
        self.worker as usize
    }

    /// Whether it tries a target that is ejected.
    #[inline]
    pub fn is_trial(&self) -> bool {
        self.trial.get() != 0
    }

    /// It tries it no more. Returns the place that it had for it.
    pub(super) fn end_trial(&self) -> Option<u64> {
        Some(self.trial.take()).filter(|&place| place != 0)
    }

    pub(super) fn take_tie(&self) -> Option<Box<Tie>> {
        self.tie.take()
    }

    pub(super) fn set_tie(&self, tie: Option<Box<Tie>>) {
        self.tie.set(tie);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.target().leave(self.worker());
        if let Some(place) = self.end_trial() {
            self.target().ejection().abandon_trial(place);
        }
        if let Some(queue) = &self.pool.queue {
            queue.give_back(self.target(), self.worker());
        }
    }
}

/// The targets as they are for one exchange.
pub(super) struct View<'a> {
    pub(super) pool: &'a Pool,
    pub(super) tried: &'a Tried,
    pub(super) ignore_health: bool,
    pub(super) now: Duration,
}

impl Targets for View<'_> {
    fn len(&self) -> usize {
        self.pool.targets.len()
    }

    fn weight(&self, index: usize) -> u32 {
        self.pool.share(index, self.now)
    }

    fn backup(&self, index: usize) -> bool {
        self.pool.targets[index].backup
    }

    fn usable(&self, index: usize) -> bool {
        let target = &self.pool.targets[index];
        let up = if self.ignore_health { !target.is_in_maintenance() } else { target.is_up() };
        up && !self.tried.contains(index)
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.pool.targets[index].in_flight()
    }

    fn id(&self, index: usize) -> u64 {
        self.pool.targets[index].id
    }
}
