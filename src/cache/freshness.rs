//! How long an answer is fresh, and what may be done with it once it is not (RFC 9111 §4.2, RFC 5861).
//!
//! What always holds: the age of an answer is never negative and never shrinks while its time here grows, however the clocks go.

use super::control::{ALWAYS, RequestDirectives};
use super::message::{Expires, Request, Response};
use super::rules::{Over, Rules, SetCookie};

/// When an exchange with the origin took place: milliseconds of the wall clock since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The request began to be sent.
    pub sent: u64,
    /// The head of the answer was there.
    pub received: u64,
}

/// What was found of an answer once and for all when it was stored or validated; that of one which is not stored says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// When it was received, in milliseconds of the wall clock since 1970.
    pub received: u64,
    /// Its age when it was received, in milliseconds (RFC 9111 §4.2.3).
    pub initial_age: u64,
    /// Seconds that it is fresh.
    pub lifetime: u32,
    /// Seconds that it may be stale while it is validated behind.
    pub stale_while_revalidate: u32,
    /// Seconds that it may be stale where the origin fails.
    pub stale_if_error: u32,
    /// Its status.
    pub status: u16,
    flags: u16,
}

/// Not without validation.
const NO_CACHE: u16 = 1;
/// Not stale.
const NO_STALE: u16 = 1 << 1;
/// Does not change while it is fresh.
const IMMUTABLE: u16 = 1 << 2;
/// There is something to validate it with.
const VALIDATOR: u16 = 1 << 3;
/// The origin said itself how long it is fresh.
const EXPLICIT: u16 = 1 << 4;
/// A purge has made it stale.
const PURGED: u16 = 1 << 5;

/// What may be done with a stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is served.
    Fresh,
    /// It is served stale, as the client allows; nothing is asked of the origin.
    Stale,
    /// It is served stale, and validated behind.
    StaleWhileRevalidate,
    /// The origin is asked first.
    Validate(Need),
    /// The origin should be asked, but the client forbids it: it gets 504.
    Forbidden,
}

/// Why the origin is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It is stale.
    Stale,
    /// It always has to be, as it says itself.
    NoCache,
    /// It is fresh, but not what this request asks for.
    Request,
}

impl Freshness {
    /// Of an answer that is stored, or that a validation has brought up to date.
    pub fn of(request: &Request<'_>, response: &Response<'_>, rules: &Rules, times: Times) -> Self {
        let (lifetime, explicit) = lifetime(request, response, rules, times);
        let control = &response.control;
        let ignored = rules.ttl(response.status).is_some_and(|ttl| ttl.over == Over::Everything);
        let flag = |bit: u16, set: bool| if set { bit } else { 0 };
        // `s-maxage` forbids to serve stale (RFC 9111 §5.2.2.10), unless the same answer says for how long it allows that.
        let strict = (control.must_revalidate || control.proxy_revalidate) && !ignored;
        let silent = strict || control.s_maxage.is_some() && !ignored || lifetime.is_none_or(|seconds| seconds == 0);
        let window = |said: Option<u32>, default: Option<u32>| match said {
            _ if strict => 0,
            Some(seconds) => seconds,
            None if silent => 0,
            None => default.unwrap_or(0).min(ALWAYS),
        };
        Self {
            received: times.received,
            initial_age: initial_age(response, times),
            lifetime: lifetime.unwrap_or(0),
            stale_while_revalidate: window(control.stale_while_revalidate, rules.stale_while_revalidate),
            stale_if_error: window(control.stale_if_error, rules.stale_if_error),
            status: response.status,
            flags: flag(NO_CACHE, control.no_cache && !ignored)
                | flag(NO_STALE, strict)
                | flag(IMMUTABLE, control.immutable)
                | flag(VALIDATOR, response.has_validator())
                | flag(EXPLICIT, explicit),
        }
    }

    /// How long it has been here by the wall clock, in milliseconds: for what another process stored. What this process stored
    /// should be measured by a clock that nobody sets.
    pub fn resident(&self, now: u64) -> u64 {
        now.saturating_sub(self.received)
    }

    /// Its age in milliseconds after so many milliseconds here.
    pub fn age(&self, resident: u64) -> u64 {
        self.initial_age.saturating_add(resident)
    }

    /// The seconds that Age says then.
    pub fn age_seconds(&self, resident: u64) -> u32 {
        u32::try_from(self.age(resident) / 1000).unwrap_or(ALWAYS).min(ALWAYS)
    }

