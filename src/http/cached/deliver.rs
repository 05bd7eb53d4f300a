//! A stored answer on its way to a client, be it complete or still coming in.
//!
//! What always holds: what is sent is one answer from its first byte to its last, and what breaks off is never made to look
//! complete.

use super::batch::Batch;
use super::coded::Recoder;
use super::edited::Stored;
use super::view::View;
use crate::cache::multipart::Boundary;
use crate::cache::range::{self, ContentRange, Ranged, Span};
use crate::cache::store::body::{Body, Piece, Reader, Segment};
use crate::cache::store::entry::Entry;
use crate::cache::{self, Fields, Honour, Lines, Outcome, Validators};
use crate::http::connection::Connection;
use crate::http::edit;
use crate::http::exchange::Exchange;
use crate::http::h1::{self, Backward, Framing, Limits, Parsed, Question, Scan};
use crate::http::head::{Method, Version};
use crate::http::reply::Reply;
use crate::http::transfer::{INLINE, push_content, push_end, send_content};
use crate::net::{Either, Lease, race, timeout};
use crate::observe::reason::Failure;
use crate::plan::Bodies;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How an answer is given.
pub(super) struct Given<'a> {
    /// Its age in seconds; `None`: it is not said.
    pub(super) age: Option<u64>,
    /// The value of Cache-Status; empty: it is not said.
    pub(super) status: &'a [u8],
    /// Whether the route edits the heads of answers.
    pub(super) edited: bool,
    /// What rules edit in bodies of answers, if they do.
    pub(super) bodies: Option<&'a Bodies>,
    /// By what it is recoded for clients.
    pub(super) recoder: Option<Recoder<'a>>,
    /// How long nothing may come of one that comes in.
    pub(super) silence: Duration,
}

/// What of it is given.
enum Part {
    Whole,
    /// Nothing but its head.
    NotModified,
    /// One part, of a content of this length.
    One(Span, u64),
    /// Several parts, each with a head of its own.
    Several(Arc<Body>, Boundary),
}

/// Sends a stored answer. Returns what is left of it, where that has slid out of the window.
pub(super) async fn deliver(exchange: &mut Exchange<'_>, entry: &Arc<Entry>, given: &Given<'_>) -> Option<Sending> {
    let part = match part_of(exchange, entry) {
        Ok(part) => part,
        Err(reply) => {
            exchange.answer(reply, false).await;
            return None;
        }
    };
    let Connection { client, listener, .. } = exchange.connection;
    let is_head = exchange.heads.request.method == Method::Head;
    let mut content = content_of(exchange, entry, &part);
    if is_head || has_no_content(entry.status) {
        content.framing = Framing::None;
    }
    let mut out = Lease::with_room(entry.head.len() + 512);
    let begun = match write_head(exchange, entry, given, &part, &mut content, &mut out) {
        Ok(()) => Sending::begin(content, &mut out).ok_or(Failure::Internal),
        Err(failure) => Err(failure),
    };
    let mut sending = match begun {
        Ok(sending) => sending,
        Err(failure) => {
            exchange.outcome.target_failed(failure);
            exchange.answer(Reply::failure(failure), false).await;
            return None;
        }
    };
    exchange.outcome.answers_with(exchange.connection.era, &out);
    let head = memchr::memmem::find(&out, b"\r\n\r\n").map_or(out.len(), |end| end + 4);
    let batch = if sending.is_ended() { Batch::default() } else { sending.begun() };
    exchange.outcome.body_out += (out.len() - head + batch.length()) as u64;
    exchange.outcome.bytes_out += (out.len() + batch.length()) as u64;
    if let Err(error) = batch.send(client, out, listener.timeouts.write_stall).await {
        exchange.gone(&error);
        return None;
    }
    if sending.is_ended() {
        return None;
    }
    // Rarer than an answer that fits behind its head, and larger.
    Box::pin(sending.rest(exchange, given.silence)).await
}

