//! A store's tier on the disk.
//!
//! What always holds: what was purged stays so over a restart; keys are the same over one, as the number that they are made with is
//! kept beside them.

use super::entry::Entry;
use super::purge::{Force, Purge, Purged};
use super::record::{self, Record};
use super::{Key, Store};
use crate::cache::disk::{Disk, Object, Options, Receipt, Recovered, Writer};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Where a store's tier on the disk is, and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// The folder.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// A tier that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    disk: Disk,
    path: PathBuf,
}

impl Store {
    /// Has its tier on the disk as it is wanted. Reads and writes a small file: for control.
    pub fn shelve(self: &Arc<Self>, wanted: Option<&Shelf>) -> io::Result<()> {
        let present = self.shelf.load_full();
        match (present.as_deref(), wanted) {
            (Some(opened), Some(shelf)) if opened.path == shelf.path => opened.disk.resize(shelf.size),
            (None, None) => {}
            (_, None) => self.shelf.store(None),
            (_, Some(shelf)) => {
                // Two of one process must not want the same folder either.
                self.shelf.store(None);
                self.shelf.store(Some(Arc::new(self.open(shelf)?)));
            }
        }
        Ok(())
    }

    fn open(self: &Arc<Self>, shelf: &Shelf) -> io::Result<Opened> {
        self.seed.store(seed(&shelf.path)?, Ordering::Release);
        let (found, asked): (Weak<Self>, Weak<Self>) = (Arc::downgrade(self), Arc::downgrade(self));
        let ready = move |recovered: Recovered| {
            let Some(store) = found.upgrade() else { return };
            store.purges.advance(recovered.newest + 1);
            for note in &recovered.notes {
                // One that cannot be read purges everything before it.
                let (what, force) = read_note(&note.bytes).unwrap_or((Purge::All, Force::Hard));
                store.purges.recall(what, force, note.stamp);
            }
        };
        let renew = move |_: Key, stamp: u64, meta: &[u8]| {
            let store = asked.upgrade()?;
            let now = store.purges.now();
            match record::read(meta)? {
                Record::Varies(..) => Some(now),
                Record::Answer(answer, key) => match store.purges.of(&answer.marks(stamp, key)) {
                    None => Some(now),
                    // It goes on being one that counts as stale.
                    Some(Purged::Soft(_)) => Some(stamp),
                    Some(Purged::Hard) => None,
                },
            }
        };
        let disk = Disk::open(Options {
            folder: shelf.path.clone(),
            size: shelf.size,
            ring: true,
            ready: Some(Box::new(ready)),
            renew: Some(Arc::new(renew)),
        })?;
        Ok(Opened { disk, path: shelf.path.clone() })
    }

    /// Lets go of the tier on the disk, so that another process can have it. Returns at once.
    pub fn unshelve(&self) {
        self.shelf.store(None);
    }

    /// The same, waiting until all is written, for at most `limit`. Blocks.
    pub fn close(&self, limit: Duration) {
        if let Some(opened) = self.shelf.swap(None) {
            opened.disk.close();
            opened.disk.wait_closed(limit);
        }
    }

    /// Calls `then` with the tier on the disk, if there is one.
    pub fn with_disk<T>(&self, then: impl FnOnce(&Disk) -> T) -> Option<T> {
        self.shelf.load().as_ref().map(|opened| then(&opened.disk))
    }

    /// The tier on the disk, if there is one and it may have something.
    pub fn disk(&self) -> Option<Arc<impl AsRef<Disk> + use<>>> {
        self.shelf.load_full()
    }

    /// Begins to write an answer to the disk. `birth`: since when that has what it varies on, if that is known.
    pub fn write(&self, key: Key, entry: &Entry, birth: Option<u64>) -> Option<Writer> {
        self.with_disk(|disk| {
            let object = |key, meta, head: &[u8], length| Object {
                key,
                stamp: entry.stamp.known(),
                meta,
                head: head.into(),
                length,
            };
            if !entry.vary.is_empty() {
                // What the disk does not take is counted there.
                let spec = object(
                    key,
                    record::of_vary(&entry.vary, birth.unwrap_or_else(|| self.birth(key, entry))),
                    b"",
                    Some(0),
                );
                let _ = disk.put(spec).and_then(Writer::finish);
            }
            disk.put(object(place(key, entry), record::of(entry), &entry.head, entry.length)).ok()
        })?
    }

