//! How a route comes to its end: what its answers say of that, and when its requests are refused.
//!
//! What always holds: all that is said is made when the plan is; of a request it costs the clock and a comparison, and that only where
//! requests are ever refused. Time and chance are passed in.

use super::edits::Edit;
use crate::config::model::{AfterSunset, Deprecated};
use crate::config::moment::Moment;
use crate::config::template::Template;
use crate::observe::reason::Reason;
use crate::observe::status::reason_phrase;
use serde_json::{Map, Value};
use std::time::{Duration, UNIX_EPOCH};

/// How a route comes to its end. Times are in seconds since 1970.
#[derive(Debug)]
pub struct Lifecycle {
    /// From when on it is deprecated.
    pub since: u64,
    /// When it ends, as its answers say; `None`: they say nothing of that.
    pub sunset: Option<u64>,
    /// How requests are answered from the sunset on; `None`: as before.
    after: Option<Answer>,
    brownouts: Box<[Brownout]>,
}

/// What refused requests get.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// A document (RFC 9457).
    problem: Box<str>,
}

/// A time at which requests are refused.
#[derive(Debug)]
struct Brownout {
    from: u64,
    /// How long it lasts.
    length: u64,
    /// After which time it begins again; `None`: never.
    every: Option<u64>,
    share: f64,
    answer: Answer,
}

/// Where a route stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// Its requests are served.
    Served,
    /// This share of them is refused with this status, until then.
    BrownOut {
        /// From 0 to 1.
        share: f64,
        /// What they get.
        status: u16,
        /// When it is over.
        until: u64,
    },
    /// They are refused with this status for good.
    Over(u16),
}

/// A request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// The status.
    pub status: u16,
    /// Why.
    pub reason: Reason,
    /// After how many seconds the client may come again; 0: it is not said.
    pub retry_after: u32,
    /// What it is told, as a document (RFC 9457).
    pub problem: &'a str,
}

impl Lifecycle {
    /// That of a route.
    pub(super) fn compile(of: &Deprecated) -> Self {
        let brownout = |written: &crate::config::model::Brownout| Brownout {
            from: written.from.0,
            length: written.length.0.as_secs().max(1),
            every: written.every.map(|every| every.0.as_secs()),
            share: written.share.0,
            answer: answer(
                of,
                written.status,
                "This part of the API is switched off for a while, as it comes to its end.",
            ),
        };
        Self {
            since: of.since.0,
            sunset: of.sunset.map(|sunset| sunset.0),
            after: match of.after_sunset {
                AfterSunset::Status(status) if of.sunset.is_some() => {
                    Some(answer(of, status, "This part of the API has come to its end."))
                }
                _ => None,
            },
            brownouts: of.brownouts.iter().map(brownout).collect(),
        }
    }

    /// Whether a request is refused. `chance` is a number from 0 to 1, without 1; 1 has none refused that might be served.
    #[inline]
    pub fn refuses(&self, clock: impl FnOnce() -> u64, chance: impl FnOnce() -> f64) -> Option<Refused<'_>> {
        if self.after.is_none() && self.brownouts.is_empty() {
            return None;
        }
        self.refuses_at(clock(), chance)
    }

    fn refuses_at(&self, now: u64, chance: impl FnOnce() -> f64) -> Option<Refused<'_>> {
        if let Some(Answer { status, problem }) = self.over(now) {
            return Some(Refused { status: *status, reason: Reason::Sunset, retry_after: 0, problem });
        }
        let (brownout, until) = self.brownout(now)?;
        let all = brownout.share >= 1.0;
        if !all && chance() >= brownout.share {
            return None;
        }
        // Where a part is refused, the next try may be among the others.
        let retry_after = if all { u32::try_from(until.saturating_sub(now)).unwrap_or(u32::MAX).max(1) } else { 0 };
        let Answer { status, problem } = &brownout.answer;
        Some(Refused { status: *status, reason: Reason::BrownOut, retry_after, problem })
    }

    /// Where it stands.
    pub fn stage(&self, now: u64) -> Stage {
        match (self.over(now), self.brownout(now)) {
            (Some(answer), _) => Stage::Over(answer.status),
            (None, Some((brownout, until))) => {
                Stage::BrownOut { share: brownout.share, status: brownout.answer.status, until }
            }
            (None, None) => Stage::Served,
        }
    }

    /// When the next brown-out begins, if there is one before the end.
    pub fn next_brownout(&self, now: u64) -> Option<u64> {
        let next = self.brownouts.iter().filter_map(|brownout| brownout.next(now)).min()?;
        let end = self.sunset.filter(|_| self.after.is_some()).unwrap_or(u64::MAX);
        (next < end).then_some(next)
    }

    fn over(&self, now: u64) -> Option<&Answer> {
        self.after.as_ref().filter(|_| self.sunset.is_some_and(|sunset| now >= sunset))
    }

    /// The brown-out that is on, and when it is over: of several the one that refuses most.
    fn brownout(&self, now: u64) -> Option<(&Brownout, u64)> {
        let on = self.brownouts.iter().filter_map(|brownout| Some((brownout, brownout.until(now)?)));
        on.max_by(|(one, _), (other, _)| one.share.total_cmp(&other.share))
    }
}

impl Brownout {
    /// When it is over, if it is on.
    fn until(&self, now: u64) -> Option<u64> {
        let begun = now.checked_sub(self.from)?;
        let within = self.every.map_or(begun, |every| begun % every.max(1));
        (within < self.length).then(|| now - within + self.length)
    }