/// What of a stored answer a request asks for. `Err`: nothing of it.
fn part_of(exchange: &Exchange<'_>, entry: &Entry) -> Result<Part, Reply> {
    let head = &exchange.heads.request;
    let view = View { fields: &head.fields, text: &exchange.text };
    let request = cache::Request::of(&view, Honour::None);
    let conditional = request.conditions.ask_for_change() || request.conditions.are_for_origin();
    if entry.status != 200 || !conditional && request.range.is_none() {
        return Ok(Part::Whole);
    }
    let lines = Lines(entry.lines());
    let stored = Validators {
        etag: lines.first(b"etag"),
        last_modified: lines.first(b"last-modified"),
        date: lines.first(b"date").and_then(cache::parse_date).unwrap_or(entry.freshness.received / 1000),
    };
    match request.conditions.evaluate(&stored) {
        Outcome::NotModified => return Ok(Part::NotModified),
        Outcome::Failed => return Err(Reply::bare(412)),
        Outcome::Proceed => {}
    }
    let (Some(range), Some(length), Method::Get) = (request.range, entry.length(), head.method) else {
        return Ok(Part::Whole);
    };
    if !request.conditions.allow_range(&stored) {
        return Ok(Part::Whole);
    }
    Ok(match range::resolve(range, length) {
        Ranged::Whole => Part::Whole,
        Ranged::One(span) => Part::One(span, length),
        Ranged::Several(spans) => several(entry, &spans, length, lines.first(b"content-type")),
        Ranged::Unsatisfiable => return Err(Reply::unsatisfiable(length)),
    })
}

/// Several parts; the whole of what is not all there yet.
fn several(entry: &Entry, spans: &[Span], length: u64, content_type: Option<&[u8]>) -> Part {
    let Some(segments) = entry.body.segments() else { return Part::Whole };
    let boundary = Boundary::new(fastrand::u128(..));
    let mut pieces: Vec<Segment> = Vec::new();
    for span in spans {
        let mut head = Vec::new();
        boundary.write_head(*span, length, content_type, &mut head);
        pieces.push(head.into());
        pieces.extend(cut(segments, *span));
    }
    let mut end = Vec::new();
    boundary.write_end(&mut end);
    pieces.push(end.into());
    Part::Several(Arc::new(Body::complete(pieces)), boundary)
}

/// The bytes of a span.
fn cut(segments: &[Segment], span: Span) -> impl Iterator<Item = Segment> {
    let mut at = 0;
    segments.iter().filter_map(move |segment| {
        let start = at;
        at += segment.len() as u64;
        let (from, to) = (span.start.max(start), span.end.min(at));
        let place = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
        (from < to).then(|| Segment::from(&segment[place(from)..place(to)]))
    })
}

/// What is sent behind a head.
pub(super) struct Content {
    body: Arc<Body>,
    /// What of it.
    span: Span,
    pub(super) framing: Framing,
    /// Whether it is other bytes than the origin's, who cannot be asked for a part of it then.
    pub(super) recoded: bool,
}

impl Content {
    fn new(body: Arc<Body>, span: Span, framing: Framing) -> Self {
        Self { body, span, framing, recoded: false }
    }

    pub(super) fn all(body: Arc<Body>, length: u64) -> Self {
        Self::new(body, Span::new(0, length), Framing::Length(length))
    }

    /// One whose length is not known yet.
    pub(super) fn open(body: Arc<Body>, version: Version) -> Self {
        Self::new(body, Span::new(0, u64::MAX), Framing::Chunked.towards(version))
    }
}

fn content_of(exchange: &Exchange<'_>, entry: &Entry, part: &Part) -> Content {
    match part {
        Part::NotModified => Content::new(entry.body.clone(), Span::new(0, 0), Framing::None),
        Part::One(span, _) => match &entry.parts {
            Some(pieces) => Content::all(Arc::new(Body::complete(pieces.read(*span))), span.len()),
            None => Content::new(entry.body.clone(), *span, Framing::Length(span.len())),
        },
        Part::Several(body, _) => Content::all(body.clone(), body.received()),
        Part::Whole => match entry.length() {
            Some(length) => Content::all(entry.body.clone(), length),
            None => Content::open(entry.body.clone(), exchange.heads.request.version),
        },
    }
}

