//! What became of the requests: every one is counted once, as passed or as failed in one way.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How a request failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No connection to the proxy.
    Connect,
    /// The connection was reset before the answer began.
    Reset,
    /// The connection was closed before the answer began.
    Closed,
    /// The answer began and did not end.
    Truncated,
    /// No whole answer in time.
    Timeout,
    /// The answer's head or framing is not HTTP/1.1.
    Malformed(String),
    /// Any final status but 200.
    Status(u16),
    /// The answer belongs to another request.
    MixedUp,
    /// The answer's body is not the one that the backend sent.
    Corrupt,
    /// The backend did not get the request body whole.
    RequestBody,
    /// Bytes came after the answer.
    Extra,
    /// The connection stayed open after `Connection: close`.
    NotClosed,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect => write!(f, "no connection"),
            Self::Reset => write!(f, "reset before the answer"),
            Self::Closed => write!(f, "closed before the answer"),
            Self::Truncated => write!(f, "truncated answer"),
            Self::Timeout => write!(f, "timeout"),
            Self::Malformed(reason) => write!(f, "malformed answer: {reason}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::MixedUp => write!(f, "another request's answer"),
            Self::Corrupt => write!(f, "corrupt answer body"),
            Self::RequestBody => write!(f, "request body lost on the way"),
            Self::Extra => write!(f, "bytes beyond the answer"),
            Self::NotClosed => write!(f, "not closed as asked"),
        }
    }
}

/// A failed request.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its id, which says all about it.
    pub id: u64,
    /// How.
    pub fault: Fault,
    /// Its method.
    pub method: &'static str,
    /// Whether the proxy could send it again on its own: idempotent, and without a body that it would have had to keep.
    pub replayable: bool,
    /// When its first byte was sent.
    pub sent: Instant,
    /// When it was given up.
    pub ended: Instant,
    /// Where it went.
    pub trace: Trace,
}

/// What is known of a request's way.
#[derive(Clone, Debug)]
pub struct Trace {
    /// When its connection was opened.
    pub opened: Instant,
    /// The target of the connection's answer before.
    pub previous: Option<String>,
    /// The target that its own answer named, if it came so far.
    pub target: Option<String>,
}

/// The sum of a run.
#[derive(Debug)]
pub struct Tally {
    /// Requests begun.
    pub issued: u64,
    /// Whole, verified answers.
    pub passed: u64,
    /// All others.
    pub failed: u64,
    /// Failed ones by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// The first failures, at most [`Tally::KEPT`].
    pub failures: Vec<Failure>,
    /// Connections opened.
    pub connects: u64,
    /// Connections that were reset between two requests.
    pub resets: u64,
    /// Answers of the target that the client belonged to.
    pub kept: u64,
    /// Prompt answers of another one, by the one that it belonged to.
    pub strayed: BTreeMap<String, u64>,
    /// Microseconds from when a passed request was due to the last byte of its answer.
    pub latency: Histogram<u64>,
}

impl Tally {
    /// Failures of which the details are kept.
    pub const KEPT: usize = 100_000;

    /// An answer that takes longer may have been waited for in vain at another target, which nobody can tell.
    const SLOW: Duration = Duration::from_millis(1500);

    /// Nothing yet.
    pub fn new() -> anyhow::Result<Self> {
        let latency = Histogram::new_with_bounds(1, 120_000_000, 3)?;
        let (faults, failures, strayed) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        let (issued, passed, failed, connects, resets, kept) = (0, 0, 0, 0, 0, 0);
        Ok(Self { issued, passed, failed, faults, failures, connects, resets, kept, strayed, latency })
    }

    /// A client that belonged to `before` has an answer of `now`, which took so long.
    pub fn belonged(&mut self, before: &str, now: &str, took: Duration) {
        if before == now {
            self.kept += 1;
        } else if took < Self::SLOW {
            *self.strayed.entry(before.to_owned()).or_default() += 1;
        }
    }

    /// Counts a passed request.
    pub fn pass(&mut self, due: Instant) {
        self.passed += 1;
        self.latency.saturating_record(due.elapsed().as_micros().max(1) as u64);
    }

    /// Counts a failed request.
    pub fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        *self.faults.entry(failure.fault.clone()).or_default() += 1;
        if self.failures.len() < Self::KEPT {
            self.failures.push(failure);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        let max = self.latency.max() as f64 / 1000.0;
        writeln!(f, "latency ms: p50 {p50:.3}  p99 {p99:.3}  p99.9 {p999:.3}  max {max:.3}")?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {count:>8}  {fault}")?;
        }
        let unaccounted = self.issued - self.passed - self.failed;
        if unaccounted > 0 {
            writeln!(f, "  {unaccounted:>8}  without an end")?;
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed + unaccounted)
    }
}
