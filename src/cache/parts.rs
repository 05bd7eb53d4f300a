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
