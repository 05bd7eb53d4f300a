//! Active health checks: one task per target on the control thread, whatever the number of workers.
//!
//! [`Checker`] decides and [`Schedule`] times, both without I/O and clocks; [`probe`] asks one target once. A target is
//! up until its first check says otherwise: then a single failure marks it down, so that one that is dead from the
//! start is not used for `fall` intervals.
//!
//! May use `observe` and `tls`; knows nothing of the configuration.

mod checker;
pub mod probe;
mod schedule;

pub use checker::Checker;
pub use probe::{Address, Probe, ProbeError};
pub use schedule::Schedule;

use crate::observe::counters::ControlCounters;
use crate::tls::Outbound;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What to check, and how.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// The pool's name, for the log.
    pub pool: String,
    /// The target as the user wrote it, for the log.
    pub target: String,
    /// The pool's and the target's place in the [`Shape`](crate::observe::counters::Shape) of the counters.
    pub place: (usize, usize),
    /// Where to connect.
    pub address: Address,
    /// What TLS with the target is done with, if it is.
    pub tls: Option<Arc<Outbound>>,
    /// What to ask.
    pub probe: Probe,
    /// From the start of one check to the start of the next, give or take a tenth.
    pub interval: Duration,
    /// For a whole check, connecting included.
    pub timeout: Duration,
    /// Checks in a row that must pass before a target that was down is up; at least 1.
    pub rise: u32,
    /// Checks in a row that must fail before a target that was up is down; at least 1.
    pub fall: u32,
}

/// A target changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The new state.
    pub up: bool,
    /// Why, in words: `connection refused`, `status 503`, `3 checks passed`.
    pub why: String,
}

/// Checks all targets until it is dropped, calling `report` with the index of the spec at every change.
///
/// The first checks are spread over their interval; `seed` makes that and the jitter repeatable. `counters` learns the
/// results, the states and how late checks started. It must run on a tokio runtime with time and I/O.
pub async fn run(
    specs: Vec<CheckSpec>,
    seed: u64,
    counters: Arc<ControlCounters>,
    report: impl Fn(usize, Transition) + Send + Sync + 'static,
) {
    let report = Arc::new(report);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (index, spec) in specs.into_iter().enumerate() {
        let (counters, report) = (counters.clone(), report.clone());
        let schedule = Schedule::new(spec.interval, seed.wrapping_add(index as u64));
        tasks.spawn(check(spec, schedule, start, counters, move |transition| report(index, transition)));
    }
    // A check never ends by itself; if one panicked, the others go on.
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a health check died: its target keeps its state");
        }
    }
}

async fn check(
    spec: CheckSpec,
    mut schedule: Schedule,
    start: Instant,
    counters: Arc<ControlCounters>,
    report: impl Fn(Transition),
) {
    let mut checker = Checker::new(spec.rise, spec.fall);
    let mut due = schedule.first();
    loop {
        sleep_until(start + due).await;
        let now = start.elapsed();
        counters.check_lateness.record(nanos(now.saturating_sub(due)), nanos(now));
        let result = probe::run(&spec.address, spec.tls.as_deref(), &spec.probe, spec.timeout).await;
        let health = counters.target(spec.place.0, spec.place.1);
        if result.is_ok() {
            health.passed.inc()
        } else {
            health.failed.inc()
        }
        if let Some(up) = checker.on_result(result.is_ok()) {
            health.up.set(u64::from(up));
            health.changes.inc();
            let why = match result {
                Ok(()) if spec.rise == 1 => "1 check passed".to_owned(),
                Ok(()) => format!("{} checks passed", spec.rise),
                Err(error) => error.to_string(),
            };
            if up {
                tracing::info!(pool = spec.pool, target = spec.target, reason = why, "target is up");
            } else {
                tracing::warn!(pool = spec.pool, target = spec.target, reason = why, "target is down");
            }
            report(Transition { up, why });
        }
        due = schedule.next(due, start.elapsed());
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::counters::Shape;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    fn spec(address: std::net::SocketAddr, probe: Probe) -> CheckSpec {
        CheckSpec {
            pool: "a".into(),
            target: address.to_string(),
            place: (0, 0),
            address: Address::Ip(address),
            tls: None,
            probe,
            interval: Duration::from_millis(20),
            timeout: Duration::from_millis(500),
            rise: 2,
            fall: 3,
        }
    }

    #[tokio::test]
    async fn a_dead_target_goes_down_at_its_first_check_and_returns_after_rise() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let shape = Shape { pools: vec![("a".into(), vec![address.to_string()])], ..Shape::default() };
        let counters = Arc::new(ControlCounters::new(&shape));
        let (tell, mut told) = mpsc::channel(10);
        let report = move |index, transition| tell.try_send((index, transition)).unwrap();
        let checks = tokio::spawn(run(vec![spec(address, Probe::Tcp)], 1, counters.clone(), report));

        let (index, down) = told.recv().await.unwrap();
        assert_eq!((index, down), (0, Transition { up: false, why: "connection refused".into() }));
        let health = counters.target(0, 0);
        assert_eq!((health.up.get(), health.failed.get()), (0, 1));

        let listener = TcpListener::bind(address).await.unwrap();
        let (_, up) = told.recv().await.unwrap();
        assert_eq!(up, Transition { up: true, why: "2 checks passed".into() });
        assert_eq!((health.up.get(), health.passed.get(), health.changes.get()), (1, 2, 2));
        checks.abort();
        drop(listener);
    }

    #[tokio::test]
    async fn dropping_the_run_ends_the_checks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shape = Shape { pools: vec![("a".into(), vec![address.to_string()])], ..Shape::default() };
        let counters = Arc::new(ControlCounters::new(&shape));
        let http = Probe::Http { path: "/".into(), host: None, expect: vec![(200, 299)] };
        let checks = tokio::spawn(run(vec![spec(address, http)], 1, counters, |_, _| {}));
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        checks.abort();
        let _ = checks.await;
        let more = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(more.is_err(), "no check after the end");
    }
}
