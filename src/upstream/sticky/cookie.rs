//! The cookie by which a client says where it belongs.
//!
//! A target is named in it by a keyed hash of its address. Who has the secret, which several hosts may share, writes the same
//! names; who has not learns nothing from them, not even by trying addresses. Without a secret the key is one that everybody
//! knows: the names are no addresses to the eye, but who guesses one can tell whether the guess is right.

use super::super::target::Target;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

/// A cookie that names targets.
#[derive(Debug)]
pub struct Cookie {
    /// Its name.
    pub name: Box<str>,
    /// Who sets it.
    pub mode: Mode,
    /// How long it counts after it was last set, which it then is from time to time.
    pub max_idle: Option<Duration>,
    /// How long it counts at all.
    pub max_life: Option<Duration>,
    /// What follows its value in `Set-Cookie`, `Secure` aside.
    pub attributes: Box<str>,
    /// Whether it goes over TLS alone; `None`: if it came over TLS.
    pub secure: Option<bool>,
    /// Whether one of that name that a target sets goes on as it is, and none of ours with it.
    pub preserve: bool,
    /// By the target's place.
    names: Box<[Name]>,
    /// By name, with the target's place.
    places: Box<[(Name, usize)]>,
}

/// Who sets the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// We do, and no target sees it.
    Insert,
    /// The target does, and we put its name in place of the value.
    Rewrite,
    /// The target does, and we put its name before the value.
    Prefix,
}

/// When a cookie was last set, and when first, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// When it was last set.
    pub last: u64,
    /// When the client first got it.
    pub first: u64,
}

/// What a cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The target at this place.
    Target {
        /// The place.
        place: usize,
        /// When the client first got the cookie, if that is told.
        first: Option<u64>,
        /// Whether it is to be set anew, so that its dates are right.
        is_stale: bool,
    },
    /// It counted once, and has not been set for too long.
    Idle,
    /// It counted once, and has for too long.
    Old,
    /// No target, or none that there is.
    Unknown,
}

/// What ends a prefix.
pub const PREFIX_END: u8 = b'~';
/// What stands between the parts of a value.
const BETWEEN: u8 = b'.';
/// Bytes of a name: 72 bits of the hash.
const LENGTH: usize = 12;
/// What everybody knows.
const NO_SECRET: &[u8] = b"ringway sticky cookie";

type Name = [u8; LENGTH];

