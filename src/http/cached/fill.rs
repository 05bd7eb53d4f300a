//! A question to the origin that nobody's connection carries: what is asked in a client's place, and what becomes of the answer.
//!
//! What always holds: it goes on when its client leaves, for as long as it is of use; its verdict comes, however it ends, also by
//! a panic; what is stored is whole, and was asked for after whatever made it stale.

use super::Subject;
use super::view::{View, push_line, write_status};
use crate::cache::disk::Writer;
use crate::cache::range::{ContentRange, Span};
use crate::cache::store::body::{Body, Segment};
use crate::cache::store::entry::Entry;
use crate::cache::store::figures::{Count, Figures, Unkept};
use crate::cache::store::flight::{Flight, Refusal, Verdict};
use crate::cache::store::{Incoming, Key, pieces::Pieces, purge::Purged};
use crate::cache::{self, Fields, Freshness, Lines, Method, Request, Response, Tags, Times, Vary};
use crate::cache::{etag, key, validation};
use crate::gateway::Who;
use crate::http::apart::{Apart, Silent, read_again};
use crate::http::connection::{keep_heads, take_heads};
use crate::http::exchange::Exchange;
use crate::http::forward::{self, Path};
use crate::http::h1::Framing;
use crate::http::head::Name;
use crate::http::outcome::Outcome;
use crate::http::reply::Reply;
use crate::http::taker::Taker;
use crate::net::{self, Lease, coarse_now};
use crate::observe::reason::Failure;
use crate::plan::{self, Caching};
use crate::tls::Channel;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What is to be asked, by whose settings, and for whom.
pub(super) struct Question {
    pub(super) apart: Apart,
    pub(super) rule: Arc<plan::Forward>,
    pub(super) path: Path,
    pub(super) who: Who,
    /// The normal path, where the raw one is not.
    pub(super) normal: Vec<u8>,
    /// The whole head.
    pub(super) text: Lease,
}

/// Where the answer goes.
pub(in crate::http) struct Filler {
    pub(super) caching: Arc<Caching>,
    pub(super) key: Key,
    pub(super) subject: Subject,
    pub(super) flight: Arc<Flight>,
    /// Under which key others find it; `None`: nobody else waits for it.
    pub(super) known_as: Option<Key>,
    /// What it validates.
    pub(super) base: Option<Arc<Entry>>,
    /// Since when the disk has what its answers vary on, if it has.
    birth: Option<u64>,
    /// What had been purged, and forgotten, when it was asked.
    pub(super) stamp: u64,
    pub(super) forgotten: u64,
    sent: Cell<u64>,
    state: RefCell<State>,
}

enum State {
    /// The head is still to come.
    Waiting,
    /// Content is on its way into a body.
    Filling {
        entry: Arc<Entry>,
        /// Counts it as it comes; `None`: it is not kept.
        incoming: Option<Incoming>,
        /// Which part of a content it is, if it is one.
        part: Option<ContentRange>,
        /// What is known already of what comes behind it.
        after: Vec<Segment>,
        /// Writes it to the disk.
        writer: Option<Writer>,
    },
    /// What comes is of no use.
    Discarding(usize),
    /// It is over.
    Over,
}

/// What is kept around the furthest reader of content that is too large to be stored, or must not be.
pub(super) const WINDOW: u64 = 1 << 20;
/// How long nobody waits for another's answer after one that was for its asker alone.
const LONELY: Duration = Duration::from_secs(10);
/// How long content that goes through a window waits for somebody to read it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Content of no use that is read so that its connection can be used again.
const DISCARDED: usize = 64 << 10;

