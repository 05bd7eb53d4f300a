//! Active health checks: one task per target on the control thread, whatever the number of workers, and one more where an agent is
//! asked beside them.
//!
//! [`Checker`] decides and [`Schedule`] times, both without I/O and clocks; [`probe`] asks one target once and gives a [`Finding`]. A target is
//! up until its first check says otherwise: then a single failure marks it down, so that one that is dead from the
//! start is not used for `fall` intervals. [`Checks`] goes on with what it knows when the configuration changes.
//!
//! What always holds: a process that stood still blames no target for it, and asks none of them in a burst when it goes on; a check that ends by
//! itself is begun again.
//!
//! May use `observe` and `tls`; knows nothing of the configuration.

mod checker;
mod finding;
mod pattern;
pub mod probe;
mod run;
mod schedule;
mod teller;

pub use checker::{Checker, Pace};
pub use finding::Finding;
pub use pattern::Pattern;
pub use probe::{Address, Probe};
pub use schedule::{Intervals, SOON, Schedule};

use super::agent::Said;
use super::target::Patient;
use crate::net::Egress;
use crate::net::proxy_protocol::Form;
use crate::observe::counters::{Peak, PoolHealth, TargetHealth};
use crate::tls::Outbound;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use teller::{Left, Teller};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What to check, and how.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// The pool's name, for the log.
    pub pool: String,
    /// The target as the user wrote it, for the log.
    pub target: String,
    /// Where to connect.
    pub address: Address,
    /// By which PROXY header the target is told that the connection is for nobody else, if it expects one.
    pub send_proxy: Option<Form>,
    /// How to connect; `None`: as the kernel has it.
    pub egress: Option<Arc<Egress>>,
    /// What TLS is done with, if it is.
    pub tls: Option<Arc<Outbound>>,
    /// What to ask.
    pub probe: Probe,
    /// From the start of one check to the start of the next, give or take a tenth.
    pub intervals: Intervals,
    /// For a whole check, connecting included.
    pub timeout: Duration,
    /// Checks in a row that must pass before a target that was down is up; at least 1.
    pub rise: u32,
    /// Checks in a row that must fail before a target that was up is down; at least 1.
    pub fall: u32,
    /// Whether a target that no check has seen is taken for down.
    pub unproven: bool,
}

/// A target to be checked.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What to check, and how.
    pub spec: CheckSpec,
    /// Who learns whether it is up.
    pub patient: Patient,
    /// Where its checks are counted.
    pub counters: Arc<TargetHealth>,
    /// Where the checks of its whole pool are.
    pub of_pool: Arc<PoolHealth>,
    /// Whether this is an agent that is asked beside the checks of the target: what it says counts, and not whether it is there.
    pub beside: bool,
    /// The targets of other pools that are as this one is.
    pub followers: Vec<Follower>,
    /// Whether its state is known from checks that another process made.
    pub known: bool,
}

/// A target that is not checked itself but is as another one is.
#[derive(Clone, Debug)]
pub struct Follower {
    /// Its pool's name, for the log.
    pub pool: String,
    /// Itself as the user wrote it, for the log.
    pub target: String,
    /// Where its state is shown.
    pub counters: Arc<TargetHealth>,
}

/// All checks of the process, each a task of its own. A check goes on for as long as it is wanted as it is; where only the way
/// of checking changes, what is known of the target stays.
#[derive(Debug)]
pub struct Checks {
    start: Instant,
    seed: u64,
    lateness: Arc<Peak>,
    teller: Arc<Teller>,
    running: HashMap<(String, String, bool), Running>,
}

#[derive(Debug)]
struct Running {
    wanted: Wanted,
    task: JoinHandle<()>,
}

impl CheckSpec {
    /// A check by connecting alone, with the defaults of a configuration.
    pub fn of(pool: &str, target: &str, address: Address) -> Self {
        Self {
            pool: pool.to_owned(),
            target: target.to_owned(),
            address,
            send_proxy: None,
            egress: None,
            tls: None,
            probe: Probe::Tcp,
            intervals: Intervals::even(Duration::from_secs(2)),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
            unproven: false,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let tls = match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        tls && self.address == other.address
            && self.send_proxy == other.send_proxy
            && self.probe == other.probe
            && (self.intervals, self.timeout, self.rise, self.fall)
                == (other.intervals, other.timeout, other.rise, other.fall)
    }
}

impl Checks {
    /// None yet. `seed` makes schedules repeatable; `lateness` learns how late checks start.
    pub fn new(seed: u64, lateness: Arc<Peak>) -> Self {
        Self { start: Instant::now(), seed, lateness, teller: Arc::default(), running: HashMap::new() }
    }

