//! Requests with an Idempotency-Key, carried out once over all hosts.
//!
//! What always holds:
//! - A host that has a key for the first time asks before its request is carried out; nobody else waits for the server, and who asks no longer than its
//!   answer may take. Where the server is away each host goes by what it knows itself.
//! - In the server a key says that a host carries its request out, or what came of that. Who is told that another does waits for what comes of it,
//!   and carries nothing out; of a host that is gone nothing comes, and its request counts as carried out.
//! - That a request is under way stands there for as long as it is, by being told again; of a host that is cut off for a minute and for the rule's
//!   `ttl` it is forgotten.
//! - What a host has carried out it tells afterwards, and again whenever the server comes back without it. What stands there is bounded by the
//!   rule's `max_keys` and `memory`, by the server's own reckoning.
//!
//! [`claims`] asks, [`turns`] tells and looks; what both know stands on a [`Board`].

#![expect(clippy::disallowed_types, reason = "held for a look into a table, by nobody over I/O")]

mod claims;
mod names;
mod turns;
mod words;

use super::Link;
use super::seal::Seal;
use crate::control::keep_up;
use crate::control::present::Shared;
use crate::gateway::idempotency::{Bounds, Claimed, Claiming, Run, Scope, Terms};
use crate::net::{Caller, Put, coarse_now};
use crate::plan::Keys;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// What is asked of other hosts.
pub(in crate::control) type Asking = Put<Claiming<Caller>, Claimed<Caller>>;

/// Requests that may wait to be asked for.
pub(in crate::control) const ROOM: usize = 4096;
/// How long who ends waits until all is told.
const LAST: Duration = Duration::from_secs(2);

/// Tells other hosts what this one has carried out, and asks them.
pub(in crate::control) struct SharedKeys(mpsc::Sender<oneshot::Sender<()>>);

/// What is known of requests that are shared.
#[derive(Default)]
struct Board {
    /// Requests that this host carries out.
    own: Mutex<HashMap<(Arc<str>, Scope), Own>>,
    /// Requests that other hosts carry out.
    joined: Mutex<VecDeque<Joined>>,
    /// The keys of rules of which there is something to tell, be it of plans that are gone, and how their rules deal with them.
    stores: Mutex<Vec<(Arc<Keys>, Arc<Terms>)>>,
}

/// Where it is known of a request of this host, and how many are.
type Own = (Arc<Keys>, Bounds);

/// A request that another host carries out.
struct Joined {
    terms: Arc<Terms>,
    run: Run<Caller>,
    /// When nobody would know of it any more.
    until: Instant,
    /// Since when nothing is known of it, or of that host.
    gone: Option<Instant>,
}

impl SharedKeys {
    /// Begins.
    pub(in crate::control) fn serve(link: Link, shared: Shared, asks: mpsc::Receiver<Asking>) -> Self {
        let (sender, ends) = mpsc::channel(1);
        let board = Arc::<Board>::default();
        let asks = Arc::new(tokio::sync::Mutex::new(asks));
        let (way, told) = (link.clone(), board.clone());
        keep_up("the asking for idempotency keys", move || claims::serve(way.clone(), told.clone(), asks.clone()));
        let ends = Arc::new(tokio::sync::Mutex::new(ends));
        keep_up("the sharing of idempotency keys", move || {
            turns::serve(link.clone(), shared.clone(), board.clone(), ends.clone())
        });
        Self(sender)
    }

    /// Tells what is not told yet.
    pub(in crate::control) async fn leave(&self) {
        let (done, waits) = oneshot::channel();
        let left = async {
            if self.0.send(done).await.is_ok() {
                let _ = waits.await;
            }
        };
        // What was under way counts as carried out then, and what is not told is known to nobody.
        let _ = timeout(LAST, left).await;
    }
}

impl Board {
    /// That is carried out here.
    fn owns(&self, keys: &Arc<Keys>, terms: &Arc<Terms>, scope: &Scope) {
        self.knows(keys, terms);
        if let Some(rule) = &terms.shared {
            lock(&self.own).insert((rule.clone(), *scope), (keys.clone(), terms.bounds));
        }
    }

    /// There may be something to tell of these.
    fn knows(&self, keys: &Arc<Keys>, terms: &Arc<Terms>) {
        let mut stores = lock(&self.stores);
        match stores.iter_mut().find(|(known, _)| Arc::ptr_eq(known, keys)) {
            Some((_, present)) => *present = terms.clone(),
            None => stores.push((keys.clone(), terms.clone())),
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For how long something stands in the server, of a rule.
fn left(millis: i64, terms: &Terms) -> Duration {
    match u64::try_from(millis) {
        // The longest that a rule knows keys is a month.
        Ok(millis) => Duration::from_millis(millis.clamp(1, 1 << 40)),
        // Somebody else has written it.
        Err(_) => terms.ttl,
    }
}

/// Until when that is.
fn until(millis: i64, terms: &Terms) -> Duration {
    coarse_now().saturating_add(left(millis, terms))
}

/// Whether a host is heard of.
fn is_there(link: &Link, id: &str) -> bool {
    link.standing().hosts.iter().any(|host| host.id == id)
}

fn seal(link: &Link) -> Option<Seal> {
    Seal::of(&*link.sharing()?, "idempotency")
}

fn count(what: &AtomicU64) {
    what.fetch_add(1, Ordering::Relaxed);
}