/// Milliseconds of the wall clock since 1970.
pub(super) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Filler {
    pub(super) fn new(
        caching: Arc<Caching>,
        (key, subject): (Key, Subject),
        (flight, known_as): (Arc<Flight>, Option<Key>),
        base: Option<Arc<Entry>>,
        birth: Option<u64>,
    ) -> Self {
        let (stamp, forgotten) = (caching.store.purges.ask(), caching.store.forgotten(key));
        caching.store.figures.asking.add(1);
        // What was purged in the meantime is not to be validated.
        let base = base.filter(|base| caching.store.purged(base) != Some(Purged::Hard));
        let (sent, state) = (Cell::new(0), RefCell::new(State::Waiting));
        Self { caching, key, subject, flight, known_as, base, birth, stamp, forgotten, sent, state }
    }

    /// Asks, on a task of its own.
    pub(super) fn ask(self, question: Question) {
        net::spawn("cache fill", async move {
            let filler = self;
            filler.run(question).await;
        });
    }

    async fn run(&self, question: Question) {
        let Question { apart, rule, path, who, normal, text } = question;
        let Some(connection) = apart.connection(Channel::Multiplexed(self)) else { return };
        let mut heads = take_heads();
        let Some(incoming) = read_again(&text, &mut heads.request) else { return keep_heads(heads) };
        (heads.path, heads.who) = (normal, who);
        self.sent.set(wall());
        let mut exchange = Exchange::begin(connection, &mut heads);
        (exchange.text, exchange.outcome) = (text, Outcome::told(&connection));
        exchange.taker = Some(Taker::Cache(self));
        forward::forward(&mut exchange, &rule, path, &incoming, Lease::empty()).await;
        drop(exchange);
        heads.clear();
        keep_heads(heads);
    }

    /// The head of the answer has come.
    pub(in crate::http) fn begin(&self, exchange: &Exchange<'_>, text: &[u8], framing: Framing) {
        self.flight.note(exchange.outcome.trail());
        let (request_head, head) = (&exchange.heads.request, &exchange.heads.response);
        let view = View { fields: &head.fields, text };
        let asked = View { fields: &request_head.fields, text: &exchange.text };
        let rules = &self.caching.rules;
        let mut request = Request::of(&asked, rules.honour);
        request.authorization |= self.caching.identified;
        let times = Times { sent: self.sent.get(), received: wall() };
        let response = Response::of(head.status, &view, rules);
        if let Some(base) = &self.base {
            let lines = Lines(base.lines());
            if head.status == 304 {
                self.state.replace(State::Over);
                let selected = validation::selects(&Response::of(base.status, &lines, rules), &response);
                let verdict = match selected {
                    true => self.validated(base, &view, &response, times),
                    false => Verdict::Unknown,
                };
                self.land();
                return self.conclude(verdict);
            }
            if cache::is_failure(head.status) && base.parts.is_none() && self.caching.store.may_serve_on_error(base) {
                self.state.replace(State::Discarding(0));
                return self.conclude(Verdict::Shared(base.clone()));
            }
        }
        if head.status == 304 {
            // Nobody has asked whether anything was changed.
            self.state.replace(State::Over);
            let refusal = Refusal { status: 502, failure: Some(Failure::BadResponse), retry_after: 0 };
            self.land();
            return self.conclude(Verdict::Failed(refusal));
        }
        let judged = cache::judge(Method::Get, &request, &response, rules, times);
        let vary = Vary::of(&view);
        let part = response.content_range.and_then(ContentRange::parse).filter(|_| head.status == 206);
        let resumed = part.and_then(|part| self.resumes(&response, &part));
        let declared = match framing {
            _ if resumed.is_some() => part.and_then(|part| part.complete),
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let (mut status, mut lines) = (head.status, Vec::with_capacity(text.len() + 64));
        match &resumed {
            Some(base) => {
                status = base.status;
                lines.extend_from_slice(base.status_line());
                let dropped = cache::Dropped::of(&response, &view, rules);
                validation::merge(&Lines(base.lines()), &view, &dropped, &mut lines);
            }
            None => self.write_head(exchange, &view, &response, &mut lines),
        }
        let store = &self.caching.store;
        let body = Arc::new(Body::default());
        let mut scratch = Vec::new();
        let vary_of = vary.clone().unwrap_or_default();
        let key_of = |vary: &Vary, scratch: &mut Vec<u8>| match vary.is_empty() {
            true => (0, None),
            false => {
                let language = response.content_language.unwrap_or_default();
                let own = vary.key(store.seed(), self.key, &asked, scratch);
                (own, vary.language_key(store.seed(), self.key, &asked, language, scratch))
            }
        };
        let entry = Arc::new(Entry {
            status,
            head: lines.into_boxed_slice(),
            freshness: judged.unwrap_or_else(|_| Freshness::of(&request, &response, rules, times)),
            variant: key_of(&vary_of, &mut scratch),
            vary: vary_of,
            tags: self.tags(&view),
            key: self.subject.0.clone(),
            host: self.subject.1,
            stamp: self.stamp.into(),
            received: (coarse_now(), 0),
            length: declared,
            body: body.clone(),
            parts: None,
            coded: Default::default(),
        });
        let storable = judged.is_ok() && vary.is_some();
        let fits = declared.is_none_or(|length| length <= store.largest());
        let incoming = (storable && fits).then(|| store.incoming(declared)).flatten();
        let (kept, whole) = (incoming.is_some(), part.is_none() || resumed.is_some());
        let mut writer = if storable && whole { store.write(self.key, &entry, self.birth) } else { None };
        if incoming.is_none() {
            self.unkept(judged.err().map_or(Unkept::TooLarge, Unkept::Rules));
            body.slide(WINDOW);
        }
        // Who falls behind in what is not kept can go on only if it is known to be the same: others do not share it.
        let shared = kept || declared.is_some() && response.etag.is_some_and(etag::is_strong);
        let after = match (&resumed, part) {
            (Some(base), Some(part)) => self.resume(base, &part, &body, &mut writer),
            _ => Vec::new(),
        };
        let part = part.filter(|_| !whole);
        self.state.replace(State::Filling { entry: entry.clone(), incoming, part, after, writer });
        // Those who wait with this one would all ask an origin that fails.
        let told = vary.is_some()
            && cache::is_failure(head.status)
            && matches!(judged, Err(cache::Why::NoFreshness | cache::Why::Stale))
            && declared.is_some_and(|length| length <= WINDOW);
        if whole && (storable && shared || told) {
            self.conclude(Verdict::Shared(entry));
            if !kept {
                // Its beginning is soon gone: who comes now asks for itself.
                self.land();
            }
            return;
        }
        if judged.err().map_or(whole, cache::Why::is_lasting) {
            store.be_lonely(self.key, coarse_now() + LONELY);
        }
        self.conclude(Verdict::Own(entry, judged.err()));
        self.land();
    }

    /// Writes the head of an answer as it is stored.
    fn write_head(&self, exchange: &Exchange<'_>, view: &View<'_>, response: &Response<'_>, out: &mut Vec<u8>) {
        let head = &exchange.heads.response;
        write_status(head.status, head.reason.of(view.text), out);
        let dropped = cache::Dropped::of(response, view, &self.caching.rules);
        for field in &head.fields {
            let name = field.name.of(view.text);
            if field.kind != Name::ContentLength && !dropped.has(name) {
                push_line(out, name, field.value.of(view.text));
            }
        }
        if head.find(Name::Date).is_none() {
            exchange.connection.lane.with_date(|date| push_line(out, b"Date", date.as_bytes()));
        }
    }

    /// By what an answer can be purged.
    fn tags(&self, view: &View<'_>) -> Box<[u64]> {
        let uri = key::uri(&self.subject.0);
        let scheme = &uri[..memchr::memmem::find(uri, b"://").unwrap_or(0)];
        Tags::of(view, scheme, &self.subject.2).hashes.into_vec().into_boxed_slice()
    }

    /// What a part completes, if it does.
    fn resumes(&self, response: &Response<'_>, part: &ContentRange) -> Option<&Arc<Entry>> {
        let base = self.base.as_ref()?;
        let pieces = base.parts.as_ref()?;
        let lines = Lines(base.lines());
        let stored = Response::of(base.status, &lines, &self.caching.rules);
        let missing = pieces.parts.missing(Span::new(0, pieces.parts.complete()?))?;
        (missing == part.span && cache::may_combine(&stored, &pieces.parts, response, part)).then_some(base)
    }

    /// Begins a body with what is there before a part. Returns what is there behind it.
    fn resume(&self, base: &Entry, part: &ContentRange, body: &Body, writer: &mut Option<Writer>) -> Vec<Segment> {
        let (Some(pieces), Some(length)) = (&base.parts, part.complete) else { return Vec::new() };
        for segment in pieces.read(Span::new(0, part.span.start)) {
            if writer.as_mut().is_some_and(|writer| writer.write(segment.clone()).is_err()) {
                *writer = None;
            }
            body.append(segment);
        }
        pieces.read(Span::new(part.span.end, length))
    }

    /// What was stored, as an answer of 304 says that it still is (RFC 9111 §4.3.4).
    fn validated(&self, base: &Entry, update: &View<'_>, brought: &Response<'_>, times: Times) -> Verdict {
        let rules = &self.caching.rules;
        let mut head = Vec::with_capacity(base.head.len() + update.text.len());
        head.extend_from_slice(base.status_line());
        let dropped = cache::Dropped::of(brought, update, rules);
        validation::merge(&Lines(base.lines()), update, &dropped, &mut head);
        let lines = Lines(&head[base.status_line().len()..]);
        let merged = Response::of(base.status, &lines, rules);
        let judged = validation::freshened(merged, brought, rules, times);
        // The variant's key would be another.
        let varies = Vary::of(&lines).as_ref() != Some(&base.vary);
        let entry = Arc::new(Entry {
            status: base.status,
            freshness: judged.unwrap_or(base.freshness),
            vary: base.vary.clone(),
            variant: base.variant,
            tags: base.tags.clone(),
            key: base.key.clone(),
            host: base.host,
            stamp: self.stamp.into(),
            received: (coarse_now(), 0),
            length: base.length,
            body: base.body.clone(),
            parts: base.parts.clone(),
            coded: base.coded.clone(),
            head: head.into_boxed_slice(),
        });
        match judged {
            Ok(_) if !varies => {
                self.keep(&entry, |figures| &figures.validated);
                self.caching.store.rewrite(self.key, &entry);
                Verdict::Shared(entry)
            }
            judged => {
                self.caching.store.drop_entry(self.key, self.base.as_ref().unwrap_or(&entry));
                Verdict::Own(entry, judged.err())
            }
        }
    }

    /// Content has come. Returns whether more is of use.
    pub(in crate::http) async fn take(&self, content: Lease) -> bool {
        if content.is_empty() {
            return true;
        }
        let body = {
            let mut state = self.state.borrow_mut();
            match &mut *state {
                State::Filling { entry, incoming, writer, .. } => {
                    let length = entry.body.received() + content.len() as u64;
                    let largest = self.caching.store.largest();
                    let fits = |incoming: &mut Incoming| length <= largest && incoming.reach(length);
                    if incoming.as_mut().is_some_and(|incoming| !fits(incoming)) {
                        let too_large = length > largest;
                        self.unkept(if too_large { Unkept::TooLarge } else { Unkept::NoRoom });
                        *incoming = None;
                        entry.body.slide(WINDOW);
                        self.land();
                    }
                    let segment = Segment::from(&content[..]);
                    // What the disk does not take is counted there.
                    if writer.as_mut().is_some_and(|writer| writer.write(segment.clone()).is_err()) {
                        *writer = None;
                    }
                    entry.body.append(segment);
                    entry.body.clone()
                }
                State::Discarding(read) => {
                    *read += content.len();
                    return *read <= DISCARDED;
                }
                State::Waiting | State::Over => return false,
            }
        };
        while let Ok(Some(callee)) = body.ahead() {
            if net::timeout(PATIENCE, callee).await.is_none() && !body.has_readers() {
                return false;
            }
        }
        body.is_wanted() || self.is_written()
    }

    /// Whether it goes to the disk.
    fn is_written(&self) -> bool {
        matches!(&*self.state.borrow(), State::Filling { writer: Some(_), .. })
    }

    /// The answer is complete. `trailers` are whole lines.
    pub(in crate::http) fn end(&self, trailers: &[u8]) {
        if let State::Filling { entry, incoming, part, after, writer } = self.state.replace(State::Over) {
            let mut writer = writer;
            for segment in after {
                if writer.as_mut().is_some_and(|writer| writer.write(segment.clone()).is_err()) {
                    writer = None;
                }
                entry.body.append(segment);
            }
            entry.body.finish(trailers);
            // Trailers have no place on the disk.
            if let Some(writer) = writer.filter(|_| trailers.is_empty() && self.is_current()) {
                // What the disk does not take is counted there.
                let _ = writer.finish();
            }
            match part {
                _ if incoming.is_none() => {}
                None => self.keep(&entry, |figures| &figures.stored),
                Some(part) => self.keep_part(&entry, &part),
            }
        }
        self.land();
    }

    /// Stores an answer, unless what it answers has been changed since it was asked for. `as_what` counts it.
    fn keep(&self, entry: &Arc<Entry>, as_what: impl Fn(&Figures) -> &Count) {
        let store = &self.caching.store;
        let base = self.base.as_ref();
        let replaces = |old: &Entry| {
            old.variant == entry.variant && old.vary == entry.vary
                || base.is_some_and(|base| Arc::ptr_eq(&base.body, &old.body))
        };
        let alive = store.purged(entry) != Some(Purged::Hard);
        match alive && store.insert(self.key, self.forgotten, entry.clone(), replaces) {
            true => as_what(&store.figures).add(1),
            false => self.unkept(Unkept::Changed),
        }
    }

    fn unkept(&self, why: Unkept) {
        self.caching.store.figures.not_stored(why);
    }

    /// Whether what it answers has not been changed since it was asked for.
    fn is_current(&self) -> bool {
        self.caching.store.forgotten(self.key) == self.forgotten
    }

    /// Stores a part with those that are there already of the same content (RFC 9111 §3.4).
    fn keep_part(&self, entry: &Entry, part: &ContentRange) {
        let Some(segments) = entry.body.segments() else { return };
        let rules = &self.caching.rules;
        let lines = Lines(entry.lines());
        let new = Response::of(entry.status, &lines, rules);
        let known = self.caching.store.find(self.key);
        let same = |old: &&Arc<Entry>| {
            let lines = Lines(old.lines());
            let stored = Response::of(old.status, &lines, rules);
            old.variant == entry.variant
                && self.caching.store.purged(old) != Some(Purged::Hard)
                && old.parts.as_ref().is_some_and(|pieces| cache::may_combine(&stored, &pieces.parts, &new, part))
        };
        let before = known.as_ref().and_then(|slot| slot.variants.iter().find(same));
        let mut pieces = match before.and_then(|before| before.parts.clone()) {
            Some(pieces) => pieces,
            None => Pieces::new(part.complete),
        };
        if !pieces.add(part.span.start, segments) {
            return;
        }
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        for (name, value) in lines.lines().filter(|(name, _)| !name.eq_ignore_ascii_case(b"content-range")) {
            push_line(&mut head, name, value);
        }
        let (body, parts) = match pieces.parts.complete().filter(|_| pieces.parts.is_complete()) {
            Some(length) => (Body::complete(pieces.read(Span::new(0, length))), None),
            None => (Body::complete(Vec::new()), Some(pieces)),
        };
        let entry = Arc::new(Entry {
            status: 200,
            head: head.into_boxed_slice(),
            freshness: entry.freshness,
            vary: entry.vary.clone(),
            variant: entry.variant,
            tags: entry.tags.clone(),
            key: entry.key.clone(),
            host: entry.host,
            stamp: entry.stamp.known().into(),
            received: entry.received,
            length: part.complete,
            body: Arc::new(body),
            parts,
            coded: Default::default(),
        });
        self.keep(&entry, |figures| &figures.stored);
    }

    /// There is no answer.
    pub(in crate::http) fn refused(&self, reply: &Reply, outcome: &Outcome) {
        self.flight.note(outcome.trail());
        self.conclude(Verdict::Failed(reply.as_refusal()));
    }

    fn conclude(&self, verdict: Verdict) {
        self.flight.conclude(verdict);
    }

    /// The next one who asks for the same begins anew.
    fn land(&self) {
        if let Some(key) = self.known_as {
            self.caching.store.land(key, &self.flight);
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        if let State::Filling { entry, incoming, .. } = self.state.replace(State::Over) {
            entry.body.fail();
            incoming.iter().for_each(|_| self.unkept(Unkept::Incomplete));
        }
        self.land();
        self.conclude(Verdict::Failed(Refusal { status: 500, failure: Some(Failure::Internal), retry_after: 0 }));
        self.caching.store.purges.asked(self.stamp);
        self.caching.store.figures.asking.sub(1);
    }
}

/// Final answers go elsewhere: what its client would hear of are interim ones.
impl Silent for Filler {
    fn hears(&self, text: &Lease) {
        self.flight.tell(text);
    }
}