    /// Seconds that it stays fresh then, negative once it is stale: the `ttl` of Cache-Status.
    pub fn ttl(&self, resident: u64) -> i64 {
        i64::from(self.lifetime) - i64::from(self.age_seconds(resident))
    }

    /// Whether it is fresh after so many milliseconds here, whoever asks.
    pub fn is_fresh(&self, resident: u64) -> bool {
        self.stale_for(resident) == 0 && !self.has(PURGED)
    }

    /// What may be done with it for this request after so many milliseconds here.
    pub fn verdict(&self, resident: u64, asked: &RequestDirectives) -> Use {
        let validate = |need| if asked.only_if_cached { Use::Forbidden } else { Use::Validate(need) };
        if self.has(NO_CACHE) {
            return validate(Need::NoCache);
        }
        if asked.no_cache {
            return validate(Need::Request);
        }
        let fresh = self.is_fresh(resident);
        if !(fresh && self.has(IMMUTABLE)) {
            let too_old = asked.max_age.is_some_and(|most| most == 0 || self.age_seconds(resident) > most);
            let too_short = asked.min_fresh.is_some_and(|least| {
                self.age(resident).saturating_add(milliseconds(least)) > milliseconds(self.lifetime)
            });
            if too_old || too_short {
                return validate(Need::Request);
            }
        }
        if fresh {
            return Use::Fresh;
        }
        let stale_for = self.stale_for(resident);
        if self.has(NO_STALE) {
            validate(Need::Stale)
        } else if stale_for < milliseconds(self.stale_while_revalidate) {
            Use::StaleWhileRevalidate
        } else if !self.has(PURGED) && asked.max_stale.is_some_and(|seconds| stale_for <= milliseconds(seconds)) {
            Use::Stale
        } else {
            validate(Need::Stale)
        }
    }

    /// Whether it may be served after so many milliseconds here where the origin could not be asked, or gave an answer that says
    /// that it fails ([`is_failure`]). No answer that is a failure itself ever is.
    pub fn may_serve_on_error(&self, resident: u64) -> bool {
        let within = || !self.has(NO_STALE) && self.stale_for(resident) < milliseconds(self.stale_if_error);
        !self.has(NO_CACHE) && !is_failure(self.status) && (self.is_fresh(resident) || within())
    }

    /// Whether there is something to validate it with.
    pub fn has_validator(&self) -> bool {
        self.has(VALIDATOR)
    }

    /// Whether the origin said itself how long it is fresh.
    pub fn is_explicit(&self) -> bool {
        self.has(EXPLICIT)
    }

    /// The milliseconds here after which nothing can be done with it any more; `None`: it can always be validated.
    pub fn useful_for(&self) -> Option<u64> {
        let stale = if self.has(NO_STALE) { 0 } else { self.stale_while_revalidate.max(self.stale_if_error) };
        let end = milliseconds(self.lifetime) + milliseconds(stale);
        (!self.has_validator()).then(|| end.saturating_sub(self.initial_age))
    }

    /// The same once a purge has made it stale after so many milliseconds here: it is validated, or serves on while it is fetched
    /// anew or the origin fails, as it may.
    pub fn purged(mut self, resident: u64) -> Self {
        self.flags |= PURGED;
        self.lifetime = self.lifetime.min(self.age_seconds(resident));
        self
    }

    fn has(&self, bits: u16) -> bool {
        self.flags & bits != 0
    }

    /// The milliseconds since it became stale, at least 1 then. 0: it is fresh.
    fn stale_for(&self, resident: u64) -> u64 {
        self.age(resident).saturating_add(1).saturating_sub(milliseconds(self.lifetime))
    }

    /// The bytes of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 32;

    /// For keeping; by [`from_bytes`](Self::from_bytes) it comes back.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.received.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.initial_age.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.lifetime.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.stale_while_revalidate.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.stale_if_error.to_le_bytes());
        bytes[28..30].copy_from_slice(&self.status.to_le_bytes());
        bytes[30..].copy_from_slice(&self.flags.to_le_bytes());
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) made these bytes of.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let int = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let short = |at: usize| u16::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self {
            received: long(0),
            initial_age: long(8),
            lifetime: int(16),
            stale_while_revalidate: int(20),
            stale_if_error: int(24),
            status: short(28),
            flags: short(30),
        }
    }
}

/// Whether a status says that the origin fails, so that a stored answer may be served instead (RFC 5861 §4).
pub fn is_failure(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

fn milliseconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}

