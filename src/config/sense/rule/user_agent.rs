//! What makes no sense of rules of type user-agent.

use super::Sense;
use crate::config::model::UserAgent;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn user_agent(sense: &mut Sense<'_>, name: &str, of: &UserAgent, at: KeyPath) {
    for (key, list) in [("allow", &of.allow), ("deny", &of.deny)] {
        for place in (0..list.len()).filter(|&place| list[place].trim().is_empty()) {
            sense.fault(
                Fault::new(at.child(key).child(place), "nothing is a part of everything")
                    .help("write a part of what is meant, or require = true for clients that say nothing"),
            );
        }
    }
    let lists = ["allow", "deny", "require"];
    if !lists.iter().any(|key| sense.has(&at, key)) && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at, format!("rule `{name}` keeps nobody out")).help("write deny = [\"sqlmap\"], or allow"),
        );
    }
}
