//! How the answers of a mirror differ, summed up.
//!
//! What always holds: there are no more places and no more examples than so many, whatever answers say.

use super::compare::{Difference, Kind};
use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

/// How answers differ, since it was begun.
#[derive(Clone, Debug)]
pub struct Report {
    /// When that was.
    pub since: SystemTime,
    /// Pairs of answers that were compared.
    pub compared: u64,
    /// Those of them that differ.
    pub different: u64,
    /// Those of them that differ in this, by the order of [`Kind::ALL`].
    pub kinds: [u64; Kind::ALL.len()],
    /// Where they differ.
    pub places: BTreeMap<(Kind, String), Place>,
    /// Differences elsewhere, for which there was no room.
    pub elsewhere: u64,
    /// The last ones, the newest last.
    pub examples: VecDeque<Example>,
}

/// Where answers differ.
#[derive(Clone, Debug)]
pub struct Place {
    /// How many of them.
    pub count: u64,
    /// What the client's pool said last, or of which kind that is.
    pub main: String,
    /// What the mirror said.
    pub mirrored: String,
}

/// A pair of answers that differ.
#[derive(Clone, Debug)]
pub struct Example {
    /// When they were compared.
    pub at: SystemTime,
    /// The request's method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// How they differ.
    pub differences: Vec<Difference>,
}

/// Places in a report.
const PLACES: usize = 256;
/// Differences of an example.
const OF_EXAMPLE: usize = 8;
/// Characters of a path.
const PATH: usize = 200;

impl Report {
    /// One that begins now.
    pub fn new(now: SystemTime) -> Self {
        Self {
            since: now,
            compared: 0,
            different: 0,
            kinds: Default::default(),
            places: BTreeMap::new(),
            elsewhere: 0,
            examples: VecDeque::new(),
        }
    }

    /// A pair was compared, the answers to this request, and differs in this. `examples` are kept.
    pub fn add(&mut self, now: SystemTime, (method, path): (&[u8], &[u8]), found: &[Difference], examples: usize) {
        self.compared += 1;
        if found.is_empty() {
            return;
        }
        self.different += 1;
        for (kind, count) in Kind::ALL.into_iter().zip(&mut self.kinds) {
            *count += u64::from(found.iter().any(|of| of.kind == kind));
        }
        for Difference { kind, at, main, mirrored } in found {
            let key = (*kind, at.clone());
            if self.places.len() >= PLACES && !self.places.contains_key(&key) {
                self.elsewhere += 1;
                continue;
            }
            let (main, mirrored) = (main.clone(), mirrored.clone());
            let count = self.places.get(&key).map_or(0, |place| place.count) + 1;
            self.places.insert(key, Place { count, main, mirrored });
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(PATH).collect();
        let differences = found.iter().take(OF_EXAMPLE).cloned().collect();
        self.examples.push_back(Example { at: now, method: text(method), path: text(path), differences });
        while self.examples.len() > examples {
            self.examples.pop_front();
        }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new(SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_bounded_in_all_that_answers_can_make_grow() {
        let mut report = Report::default();
        for number in 0..1000 {
            let at = format!("/{number}");
            let found = Difference { kind: Kind::Json, at, main: "number".into(), mirrored: "string".into() };
            report.add(SystemTime::now(), (b"GET", b"/"), &[found.clone(), found], 3);
        }
        assert_eq!((report.compared, report.different, report.kinds[2]), (1000, 1000, 1000));
        assert_eq!((report.places.len(), report.examples.len()), (PLACES, 3));
        assert_eq!(report.elsewhere, 2 * (1000 - PLACES as u64));
        assert_eq!(report.examples[2].differences[0].at, "/999");
    }
}
