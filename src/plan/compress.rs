//! How the answers of a route are compressed.

use crate::compress::{Coding, Types};
use crate::config::model::{self, CodingName, Compression};
use crate::config::units::Share;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

pub use crate::config::model::Breach;

/// How the answers of a route are compressed.
#[derive(Debug)]
pub struct Compress {
    /// What is offered, the preferred one first.
    pub codings: Vec<Coding>,
    /// The level of each, by its index.
    levels: [u8; Coding::COUNT],
    /// Which types.
    pub types: Types,
    /// Bytes below which they are left alone.
    pub min_size: u64,
    /// Whether what targets have compressed is decompressed for clients that do not accept it.
    pub decompress: bool,
    /// Whether targets are not told what clients accept.
    pub offload: bool,
    /// Which are left alone as their length could tell what is in them.
    pub breach: Breach,
    /// Thousandths of its time that a worker is busy when it goes down to the fastest level.
    lower_above: u64,
    /// The same for when it compresses no more.
    skip_above: Option<u64>,
    /// What the targets' entity tags have been like.
    pub tags: Tags,
}

/// What there is time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The level that is configured.
    Full(u8),
    /// A lower one.
    Lowered(u8),
    /// None at all.
    None,
}

/// Which entity tags targets have sent: by that it is known whether a weak one that comes back was weakened here.
#[derive(Debug, Default)]
pub struct Tags(AtomicU8);

/// Whose weak tags those of clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Ours: targets have sent strong ones alone.
    Ours,
    /// Theirs: they have sent weak ones alone.
    Theirs,
    /// That is not known.
    Unknown,
}

const STRONG: u8 = 1;
const WEAK: u8 = 2;

impl Compress {
    /// From the configuration; `None`: nothing is compressed.
    pub(super) fn compile(compression: &Compression) -> Option<Arc<Self>> {
        let Compression::On(compress) = compression else { return None };
        let model::Compress { level, .. } = **compress;
        let mut levels = [0; Coding::COUNT];
        for (coding, level) in [(Coding::Zstd, level.zstd), (Coding::Brotli, level.br), (Coding::Gzip, level.gzip)] {
            levels[coding.index()] = level;
        }
        Some(Arc::new(Self {
            codings: compress.codings.iter().map(|&name| coding(name)).collect(),
            levels,
            types: if compress.types.is_empty() { Types::default() } else { Types::new(&compress.types) },
            min_size: compress.min_size.0,
            decompress: compress.decompress,
            offload: compress.offload,
            breach: compress.breach,
            lower_above: thousandths(compress.lower_above),
            skip_above: compress.skip_above.map(thousandths),
            tags: Tags::default(),
        }))
    }

    /// The level of a coding that there is time for on a worker that is `busy` so many thousandths of its time.
    pub fn effort(&self, coding: Coding, busy: u64) -> Effort {
        let (level, fastest) = (self.level(coding), coding.fastest());
        match self.skip_above {
            Some(most) if busy > most => Effort::None,
            _ if busy > self.lower_above && level > fastest => Effort::Lowered(fastest),
            _ => Effort::Full(level),
        }
    }

    /// The level of a coding where there is time for it.
    pub fn level(&self, coding: Coding) -> u8 {
        self.levels[coding.index()]
    }
}

impl Tags {
    /// A target has sent one.
    pub fn note(&self, is_weak: bool) {
        let bit = if is_weak { WEAK } else { STRONG };
        let seen = self.0.load(Relaxed);
        if seen & bit == 0 {
            self.0.store(seen | bit, Relaxed);
        }
    }

    /// Whose weak ones are.
    pub fn whose(&self) -> Whose {
        match self.0.load(Relaxed) {
            STRONG => Whose::Ours,
            WEAK => Whose::Theirs,
            _ => Whose::Unknown,
        }
    }
}

fn coding(name: CodingName) -> Coding {
    match name {
        CodingName::Zstd => Coding::Zstd,
        CodingName::Br => Coding::Brotli,
        CodingName::Gzip => Coding::Gzip,
    }
}

fn thousandths(Share(share): Share) -> u64 {
    (share * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_goes_down_with_what_there_is_time_for() {
        let compress = model::Compress { skip_above: Some(Share(0.95)), ..model::Compress::default() };
        let compress = Compress::compile(&Compression::On(Box::new(compress))).unwrap();
        assert_eq!(compress.effort(Coding::Gzip, 850), Effort::Full(4));
        assert_eq!(compress.effort(Coding::Gzip, 851), Effort::Lowered(1));
        assert_eq!(compress.effort(Coding::Brotli, 960), Effort::None);
        let fast = model::Compress { level: model::Levels { br: 0, gzip: 1, zstd: 1 }, ..model::Compress::default() };
        let fast = Compress::compile(&Compression::On(Box::new(fast))).unwrap();
        assert_eq!(fast.effort(Coding::Gzip, 1000), Effort::Full(1), "there is none below");
        assert_eq!(fast.effort(Coding::Brotli, 1000), Effort::Full(0));
    }

    #[test]
    fn weak_tags_are_ours_where_targets_send_strong_ones_alone() {
        let tags = Tags::default();
        assert_eq!(tags.whose(), Whose::Unknown);
        tags.note(false);
        assert_eq!(tags.whose(), Whose::Ours);
        tags.note(true);
        assert_eq!(tags.whose(), Whose::Unknown);
        let tags = Tags::default();
        tags.note(true);
        assert_eq!(tags.whose(), Whose::Theirs);
    }
}
