//! What keeps a client with its target: a cookie that says which one is its own, or a table that remembers it.
//!
//! What always holds: a target is known by its address alone, so that what a client was given counts in every worker, after
//! a reload or a restart, and on every host that has the same targets. Where a client belongs goes before the policy, never
//! before what makes a target unusable.
//!
//! Nothing here waits or does I/O; time is passed in.

mod cookie;
mod table;

pub use cookie::{Cookie, Dates, Mode, PREFIX_END, Read};
pub use table::Table;

use super::target::Target;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// How clients of a pool stay with their targets.
#[derive(Debug)]
pub struct Sticky {
    /// By what.
    pub by: By,
    /// Whether a client is refused while its target cannot be used; else it goes to another one and stays there.
    pub strict: bool,
}

/// By what a client is known to belong to a target.
#[derive(Debug)]
pub enum By {
    /// A cookie that names it.
    Cookie(Cookie),
    /// Something that a table has it noted under.
    Table(Noted),
}

/// A table, and what targets are noted under in it.
#[derive(Debug)]
pub struct Noted {
    /// What they are noted under.
    pub under: Under,
    /// The table, which all workers share, and all plans in which the pool has one of the same kind.
    pub table: Arc<Table>,
    /// How long what is noted is remembered when nobody asks for it.
    pub expire: Duration,
    marks: Marks,
}

/// What a target is noted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Under {
    /// The client's address, or as many bits of it.
    Source {
        /// Of an IPv4 address.
        v4: u8,
        /// Of an IPv6 address.
        v6: u8,
    },
    /// What the target tells the client, and the client tells in turn.
    Learned {
        /// A cookie.
        cookie: Option<String>,
        /// A header, in lower case.
        header: Option<String>,
        /// A parameter of the query, which a client may have in place of either.
        query: Option<String>,
    },
}

impl fmt::Display for Under {
    /// What tells whether two tables have the same keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { v4, v6 } => write!(f, "source {v4} {v6}"),
            Self::Learned { cookie, header, .. } => {
                f.write_str("learned")?;
                let names = [("cookie", cookie), ("header", header)].into_iter();
                names
                    .filter_map(|(kind, name)| Some((kind, name.as_ref()?)))
                    .try_for_each(|(k, n)| write!(f, " {k} {n}"))
            }
        }
    }
}

/// The mark that stands for each target in a table.
#[derive(Debug)]
struct Marks {
    /// By the target's place.
    of: Box<[u32]>,
    /// By mark, with the target's place.
    places: Box<[(u32, usize)]>,
}

impl Sticky {
    /// The cookie, where it is by one.
    pub fn cookie(&self) -> Option<&Cookie> {
        match &self.by {
            By::Cookie(cookie) => Some(cookie),
            By::Table(_) => None,
        }
    }

    /// The table, where it is by one.
    pub fn noted(&self) -> Option<&Noted> {
        match &self.by {
            By::Table(noted) => Some(noted),
            By::Cookie(_) => None,
        }
    }
}

impl Noted {
    /// For `targets`, in a table of its own or one that is there.
    pub fn new(under: Under, table: Arc<Table>, expire: Duration, targets: &[Target]) -> Self {
        Self { under, table, expire, marks: Marks::new(targets) }
    }

    /// What the target of a client at `ip` is noted under, where it is by address.
    pub fn source(&self, ip: IpAddr) -> Option<u64> {
        let Under::Source { v4, v6 } = self.under else { return None };
        Some(match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(v4.min(32))).unwrap_or(0);
                xxh3_64(&(ip.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(v6.min(128))).unwrap_or(0);
                xxh3_64(&(ip.to_bits() & mask).to_be_bytes())
            }
        })
    }

    /// What the target of whoever tells `value` is noted under.
    pub fn key(value: &[u8]) -> u64 {
        xxh3_64(value)
    }

    /// The place of the target that is noted under `key`, if it is still one of the pool; it is remembered anew.
    pub fn find(&self, key: u64, now: Duration) -> Option<usize> {
        self.marks.place(self.table.get(key, now, self.expire)?)
    }

    /// The same without remembering it anew, with the seconds for which it is remembered.
    pub fn peek(&self, key: u64, now: Duration) -> Option<(usize, u32)> {
        let (mark, left) = self.table.peek(key, now)?;
        Some((self.marks.place(mark)?, left))
    }

    /// Notes a target under `key` if none is that is one of the pool.
    pub fn claim(&self, key: u64, target: usize, now: Duration) {
        let Some(&mark) = self.marks.of.get(target) else { return };
        match self.table.peek(key, now) {
            Some((gone, _)) if self.marks.place(gone).is_none() => self.table.set(key, mark, now, self.expire),
            _ => self.table.claim(key, mark, now, self.expire),
        }
    }

    /// Notes a target under `key`, whatever was.
    pub fn note(&self, key: u64, target: usize, now: Duration) {
        if let Some(&mark) = self.marks.of.get(target) {
            self.table.set(key, mark, now, self.expire);
        }
    }

    /// How many belong to each target, by its place.
    pub fn counts(&self, now: Duration) -> Vec<u64> {
        let mut counts = vec![0; self.marks.of.len()];
        self.table.each(now, |_, mark, _| {
            if let Some(place) = self.marks.place(mark) {
                counts[place] += 1;
            }
        });
        counts
    }

    /// Forgets who belongs to a target. Returns how many did.
    pub fn forget(&self, target: usize, now: Duration) -> u64 {
        self.marks.of.get(target).map_or(0, |&mark| self.table.forget(Some(mark), now))
    }
}

