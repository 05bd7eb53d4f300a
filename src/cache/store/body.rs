//! The content of one answer as it comes in: one task fills it, any number of readers on all workers follow.
//!
//! What always holds: a segment never changes once it is there; an end is only said of what came to its end; a reader learns of
//! new segments by one call, however many came. What is too large to be kept goes through a window: whoever fills it waits for
//! the reader that is furthest, and a reader that falls out of the window is told so.

use crate::cache::short::Short;
use crate::net::{Callee, Caller, call};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A piece of content.
pub type Segment = Arc<[u8]>;

/// The content of one answer.
#[derive(Debug)]
pub struct Body {
    progress: Short<Progress>,
    /// All of it, once it is complete and was kept.
    whole: OnceLock<Whole>,
    readers: AtomicUsize,
    /// Whether there was a reader yet.
    claimed: AtomicBool,
    /// Bytes that have come.
    length: AtomicU64,
}

#[derive(Debug)]
struct Whole {
    segments: Box<[Segment]>,
    length: u64,
    trailers: Box<[u8]>,
}

#[derive(Debug)]
struct Progress {
    segments: VecDeque<Segment>,
    /// Where the first segment begins.
    start: u64,
    /// Where the next one will.
    end: u64,
    /// How far the furthest reader has got.
    furthest: u64,
    /// How much is kept behind the furthest reader and may be ahead of it; `None`: all is kept.
    window: Option<u64>,
    stage: Stage,
    trailers: Box<[u8]>,
    waiting: Vec<Caller>,
    filler: Option<Caller>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Filling,
    Complete,
    Broken,
}

/// What a reader finds.
#[derive(Debug)]
pub enum Piece {
    /// Content, from this offset in the segment on.
    Content(Segment, usize),
    /// Nothing yet: it is called when there may be.
    Later(Callee),
    /// That was all.
    End,
    /// It was too slow: what it wants is gone.
    Gone,
    /// Whoever filled it has failed: it never becomes complete.
    Broken,
}

/// Counts a reader for as long as it is there.
#[derive(Debug)]
pub struct Reader {
    body: Arc<Body>,
    at: u64,
}

/// Bytes of a piece of what is kept: with the counts before it, a block of 4 KiB.
pub const PIECE: usize = 4096 - 16;

impl Default for Body {
    fn default() -> Self {
        Self {
            progress: Short::new(Progress {
                segments: VecDeque::new(),
                start: 0,
                end: 0,
                furthest: 0,
                window: None,
                stage: Stage::Filling,
                trailers: Box::default(),
                waiting: Vec::new(),
                filler: None,
            }),
            whole: OnceLock::new(),
            readers: AtomicUsize::new(0),
            claimed: AtomicBool::new(false),
            length: AtomicU64::new(0),
        }
    }
}

impl Body {
    /// One that is complete.
    pub fn complete(segments: Vec<Segment>) -> Self {
        let body = Self::default();
        for segment in segments {
            body.append(segment);
        }
        body.finish(&[]);
        body
    }

    /// One of these bytes, complete.
    pub fn of(bytes: &[u8]) -> Self {
        let segments = bytes.chunks(PIECE).map(Segment::from).collect();
        let body = Self::default();
        {
            let mut progress = body.progress.lock();
            (progress.end, progress.stage) = (bytes.len() as u64, Stage::Complete);
        }
        body.length.store(bytes.len() as u64, Ordering::Release);
        // It is said once.
        let _ = body.whole.set(Whole { segments, length: bytes.len() as u64, trailers: Box::default() });
        body
    }

    /// One that is complete, for those who have it now: it is not kept.
    pub fn passing(content: Segment) -> Self {
        let body = Self::default();
        {
            let mut progress = body.progress.lock();
            (progress.window, progress.stage) = (Some(0), Stage::Complete);
            progress.push(content);
        }
        body.length.store(body.progress.lock().end, Ordering::Release);
        body
    }

