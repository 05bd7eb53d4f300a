//! What became of all that was sent, by kind of client: each request, message or piece has passed, or is a loss with a reason.

use crate::strict::tally::{Failure, Tally};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A request, message or piece that has no whole, verified answer.
#[derive(Clone, Debug)]
pub struct Loss {
    /// What happened.
    pub what: String,
    /// When its connection was opened.
    pub opened: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// When it was given up.
    pub ended: Instant,
}

/// The sum of one kind of client.
#[derive(Clone, Debug)]
pub struct Sum {
    /// Which kind.
    pub kind: &'static str,
    /// Whole, verified answers.
    pub passed: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections that had been ended in order before the next request was sent.
    pub ended: u64,
    /// Attempts to connect to a listener that was not there.
    pub absent: u64,
    /// Everything else that was begun.
    pub losses: Vec<Loss>,
}

/// A sum that is still being added to.
#[derive(Debug)]
pub struct Ledger(Mutex<Sum>);

impl Ledger {
    /// Nothing yet of this kind.
    pub fn new(kind: &'static str) -> Self {
        Self(Mutex::new(Sum { kind, passed: 0, opened: 0, ended: 0, absent: 0, losses: Vec::new() }))
    }

    /// Adds to it.
    pub fn note(&self, add: impl FnOnce(&mut Sum)) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes a loss that ends now.
    pub fn lose(&self, what: impl fmt::Display, opened: Instant, sent: Instant) {
        let loss = Loss { what: what.to_string(), opened, sent, ended: Instant::now() };
        self.note(|sum| sum.losses.push(loss));
    }

    /// What it has come to.
    pub fn sum(&self) -> Sum {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sum {
    /// Adds what clients of the same kind came to.
    pub fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.opened += more.opened;
        self.ended += more.ended;
        self.absent += more.absent;
        self.losses.extend(more.losses);
    }

    /// Of a strict client.
    pub fn of(kind: &'static str, tally: Tally) -> Self {
        let now = Instant::now();
        let loss = |failure: &Failure| Loss {
            what: format!("{} {:x}: {}", failure.method, failure.id, failure.fault),
            opened: failure.trace.opened,
            sent: failure.sent,
            ended: failure.ended,
        };
        let mut losses: Vec<Loss> = tally.failures.iter().map(loss).collect();
        let told = |what: String| Loss { what, opened: now, sent: now, ended: now };
        let beyond = tally.issued - tally.passed - losses.len() as u64;
        losses.extend((0..beyond).map(|_| told("a request without an end".into())));
        losses.extend((0..tally.resets).map(|_| told("a connection was reset between two requests".into())));
        Self { kind, passed: tally.passed, opened: tally.connects, ended: 0, absent: 0, losses }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, passed, opened, ended, absent, losses } = self;
        write!(f, "{kind:<34} {passed:>8} passed, {} failed, on {opened} connections", losses.len())?;
        if *ended > 0 {
            write!(f, ", {ended} of them ended before they were used again")?;
        }
        if *absent > 0 {
            write!(f, ", {absent} times not there")?;
        }
        Ok(())
    }
}
