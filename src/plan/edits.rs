//! What a route changes in the heads that pass: compiled once, applied by whoever writes them.

use super::lifecycle;
use super::rewrite::Back;
use super::rules::Transformed;
use super::security;
use crate::config::model::{self, HeaderEdits};
use crate::config::template::Template;
use crate::config::words::StatusRanges;
use crate::gateway::Told;
use crate::gateway::cors::{self, Cors};
use crate::gateway::jwt::Pointer;
use std::fmt;
use std::sync::Arc;

/// What a route changes in heads.
#[derive(Debug, Default)]
pub struct Edits {
    /// In requests to targets.
    pub request: Vec<Edit>,
    /// In answers to clients.
    pub response: Vec<Edit>,
    /// What of targets' answers is put back into what clients know, before that; `None`: nothing.
    pub back: Option<Back>,
}

/// One edit of a head; edits are done in their order. Names are as they are to be written, and the same in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// No header of this name passes.
    Remove(Box<str>),
    /// No cookie of this name passes.
    RemoveCookie(Box<str>),
    /// Headers of the first name get the second, in place of those that have it.
    Rename(Box<str>, Box<str>),
    /// This one, in place of all of its name.
    Set(Box<str>, Template),
    /// This one, where there is none of its name.
    Add(Box<str>, Template),
    /// This one beside those of its name.
    Append(Box<str>, Template),
    /// This one, with a claim of the token that the rule at a place among all has found good, in place of all of its name, if it has that claim.
    Claim(Box<str>, usize, Pointer),
    /// Those that say whose scripts may read an answer, in place of what it says of that.
    Cors(Arc<Cors>),
    /// What a rule has heard that targets are to be told under this name, which is in lower case, in place of what the client says.
    Told(Box<str>),
    /// Those that tell of limits, in place of what an answer says of that.
    Limits(Arc<Told>),
    /// These names beside those of `Vary`, unless they are there; they are in lower case.
    Vary(Box<[Box<str>]>),
    /// This status in place of a target's.
    Status(u16),
    /// These, of an answer with one of these statuses.
    Within(StatusRanges, Vec<Edit>),
}

impl Edits {
    /// Those of a route, behind what its rules change in requests and in answers, and before what its answers vary on; `None`: it changes
    /// nothing.
    pub(super) fn compile(
        route: &model::Route,
        told: Vec<Edit>,
        answered: Vec<Edit>,
        rules: &[Arc<Transformed>],
        varies: Option<Edit>,
    ) -> Option<Arc<Self>> {
        let own = &route.response.headers;
        let mut response = route.security_headers.as_ref().map_or(Vec::new(), |headers| security::edits(headers, own));
        response.extend(route.deprecated.as_ref().map_or(Vec::new(), lifecycle::edits));
        response.extend(answered);
        response.extend(rules.iter().flat_map(|rule| rule.response.clone()));
        response.extend(compile(own));
        response.extend(varies);
        let by_rules = rules.iter().flat_map(|rule| rule.request.clone());
        let request = told.into_iter().chain(by_rules).chain(compile(&route.request.headers)).collect();
        let moved = rules.iter().any(|rule| rule.step.as_ref().is_some_and(|step| step.path.is_some()));
        let edits = Self { request, response, back: Back::compile(route, moved) };
        let is_idle = edits.request.is_empty() && edits.response.is_empty() && edits.back.is_none();
        (!is_idle).then(|| Arc::new(edits))
    }
}

impl Edit {
    /// Whether it copies headers that an answer had before it was edited.
    pub fn copies(&self) -> bool {
        match self {
            Self::Set(_, template) | Self::Add(_, template) | Self::Append(_, template) => template.needs_answer(),
            Self::Within(_, edits) => edits.iter().any(Self::copies),
            _ => false,
        }
    }

    /// The header that it is about.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Remove(name) | Self::Rename(name, _) | Self::Told(name) => name,
            Self::RemoveCookie(_) => "Cookie",
            Self::Set(name, _) | Self::Add(name, _) | Self::Append(name, _) => name,
            Self::Claim(name, ..) => name,
            Self::Cors(_) => cors::LINES[0],
            Self::Limits(_) => Told::FIELDS[1],
            Self::Vary(_) => "Vary",
            Self::Status(_) | Self::Within(..) => "",
        }
    }
}

impl fmt::Display for Edit {
    /// As a sentence has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove(name) => write!(f, "remove {name}"),
            Self::RemoveCookie(name) => write!(f, "remove cookie {name}"),
            Self::Rename(from, to) => write!(f, "rename {from} to {to}"),
            Self::Set(name, value) => write!(f, "set {name}: {value}"),
            Self::Add(name, value) => write!(f, "add {name}: {value}"),
            Self::Append(name, value) => write!(f, "append {name}: {value}"),
            Self::Told(name) => write!(f, "set {name}: what a server has said"),
            Self::Claim(name, _, at) => write!(f, "set {name}: the claim {at}"),
            Self::Limits(_) => f.write_str("set RateLimit"),
            Self::Cors(_) => f.write_str("set Access-Control-… for origins that may read it"),
            Self::Vary(names) => write!(f, "vary on {}", names.join(", ")),
            Self::Status(status) => write!(f, "answer {status}"),
            Self::Within(statuses, edits) => {
                write!(f, "of {statuses}: ")?;
                edits.iter().enumerate().try_for_each(|(place, edit)| match place {
                    0 => write!(f, "{edit}"),
                    _ => write!(f, ", {edit}"),
                })
            }
        }
    }
}

/// Edits as a table of the configuration has them.
pub(super) fn compile(edits: &HeaderEdits) -> Vec<Edit> {
    let name = |name: &String| name.as_str().into();
    let removed = edits.remove.iter().map(|removed| Edit::Remove(name(removed)));
    let renamed = edits.rename.iter().map(|(from, to)| Edit::Rename(name(from), name(to)));
    let set = edits.set.iter().map(|(of, to)| Edit::Set(name(of), to.clone()));
    let added = edits.add.iter().map(|(of, to)| Edit::Add(name(of), to.clone()));
    let appended = edits.append.iter().map(|(of, to)| Edit::Append(name(of), to.clone()));
    removed.chain(renamed).chain(set).chain(added).chain(appended).collect()
}
