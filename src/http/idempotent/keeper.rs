//! Where the answer to a request with a key goes: a client to the exchange that asks its target, which holds what comes for all who are to get
//! it.
//!
//! What always holds: an answer that counts is stored before its end is told to anybody; of one that is too large to be stored no more is held
//! than what whoever reads it is about to get, and once nobody does, nothing.

use crate::gateway::idempotency::{Kept, Run, Terms, Unkept};
use crate::http::body::Body;
use crate::http::exchange::Exchange;
use crate::http::h1::{self, Framing, Limits, Parsed, Question, Scan};
use crate::http::head::{Method, ResponseHead};
use crate::http::outcome::CameTo;
use crate::http::sticky::Stuck;
use crate::net::{Caller, Lease, coarse_now};
use crate::observe::trace::Facts;
use crate::tls::{Facts as Handshake, Multiplexed};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Where an answer goes.
pub(in crate::http) struct Keeper {
    state: RefCell<State>,
    method: Method,
    ttl: Duration,
    max_body: usize,
    /// Whether the target knows keys itself.
    is_known_there: bool,
    /// Whether the answer is one of ours, and not the target's.
    is_ours: Cell<bool>,
    /// Whether nobody sends any more.
    is_shut: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

struct State {
    /// What is told of what comes; `None` once it has been.
    run: Option<Run<Caller>>,
    steps: VecDeque<Step>,
    /// The head of the final answer, once it has come.
    head: Option<Head>,
    /// Takes the framing off what comes behind that.
    body: Option<Body>,
    content: Vec<u8>,
    /// The answer once all of it is held, which has the content from then on.
    kept: Option<Arc<Kept>>,
    /// How much of the content its reader has got.
    read: usize,
    /// Whether all of it is held.
    is_whole: bool,
    /// Whether the answer has come to its end.
    is_ended: bool,
    has_reader: bool,
    is_over: bool,
    fate: Option<Fate>,
}

/// The head of a final answer.
struct Head {
    text: Box<[u8]>,
    status: u16,
    has_content: bool,
}

/// What an answer consists of.
pub(super) enum Step {
    /// The head of an interim answer.
    Interim(Box<[u8]>),
    /// The head of the final one, and how its content was framed.
    Head(Box<[u8]>, Framing),
    /// Content.
    Content(Lease),
    /// All of it has come; these are whole lines of trailers.
    End(Box<[u8]>),
    /// No more comes.
    Broken,
}

/// What came of the exchange with the target.
pub(super) struct Fate {
    pub(super) came_to: CameTo,
    pub(super) trace: Facts,
    pub(super) sticky: Option<Stuck>,
}

/// Bytes that wait for a reader of an answer that is not stored.
const WINDOW: usize = 256 << 10;
/// Bytes that a reader gets at a time.
const PIECE: usize = 64 << 10;

impl Keeper {
    pub(super) fn new(run: Run<Caller>, terms: &Terms, method: Method) -> Rc<Self> {
        let state = State {
            run: Some(run),
            steps: VecDeque::new(),
            head: None,
            body: None,
            content: Vec::new(),
            kept: None,
            read: 0,
            is_whole: true,
            is_ended: false,
            has_reader: true,
            is_over: false,
            fate: None,
        };
        Rc::new(Self {
            state: RefCell::new(state),
            method,
            ttl: terms.ttl,
            max_body: terms.max_body,
            is_known_there: terms.retry,
            is_ours: Cell::new(false),
            is_shut: Cell::new(false),
            reader: RefCell::default(),
            writer: RefCell::default(),
        })
    }

    /// The answer that comes next is one of ours.
    pub(in crate::http) fn gets_ours(&self) {
        self.is_ours.set(true);
    }

    /// What comes next; `None`: nothing is there yet.
    pub(super) fn take(&self) -> Option<Step> {
        let mut state = self.state.borrow_mut();
        let step = state.next_step();
        if matches!(step, Some(Step::Content(_))) {
            wake(&self.writer);
        }
        step
    }

