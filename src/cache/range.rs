//! Ranges of bytes: what a request asks for, and what a part is a part of (RFC 9110 §14).

use super::list::members;
use smallvec::SmallVec;

/// Bytes of a content from `start` up to `end`, which is not one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first.
    pub start: u64,
    /// The one after the last.
    pub end: u64,
}

impl Span {
    /// From `start` up to `end`.
    pub fn new(start: u64, end: u64) -> Self {
        debug_assert!(start <= end);
        Self { start, end }
    }

    /// How many bytes.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One range as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// From the first to the last byte, or to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

impl Wanted {
    /// Of a content of this length; `None`: none of it is there.
    pub fn of(self, length: u64) -> Option<Span> {
        match self {
            Wanted::From(first, _) if first >= length => None,
            Wanted::From(first, last) => {
                let end = last.map_or(length, |last| last.saturating_add(1).min(length));
                Some(Span::new(first, end))
            }
            Wanted::Last(0) => None,
            Wanted::Last(_) if length == 0 => None,
            Wanted::Last(count) => Some(Span::new(length.saturating_sub(count), length)),
        }
    }
}

/// The ranges that a Range field asks for. `None`: it is no valid one, or has more than a client needs, so that it does not count.
pub fn parse_ranges(field: &[u8]) -> Option<SmallVec<[Wanted; 2]>> {
    const MOST: usize = 32;
    let equals = field.iter().position(|&byte| byte == b'=')?;
    if !field[..equals].trim_ascii().eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut ranges = SmallVec::new();
    for member in members(&field[equals + 1..]) {
        if ranges.len() == MOST {
            return None;
        }
        let dash = member.iter().position(|&byte| byte == b'-')?;
        ranges.push(match (&member[..dash], &member[dash + 1..]) {
            (b"", last) => Wanted::Last(number(last)?),
            (first, b"") => Wanted::From(number(first)?, None),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                Wanted::From(first, Some(last))
            }
        });
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// What a Range field comes to for a content of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, as if the field were not there.
    Whole,
    /// One part.
    One(Span),
    /// Parts that do not touch, in ascending order: `multipart/byteranges`.
    Several(SmallVec<[Span; 4]>),
    /// Nothing of what is asked for is there: 416.
    Unsatisfiable,
}

/// What a Range field comes to for a content of this length. Ranges that overlap, or between which there is less than a part's head
/// would take, are one; who asks for more parts than are of use gets the whole.
pub fn resolve(field: &[u8], length: u64) -> Ranged {
    const PARTS: usize = 10;
    const HEAD: u64 = 80;
    let Some(wanted) = parse_ranges(field) else { return Ranged::Whole };
    if length == 0 && wanted.iter().any(|range| matches!(range, Wanted::Last(1..))) {
        return Ranged::Whole;
    }
    let mut spans: SmallVec<[Span; 4]> = wanted.iter().filter_map(|range| range.of(length)).collect();
    if wanted.len() > 1 {
        spans.sort_unstable();
        spans.dedup_by(|next, before| {
            let near = next.start <= before.end.saturating_add(HEAD);
            if near {
                before.end = before.end.max(next.end);
            }
            near
        });
    }
    match spans[..] {
        [] => Ranged::Unsatisfiable,
        [one] => Ranged::One(one),
        _ if spans.len() > PARTS => Ranged::Whole,
        _ => Ranged::Several(spans),
    }
}

/// What a part says of itself in Content-Range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Which bytes.
    pub span: Span,
    /// The length of the whole, if it is known.
    pub complete: Option<u64>,
}

impl ContentRange {
    /// Reads the field. `None`: it is no valid one, or says that there is no part.
    pub fn parse(field: &[u8]) -> Option<ContentRange> {
        let (unit, rest) = field.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        let dash = rest[..slash].iter().position(|&byte| byte == b'-')?;
        let (first, last) = (number(&rest[..dash])?, number(&rest[dash + 1..slash])?);
        let complete = match &rest[slash + 1..] {
            b"*" => None,
            length => Some(number(length)?),
        };
        let valid = first <= last && last < u64::MAX && complete.is_none_or(|length| last < length);
        valid.then(|| ContentRange { span: Span::new(first, last + 1), complete })
    }

    /// The value of the field. The span is not empty.
    pub fn write(&self, into: &mut Vec<u8>) {
        let mut number = itoa::Buffer::new();
        into.extend_from_slice(b"bytes ");
        into.extend_from_slice(number.format(self.span.start).as_bytes());
        into.push(b'-');
        into.extend_from_slice(number.format(self.span.end.saturating_sub(1)).as_bytes());
        into.push(b'/');
        match self.complete {
            Some(length) => into.extend_from_slice(number.format(length).as_bytes()),
            None => into.push(b'*'),
        }
    }
}

/// The value of Content-Range in a 416 for a content of this length.
pub fn write_unsatisfied(length: u64, into: &mut Vec<u8>) {
    into.extend_from_slice(b"bytes */");
    into.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
}

/// The value of Range that asks for this from the origin: to the end where that is the end of the whole.
pub fn write_range(span: Span, complete: Option<u64>, into: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    into.extend_from_slice(b"bytes=");
    into.extend_from_slice(number.format(span.start).as_bytes());
    into.push(b'-');
    if complete != Some(span.end) {
        into.extend_from_slice(number.format(span.end.saturating_sub(1)).as_bytes());
    }
}

/// A number; one that is larger than can be is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}
