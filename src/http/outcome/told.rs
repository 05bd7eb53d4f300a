//! What is counted and told of an exchange that has ended: counters, sums, log records, spans.

use super::{Context, Outcome, nanos};
use crate::http::exchange::Heads;
use crate::http::head::{Name, RequestHead, Version};
use crate::http::trace;
use crate::lane::Era;
use crate::observe::access::{self, Gist, Headers, Http, Load, Log, Record, Side};
use crate::observe::analytics::Seen;
use crate::observe::reason::{Cached, Cause, Failure};
use crate::observe::remark::Kind;
use crate::observe::trace::Rules;
use crate::plan::{Action, Route};
use crate::tls::Facts;
use std::time::{Duration, SystemTime};

impl Outcome {
    /// Counts and logs. Called once.
    pub(in crate::http) fn finish(&mut self, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let Context { era, listener: counted, client, .. } = context;
        self.finished = true;
        if self.termination.cause == Cause::Client && client.is_cut() {
            self.end(Failure::Operator.word(), Cause::Killed, self.termination.phase);
        }
        let total = nanos(self.answered.unwrap_or_else(|| self.started.elapsed()));
        counted.received.add(self.bytes_in);
        counted.sent.add(self.bytes_out);
        if self.status != 0 {
            counted.requests.status(self.status);
            context.route.requests.status(self.status);
            // What follows a 101 is no answer but a tunnel.
            if self.status != 101 {
                era.latencies.request(self.route, total);
                era.ended(self.status >= 500, total);
            }
        }
        if let Some(reason) = self.refusal {
            counted.refusals.refused(reason);
        }
        if let Some(how) = self.cached {
            self.count_cached(era, how);
        }
        self.member.inspect(|member| self.count_member(context, *member, total));
        self.times.total = total;
        if let Some(slow) = era.plan.runtime.slow
            && (total > slow || self.status >= 500 || !self.reason.is_empty())
        {
            self.remark(slow, context, heads, text);
        }
        if let Some(book) = &mut *context.lane.book.borrow_mut() {
            book.count(&self.seen(context, heads));
        }
        if let Some(records) = &mut *context.lane.records.borrow_mut() {
            self.log(records, context, heads, text);
        }
        // The log of the era that it began in may have ended with that.
        if let Some(log) = &context.lane.era().log {
            self.log(&mut log.borrow_mut(), context, heads, text);
        }
        if let Some(tracing) = &era.plan.tracing {
            self.trace(&tracing.rules, context, heads, text);
        }
    }

    /// Counts what a cache did for it. What follows a 101 is no answer but a tunnel.
    fn count_cached(&self, era: &Era, how: Cached) {
        let route = era.plan.routes.get(self.route).filter(|_| self.status != 101);
        let Some(Action::Forward(rule)) = route.map(|route| &route.action) else { return };
        if let Some(caching) = &rule.cache {
            era.counters.cache(caching.index).served(how, self.body_out);
        }
    }

    /// What analytics count of it.
    fn seen<'a>(&self, context: &Context<'a>, heads: &'a Heads) -> Seen<'a> {
        let by_us = matches!(self.termination.cause, Cause::Resource | Cause::Internal | Cause::Down);
        let broke_off = by_us || matches!(self.termination.cause, Cause::Target | Cause::TargetTimeout);
        Seen {
            consumer: heads.who.name().unwrap_or_default(),
            route: context.names.route,
            version: context.version(self.route),
            status: self.status,
            // A tunnel ends as both sides like.
            is_error: self.status >= 500 || broke_off && self.status != 101,
            total_ns: self.times.total,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }

    /// Counts it for the pool that it went to of those that its route's requests are divided among.
    #[cold]
    fn count_member(&self, context: &Context<'_>, member: usize, total: u64) {
        let era = context.era;
        let Some(split) = era.plan.routes.get(self.route).and_then(Route::split) else { return };
        let (Some(part), Some(forward)) = (split.shared.parts().get(member), split.forward(member)) else { return };
        // A client that leaves says nothing of it, nor does what a cache has.
        if self.status >= 500 || self.target.is_some() && self.termination.cause != Cause::Client {
            // A tunnel lasts and ends as both sides like.
            let (cut, total) = match self.termination.cause {
                _ if self.status == 101 => (false, 0),
                cause => (matches!(cause, Cause::Target | Cause::TargetTimeout | Cause::Down), total),
            };
            part.ended(era.pools[forward.pool].worker(), self.status >= 500 || cut, Duration::from_nanos(total));
        }
    }

    /// Logs it, if that is wanted.
    fn log(&self, log: &mut Log, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let Context { names, .. } = context;
        let gist = Gist {
            listener: names.listener,
            route: names.route,
            status: Some(self.status),
            total: self.times.total,
            failed: !self.reason.is_empty(),
        };
        if log.wants(&gist) {
            let id = self.request_id();
            let headers = Fields { head: &heads.request, text, answer: &self.answer };
            let start_ns = log.wall(self.started);
            let record = self.record(context, heads, text, &id.0);
            log.write(&Record { start_ns, headers: Some(&headers), ..record });
        }
    }

    /// Notes it if it is worth a look.
    #[cold]
    fn remark(&self, slow: u64, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let id = self.request_id();
        let record = Record { start_ns: self.wall(), ..self.record(context, heads, text, &id.0) };
        if let Some(kind) = Kind::of(&record, slow) {
            context.lane.worker.remarks.note(kind, &record);
        }
    }

    /// When it began, by the wall's clock, ns since 1970.
    fn wall(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos);
        now.saturating_sub(nanos(self.started.elapsed()))
    }

