//! What there is to tell of a route that comes to its end.

use crate::config::moment::Moment;
use crate::config::units::Share;
use crate::plan::{Route, Stage};

/// How a route stands at a time, in seconds since 1970: sentences.
pub(super) fn tell(route: &Route, now: u64) -> Vec<String> {
    let Some(of) = &route.lifecycle else { return Vec::new() };
    let (name, at) = (&route.name, |seconds: u64| Moment(seconds).to_string());
    let is = if of.since <= now { "is deprecated since" } else { "will be deprecated from" };
    let ends = match of.sunset {
        None => "when it ends is not said".to_owned(),
        Some(sunset) if sunset <= now => format!("its sunset was at {}", at(sunset)),
        Some(sunset) => format!("its sunset will be at {}", at(sunset)),
    };
    let mut notes = vec![format!("route `{name}` {is} {}; {ends}", at(of.since))];
    match of.stage(now) {
        Stage::Over(status) => notes.push(format!("since its sunset route `{name}` answers {status}")),
        Stage::BrownOut { share, status, until } => {
            notes.push(format!(
                "a brown-out answers {} of its requests with {status} until {}",
                Share(share),
                at(until)
            ));
        }
        Stage::Served => {
            notes.extend(of.next_brownout(now).map(|next| format!("its next brown-out begins at {}", at(next))));
        }
    }
    notes
}