    /// One of which everything before `at` is left out, and only a window is kept.
    pub fn from(at: u64, window: u64) -> Self {
        let body = Self::default();
        let mut progress = body.progress.lock();
        (progress.start, progress.end, progress.furthest, progress.window) = (at, at, at, Some(window));
        drop(progress);
        body.length.store(at, Ordering::Release);
        body
    }

    /// Content is there. Empty segments are nothing.
    pub fn append(&self, segment: Segment) {
        if segment.is_empty() {
            return;
        }
        let mut progress = self.progress.lock();
        progress.push(segment);
        progress.cut();
        self.length.store(progress.end, Ordering::Release);
        let waiting = std::mem::take(&mut progress.waiting);
        drop(progress);
        waiting.iter().for_each(Caller::call);
    }

    /// A call when more may be appended, where the furthest reader is a window behind.
    pub fn ahead(&self) -> io::Result<Option<Callee>> {
        let mut progress = self.progress.lock();
        let Some(window) = progress.window.filter(|_| !self.is_deserted()) else { return Ok(None) };
        if progress.end < progress.furthest + window {
            return Ok(None);
        }
        let (caller, callee) = call()?;
        progress.filler = Some(caller);
        Ok(Some(callee))
    }

    /// Whether somebody reads it.
    pub fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    /// Whether nobody reads it any more.
    fn is_deserted(&self) -> bool {
        self.claimed.load(Ordering::Acquire) && !self.has_readers()
    }

    /// From now on only a window of it is kept.
    pub fn slide(&self, window: u64) {
        let mut progress = self.progress.lock();
        progress.window = Some(window);
        progress.cut();
    }

    /// Whether all of it is kept.
    pub fn is_kept(&self) -> bool {
        self.whole.get().is_some() || self.progress.lock().window.is_none()
    }

    /// It is complete. `trailers` are whole lines.
    pub fn finish(&self, trailers: &[u8]) {
        let mut progress = self.progress.lock();
        progress.stage = Stage::Complete;
        progress.trailers = trailers.into();
        if progress.window.is_none() {
            let segments = pieces(std::mem::take(&mut progress.segments));
            let whole = Whole { segments, length: progress.end, trailers: trailers.into() };
            // It is said once.
            let _ = self.whole.set(whole);
        }
        let waiting = std::mem::take(&mut progress.waiting);
        drop(progress);
        waiting.iter().for_each(Caller::call);
    }

    /// It will never be complete.
    pub fn fail(&self) {
        let mut progress = self.progress.lock();
        if progress.stage == Stage::Filling {
            progress.stage = Stage::Broken;
            let waiting = std::mem::take(&mut progress.waiting);
            drop(progress);
            waiting.iter().for_each(Caller::call);
        }
    }

    /// Its length in bytes, once it is complete and kept.
    #[inline]
    pub fn length(&self) -> Option<u64> {
        self.whole.get().map(|whole| whole.length)
    }

    /// Bytes that have come so far.
    pub fn received(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    /// Whether somebody who comes now gets all of it.
    pub fn is_open(&self) -> bool {
        if self.whole.get().is_some() {
            return true;
        }
        let progress = self.progress.lock();
        let is_there = progress.stage == Stage::Complete || !self.is_deserted();
        progress.window.is_none() || progress.start == 0 && is_there
    }

    /// Whether it is kept, or there may be somebody who reads it.
    pub fn is_wanted(&self) -> bool {
        !self.is_deserted() || self.is_kept()
    }

    /// Whether it has failed.
    pub fn is_broken(&self) -> bool {
        self.whole.get().is_none() && self.progress.lock().stage == Stage::Broken
    }

    /// All of it, if it is complete and kept.
    #[inline]
    pub fn segments(&self) -> Option<&[Segment]> {
        self.whole.get().map(|whole| &*whole.segments)
    }

    /// The trailers of a complete one.
    pub fn trailers(&self) -> &[u8] {
        self.whole.get().map_or(&[], |whole| &whole.trailers)
    }

    /// What it takes of memory, in bytes, with what is around the content.
    pub fn weight(&self) -> u64 {
        const SEGMENT: u64 = size_of::<Segment>() as u64;
        match self.whole.get() {
            Some(whole) => {
                let held = whole.segments.iter().map(|segment| super::weight::block(segment.len() as u64 + 16));
                let list = super::weight::block(SEGMENT * whole.segments.len() as u64);
                held.sum::<u64>() + list + super::weight::block(size_of::<Self>() as u64 + 16)
            }
            None => {
                let progress = self.progress.lock();
                progress.end - progress.start + size_of::<Self>() as u64
            }
        }
    }
}

impl Progress {
    fn push(&mut self, segment: Segment) {
        self.end += segment.len() as u64;
        self.segments.push_back(segment);
    }

