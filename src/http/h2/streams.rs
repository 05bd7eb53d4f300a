//! The streams of a connection: what each has received and may send.
//!
//! What always holds:
//! - A stream is here for as long as somebody holds it, and what comes for one that is not is told apart by its number
//!   alone: it has ended, or it has never been.
//! - A key leads to the stream that it was made for, or nowhere: what is late for one never gets to another.

use super::frame::Code;
use super::head::Asked;
use crate::net::Lease;
use std::io::{self, ErrorKind};
use std::task::{Context, Waker};
use std::time::Duration;

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    slot: usize,
    /// How many were there before it.
    age: u32,
}

/// One stream.
#[derive(Default)]
pub(super) struct Stream {
    /// 0: it has none yet.
    pub(super) id: u32,
    /// Text that has come and was not taken.
    pub(super) inbox: Lease,
    /// Bytes of content in what was received and not taken, and in what was taken and may not have gone on.
    pub(super) held: u32,
    pub(super) taken: u32,
    /// What the peer's window is to be opened by, when it is worth a frame.
    pub(super) owed: u32,
    /// What the peer may send, and we.
    pub(super) receive_window: i64,
    pub(super) send_window: i64,
    /// Content that is to come by the head's word.
    pub(super) expected: Option<u64>,
    /// Whether content is written in chunks, and how much of it is in the one that the inbox ends with.
    pub(super) chunked: bool,
    pub(super) chunk: usize,
    /// Whether a head has come, behind which a second one brings trailers, and whether any has, interim ones too.
    pub(super) headed: bool,
    pub(super) answered: bool,
    /// Whether the peer has said all, and whether we have.
    pub(super) received: bool,
    pub(super) sent: bool,
    /// Why it ended early, if it did, and whether the peer said so.
    pub(super) broken: Option<Broken>,
    pub(super) by_peer: bool,
    /// What its answer is read by, on our own requests.
    pub(super) asked: Asked,
    /// Whether it stands in line for room.
    pub(super) in_line: bool,
    /// When waiting for what comes ends.
    pub(super) due: Option<Duration>,
    /// Who waits for what comes, and who for room.
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// Why a stream ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The peer has not looked at it (RFC 9113 §8.7).
    Unseen,
    /// The peer sent what does not say one thing.
    Malformed,
    /// Anything else.
    Reset,
}

impl Stream {
    /// Whether nothing more comes or goes.
    pub(super) fn is_over(&self) -> bool {
        self.broken.is_some() || self.received && self.sent
    }

    /// Whether waiting for what comes has ended at `now`.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    /// Ends it early.
    pub(super) fn break_off(&mut self, why: Broken) {
        if self.broken.is_none() {
            // Who has begun to answer has looked at it, whatever it says.
            self.broken = Some(if why == Broken::Unseen && self.answered { Broken::Reset } else { why });
            self.inbox = Lease::empty();
        }
        self.wake_reader();
        self.wake_writer();
    }

    /// The answer is complete: no more of the request is wanted.
    pub(super) fn send_no_more(&mut self) {
        self.sent = true;
        self.wake_writer();
    }

    pub(super) fn wait_to_read(&mut self, cx: &Context<'_>) {
        wait(&mut self.reader, cx);
    }

    pub(super) fn wait_to_write(&mut self, cx: &Context<'_>) {
        wait(&mut self.writer, cx);
    }

