//! What an index stands for: the static table, and behind it the entries that the peer had stored (RFC 7541 §2.3).
//!
//! An entry has one allocation of just its size. Peers store few and refer to them often, and a connection on which nothing
//! is stored has no memory here.

use super::Broken;
use std::collections::VecDeque;

/// What each entry counts besides its bytes (RFC 7541 §4.1).
const OVERHEAD: usize = 32;
/// The size of a table before anybody has said one (RFC 9113 §6.5.2).
const DEFAULT: usize = 4096;

/// RFC 7541 Appendix A. Its indices begin at 1.
pub(super) const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// The entries of a peer.
pub(super) struct Table {
    /// The newest is the first.
    entries: VecDeque<Entry>,
    size: usize,
    capacity: usize,
}

/// A stored field.
pub(super) struct Entry {
    /// The name and the value.
    bytes: Box<[u8]>,
    /// The name's length.
    name: usize,
}

impl Entry {
    pub(super) fn new(name: &[u8], value: &[u8]) -> Self {
        Self { bytes: [name, value].concat().into(), name: name.len() }
    }

    fn size(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, capacity: DEFAULT }
    }
}

impl Table {
    /// The field at `index`.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Result<(&[u8], &[u8]), Broken> {
        let at = index.checked_sub(1).ok_or(Broken)?;
        if let Some(&field) = STATIC.get(at) {
            return Ok(field);
        }
        let entry = self.entries.get(at - STATIC.len()).ok_or(Broken)?;
        entry.bytes.split_at_checked(entry.name).ok_or(Broken)
    }

    /// Stores an entry. One that is larger than the table empties it, which is no fault (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(self.capacity.saturating_sub(size));
        if size <= self.capacity {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    /// Takes the size that the peer says.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.evict(capacity);
    }

    /// Drops the oldest until the rest is not larger than `most`.
    fn evict(&mut self, most: usize) {
        while self.size > most
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size();
        }
    }

    /// The size, and the fields from the newest on.
    #[cfg(test)]
    pub(super) fn state(&self) -> (usize, Vec<String>) {
        let fields = (0..self.entries.len()).map(|at| self.get(at + 62).unwrap());
        (self.size, fields.map(|(name, value)| super::tests::line(name, value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(capacity: usize, values: &[&str]) -> Table {
        let mut table = Table::default();
        table.resize(capacity);
        values.iter().for_each(|value| table.insert(Entry::new(b"n", value.as_bytes())));
        table
    }

    #[test]
    fn the_oldest_goes_first_and_only_if_it_must() {
        assert_eq!(table(68, &["1", "2"]).state(), (68, vec!["n: 2".into(), "n: 1".into()]));
        assert_eq!(table(67, &["1", "2"]).state(), (34, vec!["n: 2".into()]));
        assert_eq!(
            table(110, &["1", "2", "3", "456789"]).state(),
            (107, vec!["n: 456789".into(), "n: 3".into(), "n: 2".into()])
        );
    }

    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        assert_eq!(table(68, &["1", &"2".repeat(36)]).state(), (0, vec![]));
        assert_eq!(table(68, &["1", &"2".repeat(35)]).state().0, 68);
        assert_eq!(table(0, &["1", ""]).state(), (0, vec![]));
    }

    #[test]
    fn a_smaller_table_drops_what_has_no_room() {
        let mut table = table(4096, &["1", "2", "3"]);
        table.resize(101);
        assert_eq!(table.state(), (68, vec!["n: 3".into(), "n: 2".into()]));
        table.resize(0);
        table.resize(4096);
        assert_eq!(table.state(), (0, vec![]));
    }

    #[test]
    fn an_index_is_of_either_table_or_broken() {
        let table = table(4096, &["1"]);
        assert_eq!(table.get(0), Err(Broken));
        assert_eq!(table.get(1), Ok((&b":authority"[..], &b""[..])));
        assert_eq!(table.get(61), Ok((&b"www-authenticate"[..], &b""[..])));
        assert_eq!(table.get(62), Ok((&b"n"[..], &b"1"[..])));
        assert_eq!(table.get(63), Err(Broken));
        assert_eq!(table.get(usize::MAX), Err(Broken));
    }
}
