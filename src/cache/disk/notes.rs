//! The journal of purges: what was purged must not come back with a start, so each purge is written here before it counts as
//! done.
//!
//! What always holds: a note that [`Notes::sync`] has returned for is found again, also after a loss of power; one whose
//! journal is damaged in the middle, or gone, says so ([`Notes::is_damaged`]), as then nobody knows what was purged. The
//! journal has a bound: a note is dropped once nothing stored is older than it, and where that is not enough the oldest
//! give way to a purge of all that is older than they.

use super::Key;
use super::record::{u32_at, u64_at};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const MAGIC: u64 = u64::from_le_bytes(*b"rwNOTE02");
/// Bytes before the bytes of a note.
const HEADER: usize = 32;
/// Bytes of a note.
pub(super) const LONGEST: usize = 4096;

/// What a note says of what is older than it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// What the cache has written down.
    Note(Box<[u8]>),
    /// That this key is gone.
    Key(Key),
    /// That all of it is gone.
    All,
    /// Nothing; notes up to here have been dropped.
    Dropped,
}

/// The journal.
#[derive(Debug)]
pub(super) struct Notes {
    folder: PathBuf,
    /// The folder itself, so that it can be made durable whatever else is open.
    place: File,
    /// Whether the journal was renamed since the folder was last made durable.
    is_moved: bool,
    file: File,
    length: u64,
    limit: u64,
    /// How long it was when it was last written anew.
    compacted: u64,
    is_damaged: bool,
    /// By stamp, in the order in which they came.
    kept: Vec<(u64, What)>,
    /// All that is older is gone.
    floor: u64,
    /// Notes up to this one have been dropped.
    dropped: u64,
}

