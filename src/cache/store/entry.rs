//! Answers as they are stored: what a key has, and each variant of it.

use super::body::Body;
use super::pieces::Pieces;
use super::purge::{Marks, Stamp};
use super::weight;
use crate::cache::{Freshness, Vary};
use crate::net::coarse_now;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// One stored answer. It never changes: a validation makes another one around the same body.
#[derive(Debug)]
pub struct Entry {
    /// The status.
    pub status: u16,
    /// The head as it was received, without what ends at a hop: a status line and whole lines, without the empty one.
    pub head: Box<[u8]>,
    /// How long it may be used.
    pub freshness: Freshness,
    /// What it varies on.
    pub vary: Vary,
    /// Of what varies: the key of the variant, and that under which those find it who want its language most.
    pub variant: (u128, Option<u128>),
    /// The hashes of its tags.
    pub tags: Box<[u64]>,
    /// The key, for purges by prefix.
    pub key: Arc<[u8]>,
    /// The hash of its host.
    pub host: u64,
    /// When it was asked for, in purges.
    pub stamp: Stamp,
    /// When it was received, by the coarse clock, and how long it had been here before this process knew of it, in milliseconds.
    pub received: (Duration, u64),
    /// The length of its content, in bytes, where that was said.
    pub length: Option<u64>,
    /// Its content; where there are `parts`, nothing.
    pub body: Arc<Body>,
    /// What is there of its content, where it is not all.
    pub parts: Option<Pieces>,
    /// Its content in other codings, made when they are asked for; `None`: that is no smaller.
    pub coded: [OnceLock<Option<Arc<Body>>>; 4],
}

/// What is stored under one key.
#[derive(Debug, Default)]
pub struct Slot {
    /// The variants, the newest first.
    pub variants: Vec<Arc<Entry>>,
    /// Until when, by the coarse clock, nobody waits for another's answer, as the last one was for its asker alone.
    pub lonely: Option<Duration>,
}

impl Entry {
    /// The first line of its head, with its end.
    pub fn status_line(&self) -> &[u8] {
        &self.head[..self.first_line()]
    }

    /// The lines of its fields.
    pub fn lines(&self) -> &[u8] {
        &self.head[self.first_line()..]
    }

    /// What its content takes in other codings, once they are complete.
    fn coded_weight(&self) -> u64 {
        let made = self.coded.iter().filter_map(|made| made.get()?.as_ref());
        made.filter(|body| body.length().is_some() || !body.is_kept()).map(|body| body.weight()).sum()
    }

    fn first_line(&self) -> usize {
        memchr::memchr(b'\n', &self.head).map_or(0, |end| end + 1)
    }

    /// The length of its content in bytes, as far as it is known.
    pub fn length(&self) -> Option<u64> {
        match self.parts {
            None => self.body.length().or(self.length),
            Some(_) => self.length,
        }
    }

    /// How long it has been here, in milliseconds.
    pub fn resident(&self) -> u64 {
        self.resident_at(coarse_now())
    }

    /// How long it had been here at a time of the coarse clock, in milliseconds.
    pub fn resident_at(&self, now: Duration) -> u64 {
        let (received, before) = self.received;
        let since = u64::try_from(now.saturating_sub(received).as_millis()).unwrap_or(u64::MAX);
        since.saturating_add(before)
    }

    /// What it is purged by.
    pub fn marks(&self) -> Marks<'_> {
        Marks { stamp: self.stamp.known(), host: self.host, tags: &self.tags, key: &self.key }
    }

    /// What it takes of memory, in bytes, its body included.
    pub fn weight(&self) -> u64 {
        let own = [
            size_of::<Self>() as u64 + 16,
            self.head.len() as u64,
            if self.vary.as_bytes().len() > 32 { self.vary.as_bytes().len() as u64 } else { 0 },
            8 * self.tags.len() as u64,
            self.key.len() as u64 + 16,
        ];
        own.into_iter().filter(|part| *part > 0).map(weight::block).sum::<u64>()
            + self.body.weight()
            + self.coded_weight()
            + self.parts.as_ref().map_or(0, Pieces::weight)
    }
}

impl Slot {
    /// What it takes of memory, in bytes.
    pub fn weight(&self) -> u64 {
        let entries: u64 = self.variants.iter().map(|entry| entry.weight()).sum();
        OVERHEAD + weight::block(8 * self.variants.capacity() as u64) + entries
    }
}

/// A slot, with its place in the table.
const OVERHEAD: u64 = 160;