/// Statuses whose answers have no content, whatever they say.
fn has_no_content(status: u16) -> bool {
    matches!(status, 204 | 205 | 304)
}

/// Writes the head that the client gets, as that of an answer that came with what is said of it now, and finds what comes behind it.
/// Fails where there is none.
fn write_head(
    exchange: &mut Exchange<'_>,
    entry: &Arc<Entry>,
    given: &Given<'_>,
    part: &Part,
    content: &mut Content,
    out: &mut Lease,
) -> Result<(), Failure> {
    let plain =
        !given.edited && given.bodies.is_none() && given.recoder.is_none() && exchange.connection.http.hsts.is_empty();
    if plain
        && matches!(part, Part::Whole)
        && let Framing::Length(_) = content.framing
    {
        exchange.keep_alive &= !exchange.connection.is_leaving();
        write_plain(exchange, entry, given, content.framing, out);
        return Ok(());
    }
    let mut text = Vec::with_capacity(entry.head.len() + 512);
    compose(entry, given, part, content.framing, &mut text);
    text.extend_from_slice(b"\r\n");
    let method = exchange.heads.request.method;
    let question = Question { method, websocket: false };
    let limits = Limits { head: usize::MAX, fields: h1::MAX_FIELDS };
    let parsed = h1::parse_response(&text, &question, &limits, &mut Scan::default(), &mut exchange.heads.response);
    if !matches!(parsed, Ok(Parsed::Complete(_))) {
        return Err(Failure::Internal);
    }
    if given.edited
        && let Some(edited) = edit::answer(exchange, &text)
    {
        text = edited;
    }
    let edited = match given.bodies {
        Some(bodies) => Stored { entry, bodies, recoder: given.recoder.as_ref() }.edit(exchange, content, &mut text)?,
        None => false,
    };
    if !edited
        && let Some(recoder) = &given.recoder
        && let Some((recoding, coded)) = recoder.recode(exchange, entry, &text)
    {
        recoding.rewrite(&mut exchange.heads.response, &mut text);
        if let Some(coded) = coded {
            *content = match coded.length() {
                Some(length) => Content::all(coded, length),
                None => Content::open(coded, exchange.heads.request.version),
            };
            content.recoded = true;
        }
    }
    let framing = content.framing;
    exchange.keep_alive &= framing != Framing::UntilClose && !exchange.connection.is_leaving();
    let Connection { lane, http, .. } = exchange.connection;
    let version = exchange.heads.request.version;
    let keep_alive = exchange.keep_alive;
    lane.with_date(|date| {
        let backward = Backward {
            version,
            method,
            framing,
            keep_alive,
            tunnel: false,
            date: date.as_bytes(),
            hsts: &http.hsts,
            marking: None,
        };
        h1::encode_response(out.buffer(), &exchange.heads.response, &text, &backward);
    });
    exchange.outcome.status = exchange.heads.response.told();
    Ok(())
}

