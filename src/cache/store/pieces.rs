//! A content of which some bytes are there, and not all.
//!
//! What always holds: all pieces are of one content, in the order of their places, and do not overlap.

use super::body::Segment;
use super::weight;
use crate::cache::Parts;
use crate::cache::range::Span;

/// Pieces of a content.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// Which bytes are there.
    pub parts: Parts,
    /// The bytes, and where each piece begins.
    held: Vec<(u64, Segment)>,
}

impl Pieces {
    /// Nothing of a content whose length may be known.
    pub fn new(complete: Option<u64>) -> Self {
        Self { parts: Parts::new(complete), held: Vec::new() }
    }

    /// Bytes are there from `start` on. What is there already stays. Returns whether they were kept.
    pub fn add(&mut self, start: u64, segments: &[Segment]) -> bool {
        let length: u64 = segments.iter().map(|segment| segment.len() as u64).sum();
        let span = Span::new(start, start.saturating_add(length));
        let known: Vec<Span> = self.parts.spans().to_vec();
        if !self.parts.add(span) {
            return false;
        }
        let mut at = start;
        for segment in segments {
            self.put(Span::new(at, at + segment.len() as u64), segment, &known);
            at += segment.len() as u64;
        }
        self.held.sort_by_key(|(start, _)| *start);
        true
    }

    /// Keeps what of a segment is not known yet.
    fn put(&mut self, span: Span, segment: &Segment, known: &[Span]) {
        let mut from = span.start;
        let ends = known.iter().copied().chain([Span::new(span.end, span.end)]);
        for next in ends {
            let to = next.start.clamp(from, span.end);
            if to > from {
                let place = |at: u64| usize::try_from(at - span.start).unwrap_or(usize::MAX);
                self.held.push((from, Segment::from(&segment[place(from)..place(to)])));
            }
            from = next.end.clamp(from, span.end);
        }
    }

    /// The bytes of a span that is there.
    pub fn read(&self, span: Span) -> Vec<Segment> {
        let mut read = Vec::new();
        for (start, segment) in &self.held {
            let end = start + segment.len() as u64;
            let (from, to) = (span.start.max(*start), span.end.min(end));
            if from < to {
                let place = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
                match to - from == segment.len() as u64 {
                    true => read.push(segment.clone()),
                    false => read.push(Segment::from(&segment[place(from)..place(to)])),
                }
            }
        }
        read
    }

    /// What it takes of memory, in bytes.
    pub fn weight(&self) -> u64 {
        self.held.iter().map(|(_, segment)| weight::block(segment.len() as u64 + 16) + 24).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_in_any_order_make_up_the_whole() {
        let whole: Vec<u8> = (0..100).collect();
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pieces = Pieces::new(Some(100));
            while !pieces.parts.is_complete() {
                let start = random.usize(..100);
                let end = random.usize(start..100) + 1;
                let middle = random.usize(start..=end);
                let segments = [Segment::from(&whole[start..middle]), Segment::from(&whole[middle..end])];
                pieces.add(start as u64, &segments);
            }
            let (from, to) = (random.u64(..50), random.u64(50..=100));
            let read: Vec<u8> = pieces.read(Span::new(from, to)).iter().flat_map(|segment| segment.to_vec()).collect();
            assert_eq!(read, whole[from as usize..to as usize], "{seed}");
            let held: usize = pieces.held.iter().map(|(_, segment)| segment.len()).sum();
            assert_eq!(held, 100, "nothing is kept twice");
        }
    }
}
