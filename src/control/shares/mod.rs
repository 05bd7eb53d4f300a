//! Limits that hosts share, without a question for each request: each host has a part of each limit, and hosts move parts to where requests
//! come, by a ledger at the server of `[store.redis]`.
//!
//! What always holds:
//! - What hosts have of a key is together no more than there is, whatever becomes of calls, answers and the server; `host.rs` says how. What is
//!   used of a burst goes with the part.
//! - Workers know nothing of it but the parts; no request waits. Nothing is asked where no limit is shared.
//! - A host that is cut off from a server that others reach is forgotten there in time ([`forget`]): from then on, together with those others, it may
//!   have an even part too many.

mod call;
mod claim;
mod counters;
mod host;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod script;
#[cfg(test)]
mod simulation;

use super::keep_up;
use super::present::Shared;
use super::store::{Away, Call as Question, Link, Script};
use crate::net::coarse_now;
use crate::plan::Sharing;
use call::{Reply, Role, Terms};
use claim::Claim;
use counters::Counters;
use host::{Host, Kept};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// The ledger, as the server runs it.
const SCRIPT: &str = include_str!("ledger.lua");
static LEDGER: Script = Script::new(SCRIPT);

/// How long a process that begins waits to be told what is divided, before its workers do.
const FIRST: Duration = Duration::from_secs(1);
/// Between two turns in which something is left to say.
const SOON: Duration = Duration::from_millis(10);
/// How many of these follow each other.
const MOST_SOON: u32 = 8;
/// Between two looks at whether another process speaks for this machine.
const LOOK: Duration = Duration::from_secs(5);
/// Between two looks at whether there is a limit to share.
const IDLE: Duration = Duration::from_millis(500);

/// How control reaches what shares limits.
#[derive(Debug)]
pub(super) struct SharedLimits(mpsc::Sender<Ask>);

/// What control asks.
#[derive(Debug)]
enum Ask {
    /// To take leave of the others, as the process ends.
    Leave(oneshot::Sender<()>),
    /// What the process needs to know that takes over, which speaks for this host from then on.
    HandOver(oneshot::Sender<Option<String>>),
    /// To speak for this host again.
    GoOn,
}

/// This host, and what it counts by.
struct Keeper {
    link: Link,
    present: Shared,
    host: Option<(Arc<Sharing>, Host)>,
    /// What the process before has handed over.
    kept: Option<Kept>,
    /// That no other process of this machine's speaks for it; `None`: one does, or it cannot be known.
    claim: Option<Claim>,
    /// When that was last looked for.
    claimed: Option<Instant>,
    begun: Instant,
    counters: Counters,
    soon: u32,
    told: Option<State>,
    is_refused: bool,
    /// Whether workers may begin.
    ready: watch::Sender<bool>,
}

/// How it stands with the parts, as the log has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There are as many hosts as share already.
    Surplus,
    /// As all others.
    Even,
    /// Without the others.
    Alone,
}

/// Begins to share the limits of the plans in force, and waits until it is known what others have of them, unless the server is away. `handed`: what the
/// process before has handed over.
pub(super) async fn begin(link: Link, present: Shared, handed: Option<&str>) -> SharedLimits {
    let kept = Arc::new(Mutex::new(handed.and_then(|text| match serde_json::from_str(text) {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!(%error, "what the process before had of limits is not known here");
            None
        }
    })));
    let (sender, asks) = mpsc::channel(4);
    let (ready, mut is_ready) = watch::channel(false);
    let is_shared = present.load().plan.counted.iter().any(|counted| counted.limiter.shares().is_some());
    let asks = Arc::new(Mutex::new(asks));
    keep_up("the sharing of limits", move || {
        let keeper = Keeper {
            link: link.clone(),
            present: present.clone(),
            host: None,
            kept: None,
            claim: None,
            claimed: None,
            begun: Instant::now(),
            counters: Counters::default(),
            soon: 0,
            told: None,
            is_refused: false,
            ready: ready.clone(),
        };
        keeper.serve(asks.clone(), kept.clone())
    });
    if is_shared {
        // Whoever cannot be told begins with the least.
        let _ = timeout(FIRST, is_ready.wait_for(|&is_ready| is_ready)).await;
    }
    SharedLimits(sender)
}

impl SharedLimits {
    /// Gives up what this host has, as the process ends; not if another has taken over.
    pub(super) async fn leave(&self) {
        let (done, waits) = oneshot::channel();
        if self.0.send(Ask::Leave(done)).await.is_ok() {
            // The server's timeout bounds it.
            let _ = waits.await;
        }
    }