/// The same where nothing of it changes: what is stored is in form already.
fn write_plain(exchange: &mut Exchange<'_>, entry: &Entry, given: &Given<'_>, framing: Framing, out: &mut Lease) {
    let text = out.buffer();
    compose(entry, given, &Part::Whole, framing, text);
    match (exchange.keep_alive, exchange.heads.request.version) {
        (false, _) => text.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => text.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    text.extend_from_slice(b"\r\n");
    exchange.outcome.status = entry.status;
}

/// A stored head with what is said of it now, without the empty line at its end.
fn compose(entry: &Entry, given: &Given<'_>, part: &Part, framing: Framing, text: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let mut number = |text: &mut Vec<u8>, name: &[u8], number: u64| {
        text.extend_from_slice(name);
        text.extend_from_slice(digits.format(number).as_bytes());
        text.extend_from_slice(b"\r\n");
    };
    let partial = |text: &mut Vec<u8>, replaces: &[u8]| {
        text.extend_from_slice(b"HTTP/1.1 206 Partial Content\r\n");
        copy(entry, text, |name| !name.eq_ignore_ascii_case(replaces));
    };
    match part {
        Part::Whole => text.extend_from_slice(&entry.head),
        Part::One(span, length) => {
            partial(text, b"content-range");
            text.extend_from_slice(b"Content-Range: ");
            ContentRange { span: *span, complete: Some(*length) }.write(text);
            text.extend_from_slice(b"\r\n");
        }
        Part::Several(_, boundary) => {
            partial(text, b"content-type");
            text.extend_from_slice(b"Content-Type: ");
            boundary.write_content_type(text);
            text.extend_from_slice(b"\r\n");
        }
        Part::NotModified => {
            text.extend_from_slice(b"HTTP/1.1 304 Not Modified\r\n");
            // RFC 9110 §15.4.5: what tells of the content is left out; the client has it.
            copy(entry, text, |name| {
                let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
                let told = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
                !(told && !is(b"content-location") || is(b"last-modified"))
            });
        }
    }
    if let Some(age) = given.age {
        number(text, b"Age: ", age);
    }
    if !given.status.is_empty() {
        text.extend_from_slice(b"Cache-Status: ");
        text.extend_from_slice(given.status);
        text.extend_from_slice(b"\r\n");
    }
    let stated = match (framing, part) {
        (Framing::Length(length), _) => Some(length),
        (Framing::None, Part::Whole) if !has_no_content(entry.status) => entry.length(),
        _ => None,
    };
    if let Some(length) = stated {
        number(text, b"Content-Length: ", length);
    }
}

/// Writes the lines of a stored head whose names are wanted.
fn copy(entry: &Entry, text: &mut Vec<u8>, wanted: impl Fn(&[u8]) -> bool) {
    for line in entry.lines().split_inclusive(|byte| *byte == b'\n') {
        if wanted(&line[..memchr::memchr(b':', line).unwrap_or(0)]) {
            text.extend_from_slice(line);
        }
    }
}

/// Content on its way.
pub(super) struct Sending {
    reader: Reader,
    framing: Framing,
    /// How much is still to be sent; of what comes in chunks it is not known.
    left: u64,
    ended: bool,
    trailers: bool,
    /// Where the reader's body begins in the content.
    base: u64,
    recoded: bool,
}

impl Sending {
    /// Begins with what is there and fits behind the head. `None`: the worker can be called by nobody.
    fn begin(content: Content, out: &mut Lease) -> Option<Self> {
        let Content { body, span, framing, recoded } = content;
        let left = span.len();
        let small = body.length().is_some_and(|length| length.min(left) <= INLINE as u64);
        let mut sending = Self {
            reader: Reader::new(body, span.start),
            framing,
            left,
            ended: framing == Framing::None || left == 0,
            trailers: framing == Framing::Chunked && span.start == 0,
            base: 0,
            recoded,
        };
        while small && !sending.ended {
            match sending.take().ok()? {
                Taken::Content(segment, range) => push_content(framing, &segment[range], out.buffer()),
                _ => sending.ended = true,
            }
        }
        if small {
            push_end(framing, sending.reader.body().trailers(), out.buffer());
        }
        Some(sending)
    }

    /// What is there already, to go out with the head, where it needs no frame.
    fn begun(&mut self) -> Batch {
        if !matches!(self.framing, Framing::Length(_)) || !self.reader.has_more() {
            return Batch::default();
        }
        // What cannot be read shows when the rest is sent.
        match self.take() {
            Ok(Taken::Content(segment, range)) => self.gather(segment, range),
            _ => Batch::default(),
        }
    }

    /// Content with what else is there of it, as much as goes out at a time.
    fn gather(&mut self, segment: Segment, range: Range<usize>) -> Batch {
        let mut batch = Batch::default();
        batch.add(segment, range);
        while !self.ended && self.reader.has_more() && !batch.is_full() {
            // What cannot be read shows when the rest is sent.
            let Ok(Taken::Content(segment, range)) = self.take() else { break };
            batch.add(segment, range);
        }
        batch
    }

    fn is_ended(&self) -> bool {
        self.ended
    }

