//! What live traffic, and targets that come and go, do to those who use them.

mod down;
mod frozen;
mod outlier;
mod slow_start;
mod survives;

use crate::support::Target;
use crate::support::target::Peer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

/// An echo whose status can be set; its checks (`/healthz`) have one of their own.
pub struct Moody {
    pub target: Target,
    pub status: Arc<AtomicU16>,
    pub health: Arc<AtomicU16>,
    /// How long it takes for anything but a check, in milliseconds.
    pub delay: Arc<AtomicU16>,
}

pub fn moody(name: &str) -> Moody {
    let [status, health, delay] = [200, 200, 0].map(|value| Arc::new(AtomicU16::new(value)));
    let (says, checks, waits) = (status.clone(), health.clone(), delay.clone());
    let target = Target::with(name, move |peer| {
        while let Some(seen) = peer.request() {
            let done = match seen.path.split('?').next() {
                Some("/healthz") => peer.reply(checks.load(Ordering::SeqCst), &[], b""),
                _ => {
                    thread::sleep(Duration::from_millis(waits.load(Ordering::SeqCst).into()));
                    match says.load(Ordering::SeqCst) {
                        200 => peer.echo(&seen),
                        status => peer.reply(status, &[], b"moody"),
                    }
                }
            };
            if done.is_none() {
                return;
            }
        }
    });
    Moody { target, status, health, delay }
}

impl Moody {
    pub fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub fn is_healthy(&self, healthy: bool) {
        self.health.store(if healthy { 200 } else { 503 }, Ordering::SeqCst);
    }

    pub fn takes(&self, delay: Duration) {
        self.delay.store(delay.as_millis() as u16, Ordering::SeqCst);
    }

    /// Requests that were no checks.
    pub fn served(&self) -> usize {
        self.target.seen().iter().filter(|seen| seen.path.split('?').next() != Some("/healthz")).count()
    }
}

/// A TCP server that mirrors what comes and answers checks by HTTP, with a status that can be set: as a database with an agent
/// that says whether it is the primary.
pub fn agent(name: &str) -> (Target, Arc<AtomicU16>) {
    let health = Arc::new(AtomicU16::new(200));
    let checks = health.clone();
    let target = Target::with(name, move |peer| {
        if peer.fill(Duration::from_secs(600)).is_ok_and(|n| n > 0) && peer.buffer.starts_with(b"GET") {
            peer.reply(checks.load(Ordering::SeqCst), &["Connection: close"], b"");
            return peer.finish_sending();
        }
        mirror(peer);
    });
    (target, health)
}

fn mirror(peer: &mut Peer) {
    loop {
        let bytes = std::mem::take(&mut peer.buffer);
        if !bytes.is_empty() && peer.try_send(bytes).is_err() {
            return;
        }
        if !peer.fill(Duration::from_secs(600)).is_ok_and(|n| n > 0) {
            return;
        }
    }
}
