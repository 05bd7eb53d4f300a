//! What the configuration of a route says about caching: what goes beyond the heads of requests and answers.

use super::control::ALWAYS;

/// How a route caches. The default does what RFC 9111 says, with heuristics, and serves stale for a day where the origin fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Whether the directives of requests count.
    pub honour: Honour,
    /// Whether CDN-Cache-Control counts (RFC 9213).
    pub targeted: bool,
    /// Whether who the client is decides what it may see: then only what says `public` or `s-maxage` is stored.
    pub identity: bool,
    /// What becomes of answers with Set-Cookie.
    pub set_cookie: SetCookie,
    /// How long an answer is fresh that does not say so and has Last-Modified; `None`: not at all.
    pub heuristics: Option<Heuristics>,
    /// Seconds that an answer is fresh that does not say so, where its status allows for guesses.
    pub default_ttl: Option<u32>,
    /// By status; the first that fits counts.
    pub ttls: Vec<Ttl>,
    /// Seconds that an answer may be stale while it is validated behind, where it does not say so.
    pub stale_while_revalidate: Option<u32>,
    /// Seconds that an answer may be stale where the origin fails, where it does not say so.
    pub stale_if_error: Option<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            honour: Honour::All,
            targeted: true,
            identity: false,
            set_cookie: SetCookie::Explicit,
            heuristics: Some(Heuristics::default()),
            default_ttl: None,
            ttls: Vec::new(),
            stale_while_revalidate: None,
            stale_if_error: Some(86_400),
        }
    }
}

impl Rules {
    /// What is said of this status.
    pub(super) fn ttl(&self, status: u16) -> Option<&Ttl> {
        self.ttls.iter().find(|ttl| ttl.first <= status && status <= ttl.last)
    }
}

/// Whose directives of requests count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Honour {
    /// Nobody's: no client can make the origin work or keep an answer from being stored.
    None,
    /// Everybody's.
    #[default]
    All,
}

/// What becomes of answers with Set-Cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetCookie {
    /// They are not stored.
    Never,
    /// They are stored, cookie and all, if the origin says that they are for many: `public`, `s-maxage`, or by a field for caches alone.
    #[default]
    Explicit,
    /// They are stored like others, without the cookie.
    Strip,
    /// They are stored like others, with the cookie, which everybody is given.
    Store,
}

/// How long an answer is fresh that does not say so: a share of the time since it was changed (RFC 9111 §4.2.2). Never where the
/// request has a cookie or the answer sets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heuristics {
    /// Percent of the time from Last-Modified to Date.
    pub percent: u8,
    /// The most seconds.
    pub cap: u32,
}

impl Default for Heuristics {
    fn default() -> Self {
        Self { percent: 10, cap: 86_400 }
    }
}

impl Heuristics {
    /// For an answer that was changed so many seconds before it was sent.
    pub(super) fn lifetime(&self, unchanged: u64) -> u32 {
        let share = unchanged.saturating_mul(u64::from(self.percent)) / 100;
        u32::try_from(share).unwrap_or(ALWAYS).min(self.cap)
    }
}

/// How long answers of some statuses are fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// The first status.
    pub first: u16,
    /// The last status.
    pub last: u16,
    /// Seconds.
    pub seconds: u32,
    /// What it goes before.
    pub over: Over,
}

/// What a configured lifetime goes before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// Nothing: it is for answers that do not say how long they are fresh.
    #[default]
    Silence,
    /// What the answer says of how long it is fresh. `no-store`, `no-cache` and `private` hold.
    Lifetime,
    /// All that the answer says.
    Everything,
}