    /// Lets go of what is a window behind the furthest reader.
    fn cut(&mut self) {
        let Some(window) = self.window else { return };
        while let Some(first) = self.segments.front() {
            let end = self.start + first.len() as u64;
            if end + window > self.furthest {
                return;
            }
            self.start = end;
            self.segments.pop_front();
        }
    }

    fn find(&self, at: u64) -> Option<(Segment, usize)> {
        let mut from = self.start;
        for segment in &self.segments {
            let to = from + segment.len() as u64;
            if at < to {
                return usize::try_from(at - from).ok().map(|offset| (segment.clone(), offset));
            }
            from = to;
        }
        None
    }
}

/// A whole content in pieces of one size, all but the last: blocks of one size take the place of each other, where blocks of many
/// sizes would leave gaps, half as much again as what is stored.
fn pieces(segments: VecDeque<Segment>) -> Box<[Segment]> {
    if segments.len() == 1 && segments[0].len() <= PIECE {
        return segments.into_iter().collect();
    }
    let total: usize = segments.iter().map(|segment| segment.len()).sum();
    let (mut made, mut piece) = (Vec::with_capacity(total.div_ceil(PIECE)), Vec::with_capacity(PIECE));
    for segment in segments {
        let mut rest = &segment[..];
        while !rest.is_empty() {
            let (here, after) = rest.split_at(rest.len().min(PIECE - piece.len()));
            piece.extend_from_slice(here);
            rest = after;
            if piece.len() == PIECE {
                made.push(Segment::from(&piece[..]));
                piece.clear();
            }
        }
    }
    if !piece.is_empty() {
        made.push(Segment::from(piece));
    }
    made.into_boxed_slice()
}

impl Reader {
    /// A reader that begins at an offset. What is before it is not waited for.
    pub fn new(body: Arc<Body>, at: u64) -> Self {
        body.readers.fetch_add(1, Ordering::AcqRel);
        body.claimed.store(true, Ordering::Release);
        if at > 0 && body.whole.get().is_none() {
            let mut progress = body.progress.lock();
            progress.furthest = progress.furthest.max(at);
            let filler = progress.filler.take();
            drop(progress);
            if let Some(filler) = filler {
                filler.call();
            }
        }
        Self { body, at }
    }

    /// The body.
    pub fn body(&self) -> &Arc<Body> {
        &self.body
    }

    /// How far it has got.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether content is there that it has not read.
    pub fn has_more(&self) -> bool {
        self.at < self.body.received()
    }

