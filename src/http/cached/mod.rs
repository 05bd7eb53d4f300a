//! Requests of routes with a cache: answered from what is stored, or by a question to the origin that all who ask for the same
//! share.
//!
//! What always holds: rules run before the cache is asked (`decide` and what follows it); a client gets a stored answer only if it fits
//! its request in everything that the answer varies on; whoever waits for another's question asks for itself if the answer is
//! not for it.

mod ask;
mod asked;
mod batch;
mod changed;
mod coded;
mod deliver;
mod edited;
mod fill;
mod front;
mod given;
mod quick;
mod shelf;
mod view;
mod would;

use super::apart::Apart;
use super::exchange::Exchange;
use super::forward::{self, Path};
use super::h1::{Framing, Incoming};
use super::head::Method;
use super::reply::Reply;
use crate::cache::range::Span;
use crate::cache::store::entry::{Entry, Slot};
use crate::cache::store::flight::{Flight, Refusal, Verdict};
use crate::cache::store::purge::Purged;
use crate::cache::store::{Key, Store};
use crate::cache::{self, CacheStatus, Detail, Forward, Lines, Need, Request, RequestDirectives, Response, Use, Vary};
use crate::cache::{etag, validation};
use crate::net::{Either, Lease, coarse_now, race};
use crate::observe::reason::{Cached as Word, Failure, Reason};
use crate::plan::{self, Caching};
use ask::With;
use asked::Asked;
pub(super) use changed::answered;
use coded::Recoder;
use deliver::{Given, Sending, deliver};
pub(super) use fill::Filler;
use fill::Question;
pub(super) use given::give;
pub(super) use quick::{Quick, Room, quick};
use quick::{Wanted, key_of};
use shelf::Shelved;
use std::sync::Arc;
use std::time::Duration;
use view::View;
pub use would::Lookup;
pub(super) use would::would;

/// A key in bytes, the hash of its host, and that.
type Subject = (Arc<[u8]>, u64, Arc<[u8]>);

/// How a request is answered.
enum Course {
    /// It was, or its client has left.
    Done,
    /// Past the cache, by the pool.
    Pass,
}

/// How often a request looks anew after an answer that was not for it.
const TURNS: usize = 3;

/// Serves a request of a route with a cache. `plain`: what [`quick`] has found of it. Returns what was received beyond it if the
/// client's connection goes on.
pub(super) async fn serve(
    exchange: &mut Exchange<'_>,
    rule: &Arc<plan::Forward>,
    caching: &Arc<Caching>,
    path: Path,
    incoming: &Incoming,
    received: Lease,
    plain: Option<Key>,
) -> Option<Lease> {
    if !is_for_cache(exchange, incoming) {
        let reads = matches!(exchange.heads.request.method, Method::Get | Method::Head);
        exchange.outcome.looked_up(if reads { Word::Bypass } else { Word::Method });
        return Box::pin(forward::forward(exchange, rule, path, incoming, received)).await;
    }
    let mut cached = Cached { exchange, rule, caching, path, plain: plain.is_some(), birth: None };
    match cached.run(plain).await {
        Course::Pass => Box::pin(forward::forward(exchange, rule, path, incoming, received)).await,
        Course::Done if exchange.keep_alive => Some(received),
        Course::Done => {
            if !received.is_empty() {
                exchange.linger().await;
            }
            None
        }
    }
}

/// Whether a stored answer may be the answer.
fn is_for_cache(exchange: &Exchange<'_>, incoming: &Incoming) -> bool {
    passes_by(exchange.heads.request.method, incoming, exchange.grpc).is_none()
}

/// Why a request is none for a cache, whatever its headers say; `None`: it may be one.
fn passes_by(method: Method, incoming: &Incoming, grpc: bool) -> Option<&'static str> {
    if !matches!(method, Method::Get | Method::Head) {
        Some("its method is neither GET nor HEAD")
    } else if incoming.websocket {
        Some("it asks for a WebSocket")
    } else if grpc {
        Some("it is a call of gRPC")
    } else if !matches!(incoming.framing, Framing::None | Framing::Length(0)) {
        Some("it has a body")
    } else {
        None
    }
}

