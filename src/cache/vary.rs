//! Which variant of an answer a request gets (RFC 9111 §4.1).
//!
//! What always holds: two requests have one key only if the origin may answer both the same. An absent field is not an empty one.

use super::fields::Fields;
use super::list::members;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The fields of requests that an answer varies on: their names in lower case, sorted, each once, joined by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vary(SmallVec<[u8; 32]>);

/// The most names that an answer may vary on.
const NAMES: usize = 16;
/// The most bytes of them.
const BYTES: usize = 512;

/// Accept-Encoding by the letter: of an answer in a coding that we do not know.
const RAW_ENCODING: &[u8] = b"accept-encoding!";

impl Vary {
    /// What an answer varies on; nothing without Vary. `None`: on everything, on who the client is, or on too much, so that it is
    /// nobody else's.
    pub fn of(answer: &(impl Fields + ?Sized)) -> Option<Vary> {
        let mut names: SmallVec<[SmallVec<[u8; 24]>; 4]> = SmallVec::new();
        let mut bytes = 0;
        for line in answer.values(b"vary") {
            for name in members(line) {
                bytes += name.len() + 1;
                if name == b"*" || bytes > BYTES || names.len() == NAMES {
                    return None;
                }
                let mut name = SmallVec::<[u8; 24]>::from_slice(name);
                name.make_ascii_lowercase();
                if is_ours(&name) {
                    return None;
                }
                names.push(name);
            }
        }
        if names.is_empty() {
            return Some(Vary::default());
        }
        if answer.values(b"content-encoding").flat_map(members).any(|coding| Coding::of(coding).is_none()) {
            for name in names.iter_mut().filter(|name| name[..] == b"accept-encoding"[..]) {
                *name = RAW_ENCODING.into();
            }
        }
        names.sort_unstable();
        names.dedup();
        let mut joined = SmallVec::new();
        for name in &names {
            if !joined.is_empty() {
                joined.push(b',');
            }
            joined.extend_from_slice(name);
        }
        Some(Vary(joined))
    }

    /// Whether it varies on nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For keeping; by [`from_bytes`](Self::from_bytes) it comes back.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What [`as_bytes`](Self::as_bytes) gave.
    pub fn from_bytes(bytes: &[u8]) -> Vary {
        Vary(bytes.into())
    }

    /// The key of the variant that this request gets of what `primary` names. `seed` is a random number of the cache that nobody
    /// outside knows: without it nobody can find two requests that share a key by chance. `scratch` is overwritten.
    pub fn key(&self, seed: u64, primary: u128, request: &(impl Fields + ?Sized), scratch: &mut Vec<u8>) -> u128 {
        self.write(primary, request, None, scratch);
        xxh3_128_with_seed(scratch, seed)
    }

    /// The key under which an answer can be found also by requests of which it is known from their preference alone that they
    /// would get it: those that want `language` most. An answer is noted under it that has one Content-Language and varies on
    /// Accept-Language; a request looks under that of its [`favourite_language`]. `None`: it does not vary on that.
    pub fn language_key(
        &self,
        seed: u64,
        primary: u128,
        request: &(impl Fields + ?Sized),
        language: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Option<u128> {
        let varies = self.0.split(|&byte| byte == b',').any(|name| name == b"accept-language");
        let one = !language.is_empty() && language.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        (varies && one).then(|| {
            self.write(primary, request, Some(language), scratch);
            xxh3_128_with_seed(scratch, seed)
        })
    }

    /// What a key is made of: all parts with their lengths, so that no two requests share bytes by moving text between them.
    fn write(&self, primary: u128, request: &(impl Fields + ?Sized), language: Option<&[u8]>, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&primary.to_le_bytes());
        into.extend_from_slice(&self.0);
        for name in self.0.split(|&byte| byte == b',').filter(|name| !name.is_empty()) {
            let at = into.len();
            into.extend_from_slice(&[0; 5]);
            let present = match name {
                b"accept-encoding" => write_codings(request, into),
                b"accept-language" => match language {
                    Some(language) => {
                        into.extend(language.iter().map(u8::to_ascii_lowercase));
                        into[at + 4] = 2;
                        false
                    }
                    None => write_languages(request, into),
                },
                RAW_ENCODING => write_combined(request, b"accept-encoding", into),
                b"cookie" => write_cookies(request, into),
                name => write_combined(request, name, into),
            };
            let length = u32::try_from(into.len() - at - 5).unwrap_or(u32::MAX);
            into[at..at + 4].copy_from_slice(&length.to_le_bytes());
            into[at + 4] += u8::from(present);
        }
    }
}

