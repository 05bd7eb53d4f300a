//! The rules of a route, in the order in which they are asked.

use super::{Asked, Denial, Rule, Who};
use std::sync::Arc;

/// The rules of a route.
#[derive(Debug)]
pub struct Chain(Box<[Link]>);

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

/// A request that goes no further.
#[derive(Debug)]
pub struct Refused {
    /// The place of the rule that says so among all rules.
    pub rule: usize,
    /// Why.
    pub denial: Denial,
}

impl Chain {
    /// Those rules, in the order in which the route names them.
    pub fn new(mut links: Vec<Link>) -> Self {
        links.sort_by_key(|link| link.rule.phase());
        Self(links.into())
    }

    /// The places of the rules among all, in the order in which they are asked.
    pub fn indexes(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|link| link.index)
    }

    /// Asks one rule after the other. `note` is told of each that was asked, and of what it would refuse.
    ///
    /// # Errors
    /// The first that refuses.
    pub fn decide(
        &self,
        asked: &Asked<'_>,
        who: &mut Who,
        mut note: impl FnMut(&Link, Option<&Denial>),
    ) -> Result<(), Refused> {
        for link in &self.0 {
            let decided = link.rule.decide(asked, who);
            note(link, decided.as_ref().err());
            if let Err(denial) = decided
                && !link.shadow
            {
                return Err(Refused { rule: link.index, denial });
            }
        }
        Ok(())
    }
}
