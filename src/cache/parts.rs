//! Which bytes of a content are stored, while not all are (RFC 9111 §3.3, §3.4).

use super::etag::is_same_strongly;
use super::message::Response;
use super::range::{ContentRange, Span, Wanted};
use smallvec::SmallVec;

/// The bytes that are there, as spans that do not touch, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    spans: SmallVec<[Span; 2]>,
    complete: Option<u64>,
}

impl Parts {
    /// The most spans; parts that would make more are not kept.
    pub const MOST: usize = 32;

    /// Nothing of a content whose length may be known.
    pub fn new(complete: Option<u64>) -> Self {
        Self { spans: SmallVec::new(), complete }
    }

    /// The length of the whole, if it is known.
    pub fn complete(&self) -> Option<u64> {
        self.complete
    }

    /// What is there.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many bytes are there.
    pub fn len(&self) -> u64 {
        self.spans.iter().map(|span| span.len()).sum()
    }

    /// Whether no byte is there.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// These bytes are there as well: as many as have come, not as many as were announced. Whether they are kept: not if they go
    /// beyond the whole, or if there are too many pieces.
    pub fn add(&mut self, new: Span) -> bool {
        if new.is_empty() || self.complete.is_some_and(|length| new.end > length) {
            return false;
        }
        let from = self.spans.partition_point(|span| span.end < new.start);
        let to = self.spans.partition_point(|span| span.start <= new.end);
        if from == to {
            if self.spans.len() == Self::MOST {
                return false;
            }
            self.spans.insert(from, new);
        } else {
            let merged = Span::new(self.spans[from].start.min(new.start), self.spans[to - 1].end.max(new.end));
            self.spans[from] = merged;
            self.spans.drain(from + 1..to);
        }
        true
    }

    /// Whether all of `wanted` is there.
    pub fn covers(&self, wanted: Span) -> bool {
        self.missing(wanted).is_none()
    }

    /// Whether the whole is there.
    pub fn is_complete(&self) -> bool {
        self.complete.is_some_and(|length| self.covers(Span::new(0, length)))
    }

    /// What has to be asked for so that all of `wanted` is there: from the first byte that is not to the last that is not.
    pub fn missing(&self, wanted: Span) -> Option<Span> {
        let (mut start, mut end) = (wanted.start, wanted.end);
        if let Some(span) = self.spans.iter().find(|span| span.start <= start && start < span.end) {
            start = span.end.min(end);
        }
        if let Some(span) = self.spans.iter().find(|span| span.start < end && end <= span.end) {
            end = span.start.max(start);
        }
        (start < end).then(|| Span::new(start, end))
    }

    /// The bytes that a request asks for; `None`: not to be told as the length of the whole is not known, or there are none such.
    pub fn span_of(&self, wanted: Wanted) -> Option<Span> {
        match (wanted, self.complete) {
            (wanted, Some(length)) => wanted.of(length),
            (Wanted::From(first, Some(last)), None) => Some(Span::new(first, last.saturating_add(1))),
            _ => None,
        }
    }
}

