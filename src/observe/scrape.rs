//! One page of metrics: the counters of all workers summed, with the names and units that docs/observability.md
//! explains. Runs on control when a scrape comes in; workers notice nothing but the question for their histograms.

mod aggregates;
mod analytics;
mod bans;
mod caches;
mod certificates;
mod datagrams;
mod guards;
mod idempotency;
mod lifecycles;
mod live;
mod mirrors;
mod passwords;
mod queues;
mod quotas;
mod reloads;
mod rules;
mod splits;
mod sticky;
mod store;

pub use aggregates::Part;
pub use bans::{Bans, Tarpit};
pub use caches::{Cache, DiskTier, Tier};
pub use certificates::{Certificates, SecurePool};
pub use datagrams::UdpListener;
pub use guards::{Guard, RuleKeys, SharedKeys};
pub use idempotency::{IdempotentRule, SharedIdempotent};
pub use lifecycles::Lifecycle;
pub use live::{LivePool, LiveTarget};
pub use mirrors::{Compared, Mirror};
pub use queues::Queue;
pub use splits::SplitPool;
pub use sticky::{StickyPool, StickyTable};

use super::counters::{
    ControlCounters, ListenerSet, PoolSet, Shape, TargetHealth, TargetSet, WorkerCounters, WorkerSet,
};
use super::file::Lines;
use super::latency::{Kind, LatenciesSnapshot};
use super::process::Process;
use super::prometheus::{Family, Page};
use super::reason::{Class, Delivered, Failure, Flood, Handshake, Outcome, Reason, Retried};
use super::reloads::Reloads;
use std::fmt::Display;
use std::sync::Arc;

/// The label value of the series that takes what is beyond the limit of histograms.
const OVERFLOW: &str = "(overflow)";

/// All that a page is made from.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// The names behind the indexes; the same that the counters were made from.
    pub shape: &'a Shape,
    /// Every worker's counters, by the worker's number.
    pub workers: &'a [Arc<WorkerCounters>],
    /// Control's counters.
    pub control: &'a ControlCounters,
    /// The workers' histograms, merged.
    pub latencies: &'a LatenciesSnapshot,
    /// The certificates of the listeners that have TLS.
    pub certificates: &'a [Certificates],
    /// The pools that have TLS.
    pub secure_pools: &'a [SecurePool],
    /// The listeners that count clients.
    pub guards: &'a [Guard],
    /// The rules that count.
    pub rule_keys: &'a [RuleKeys],
    /// The rules that have requests carried out once.
    pub idempotency: &'a [IdempotentRule],
    /// Clients that are refused.
    pub bans: Bans,
    /// Rules that keep clients waiting.
    pub tarpits: &'a [Tarpit],
    /// The pools that have limits.
    pub queues: &'a [Queue],
    /// The pools that requests of routes are divided among.
    pub splits: &'a [SplitPool],
    /// The routes of which another pool gets requests as well.
    pub mirrors: &'a [Mirror],
    /// The routes that are deprecated.
    pub lifecycles: &'a [Lifecycle],
    /// The parts of answers that are put together.
    pub parts: &'a [Part],
    /// The caches.
    pub caches: &'a [Cache],
    /// The pools that are sticky.
    pub sticky_pools: &'a [StickyPool],
    /// The listeners for datagrams.
    pub datagrams: &'a [UdpListener],
    /// The pools that go by live traffic.
    pub live: &'a [LivePool],
    /// The pools whose targets are found.
    pub discovered: &'a [super::discovery::Discovered],
    /// The rules whose issuers are asked for their keys.
    pub issuers: &'a [super::issuers::Asked],
    /// What the file thread did with access log lines; `None` without an access log.
    pub access_log: Option<&'a Lines>,
    /// Whether hosts share what they know.
    pub sharing: bool,
    /// Whether spans are delivered somewhere.
    pub tracing: bool,
    /// Whether any route compresses.
    pub compression: bool,
    /// Operational log lines dropped, as [`super::log::dropped`] has them.
    pub log_lines_dropped: u64,
    /// The number of the plan in force.
    pub plan: u64,
    /// What became of reloads.
    pub reloads: &'a Reloads,
    /// The process, read just before.
    pub process: Process,
}