/// Whether a field of the request to the origin is one that the proxy writes: what the client sent under its name says nothing.
fn is_ours(name: &[u8]) -> bool {
    let exact: [&[u8]; 6] =
        [b"forwarded", b"x-forwarded-for", b"x-real-ip", b"x-request-id", b"traceparent", b"tracestate"];
    exact.contains(&name) || name.starts_with(b"client-cert") || name.starts_with(b"x-client-cert")
}

/// All lines of a field as one, without the whitespace around commas. Whether there is a line.
pub(super) fn write_combined(request: &(impl Fields + ?Sized), name: &[u8], into: &mut Vec<u8>) -> bool {
    let (mut present, mut first) = (false, true);
    for line in request.values(name) {
        present = true;
        for member in members(line) {
            if !first {
                into.push(b',');
            }
            first = false;
            into.extend_from_slice(member);
        }
    }
    present
}

/// All cookies as one line: HTTP/2 sends them apart (RFC 9113 §8.2.3).
fn write_cookies(request: &(impl Fields + ?Sized), into: &mut Vec<u8>) -> bool {
    let mut present = false;
    for line in request.values(b"cookie") {
        for pair in line.split(|&byte| byte == b';') {
            if present {
                into.push(b';');
            }
            present = true;
            into.extend_from_slice(pair.trim_ascii());
        }
    }
    present
}

/// A content coding that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Zstd,
    Br,
    Gzip,
    Identity,
}

impl Coding {
    fn of(name: &[u8]) -> Option<Coding> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            2 if is(b"br") => Some(Coding::Br),
            4 if is(b"gzip") => Some(Coding::Gzip),
            4 if is(b"zstd") => Some(Coding::Zstd),
            6 if is(b"x-gzip") => Some(Coding::Gzip),
            8 if is(b"identity") => Some(Coding::Identity),
            _ => None,
        }
    }
}

/// Accept-Encoding as the codings that we know in the order in which the client would have them; who would not have `identity`
/// gets a mark.
fn write_codings(request: &(impl Fields + ?Sized), into: &mut Vec<u8>) -> bool {
    let mut present = false;
    let mut weights: [Option<u16>; 4] = [None; 4];
    let mut any = None;
    for line in request.values(b"accept-encoding") {
        present = true;
        for member in members(line) {
            let (name, weight) = weighted(member);
            if name == b"*" {
                any = Some(weight);
            } else if let Some(coding) = Coding::of(name) {
                let slot = &mut weights[coding as usize];
                *slot = (*slot).max(Some(weight));
            }
        }
    }
    let [others @ .., identity] = &mut weights;
    others.iter_mut().for_each(|weight| *weight = weight.or(any));
    // Whoever says nothing of it takes it, but would have any other rather.
    match identity.or(any.filter(|weight| *weight == 0)) {
        Some(0) => into.push(b'!'),
        said => *identity = Some(said.unwrap_or(0).max(1)),
    }
    let mut order = [0, 1, 2, 3];
    order.sort_by_key(|at: &usize| u16::MAX - weights[*at].unwrap_or(0));
    for at in order.into_iter().filter(|at| weights[*at].is_some_and(|weight| weight > 0)) {
        into.push(b'0' + at as u8);
    }
    present
}