    /// Tells of it as a trace, if that is wanted.
    fn trace(&self, rules: &Rules, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let Some(place) = heads.trace.context() else { return };
        // A tunnel lasts for as long as both sides like.
        let slow = self.status != 101 && rules.is_slow(self.times.total);
        let failed = self.status >= 500 || self.status < 400 && !self.reason.is_empty();
        if place.sampled || slow || failed {
            let id = self.request_id();
            let record = Record { start_ns: self.wall(), ..self.record(context, heads, text, &id.0) };
            trace::Ended { context, heads, text, started: self.started, part: "" }.tell(&record, place.sampled || slow);
        }
    }

    /// Tells of what was asked for in an exchange's place, as a part of its answer, if that is in the sample.
    pub(in crate::http) fn tell_part(&mut self, context: &Context<'_>, heads: &Heads, text: &[u8], part: &str) {
        if heads.trace.context().is_some_and(|place| place.sampled) {
            self.times.total = nanos(self.started.elapsed());
            let record = Record { start_ns: self.wall(), ..self.record(context, heads, text, b"") };
            trace::Ended { context, heads, text, started: self.started, part }.tell(&record, true);
        }
    }

    fn record<'a>(&self, context: &Context<'a>, heads: &'a Heads, text: &'a [u8], id: &'a [u8]) -> Record<'a> {
        let Context { names, client, .. } = context;
        let head = &heads.request;
        let (mut user_agent, mut referer): (&[u8], &[u8]) = (b"", b"");
        for field in head.fields.iter().filter(|field| field.kind == Name::Other).rev() {
            match field.name.len() {
                10 if field.name.of(text).eq_ignore_ascii_case(b"user-agent") => user_agent = field.value.of(text),
                7 if field.name.of(text).eq_ignore_ascii_case(b"referer") => referer = field.value.of(text),
                _ => {}
            }
        }
        let (denied_by, shadow_denied_by, held_by) = heads.ruled.names(&context.era.plan.shape);
        Record {
            start_ns: 0,
            // Nobody else has an address without a port, but whom a proxy names without one.
            client: (!self.is_local || self.client.port() != 0 || !self.client.ip().is_loopback())
                .then_some(self.client),
            listener: names.listener,
            route: names.route,
            pool: names.pool,
            target: context.target.map_or("", |target| &target.name),
            http: Some(Http {
                method: head.method_text.of(text),
                target: head.target.of(text),
                version: match head.version {
                    _ if client.is_multiplexed() => access::Version::Http2,
                    Version::Http10 => access::Version::Http10,
                    Version::Http11 => access::Version::Http11,
                },
                host: head.authority.of(text),
                user_agent,
                referer,
                status: self.status,
                body_out: self.body_out,
                request_id: id,
                trace: heads.trace.context().map(|place| place.ids),
                cache: self.cached.map_or("", Cached::result),
                idempotency: self.shared,
                denied_by,
                shadow_denied_by,
                held_by,
                version_label: context.version(self.route),
                missing: &heads.missing,
                consumer: heads.who.name().unwrap_or_default(),
                cookies: heads
                    .sticky
                    .map(|stuck| stuck.cookies(self.target.map(|(_, target)| target)))
                    .unwrap_or_default(),
            }),
            datagrams: None,
            tls: client.facts().map(Facts::record),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            times: self.times,
            tries: self.tries,
            reason: self.reason,
            termination: self.termination,
            load: Load {
                process: context.lane.worker.connections.get(),
                listener: context.listener.open.get(),
                pool: context.pool.map_or(0, |pool| pool.in_flight.get()),
                target: context.target.map_or(0, |target| u64::from(target.in_flight())),
                places: self.places,
            },
            headers: None,
        }
    }
}

/// The headers of an exchange, for lines that show some.
#[derive(Debug)]
struct Fields<'a> {
    head: &'a RequestHead,
    text: &'a [u8],
    answer: &'a [u8],
}

impl Headers for Fields<'_> {
    fn each(&self, side: Side, name: &str, each: &mut dyn FnMut(&[u8])) {
        if side == Side::Request {
            return self.head.values(self.text, name.as_bytes()).for_each(each);
        }
        for line in self.answer.split(|byte| *byte == b'\n').skip(1) {
            if let Some(colon) = memchr::memchr(b':', line)
                && line[..colon].eq_ignore_ascii_case(name.as_bytes())
            {
                each(line[colon + 1..].trim_ascii());
            }
        }
    }
}