/// Seconds that an answer is fresh, and whether it says so itself. `None`: nothing tells.
fn lifetime(request: &Request<'_>, response: &Response<'_>, rules: &Rules, times: Times) -> (Option<u32>, bool) {
    let ttl = rules.ttl(response.status);
    if let Some(ttl) = ttl
        && ttl.over != Over::Silence
    {
        return (Some(ttl.seconds.min(ALWAYS)), false);
    }
    let said = explicit(response, times);
    if said.is_some() {
        return (said, true);
    }
    let cookie = response.set_cookie && matches!(rules.set_cookie, SetCookie::Never | SetCookie::Explicit);
    if cookie && !response.control.public {
        return (None, false);
    }
    let guessable = allows_guesses(response.status) || response.control.public;
    let configured = ttl.map(|ttl| ttl.seconds).or_else(|| rules.default_ttl.filter(|_| guessable));
    if let Some(seconds) = configured {
        return (Some(seconds.min(ALWAYS)), false);
    }
    let personal = (request.cookie && !response.control.public) || response.set_cookie || response.pragma;
    let heuristic = rules.heuristics.filter(|_| guessable && !personal).and_then(|heuristics| {
        let date = response.date.unwrap_or(times.received / 1000);
        Some(heuristics.lifetime(date.saturating_sub(response.modified()?)))
    });
    (heuristic, false)
}

/// Seconds that an answer says itself (RFC 9111 §4.2.1).
fn explicit(response: &Response<'_>, times: Times) -> Option<u32> {
    let control = &response.control;
    let expires = || match response.expires {
        _ if response.targeted => None,
        Expires::Never => None,
        Expires::Invalid => Some(0),
        Expires::At(at) => {
            let date = response.date.unwrap_or(times.received / 1000);
            Some(u32::try_from(at.saturating_sub(date)).unwrap_or(ALWAYS).min(ALWAYS))
        }
    };
    control.s_maxage.or(control.max_age).or_else(expires)
}

/// RFC 9111 §4.2.3, `corrected_initial_age`, in milliseconds. A Date names a second: its end counts, so that an answer is not a
/// second old when the second has just turned.
fn initial_age(response: &Response<'_>, times: Times) -> u64 {
    const LAST_OF_SECOND: u64 = 999;
    let apparent = response
        .date
        .map_or(0, |date| times.received.saturating_sub(date.saturating_mul(1000).saturating_add(LAST_OF_SECOND)));
    let delay = times.received.saturating_sub(times.sent);
    let corrected = milliseconds(response.age.unwrap_or(0)).saturating_add(delay);
    apparent.max(corrected)
}

