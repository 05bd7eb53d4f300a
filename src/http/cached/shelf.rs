//! Answers that are on the disk, brought into memory for those who ask for them.

use super::batch::send_read;
use super::fill::{WINDOW, wall};
use super::quick::{AsStored, is_plain, write_head};
use super::view::View;
use super::{Cached, Course};
use crate::cache::disk::{self, CHUNK, Chunks, Disk, Stored};
use crate::cache::store::body::{Body, Segment};
use crate::cache::store::entry::Entry;
use crate::cache::store::purge::Purged;
use crate::cache::store::record::{self, Answer, Record};
use crate::cache::store::{Key, Store};
use crate::cache::{self, Request, RequestDirectives, Use};
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::head::Method;
use crate::net::{self, coarse_now};
use std::sync::Arc;
use std::time::Duration;

/// How long content waits for somebody to read on.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer that the disk has.
pub(super) enum Shelved {
    /// It is in memory by now, or on its way there.
    Entry(Arc<Entry>),
    /// It is given as it is.
    Passing(Box<Passing>),
}

/// An answer that is given as it was read.
pub(super) struct Passing {
    answer: Answer,
    stored: Stored,
    /// How long it has been stored, in milliseconds.
    resident: u64,
}

impl Cached<'_, '_> {
    /// The answer that the disk has for the request, if it has one that fits.
    pub(super) async fn shelved(&mut self, key: Key) -> Option<Shelved> {
        let store = self.store().clone();
        let shelf = store.disk()?;
        let disk: &Disk = (*shelf).as_ref();
        // What is changed while it is read is not taken into memory.
        let before = store.forgotten(key);
        let mut place = key;
        loop {
            let stored = disk.read(disk.find(place)?).await.ok()?;
            match record::read(stored.meta())? {
                Record::Varies(vary, birth) if place == key => {
                    self.birth = Some(birth);
                    let Exchange { heads, text, .. } = &*self.exchange;
                    let view = View { fields: &heads.request.fields, text };
                    place = vary.key(store.seed(), key, &view, &mut Vec::new());
                }
                Record::Varies(..) => return None,
                Record::Answer(answer, named) => {
                    let purged = store.purges.of(&answer.marks(stored.stamp(), named));
                    // One that is older than what it is told by was forgotten.
                    let forgotten = self.birth.is_some_and(|birth| stored.stamp() < birth);
                    if forgotten || purged == Some(Purged::Hard) || *named != *self.exchange.heads.keys.key() {
                        return None;
                    }
                    disk.touch(place);
                    return Some(self.admit((key, before), answer, stored, purged));
                }
            }
        }
    }

    /// Takes an answer from the disk into memory, or passes it through if it is too large for that. `key`: with how often something
    /// had been forgotten under it before.
    fn admit(&self, key: (Key, u64), answer: Answer, stored: Stored, purged: Option<Purged>) -> Shelved {
        let store = self.store();
        let (length, stamp) = (stored.length(), stored.stamp());
        let before = answer.freshness.resident(wall());
        // What is compressed is kept, so that that is done once, and so is what may have to be validated.
        let passes = stored.is_whole()
            && length > 0
            && self.rule.compress.is_none()
            && purged.is_none()
            && (self.plain || is_plain(self.exchange, self.caching))
            && answer.freshness.verdict(before, &RequestDirectives::default()) == Use::Fresh
            && !store.is_for_memory(key.0, length);
        if passes && self.plain && self.exchange.heads.request.method == Method::Get {
            return Shelved::Passing(Box::new(Passing { answer, stored, resident: before }));
        }
        let head: Box<[u8]> = stored.head().into();
        let Answer { status, freshness, vary, variant, tags, host } = answer;
        let kept = length <= store.largest();
        let entry = |body: Arc<Body>| {
            Arc::new(Entry {
                status,
                head,
                freshness,
                vary,
                variant,
                tags,
                key: self.exchange.heads.keys.key().into(),
                host,
                stamp: stamp.into(),
                received: (coarse_now(), before),
                length: Some(length),
                body,
                parts: None,
                coded: Default::default(),
            })
        };
        match stored.into_body() {
            disk::Body::Whole(content) if passes => {
                Shelved::Entry(entry(Arc::new(Body::passing(Segment::from(&content[..])))))
            }
            disk::Body::Whole(content) => {
                let entry = entry(Arc::new(Body::of(&content)));
                insert(store, key, &entry);
                Shelved::Entry(entry)
            }
            disk::Body::Chunks(chunks) => {
                let first = if kept { 0 } else { self.first_chunk(length) };
                let body = match kept {
                    true => Arc::new(Body::default()),
                    false => Arc::new(Body::from(first * CHUNK as u64, WINDOW)),
                };
                let entry = entry(body);
                if kept {
                    insert(store, key, &entry);
                }
                net::spawn("cache read", read(store.clone(), key, entry.clone(), chunks, first));
                Shelved::Entry(entry)
            }
        }
    }

    /// Gives an answer as it was read.
    pub(super) async fn pass_on(&mut self, passing: Box<Passing>) -> Course {
        let Passing { answer: Answer { status, freshness, .. }, stored, resident } = *passing;
        let length = stored.length();
        let whole = AsStored { head: stored.head(), status, freshness: &freshness, resident, length };
        let out = write_head(self.exchange, self.caching, &whole, 0);
        let disk::Body::Whole(content) = stored.into_body() else { return Course::Pass };
        let Connection { client, listener, era, .. } = self.exchange.connection;
        self.exchange.outcome.answers_with(era, &out);
        self.exchange.outcome.body_out += length;
        self.exchange.outcome.bytes_out += out.len() as u64 + length;
        if let Err(error) = send_read(client, out, content, listener.timeouts.write_stall).await {
            self.exchange.gone(&error);
        }
        Course::Done
    }

    /// The first chunk that the request needs of a content of this length.
    fn first_chunk(&self, length: u64) -> u64 {
        let Exchange { heads, text, .. } = &*self.exchange;
        let view = View { fields: &heads.request.fields, text };
        let request = Request::of(&view, cache::Honour::None);
        // With conditions it may turn out to be the whole.
        let range = request.range.filter(|_| request.conditions.if_range.is_none());
        match range.map(|range| cache::range::resolve(range, length)) {
            Some(cache::range::Ranged::One(span)) => span.start / CHUNK as u64,
            _ => 0,
        }
    }
}

/// Reads a content from its chunk `first` on for those who want it.
async fn read(store: Arc<Store>, key: (Key, u64), entry: Arc<Entry>, chunks: Chunks, first: u64) {
    let body = &entry.body;
    for number in first..chunks.count() {
        let Ok(content) = chunks.read(number).await else {
            body.fail();
            store.drop_entry(key.0, &entry);
            return;
        };
        body.append(Segment::from(&content[..]));
        while let Ok(Some(callee)) = body.ahead() {
            if net::timeout(PATIENCE, callee).await.is_none() && !body.has_readers() {
                break;
            }
        }
        if !body.is_wanted() || !body.is_kept() && !body.has_readers() && body.received() > 2 * WINDOW {
            return body.fail();
        }
    }
    body.finish(b"");
    if body.is_kept() {
        // Its weight is another now.
        insert(&store, key, &entry);
    }
}

fn insert(store: &Store, (key, forgotten): (Key, u64), entry: &Arc<Entry>) {
    store.insert(key, forgotten, entry.clone(), |old| old.variant == entry.variant && old.vary == entry.vary);
}
