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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(field: &str, length: u64) -> Vec<(u64, u64)> {
        match resolve(field.as_bytes(), length) {
            Ranged::Whole => vec![(0, u64::MAX)],
            Ranged::One(span) => vec![(span.start, span.end)],
            Ranged::Several(spans) => spans.iter().map(|span| (span.start, span.end)).collect(),
            Ranged::Unsatisfiable => vec![],
        }
    }

    const WHOLE: [(u64, u64); 1] = [(0, u64::MAX)];

    #[test]
    fn one_range_is_read_in_its_three_forms() {
        for (field, span) in [
            ("bytes=0-1", (0, 2)),
            ("bytes=1-", (1, 11)),
            ("bytes=-1", (10, 11)),
            ("bytes=-5", (6, 11)),
            ("bytes=-99", (0, 11)),
            ("bytes=0-99999999999999999999999", (0, 11)),
            ("bytes=10-10", (10, 11)),
            ("BYTES = 0-0", (0, 1)),
            ("bytes=,0-0,", (0, 1)),
        ] {
            assert_eq!(of(field, 11), [span], "{field}");
        }
    }

    #[test]
    fn what_is_no_range_does_not_count() {
        for field in [
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=5-1",
            "bytes=0-1,x",
            "bytes=--1",
            "bytes=0 -1",
            "bytes=+0-1",
            "items=0-1",
            "=0-1",
            "",
            "0-1",
        ] {
            assert_eq!(of(field, 11), WHOLE, "{field}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_given() {
        for field in ["bytes=11-", "bytes=11-20", "bytes=99999999999999999999999-", "bytes=-0", "bytes=11-,12-"] {
            assert_eq!(of(field, 11), [], "{field}");
        }
        assert_eq!(of("bytes=0-1,50-60", 11), [(0, 2)], "what is there is given");
        assert_eq!(of("bytes=0-", 0), []);
        assert_eq!(of("bytes=-5", 0), WHOLE);
    }

    #[test]
    fn several_are_few_or_all() {
        assert_eq!(of("bytes=0-9,500-509,1000-1009", 5000), [(0, 10), (500, 510), (1000, 1010)]);
        assert_eq!(of("bytes=1000-1009,0-9", 5000), [(0, 10), (1000, 1010)], "in order");
        assert_eq!(of("bytes=0-9,5-20,22-30", 5000), [(0, 31)], "near ones are one");
        assert_eq!(of("bytes=0-0,-1", 50), [(0, 50)]);
        let many: Vec<String> = (0..11).map(|at| format!("{}-{}", at * 200, at * 200 + 1)).collect();
        assert_eq!(of(&format!("bytes={}", many.join(",")), 5000), WHOLE);
        let overlapping = vec!["0-"; 1000].join(",");
        assert_eq!(of(&format!("bytes={overlapping}"), 5000), WHOLE);
        assert_eq!(of("bytes=0-,0-,0-", 5000), [(0, 5000)]);
    }

    #[test]
    fn a_part_says_what_it_is() {
        let read = |field: &str| ContentRange::parse(field.as_bytes());
        assert_eq!(read("bytes 4-9/10"), Some(ContentRange { span: Span::new(4, 10), complete: Some(10) }));
        assert_eq!(read("Bytes 0-0/*"), Some(ContentRange { span: Span::new(0, 1), complete: None }));
        for field in [
            "",
            "bytes",
            "bytes */10",
            "bytes 9-4/10",
            "bytes 0-10/10",
            "bytes 0-1",
            "bytes=0-1/2",
            "items 0-1/2",
            "bytes 0-x/9",
            "bytes 0-18446744073709551615/*",
            "bytes 0-1/",
            "bytes -1/2",
        ] {
            assert_eq!(read(field), None, "{field}");
        }
        for field in ["bytes 4-9/10", "bytes 0-0/*"] {
            let mut written = Vec::new();
            read(field).iter().for_each(|range| range.write(&mut written));
            assert_eq!(written, field.as_bytes());
        }
        let mut written = Vec::new();
        write_unsatisfied(1234, &mut written);
        assert_eq!(written, b"bytes */1234");
    }

    #[test]
    fn the_rest_is_asked_for_without_an_end() {
        let asked = |span, complete| {
            let mut written = Vec::new();
            write_range(span, complete, &mut written);
            String::from_utf8_lossy(&written).into_owned()
        };
        assert_eq!(asked(Span::new(5, 10), Some(10)), "bytes=5-");
        assert_eq!(asked(Span::new(0, 5), Some(10)), "bytes=0-4");
        assert_eq!(asked(Span::new(0, 5), None), "bytes=0-4");
    }

    #[test]
    fn parts_lie_within_and_in_order_whatever_is_asked_for() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let length = random.u64(0..3000);
            let mut number = || match random.u8(0..5) {
                0 => String::new(),
                _ => random.u64(0..4000).to_string(),
            };
            let ranges: Vec<String> = (0..4).map(|_| format!("{}-{}", number(), number())).collect();
            let field = format!("bytes={}", ranges.join(","));
            if let Ranged::Several(spans) = resolve(field.as_bytes(), length) {
                assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{field} of {length}");
                assert!(spans.iter().all(|span| span.start < span.end && span.end <= length), "{field} of {length}");
            }
            if let Ranged::One(span) = resolve(field.as_bytes(), length) {
                assert!(span.start < span.end && span.end <= length, "{field} of {length}");
            }
        }
    }
}
