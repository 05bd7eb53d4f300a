//! Which failures a killed target explains.

use super::targets::Kill;
use crate::strict::tally::{Failure, Fault};
use std::time::Duration;

/// What stands between the strict client and the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The HTTP listener, which can try another target.
    Http,
    /// The TCP listener, whose connections live and die with one target.
    Tcp,
}

/// A request sent this long after a kill may still have met a connection whose end had not been seen.
const UNSEEN: Duration = Duration::from_millis(100);
/// An end that comes later than this after a kill is not its doing: the kernel resets the connections at once.
const PROMPT: Duration = Duration::from_secs(1);

/// Whether a kill explains `failure`. All of this must hold:
/// - the request was under way while a target was killed, and ended promptly after;
/// - it ended by a broken connection or a 502: no other fault comes from a target's death;
/// - if the answer had begun, it had named the target that was killed;
/// - on the HTTP path, it could not have been sent again: not idempotent, or with a body (which is streamed, not kept),
///   or with an answer that had begun.
pub fn is_excused(failure: &Failure, path: Path, kills: &[Kill]) -> bool {
    let broken = match failure.fault {
        Fault::Reset | Fault::Closed | Fault::Truncated => true,
        Fault::Status(502) => path == Path::Http,
        _ => false,
    };
    let lost = path == Path::Tcp || !failure.replayable || failure.target.is_some();
    let met = |kill: &Kill| {
        failure.sent <= kill.to + UNSEEN
            && failure.ended >= kill.from
            && failure.ended <= kill.to + PROMPT
            && failure.target.as_ref().is_none_or(|target| *target == kill.target)
    };
    broken && lost && kills.iter().any(met)
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
            let target = target.map(str::to_owned);
            Failure { id: 1, fault, method, replayable, sent: at(sent), ended: at(ended), target }
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
        let reset = failure(Fault::Reset, "GET", true, 999, 1012, None);
        assert!(!is_excused(&reset, Path::Http, &kills) && is_excused(&reset, Path::Tcp, &kills));
    }
}
