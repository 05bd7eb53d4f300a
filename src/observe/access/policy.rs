//! What a log goes by: which lines it has, what is in them, and what they must not show. Compiled once from [`Settings`],
//! shared by all workers, never changed: a new configuration is a new policy.

use super::redact::Redaction;
use super::syslog::Header;
use super::template::Template;

/// How a line looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Apache's and NGINX's "combined".
    Combined,
    /// HAProxy's `option httplog`, and `option tcplog` for TCP, without the syslog prefix.
    Haproxy,
    /// The operator's own.
    Template(Template),
}

/// What a policy is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How a line looks.
    pub format: Format,
    /// The share of records that is written, 0 to 1.
    pub sample: f64,
    /// Writes errors also beyond the sample: [`Gist::is_error`].
    pub keep_errors: bool,
    /// Writes also beyond the sample what took longer, ns.
    pub keep_slower: Option<u64>,
    /// The listeners whose records are written; empty: all.
    pub listeners: Vec<String>,
    /// The routes whose records are written; empty: all.
    pub routes: Vec<String>,
    /// The routes whose records are not.
    pub except_routes: Vec<String>,
    /// The statuses, as inclusive ranges, whose records are written; empty: all. `(0, 0)` is "none was sent".
    pub status: Vec<(u16, u16)>,
    /// Request headers that a line shows, in lower case.
    pub headers: Vec<String>,
    /// Response headers that a line shows, in lower case.
    pub response_headers: Vec<String>,
    /// Headers, in lower case, whose values no line shows.
    pub redact_headers: Vec<String>,
    /// Keys of queries whose values no line shows.
    pub redact_query: Vec<String>,
    /// What goes before a line on its way to a syslog server.
    pub syslog: Option<Header>,
}

impl Settings {
    /// All records in `format`.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            sample: 1.0,
            keep_errors: false,
            keep_slower: None,
            listeners: Vec::new(),
            routes: Vec::new(),
            except_routes: Vec::new(),
            status: Vec::new(),
            headers: Vec::new(),
            response_headers: Vec::new(),
            redact_headers: Vec::new(),
            redact_query: Vec::new(),
            syslog: None,
        }
    }
}

/// What is known of an exchange or connection before its record is put together.
#[derive(Clone, Copy, Debug)]
pub struct Gist<'a> {
    /// The listener's name.
    pub listener: &'a str,
    /// The route's name; empty for a TCP connection.
    pub route: &'a str,
    /// The status sent, 0 if none was; `None` for a TCP connection.
    pub status: Option<u16>,
    /// How long it took, ns.
    pub total: u64,
    /// Whether it ended otherwise than normally.
    pub failed: bool,
}

impl Gist<'_> {
    /// Whether something went wrong: no status or one from 500 on, or a reason for its end.
    pub fn is_error(&self) -> bool {
        self.failed || self.status.is_some_and(|status| status == 0 || status >= 500)
    }
}

/// What a log goes by.
#[derive(Debug)]
pub struct Policy {
    pub(super) settings: Settings,
    pub(super) redaction: Redaction,
    /// Nothing decides which records are written.
    takes_all: bool,
    /// Draws below it are in the sample.
    threshold: u64,
    wants_answer: bool,
}

impl Policy {
    /// Compiles `settings`.
    pub fn new(settings: Settings) -> Self {
        let filters = [&settings.listeners, &settings.routes, &settings.except_routes];
        let all = filters.iter().all(|filter| filter.is_empty()) && settings.status.is_empty();
        let shown = match &settings.format {
            Format::Template(template) => template.shows_answer(),
            _ => !settings.response_headers.is_empty(),
        };
        Self {
            takes_all: all && settings.sample >= 1.0,
            // A float to integer cast saturates, and NaN becomes 0.
            threshold: (settings.sample * u64::MAX as f64) as u64,
            wants_answer: shown,
            redaction: Redaction::new(&settings.redact_headers, &settings.redact_query),
            settings,
        }
    }