impl Scrape<'_> {
    /// Writes the page.
    pub fn text(&self) -> String {
        let mut page = Page::default();
        page.gauge("ringway_build_info", "Always 1; the label says which version runs.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.write_workers(&mut page);
        self.write_listeners(&mut page);
        self.write_datagrams(&mut page);
        self.write_guards(&mut page);
        self.write_rule_keys(&mut page);
        self.write_bans(&mut page);
        self.write_h2(&mut page);
        self.write_tls(&mut page);
        self.write_acme(&mut page);
        self.write_routes(&mut page);
        self.write_lifecycles(&mut page);
        if self.compression {
            super::compression::write(&mut page, self.workers);
        }
        self.write_pools(&mut page);
        self.write_queues(&mut page);
        self.write_splits(&mut page);
        self.write_mirrors(&mut page);
        self.write_parts(&mut page);
        self.write_secure_pools(&mut page);
        self.write_sticky(&mut page);
        self.write_targets(&mut page);
        super::discovery::write(&mut page, self.discovered);
        self.write_health(&mut page);
        self.write_caches(&mut page);
        self.write_rules(&mut page);
        self.write_idempotency(&mut page);
        super::issuers::write(&mut page, self.issuers);
        self.write_live(&mut page);
        self.write_store(&mut page);
        self.write_logs(&mut page);
        self.write_reloads(&mut page);
        self.write_process(&mut page);
        page.into_text()
    }

    fn write_workers(&self, page: &mut Page) {
        let help = "Longest turn of the event loop in the last one to two minutes.";
        self.per_worker(page.gauge("ringway_worker_longest_turn_seconds", help), |w| seconds(w.longest_turn.get()));
        let help = "Turns of over 100 ms, in which everybody on the worker waited.";
        self.per_worker(page.counter("ringway_worker_long_turns_total", help), |w| w.long_turns.get());
        let help = "Share of its time that the worker has been busy in the last second or so.";
        self.per_worker(page.gauge("ringway_worker_busy_ratio", help), |w| w.busy.get() as f64 / 1000.0);
        let help = "Client connections open on the worker.";
        self.per_worker(page.gauge("ringway_worker_connections", help), |w| w.connections.get());
        let help = "Connections to targets kept for reuse by the worker.";
        self.per_worker(page.gauge("ringway_worker_idle_connections", help), |w| w.idle_connections.get());
        let help = "Bytes of request bodies held for another try.";
        self.per_worker(page.gauge("ringway_worker_retry_bytes", help), |w| w.retry_bytes.get());
        let help = "Request bodies that became too long to be held for another try, or found no room.";
        let dropped = page.counter("ringway_worker_retry_bodies_dropped_total", help);
        self.per_worker(dropped, |w| w.retry_bodies_dropped.get());
        let help = "Bytes of bodies that routes buffer in memory.";
        self.per_worker(page.gauge("ringway_worker_buffered_bytes", help), |w| w.buffered_bytes.get());
        let help = "Request bodies that were too long to be buffered, or found no room.";
        self.per_worker(page.counter("ringway_worker_buffers_full_total", help), |w| w.buffers_full.get());
        let help = "Bytes of the disk that buffered bodies take.";
        self.per_worker(page.gauge("ringway_worker_buffered_disk_bytes", help), |w| w.buffered_disk_bytes.get());
        let help = "Buffered bodies that found no more room on the disk.";
        self.per_worker(page.counter("ringway_worker_buffers_disk_full_total", help), |w| w.buffers_disk_full.get());
        let help = "Buffered bodies that could not be written to the disk, or read from it.";
        let errors = page.counter("ringway_worker_buffers_disk_errors_total", help);
        self.per_worker(errors, |w| w.buffers_disk_errors.get());
        let help = "Times that accepting paused at the connection or file limit.";
        self.per_worker(page.counter("ringway_worker_accept_pauses_total", help), |w| w.accept_pauses.get());
        let help = "Exchanges worth a look that were not noted, as too many came at once.";
        self.per_worker(page.counter("ringway_worker_remarks_dropped_total", help), |w| w.remarks.dropped());
        let help = "Panics caught; each ended one connection.";
        self.per_worker(page.counter("ringway_worker_panics_total", help), |w| w.panics.get());
    }

    fn write_listeners(&self, page: &mut Page) {
        let help = "Connections accepted.";
        self.per_listener(page.counter("ringway_connections_accepted_total", help), |l| l.accepted.get());
        let help = "Client connections open.";
        self.per_listener(page.gauge("ringway_connections_open", help), |l| l.open.get());
        let help = "Bytes received from clients.";
        self.per_listener(page.counter("ringway_received_bytes_total", help), |l| l.received.get());
        let help = "Bytes sent to clients.";
        self.per_listener(page.counter("ringway_sent_bytes_total", help), |l| l.sent.get());

        let mut requests = page.counter("ringway_http_requests_total", "HTTP requests by class of the status sent.");
        for (i, listener) in self.shape.listeners.iter().enumerate() {
            let classes = self.sums(|w| w.listener(i).requests.get());
            for (class, count) in Class::ALL.iter().zip(classes) {
                requests.sample(&[("listener", listener), ("code_class", class.word())], count);
            }
        }
        let mut refused = page.counter("ringway_refused_total", "Requests and connections that Ringway refused.");
        for (i, listener) in self.shape.listeners.iter().enumerate() {
            let reasons = self.sums(|w| w.listener(i).refusals.get());
            for (reason, count) in Reason::ALL.iter().zip(reasons) {
                refused.sample(&[("listener", listener), ("reason", reason.word())], count);
            }
        }
    }

    fn write_h2(&self, page: &mut Page) {
        let help = "Client connections on which HTTP/2 was spoken.";
        self.per_listener(page.counter("ringway_h2_connections_total", help), |l| l.h2_connections.get());
        let help = "Streams that clients began.";
        self.per_listener(page.counter("ringway_h2_streams_total", help), |l| l.h2_streams.get());
        let mut floods = page.counter("ringway_h2_floods_total", "Connections ended for a flood of frames.");
        for (i, listener) in self.shape.listeners.iter().enumerate() {
            let kinds = self.sums(|w| w.listener(i).floods.get());
            for (kind, count) in Flood::ALL.iter().zip(kinds) {
                floods.sample(&[("listener", listener), ("kind", kind.word())], count);
            }
        }
        let help = "Connections to targets on which HTTP/2 is spoken.";
        self.per_pool(page.counter("ringway_pool_h2_connections_total", help), |p| p.h2_connections.get());
        let help = "Streams begun on connections to targets.";
        self.per_pool(page.counter("ringway_pool_h2_streams_total", help), |p| p.h2_streams.get());
    }

    /// Nothing without TLS.
    fn write_tls(&self, page: &mut Page) {
        if self.certificates.is_empty() {
            return;
        }
        let name = |of: &Certificates| self.shape.listeners[of.listener].as_str();
        let mut handshakes = page.counter("ringway_tls_handshakes_total", "TLS handshakes completed.");
        for of in self.certificates {
            let kinds = self.sums(|w| w.listener(of.listener).handshakes.get());
            for (kind, count) in Handshake::ALL.iter().zip(kinds) {
                handshakes.sample(&[("listener", name(of)), ("kind", kind.word())], count);
            }
        }
        let mut count = page.gauge("ringway_tls_certificates", "Certificates in service.");
        self.certificates.iter().for_each(|of| count.sample(&[("listener", name(of))], of.count));
        let help = "Seconds until a certificate ends; negative once it has.";
        let mut ending = page.gauge("ringway_tls_certificate_expiry_seconds", help);
        for of in self.certificates {
            for (file, seconds) in &of.ending {
                ending.sample(&[("listener", name(of)), ("certificate", file)], seconds);
            }
        }
        let help = "Certificates replaced, added or taken away while running.";
        let mut changes = page.counter("ringway_tls_certificate_changes_total", help);
        for of in self.certificates {
            changes.sample(&[("listener", name(of))], self.control.certificates(of.listener).changes.get());
        }
        let help = "Changed files that could not be used: what was there before stays in service.";
        let mut failures = page.counter("ringway_tls_certificate_failures_total", help);
        for of in self.certificates {
            failures.sample(&[("listener", name(of))], self.control.certificates(of.listener).failures.get());
        }
    }

    /// Nothing without authorities.
    fn write_acme(&self, page: &mut Page) {
        let asking = || self.certificates.iter().filter(|of| of.acme).map(|of| of.listener);
        if asking().next().is_none() {
            return;
        }
        let counted = |listener| self.control.certificates(listener);
        let of = |listener: usize| [("listener", self.shape.listeners[listener].as_str())];
        let mut issued = page.counter("ringway_acme_issued_total", "Certificates that an authority issued.");
        asking().for_each(|listener| issued.sample(&of(listener), counted(listener).issued.get()));
        let help = "Times that asking an authority for a certificate came to nothing.";
        let mut refused = page.counter("ringway_acme_failures_total", help);
        asking().for_each(|listener| refused.sample(&of(listener), counted(listener).refused.get()));
        let help = "When an authority issued a certificate last, seconds since 1970; 0: not since the start.";
        let mut last = page.gauge("ringway_acme_last_issued_timestamp_seconds", help);
        asking().for_each(|listener| last.sample(&of(listener), counted(listener).last_issued.get()));
        let help = "When asking for one came to nothing last, seconds since 1970; 0: not since the start.";
        let mut last = page.gauge("ringway_acme_last_failure_timestamp_seconds", help);
        asking().for_each(|listener| last.sample(&of(listener), counted(listener).last_refused.get()));
    }

    fn write_routes(&self, page: &mut Page) {
        let mut requests = page.counter("ringway_route_requests_total", "HTTP requests by route and class of status.");
        for (i, route) in self.shape.routes.iter().enumerate() {
            let classes = self.sums(|w| w.route(i).requests.get());
            for (class, count) in Class::ALL.iter().zip(classes) {
                requests.sample(&[("route", route), ("code_class", class.word())], count);
            }
        }
        if !self.shape.passing.is_empty() {
            let help = "Connections whose TLS a route passed on.";
            let mut connections = page.counter("ringway_route_connections_total", help);
            for &i in &self.shape.passing {
                let [count] = self.sums(|w| [w.route(i).connections.get()]);
                connections.sample(&[("route", &self.shape.routes[i])], count);
            }
        }
        let help = "First byte of the request to last byte of the response.";
        let family = page.histogram("ringway_http_request_duration_seconds", help);
        self.histograms(family, Kind::Request, "route", |i| self.shape.routes.get(i).map(String::as_str));
    }

    fn write_pools(&self, page: &mut Page) {
        let help = "Exchanges and TCP connections given to the pool.";
        self.per_pool(page.counter("ringway_pool_requests_total", help), |p| p.requests.get());
        let mut retries =
            page.counter("ringway_pool_retries_total", "Tries beyond the first by what made them needed.");
        for (i, (pool, _)) in self.shape.pools.iter().enumerate() {
            let reasons = self.sums(|w| w.pool(i).retries.get());
            for (why, count) in Retried::ALL.iter().zip(reasons) {
                retries.sample(&[("pool", pool), ("reason", why.word())], count);
            }
        }
        let help = "Times that the second target, asked while the first was slow, answered first.";
        self.per_pool(page.counter("ringway_pool_hedges_won_total", help), |p| p.hedges_won.get());
        let help = "Tries that a budget did not allow.";
        self.per_pool(page.counter("ringway_pool_retries_denied_total", help), |p| p.denied.get());
        let help = "Exchanges and TCP connections in flight.";
        self.per_pool(page.gauge("ringway_pool_in_flight", help), |p| p.in_flight.get());

        let mut failures = page.counter("ringway_pool_errors_total", "Failed tries by kind.");
        for (i, (pool, _)) in self.shape.pools.iter().enumerate() {
            let kinds = self.sums(|w| w.pool(i).failures.get());
            for (kind, count) in Failure::ALL.iter().zip(kinds) {
                failures.sample(&[("pool", pool), ("kind", kind.word())], count);
            }
        }
        let name_of = |i: usize| self.shape.pools.get(i).map(|(pool, _)| pool.as_str());
        let family = page.histogram("ringway_pool_connect_duration_seconds", "Time to connect to a target.");
        self.histograms(family, Kind::Connect, "pool", name_of);
        let help = "Request sent to first byte of the response.";
        let family = page.histogram("ringway_pool_first_byte_duration_seconds", help);
        self.histograms(family, Kind::FirstByte, "pool", name_of);
    }

    /// Nothing without TLS.
    fn write_secure_pools(&self, page: &mut Page) {
        if self.secure_pools.is_empty() {
            return;
        }
        let name = |of: &SecurePool| self.shape.pools[of.pool].0.as_str();
        let pools = || self.secure_pools.iter().map(|of| (of.pool, name(of)));
        let mut shaken = page.counter("ringway_pool_tls_handshakes_total", "TLS handshakes with targets completed.");
        for (i, pool) in pools() {
            let kinds = self.sums(|w| w.pool(i).handshakes.get());
            for (kind, count) in Handshake::ALL.iter().zip(kinds) {
                shaken.sample(&[("pool", pool), ("kind", kind.word())], count);
            }
        }
        let help = "Seconds until the certificate that targets are shown ends; negative once it has.";
        let mut ending = page.gauge("ringway_pool_tls_certificate_expiry_seconds", help);
        for of in self.secure_pools {
            if let Some((file, seconds)) = &of.ending {
                ending.sample(&[("pool", name(of)), ("certificate", file)], seconds);
            }
        }
        let help = "Files of the pool's TLS taken up anew while running.";
        let mut changes = page.counter("ringway_pool_tls_file_changes_total", help);
        pools()
            .for_each(|(i, pool)| changes.sample(&[("pool", pool)], self.control.pool_certificates(i).changes.get()));
        let help = "Changed files that could not be used: what was there before stays in service.";
        let mut failures = page.counter("ringway_pool_tls_file_failures_total", help);
        pools()
            .for_each(|(i, pool)| failures.sample(&[("pool", pool)], self.control.pool_certificates(i).failures.get()));
    }

    fn write_targets(&self, page: &mut Page) {
        self.per_target(page.counter("ringway_target_requests_total", "Tries sent."), |t| t.requests.get());
        self.per_target(page.gauge("ringway_target_in_flight", "Tries in flight."), |t| t.in_flight.get());
        self.per_target(page.counter("ringway_target_connects_total", "Connections opened."), |t| t.connects.get());
        self.per_target(page.counter("ringway_target_errors_total", "Tries that failed."), |t| t.failures.get());
        let help = "Bytes sent to the target.";
        self.per_target(page.counter("ringway_target_sent_bytes_total", help), |t| t.sent.get());
        let help = "Bytes received from the target.";
        self.per_target(page.counter("ringway_target_received_bytes_total", help), |t| t.received.get());
    }

    fn write_health(&self, page: &mut Page) {
        let help = "1 while the target may be used, 0 while it is down.";
        self.per_health(page.gauge("ringway_target_up", help), |h| h.up.get());
        let help = "Health checks passed.";
        self.per_health(page.counter("ringway_target_checks_passed_total", help), |h| h.passed.get());
        let help = "Health checks failed.";
        self.per_health(page.counter("ringway_target_checks_failed_total", help), |h| h.failed.get());
        let mut outcomes = page.counter("ringway_pool_checks_total", "Health checks by what came of them.");
        for (i, (pool, _)) in self.shape.pools.iter().enumerate() {
            let counts = self.control.pool(i).outcomes.get();
            for outcome in Outcome::ALL {
                let count = counts[outcome.index()];
                // Most pools ever see only a few of them.
                if count > 0 {
                    outcomes.sample(&[("pool", pool), ("outcome", outcome.word())], count);
                }
            }
        }
        let help = "Changes between up and down.";
        self.per_health(page.counter("ringway_target_changes_total", help), |h| h.changes.get());
        page.gauge("ringway_health_lateness_seconds", "Latest start of a check in the last one to two minutes.")
            .sample(&[], seconds(self.control.check_lateness.get()));
    }

    fn write_logs(&self, page: &mut Page) {
        if let Some(lines) = self.access_log {
            page.counter("ringway_access_log_lines_total", "Access log lines written.")
                .sample(&[], lines.written.get());
            let dropped = self.sum(|w| w.worker.log_lines_dropped.get());
            let mut lost = page.counter("ringway_access_log_lines_lost_total", "Access log lines lost.");
            lost.sample(&[("where", "queue")], dropped);
            lost.sample(&[("where", "write")], lines.lost.get());
        }
        if self.tracing {
            let dropped = self.sum(|w| w.worker.spans_dropped.get());
            let mut spans = page.counter("ringway_trace_spans_total", "Spans by what became of them.");
            for (how, count) in Delivered::ALL.iter().zip(self.control.spans.get()) {
                let beside = if *how == Delivered::Dropped { dropped } else { 0 };
                spans.sample(&[("result", how.word())], count.wrapping_add(beside));
            }
        }
        page.counter("ringway_log_lines_lost_total", "Operational log lines lost.").sample(&[], self.log_lines_dropped);
    }

    fn write_process(&self, page: &mut Page) {
        let p = &self.process;
        let mut gauge = |name, help, value: Option<&dyn Display>| {
            if let Some(value) = value {
                page.gauge(name, help).sample(&[], value);
            }
        };
        gauge("process_resident_memory_bytes", "Resident memory.", show(&p.resident_bytes));
        gauge("process_virtual_memory_bytes", "Address space.", show(&p.virtual_bytes));
        gauge("process_threads", "Threads.", show(&p.threads));
        gauge("process_open_fds", "Open descriptors.", show(&p.open_fds));
        gauge("process_max_fds", "Limit of open descriptors.", show(&p.max_fds));
        gauge("process_start_time_seconds", "Start of the process, seconds since 1970.", show(&p.start_seconds));
        if let Some(cpu) = p.cpu_seconds {
            page.counter("process_cpu_seconds_total", "CPU time, user and system.").sample(&[], cpu);
        }
    }

    fn per_worker<V: Display>(&self, mut family: Family<'_>, value: impl Fn(&WorkerSet) -> V) {
        for (i, worker) in self.workers.iter().enumerate() {
            family.sample(&[("worker", &i.to_string())], value(&worker.worker));
        }
    }

    fn per_listener(&self, mut family: Family<'_>, value: impl Fn(&ListenerSet) -> u64) {
        for (i, listener) in self.shape.listeners.iter().enumerate() {
            family.sample(&[("listener", listener)], self.sum(|w| value(w.listener(i))));
        }
    }

    fn per_pool(&self, mut family: Family<'_>, value: impl Fn(&PoolSet) -> u64) {
        for (i, (pool, _)) in self.shape.pools.iter().enumerate() {
            family.sample(&[("pool", pool)], self.sum(|w| value(w.pool(i))));
        }
    }

    fn per_target(&self, mut family: Family<'_>, value: impl Fn(&TargetSet) -> u64) {
        for (pool, target, labels) in self.targets() {
            family.sample(&labels, self.sum(|w| value(w.pool(pool).target(target))));
        }
    }

    fn per_health(&self, mut family: Family<'_>, value: impl Fn(&TargetHealth) -> u64) {
        for (pool, target, labels) in self.targets() {
            family.sample(&labels, value(self.control.target(pool, target)));
        }
    }

    /// Every target: its pool's index, its own, and its labels.
    fn targets(&self) -> impl Iterator<Item = (usize, usize, [(&str, &str); 2])> {
        self.shape.pools.iter().enumerate().flat_map(|(p, (pool, targets))| {
            targets
                .iter()
                .enumerate()
                .map(move |(t, target)| (p, t, [("pool", pool.as_str()), ("target", target.as_str())]))
        })
    }

    fn histograms<'n>(
        &self,
        mut family: Family<'_>,
        kind: Kind,
        label: &str,
        name_of: impl Fn(usize) -> Option<&'n str>,
    ) {
        for (index, series) in self.latencies.series(kind) {
            if let Some(name) = index.map_or(Some(OVERFLOW), &name_of) {
                family.buckets(&[(label, name)], series);
            }
        }
    }

    fn sum(&self, value: impl Fn(&WorkerCounters) -> u64) -> u64 {
        self.workers.iter().map(|worker| value(worker)).fold(0, u64::wrapping_add)
    }

    fn sums<const N: usize>(&self, values: impl Fn(&WorkerCounters) -> [u64; N]) -> [u64; N] {
        let mut sums = [0u64; N];
        for worker in self.workers {
            for (sum, value) in sums.iter_mut().zip(values(worker)) {
                *sum = sum.wrapping_add(value);
            }
        }
        sums
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn show<T: Display>(value: &Option<T>) -> Option<&dyn Display> {
    value.as_ref().map(|value| value as &dyn Display)
}

#[cfg(test)]
mod tests;