    /// What is to be sent next.
    fn take(&mut self) -> io::Result<Taken> {
        Ok(match self.reader.read()? {
            Piece::Content(segment, offset) => {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(segment.len() - offset);
                self.left -= here as u64;
                self.ended = self.left == 0;
                Taken::Content(segment, offset..offset + here)
            }
            Piece::Later(callee) => Taken::Later(callee),
            Piece::End => Taken::End,
            Piece::Gone => Taken::Behind,
            Piece::Broken => Taken::Lost(Failure::Reset),
        })
    }

    /// Sends what is left as it comes. Returns it where that has slid out of the window.
    pub(super) async fn rest(mut self, exchange: &mut Exchange<'_>, silence: Duration) -> Option<Self> {
        let Connection { client, listener, .. } = exchange.connection;
        let stall = listener.timeouts.write_stall;
        let mut watched = true;
        loop {
            let taken = match self.take() {
                Ok(taken) => taken,
                Err(_) => Taken::Lost(Failure::Internal),
            };
            match taken {
                Taken::Content(segment, range) => {
                    let batch = self.gather(segment, range);
                    let length = batch.length() as u64;
                    let sent = match self.framing {
                        Framing::Chunked => send_content(client, self.framing, batch.copy(0), stall).await,
                        _ => batch.send(client, Lease::empty(), stall).await,
                    };
                    if let Err(error) = sent {
                        exchange.gone(&error);
                        return None;
                    }
                    exchange.outcome.bytes_out += length;
                    exchange.outcome.body_out += length;
                    if !self.ended {
                        continue;
                    }
                }
                Taken::Later(callee) => {
                    exchange.outcome.waits();
                    client.set_deadline(None);
                    let left = match watched {
                        true => race(timeout(silence, callee), client.closed()).await,
                        false => Either::Left(timeout(silence, callee).await),
                    };
                    match left {
                        Either::Left(Some(())) => continue,
                        Either::Left(None) => {}
                        Either::Right(true) => {
                            exchange.keep_alive = false;
                            exchange.outcome.client_left();
                            return None;
                        }
                        // The client has sent more: it is still there, and can be watched no further.
                        Either::Right(false) => {
                            watched = false;
                            continue;
                        }
                    }
                    self.cut(exchange, Failure::IdleTimeout);
                    return None;
                }
                Taken::End if self.framing == Framing::Chunked || self.framing == Framing::UntilClose => {}
                Taken::End => {
                    self.cut(exchange, Failure::Internal);
                    return None;
                }
                Taken::Behind if self.recoded => return self.give_up(exchange),
                Taken::Behind => return Some(self),
                Taken::Lost(failure) => {
                    self.cut(exchange, failure);
                    return None;
                }
            }
            break;
        }
        if self.framing == Framing::Chunked {
            let mut last = Lease::new();
            let trailers = if self.trailers { self.reader.body().trailers() } else { &[] };
            push_end(self.framing, trailers, last.buffer());
            exchange.outcome.bytes_out += last.len() as u64;
            if let Err(error) = client.send(last, stall).await {
                exchange.gone(&error);
                return None;
            }
        }
        None
    }

    /// What the client still lacks of the content.
    pub(super) fn missing(&self) -> Span {
        let at = self.base + self.reader.at();
        Span::new(at, at.saturating_add(self.left))
    }

    /// What is left comes from here.
    pub(super) fn goes_on(&mut self, body: Arc<Body>) {
        self.base = self.missing().start;
        self.reader = Reader::new(body, 0);
    }

    /// The client was too slow, and nobody can tell it the rest.
    pub(super) fn give_up(self, exchange: &mut Exchange<'_>) -> Option<Self> {
        self.cut(exchange, Failure::WriteStall);
        None
    }

    /// The client must not take what it got for complete.
    fn cut(&self, exchange: &mut Exchange<'_>, failure: Failure) {
        exchange.keep_alive = false;
        if self.framing == Framing::UntilClose || exchange.connection.client.is_multiplexed() {
            exchange.connection.client.reset_on_close();
        }
        exchange.outcome.target_failed(failure);
    }
}

/// What is to be sent next.
enum Taken {
    Content(Arc<[u8]>, Range<usize>),
    Later(crate::net::Callee),
    End,
    Behind,
    Lost(Failure),
}