/// Whether a part that has come may be put to what is stored: both are of one content beyond doubt, by a strong entity tag or, where
/// neither has one, a Last-Modified that was a minute old (RFC 9110 §8.8.2.2, §15.3.7.3), and the whole is of the same length.
pub fn may_combine(stored: &Response<'_>, parts: &Parts, new: &Response<'_>, range: &ContentRange) -> bool {
    let same = match (stored.etag, new.etag) {
        (Some(one), Some(other)) => is_same_strongly(one, other),
        (None, None) => {
            let old = |answer: &Response<'_>| match (answer.modified(), answer.date) {
                (Some(modified), Some(date)) => date >= modified.saturating_add(60),
                _ => false,
            };
            stored.last_modified == new.last_modified && old(stored) && old(new)
        }
        _ => false,
    };
    let length = match (parts.complete, range.complete) {
        (Some(one), Some(other)) => one == other,
        (Some(one), None) => range.span.end <= one,
        _ => true,
    };
    same && length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Fields, Rules};

    fn of(spans: &[(u64, u64)], complete: Option<u64>) -> Parts {
        let mut parts = Parts::new(complete);
        for &(start, end) in spans {
            assert!(parts.add(Span::new(start, end)), "{start}..{end}");
        }
        parts
    }

    fn spans(parts: &Parts) -> Vec<(u64, u64)> {
        parts.spans().iter().map(|span| (span.start, span.end)).collect()
    }

    #[test]
    fn parts_grow_together() {
        let mut parts = of(&[(4, 9)], Some(10));
        assert!(parts.covers(Span::new(6, 9)) && !parts.covers(Span::new(6, 10)) && !parts.is_complete());
        assert!(parts.add(Span::new(0, 3)) && parts.len() == 8);
        assert_eq!(spans(&parts), [(0, 3), (4, 9)]);
        assert!(parts.add(Span::new(3, 4)));
        assert_eq!(spans(&parts), [(0, 9)]);
        assert!(parts.add(Span::new(5, 10)) && parts.is_complete());
        assert!(!parts.add(Span::new(9, 11)), "beyond the whole");
        assert!(!parts.add(Span::new(5, 5)), "nothing");
        assert!(Parts::new(Some(0)).is_complete() && !Parts::new(None).is_complete());
    }

    #[test]
    fn what_is_missing_is_asked_for_at_once() {
        let parts = of(&[(0, 5), (8, 10), (20, 30)], Some(30));
        let missing = |start, end| parts.missing(Span::new(start, end)).map(|span| (span.start, span.end));
        assert_eq!(missing(0, 30), Some((5, 20)));
        assert_eq!(missing(0, 5), None);
        assert_eq!(missing(2, 8), Some((5, 8)));
        assert_eq!(missing(6, 25), Some((6, 20)));
        assert_eq!(missing(10, 12), Some((10, 12)));
        assert_eq!(of(&[(0, 5)], Some(10)).missing(Span::new(0, 10)), Some(Span::new(5, 10)));
    }

    #[test]
    fn a_range_is_found_where_the_length_is_known() {
        let parts = of(&[(4, 9)], Some(10));
        assert_eq!(parts.span_of(Wanted::Last(5)), Some(Span::new(5, 10)));
        assert_eq!(parts.span_of(Wanted::From(6, None)), Some(Span::new(6, 10)));
        assert_eq!(parts.span_of(Wanted::From(10, None)), None);
        let unknown = Parts::new(None);
        assert_eq!(unknown.span_of(Wanted::From(6, Some(8))), Some(Span::new(6, 9)));
        assert_eq!(unknown.span_of(Wanted::Last(5)), None);
    }

    #[test]
    fn pieces_are_few() {
        let mut parts = Parts::new(None);
        let kept = (0..1000).filter(|at| parts.add(Span::new(at * 10, at * 10 + 1))).count();
        assert_eq!(kept, Parts::MOST);
        assert!(parts.add(Span::new(0, 10_000)), "what joins them is kept");
        assert_eq!(spans(&parts), [(0, 10_000)]);
    }

    #[test]
    fn it_is_a_set_of_bytes() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..500 {
            let mut parts = Parts::new(Some(64));
            let mut bytes = [false; 64];
            for _ in 0..random.usize(0..12) {
                let start = random.usize(0..64);
                let end = random.usize(start..=64);
                if parts.add(Span::new(start as u64, end as u64)) {
                    bytes[start..end].fill(true);
                }
                let (start, end) = (random.usize(0..64), random.usize(0..=64));
                let (start, end) = (start.min(end), end.max(start));
                let gap = bytes[start..end].iter().position(|there| !there).map(|first| {
                    let last = bytes[start..end].iter().rposition(|there| !there).unwrap_or(first);
                    Span::new((start + first) as u64, (start + last + 1) as u64)
                });
                assert_eq!(parts.missing(Span::new(start as u64, end as u64)), gap, "{parts:?} {start}..{end}");
            }
            assert_eq!(parts.len(), bytes.iter().filter(|there| **there).count() as u64);
        }
    }

    fn part<'a>(head: &'a (impl Fields + ?Sized), rules: &Rules) -> (Response<'a>, ContentRange) {
        let response = Response::of(206, head, rules);
        let range = response.content_range.and_then(ContentRange::parse);
        (response, range.unwrap_or_else(|| panic!("no part: {response:?}")))
    }

    #[test]
    fn parts_are_of_one_content_beyond_doubt() {
        let rules = Rules::default();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let early = "Sun, 06 Nov 1994 08:00:00 GMT";
        let combine = |one: &[(&str, &str)], other: &[(&str, &str)]| {
            let one: Vec<(&[u8], &[u8])> =
                one.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let other: Vec<(&[u8], &[u8])> =
                other.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let (stored, first) = part(&one[..], &rules);
            let (new, range) = part(&other[..], &rules);
            may_combine(&stored, &Parts::new(first.complete), &new, &range)
        };
        let (first, second) = (("Content-Range", "bytes 0-4/10"), ("Content-Range", "bytes 5-9/10"));
        assert!(combine(&[first, ("ETag", "\"a\"")], &[second, ("ETag", "\"a\"")]));
        assert!(!combine(&[first, ("ETag", "\"a\"")], &[second, ("ETag", "\"b\"")]));
        assert!(!combine(&[first, ("ETag", "W/\"a\"")], &[second, ("ETag", "W/\"a\"")]), "weak");
        assert!(!combine(&[first], &[second]), "who knows");
        assert!(!combine(&[first, ("ETag", "\"a\"")], &[second]));
        let longer = ("Content-Range", "bytes 5-9/11");
        assert!(!combine(&[first, ("ETag", "\"a\"")], &[longer, ("ETag", "\"a\"")]));
        let dated = |modified| [("Last-Modified", modified), ("Date", date)];
        let of = |range, [modified, date]: [(&'static str, &'static str); 2]| [range, modified, date];
        assert!(combine(&of(first, dated(early)), &of(second, dated(early))));
        assert!(
            !combine(&of(first, dated(date)), &of(second, dated(date))),
            "changed in the second in which it was sent"
        );
    }
}
