//! Cache-Control (RFC 9111 §5.2): what a request asks of us, and what an answer allows.
//!
//! What always holds: of a directive that comes more than once the stricter counts, and an argument that is no number makes the
//! answer stale, never fresh.

use super::list::{argument, members, unquoted};

/// The most seconds that a directive says, which stands for always (RFC 9111 §1.2.2).
pub(super) const ALWAYS: u32 = 1 << 31;

/// What the client asks for (RFC 9111 §5.2.1). The default asks for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// Nothing that has not been validated by the origin for this request.
    pub no_cache: bool,
    /// Nothing of this exchange is to be stored.
    pub no_store: bool,
    /// Nothing from the origin: without a stored answer the client gets 504.
    pub only_if_cached: bool,
    /// The greatest age in seconds.
    pub max_age: Option<u32>,
    /// Seconds that the answer must stay fresh from now on.
    pub min_fresh: Option<u32>,
    /// Seconds that the answer may be stale.
    pub max_stale: Option<u32>,
}

impl RequestDirectives {
    /// Reads one more line of Cache-Control.
    pub(super) fn add(&mut self, line: &[u8]) {
        for member in members(line) {
            let (name, value) = argument(member);
            match name.len() {
                7 if name.eq_ignore_ascii_case(b"max-age") => stricter(&mut self.max_age, delta(value).unwrap_or(0)),
                8 if name.eq_ignore_ascii_case(b"no-cache") => self.no_cache = true,
                8 if name.eq_ignore_ascii_case(b"no-store") => self.no_store = true,
                9 if name.eq_ignore_ascii_case(b"min-fresh") => {
                    self.min_fresh = self.min_fresh.max(delta(value));
                }
                9 if name.eq_ignore_ascii_case(b"max-stale") => {
                    let allowed = if value.is_none() { Some(ALWAYS) } else { delta(value) };
                    stricter(&mut self.max_stale, allowed.unwrap_or(0));
                }
                14 if name.eq_ignore_ascii_case(b"only-if-cached") => self.only_if_cached = true,
                _ => {}
            }
        }
    }
}

/// What an answer allows a shared cache (RFC 9111 §5.2.2, RFC 5861, RFC 8246). The default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// Seconds that it is fresh.
    pub max_age: Option<u32>,
    /// The same for shared caches; it goes before `max_age`.
    pub s_maxage: Option<u32>,
    /// Seconds that it may be served stale while it is validated behind.
    pub stale_while_revalidate: Option<u32>,
    /// Seconds that it may be served stale where the origin fails.
    pub stale_if_error: Option<u32>,
    /// Not to be stored.
    pub no_store: bool,
    /// Not to be used without validation.
    pub no_cache: bool,
    /// Some fields of it are not to be used without validation, so that they are not stored.
    pub no_cache_fields: bool,
    /// Not for shared caches.
    pub private: bool,
    /// Some fields of it are not for shared caches.
    pub private_fields: bool,
    /// Storable where it would not be otherwise.
    pub public: bool,
    /// Not to be used stale.
    pub must_revalidate: bool,
    /// Not to be used stale by a shared cache.
    pub proxy_revalidate: bool,
    /// To be stored by those alone who know its status, who ignore `no_store` then.
    pub must_understand: bool,
    /// Its content is not to be changed.
    pub no_transform: bool,
    /// It does not change while it is fresh.
    pub immutable: bool,
}

impl ResponseDirectives {
    /// Reads one more line of Cache-Control.
    pub(super) fn add(&mut self, line: &[u8]) {
        for member in members(line) {
            let (name, value) = argument(member);
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            let seconds = || delta(value).unwrap_or(0);
            match name.len() {
                6 if is(b"public") => self.public = true,
                7 if is(b"max-age") => stricter(&mut self.max_age, seconds()),
                7 if is(b"private") => match names(value).next() {
                    Some(_) => self.private_fields = true,
                    None => self.private = true,
                },
                8 if is(b"no-store") => self.no_store = true,
                8 if is(b"s-maxage") => stricter(&mut self.s_maxage, seconds()),
                8 if is(b"no-cache") => match names(value).next() {
                    Some(_) => self.no_cache_fields = true,
                    None => self.no_cache = true,
                },
                9 if is(b"immutable") => self.immutable = true,
                12 if is(b"no-transform") => self.no_transform = true,
                14 if is(b"stale-if-error") => stricter(&mut self.stale_if_error, seconds()),
                15 if is(b"must-revalidate") => self.must_revalidate = true,
                15 if is(b"must-understand") => self.must_understand = true,
                16 if is(b"proxy-revalidate") => self.proxy_revalidate = true,
                22 if is(b"stale-while-revalidate") => stricter(&mut self.stale_while_revalidate, seconds()),
                _ => {}
            }
        }
    }

    /// Whether it says what a shared cache needs to hear before it stores an answer to a request with Authorization
    /// (RFC 9111 §3.5).
    pub(super) fn allows_authorized(&self) -> bool {
        self.public || self.must_revalidate || self.s_maxage.is_some()
    }

    /// Whether some of its fields are not to be stored.
    pub(super) fn lists_fields(&self) -> bool {
        self.no_cache_fields || self.private_fields
    }
}

/// The field names that a line of Cache-Control lists in `no-cache="…"` and `private="…"`.
pub(super) fn listed(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    members(line).map(argument).flat_map(|(name, value)| {
        let lists = name.eq_ignore_ascii_case(b"no-cache") || name.eq_ignore_ascii_case(b"private");
        names(value.filter(|_| lists))
    })
}