/// Why a request went to the origin, as it is counted and logged.
fn missed(why: Forward) -> Word {
    match why {
        Forward::UriMiss => Word::UriMiss,
        Forward::VaryMiss => Word::VaryMiss,
        Forward::Stale => Word::Expired,
        Forward::Request => Word::Request,
        Forward::Partial => Word::Partial,
        Forward::Method => Word::Method,
        Forward::Bypass => Word::Bypass,
    }
}

struct Cached<'e, 'a> {
    exchange: &'e mut Exchange<'a>,
    rule: &'e Arc<plan::Forward>,
    caching: &'e Arc<Caching>,
    path: Path,
    /// Whether the request wants an answer as it is stored, and the route gives it so.
    plain: bool,
    /// Since when the disk has what its answers vary on, if it has.
    birth: Option<u64>,
}

impl Cached<'_, '_> {
    async fn run(&mut self, plain: Option<Key>) -> Course {
        let asked = plain.map_or_else(|| Asked::of(self.exchange, self.caching, self.path), Asked::plain);
        if asked.past {
            self.exchange.outcome.looked_up(Word::Bypass);
            return Course::Pass;
        }
        let is_head = self.exchange.heads.request.method == Method::Head;
        let (mut alone, mut anew, mut vary) = (!self.caching.collapse, false, None);
        for turn in 0..TURNS {
            let slot = self.store().find(asked.key);
            let found = slot.as_deref().and_then(|slot| self.pick(&asked, slot));
            let found = match found {
                None if !anew => match self.shelved(asked.key).await {
                    Some(Shelved::Passing(passing)) => return self.pass_on(passing).await,
                    Some(Shelved::Entry(entry)) => {
                        let purged = self.store().purged(&entry);
                        Some((entry, purged))
                    }
                    None => None,
                },
                found => found,
            };
            let (base, why) = match found {
                None => {
                    let is_there = |entry: &Arc<Entry>| self.store().purged(entry) != Some(Purged::Hard);
                    let others = slot.as_ref().is_some_and(|slot| slot.variants.iter().any(is_there));
                    (None, if others { Forward::VaryMiss } else { Forward::UriMiss })
                }
                Some((entry, _)) if !self.has(&entry) => (Some(entry), Forward::Partial),
                Some((entry, purged)) => match self.use_of(&entry, purged, &asked.control) {
                    Use::Fresh => return self.hit(&entry, None).await,
                    Use::Stale => return self.hit(&entry, Some(Detail::Word("max-stale"))).await,
                    Use::StaleWhileRevalidate => {
                        self.refresh(&asked, &entry);
                        return self.hit(&entry, Some(Detail::StaleWhileRevalidate)).await;
                    }
                    Use::Validate(Need::Request) => {
                        alone = true;
                        (Some(entry), Forward::Request)
                    }
                    Use::Validate(_) => (Some(entry), Forward::Stale),
                    Use::Forbidden => (None, Forward::Stale),
                },
            };
            self.exchange.outcome.looked_up(missed(why));
            if asked.control.only_if_cached {
                self.exchange.answer(Reply::refusal(504, Reason::OnlyIfCached), false).await;
                return Course::Done;
            }
            if is_head || asked.control.no_store {
                return Course::Pass;
            }
            let lonely = slot.is_some_and(|slot| slot.lonely.is_some_and(|until| until > coarse_now()));
            let base = base.filter(|_| !anew);
            let apart = alone || lonely || turn + 1 == TURNS;
            let (flight, own) = self.put(&asked, base.clone(), vary.as_ref(), apart);
            let Some(verdict) = self.wait(&flight, own).await else { return Course::Done };
            if own && let Some(trail) = flight.trail() {
                self.exchange.outcome.follows(trail);
            }
            let status = CacheStatus { forward: Some(why), collapsed: !own, ..CacheStatus::default() };
            match verdict {
                Verdict::Shared(entry) if own || self.may_share(&entry, &asked) => {
                    let same = base.as_ref().filter(|base| Arc::ptr_eq(&base.body, &entry.body));
                    let detail = same.map(|base| match Arc::ptr_eq(base, &entry) {
                        true => Detail::StaleIfError,
                        false => Detail::Revalidated,
                    });
                    let stored = same.is_none() && entry.body.is_kept();
                    return self.fetched(&entry, CacheStatus { stored, detail, ..status }).await;
                }
                Verdict::Own(entry, reason) if own => {
                    let detail = reason.map(Detail::NotStored);
                    return self.fetched(&entry, CacheStatus { detail, ..status }).await;
                }
                Verdict::Failed(refusal) => {
                    let served = |base: &&Arc<Entry>| base.parts.is_none() && self.store().may_serve_on_error(base);
                    if let Some(base) = base.as_ref().filter(served) {
                        return self.fetched(base, CacheStatus { detail: Some(Detail::StaleIfError), ..status }).await;
                    }
                    if let Some(failure) = refusal.failure {
                        self.exchange.outcome.asks(self.rule.pool);
                        self.exchange.outcome.target_failed(failure);
                    }
                    let strict = base.as_deref().is_some_and(|base| self.must_be_validated(base));
                    let status = if strict && refusal.failure.is_some() { 504 } else { refusal.status };
                    let refusal = Refusal { status, ..refusal };
                    self.exchange.answer(Reply::passed_on(refusal), false).await;
                    return Course::Done;
                }
                Verdict::Unknown => (alone, anew) = (true, true),
                // Those who wait with this one put the next question together.
                Verdict::Shared(entry) if self.store().purged(&entry) == Some(Purged::Hard) => {}
                // Another variant came. Those who want the same one as this request wait together.
                Verdict::Shared(entry) if vary.is_none() && !self.fits(&asked, &entry) => {
                    vary = Some(entry.vary.clone())
                }
                _ => alone = true,
            }
        }
        Course::Pass
    }