    /// What the process needs to know that takes over. This one goes on with what it has, and speaks for the host no more.
    pub(super) fn hand_over(&self) -> impl Future<Output = Option<String>> + Send + use<> {
        let sender = self.0.clone();
        async move {
            let (reply, waits) = oneshot::channel();
            sender.send(Ask::HandOver(reply)).await.ok()?;
            waits.await.ok().flatten()
        }
    }

    /// Nobody has taken over after all.
    pub(super) fn go_on(&self) {
        // There is room: who asks waits for the answer.
        let _ = self.0.try_send(Ask::GoOn);
    }
}

impl Keeper {
    async fn serve(mut self, asks: Arc<Mutex<mpsc::Receiver<Ask>>>, kept: Arc<Mutex<Option<Kept>>>) {
        self.kept = kept.lock().await.take();
        let mut asks = asks.lock().await;
        let mut is_handed_over = false;
        loop {
            let pause = if is_handed_over { Duration::MAX } else { self.turn().await };
            let ask = tokio::select! {
                () = sleep(pause) => continue,
                ask = asks.recv() => ask,
            };
            // Who has asked may not wait any more.
            match ask {
                Some(Ask::HandOver(reply)) => {
                    is_handed_over = true;
                    let kept = self.host.as_ref().and_then(|(_, host)| serde_json::to_string(&host.kept()).ok());
                    let _ = reply.send(kept);
                }
                Some(Ask::GoOn) => {
                    if std::mem::take(&mut is_handed_over) {
                        // What was said in its name meanwhile is not known.
                        if let Some((sharing, host)) = self.host.take() {
                            self.begin(sharing, host.terms(), vec![host.id().to_owned()]);
                        }
                    }
                }
                Some(Ask::Leave(done)) => {
                    if !is_handed_over {
                        self.leave().await;
                    }
                    let _ = done.send(());
                    return;
                }
                None => return,
            }
        }
    }

