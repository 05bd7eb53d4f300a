//! Which failures a killed target explains.

use super::targets::Kill;
use crate::strict::tally::{Failure, Fault, Trace};
use std::time::Duration;

/// What stands between the strict client and the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The HTTP listener, which can try another target.
    Http,
    /// The TCP listener, whose connections live and die with one target.
    Tcp,
}

/// What reached the proxy this long after a kill may still have met a connection whose end had not been seen.
const UNSEEN: Duration = Duration::from_millis(100);
/// An end that comes later than this after a kill is not its doing: the kernel resets the connections at once.
const PROMPT: Duration = Duration::from_secs(1);

/// Whether a kill explains `failure`. All of this must hold:
/// - it ended by a broken connection or, over HTTP, a 502, promptly after the kill: no other fault comes from a target's
///   death;
/// - over HTTP: the request was under way during the kill; if its answer had begun, that had named the killed target; and
///   it could not have been sent again, because it was not idempotent, or had a body (which is streamed, not kept), or
///   its answer had begun;
/// - over TCP: the connection was there during the kill, and its last answer, if any, had named the killed target.
pub fn is_excused(failure: &Failure, path: Path, kills: &[Kill]) -> bool {
    let Trace { opened, previous, target } = &failure.trace;
    let broken = matches!(failure.fault, Fault::Reset | Fault::Closed | Fault::Truncated);
    let (ended_so, lost, since, named) = match path {
        Path::Http => {
            let lost = !failure.replayable || target.is_some();
            (broken || failure.fault == Fault::Status(502), lost, failure.sent, target.as_ref())
        }
        Path::Tcp => (broken, true, *opened, target.as_ref().or(previous.as_ref())),
    };
    let met = |kill: &Kill| {
        since <= kill.to + UNSEEN
            && failure.ended >= kill.from
            && failure.ended <= kill.to + PROMPT
            && named.is_none_or(|target| *target == kill.target)
    };
    ended_so && lost && kills.iter().any(met)
}

/// Which targets were down while `failure` was under way, and for how long when it ended.
pub fn place(failure: &Failure, kills: &[Kill]) -> String {
    let down = kills.iter().filter(|kill| kill.from <= failure.ended && kill.back >= failure.sent);
    let down: Vec<String> = down
        .map(|kill| format!("{} killed {} ms before", kill.target, (failure.ended - kill.from).as_millis()))
        .collect();
    if down.is_empty() { "no target down".to_owned() } else { down.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn only_what_a_kill_explains_is_excused() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let kills = [Kill { target: "t1".into(), from: at(1000), to: at(1010), back: at(1500) }];
        let failure = |fault, method, replayable, sent, ended, target: Option<&str>| {
            let trace = Trace { opened: at(500), previous: None, target: target.map(str::to_owned) };
            Failure { id: 1, fault, method, replayable, sent: at(sent), ended: at(ended), trace }
        };
        let http = |failure| is_excused(&failure, Path::Http, &kills);
        assert!(http(failure(Fault::Status(502), "POST", false, 999, 1012, None)));
        assert!(http(failure(Fault::Truncated, "GET", true, 990, 1005, Some("t1"))));
        assert!(!http(failure(Fault::Truncated, "GET", true, 990, 1005, Some("t2"))));
        assert!(!http(failure(Fault::Status(502), "GET", true, 999, 1012, None)));
        assert!(!http(failure(Fault::Status(502), "POST", false, 2000, 2001, None)));
        assert!(!http(failure(Fault::Status(502), "POST", false, 999, 2900, None)));
        assert!(!http(failure(Fault::Timeout, "POST", false, 999, 1500, None)));
        assert!(!http(failure(Fault::MixedUp, "POST", false, 999, 1012, Some("t1"))));

        let tcp = |failure: &Failure| is_excused(failure, Path::Tcp, &kills);
        let mut reset = failure(Fault::Reset, "GET", true, 1200, 1201, None);
        assert!(tcp(&reset) && !is_excused(&reset, Path::Http, &kills));
        reset.trace.previous = Some("t2".into());
        assert!(!tcp(&reset), "its connection was to another target");
        reset.trace = Trace { opened: at(1190), previous: None, target: None };
        assert!(!tcp(&reset), "its connection was opened when the target was down");
    }
}