impl Marks {
    fn new(targets: &[Target]) -> Self {
        let mut ids: Vec<(u64, usize)> = targets.iter().enumerate().map(|(place, target)| (target.id, place)).collect();
        ids.sort_unstable();
        let mut of = vec![0; targets.len()];
        let mut places: Vec<(u32, usize)> = Vec::with_capacity(ids.len());
        for (id, place) in ids {
            // Half of a hash is enough to tell some thousand targets apart, all but never; where it is not, the next number does.
            let mark = (id >> 32) as u32;
            let mark = places.last().map_or(mark, |&(last, _)| if last < mark { mark } else { last.wrapping_add(1) });
            of[place] = mark;
            places.push((mark, place));
        }
        places.sort_unstable();
        Self { of: of.into(), places: places.into() }
    }

    fn place(&self, mark: u32) -> Option<usize> {
        let at = self.places.binary_search_by_key(&mark, |&(mark, _)| mark).ok()?;
        Some(self.places[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Address;

    fn targets(count: u16) -> Vec<Target> {
        (0..count)
            .map(|n| Target::new(Address::Ip(([10, 0, (n >> 8) as u8, n as u8], 80).into()), 1, false, 1))
            .collect()
    }

    fn noted(under: Under, targets: &[Target]) -> Noted {
        Noted::new(under, Arc::new(Table::new(1000)), Duration::from_secs(60), targets)
    }

    const NOW: Duration = Duration::from_secs(10);

    #[test]
    fn a_client_is_known_by_as_many_bits_of_its_address_as_is_wanted() {
        let targets = targets(2);
        let key = |v4, v6, ip: &str| noted(Under::Source { v4, v6 }, &targets).source(ip.parse().unwrap());
        assert_eq!(key(24, 64, "10.0.0.1"), key(24, 64, "10.0.0.200"));
        assert_ne!(key(24, 64, "10.0.0.1"), key(24, 64, "10.0.1.1"));
        assert_ne!(key(32, 64, "10.0.0.1"), key(32, 64, "10.0.0.2"));
        assert_eq!(key(32, 64, "2001:db8::1"), key(32, 64, "2001:db8::2"));
        assert_ne!(key(32, 128, "2001:db8::1"), key(32, 128, "2001:db8::2"));
        assert_eq!(key(32, 64, "::ffff:10.0.0.1"), key(32, 64, "10.0.0.1"));
        assert_eq!(key(0, 0, "10.0.0.1"), key(0, 0, "192.0.2.1"));
    }

    #[test]
    fn what_is_noted_is_found_wherever_the_target_stands() {
        let before = targets(300);
        let noted = noted(Under::Source { v4: 32, v6: 64 }, &before);
        let key = |place: usize| Noted::key(&place.to_le_bytes());
        (0..300).for_each(|place| noted.note(key(place), place, NOW));
        let mut after = targets(300);
        after.remove(7);
        after.reverse();
        let next = Noted::new(noted.under.clone(), noted.table.clone(), noted.expire, &after);
        for (place, target) in before.iter().enumerate() {
            let found = next.find(key(place), NOW).map(|found| after[found].name.as_str());
            assert_eq!(found, (place != 7).then_some(target.name.as_str()));
        }
        assert_eq!(next.counts(NOW).iter().sum::<u64>(), 299);
        next.claim(key(7), 5, NOW);
        next.claim(key(8), 5, NOW);
        assert_eq!(next.find(key(7), NOW), Some(5), "whose target is gone gets another one");
        assert_ne!(next.find(key(8), NOW), Some(5));
        assert_eq!(next.forget(0, NOW), 1);
        assert_eq!(next.find(key(299), NOW), None);
    }

    #[test]
    fn who_came_first_stays_until_it_is_said_otherwise() {
        let noted = noted(Under::Source { v4: 32, v6: 64 }, &targets(3));
        noted.claim(1, 2, NOW);
        noted.claim(1, 0, NOW);
        assert_eq!(noted.find(1, NOW), Some(2));
        noted.note(1, 0, NOW);
        assert_eq!(noted.find(1, NOW), Some(0));
        noted.note(1, 9, NOW);
        assert_eq!(noted.find(1, NOW), Some(0), "there is no such target");
    }
}