    /// What is next. Content counts as read.
    pub fn read(&mut self) -> io::Result<Piece> {
        if let Some(whole) = self.body.whole.get() {
            let at = usize::try_from(self.at).unwrap_or(usize::MAX);
            let Some(segment) = whole.segments.get(at / PIECE) else { return Ok(Piece::End) };
            let offset = at % PIECE;
            if offset >= segment.len() {
                return Ok(Piece::End);
            }
            self.at += (segment.len() - offset) as u64;
            return Ok(Piece::Content(segment.clone(), offset));
        }
        let mut progress = self.body.progress.lock();
        if self.at < progress.start {
            return Ok(Piece::Gone);
        }
        if let Some((segment, offset)) = progress.find(self.at) {
            self.at += (segment.len() - offset) as u64;
            if progress.window.is_some() && self.at > progress.furthest {
                progress.furthest = self.at;
                progress.cut();
                let filler = progress.filler.take();
                drop(progress);
                if let Some(filler) = filler {
                    filler.call();
                }
            }
            return Ok(Piece::Content(segment, offset));
        }
        match progress.stage {
            // It became whole between the two looks.
            Stage::Complete if self.body.whole.get().is_some() => {
                drop(progress);
                self.read()
            }
            Stage::Complete => Ok(Piece::End),
            Stage::Broken => Ok(Piece::Broken),
            Stage::Filling => {
                let (caller, callee) = call()?;
                progress.waiting.push(caller);
                Ok(Piece::Later(callee))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.body.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Whoever fills it may have nobody left to wait for.
            let filler = self.body.progress.lock().filler.take();
            if let Some(filler) = filler {
                filler.call();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(bytes: &[u8]) -> Segment {
        Segment::from(bytes)
    }

    fn read(reader: &mut Reader) -> Vec<u8> {
        let mut read = Vec::new();
        while let Ok(Piece::Content(segment, offset)) = reader.read() {
            read.extend_from_slice(&segment[offset..]);
        }
        read
    }

    #[test]
    fn readers_get_the_same_bytes_whenever_they_come() {
        let body = Arc::new(Body::default());
        let mut early = Reader::new(body.clone(), 0);
        body.append(segment(b"abc"));
        assert_eq!(read(&mut early), b"abc");
        body.append(segment(b"def"));
        body.finish(b"");
        assert_eq!(read(&mut early), b"def");
        assert!(matches!(early.read(), Ok(Piece::End)));
        assert_eq!(read(&mut Reader::new(body.clone(), 2)), b"cdef");
        assert_eq!((body.length(), body.segments().map(<[_]>::len)), (Some(6), Some(1)), "small ones are joined");
    }

    #[test]
    fn what_is_kept_is_found_at_every_place() {
        let whole: Vec<u8> = (0..3 * PIECE + 5).map(|at| (at * 7 % 251) as u8).collect();
        let body = Arc::new(Body::default());
        whole.chunks(1000).for_each(|part| body.append(segment(part)));
        body.finish(b"");
        for body in [body, Arc::new(Body::of(&whole))] {
            assert_eq!((body.segments().map(<[_]>::len), body.received()), (Some(4), whole.len() as u64));
            for at in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, whole.len() - 1, whole.len()] {
                assert_eq!(read(&mut Reader::new(body.clone(), at as u64)), whole[at..], "{at}");
            }
        }
    }

    #[test]
    fn what_broke_off_never_ends() {
        let body = Arc::new(Body::default());
        body.append(segment(b"abc"));
        body.fail();
        let mut reader = Reader::new(body.clone(), 0);
        assert_eq!(read(&mut reader), b"abc");
        assert!(matches!(reader.read(), Ok(Piece::Broken)) && body.length().is_none());
    }

    #[test]
    fn a_window_drops_who_is_slow_and_what_nobody_reads() {
        let body = Arc::new(Body::default());
        let (mut slow, mut quick) = (Reader::new(body.clone(), 0), Reader::new(body.clone(), 0));
        body.slide(4);
        body.append(segment(b"abc"));
        for _ in 0..4 {
            assert_eq!(read(&mut quick), b"abc");
            body.append(segment(b"abc"));
        }
        assert!(body.is_wanted());
        assert!(matches!(slow.read(), Ok(Piece::Gone)));
        assert!(!body.is_open(), "who comes now would not get its beginning");
        drop((slow, quick));
        assert!(!body.is_wanted());
        body.finish(b"");
        assert_eq!(body.length(), None, "it was not kept");
    }

    #[test]
    fn who_begins_in_the_middle_is_not_waited_for_at_the_beginning() {
        let body = Arc::new(Body::default());
        body.slide(4);
        let mut reader = Reader::new(body.clone(), 100);
        for _ in 0..25 {
            assert!(matches!(body.ahead(), Ok(None)), "at {}", body.received());
            assert!(matches!(reader.read(), Ok(Piece::Later(_))));
            body.append(segment(b"abcd"));
        }
        body.append(segment(b"efgh"));
        assert_eq!(read(&mut reader), b"efgh");
    }
}