    /// Checks these from now on, and no others: a target that is checked no more is taken for up. First checks are spread over
    /// their interval. It must be called on a tokio runtime with time and I/O.
    pub fn set(&mut self, wanted: Vec<Wanted>) {
        let mut before = std::mem::take(&mut self.running);
        // Who follows nobody any more is up; the others are shown below.
        let followers = before.values().flat_map(|running| &running.wanted.followers);
        followers.for_each(|follower| follower.counters.up.set(1));
        let asked: Vec<Patient> =
            before.values().filter(|running| running.asks_an_agent()).map(|r| r.wanted.patient.clone()).collect();
        for wanted in wanted {
            let key = wanted.key();
            let running = match before.remove(&key) {
                Some(running) if running.serves(&wanted) => running,
                Some(running) => {
                    running.task.abort();
                    // Only of the same target is it known how it is.
                    let known = running.wanted.patient.is_same(&wanted.patient);
                    let up = known.then(|| wanted.patient.is_up());
                    self.begin(wanted, up)
                }
                None => {
                    let up = wanted.known.then(|| wanted.patient.is_up());
                    self.begin(wanted, up)
                }
            };
            self.running.insert(key, running);
        }
        for running in before.into_values() {
            running.end();
        }
        self.forget_agents(asked);
        self.show();
    }

    /// Has metrics show who is up and who is down, where that has changed otherwise than by a check.
    pub fn show(&self) {
        for running in self.running.values() {
            running.wanted.show(running.wanted.patient.passes());
        }
    }

    /// Begins checks again that have ended by themselves, as one does that panics, and tells how many changes of targets were not told one by
    /// one. To be called about once a second.
    pub fn tend(&mut self) {
        let ended: Vec<_> =
            self.running.iter().filter(|(_, running)| running.task.is_finished()).map(|(key, _)| key.clone()).collect();
        for key in ended {
            let Some(Running { wanted, .. }) = self.running.remove(&key) else { continue };
            let (pool, target) = (&wanted.spec.pool, &wanted.spec.target);
            tracing::error!(
                pool,
                target,
                "a check has ended by itself, which is a fault of Ringway's: it begins again"
            );
            let up = wanted.patient.is_up();
            let running = self.begin(wanted, Some(up));
            self.running.insert(key, running);
        }
        for (pool, Left { down, up }) in self.teller.left(self.start.elapsed()) {
            tracing::warn!(pool, down, up, "more targets have changed than are told one by one");
        }
    }

    /// How many targets are checked.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// What agents have said that are asked no more counts no more.
    fn forget_agents(&self, asked: Vec<Patient>) {
        for patient in asked {
            let still = |running: &Running| running.asks_an_agent() && running.wanted.patient.is_same(&patient);
            if !self.running.values().any(still) {
                patient.hear(Said::default());
            }
        }
    }

    /// Starts a check. `up`: how the target is known to be from checks before.
    fn begin(&mut self, wanted: Wanted, up: Option<bool>) -> Running {
        self.seed = self.seed.wrapping_add(1);
        let schedule = Schedule::new(wanted.spec.intervals, self.seed);
        let (rise, fall) = (wanted.spec.rise, wanted.spec.fall);
        let checker = match up {
            Some(up) => Checker::new(rise, fall).knowing(up),
            // It is down because it was made so, and not by a check.
            None if wanted.spec.unproven && !wanted.patient.is_up() => Checker::unproven(rise, fall),
            None => Checker::new(rise, fall),
        };
        let (start, lateness, teller, checked) =
            (self.start, self.lateness.clone(), self.teller.clone(), wanted.clone());
        let task = tokio::spawn(async move {
            // A check never ends by itself; if one panics, the log says so and its target keeps its state until it is begun again.
            run::check(checked, schedule, checker, start, (&lateness, &teller)).await;
        });
        Running { wanted, task }
    }
}

impl Wanted {
    fn key(&self) -> (String, String, bool) {
        (self.spec.pool.clone(), self.spec.target.clone(), self.beside)
    }

    /// Shows that the target is up or down, and those that follow it.
    fn show(&self, up: bool) {
        let all = self.followers.iter().map(|follower| &follower.counters).chain([&self.counters]);
        all.for_each(|counters| counters.up.set(u64::from(up)));
    }