/// Accept-Language in lower case, by weight and then by name.
fn write_languages(request: &(impl Fields + ?Sized), into: &mut Vec<u8>) -> bool {
    let mut present = false;
    let mut ranges: SmallVec<[(u16, SmallVec<[u8; 16]>); 8]> = request
        .values(b"accept-language")
        .inspect(|_| present = true)
        .flat_map(members)
        .map(|member| {
            let (name, weight) = weighted(member);
            let mut name: SmallVec<[u8; 16]> = name.into();
            name.make_ascii_lowercase();
            (u16::MAX - weight, name)
        })
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    for (weight, name) in &ranges {
        into.extend_from_slice(name);
        into.push(b';');
        into.extend_from_slice(&weight.to_le_bytes());
        into.push(b',');
    }
    present
}

/// The language that a request wants more than any other, if there is such a one.
pub fn favourite_language(request: &(impl Fields + ?Sized)) -> Option<&[u8]> {
    let (mut best, mut weight, mut tied) = (None, 0, false);
    for member in request.values(b"accept-language").flat_map(members) {
        let (name, its) = weighted(member);
        if its > weight {
            (best, weight, tied) = (Some(name), its, false);
        } else if its == weight {
            tied = true;
        }
    }
    best.filter(|name| !tied && *name != b"*")
}

/// A member and its weight in thousandths (RFC 9110 §12.4.2); one that is no weight is the most, as if it were not there.
fn weighted(member: &[u8]) -> (&[u8], u16) {
    if memchr::memchr(b';', member).is_none() {
        return (member, 1000);
    }
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| match part {
        [b'q' | b'Q', b'=', weight @ ..] => thousandths(weight),
        _ => None,
    });
    (name, weight.unwrap_or(1000))
}

