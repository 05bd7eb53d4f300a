//! Requests that another pool gets as well.
//!
//! What always holds: a copy goes on a task of its own, once the request is there as a whole, so that the client's exchange neither waits
//! for it nor fails with it; one request makes one copy, however often it is tried. Of what a copy brings back no more is read than a bound says, and
//! none of it goes anywhere but into a comparison.

use super::apart::{Apart, Silent, read_again};
use super::body::{Body, Tap};
use super::connection::{keep_heads, take_heads};
use super::exchange::Exchange;
use super::forward::{self, Path};
use super::h1::{Framing, Incoming};
use super::head::{RequestHead, ResponseHead};
use super::outcome::Outcome;
use super::taker::Taker;
use crate::gateway::Who;
use crate::net::{self, Lease};
use crate::plan::{Mirror, MirrorMethods};
use crate::tls::Channel;
use crate::upstream::mirror::{Fate, Missed, Pair, Room, Rules, Told};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// A copy that waits for the body of its request.
struct Departure {
    mirror: Arc<Mirror>,
    room: Option<Room>,
    apart: Apart,
    route: usize,
    client: SocketAddr,
    path: Path,
    who: Who,
    /// The normal path, where the raw one is not.
    normal: Vec<u8>,
    /// The whole head, with the line that says what it is.
    text: Lease,
    has_body: bool,
    body: Vec<u8>,
    is_too_large: bool,
    meeting: Option<Rc<Meeting>>,
}

/// Where both answers come together.
struct Meeting {
    mirror: Arc<Mirror>,
    rules: Arc<Rules>,
    method: Box<[u8]>,
    path: Box<[u8]>,
    main: RefCell<Option<Told>>,
    mirrored: RefCell<Option<Told>>,
}

/// Whoever looks at the answer that the client gets.
pub(super) struct Watch {
    meeting: Rc<Meeting>,
    told: Told,
}

/// The answer to a copy.
pub(super) struct Reflection {
    meeting: Option<Rc<Meeting>>,
    told: RefCell<Told>,
    read: Cell<usize>,
    is_answered: Cell<bool>,
}

/// Bytes of an answer that are read so that its connection can be used again.
const READ: usize = 1 << 20;

/// Has the mirror get a copy of the request of `exchange`, if it is one that it gets.
#[cold]
pub(super) fn begin(
    exchange: &mut Exchange<'_>,
    mirror: &Arc<Mirror>,
    path: Path,
    incoming: &Incoming,
    body: &mut Body,
) {
    if incoming.websocket || !takes(mirror, &exchange.heads.request, &exchange.text) {
        return;
    }
    let shared = &mirror.shared;
    if !shared.is_chosen(mirror.share) {
        return;
    }
    let is_too_large = match incoming.framing {
        Framing::Length(length) => usize::try_from(length).is_ok_and(|length| length > mirror.body),
        _ => false,
    };
    if is_too_large || body.is_aside() {
        return shared.count(Fate::TooLarge);
    }
    let Some(room) = shared.enter(mirror.max_in_flight) else { return };
    let Exchange { connection, heads, text, outcome, .. } = &mut *exchange;
    let compared = mirror.compare.as_ref().filter(|(share, _)| shared.is_compared(*share));
    let meeting = compared.map(|(_, rules)| {
        Rc::new(Meeting {
            mirror: mirror.clone(),
            rules: rules.clone(),
            method: heads.request.method_text.of(text).into(),
            path: heads.request.path.of(text).into(),
            main: RefCell::default(),
            mirrored: RefCell::default(),
        })
    });
    let departure = Departure {
        mirror: mirror.clone(),
        room: Some(room),
        apart: Apart::of(connection),
        route: outcome.route,
        client: outcome.client,
        path,
        who: heads.who.clone(),
        normal: if path.plain { Vec::new() } else { heads.path.clone() },
        text: marked(text, &mirror.mark),
        has_body: incoming.framing != Framing::None,
        body: Vec::new(),
        is_too_large: false,
        meeting: meeting.clone(),
    };
    exchange.watch = meeting.map(|meeting| Box::new(Watch { meeting, told: Told::default() }));
    body.show(Box::new(departure));
}

/// Whether requests of this method are mirrored.
fn takes(mirror: &Mirror, head: &RequestHead, text: &[u8]) -> bool {
    match &mirror.methods {
        MirrorMethods::Safe => matches!(head.method_text.of(text), b"GET" | b"HEAD" | b"OPTIONS"),
        MirrorMethods::All => true,
        MirrorMethods::List(methods) => methods.iter().any(|method| **method == *head.method_text.of(text)),
    }
}

/// A head with one line more.
fn marked(text: &[u8], mark: &[u8]) -> Lease {
    let end = text.len().saturating_sub(if text.ends_with(b"\r\n\r\n") { 2 } else { 1 });
    let mut marked = Lease::with_room(text.len() + mark.len());
    marked.buffer().extend_from_slice(&text[..end]);
    marked.buffer().extend_from_slice(mark);
    marked.buffer().extend_from_slice(&text[end..]);
    marked
}

