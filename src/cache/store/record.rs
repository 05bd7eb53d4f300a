//! What the disk keeps beside an answer's head and content.

use super::entry::Entry;
use super::purge::Marks;
use crate::cache::{Freshness, Vary};

/// What stands under a key on the disk.
#[derive(Debug)]
pub enum Record<'a> {
    /// An answer, and its key.
    Answer(Answer, &'a [u8]),
    /// What the answers vary on: each stands under the key of its variant. Those that were asked for before a stamp were forgotten.
    Varies(Vary, u64),
}

/// What there is to know of an answer without its head and content.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it may be used.
    pub freshness: Freshness,
    /// What it varies on.
    pub vary: Vary,
    /// Of what varies: its keys.
    pub variant: (u128, Option<u128>),
    /// The hashes of its tags.
    pub tags: Box<[u64]>,
    /// The hash of its host.
    pub host: u64,
}

/// The form that is written and read here.
const FORM: u8 = 1;

impl Answer {
    /// What it is purged by, if it was asked for at `stamp` and has this key.
    pub fn marks<'a>(&'a self, stamp: u64, key: &'a [u8]) -> Marks<'a> {
        Marks { stamp, host: self.host, tags: &self.tags, key }
    }
}

/// Writes what the disk keeps of an answer.
pub fn of(entry: &Entry) -> Box<[u8]> {
    let mut out = vec![FORM, 0];
    out.extend_from_slice(&entry.freshness.to_bytes());
    out.extend_from_slice(&entry.status.to_le_bytes());
    out.extend_from_slice(&entry.host.to_le_bytes());
    out.extend_from_slice(&entry.variant.0.to_le_bytes());
    out.push(u8::from(entry.variant.1.is_some()));
    out.extend_from_slice(&entry.variant.1.unwrap_or_default().to_le_bytes());
    let mut part = |bytes: &[u8]| {
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    part(entry.vary.as_bytes());
    let tags: Vec<u8> = entry.tags.iter().flat_map(|tag| tag.to_le_bytes()).collect();
    part(&tags);
    part(&entry.key);
    out.into_boxed_slice()
}

/// Writes what the answers under a key vary on, that were asked for at `birth` or later.
pub fn of_vary(vary: &Vary, birth: u64) -> Box<[u8]> {
    [&[FORM, 1], &birth.to_le_bytes()[..], vary.as_bytes()].concat().into_boxed_slice()
}

/// Reads what was written. `None`: it was written in another form.
pub fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let mut reader = Reader(bytes);
    match reader.take::<2>()? {
        [FORM, 1] => {
            let birth = u64::from_le_bytes(reader.take()?);
            Some(Record::Varies(Vary::from_bytes(reader.0), birth))
        }
        [FORM, 0] => {
            let freshness = Freshness::from_bytes(&reader.take()?);
            let status = u16::from_le_bytes(reader.take()?);
            let host = u64::from_le_bytes(reader.take()?);
            let own = u128::from_le_bytes(reader.take()?);
            let [by_language] = reader.take()?;
            let language = u128::from_le_bytes(reader.take()?);
            let vary = Vary::from_bytes(reader.part()?);
            let tags = reader.part()?.as_chunks::<8>().0.iter().map(|tag| u64::from_le_bytes(*tag)).collect();
            let key = reader.part()?;
            let variant = (own, (by_language == 1).then_some(language));
            Some(Record::Answer(Answer { status, freshness, vary, variant, tags, host }, key))
        }
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}