fn thousandths(weight: &[u8]) -> Option<u16> {
    let (whole, digits) = match weight {
        [whole] | [whole, b'.'] => (whole, &[][..]),
        [whole, b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => (whole, digits),
        _ => return None,
    };
    let read = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let part = read * [0, 100, 10, 1][digits.len()];
    match whole {
        b'0' => Some(part),
        b'1' if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Head<'a> = &'a [(&'a [u8], &'a [u8])];

    fn vary(value: &str) -> Vary {
        Vary::of(&[("Vary", value)]).unwrap_or_else(|| panic!("{value} is on everything"))
    }

    fn same(on: &str, one: Head<'_>, other: Head<'_>) -> bool {
        let mut scratch = Vec::new();
        let mut key = |head: Head<'_>| vary(on).key(1, 2, head, &mut scratch);
        key(one) == key(other)
    }

    /// Whether two values of one field lead to the same variant.
    fn alike(name: &'static str, one: &str, other: &str) -> bool {
        let name = name.as_bytes();
        same(std::str::from_utf8(name).unwrap_or_default(), &[(name, one.as_bytes())], &[(name, other.as_bytes())])
    }

    #[test]
    fn a_star_anywhere_is_everything() {
        for value in ["*", "*, *", ", *", "*, Foo", "Foo, *"] {
            assert_eq!(Vary::of(&[("Vary", value)]), None, "{value}");
        }
        assert_eq!(Vary::of(&[("Vary", ""), ("vary", "*")]), None);
        assert_eq!(Vary::of(&[("Vary", "*"), ("vary", "*")]), None);
        assert!(Vary::of(&[("Vary", ""), ("vary", ",")]).is_some_and(|vary| vary.is_empty()));
        assert!(Vary::of(&[("Date", "x")]).is_some_and(|vary| vary.is_empty()));
    }

    #[test]
    fn what_it_varies_on_does_not_depend_on_how_it_is_written() {
        assert_eq!(vary("Foo, Bar ,foo"), vary("bar,FOO"));
        assert_eq!(Vary::of(&[("Vary", "b"), ("Vary", "a")]), Some(vary("a, b")));
        assert_eq!(Vary::from_bytes(vary("a, b").as_bytes()), vary("b, a"));
        assert_ne!(vary("a"), vary("a, b"));
    }

    #[test]
    fn who_the_client_is_is_everything() {
        for value in ["X-Forwarded-For", "a, Forwarded", "X-Real-IP", "Client-Cert-Chain", "traceparent"] {
            assert_eq!(Vary::of(&[("Vary", value)]), None, "{value}");
        }
        assert!(Vary::of(&[("Vary", "X-Forwarded-Proto, Origin")]).is_some(), "the scheme is in the key");
    }

    #[test]
    fn too_much_is_everything() {
        let names = |count: usize, length: usize| {
            let names: Vec<String> = (0..count).map(|at| format!("{at:a>length$}")).collect();
            names.join(",")
        };
        assert!(Vary::of(&[("Vary", names(16, 8).as_str())]).is_some());
        assert!(Vary::of(&[("Vary", names(17, 8).as_str())]).is_none());
        assert!(Vary::of(&[("Vary", names(4, 200).as_str())]).is_none());
    }

    #[test]
    fn requests_that_differ_in_a_named_field_get_their_own() {
        let (one, other): (&[u8], &[u8]) = (b"1", b"2");
        assert!(same("foo", &[(b"Foo", one)], &[(b"fOO", one), (b"other", other)]));
        assert!(!same("foo", &[(b"foo", one)], &[(b"foo", other)]));
        assert!(!same("foo", &[(b"foo", one)], &[]) && !same("foo", &[], &[(b"foo", one)]));
        assert!(!same("foo", &[(b"foo", b"")], &[]), "an empty one is one");
        assert!(same("foo, bar", &[(b"foo", one)], &[(b"foo", one)]), "both leave one out");
        assert!(!same("foo, bar", &[(b"foo", one), (b"bar", other)], &[(b"foo", other), (b"bar", one)]));
        assert!(!same("bar, foo", &[(b"bar", b"1,2")], &[(b"bar", b"1"), (b"foo", b"2")]), "no text moves over");
        assert!(same("foo, bar, baz", &[(b"foo", one), (b"baz", other)], &[(b"baz", other), (b"foo", one)]));
    }

    #[test]
    fn lines_and_blanks_do_not_matter() {
        assert!(same("foo", &[(b"foo", b"1, 2")], &[(b"foo", b"1"), (b"foo", b"2")]));
        assert!(alike("foo", "1,2", " 1 , 2 ") && !alike("foo", "1 2", "1,2") && !alike("foo", "a", "A"));
        assert!(!alike("foo", r#""a, b""#, r#""a,b""#), "what is quoted is left alone");
        assert!(same("cookie", &[(b"cookie", b"a=1; b=2")], &[(b"cookie", b"a=1"), (b"cookie", b"b=2")]));
        assert!(!same("cookie", &[(b"cookie", b"a=1; b=2")], &[(b"cookie", b"b=2; a=1")]));
    }

    #[test]
    fn encodings_are_the_ones_that_we_know_by_preference() {
        let alike = |one, other| alike("accept-encoding", one, other);
        assert!(alike("gzip, deflate, br", "br,gzip") && alike("GZIP;q=1.0, x", "gzip"));
        assert!(alike("gzip;q=0.5", "gzip") && alike("x-gzip", "gzip") && alike("", "deflate"));
        assert!(alike("gzip, *;q=0", "gzip, identity;q=0") && alike("*", "zstd, br, gzip"));
        assert!(alike("gzip, br;q=0", "gzip") && alike("identity", ""));
        for (one, other) in [
            ("gzip", "br"),
            ("gzip, br", "gzip"),
            ("gzip;q=0.5, br", "gzip, br;q=0.5"),
            ("gzip;q=0", "gzip"),
            ("gzip", "gzip, identity;q=0"),
            ("gzip;q=0.1, identity;q=0.9", "gzip"),
            ("*;q=0", ""),
        ] {
            assert!(!alike(one, other), "{one} and {other}");
        }
        assert!(!same("accept-encoding", &[(b"accept-encoding", b"identity")], &[]), "who says nothing takes anything");
    }

    #[test]
    fn an_answer_in_a_coding_that_we_do_not_know_is_for_those_who_ask_alike() {
        let on = Vary::of(&[("Vary", "Accept-Encoding"), ("Content-Encoding", "deflate")]).unwrap_or_default();
        let mut scratch = Vec::new();
        let mut key = |value: &str| on.key(1, 2, &[("Accept-Encoding", value)], &mut scratch);
        assert_ne!(key("gzip, deflate"), key("gzip"));
        assert_eq!(key("gzip, deflate"), key("gzip,deflate"));
        assert_eq!(Vary::of(&[("Vary", "accept-encoding"), ("content-encoding", "br")]), Some(vary("accept-encoding")));
    }

    #[test]
    fn languages_are_compared_without_case_order_and_blanks() {
        let alike = |one, other| alike("accept-language", one, other);
        assert!(alike("en, de", "de, en") && alike("en, de", "eN, De") && alike("en, de", " en , de"));
        assert!(alike("de;q=1.0, en;q=0.50", "en;q=0.5, de") && alike("en, en", "en"));
        for (one, other) in
            [("en, de;q=0.9", "en, de"), ("en", "en-GB"), ("en", "en, de"), ("en;q=0", "en"), ("", "en")]
        {
            assert!(!alike(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn the_favourite_language_is_the_one_wanted_most() {
        let favourite = |value: &str| {
            let head = [("accept-language", value)];
            favourite_language(&head).map(|language| String::from_utf8_lossy(language).into_owned())
        };
        assert_eq!(favourite("fr;q=0.5, de;q=1.0").as_deref(), Some("de"));
        assert_eq!(favourite("de").as_deref(), Some("de"));
        assert_eq!(favourite("*;q=0.1, de-CH;q=0.2").as_deref(), Some("de-CH"));
        for none in ["en, de", "*", "de;q=0", "", "de;q=0.1, *"] {
            assert_eq!(favourite(none), None, "{none}");
        }
    }

    #[test]
    fn an_answer_is_found_by_the_language_it_is_in() {
        let on = vary("accept-language, foo");
        let mut scratch = Vec::new();
        let mut key = |language: &str, foo: &str| {
            let head = [("Accept-Language", "x"), ("Foo", foo)];
            on.language_key(1, 2, &head, language.as_bytes(), &mut scratch)
        };
        assert_eq!(key("de", "1"), key("DE", "1"));
        assert!(key("de", "1") != key("en", "1") && key("de", "1") != key("de", "2"));
        assert!(key("de, en", "1").is_none() && key("", "1").is_none());
        assert_ne!(key("x", "1"), Some(on.key(1, 2, &[("Accept-Language", "x"), ("Foo", "1")], &mut Vec::new())));
        assert_eq!(vary("foo").language_key(1, 2, &[("Foo", "1")], b"de", &mut Vec::new()), None);
    }

    #[test]
    fn weights_are_read_to_the_letter() {
        for (text, weight) in [
            ("0", 0),
            ("0.", 0),
            ("0.5", 500),
            ("0.05", 50),
            ("0.123", 123),
            ("1", 1000),
            ("1.000", 1000),
            ("1.5", 1000),
            ("2", 1000),
            ("0.1234", 1000),
            ("-1", 1000),
            ("", 1000),
        ] {
            assert_eq!(weighted(format!("x ; q={text}").as_bytes()), (&b"x"[..], weight), "{text}");
        }
    }

    #[test]
    fn keys_differ_by_seed_and_by_what_they_are_variants_of() {
        let head = [("foo", "1")];
        let key = |seed, primary| vary("foo").key(seed, primary, &head, &mut Vec::new());
        assert!(key(1, 1) != key(2, 1) && key(1, 1) != key(1, 2) && key(1, 1) == key(1, 1));
    }
}
