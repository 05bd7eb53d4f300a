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
    /// What an answer varies on; nothing without Vary. `None`: on everything or on too much, so that it is nobody else's.
    pub fn of(answer: &(impl Fields + ?Sized)) -> Option<Vary> {
        let mut names: SmallVec<[SmallVec<[u8; 24]>; 4]> = SmallVec::new();
        let mut bytes = 0;
        for line in answer.values(b"vary") {
            for name in members(line) {
                bytes += name.len() + 1;
                if name == b"*" || bytes > BYTES || names.len() == NAMES {
                    return None;
                }
                names.push(name.to_ascii_lowercase().into());
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
    const ALL: [(Coding, &'static str); 4] =
        [(Coding::Zstd, "zstd"), (Coding::Br, "br"), (Coding::Gzip, "gzip"), (Coding::Identity, "identity")];

    fn of(name: &[u8]) -> Option<Coding> {
        let name = if name.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { name };
        let known = Coding::ALL.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        known.map(|(coding, _)| *coding)
    }
}

/// Accept-Encoding as the codings that we know in the order in which the client would have them; who would not have `identity`
/// gets a mark.
fn write_codings(request: &(impl Fields + ?Sized), into: &mut Vec<u8>) -> bool {
    let mut present = false;
    let mut weights: [Option<u16>; 4] = [None; 4];
    let mut any = None;
    for member in request.values(b"accept-encoding").inspect(|_| present = true).flat_map(members) {
        let (name, weight) = weighted(member);
        if name == b"*" {
            any = Some(weight);
        } else if let Some(coding) = Coding::of(name) {
            let slot = &mut weights[coding as usize];
            *slot = (*slot).max(Some(weight));
        }
    }
    let identity = Coding::Identity as usize;
    let mut wanted: SmallVec<[(u16, usize); 4]> = SmallVec::new();
    for (at, weight) in weights[..identity].iter().enumerate() {
        let weight = weight.or(any).unwrap_or(0);
        if weight > 0 {
            wanted.push((u16::MAX - weight, at));
        }
    }
    wanted.sort_unstable();
    // Whoever says nothing of it takes it, but would have any other rather.
    match weights[identity].or(any.filter(|weight| *weight == 0)) {
        Some(0) => into.push(b'!'),
        Some(weight) => {
            let before = wanted.iter().filter(|(other, _)| u16::MAX - other >= weight).count();
            wanted.insert(before, (u16::MAX - weight, identity));
        }
        None => wanted.push((u16::MAX, identity)),
    }
    for (_, at) in wanted {
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
            (u16::MAX - weight, name.to_ascii_lowercase().into())
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
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| match part {
        [b'q' | b'Q', b'=', weight @ ..] => thousandths(weight),
        _ => None,
    });
    (name, weight.unwrap_or(1000))
}

fn thousandths(weight: &[u8]) -> Option<u16> {
    match weight {
        [b'1'] | [b'1', b'.', b'0' | b'.', ..] => Some(1000),
        [b'1', b'.'] => Some(1000),
        [b'0'] | [b'0', b'.'] => Some(0),
        [b'0', b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => {
            let read = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
            Some(read * [1, 100, 10, 1][digits.len()])
        }
        _ => None,
    }
}
