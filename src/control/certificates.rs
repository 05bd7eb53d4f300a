//! The files that TLS is made from: looked at every few seconds, or at once on SIGHUP, and taken up when they change.
//!
//! What always holds: a file that cannot be used replaces nothing; it is told once, and counted.

use super::present::{Present, Shared};
use crate::observe::counters::{CertificateFiles, ControlCounters};
use crate::observe::scrape::{Certificates, SecurePool};
use crate::observe::wall;
use crate::plan::Plan;
use crate::tls::{Expiry, Fault, Outbound, Place, Refreshed};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Between two looks, at least.
const EVERY: Duration = Duration::from_secs(2);
/// A look at very many files may take its time: this many times as long passes until the next.
const REST: u32 = 50;
/// A certificate that ends within this is worth a warning.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);
/// The certificates of a listener that metrics show: those that end first.
const SHOWN: usize = 100;

/// Watches the files of all listeners and pools of the present plan for as long as the process lives. `look` asks for a look at
/// once.
pub(super) async fn watch(present: Shared, look: Arc<Notify>) {
    warn_of_the_ending(&present.load_full().plan);
    let mut rest = EVERY;
    loop {
        // Either way it is time for a look.
        let _ = timeout(rest, look.notified()).await;
        let begun = Instant::now();
        let Present { plan, control: counters, .. } = &*present.load_full();
        for index in 0..plan.listeners.len() {
            refresh(plan, index, counters).await;
        }
        for index in secure_pools(plan) {
            refresh_pool(plan, index, counters).await;
        }
        rest = EVERY.max(begun.elapsed() * REST);
    }
}

async fn refresh(plan: &Plan, index: usize, counters: &ControlCounters) {
    let listener = plan.listeners[index].clone();
    if listener.tls.is_none() {
        return;
    }
    let looked = {
        let listener = listener.clone();
        tokio::task::spawn_blocking(move || listener.tls.as_ref().map(|edge| edge.refresh()).unwrap_or_default()).await
    };
    let Ok(refreshed) = looked else { return };
    if refreshed.changes > 0 {
        tracing::info!(listener = listener.name, changes = refreshed.changes, "certificates replaced");
        warn_of_the_ending(plan);
    }
    for fault in note(refreshed, counters.certificates(index)) {
        let by_name = listener.tls.as_ref().and_then(|edge| edge.entry_of(&fault));
        let (listener, what, help) = (&listener.name, fault.what, fault.help);
        match fault.at {
            Place::Staple(_) => tracing::warn!(listener, help, "this OCSP response is not stapled: {what}"),
            _ => tracing::error!(listener, by_name, help, "what was there before stays in service: {what}"),
        }
    }
}

async fn refresh_pool(plan: &Plan, index: usize, counters: &ControlCounters) {
    let pool = &plan.pools[index].shared;
    let checks = plan.pools[index].check_tls.clone();
    let traffic = pool.tls.clone();
    let apart = checks.filter(|checks| !traffic.as_ref().is_some_and(|traffic| Arc::ptr_eq(traffic, checks)));
    for tls in traffic.into_iter().chain(apart) {
        refresh_outbound(plan, index, tls, counters).await;
    }
}

async fn refresh_outbound(plan: &Plan, index: usize, tls: Arc<Outbound>, counters: &ControlCounters) {
    let pool = &plan.pools[index].shared;
    let Ok(refreshed) = tokio::task::spawn_blocking(move || tls.refresh()).await else { return };
    if refreshed.changes > 0 {
        tracing::info!(pool = pool.name, "files of the TLS with targets replaced: new connections go by them");
        warn_of_the_ending(plan);
    }
    for fault in note(refreshed, counters.pool_certificates(index)) {
        let (what, help) = (fault.what, fault.help);
        tracing::error!(pool = pool.name, help, "what was there before stays in service: {what}");
    }
}

/// Counts what a look gave. Returns what is to be told.
fn note(refreshed: Refreshed, counted: &CertificateFiles) -> Vec<Fault> {
    counted.changes.add(refreshed.changes as u64);
    counted.failures.add(refreshed.faults.len() as u64);
    refreshed.faults
}

/// The positions of the pools that have TLS.
fn secure_pools(plan: &Plan) -> Vec<usize> {
    let is_secure = |pool: &crate::plan::Pool| pool.shared.tls.is_some() || pool.check_tls.is_some();
    plan.pools.iter().enumerate().filter(|(_, pool)| is_secure(pool)).map(|(index, _)| index).collect()
}

fn warn_of_the_ending(plan: &Plan) {
    for of in of(plan) {
        // What an authority issues is renewed in time, and if it is not, that is told.
        let renewed = plan
            .acme
            .iter()
            .find(|spec| spec.listener == plan.listeners[of.listener].name)
            .map(|spec| spec.certificate_file());
        for (file, seconds) in of.ending {
            let listener = &plan.listeners[of.listener].name;
            if seconds > 0 && renewed.as_ref().is_some_and(|renewed| renewed.as_os_str() == file.as_str()) {
                continue;
            }
            if seconds <= 0 {
                tracing::warn!(listener, file, "the certificate has ended: clients will refuse it");
            } else if is_soon(seconds) {
                tracing::warn!(listener, file, hours = seconds / 3600, "the certificate ends soon");
            }
        }
    }
    for SecurePool { pool, ending } in of_pools(plan) {
        let pool = &plan.pools[pool].shared.name;
        match ending {
            Some((file, ..=0)) => tracing::warn!(pool, file, "the certificate has ended: targets will refuse it"),
            Some((file, seconds)) if is_soon(seconds) => {
                tracing::warn!(pool, file, hours = seconds / 3600, "the certificate ends soon");
            }
            _ => {}
        }
    }
}

fn is_soon(seconds: i64) -> bool {
    u64::try_from(seconds).is_ok_and(|seconds| seconds < SOON.as_secs())
}

/// What metrics tell of the certificates of listeners.
pub(super) fn of(plan: &Plan) -> Vec<Certificates> {
    let listeners = plan.listeners.iter().filter_map(|listener| Some((listener.index, listener.tls.as_ref()?)));
    let certificates = listeners.map(|(listener, edge)| Certificates {
        listener,
        count: edge.certificates(),
        acme: plan.acme.iter().any(|spec| spec.listener == plan.listeners[listener].name),
        ending: edge.expiries(SHOWN).into_iter().map(left).collect(),
    });
    certificates.collect()
}

/// What metrics tell of the TLS of pools.
pub(super) fn of_pools(plan: &Plan) -> Vec<SecurePool> {
    let secure = plan.pools.iter().enumerate().filter_map(|(index, pool)| Some((index, pool.shared.tls.as_ref()?)));
    secure.map(|(pool, tls)| SecurePool { pool, ending: tls.expiry().map(left) }).collect()
}

/// A certificate's file, and the seconds that are left to it.
fn left(end: Expiry) -> (String, i64) {
    let now = wall::now();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    (end.file.display().to_string(), end.not_after.saturating_sub(now))
}
