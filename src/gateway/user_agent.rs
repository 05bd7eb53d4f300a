//! What clients may come in, by what they say that they are.

use super::{Asked, Denial, Halt, Phase, Rule, Who};
use crate::observe::reason::Reason;
use regex::bytes::{RegexSet, RegexSetBuilder};

/// A rule of type user-agent.
#[derive(Debug)]
pub struct UserAgent {
    /// Goes before all else.
    deny: Agents,
    /// `None`: all.
    allow: Option<Agents>,
    /// Whether who says nothing is refused.
    require: bool,
}

/// A set of agents: who says something in which one of them is found.
#[derive(Debug)]
pub struct Agents(RegexSet);

/// Bytes of a compiled set: far above what thousands of them need.
const LARGEST: usize = 16 << 20;

impl Agents {
    /// Those that have one of these texts in what they say, in any case, or something that a `~regex` finds.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        let regex = |pattern: &String| match pattern.strip_prefix('~') {
            Some(regex) => regex.to_owned(),
            None => format!("(?i){}", regex::escape(pattern)),
        };
        let set = RegexSetBuilder::new(patterns.iter().map(regex)).size_limit(LARGEST).build();
        set.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "all of them together are too big".to_owned(),
            error => error.to_string(),
        })
    }

    fn has(&self, agent: &[u8]) -> bool {
        self.0.is_match(agent)
    }
}

impl UserAgent {
    /// One that keeps out `deny`, and lets in `allow` alone; `None`: all others. `require`: who says nothing is kept out.
    pub fn new(allow: Option<Agents>, deny: Agents, require: bool) -> Self {
        Self { deny, allow, require }
    }
}

impl Rule for UserAgent {
    fn phase(&self) -> Phase {
        Phase::Early
    }

    /// Who says it several times is judged by each.
    fn decide(&self, asked: &Asked<'_>, _: &mut Who) -> Result<(), Halt> {
        let (mut is_said, mut denied, mut allowed) = (false, false, true);
        asked.request.each("user-agent", &mut |agent| {
            is_said |= !agent.trim_ascii().is_empty();
            denied |= self.deny.has(agent);
            allowed &= self.allow.as_ref().is_none_or(|allow| allow.has(agent));
        });
        let word = match is_said {
            _ if denied => "agent-denied",
            true if !allowed => "agent-not-allowed",
            false if self.require || self.allow.is_some() => "no-agent",
            _ => return Ok(()),
        };
        Err(Denial::new(403, Reason::UserAgent, word).into())
    }
}
