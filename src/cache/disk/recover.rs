//! What a start finds: segments with their lists, what was not sealed is scanned, and the purges that are in force.
//!
//! What always holds: where something of the log is lost, all that was stored before it goes as well, from the disk, too. What was
//! lost may have replaced it, or said that it is gone.

use super::index::{Entry, Place};
use super::log::{Log, notes_size};
use super::notes::{Notes, What};
use super::record::{Kind, Record};
use super::scan::{Scan, scan};
use super::segment::{Line, Seal, Segment};
use super::shared::Shared;
use super::{Note, Recovered};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Reads what is in `folder`.
pub(super) fn recover(folder: &Path, shared: &Arc<Shared>, ring: bool) -> io::Result<(Log, Recovered)> {
    let mut notes = Notes::open(folder, notes_size(shared.size()))?;
    let mut ids = list(folder)?;
    if notes.is_damaged() || shared.wipe.load(Ordering::SeqCst) {
        if !ids.is_empty() {
            tracing::warn!(folder = %folder.display(), "the disk cache's journal of purges is damaged or gone: nothing that is stored can be trusted, and all of it goes");
        }
        ids.iter().try_for_each(|id| std::fs::remove_file(Segment::path(folder, *id)))?;
        ids.clear();
        notes.repair()?;
    }
    shared.floor.fetch_max(notes.floor(), Ordering::AcqRel);
    let mut log = Log::new(folder.to_owned(), shared.clone(), notes, ring);
    let mut newest = log.notes.newest();
    let mut last: Option<Found> = None;
    for id in &ids {
        let is_missing = last.as_ref().is_some_and(|last| last.segment.id.checked_add(1) != Some(*id));
        let read = match Found::read(folder, *id) {
            // It was being made, and nothing was ever in it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && Some(id) == ids.last() => {
                std::fs::remove_file(Segment::path(folder, *id))?;
                break;
            }
            Err(error) if !is_damage(&error) => return Err(error),
            read => read,
        };
        log.follow(*id);
        if is_missing || read.as_ref().map_or(true, |found| found.has_hole) {
            shared.counts.corrupt.fetch_add(1, Ordering::Relaxed);
            let lost = if is_missing { "one before it is missing" } else { "it is damaged" };
            tracing::warn!(folder = %folder.display(), segment = id, lost, "a part of the disk cache is lost, and all that is older goes with it");
            if let Some(Found { segment, file, .. }) = last.take() {
                adopt(&mut log, segment, &file)?;
            }
            shared.index.clear();
            log.wipe()?;
        }
        match read {
            Ok(found) => {
                found.segment.note(found.seal.oldest);
                newest = apply(shared, *id, &found.seal).max(newest);
                if let Some(Found { segment, file, .. }) = last.replace(found) {
                    adopt(&mut log, segment, &file)?;
                }
            }
            Err(_) => std::fs::remove_file(Segment::path(folder, *id))?,
        }
    }
    if let Some(found) = last {
        go_on(&mut log, found)?;
    }
    let there: Vec<u32> = log.ids().collect();
    drop_headless(shared, &there);
    let stored = log.notes.kept().to_vec();
    let mut notes = Vec::new();
    for (stamp, what) in stored {
        match what {
            What::Note(bytes) => notes.push(Note { stamp, bytes }),
            What::Key(key) => drop(shared.index.forget_older(key, stamp)),
            What::All | What::Dropped => {}
        }
    }
    let floor = shared.floor.load(Ordering::Acquire);
    shared.index.retain(|_, entry| entry.stamp >= floor);
    log.show();
    let (objects, bytes) = (shared.index.len() as u64, log.used());
    Ok((log, Recovered { newest, notes, objects, bytes }))
}

/// A segment as a start finds it.
struct Found {
    segment: Segment,
    file: File,
    seal: Seal,
    is_sealed: bool,
    has_hole: bool,
}

impl Found {
    fn read(folder: &Path, id: u32) -> io::Result<Self> {
        let (segment, file) = Segment::open(folder, id)?;
        let sealed = match segment.read_seal(&file) {
            Err(error) if is_damage(&error) => None,
            read => read?,
        };
        if let Some(seal) = sealed {
            return Ok(Self { segment, file, seal, is_sealed: true, has_hole: false });
        }
        let Scan { seal, has_hole } = scan(&segment, &file)?;
        Ok(Self { segment, file, seal, is_sealed: false, has_hole })
    }
}

/// Whether a failure is about this one file, and will be so again: what is in it is no segment, or the disk or its file system has
/// lost it. Anything else may go by.
fn is_damage(error: &io::Error) -> bool {
    let lost = [Errno::IO, Errno::UCLEAN, Errno::BADMSG, Errno::NODATA, Errno::REMOTEIO];
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData)
        || Errno::from_io_error(error).is_some_and(|errno| lost.contains(&errno))
}

/// The numbers of the segments in `folder`, the oldest first.
fn list(folder: &Path) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for file in std::fs::read_dir(folder)? {
        ids.extend(file?.file_name().to_str().and_then(Segment::id_of));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Takes a segment's list over into the index. Returns the newest stamp in it.
fn apply(shared: &Shared, id: u32, seal: &Seal) -> u64 {
    shared.index.reserve(seal.lines.len());
    let mut newest = 0;
    for line in &seal.lines {
        let Line { key, stamp, offset, length, span } = *line;
        if length == 0 {
            shared.index.forget(key);
        } else {
            newest = newest.max(stamp);
            let place = Place::new(id, offset);
            shared.index.restore(key, Entry { stamp, place, length, span, hit: false });
        }
    }
    newest
}

fn adopt(log: &mut Log, segment: Segment, file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    log.adopt(segment, length);
    Ok(())
}

/// Goes on with the last segment, if there is something left of it.
fn go_on(log: &mut Log, found: Found) -> io::Result<()> {
    let Found { segment, file, seal, is_sealed, .. } = found;
    if is_sealed && !log.is_worth_going_on(seal.end) {
        return adopt(log, segment, &file);
    }
    // What follows the last record is a list that is not true any more soon, or was never written whole.
    if file.metadata()?.len() != seal.end {
        file.set_len(seal.end)?;
    }
    let tombstones = seal.lines.iter().filter(|line| line.length == 0).map(|line| line.key).collect();
    log.activate(segment, file, seal.end, seal.lines.len())?;
    log.restore_tombstones(tombstones);
    if let Err(error) = log.take_room() {
        log.fail(&error);
    }
    Ok(())
}

/// Lets go of objects that lack a segment of theirs.
fn drop_headless(shared: &Shared, ids: &[u32]) {
    shared.index.retain(|_, entry| {
        let last = entry.place.segment;
        let first = last.saturating_sub(u32::from(entry.span));
        let from = ids.partition_point(|id| *id < first);
        let to = ids.partition_point(|id| *id <= last);
        to - from == (last - first) as usize + 1
    });
}

/// What of a record is of use for a list.
pub(super) fn line_of(record: &Record, offset: u64) -> Option<Line> {
    let length = (super::record::HEADER + record.payload()) as u32;
    match record.kind {
        Kind::Chunk => None,
        Kind::Tombstone => Some(Line { key: record.key, stamp: 0, offset, length: 0, span: 0 }),
        _ => Some(Line { key: record.key, stamp: record.stamp, offset, length, span: record.span }),
    }
}