    /// Waits until something has come.
    pub(super) async fn wait(&self) {
        poll_fn(|cx| match self.state.borrow().has_step() {
            true => Poll::Ready(()),
            false => {
                self.reader.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await;
    }

    /// What came of the exchange, once it is over; `None` if nobody can tell.
    pub(super) async fn fate(&self) -> Option<Fate> {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.is_over || state.fate.is_some() {
                return Poll::Ready(state.fate.take());
            }
            self.reader.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Nobody reads it any more.
    pub(super) fn leave(&self) {
        let mut state = self.state.borrow_mut();
        state.has_reader = false;
        state.steps.clear();
        if !state.is_whole {
            state.content = Vec::new();
            state.read = 0;
        }
        drop(state);
        wake(&self.writer);
    }

    /// The exchange with the target has come to its end.
    pub(super) fn came_to(&self, exchange: &mut Exchange<'_>) {
        let came_to = exchange.outcome.came_to();
        let (trace, sticky) = (std::mem::take(&mut exchange.heads.trace), exchange.heads.sticky);
        self.state.borrow_mut().fate = Some(Fate { came_to, trace, sticky });
        self.over(false);
    }

    /// No more comes. What has not come to its end by now is no answer; where it had begun, its request was carried out. `is_cut`: nor does anybody
    /// know what the target makes of it.
    pub(super) fn over(&self, is_cut: bool) {
        let (run, status) = {
            let mut state = self.state.borrow_mut();
            state.is_over = true;
            (state.run.take(), state.head.as_ref().map(|head| head.status))
        };
        match (run, status.is_some_and(|status| self.counts(status)) && !self.is_known_there) {
            (Some(run), true) => run.spend(Unkept::Broken, coarse_now().saturating_add(self.ttl)),
            (Some(run), false) if is_cut => run.abandon(coarse_now().saturating_add(self.ttl)),
            // Its key is free again.
            (run, _) => drop(run),
        }
        wake(&self.reader);
    }

    /// Takes the head of an answer off what has come. False: it is an interim one.
    fn take_head(&self, state: &mut State, text: &mut Lease) -> io::Result<bool> {
        let mut head = ResponseHead::default();
        let question = Question { method: self.method, websocket: false };
        let limits = Limits { head: usize::MAX, fields: h1::MAX_FIELDS };
        let parsed = h1::parse_response(text, &question, &limits, &mut Scan::default(), &mut head);
        let answer = match parsed {
            Ok(Parsed::Complete(answer)) if !answer.tunnel => answer,
            // We write heads whole, and in form.
            _ => return Err(ErrorKind::InvalidData.into()),
        };
        let bytes: Box<[u8]> = text[..answer.head_len].into();
        text.advance(answer.head_len);
        if answer.interim {
            if state.has_reader {
                state.steps.push_back(Step::Interim(bytes));
            }
            return Ok(false);
        }
        if state.has_reader {
            state.steps.push_back(Step::Head(bytes.clone(), answer.framing));
        }
        let body = Body::new(answer.framing, Lease::empty(), u64::MAX);
        state.body = Some(body.map_err(|_| ErrorKind::InvalidData)?);
        if !state.run.as_mut().is_some_and(|run| run.grow(bytes.len())) {
            self.is_too_much(state, head.told(), Unkept::Memory);
        }
        state.head = Some(Head { text: bytes, status: head.told(), has_content: answer.framing != Framing::None });
        Ok(true)
    }

    /// Whether an answer of this status counts as that of a request that was carried out.
    fn counts(&self, status: u16) -> bool {
        !self.is_ours.get() && status < 500
    }

    /// The answer is more than can be stored. That its request was carried out is known from here on.
    fn is_too_much(&self, state: &mut State, status: u16, why: Unkept) {
        state.is_whole = false;
        if self.counts(status)
            && let Some(run) = state.run.take()
        {
            run.spend(why, coarse_now().saturating_add(self.ttl));
        }
        let read = state.read;
        state.content.drain(..read);
        state.read = 0;
    }

    fn take_content(&self, state: &mut State, text: &mut Lease) -> io::Result<()> {
        let Some(body) = &mut state.body else { return Err(ErrorKind::InvalidData.into()) };
        let content = body.unframe(std::mem::take(text)).map_err(|_| ErrorKind::InvalidData)?;
        let status = state.head.as_ref().map_or(0, |head| head.status);
        if state.is_whole && !content.is_empty() {
            if content.len() > self.max_body.saturating_sub(state.content.len()) {
                self.is_too_much(state, status, Unkept::TooLarge);
            } else if !state.run.as_mut().is_some_and(|run| run.grow(content.len())) {
                self.is_too_much(state, status, Unkept::Memory);
            }
        }
        if state.is_whole || state.has_reader {
            state.content.extend_from_slice(&content);
        }
        Ok(())
    }

    /// Sees whether the answer has come to its end. Then it is stored, if it counts.
    fn look_for_end(&self, state: &mut State) {
        if state.is_ended || !state.body.as_ref().is_some_and(Body::is_ended) {
            return;
        }
        state.is_ended = true;
        let Some(run) = state.run.take() else { return };
        let Some(Head { text, status, has_content }) = state.head.as_ref().filter(|_| state.is_whole) else { return };
        let (head, has_content, status) = (marked(text), *has_content, *status);
        // What its reader has not got yet is read where it is stored, so that it is there once.
        let body = std::mem::take(&mut state.content).into();
        let kept = Arc::new(Kept { head, has_content, body });
        state.kept = Some(kept.clone());
        match self.counts(status) {
            true => run.store(kept, coarse_now().saturating_add(self.ttl)),
            false => run.share(kept),
        }
    }
}

impl State {
    fn has_step(&self) -> bool {
        !self.steps.is_empty() || self.read < self.content().len() || self.is_ended || self.is_over
    }

    /// The content as far as it is held.
    fn content(&self) -> &[u8] {
        self.kept.as_ref().map_or(&self.content[..], |kept| &kept.body[..])
    }

    fn next_step(&mut self) -> Option<Step> {
        if let Some(step) = self.steps.pop_front() {
            return Some(step);
        }
        let left = &self.content()[self.read..];
        if !left.is_empty() {
            let count = left.len().min(PIECE);
            let mut piece = Lease::with_room(count);
            piece.buffer().extend_from_slice(&left[..count]);
            self.read += count;
            if !self.is_whole && self.read >= WINDOW {
                self.content.drain(..self.read);
                self.read = 0;
            }
            return Some(Step::Content(piece));
        }
        if self.is_ended {
            return Some(Step::End(self.body.as_ref().map_or(&[][..], Body::trailers).into()));
        }
        self.is_over.then_some(Step::Broken)
    }
}

/// A head as it is given again.
fn marked(head: &[u8]) -> Box<[u8]> {
    const NAME: &[u8] = b"idempotency-replayed:";
    let end = head.len().saturating_sub(2);
    let mut marked = Vec::with_capacity(head.len() + NAME.len() + 8);
    for line in head[..end].split_inclusive(|byte| *byte == b'\n') {
        let is_it = line.get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME));
        if !is_it {
            marked.extend_from_slice(line);
        }
    }
    marked.extend_from_slice(b"Idempotency-Replayed: true\r\n\r\n");
    marked.into()
}

fn wake(waker: &RefCell<Option<Waker>>) {
    let waker = waker.borrow_mut().take();
    waker.into_iter().for_each(Waker::wake);
}

/// The client whose place it takes: it says nothing, and stays.
impl Multiplexed for Keeper {
    fn facts(&self) -> Option<&Handshake> {
        None
    }

    fn is_cut(&self) -> bool {
        false
    }

    fn set_deadline(&self, _: Option<Duration>) {}

    fn poll_wait(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut.get() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn take(&self) -> Option<Lease> {
        self.is_shut.get().then(Lease::empty)
    }

    fn poll_closed(&self, _: &mut Context<'_>) -> Poll<bool> {
        Poll::Pending
    }

    fn push(&self, text: &mut Lease) -> io::Result<bool> {
        let mut state = self.state.borrow_mut();
        if !state.is_whole && !state.has_reader {
            // What became of it is known, and nobody is there to get it.
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !state.has_room() {
            return Ok(false);
        }
        while state.head.is_none() && !text.is_empty() {
            if self.take_head(&mut state, text)? {
                break;
            }
        }
        if !text.is_empty() {
            self.take_content(&mut state, text)?;
        }
        self.look_for_end(&mut state);
        drop(state);
        wake(&self.reader);
        Ok(true)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.borrow().has_room() {
            return Poll::Ready(Ok(()));
        }
        self.writer.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn shutdown(&self) {
        self.is_shut.set(true);
    }

    fn reset(&self) {}
}

impl State {
    /// What is stored waits for nobody.
    fn has_room(&self) -> bool {
        self.is_whole || !self.has_reader || self.content.len() - self.read < WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::idempotency::{Bounds, Claim};
    use crate::plan::Keys;

    const TERMS: Terms = Terms {
        ttl: Duration::from_secs(60),
        wait: Duration::ZERO,
        max_body: 10,
        max_request_body: 10,
        retry: false,
        bounds: Bounds { max_keys: 10, memory: 10_000, forgets: true },
        shared: None,
        is_alone: true,
    };

    fn claim(keys: &Arc<Keys>) -> Claim<Caller> {
        keys.claim([1; 32], [1; 32], &TERMS, coarse_now())
    }

    /// A keeper, and the keys that it is of.
    fn begun() -> (Rc<Keeper>, Arc<Keys>) {
        let keys = Arc::<Keys>::default();
        let Claim::Own(run) = claim(&keys) else { panic!("it is the first") };
        (Keeper::new(run, &TERMS, Method::Post), keys)
    }

    fn push(keeper: &Keeper, text: &str) -> io::Result<bool> {
        let mut lease = Lease::new();
        lease.buffer().extend_from_slice(text.as_bytes());
        keeper.push(&mut lease)
    }

    /// What its reader gets.
    fn read(keeper: &Keeper) -> String {
        let mut all = String::new();
        while let Some(step) = keeper.take() {
            match step {
                Step::Interim(_) => all.push_str("interim;"),
                Step::Head(..) => all.push_str("head;"),
                Step::Content(content) => all.push_str(std::str::from_utf8(&content).unwrap()),
                Step::End(trailers) => return all + ";end" + std::str::from_utf8(&trailers).unwrap(),
                Step::Broken => return all + ";broken",
            }
        }
        all
    }

    #[test]
    fn an_answer_is_stored_before_its_end_is_told() {
        let (keeper, keys) = begun();
        push(&keeper, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").unwrap();
        assert_eq!(read(&keeper), "interim;head;ab");
        assert!(matches!(claim(&keys), Claim::Wait(_)));
        push(&keeper, "cde").unwrap();
        let Claim::Replay(kept) = claim(&keys) else { panic!("it is stored") };
        assert_eq!(&*kept.body, b"abcde");
        assert_eq!(&*kept.head, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nIdempotency-Replayed: true\r\n\r\n");
        assert_eq!(keeper.state.borrow().content.capacity(), 0, "it is held once, although not all of it is read");
        assert_eq!(read(&keeper), "cde;end");
    }

    #[test]
    fn chunks_are_joined_and_it_is_stored_without_a_reader() {
        let (keeper, keys) = begun();
        keeper.leave();
        push(
            &keeper,
            "HTTP/1.1 201 Created\r\nidempotency-replayed: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        )
        .unwrap();
        push(&keeper, "1\r\nc\r\n0\r\nX-T: 1\r\n\r\n").unwrap();
        let Claim::Replay(kept) = claim(&keys) else { panic!("it is stored") };
        assert_eq!(&*kept.body, b"abc");
        assert_eq!(kept.head.windows(10).filter(|part| part.eq_ignore_ascii_case(b"-replayed:")).count(), 1);
    }

    #[test]
    fn what_is_too_large_goes_to_its_reader_and_is_not_carried_out_again() {
        let (keeper, keys) = begun();
        push(&keeper, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0123456789").unwrap();
        assert!(matches!(claim(&keys), Claim::Wait(_)));
        push(&keeper, "ab").unwrap();
        assert!(matches!(claim(&keys), Claim::Unkept(Unkept::TooLarge)));
        assert_eq!((read(&keeper), keys.bytes()), ("head;0123456789ab;end".to_owned(), 0));
        let (keeper, _) = begun();
        keeper.leave();
        push(&keeper, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n0123456789a").unwrap();
        assert!(push(&keeper, "b").is_err(), "nobody is there to get it");
    }

    #[test]
    fn what_does_not_count_leaves_the_key_free() {
        for (ours, text) in [
            (false, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
            (true, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"),
            (false, "HTTP/1.1 500 No\r\nContent-Length: 50\r\n\r\n0123456789ab"),
            (false, ""),
        ] {
            let (keeper, keys) = begun();
            if ours {
                keeper.gets_ours();
            }
            push(&keeper, text).unwrap();
            keeper.over(false);
            assert!(matches!(claim(&keys), Claim::Own(_)), "{text}");
            assert_eq!(keys.bytes(), 0);
        }
    }

    #[test]
    fn what_breaks_off_was_carried_out() {
        let (keeper, keys) = begun();
        push(&keeper, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").unwrap();
        keeper.over(false);
        assert!(matches!(claim(&keys), Claim::Unkept(Unkept::Broken)));
        assert_eq!((read(&keeper), keys.bytes()), ("head;ab;broken".to_owned(), 0));
    }

    #[test]
    fn what_breaks_off_at_a_target_that_knows_keys_is_free() {
        let keys = Arc::<Keys>::default();
        let Claim::Own(run) = claim(&keys) else { panic!("it is the first") };
        let keeper = Keeper::new(run, &Terms { retry: true, ..TERMS }, Method::Post);
        push(&keeper, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").unwrap();
        keeper.over(false);
        assert!(matches!(claim(&keys), Claim::Own(_)));
    }

    #[test]
    fn a_slow_reader_holds_back_what_is_not_stored() {
        let (keeper, _) = begun();
        push(&keeper, "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n").unwrap();
        assert!(push(&keeper, &"x".repeat(WINDOW)).unwrap());
        assert!(!push(&keeper, "x").unwrap(), "there is no room");
        while keeper.take().is_some() {}
        assert!(push(&keeper, "x").unwrap());
    }
}