    fn has_the_followers_of(&self, other: &Self) -> bool {
        let same = |(a, b): (&Follower, &Follower)| Arc::ptr_eq(&a.counters, &b.counters);
        self.followers.len() == other.followers.len() && self.followers.iter().zip(&other.followers).all(same)
    }
}

impl Running {
    fn serves(&self, wanted: &Wanted) -> bool {
        self.wanted.spec.is_same(&wanted.spec)
            && self.wanted.patient.is_same(&wanted.patient)
            && self.wanted.has_the_followers_of(wanted)
            && !self.task.is_finished()
    }

    fn asks_an_agent(&self) -> bool {
        matches!(self.wanted.spec.probe, Probe::Agent { .. })
    }

    /// Nobody wants it any more: a target that is not checked is taken for up.
    fn end(self) {
        self.task.abort();
        self.wanted.counters.forget(self.wanted.beside);
        if !self.wanted.beside {
            self.wanted.patient.set_up(true);
            self.wanted.show(true);
        }
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.task.abort());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Target;
    use std::net::SocketAddr;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    fn target(address: SocketAddr) -> Target {
        Target::new(crate::net::Address::Ip(address), 1, false, 1)
    }

    fn wanted(target: &Target, address: SocketAddr, probe: Probe) -> Wanted {
        let spec = CheckSpec {
            probe,
            intervals: Intervals::even(Duration::from_millis(20)),
            timeout: Duration::from_millis(500),
            ..CheckSpec::of("a", &address.to_string(), Address::Ip(address))
        };
        Wanted {
            spec,
            patient: target.patient(),
            counters: Arc::default(),
            of_pool: Arc::default(),
            beside: false,
            followers: Vec::new(),
            known: false,
        }
    }

    async fn until(what: &str, done: impl Fn() -> bool) {
        let poll = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(timeout(Duration::from_secs(5), poll).await.is_ok(), "{what}");
    }

    /// An address at which nobody listens.
    async fn dead() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_dead_target_goes_down_at_its_first_check_and_returns_after_rise() {
        let address = dead().await;
        let target = target(address);
        let mut checks = Checks::new(1, Arc::default());
        let wanted = wanted(&target, address, Probe::Tcp);
        checks.set(vec![wanted.clone()]);
        let health = &wanted.counters;
        until("it is down", || !target.is_up()).await;
        assert_eq!((health.up.get(), health.failed.get()), (0, 1));
        let _listener = TcpListener::bind(address).await.unwrap();
        until("it is up", || target.is_up()).await;
        assert_eq!((health.up.get(), health.passed.get(), health.changes.get()), (1, 2, 2));
    }

    #[tokio::test]
    async fn what_is_checked_otherwise_keeps_its_state_and_what_is_not_is_up() {
        let address = dead().await;
        let target = target(address);
        let mut checks = Checks::new(1, Arc::default());
        let first = wanted(&target, address, Probe::Tcp);
        checks.set(vec![first.clone()]);
        until("it is down", || !target.is_up()).await;
        let failed = first.counters.failed.get();
        checks.set(vec![first.clone()]);
        until("the same check goes on", || first.counters.failed.get() > failed).await;
        let mut slower = first.clone();
        slower.spec.intervals = Intervals::even(Duration::from_secs(3600));
        let _listener = TcpListener::bind(address).await.unwrap();
        checks.set(vec![slower.clone()]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!target.is_up(), "it is known to be down");
        let again = target.succeed(1, false);
        checks.set(vec![Wanted { patient: again.patient(), ..first }]);
        until("the new check finds it up", || again.is_up() && target.is_up()).await;
        target.set_up(false);
        checks.set(Vec::new());
        assert!(target.is_up() && checks.is_empty());
    }

    #[tokio::test]
    async fn a_check_that_has_ended_by_itself_begins_again_with_what_is_known() {
        let address = dead().await;
        let target = target(address);
        let mut checks = Checks::new(1, Arc::default());
        checks.set(vec![wanted(&target, address, Probe::Tcp)]);
        until("it is down", || !target.is_up()).await;
        let end = |checks: &Checks| checks.running.values().for_each(|running| running.task.abort());
        end(&checks);
        until("it has ended", || checks.running.values().all(|running| running.task.is_finished())).await;
        checks.tend();
        assert!(!target.is_up() && checks.len() == 1);
        let _listener = TcpListener::bind(address).await.unwrap();
        until("it is checked again", || target.is_up()).await;
    }

    #[tokio::test]
    async fn dropping_the_checks_ends_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = Probe::Http(Box::default());
        let mut checks = Checks::new(1, Arc::default());
        checks.set(vec![wanted(&target(address), address, http)]);
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        drop(checks);
        let more = timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(more.is_err(), "no check after the end");
    }
}