    pub(super) fn wake_reader(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn wake_writer(&mut self) {
        self.writer.take().into_iter().for_each(Waker::wake);
    }
}

fn wait(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Streams {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// By number, in rising order.
    order: Vec<(u32, Key)>,
    /// The last ones that ended, and whether by our reset, behind which frames may be on their way.
    ended: Vec<(u32, bool)>,
    next: usize,
}

/// A place for streams, one after the other.
#[derive(Default)]
struct Slot {
    age: u32,
    stream: Option<Stream>,
}

/// As many as a peer may have had open at a time.
const REMEMBERED: usize = 128;

impl Streams {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds one.
    pub(super) fn add(&mut self, stream: Stream) -> Key {
        let id = stream.id;
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let slot = &mut self.slots[place];
        slot.stream = Some(stream);
        let key = Key { slot: place, age: slot.age };
        if id > 0 {
            self.order.push((id, key));
        }
        key
    }

    /// Gives the number `id`, which must be the highest so far, to one that had none.
    pub(super) fn number(&mut self, key: Key, id: u32) {
        if let Some(stream) = self.get(key) {
            stream.id = id;
            self.order.push((id, key));
        }
    }

    /// The stream at `key`.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Stream> {
        let slot = self.slots.get_mut(key.slot)?;
        slot.stream.as_mut().filter(|_| slot.age == key.age)
    }

    /// Where the stream of that number is.
    pub(super) fn find(&self, id: u32) -> Option<Key> {
        let place = self.order.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        self.order.get(place).map(|&(_, key)| key)
    }

    /// Lets go of the stream at `key`. `reset`: the peer may not know yet that it is over.
    pub(super) fn remove(&mut self, key: Key, reset: bool) {
        let slot = self.slots.get_mut(key.slot).filter(|slot| slot.age == key.age);
        let Some((stream, slot)) = slot.and_then(|slot| Some((slot.stream.take()?, slot))) else { return };
        slot.age = slot.age.wrapping_add(1);
        self.free.push(key.slot);
        // Of one without a number the peer knows nothing.
        if let Ok(place) = self.order.binary_search_by_key(&stream.id, |&(id, _)| id) {
            self.order.remove(place);
            self.remember(stream.id, reset);
        }
    }

    /// Notes that the stream of that number has ended.
    pub(super) fn remember(&mut self, id: u32, reset: bool) {
        match self.ended.get_mut(self.next) {
            Some(oldest) => *oldest = (id, reset),
            None => self.ended.push((id, reset)),
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Whether the stream of that number was among the last to end, and whether by our reset.
    pub(super) fn has_ended(&self, id: u32) -> Option<bool> {
        self.ended.iter().find(|&&(ended, _)| ended == id).map(|&(_, reset)| reset)
    }

    /// Each of them.
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots.iter_mut().filter_map(|slot| slot.stream.as_mut())
    }
}

impl Broken {
    /// What the peer's reset says.
    pub(super) fn by(code: Code) -> Self {
        if code == Code::REFUSED_STREAM { Self::Unseen } else { Self::Reset }
    }

    /// What it is to those who know nothing of HTTP/2. `ConnectionRefused`: the peer has not looked at it.
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Unseen => ErrorKind::ConnectionRefused.into(),
            Self::Malformed => ErrorKind::InvalidData.into(),
            Self::Reset => ErrorKind::ConnectionReset.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_until_they_end_and_remembered_a_while() {
        let mut streams = Streams::default();
        let stream = |id| Stream { id, ..Stream::default() };
        let keys: Vec<Key> = [1, 3, 5].map(|id| streams.add(stream(id))).into();
        assert_eq!((streams.find(3), streams.find(7), streams.len()), (Some(keys[1]), None, 3));
        streams.remove(keys[1], true);
        assert_eq!((streams.find(3), streams.has_ended(3), streams.has_ended(7)), (None, Some(true), None));
        let unnumbered = streams.add(stream(0));
        assert_eq!((unnumbered.slot, streams.len()), (keys[1].slot, 3));
        streams.number(unnumbered, 7);
        assert_eq!(streams.find(7), Some(unnumbered));
        // Whoever still has the key of the one before finds nothing there.
        assert!(streams.get(keys[1]).is_none());
        streams.remove(keys[1], true);
        assert_eq!(streams.len(), 3);
        (100..100 + REMEMBERED as u32).for_each(|id| streams.remember(id, false));
        assert_eq!(streams.has_ended(3), None);
    }
}
