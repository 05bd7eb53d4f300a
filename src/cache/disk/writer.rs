//! A worker's side of writing an object: what has come is gathered and handed on in pieces; nothing is waited for.

use super::record::CHUNK;
use super::shared::{Begun, Described, Job, Shared, Spread};
use super::{Key, LONGEST_HEAD, LONGEST_META, Piece, Refused};
use std::sync::Arc;

/// Bytes of a large object that are handed on at a time.
const BATCH: usize = 4 * CHUNK;

/// An object to be stored.
#[derive(Debug)]
pub struct Object {
    /// Its key: a hash, so that no two are the same.
    pub key: Key,
    /// When it was asked for, in purges.
    pub stamp: u64,
    /// What the cache has to say of it, opaque here; at most [`LONGEST_META`] bytes.
    pub meta: Box<[u8]>,
    /// Its head, likewise; at most [`LONGEST_HEAD`] bytes.
    pub head: Box<[u8]>,
    /// Bytes of its content, if that is known.
    pub length: Option<u64>,
}

/// An object that is being written. It is stored once it is finished; dropped before, nothing comes of it.
pub struct Writer {
    shared: Arc<Shared>,
    object: Described,
    expected: Option<u64>,
    length: u64,
    pieces: Vec<Piece>,
    /// Bytes of them.
    gathered: usize,
    stage: Stage,
}

enum Stage {
    Small(Begun),
    Large(Arc<Spread>),
    Failed(Refused),
}

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>, object: Object) -> Result<Self, Refused> {
        let begun = || {
            shared.takes()?;
            if object.length.is_some_and(|length| length > shared.largest()) {
                return Err(Refused::TooLarge);
            }
            Ok(Stage::Small(Begun::new(shared.clone(), object.key, object.stamp)))
        };
        let stage = begun().map_err(|why| shared.counts.refuse(why))?;
        let expected = object.length;
        let object = Described { stamp: object.stamp, meta: object.meta, head: object.head };
        Ok(Self { shared: shared.clone(), object, expected, length: 0, pieces: Vec::new(), gathered: 0, stage })
    }

    /// More of the content.
    ///
    /// # Errors
    /// Nothing comes of the object, and every later call says the same.
    pub fn write(&mut self, piece: Piece) -> Result<(), Refused> {
        if let Stage::Failed(why) = &self.stage {
            return Err(*why);
        }
        self.length += piece.len() as u64;
        if self.length > self.expected.unwrap_or(u64::MAX) {
            return Err(self.fail(Refused::Incomplete));
        }
        if self.length > self.shared.largest() {
            return Err(self.fail(Refused::TooLarge));
        }
        if piece.is_empty() {
            return Ok(());
        }
        self.gathered += piece.len();
        self.pieces.push(piece);
        if self.gathered >= BATCH { self.hand_on() } else { Ok(()) }
    }

    /// That was all: it is stored a moment later.
    ///
    /// # Errors
    /// Nothing comes of the object.
    pub fn finish(mut self) -> Result<(), Refused> {
        if self.expected.is_some_and(|expected| expected != self.length) {
            return Err(self.fail(Refused::Incomplete));
        }
        if self.object.meta.len() > LONGEST_META || self.object.head.len() > LONGEST_HEAD {
            return Err(self.fail(Refused::TooLarge));
        }
        if self.length > CHUNK as u64 && self.gathered > 0 {
            self.hand_on()?;
        }
        let (object, body, length) = (self.object, self.pieces, self.gathered);
        let job = match self.stage {
            Stage::Small(begun) => Job::Whole { begun, object, body, length },
            Stage::Large(spread) => Job::Finish { spread, object },
            Stage::Failed(why) => return Err(why),
        };
        self.shared.submit(job).map_err(|why| self.shared.counts.refuse(why))
    }

    /// As [`Writer::finish`], for whoever learns only now what there is to say of it.
    ///
    /// # Errors
    /// Nothing comes of the object.
    pub fn finish_with(mut self, meta: Box<[u8]>, head: Box<[u8]>) -> Result<(), Refused> {
        (self.object.meta, self.object.head) = (meta, head);
        self.finish()
    }

    /// Hands on what was gathered.
    fn hand_on(&mut self) -> Result<(), Refused> {
        let spread = match std::mem::replace(&mut self.stage, Stage::Failed(Refused::Failing)) {
            Stage::Small(begun) => Arc::new(Spread::new(begun)),
            Stage::Large(spread) if spread.is_failed() => return Err(self.fail(Refused::Failing)),
            Stage::Large(spread) => spread,
            Stage::Failed(why) => return Err(why),
        };
        let (body, length) = (std::mem::take(&mut self.pieces), std::mem::take(&mut self.gathered));
        match self.shared.submit(Job::Chunks { spread: spread.clone(), body, length }) {
            Ok(()) => self.stage = Stage::Large(spread),
            Err(why) => return Err(self.fail(why)),
        }
        Ok(())
    }

    fn fail(&mut self, why: Refused) -> Refused {
        self.pieces = Vec::new();
        self.stage = Stage::Failed(why);
        self.shared.counts.refuse(why)
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({} bytes)", self.length)
    }
}