    /// Since when the disk has what an answer varies on: since the oldest of its kind that is known.
    fn birth(&self, key: Key, entry: &Entry) -> u64 {
        let slot = self.find(key);
        let same = slot.iter().flat_map(|slot| &slot.variants).filter(|other| other.vary == entry.vary);
        same.map(|other| other.stamp.asked()).fold(entry.stamp.asked(), u64::min)
    }

    /// A validation has brought an answer up to date that is on the disk.
    pub fn rewrite(&self, key: Key, entry: &Entry) {
        self.with_disk(|disk| {
            if let Some(location) = disk.find(place(key, entry)) {
                let _ = disk.renew(&location, entry.stamp.known(), record::of(entry), entry.head.clone());
            }
        });
    }

    /// Forgets what the disk has under a key, with the variants that `entries` name.
    pub(super) fn forget_on_disk<'e>(&self, key: Key, entries: impl Iterator<Item = &'e Arc<Entry>>) {
        self.with_disk(|disk| {
            // What stands under the keys of variants that are not known here is older than any that is stored after this.
            self.purges.tick();
            disk.forget(key);
            for entry in entries {
                disk.forget(place(key, entry));
            }
        });
    }

    /// Purges, in memory and on the disk. The receipt comes once the disk will remember it over a loss of power.
    pub fn purge(&self, what: Purge, force: Force) -> Option<Receipt> {
        let note = write_note(&what, force);
        let all = what == Purge::All && force == Force::Hard;
        let stamp = self.purges.purge(what, force);
        self.with_disk(|disk| if all { disk.purge_all(stamp) } else { disk.note(stamp, note) })
    }
}

impl Store {
    /// Purges what a client or an origin has changed. The disk is told as soon as it can be.
    pub fn invalidate(&self, what: Purge) {
        let hard = |what: &Purge| write_note(what, Force::Hard);
        // Clients decide how often: what there is no room for goes with all of its kind.
        let instead = hard(if matches!(what, Purge::Uri(_)) { &Purge::Uris } else { &Purge::All });
        let note = hard(&what);
        let stamp = self.purges.purge(what, Force::Hard);
        self.with_disk(|disk| disk.note_or(stamp, note, instead));
    }
}

impl AsRef<Disk> for Opened {
    fn as_ref(&self) -> &Disk {
        &self.disk
    }
}

/// Where an answer stands on the disk.
fn place(key: Key, entry: &Entry) -> Key {
    if entry.vary.is_empty() { key } else { entry.variant.0 }
}

/// The number that keys are made with, kept in the folder.
fn seed(folder: &Path) -> io::Result<u64> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join("seed");
    let mut text = String::new();
    let read = OpenOptions::new().read(true).open(&path).and_then(|file| file.take(64).read_to_string(&mut text));
    if let (Ok(_), Ok(seed)) = (read, u64::from_str_radix(text.trim(), 16)) {
        return Ok(seed);
    }
    let seed = fastrand::u64(..);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    writeln!(file, "{seed:016x}")?;
    file.sync_all()?;
    Ok(seed)
}

fn write_note(what: &Purge, force: Force) -> Box<[u8]> {
    let (kind, bytes): (u8, Vec<u8>) = match what {
        Purge::All => (0, Vec::new()),
        Purge::Host(hash) => (1, hash.to_le_bytes().to_vec()),
        Purge::Tag(hash) => (2, hash.to_le_bytes().to_vec()),
        Purge::Prefix(prefix) => (3, prefix.to_vec()),
        Purge::Uri(hash) => (4, hash.to_le_bytes().to_vec()),
        Purge::Uris => (5, Vec::new()),
    };
    [&[kind, u8::from(force == Force::Hard)], &bytes[..]].concat().into_boxed_slice()
}

fn read_note(bytes: &[u8]) -> Option<(Purge, Force)> {
    let ([kind, hard], bytes) = bytes.split_first_chunk::<2>()?;
    let hash = || bytes.try_into().ok().map(u64::from_le_bytes);
    let what = match kind {
        0 => Purge::All,
        1 => Purge::Host(hash()?),
        2 => Purge::Tag(hash()?),
        3 => Purge::Prefix(bytes.into()),
        4 => Purge::Uri(hash()?),
        5 => Purge::Uris,
        _ => return None,
    };
    Some((what, if *hard == 1 { Force::Hard } else { Force::Soft }))
}