    /// When it begins next.
    fn next(&self, now: u64) -> Option<u64> {
        match (now.checked_sub(self.from), self.every) {
            (None, _) => Some(self.from),
            (Some(begun), Some(every)) => Some(now.saturating_add(every.max(1) - begun % every.max(1))),
            (Some(_), None) => None,
        }
    }
}

/// What answers say of it.
pub(super) fn edits(of: &Deprecated) -> Vec<Edit> {
    let set = |name: &str, value: &str| Edit::Set(name.into(), Template::plain(value));
    // RFC 9745 §2.1: a date as structured fields have it.
    let mut edits = vec![set("Deprecation", &format!("@{}", of.since.0))];
    edits.extend(
        of.sunset.map(|Moment(at)| set("Sunset", &httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at)))),
    );
    let links = [(&of.link, "deprecation"), (&of.policy, "sunset"), (&of.successor, "successor-version")];
    let links = links.into_iter().filter_map(|(to, rel)| Some(format!("<{}>; rel=\"{rel}\"", to.as_ref()?)));
    let links: Vec<String> = links.collect();
    if !links.is_empty() {
        edits.push(Edit::Append("Link".into(), Template::plain(&links.join(", "))));
    }
    edits
}

fn answer(of: &Deprecated, status: u16, detail: &str) -> Answer {
    let mut problem = Map::new();
    let mut tell = |name: &str, value: Value| drop(problem.insert(name.to_owned(), value));
    let title = reason_phrase(status);
    // One without a name says itself what it is.
    if !title.is_empty() {
        tell("title", title.into());
    }
    tell("status", status.into());
    tell("detail", detail.into());
    if let Some(sunset) = of.sunset {
        tell("sunset", sunset.to_string().into());
    }
    for (name, to) in [("link", &of.link), ("policy", &of.policy), ("successor", &of.successor)] {
        if let Some(to) = to {
            tell(name, to.as_str().into());
        }
    }
    Answer { status, problem: Value::Object(problem).to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model;
    use crate::config::units::{Share, Span};

    fn deprecated(sunset: Option<u64>, brownouts: Vec<model::Brownout>) -> Deprecated {
        Deprecated {
            since: Moment(1_000),
            sunset: sunset.map(Moment),
            after_sunset: AfterSunset::default(),
            link: Some("https://docs.example.com/v1{x}".to_owned()),
            policy: None,
            successor: Some("/v2".to_owned()),
            brownouts,
            operations: model::DeprecatedOperations::All,
        }
    }

    fn brownout(from: u64, length: u64, every: Option<u64>, share: f64) -> model::Brownout {
        let every = every.map(Span::secs);
        model::Brownout { from: Moment(from), length: Span::secs(length), every, share: Share(share), status: 503 }
    }

    #[test]
    fn a_route_ends_at_its_sunset_and_not_before() {
        let of = Lifecycle::compile(&deprecated(Some(5_000), Vec::new()));
        assert_eq!((of.stage(4_999), of.refuses(|| 4_999, || 0.0)), (Stage::Served, None));
        let refused = of.refuses(|| 5_000, || 0.999).unwrap();
        assert_eq!((refused.status, refused.reason, refused.retry_after), (410, Reason::Sunset, 0));
        assert!(refused.problem.contains("\"title\":\"Gone\"") && refused.problem.contains("1970-01-01T01:23:20Z"));
        let legal = Deprecated { after_sunset: AfterSunset::Status(451), ..deprecated(Some(5_000), Vec::new()) };
        let legal = Lifecycle::compile(&legal);
        let problem = legal.refuses(|| 5_000, || 0.0).unwrap().problem;
        assert!(problem.contains("\"title\":\"Unavailable For Legal Reasons\""), "{problem}");
        let serves = Deprecated { after_sunset: AfterSunset::Serve, ..deprecated(Some(5_000), Vec::new()) };
        let of = Lifecycle::compile(&serves);
        assert_eq!(of.refuses(|| panic!("the clock is not asked"), || 0.0), None);
    }

    #[test]
    fn brownouts_come_again_and_refuse_their_share() {
        let all = vec![brownout(2_000, 100, Some(1_000), 1.0), brownout(2_050, 100, None, 0.1)];
        let of = Lifecycle::compile(&deprecated(Some(5_000), all));
        for (now, until) in [(1_999, None), (2_000, Some(100)), (2_099, Some(1)), (3_000, Some(100)), (3_100, None)] {
            let refused = of.refuses(|| now, || 0.99).map(|refused| refused.retry_after);
            assert_eq!(refused, until, "{now}");
        }
        assert_eq!(of.refuses(|| 2_120, || 0.1), None);
        let part = of.refuses(|| 2_120, || 0.09).unwrap();
        assert_eq!((part.status, part.reason, part.retry_after), (503, Reason::BrownOut, 0));
        assert_eq!(of.stage(2_060), Stage::BrownOut { share: 1.0, status: 503, until: 2_100 });
        assert_eq!(of.next_brownout(0), Some(2_000));
        assert_eq!(of.next_brownout(2_060), Some(3_000));
        assert_eq!(of.next_brownout(4_000), None, "the next would be at the sunset");
        assert_eq!(of.stage(5_050), Stage::Over(410));
    }

    #[test]
    fn answers_say_it_as_the_standards_have_it() {
        let told: Vec<String> = edits(&deprecated(Some(5_000), Vec::new())).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "set Deprecation: @1000",
                "set Sunset: Thu, 01 Jan 1970 01:23:20 GMT",
                "append Link: <https://docs.example.com/v1{x}>; rel=\"deprecation\", </v2>; rel=\"successor-version\""
            ]
        );
    }
}