/// The field names of an argument.
fn names(value: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    members(unquoted(value.unwrap_or_default())).filter(|name| !name.contains(&b'"'))
}

/// Seconds (RFC 9111 §1.2.2), quoted or not (§5.2), the most at [`ALWAYS`]. `None`: it is no such number.
fn delta(value: Option<&[u8]>) -> Option<u32> {
    seconds(unquoted(value?))
}

/// A number of seconds, the most at [`ALWAYS`].
pub(super) fn seconds(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, digit| {
        let next = sum.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')));
        digit.is_ascii_digit().then(|| next.min(ALWAYS))
    })
}

/// The less of what was said before and now.
pub(super) fn stricter(before: &mut Option<u32>, now: u32) {
    *before = Some(before.map_or(now, |before| before.min(now)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &[&str]) -> ResponseDirectives {
        let mut read = ResponseDirectives::default();
        lines.iter().for_each(|line| read.add(line.as_bytes()));
        read
    }

    fn asked(line: &str) -> RequestDirectives {
        let mut read = RequestDirectives::default();
        read.add(line.as_bytes());
        read
    }

    #[test]
    fn names_are_read_in_any_case_and_over_all_lines() {
        let read = answer(&["MaX-aGe=3600, foobar", "PUBLIC", "no-transform,Must-Revalidate"]);
        assert_eq!(read.max_age, Some(3600));
        assert!(read.public && read.no_transform && read.must_revalidate && !read.no_store);
    }

    #[test]
    fn seconds_are_whole_numbers_or_none_at_all() {
        for (text, seconds) in [
            ("max-age=0", 0),
            ("max-age=003600", 3600),
            ("max-age=2147483647", 2_147_483_647),
            ("max-age=2147483648", ALWAYS),
            ("max-age=4294967296", ALWAYS),
            ("max-age=99999999999", ALWAYS),
            ("max-age=99999999999999999999999999", ALWAYS),
            ("max-age=\"60\"", 60),
            ("max-age=-3600", 0),
            ("max-age=+60", 0),
            ("max-age='3600'", 0),
            ("max-age=3600.0", 0),
            ("max-age=3600a", 0),
            ("max-age=a3600", 0),
            ("max-age= 3600", 0),
            ("max-age=0x10", 0),
            ("max-age=", 0),
            ("max-age=\"\"", 0),
            ("max-age", 0),
        ] {
            assert_eq!(answer(&[text]).max_age, Some(seconds), "{text}");
        }
        assert_eq!(answer(&["max-age =3600"]).max_age, None, "another name");
    }

    #[test]
    fn of_what_is_said_twice_the_stricter_counts() {
        assert_eq!(answer(&["max-age=1800, max-age=1"]).max_age, Some(1));
        assert_eq!(answer(&["max-age=1", "max-age=1800"]).max_age, Some(1));
        assert_eq!(answer(&["s-maxage=5", "s-maxage=x"]).s_maxage, Some(0));
        let read = asked("max-age=5, max-age=9, min-fresh=1, min-fresh=7, max-stale, max-stale=3");
        assert_eq!((read.max_age, read.min_fresh, read.max_stale), (Some(5), Some(7), Some(3)));
    }

    #[test]
    fn what_is_quoted_is_no_directive() {
        assert_eq!(answer(&[r#"extension="max-age=3600", max-age=1"#]).max_age, Some(1));
        assert_eq!(answer(&[r#"max-age=1, extension="max-age=3600, no-store""#]).max_age, Some(1));
        assert!(!answer(&[r#"x="no-store, private""#]).no_store);
        assert!(!answer(&[r#"x="\", no-store""#]).no_store);
    }

    #[test]
    fn lists_of_fields_are_kept_apart_from_the_plain_words() {
        let read = answer(&[r#"no-cache="a, b", private=c"#, "max-age=1"]);
        assert!(read.no_cache_fields && read.private_fields && !read.no_cache && !read.private);
        let names: Vec<&[u8]> = listed(br#"no-cache="a, b", private=c, x="d", max-age=3"#).collect();
        assert_eq!(names, [&b"a"[..], b"b", b"c"]);
        assert!(answer(&["no-cache, no-cache=\"a\""]).no_cache, "the plain word stands");
        assert!(answer(&["no-cache=\"\""]).no_cache, "a list of nothing restricts nothing");
        assert!(answer(&["private=\"\", x"]).private);
        assert!(answer(&["private=\"a, b"]).private_fields || answer(&["private=\"a, b"]).private);
    }

    #[test]
    fn requests_say_what_they_would_have() {
        let read = asked("no-cache, NO-STORE, only-if-cached, max-stale");
        assert!(read.no_cache && read.no_store && read.only_if_cached);
        assert_eq!(read.max_stale, Some(ALWAYS));
        assert_eq!(asked("nothing-to-see-here"), RequestDirectives::default());
        assert_eq!(asked("max-stale=x, min-fresh=x").max_stale, Some(0));
        assert_eq!(asked("min-fresh=x").min_fresh, None);
        assert_eq!(asked("max-age=x").max_age, Some(0));
    }

    #[test]
    fn no_line_is_too_strange() {
        let mut random = fastrand::Rng::with_seed(5);
        let words =
            ["no-cache", "max-age", "=", "\"", ",", "\\", "1", "99999999999", " ", "private", "s-maxage", "\u{e9}"];
        for _ in 0..50_000 {
            let line: String = (0..random.usize(0..9)).map(|_| words[random.usize(..words.len())]).collect();
            answer(&[&line]);
            asked(&line);
            listed(line.as_bytes()).for_each(drop);
        }
    }
}