/// Whether how long an answer of this status is fresh may be guessed (RFC 9110 §15.1). Parts are stored as what they are parts of.
fn allows_guesses(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn of(head: &[(&str, &str)], times: Times) -> Freshness {
        let head: Vec<(&[u8], &[u8])> = head.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let rules = Rules::default();
        Freshness::of(&Request::default(), &Response::of(200, &head[..], &rules), &rules, times)
    }

    fn at_once(head: &[(&str, &str)]) -> Freshness {
        of(head, Times { sent: NOW, received: NOW })
    }

    fn verdict(freshness: &Freshness, resident: u64) -> Use {
        freshness.verdict(resident, &RequestDirectives::default())
    }

    #[test]
    fn it_comes_back_from_its_bytes() {
        let head = [
            ("Cache-Control", "max-age=7, stale-if-error=9, stale-while-revalidate=8, immutable"),
            ("Age", "3"),
            ("ETag", "x"),
        ];
        let freshness = at_once(&head);
        assert_eq!(Freshness::from_bytes(&freshness.to_bytes()), freshness);
        assert_ne!(Freshness::from_bytes(&[0xff; Freshness::BYTES]), freshness);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..1000 {
            let bytes = std::array::from_fn(|_| random.u8(..));
            let read = Freshness::from_bytes(&bytes);
            assert_eq!(read.to_bytes(), bytes);
            // Whatever was stored, asking it is safe.
            let resident = random.u64(..);
            verdict(&read, resident);
            read.may_serve_on_error(resident);
            read.purged(resident).ttl(resident);
            read.useful_for();
        }
    }

    #[test]
    fn the_time_that_an_answer_took_counts_to_its_age() {
        let head = [("Cache-Control", "max-age=60")];
        let slow = of(&head, Times { sent: NOW - 4500, received: NOW });
        assert_eq!(slow.age_seconds(0), 4);
        assert_eq!(verdict(&slow, 55_499), Use::Fresh);
        assert_eq!(verdict(&slow, 55_500), Use::Validate(Need::Stale));
    }

    #[test]
    fn a_second_that_has_just_turned_makes_nothing_old() {
        let dated = |received| {
            of(
                &[("Cache-Control", "max-age=1"), ("Date", "Fri, 15 Jan 2027 08:00:00 GMT")],
                Times { sent: received, received },
            )
        };
        assert_eq!(crate::cache::parse_date(b"Fri, 15 Jan 2027 08:00:00 GMT"), Some(NOW / 1000));
        assert_eq!(dated(NOW + 999).initial_age, 0);
        assert_eq!(dated(NOW + 1100).initial_age, 101);
        assert_eq!(dated(NOW + 5999).initial_age, 5000);
        assert_eq!(dated(NOW - 5000).initial_age, 0, "a clock that is ahead of ours");
    }

    #[test]
    fn no_step_of_the_clock_makes_an_age_negative() {
        let freshness = of(&[("Cache-Control", "max-age=60")], Times { sent: NOW + 3_600_000, received: NOW });
        assert_eq!(freshness.initial_age, 0, "it went back while the answer came");
        assert_eq!(freshness.resident(NOW - 3_600_000), 0, "an hour back");
        assert_eq!(freshness.age_seconds(freshness.resident(NOW - 3_600_000)), 0);
        assert_eq!(verdict(&freshness, freshness.resident(NOW - 3_600_000)), Use::Fresh);
        let ahead = freshness.resident(NOW + 40 * 86_400_000);
        assert_eq!(verdict(&freshness, ahead), Use::Validate(Need::Stale));
        assert_eq!(freshness.age_seconds(u64::MAX), ALWAYS);
        assert_eq!(verdict(&freshness, u64::MAX), Use::Validate(Need::Stale));
        assert_eq!(of(&[("Age", "99999999999")], Times { sent: 0, received: u64::MAX }).age_seconds(u64::MAX), ALWAYS);
    }

    #[test]
    fn a_purge_makes_it_stale_and_no_more() {
        let head = [("Cache-Control", "max-age=60, stale-while-revalidate=5, stale-if-error=9"), ("ETag", "x")];
        let purged = at_once(&head).purged(10_500);
        assert_eq!(verdict(&purged, 10_500), Use::StaleWhileRevalidate);
        assert_eq!(verdict(&purged, 15_000), Use::Validate(Need::Stale));
        assert!(purged.may_serve_on_error(18_000) && !purged.may_serve_on_error(20_000));
        let asked = RequestDirectives { max_stale: Some(ALWAYS), ..RequestDirectives::default() };
        assert_eq!(purged.verdict(16_000, &asked), Use::Validate(Need::Stale), "no client gets what was purged");
        assert_eq!(verdict(&at_once(&[("Cache-Control", "max-age=60")]).purged(0), 0), Use::Validate(Need::Stale));
    }

    #[test]
    fn what_can_do_nothing_more_is_told() {
        assert_eq!(
            at_once(&[("Cache-Control", "max-age=60, stale-if-error=5"), ("Age", "20")]).useful_for(),
            Some(45_000)
        );
        assert_eq!(at_once(&[("Cache-Control", "max-age=60, must-revalidate")]).useful_for(), Some(60_000));
        assert_eq!(at_once(&[("Cache-Control", "max-age=60"), ("ETag", "x")]).useful_for(), None);
    }

    #[test]
    fn it_only_gets_older() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..5000 {
            let control = format!(
                "max-age={}, stale-while-revalidate={}, stale-if-error={}",
                random.u32(0..9),
                random.u32(0..9),
                random.u32(0..9)
            );
            let freshness = at_once(&[("Cache-Control", &control)]);
            let rank = |resident| match verdict(&freshness, resident) {
                Use::Fresh => 0,
                Use::StaleWhileRevalidate => 1,
                _ => 2,
            };
            let (early, late) = (random.u64(0..20_000), random.u64(0..20_000));
            let (early, late) = (early.min(late), early.max(late));
            assert!(rank(early) <= rank(late), "{control} {early} {late}");
            assert!(
                freshness.may_serve_on_error(early) || !freshness.may_serve_on_error(late),
                "{control} {early} {late}"
            );
            assert!(rank(late) > 0 || freshness.ttl(late) > 0, "{control} {late}");
        }
    }
}
