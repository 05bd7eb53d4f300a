//! Answers that are on the disk, brought into memory for those who ask for them.

use super::Cached;
use super::fill::{WINDOW, wall};
use super::quick::is_plain;
use super::view::View;
use crate::cache::disk::{CHUNK, Chunks, Disk, Stored};
use crate::cache::store::body::{Body, Segment};
use crate::cache::store::entry::Entry;
use crate::cache::store::purge::Purged;
use crate::cache::store::record::{self, Answer, Record};
use crate::cache::store::{Key, Store};
use crate::cache::{self, Request, RequestDirectives, Use};
use crate::http::exchange::Exchange;
use crate::net::{self, coarse_now};
use std::sync::Arc;
use std::time::Duration;

/// How long content waits for somebody to read on.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cached<'_, '_> {
    /// The answer that the disk has for the request, if it has one that fits.
    pub(super) async fn shelved(&mut self, key: Key) -> Option<Arc<Entry>> {
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
                Record::Answer(answer) => {
                    let purged = store.purges.of(&answer.marks(stored.stamp()));
                    // One that is older than what it is told by was forgotten.
                    let forgotten = self.birth.is_some_and(|birth| stored.stamp() < birth);
                    if forgotten || purged == Some(Purged::Hard) || *answer.key != *self.exchange.heads.keys.key() {
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
    fn admit(&self, key: (Key, u64), answer: Answer, stored: Stored, purged: Option<Purged>) -> Arc<Entry> {
        let store = self.store();
        let (length, stamp) = (stored.length(), stored.stamp());
        let head: Box<[u8]> = stored.head().into();
        let Answer { status, freshness, vary, variant, tags, host, key: bytes } = answer;
        let before = freshness.resident(wall());
        // What is compressed is kept, so that that is done once, and so is what may have to be validated.
        let is_plain = self.rule.compress.is_none()
            && purged.is_none()
            && is_plain(self.exchange, self.caching)
            && freshness.verdict(before, &RequestDirectives::default()) == Use::Fresh;
        let kept = length <= store.largest();
        let entry = |body: Arc<Body>| {
            Arc::new(Entry {
                status,
                head,
                freshness,
                vary,
                variant,
                tags,
                key: bytes,
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
            crate::cache::disk::Body::Whole(content)
                if !content.is_empty() && is_plain && !store.is_for_memory(key.0, length) =>
            {
                entry(Arc::new(Body::passing(Segment::from(&content[..]))))
            }
            crate::cache::disk::Body::Whole(content) => {
                let entry = entry(Arc::new(Body::of(&content)));
                insert(store, key, &entry);
                entry
            }
            crate::cache::disk::Body::Chunks(chunks) => {
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
                entry
            }
        }
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
