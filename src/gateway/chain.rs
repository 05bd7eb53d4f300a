//! The rules of a route, in the order in which they are asked.

use super::{Asked, Challenges, Denial, Halt, Question, Rule, Who};
use std::sync::Arc;

/// The rules of a route.
#[derive(Debug)]
pub struct Chain {
    links: Box<[Link]>,
    /// What whoever is nobody may prove themselves with.
    challenges: Challenges,
}

/// A rule of a route.
#[derive(Debug)]
pub struct Link {
    /// Its place among all rules.
    pub index: usize,
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// The rule.
    pub rule: Arc<dyn Rule>,
}

/// What a rule has said of a request.
#[derive(Debug)]
pub struct Note<'a> {
    /// The place of the rule among all.
    pub rule: usize,
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// What it would refuse, and why.
    pub denial: Option<&'a Denial>,
}

/// A request that goes no further.
#[derive(Debug)]
pub struct Refused {
    /// The place of the rule that says so among all rules.
    pub rule: usize,
    /// Why.
    pub denial: Denial,
}

/// Where a chain stops.
#[derive(Debug)]
pub enum Stop {
    /// The request goes no further.
    Refused(Refused),
    /// A rule needs to know something. With the answer the chain goes on at this rule, by its position in it.
    Asks(usize, Box<Question>),
}

impl Chain {
    /// Those rules, in the order in which the route names them.
    pub fn new(mut links: Vec<Link>) -> Self {
        links.sort_by_key(|link| link.rule.phase());
        let challenges = links.iter().flat_map(|link| link.rule.challenges()).collect();
        Self { links: links.into(), challenges }
    }

    /// The places of the rules among all, in the order in which they are asked.
    pub fn indexes(&self) -> impl Iterator<Item = usize> {
        self.links.iter().map(|link| link.index)
    }

    /// Asks one rule after the other, beginning at a position. `note` is told what each has said.
    ///
    /// # Errors
    /// The first that refuses, or that needs to know something.
    pub fn decide(
        &self,
        from: usize,
        asked: &Asked<'_>,
        who: &mut Who,
        mut note: impl FnMut(Note<'_>),
    ) -> Result<(), Stop> {
        for (at, link) in self.links.iter().enumerate().skip(from) {
            let denied = match link.rule.decide(asked, who) {
                Ok(()) => None,
                Err(Halt::Denied(denial)) => Some(denial),
                Err(Halt::Ask(question)) => return Err(Stop::Asks(at, question)),
            };
            note(Note { rule: link.index, shadow: link.shadow, denial: denied.as_ref() });
            if let Some(mut denial) = denied.filter(|_| !link.shadow) {
                // RFC 9110 §15.5.2: there is one with each.
                if denial.status == 401 && denial.challenges.is_empty() {
                    denial.challenges = self.challenges.clone();
                }
                return Err(Stop::Refused(Refused { rule: link.index, denial }));
            }
        }
        Ok(())
    }
}
