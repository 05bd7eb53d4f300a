//! What the disk's thread does for others: it writes objects and tombstones, and notes purges down.

use super::index::Entry;
use super::log::{From, Log};
use super::notes::What;
use super::record::{CHUNK, Kind, Record, Run};
use super::shared::{Asked, Described, Job, Spread, Written};
use super::usage::Refused;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Runs of an object: so many that one which is written badly interleaved with others still has some gigabytes.
const RUNS: usize = 16_384;

impl Log {
    /// Writes what is queued, up to a batch. False: there was nothing.
    pub async fn work(&mut self) -> bool {
        let (mut worked, mut failed) = (false, false);
        while let Some(job) = self.shared.take() {
            worked = true;
            if !self.may_write() {
                job.fail();
                self.shared.counts.refuse(Refused::Failing);
                continue;
            }
            match self.perform(job).await {
                Ok(()) if self.is_batch_full() => break,
                Ok(()) => {}
                Err(error) => {
                    self.fail(&error);
                    failed = true;
                }
            }
        }
        match self.flush().await {
            Ok(()) if worked && !failed && self.may_write() => self.works(),
            Ok(()) => {}
            Err(error) => self.fail(&error),
        }
        worked
    }

    async fn perform(&mut self, job: Job) -> io::Result<()> {
        match job {
            Job::Whole { begun, object, body, length } => {
                if begun.filling.is_forgotten() || object.stamp < self.notes.threshold() {
                    return Ok(());
                }
                let record = object.record(Kind::Whole, begun.filling.key, length as u64);
                self.reserve(record.size()).await?;
                let parts = [&*object.meta, &*object.head].into_iter().chain(body.iter().map(|piece| &**piece));
                self.append_object(&record, parts, From::New(begun))
            }
            Job::Chunks { spread, body, .. } => {
                // Taken out, so that the lock is not held while it is written.
                let mut written = std::mem::take(&mut *spread.written());
                let mut result = Ok(());
                for piece in &body {
                    result = self.chunks(&spread, &mut written, piece).await;
                    if result.is_err() {
                        spread.fail();
                        break;
                    }
                }
                *spread.written() = written;
                result
            }
            Job::Finish { spread, object } => self.finish_spread(spread, &object).await,
            Job::Renew { object, .. } if object.stamp < self.notes.threshold() => Ok(()),
            Job::Renew { key, place, object } => self.renew(key, place, &object).await,
        }
    }

    /// Appends content of a large object, as far as it makes full chunks.
    async fn chunks(&mut self, spread: &Spread, written: &mut Written, piece: &[u8]) -> io::Result<()> {
        let mut rest = piece;
        while !rest.is_empty() {
            let failures = *written.failures.get_or_insert(self.failures());
            let is_futile = spread.begun.filling.is_forgotten() || written.runs.len() > RUNS;
            if spread.is_failed() || is_futile || failures != self.failures() {
                spread.fail();
                return Ok(());
            }
            if written.tail.is_empty() && rest.len() >= CHUNK {
                let (chunk, more) = rest.split_at(CHUNK);
                self.chunk(spread, written, chunk).await?;
                rest = more;
                continue;
            }
            let (fit, more) = rest.split_at(rest.len().min(CHUNK - written.tail.len()));
            written.tail.extend_from_slice(fit);
            rest = more;
            if written.tail.len() == CHUNK {
                self.tail(spread, written).await?;
            }
        }
        Ok(())
    }

    /// Appends what is left over as a chunk.
    async fn tail(&mut self, spread: &Spread, written: &mut Written) -> io::Result<()> {
        let mut tail = std::mem::take(&mut written.tail);
        let result = self.chunk(spread, written, &tail).await;
        tail.clear();
        written.tail = tail;
        result
    }

    async fn chunk(&mut self, spread: &Spread, written: &mut Written, chunk: &[u8]) -> io::Result<()> {
        let record = Record::chunk(spread.begun.filling.key, written.count, chunk.len());
        if self.is_batch_full() {
            self.flush().await?;
        }
        self.reserve(record.size()).await?;
        let place = self.append(&record, [chunk])?;
        Run::note(&mut written.runs, place.segment, place.offset());
        written.count += 1;
        written.length += chunk.len() as u64;
        Ok(())
    }