    /// Says what there is to say. Returns how long until the next time.
    async fn turn(&mut self) -> Duration {
        let plan = self.present.load().plan.clone();
        self.counters.follow(&plan, self.host.as_ref().map(|(_, host)| host));
        let sharing = plan.sharing.clone().filter(|_| self.counters.is_any());
        let goes_on = match (&mut self.host, &sharing) {
            (Some((old, _)), Some(new)) => goes_on(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if !goes_on {
            self.leave().await;
            if let Some(sharing) = sharing {
                let terms = Terms { hosts: sharing.hosts, forget: millis(forget(&sharing)) };
                self.look_for_others(&plan.config.runtime.state_dir);
                let kept = self.kept.take();
                let dead = kept.iter().map(|kept| kept.id.clone()).collect();
                match kept.and_then(|kept| Host::heir(terms, kept)) {
                    Some(host) => {
                        self.counters.begin(&host);
                        self.host = Some((sharing, host));
                    }
                    None => self.begin(sharing, terms, dead),
                }
            }
        }
        if self.host.is_some() && self.claimed.is_none_or(|then| then.elapsed() > LOOK) {
            self.look_for_others(&plan.config.runtime.state_dir);
        }
        drop(plan);
        let Some((sharing, host)) = &mut self.host else {
            let _ = self.ready.send_replace(true);
            return IDLE;
        };
        let (counters, now) = (&mut self.counters, coarse_now());
        counters.set_now(now);
        host.tick(millis(now), counters);
        for key in counters.short() {
            if !host.divide(key, millis(now), counters) {
                counters.pass_over(key);
            }
        }
        counters.publish();
        let call = host.call(millis(now), new_name(), counters);
        let answer = ask(&self.link, &call).await;
        counters.set_now(coarse_now());
        let is_refused = match answer {
            Ok(reply) => {
                host.hear(call.number, reply, new_name(), counters);
                None
            }
            Err(Away(why)) => {
                host.lost();
                Some(why).filter(|_| self.link.is_up())
            }
        };
        counters.publish();
        let is_late = self.begun.elapsed() > FIRST;
        let is_ready = host.is_settled() || is_late || self.link.standing().up == Some(false);
        let is_soon = host.has_news() && is_refused.is_none() && self.soon < MOST_SOON;
        let interval = sharing.interval;
        self.soon = if is_soon { self.soon + 1 } else { 0 };
        if is_ready {
            let _ = self.ready.send_replace(true);
        }
        self.tell(is_refused);
        // Before workers begin, nobody else is to wait.
        if is_soon || !*self.ready.borrow() { SOON } else { interval }
    }

    /// Begins as a host that has the least. `dead`: who spoke for this one before.
    fn begin(&mut self, sharing: Arc<Sharing>, terms: Terms, mut dead: Vec<String>) {
        let id = new_name();
        dead.extend(self.claim.as_mut().and_then(|claim| claim.write(&id)));
        let host = Host::new(terms, id, dead, millis(coarse_now()));
        self.counters.begin(&host);
        self.host = Some((sharing, host));
    }

    /// Makes sure that no other process of this machine's takes this one for dead.
    fn look_for_others(&mut self, folder: &Path) {
        self.claimed = Some(Instant::now());
        if self.claim.is_none() {
            self.claim = Claim::take(folder);
            if let (Some(claim), Some((_, host))) = (&mut self.claim, &self.host) {
                claim.write(host.id());
            }
        }
    }

    /// Gives up what this host has.
    async fn leave(&mut self) {
        let Some((_, mut host)) = self.host.take() else { return };
        self.counters.set_now(coarse_now());
        let call = host.leave(&mut self.counters);
        self.counters.publish();
        // Who is not heard is forgotten after a time.
        let _ = ask(&self.link, &call).await;
        self.told = None;
    }

    /// Tells the log, once for as long as it is so.
    fn tell(&mut self, refused: Option<String>) {
        match refused {
            Some(why) if !self.is_refused => {
                tracing::warn!(why, "redis refuses to divide limits: each host goes on with its last share");
                self.is_refused = true;
            }
            Some(_) => {}
            None => self.is_refused = false,
        }
        let Some((_, host)) = &self.host else { return };
        let state = match host.role() {
            _ if host.is_alone() => State::Alone,
            Role::Even => State::Even,
            Role::Surplus => State::Surplus,
            Role::None | Role::Least => return,
        };
        if self.told.replace(state) == Some(state) {
            return;
        }
        match state {
            State::Even => tracing::info!(hosts = host.members(), "limits are shared: parts go to where requests come"),
            State::Surplus => tracing::warn!(
                "as many hosts share limits as store.redis.hosts says: this one admits nothing by those until another is gone"
            ),
            State::Alone => {
                tracing::warn!("redis has been away for long: of each limit that hosts share, each has an even part");
            }
        }
    }
}

async fn ask(link: &Link, call: &call::Call) -> Result<Reply, Away> {
    let question = Question::new(&LEDGER).key(link.key("limits")).arg(call.arguments(None));
    let words: Vec<String> = link.ask(question).await?;
    Reply::parse(&words).ok_or_else(|| Away("what the ledger says makes no sense".to_owned()))
}

/// After how long a host is forgotten of which nothing is heard. So long may a connection take that is opened anew, and more.
fn forget(sharing: &Sharing) -> Duration {
    (10 * (sharing.interval + sharing.timeout)).max(Duration::from_secs(10))
}

/// Goes by `new` from now on, where that is to share with the same others by the same terms; what else it says may change at any time.
fn goes_on(old: &mut Arc<Sharing>, new: &Arc<Sharing>) -> bool {
    let is_same =
        old.hosts == new.hosts && old.url == new.url && old.prefix == new.prefix && forget(old) == forget(new);
    if is_same && !Arc::ptr_eq(old, new) {
        *old = new.clone();
    }
    is_same
}

fn new_name() -> String {
    format!("{:016x}", fastrand::u64(..))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_changes_how_often_is_told_without_a_new_beginning() {
        let sharing = |hosts: u32, millis: u64| {
            Arc::new(Sharing {
                url: "redis://127.0.0.1".parse().unwrap(),
                user: None,
                password: None,
                tls: None,
                secret: None,
                prefix: "ringway".to_owned(),
                hosts,
                timeout: Duration::from_millis(500),
                interval: Duration::from_millis(millis),
            })
        };
        let mut present = sharing(2, 100);
        assert!(goes_on(&mut present, &sharing(2, 50)));
        assert_eq!(present.interval, Duration::from_millis(50));
        assert!(!goes_on(&mut present, &sharing(3, 50)), "by other terms it begins anew");
        assert!(!goes_on(&mut present, &sharing(2, 10_000)), "nobody is forgotten before it has said anything");
        assert_eq!((present.hosts, present.interval), (2, Duration::from_millis(50)));
    }
}
