//! By what an answer can be purged besides its URI: the tags that it names, and the groups that its origin puts it into (RFC 9875).

use super::fields::Fields;
use super::list::members;
use sfv::visitor::{EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor};
use sfv::{BareItemFromInput, Parser};
use smallvec::SmallVec;
use std::convert::Infallible;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The tags of an answer, as hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Each once, in ascending order.
    pub hashes: SmallVec<[u64; 4]>,
    /// Whether it has more than are kept: it cannot be purged by those.
    pub cut: bool,
}

/// The most tags of an answer that are kept.
const MOST: usize = 256;

/// The hash of a tag of Surrogate-Key or Cache-Tag: who purges names it.
pub fn tag(name: &[u8]) -> u64 {
    xxh3_64(name)
}

/// The hash of a group of Cache-Groups. A group is of one origin only: another's of the same name is another (RFC 9875 §2).
pub fn group(scheme: &[u8], host: &[u8], name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, xxh3_64_with_seed(host, xxh3_64(scheme) | 1))
}

impl Tags {
    /// Of an answer of this origin: Surrogate-Key, apart by spaces; Cache-Tag, apart by commas; Cache-Groups.
    pub fn of(answer: &(impl Fields + ?Sized), scheme: &[u8], host: &[u8]) -> Self {
        let mut hashes: SmallVec<[u64; 4]> = SmallVec::new();
        let mut groups: SmallVec<[u8; 64]> = SmallVec::new();
        let mut cut = false;
        let mut add = |hash| {
            cut |= hashes.len() == MOST && !hashes.contains(&hash);
            if hashes.len() < MOST && !hashes.contains(&hash) {
                hashes.push(hash);
            }
        };
        for (name, value) in answer.lines() {
            match name.len() {
                9 if name.eq_ignore_ascii_case(b"cache-tag") => members(value).for_each(|name| add(tag(name))),
                12 if name.eq_ignore_ascii_case(b"cache-groups") => join(&mut groups, value),
                13 if name.eq_ignore_ascii_case(b"surrogate-key") => {
                    let names = value.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty());
                    names.for_each(|name| add(tag(name)));
                }
                _ => {}
            }
        }
        strings(&groups, |name| add(group(scheme, host, name)));
        hashes.sort_unstable();
        Self { hashes, cut }
    }
}

/// Calls `found` with the hash of each group that an answer to an unsafe method says has changed (RFC 9875 §3). Nothing if it failed.
pub fn invalidated(
    answer: &(impl Fields + ?Sized),
    status: u16,
    scheme: &[u8],
    host: &[u8],
    mut found: impl FnMut(u64),
) {
    if invalidates(status) {
        let mut groups: SmallVec<[u8; 64]> = SmallVec::new();
        answer.values(b"cache-group-invalidation").for_each(|line| join(&mut groups, line));
        strings(&groups, |name| found(group(scheme, host, name)));
    }
}

/// Whether an unsafe method that was answered so has changed what it names: with anything but an error (RFC 9111 §4.4).
pub fn invalidates(status: u16) -> bool {
    (200..400).contains(&status)
}

fn join(lines: &mut SmallVec<[u8; 64]>, line: &[u8]) {
    if !lines.is_empty() {
        lines.push(b',');
    }
    lines.extend_from_slice(line);
}

/// The strings of a structured list; nothing if it is not well-formed or has anything else in it.
fn strings(field: &[u8], found: impl FnMut(&[u8])) {
    if let Ok(Some(names)) = Parser::new(field).parse_list_with_visitor(Strings(Some(SmallVec::new()))) {
        names.iter().map(|name| name.as_bytes()).for_each(found);
    }
}

type Names = SmallVec<[String; 4]>;

struct Strings(Option<Names>);

impl<'de> ListVisitor<'de> for Strings {
    type Out = Option<Names>;
    type Error = Infallible;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(Entry(&mut self.0))
    }

    fn finish(self) -> Result<Self::Out, Infallible> {
        Ok(self.0)
    }
}

struct Entry<'s>(&'s mut Option<Names>);

impl<'de> EntryVisitor<'de> for Entry<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(move |item: BareItemFromInput<'de>| {
            match (item, self.0.as_mut()) {
                (BareItemFromInput::String(name), Some(names)) => names.push(name.as_str().to_owned()),
                _ => *self.0 = None,
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        *self.0 = None;
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(lines: &[(&str, &str)]) -> Tags {
        let lines: Vec<(&[u8], &[u8])> =
            lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        Tags::of(&lines[..], b"https", b"a.test")
    }

    fn hashes(mut hashes: Vec<u64>) -> Vec<u64> {
        hashes.sort_unstable();
        hashes
    }

    #[test]
    fn tags_are_read_from_each_field_in_its_own_form() {
        let read = tags(&[("Surrogate-Key", "a  b/1"), ("cache-tag", "c, d e"), ("Cache-Tag", "a"), ("Date", "x")]);
        assert_eq!(read.hashes.to_vec(), hashes(vec![tag(b"a"), tag(b"b/1"), tag(b"c"), tag(b"d e")]));
        assert!(!read.cut && tags(&[("Date", "x")]).hashes.is_empty());
    }

    #[test]
    fn groups_are_of_one_origin() {
        let read = tags(&[("Cache-Groups", r#""g1", "g2";x=1"#), ("Cache-Groups", r#""g3""#)]);
        let of = |name: &[u8]| group(b"https", b"a.test", name);
        assert_eq!(read.hashes.to_vec(), hashes(vec![of(b"g1"), of(b"g2"), of(b"g3")]));
        assert_ne!(of(b"g1"), group(b"https", b"b.test", b"g1"));
        assert_ne!(of(b"g1"), group(b"http", b"a.test", b"g1"));
        assert_ne!(of(b"g1"), tag(b"g1"), "no tag of another field is a group");
        assert_ne!(of(b"g1"), of(b"G1"));
    }

    #[test]
    fn groups_that_are_not_well_formed_are_none() {
        for value in ["g1", "\"g1\", 2", "\"g1", "(\"g1\")", "\"g1\",", ""] {
            assert!(tags(&[("Cache-Groups", value)]).hashes.is_empty(), "{value}");
        }
    }

    #[test]
    fn tags_are_bounded() {
        let many: Vec<String> = (0..MOST + 5).map(|at| at.to_string()).collect();
        let read = tags(&[("Surrogate-Key", &many.join(" "))]);
        assert!(read.cut && read.hashes.len() == MOST);
        let same = vec!["a"; 1000].join(" ");
        assert!(!tags(&[("Surrogate-Key", &same)]).cut);
    }

    #[test]
    fn an_unsafe_method_invalidates_groups_unless_it_failed() {
        let answer = [("Cache-Group-Invalidation", r#""g1", "g2""#)];
        let of = |status| {
            let mut found = Vec::new();
            invalidated(&answer, status, b"https", b"a.test", |hash| found.push(hash));
            found
        };
        assert_eq!(of(204), [group(b"https", b"a.test", b"g1"), group(b"https", b"a.test", b"g2")]);
        assert_eq!(of(303).len(), 2);
        assert!(of(404).is_empty() && of(500).is_empty());
    }
}