    async fn finish_spread(&mut self, spread: Arc<Spread>, object: &Described) -> io::Result<()> {
        let mut written = std::mem::take(&mut *spread.written());
        if !written.tail.is_empty() {
            self.tail(&spread, &mut written).await?;
        }
        let record = object.record(Kind::Spread, spread.begun.filling.key, written.length);
        // What is beyond the largest list of runs has failed before.
        self.reserve(record.size() + Run::size(written.runs.len())).await?;
        let is_there = written.runs.iter().all(|run| self.shared.segment(run.segment).is_some());
        let is_wanted = !spread.begun.filling.is_forgotten() && object.stamp >= self.notes.threshold();
        let is_written = written.failures == Some(self.failures());
        if spread.is_failed() || !is_there || !is_wanted || !is_written {
            return Ok(());
        }
        let described = [&*object.meta, &*object.head].concat();
        self.append_spread(record, &described, &written.runs, From::Spread(spread))
    }

    /// Writes tombstones for what was forgotten.
    pub async fn bury(&mut self) {
        while self.may_write()
            && let Some(key) = self.shared.forgotten.pop()
        {
            if self.is_empty() {
                continue;
            }
            let record = Record::tombstone(key);
            let buried = match self.reserve(record.size()).await {
                Ok(()) => self.append(&record, []).map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = buried {
                self.shared.forgotten.push(key);
                return self.fail(&error);
            }
        }
    }

    /// Writes purges down, and tells who waits for it.
    pub async fn note(&mut self) {
        let mut told = Vec::new();
        let floor = self.notes.floor();
        while let Some(Asked { stamp, what, done }) = self.shared.purges.pop() {
            told.push((Some(done), self.notes.add(stamp, what)));
        }
        for (note, stamp) in self.shared.take_instead() {
            told.push((None, self.notes.add(stamp, What::Note(note))));
        }
        if told.is_empty() {
            return;
        }
        let synced = self.notes.sync();
        for (done, result) in told {
            let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
            if let Some(done) = done {
                // Whoever asked need not have waited.
                let _ = done.send(result.and_then(|()| synced.as_ref().map_err(copy).copied()));
            }
        }
        if self.notes.floor() > floor {
            self.shared.floor.fetch_max(self.notes.floor(), Ordering::AcqRel);
            self.sweep().await;
        }
        if let Err(error) = self.notes.compact(self.oldest()) {
            tracing::warn!(%error, folder = %self.folder.display(), "the disk cache's journal of purges cannot be written anew");
        }
    }

    /// Lets go of what is older than the floor, and of the oldest segments as long as nothing else is in them.
    async fn sweep(&mut self) {
        // So that nothing that is written already is left out.
        if let Err(error) = self.flush().await {
            return self.fail(&error);
        }
        let floor = self.shared.floor.load(Ordering::Acquire);
        let mut used = HashSet::new();
        let mut see = |entry: &Entry| {
            let last = entry.place.segment;
            used.extend(last.saturating_sub(u32::from(entry.span))..=last);
        };
        self.shared.index.retain(|_, entry| {
            let stays = entry.stamp >= floor;
            if stays {
                see(entry);
            }
            stays
        });
        while self.sealed.front().is_some_and(|oldest| !used.contains(&oldest.segment.id)) {
            if let Err(error) = self.remove_oldest() {
                return self.fail(&error);
            }
        }
    }

    /// Drops the oldest segments until it is no larger than it may be.
    pub async fn shrink(&mut self) {
        while self.used() > self.shared.size() {
            match self.drop_oldest(&mut 0).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.fail(&error),
            }
        }
    }
}

impl Described {
    fn record(&self, kind: Kind, key: super::Key, length: u64) -> Record {
        let (meta, head) = (self.meta.len() as u32, self.head.len() as u32);
        let body = if kind == Kind::Whole { length as u32 } else { 0 };
        Record { kind, span: 0, key, stamp: self.stamp, length, meta, head, body }
    }
}

impl Job {
    /// Nothing comes of it.
    fn fail(&self) {
        if let Self::Chunks { spread, .. } | Self::Finish { spread, .. } = self {
            spread.fail();
        }
    }
}