    /// Whether lines show headers of responses: whoever knows them must keep them until the record is written.
    #[inline]
    pub fn wants_answer(&self) -> bool {
        self.wants_answer
    }

    /// Whether a record is to be written. `draw` gives a random number.
    #[inline]
    pub(super) fn wants(&self, gist: &Gist<'_>, draw: impl FnOnce() -> u64) -> bool {
        self.takes_all || self.chooses(gist, draw)
    }

    fn chooses(&self, gist: &Gist<'_>, draw: impl FnOnce() -> u64) -> bool {
        let Settings { listeners, routes, except_routes, status, keep_errors, keep_slower, sample, .. } =
            &self.settings;
        let is_among = |names: &[String], name: &str| names.iter().any(|one| one == name);
        if !listeners.is_empty() && !is_among(listeners, gist.listener)
            || !routes.is_empty() && !is_among(routes, gist.route)
            || is_among(except_routes, gist.route)
        {
            return false;
        }
        let is_within = |code: u16| status.iter().any(|(low, high)| (*low..=*high).contains(&code));
        if !status.is_empty() && !gist.status.is_some_and(is_within) {
            return false;
        }
        *sample >= 1.0
            || *keep_errors && gist.is_error()
            || keep_slower.is_some_and(|limit| gist.total > limit)
            || draw() < self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIST: Gist<'_> = Gist { listener: "web", route: "api", status: Some(200), total: 5_000_000, failed: false };

    fn wants(settings: Settings, gist: Gist<'_>) -> bool {
        Policy::new(settings).wants(&gist, || u64::MAX / 2)
    }

    fn all() -> Settings {
        Settings::new(Format::Json)
    }

    #[test]
    fn a_sample_is_a_share() {
        let share = |sample: f64| {
            let (policy, mut random) = (Policy::new(Settings { sample, ..all() }), fastrand::Rng::with_seed(7));
            (0..10_000).filter(|_| policy.wants(&GIST, || random.u64(..))).count()
        };
        assert_eq!((share(0.0), share(1.0)), (0, 10_000));
        assert!((900..1_100).contains(&share(0.1)));
    }

    #[test]
    fn what_is_kept_is_beyond_the_sample() {
        let none = || Settings { sample: 0.0, ..all() };
        let errors = || Settings { keep_errors: true, ..none() };
        assert!(!wants(errors(), GIST) && !wants(errors(), Gist { status: Some(404), ..GIST }));
        for status in [Some(0), Some(500), Some(503)] {
            assert!(wants(errors(), Gist { status, ..GIST }) && !wants(none(), Gist { status, ..GIST }), "{status:?}");
        }
        assert!(wants(errors(), Gist { failed: true, ..GIST }));
        assert!(!wants(errors(), Gist { status: None, ..GIST }), "a TCP connection has no status");
        let slow = |limit| Settings { keep_slower: Some(limit), ..none() };
        assert!(wants(slow(4_999_999), GIST) && !wants(slow(5_000_000), GIST));
    }

    #[test]
    fn filters_hold_for_what_is_kept_too() {
        let name = |name: &str| vec![name.to_owned()];
        assert!(wants(Settings { listeners: name("web"), ..all() }, GIST));
        assert!(!wants(Settings { listeners: name("other"), ..all() }, GIST));
        assert!(wants(Settings { routes: name("api"), ..all() }, GIST));
        assert!(!wants(Settings { routes: name("other"), ..all() }, GIST));
        assert!(!wants(Settings { except_routes: name("api"), ..all() }, GIST));
        let failed = Gist { failed: true, ..GIST };
        assert!(!wants(Settings { except_routes: name("api"), keep_errors: true, sample: 0.0, ..all() }, failed));
        let errors = || Settings { status: vec![(400, 599), (0, 0)], ..all() };
        assert!(!wants(errors(), GIST) && wants(errors(), Gist { status: Some(404), ..GIST }));
        assert!(wants(errors(), Gist { status: Some(0), ..GIST }) && !wants(errors(), Gist { status: None, ..GIST }));
    }
}