impl Cookie {
    /// A session cookie without attributes that names `targets`.
    pub fn new(name: &str, mode: Mode, secret: Option<&[u8]>, targets: &[Target]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.unwrap_or(NO_SECRET));
        let names: Box<[Name]> = targets.iter().map(|target| hashed(&key, &target.name)).collect();
        let mut places: Box<[(Name, usize)]> = names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        places.sort_unstable();
        let (max_idle, max_life, attributes, secure) = (None, None, Box::default(), None);
        Self { name: name.into(), mode, max_idle, max_life, attributes, secure, preserve: false, names, places }
    }

    /// Whether its value has dates.
    pub fn has_dates(&self) -> bool {
        self.max_idle.is_some() || self.max_life.is_some()
    }

    /// What a client's value says. `now`: seconds since 1970; of no interest where there are no dates.
    pub fn read(&self, value: &[u8], now: u64) -> Read {
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        let mut parts = value.split(|&byte| byte == BETWEEN);
        let (name, last, first, more) = (parts.next(), parts.next(), parts.next(), parts.next());
        let Some(place) = name.and_then(|name| self.place(name)) else { return Read::Unknown };
        let dates = match (last, first, more) {
            (None, ..) => None,
            (Some(last), Some(first), None) => match (number(last), number(first)) {
                // Another host's clock may be ahead of ours.
                (Some(last), Some(first)) => Some(Dates { last: last.min(now), first: first.min(now) }),
                _ => return Read::Unknown,
            },
            _ => return Read::Unknown,
        };
        if !self.has_dates() {
            return Read::Target { place, first: None, is_stale: false };
        }
        let Some(Dates { last, first }) = dates else {
            return Read::Target { place, first: None, is_stale: true };
        };
        let is_over = |since: u64, limit: Option<Duration>| limit.is_some_and(|limit| now - since > limit.as_secs());
        if is_over(first, self.max_life) {
            return Read::Old;
        }
        if is_over(last, self.max_idle) {
            return Read::Idle;
        }
        // To be set by every answer would keep caches from all of them.
        let is_stale = self.max_idle.is_some_and(|limit| now - last > limit.as_secs() / 16);
        Read::Target { place, first: Some(first), is_stale }
    }

    /// The place of the target with this name.
    fn place(&self, name: &[u8]) -> Option<usize> {
        let at = self.places.binary_search_by(|(known, _)| known[..].cmp(name)).ok()?;
        Some(self.places[at].1)
    }

    /// The name of the target at this place.
    pub fn name_of(&self, place: usize) -> &[u8] {
        self.names.get(place).map_or(&[], |name| name)
    }

    /// Appends the line that sets it for the target at `place`, with these dates if it has any.
    pub fn push_line(&self, out: &mut Vec<u8>, place: usize, dates: Option<Dates>, secure: bool) {
        out.extend_from_slice(b"Set-Cookie: ");
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(self.name_of(place));
        if let Some(Dates { last, first }) = dates.filter(|_| self.has_dates()) {
            for date in [last, first] {
                out.push(BETWEEN);
                out.extend_from_slice(itoa::Buffer::new().format(date).as_bytes());
            }
        }
        out.extend_from_slice(self.attributes.as_bytes());
        if self.secure.unwrap_or(secure) {
            out.extend_from_slice(b"; Secure");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// How an address is named.
fn hashed(key: &hmac::Key, address: &str) -> Name {
    let tag = hmac::sign(key, address.as_bytes());
    let mut name = [0; LENGTH];
    // Nine bytes are twelve digits of base64.
    let digits = URL_SAFE_NO_PAD.encode(&tag.as_ref()[..LENGTH * 3 / 4]);
    name.copy_from_slice(digits.as_bytes());
    name
}

/// A date, of ten digits or so.
fn number(digits: &[u8]) -> Option<u64> {
    let good = !digits.is_empty() && digits.len() <= 12 && digits.iter().all(u8::is_ascii_digit);
    good.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Address;

    fn targets() -> Vec<Target> {
        (1..=3).map(|n| Target::new(Address::Ip(([10, 0, 0, n], 8080).into()), 1, false, 1)).collect()
    }

    fn cookie(secret: Option<&[u8]>) -> Cookie {
        Cookie::new("RWSRV", Mode::Insert, secret, &targets())
    }

    fn read(cookie: &Cookie, value: &str, now: u64) -> Read {
        cookie.read(value.as_bytes(), now)
    }

    fn name(cookie: &Cookie, place: usize) -> String {
        String::from_utf8(cookie.name_of(place).to_vec()).unwrap()
    }

    const SECOND: Read = Read::Target { place: 1, first: None, is_stale: false };

    #[test]
    fn a_name_counts_on_every_host_that_has_the_secret_and_tells_no_address() {
        let (ours, others) = (cookie(None), cookie(None));
        let second = name(&ours, 1);
        assert_eq!(second, "4e3w9jjBIGsi", "what browsers hold outlives an upgrade");
        assert_eq!(read(&others, &second, 0), SECOND);
        let mut fewer = targets();
        fewer.remove(0);
        let fewer = Cookie::new("X", Mode::Insert, None, &fewer);
        assert_eq!(read(&fewer, &second, 0), Read::Target { place: 0, first: None, is_stale: false });
        assert_eq!(read(&fewer, &name(&ours, 0), 0), Read::Unknown);
        let (one, same, another) = (cookie(Some(b"a")), cookie(Some(b"a")), cookie(Some(b"b")));
        assert_eq!(name(&one, 1), name(&same, 1));
        assert_ne!(name(&one, 1), name(&another, 1));
        assert_ne!(name(&one, 1), second);
    }

    #[test]
    fn what_is_not_quite_a_name_is_none() {
        let cookie = cookie(None);
        let good = name(&cookie, 1);
        assert_eq!(read(&cookie, &format!("\"{good}\""), 0), SECOND);
        let (longer, shorter) = (format!("{good}A"), &good[..good.len() - 1]);
        let (upper, twice) = (good.to_ascii_uppercase(), format!("{good}{good}"));
        for bad in ["", "\"", "\"\"", "10.0.0.2:8080", "é", &longer, shorter, &upper, &twice, &"x".repeat(100_000)] {
            assert_eq!(read(&cookie, bad, 0), Read::Unknown, "{bad:.40}");
        }
        for bad in ["..", ".1", ".1.2.3", ".1.", ".-1.2", ".1.99999999999999999999", ".x.y"] {
            assert_eq!(read(&cookie, &format!("{good}{bad}"), 0), Read::Unknown, "{bad}");
        }
        assert_eq!(read(&cookie, &format!("{good}.1.2"), 0), SECOND, "from a time when it had dates");
    }

    #[test]
    fn a_cookie_counts_no_longer_than_it_may() {
        let limits = Cookie {
            max_idle: Some(Duration::from_secs(160)),
            max_life: Some(Duration::from_secs(1000)),
            ..cookie(None)
        };
        let value = |last: u64, first: u64| format!("{}.{last}.{first}", name(&limits, 1));
        let target = |first, is_stale| Read::Target { place: 1, first, is_stale };
        assert_eq!(read(&limits, &value(5000, 4500), 5010), target(Some(4500), false));
        assert_eq!(read(&limits, &value(5000, 4500), 5011), target(Some(4500), true));
        assert_eq!(read(&limits, &value(5000, 4500), 5160), target(Some(4500), true));
        assert_eq!(read(&limits, &value(5000, 4500), 5161), Read::Idle);
        assert_eq!(read(&limits, &value(5000, 4500), 5501), Read::Old);
        assert_eq!(read(&limits, &value(9000, 8000), 5000), target(Some(5000), false), "a clock that is ahead");
        assert_eq!(read(&limits, &name(&limits, 1), 5000), target(None, true));
    }

    #[test]
    fn the_line_has_what_is_wanted_and_no_more() {
        let line = |cookie: &Cookie, dates, secure| {
            let mut out = Vec::new();
            cookie.push_line(&mut out, 1, dates, secure);
            String::from_utf8(out).unwrap().replace(&name(cookie, 1), "ID")
        };
        let dates = Some(Dates { last: 12, first: 3 });
        let plain = Cookie { attributes: "; Path=/; HttpOnly".into(), ..cookie(None) };
        assert_eq!(line(&plain, dates, false), "Set-Cookie: RWSRV=ID; Path=/; HttpOnly\r\n");
        assert_eq!(line(&plain, dates, true), "Set-Cookie: RWSRV=ID; Path=/; HttpOnly; Secure\r\n");
        let dated = Cookie { max_idle: Some(Duration::from_secs(9)), secure: Some(false), ..cookie(None) };
        assert_eq!(line(&dated, dates, true), "Set-Cookie: RWSRV=ID.12.3\r\n");
    }
}