    /// Whether all is there of an answer that the request asks for.
    fn has(&self, entry: &Entry) -> bool {
        let Some(pieces) = &entry.parts else { return true };
        let Exchange { heads, text, .. } = &*self.exchange;
        let view = View { fields: &heads.request.fields, text };
        let range = Request::of(&view, cache::Honour::None).range;
        let wanted = range.and_then(cache::range::parse_ranges);
        let Some([wanted]) = wanted.as_deref() else { return false };
        pieces.parts.complete().is_some() && pieces.parts.span_of(*wanted).is_some_and(|span| pieces.parts.covers(span))
    }

    fn store(&self) -> &Arc<Store> {
        &self.caching.store
    }

    /// The variant that fits the request, and how it was purged.
    fn pick(&self, asked: &Asked, slot: &Slot) -> Option<(Arc<Entry>, Option<Purged>)> {
        let store = self.store();
        let mut wanted = Wanted::default();
        let fitting = slot.variants.iter().filter(|entry| self.fits_by(asked, entry, &mut wanted));
        let mut alive =
            fitting.map(|entry| (entry, store.purged(entry))).filter(|(_, purged)| *purged != Some(Purged::Hard));
        alive.next().map(|(entry, purged)| (entry.clone(), purged))
    }

    /// Whether an answer is one to this request, in everything that it varies on.
    fn fits(&self, asked: &Asked, entry: &Entry) -> bool {
        self.fits_by(asked, entry, &mut Wanted::default())
    }

