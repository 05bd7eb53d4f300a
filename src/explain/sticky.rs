//! What there is to tell of where a client belongs.

use crate::http::dry;
use crate::observe::reason::Sticking;
use crate::upstream::sticky::{By, Mode, Sticky, Under};
use serde::Serialize;

/// How a client stays with its target.
#[derive(Clone, Debug, Serialize)]
pub struct Belonging {
    /// By what.
    pub by: String,
    /// The target that it belongs to, as far as its request says so.
    pub target: Option<String>,
    /// In words.
    pub why: String,
}

/// Puts what was found into words.
pub(super) fn tell(sticky: &Sticky, onward: &dry::Onward, name: impl Fn(usize) -> Option<String>) -> Option<Belonging> {
    let dry::Belonging { owner, how } = onward.sticky?;
    let target = owner.and_then(name);
    let (by, why) = match &sticky.by {
        By::Cookie(cookie) => {
            let (mode, sets) = match cookie.mode {
                Mode::Insert => ("", "the answer sets it"),
                Mode::Rewrite => (", set by the target and rewritten", "the target may set it"),
                Mode::Prefix => (", set by the target with a prefix", "the target may set it"),
            };
            let why = match how {
                Sticking::New => format!("it does not come with one: {sets}"),
                Sticking::Unknown => format!("what it comes with names no target: {sets}"),
                Sticking::Idle => format!("what it comes with was not set for too long: {sets}"),
                Sticking::Old => format!("what it comes with was first set too long ago: {sets}"),
                Sticking::Kept | Sticking::Moved | Sticking::Refused => {
                    "it comes with one that names a target".to_owned()
                }
            };
            (format!("cookie {}{mode}", cookie.name), why)
        }
        By::Table(noted) => {
            let by = match &noted.under {
                Under::Source { v4, v6 } => format!("the client's address, {v4} bits of IPv4 or {v6} of IPv6"),
                Under::Learned { cookie, header, query } => {
                    let places = [("cookie", cookie), ("header", header), ("query", query)];
                    let places =
                        places.into_iter().filter_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?)));
                    format!("what targets tell: {}", places.collect::<Vec<_>>().join(", "))
                }
            };
            let why = match how {
                Sticking::New if noted.source([0, 0, 0, 0].into()).is_none() => "it tells nothing yet",
                _ => "a process that runs knows what is noted",
            };
            (by, why.to_owned())
        }
    };
    Some(Belonging { by, target, why })
}