impl Tap for Departure {
    fn more(&mut self, content: &[u8]) {
        self.is_too_large |= content.len() > self.mirror.body.saturating_sub(self.body.len());
        match self.is_too_large {
            true => self.body = Vec::new(),
            false => self.body.extend_from_slice(content),
        }
    }

    fn end(mut self: Box<Self>) {
        match self.is_too_large {
            true => {
                self.room = None;
                self.mirror.shared.count(Fate::TooLarge);
            }
            false => net::spawn("mirror", self.leave()),
        }
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if self.room.take().is_some() {
            self.mirror.shared.count(if self.is_too_large { Fate::TooLarge } else { Fate::Incomplete });
        }
    }
}

impl Departure {
    /// Asks the mirror, and counts what becomes of it.
    async fn leave(mut self: Box<Self>) {
        let Some(_room) = self.room.take() else { return };
        let reflection = Reflection {
            meeting: self.meeting.take(),
            told: RefCell::default(),
            read: Cell::new(0),
            is_answered: Cell::new(false),
        };
        let ended = self.ask(&reflection).await;
        self.mirror.shared.count(match (reflection.is_answered.get(), ended) {
            (true, _) => Fate::Answered,
            (false, true) => Fate::Failed,
            (false, false) => Fate::Timeout,
        });
    }

    /// Returns whether it came to an end in time.
    async fn ask(&mut self, reflection: &Reflection) -> bool {
        let Some(connection) = self.apart.connection(Channel::Multiplexed(&Nobody)) else { return true };
        let mut heads = take_heads();
        let Some(mut incoming) = read_again(&self.text, &mut heads.request) else {
            keep_heads(heads);
            return true;
        };
        incoming.expects_continue = false;
        if self.has_body {
            incoming.framing = Framing::Length(self.body.len() as u64);
        }
        if self.mirror.forward.edits_answers() {
            heads.request.asks_for_all(&self.text);
        }
        (heads.path, heads.who) = (std::mem::take(&mut self.normal), std::mem::take(&mut self.who));
        let mut body = Lease::with_room(self.body.len());
        body.buffer().extend_from_slice(&std::mem::take(&mut self.body));
        let mut exchange = Exchange::begin(connection, &mut heads);
        // Who ends waits for clients alone.
        exchange.busy = None;
        (exchange.text, exchange.outcome) = (std::mem::take(&mut self.text), Outcome::told(&connection));
        (exchange.outcome.route, exchange.outcome.client) = (self.route, self.client);
        exchange.taker = Some(Taker::Mirror(reflection));
        let forwarded = forward::forward(&mut exchange, &self.mirror.forward, self.path, &incoming, body);
        let ended = net::timeout(self.mirror.timeout, Box::pin(forwarded)).await;
        drop(exchange);
        heads.clear();
        keep_heads(heads);
        ended.is_some()
    }
}

impl Told {
    fn head(&mut self, head: &ResponseHead, text: &[u8]) {
        let field = |field: &super::head::Field| (field.name.of(text).into(), field.value.of(text).into());
        (self.status, self.fields) = (head.status, head.fields.iter().map(field).collect());
        (self.body, self.whole) = (Vec::new(), true);
    }

    /// Holds content too, of which there may be `most`.
    fn hold(&mut self, content: &[u8], most: usize) {
        self.whole &= content.len() <= most.saturating_sub(self.body.len());
        match self.whole {
            true => self.body.extend_from_slice(content),
            false => self.body = Vec::new(),
        }
    }
}

impl Watch {
    /// The head of the answer has come.
    pub(super) fn head(&mut self, head: &ResponseHead, text: &[u8]) {
        self.told.head(head, text);
    }
}

impl Tap for Watch {
    fn more(&mut self, content: &[u8]) {
        self.told.hold(content, self.meeting.rules.body);
    }

    fn end(self: Box<Self>) {
        self.meeting.main.replace(Some(self.told));
    }
}

impl Reflection {
    pub(super) fn begin(&self, head: &ResponseHead, text: &[u8]) {
        if self.meeting.is_some() {
            self.told.borrow_mut().head(head, text);
        }
    }

    pub(super) fn take(&self, content: &[u8]) -> bool {
        if let Some(meeting) = &self.meeting {
            self.told.borrow_mut().hold(content, meeting.rules.body);
        }
        self.read.set(self.read.get() + content.len());
        let goes_on = self.read.get() <= READ;
        if !goes_on {
            self.end();
        }
        goes_on
    }

    pub(super) fn end(&self) {
        self.is_answered.set(true);
        if let Some(meeting) = &self.meeting {
            meeting.mirrored.replace(Some(self.told.take()));
        }
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        let (main, mirrored) = (self.main.take(), self.mirrored.take());
        match (main, mirrored) {
            (Some(main), Some(mirrored)) => {
                let (method, path) = (std::mem::take(&mut self.method), std::mem::take(&mut self.path));
                self.mirror.shared.compare(Pair { rules: self.rules.clone(), method, path, main, mirrored });
            }
            _ => self.mirror.shared.miss(Missed::Incomplete),
        }
    }
}

/// The client of a copy, who gets nothing.
struct Nobody;

impl Silent for Nobody {}