    fn fits_by<'s>(&self, asked: &Asked, entry: &'s Entry, known: &mut Wanted<'s>) -> bool {
        if entry.vary.is_empty() {
            return true;
        }
        let Exchange { heads, text, .. } = &*self.exchange;
        let view = View { fields: &heads.request.fields, text };
        let seed = self.store().seed();
        let (own, by_language) = entry.variant;
        let wanted = || {
            let language = cache::favourite_language(&view)?;
            entry.vary.language_key(seed, asked.key, &view, language, &mut Vec::new())
        };
        known.of(&entry.vary, |vary| vary.key(seed, asked.key, &view, &mut Vec::new())) == own
            || by_language.is_some() && by_language == wanted()
    }

    fn use_of(&self, entry: &Entry, purged: Option<Purged>, control: &RequestDirectives) -> Use {
        self.store().freshness(entry, purged).verdict(entry.resident(), control)
    }

    /// The question to the origin that is known under a key, or a new one.
    fn take_off(&self, known_as: Key, asked: &Asked) -> (Arc<Flight>, bool) {
        let keys = &self.exchange.heads.keys;
        self.store().take_off(known_as, (asked.key, keys.host(), &keys.key))
    }

    /// Whether an answer that somebody else has asked for may be the answer: it came after this request.
    fn may_share(&self, entry: &Entry, asked: &Asked) -> bool {
        let purged = self.store().purged(entry) == Some(Purged::Hard);
        let verdict = entry.freshness.verdict(entry.resident(), &asked.control);
        let there = if asked.range { entry.body.is_kept() } else { entry.body.is_open() };
        there
            && !purged
            && self.fits(asked, entry)
            && !matches!(verdict, Use::Validate(Need::NoCache | Need::Request) | Use::Forbidden)
    }

    /// Whether nothing else than a validation makes it an answer: where the origin cannot be asked, that is the client's 504
    /// (RFC 9111 §5.2.2.2).
    fn must_be_validated(&self, entry: &Entry) -> bool {
        let lines = Lines(entry.lines());
        let control = Response::of(entry.status, &lines, &self.caching.rules).control;
        control.must_revalidate || control.proxy_revalidate || control.s_maxage.is_some() || control.no_cache
    }

    /// Asks the origin, or finds who does. Returns whether this request is the one that does. `vary`: what the answer is known to
    /// vary on, of which nothing is stored.
    fn put(
        &mut self,
        asked: &Asked,
        base: Option<Arc<Entry>>,
        vary: Option<&Vary>,
        alone: bool,
    ) -> (Arc<Flight>, bool) {
        let own = || (Arc::<Flight>::default(), true);
        // What a client wants a part of is not what others wait for, unless all of it is stored and to be validated.
        let whole = |base: &Arc<Entry>| base.parts.is_none() && base.freshness.has_validator();
        let part = asked.range && !base.as_ref().is_some_and(whole);
        let apart = alone || part;
        let known_as = (!apart).then(|| self.flight_key(asked, base.as_deref(), vary));
        let (flight, new) = known_as.map_or_else(own, |key| self.take_off(key, asked));
        if new
            && let Some(key) = known_as
            && let Some(entry) = self.arrived(asked, base.as_ref())
        {
            flight.conclude(Verdict::Shared(entry));
            self.store().land(key, &flight);
            return (flight, false);
        }
        if new {
            let filler = Filler::new(
                self.caching.clone(),
                (asked.key, self.exchange.heads.keys.subject()),
                (flight.clone(), known_as),
                base.filter(|_| !part),
                self.birth,
            );
            let mut lines = Vec::new();
            let with = match &filler.base {
                Some(base) => {
                    self.write_conditions(base, &mut lines);
                    With::Lines(&lines)
                }
                None if part => With::Range,
                None => With::Nothing,
            };
            let question = self.question(with);
            filler.ask(question);
        }
        (flight, new)
    }

    /// What another question has brought between the look at the store and that at the questions.
    fn arrived(&self, asked: &Asked, base: Option<&Arc<Entry>>) -> Option<Arc<Entry>> {
        let slot = self.store().find(asked.key)?;
        let (entry, purged) = self.pick(asked, &slot)?;
        let is_new = base.is_none_or(|base| !Arc::ptr_eq(base, &entry));
        let fresh = is_new && self.has(&entry) && matches!(self.use_of(&entry, purged, &asked.control), Use::Fresh);
        fresh.then_some(entry)
    }

    /// Under what others find the question: for what varies, by what it varies on.
    fn flight_key(&self, asked: &Asked, base: Option<&Entry>, known: Option<&Vary>) -> Key {
        let slot = self.store().find(asked.key);
        let stored = base.or_else(|| slot.as_ref()?.variants.first().map(|entry| &**entry));
        let vary = stored.map(|entry| &entry.vary).or(known);
        let Some(vary) = vary.filter(|vary| !vary.is_empty()) else { return asked.key };
        let Exchange { heads, text, .. } = &*self.exchange;
        let view = View { fields: &heads.request.fields, text };
        vary.key(self.store().seed(), asked.key, &view, &mut Vec::new())
    }

    /// What goes to the origin.
    fn question(&self, with: With<'_>) -> Question {
        let Exchange { connection, heads, text, .. } = &*self.exchange;
        let mut question = Lease::with_room(text.len() + 512);
        ask::write(&heads.request, text, &self.caching.key, with, question.buffer());
        Question {
            apart: Apart::of(connection),
            rule: self.rule.clone(),
            path: self.path,
            who: heads.who.clone(),
            normal: if self.path.plain { Vec::new() } else { heads.path.clone() },
            text: question,
        }
    }

    /// Writes the lines that validate what is stored, or ask for what of it is missing.
    fn write_conditions(&self, base: &Entry, lines: &mut Vec<u8>) {
        let stored = Lines(base.lines());
        let stored = Response::of(base.status, &stored, &self.caching.rules);
        let Some(pieces) = &base.parts else { return validation::write_conditions(&stored, lines) };
        let (Some(length), Some(tag)) = (pieces.parts.complete(), stored.etag.filter(|tag| etag::is_strong(tag)))
        else {
            return;
        };
        if let Some(missing) = pieces.parts.missing(Span::new(0, length)) {
            lines.extend_from_slice(b"Range: ");
            cache::range::write_range(missing, Some(length), lines);
            lines.extend_from_slice(b"\r\nIf-Range: ");
            lines.extend_from_slice(tag);
            lines.extend_from_slice(b"\r\n");
        }
    }

    /// Has a stale answer validated, beside.
    fn refresh(&mut self, asked: &Asked, entry: &Arc<Entry>) {
        let key = self.flight_key(asked, Some(entry), None);
        let (flight, new) = self.take_off(key, asked);
        if new {
            let filler = Filler::new(
                self.caching.clone(),
                (asked.key, self.exchange.heads.keys.subject()),
                (flight, Some(key)),
                Some(entry.clone()),
                self.birth,
            );
            let mut lines = Vec::new();
            self.write_conditions(entry, &mut lines);
            let question = self.question(With::Lines(&lines));
            filler.ask(question);
        }
    }

    /// Waits until a question is answered; who put it passes interim answers on. `None`: the client has left.
    async fn wait(&mut self, flight: &Arc<Flight>, own: bool) -> Option<Verdict> {
        self.exchange.outcome.waits();
        let client = self.exchange.connection.client;
        client.set_deadline(None);
        let (mut told, mut watched) = (0, true);
        loop {
            if own && let Some(text) = flight.interim(told) {
                told += 1;
                self.exchange.interim(&text).await?;
                continue;
            }
            if let Some(verdict) = flight.verdict() {
                return Some(verdict.clone());
            }
            let callee = match flight.wait(if own { told } else { usize::MAX }) {
                Ok(Some(callee)) => callee,
                Ok(None) => continue,
                Err(_) => return Some(Verdict::Failed(Reply::failure(Failure::Internal).as_refusal())),
            };
            let waited = match watched {
                true => race(callee, client.closed()).await,
                false => {
                    callee.await;
                    continue;
                }
            };
            match waited {
                Either::Left(()) => {}
                Either::Right(true) => {
                    self.exchange.keep_alive = false;
                    self.exchange.outcome.client_left();
                    return None;
                }
                Either::Right(false) => watched = false,
            }
        }
    }

    /// Gives a stored answer.
    async fn hit(&mut self, entry: &Arc<Entry>, detail: Option<Detail>) -> Course {
        let resident = entry.resident();
        let ttl = Some(entry.freshness.ttl(resident));
        self.exchange.outcome.cached();
        match detail {
            Some(Detail::StaleWhileRevalidate) => self.exchange.outcome.looked_up(Word::StaleRevalidating),
            Some(_) => self.exchange.outcome.looked_up(Word::StaleAllowed),
            None => {}
        }
        let age = Some(u64::from(entry.freshness.age_seconds(resident)));
        self.give(entry, age, CacheStatus { hit: true, ttl, detail, ..CacheStatus::default() }).await
    }

    /// Gives an answer that was asked for.
    async fn fetched(&mut self, entry: &Arc<Entry>, status: CacheStatus) -> Course {
        let age = u64::from(entry.freshness.age_seconds(entry.resident()));
        let forward_status = match status.detail {
            Some(Detail::Revalidated) => Some(304),
            Some(Detail::StaleIfError) => None,
            _ => Some(entry.status),
        };
        let how = match status.detail {
            Some(Detail::StaleIfError) => Some(Word::StaleOnError),
            _ if status.collapsed => Some(Word::Collapsed),
            Some(Detail::Revalidated) => Some(Word::Revalidated),
            _ => None,
        };
        how.into_iter().for_each(|how| self.exchange.outcome.looked_up(how));
        self.exchange.outcome.asks(self.rule.pool);
        let status = CacheStatus { forward_status, ..status };
        self.give(entry, (age > 0).then_some(age), status).await
    }

    async fn give(&mut self, entry: &Arc<Entry>, age: Option<u64>, status: CacheStatus) -> Course {
        let mut said = Vec::new();
        if self.caching.status_header {
            status.write("Ringway", &mut said);
        }
        let edited = self.rule.edits.is_some();
        let (caching, path) = (self.caching, self.path);
        let compress = self.rule.compress.as_deref();
        let recoder = compress.map(|rule| {
            let key = key_of(self.exchange, caching, path);
            Recoder { rule, store: Some((&caching.store, key)) }
        });
        let bodies = self.rule.bodies.as_deref().filter(|_| self.rule.edits_answers());
        let given = Given { age, status: &said, edited, bodies, recoder, silence: self.silence() };
        let mut behind = deliver(self.exchange, entry, &given).await;
        while let Some(sending) = behind {
            // Rarer than a client that keeps up, and larger.
            behind = Box::pin(self.catch_up(entry, sending)).await;
        }
        Course::Done
    }

    /// Asks for what a client still lacks that was too slow for what all get, and goes on with that (RFC 9110 §14.2). Returns it if it was
    /// too slow again.
    async fn catch_up(&mut self, entry: &Arc<Entry>, mut sending: Sending) -> Option<Sending> {
        let rules = &self.caching.rules;
        let lines = Lines(entry.lines());
        let stored = Response::of(entry.status, &lines, rules);
        let tag = stored.etag.filter(|tag| etag::is_strong(tag));
        let Some(tag) = tag else { return sending.give_up(self.exchange) };
        // Of what comes in chunks nobody knows the length: all that there is is wanted then.
        let (missing, length) = (sending.missing(), entry.length());
        let mut wanted = b"Range: ".to_vec();
        cache::range::write_range(missing, Some(length.unwrap_or(missing.end)), &mut wanted);
        wanted.extend_from_slice(b"\r\nIf-Range: ");
        wanted.extend_from_slice(tag);
        wanted.extend_from_slice(b"\r\n");
        let (key, flight) = (key_of(self.exchange, self.caching, self.path), Arc::<Flight>::default());
        let subject = self.exchange.heads.keys.subject();
        let filler = Filler::new(self.caching.clone(), (key, subject), (flight.clone(), None), None, None);
        filler.ask(self.question(With::Lines(&wanted)));
        // Interim answers are of no use in the middle of one.
        let verdict = self.wait(&flight, false).await?;
        let (Verdict::Own(rest, _) | Verdict::Shared(rest)) = verdict else { return sending.give_up(self.exchange) };
        let told = Lines(rest.lines());
        let told = Response::of(rest.status, &told, rules);
        let span = told.content_range.and_then(cache::range::ContentRange::parse);
        let fits = rest.status == 206
            && told.etag.is_some_and(|other| etag::is_same_strongly(tag, other))
            && span.is_some_and(|range| match length {
                Some(length) => range.span == missing && range.complete == Some(length),
                None => range.span.start == missing.start && range.complete == Some(range.span.end),
            });
        if !fits {
            return sending.give_up(self.exchange);
        }
        sending.goes_on(rest.body.clone());
        sending.rest(self.exchange, self.silence()).await
    }

    /// How long nothing may come of an answer that comes in: its filler gives up before.
    fn silence(&self) -> Duration {
        self.exchange.connection.era.pools[self.rule.pool].pool().timeouts.response_idle + Duration::from_secs(5)
    }
}