impl Notes {
    /// Opens the journal in `folder`, of at most `limit` bytes; while it is written anew it takes twice that.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        let _ = std::fs::remove_file(folder.join("notes.new"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path(folder))?;
        let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, 0)?;
        let (kept, floor, dropped) = (Vec::new(), 0, 0);
        let (place, folder) = (File::open(folder)?, folder.to_owned());
        let mut notes = Self {
            folder,
            place,
            is_moved: false,
            file,
            length: 8,
            limit,
            compacted: 8,
            is_damaged: true,
            kept,
            floor,
            dropped,
        };
        notes.load(&bytes);
        if !notes.is_damaged {
            notes.file.set_len(notes.length)?;
        }
        Ok(notes)
    }

    fn load(&mut self, bytes: &[u8]) {
        if bytes.first_chunk() != Some(&MAGIC.to_le_bytes()) {
            return;
        }
        let mut at = 8;
        while let Some((stamp, what, size)) = read(&bytes[at..]) {
            self.take(stamp, what);
            at += size;
        }
        let rest = &bytes[at..];
        // What was being written when it ended is short, or was never written. Anything else was a note.
        let is_short = match rest.first_chunk() {
            None => true,
            Some(header) => is_header(header) && rest.len() < HEADER + u32_at(header, 0) as usize,
        };
        self.is_damaged = !is_short && rest.iter().any(|byte| *byte != 0);
        self.length = at as u64;
    }

    /// Whether there may have been notes that are lost: then nothing that is stored can be trusted. Stays so until
    /// [`Notes::repair`].
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Goes on with what there is, now that nothing is stored.
    pub fn repair(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.write_all_at(&MAGIC.to_le_bytes(), 0)?;
        self.file.sync_all()?;
        self.place.sync_all()?;
        self.is_damaged = false;
        Ok(())
    }

    /// All that is older is gone.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// What is older than this may have been purged by a note that is not there any more: it must not be stored.
    pub fn threshold(&self) -> u64 {
        self.floor.max(self.dropped)
    }

    /// The notes that are in force.
    pub fn kept(&self) -> &[(u64, What)] {
        &self.kept
    }

    /// The largest stamp of any note.
    pub fn newest(&self) -> u64 {
        self.kept.iter().map(|(stamp, _)| *stamp).fold(self.threshold(), u64::max)
    }

    /// Bytes that it takes on the disk at most.
    pub fn room(&self) -> u64 {
        2 * self.limit
    }

    /// Writes a note down. It is safe once [`Notes::sync`] has returned.
    pub fn add(&mut self, stamp: u64, what: What) -> io::Result<()> {
        let mut bytes = Vec::new();
        write(stamp, &what, &mut bytes);
        self.take(stamp, what);
        if self.length + bytes.len() as u64 > self.limit {
            self.thin_out();
            return self.rewrite();
        }
        let written = self.file.write_all_at(&bytes, self.length);
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            // The next one is written over what there is of it.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }

    /// Has the disk keep what was added.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.is_moved {
            self.place.sync_all()?;
            self.is_moved = false;
        }
        self.file.sync_data()
    }

    /// Drops what has become needless, if that is worth it: nothing is stored that is older than `oldest`.
    pub fn compact(&mut self, oldest: u64) -> io::Result<()> {
        if self.length < (self.limit / 4).max(2 * self.compacted) {
            return Ok(());
        }
        self.drop_until(oldest);
        self.rewrite()
    }

    fn take(&mut self, stamp: u64, what: What) {
        match what {
            What::All => {
                self.floor = self.floor.max(stamp);
                self.kept.retain(|(other, _)| *other > stamp);
            }
            What::Dropped => self.dropped = self.dropped.max(stamp),
            what => self.kept.push((stamp, what)),
        }
    }

    fn drop_until(&mut self, oldest: u64) {
        let needless = self.kept.iter().map(|(stamp, _)| *stamp).filter(|stamp| *stamp <= oldest).max();
        self.dropped = self.dropped.max(needless.unwrap_or(0));
        self.kept.retain(|(stamp, _)| *stamp > oldest);
    }

    /// Half of the notes give way to a purge of all that is older than they.
    fn thin_out(&mut self) {
        let mut stamps: Vec<u64> = self.kept.iter().map(|(stamp, _)| *stamp).collect();
        stamps.sort_unstable();
        if let Some(middle) = stamps.get(stamps.len() / 2) {
            tracing::warn!(
                "more purges than the disk cache remembers: what is older than half of them goes from the disk"
            );
            self.take(*middle, What::All);
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        write(self.floor, &What::All, &mut bytes);
        write(self.dropped, &What::Dropped, &mut bytes);
        self.kept.iter().for_each(|(stamp, what)| write(*stamp, what, &mut bytes));
        let new = self.folder.join("notes.new");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        std::fs::rename(&new, path(&self.folder))?;
        // From here on this is the journal, whatever fails.
        (self.file, self.length, self.compacted) = (file, bytes.len() as u64, bytes.len() as u64);
        self.is_moved = true;
        self.sync()
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("notes")
}

fn write(stamp: u64, what: &What, out: &mut Vec<u8>) {
    let key;
    let (kind, bytes): (u8, &[u8]) = match what {
        What::Note(bytes) => (1, bytes),
        What::Key(name) => {
            key = name.to_le_bytes();
            (2, &key)
        }
        What::All => (3, &[]),
        What::Dropped => (4, &[]),
    };
    let start = out.len();
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&stamp.to_le_bytes());
    out.extend_from_slice(&xxh3_64_with_seed(bytes, MAGIC).to_le_bytes());
    let sum = xxh3_64_with_seed(&out[start..], MAGIC);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Whether a header is as it was written: its last bytes are the checksum of what is before them.
fn is_header(header: &[u8; HEADER]) -> bool {
    u64_at(header, HEADER - 8) == xxh3_64_with_seed(&header[..HEADER - 8], MAGIC)
}

/// The note that `bytes` begin with, and the bytes that it takes.
fn read(bytes: &[u8]) -> Option<(u64, What, usize)> {
    let header = bytes.first_chunk().filter(|header| is_header(header))?;
    let length = u32_at(header, 0) as usize;
    let own = bytes.get(HEADER..HEADER.checked_add(length)?)?;
    if u64_at(header, 16) != xxh3_64_with_seed(own, MAGIC) {
        return None;
    }
    let what = match header[4] {
        1 => What::Note(own.into()),
        2 => What::Key(Key::from_le_bytes(*own.first_chunk()?)),
        3 => What::All,
        4 => What::Dropped,
        _ => return None,
    };
    Some((u64_at(header, 8), what, HEADER + length))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    const LIMIT: u64 = 4096;

    fn note(text: &str) -> What {
        What::Note(text.as_bytes().into())
    }

    #[test]
    fn notes_are_found_again_in_their_order() {
        let scratch = Scratch::new("notes");
        let mut notes = Notes::open(scratch.path(), LIMIT).unwrap();
        assert!(notes.is_damaged(), "there was none");
        notes.repair().unwrap();
        notes.add(1, note("tag a")).unwrap();
        notes.add(2, What::Key(77)).unwrap();
        notes.sync().unwrap();
        let again = Notes::open(scratch.path(), LIMIT).unwrap();
        assert!(!again.is_damaged());
        assert_eq!(again.kept(), [(1, note("tag a")), (2, What::Key(77))]);
        assert_eq!((again.floor(), again.newest()), (0, 2));
        notes.add(2, What::All).unwrap();
        notes.add(3, note("tag b")).unwrap();
        let again = Notes::open(scratch.path(), LIMIT).unwrap();
        assert_eq!((again.kept(), again.floor()), ([(3, note("tag b"))].as_slice(), 2));
    }

    #[test]
    fn the_journal_has_a_bound_and_what_is_dropped_purges_all_that_is_older() {
        let scratch = Scratch::new("notes-bound");
        let mut notes = Notes::open(scratch.path(), LIMIT).unwrap();
        notes.repair().unwrap();
        for stamp in 1..1000 {
            notes.add(stamp, note("a tag of some length")).unwrap();
            assert!(std::fs::metadata(path(scratch.path())).unwrap().len() <= LIMIT);
        }
        let again = Notes::open(scratch.path(), LIMIT).unwrap();
        assert_eq!(again.kept(), notes.kept());
        let oldest = again.kept().iter().map(|(stamp, _)| *stamp).min().unwrap();
        assert!(oldest > 900 && again.floor() == oldest - 1, "{oldest} {}", again.floor());
        // With nothing stored that is older than the middle, those up to it are needless.
        while notes.length < LIMIT / 2 {
            notes.add(2000, note("a tag of some length")).unwrap();
        }
        notes.compacted = 8;
        notes.compact(1500).unwrap();
        assert!(notes.kept().iter().all(|(stamp, _)| *stamp == 2000));
        let again = Notes::open(scratch.path(), LIMIT).unwrap();
        assert_eq!((again.kept(), again.threshold()), (notes.kept(), 999));
    }

    #[test]
    fn a_torn_end_is_no_damage_and_a_hole_is() {
        let scratch = Scratch::new("notes-torn");
        let mut notes = Notes::open(scratch.path(), LIMIT).unwrap();
        notes.repair().unwrap();
        notes.add(1, note("first")).unwrap();
        let first = notes.length as usize;
        notes.add(2, note("second")).unwrap();
        let whole = std::fs::read(path(scratch.path())).unwrap();
        for cut in 8..whole.len() {
            std::fs::write(path(scratch.path()), &whole[..cut]).unwrap();
            let again = Notes::open(scratch.path(), LIMIT).unwrap();
            assert!(!again.is_damaged(), "cut at {cut}");
            assert_eq!(again.kept().len(), usize::from(cut >= first));
        }
        let mut zeros = whole[..first].to_vec();
        zeros.resize(whole.len(), 0);
        std::fs::write(path(scratch.path()), &zeros).unwrap();
        assert!(!Notes::open(scratch.path(), LIMIT).unwrap().is_damaged(), "a length without content");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            std::fs::write(path(scratch.path()), &changed).unwrap();
            for look in ["at first", "until it is repaired"] {
                assert!(Notes::open(scratch.path(), LIMIT).unwrap().is_damaged(), "byte {at}, {look}");
            }
        }
    }
}
