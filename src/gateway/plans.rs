//! Limits that consumers get by the groups that they are in.
//!
//! What always holds: a request is put to the limits of all plans that its consumer has together with those of its route, and is counted by all
//! of them or by none.

use super::{Consumer, Limit, Link};
use std::collections::HashMap;

/// What each plan puts requests to, by its place among all.
#[derive(Debug, Default)]
pub struct Plans(Box<[Planned]>);

/// What a plan puts requests to.
#[derive(Debug, Default)]
pub struct Planned {
    /// Rules that decide by themselves.
    pub links: Vec<Link>,
    /// Rules that count.
    pub limits: Vec<Limit>,
}

/// The places of the plans that each group has.
#[derive(Debug, Default)]
pub struct PlansOfGroups<'a>(HashMap<&'a str, Vec<u16>>);

impl Plans {
    /// Those plans.
    pub fn new(plans: impl IntoIterator<Item = Planned>) -> Self {
        Self(plans.into_iter().collect())
    }

    /// Those that a consumer has.
    pub(super) fn of(&self, consumer: &Consumer) -> impl Iterator<Item = &Planned> {
        consumer.plans.iter().filter_map(|&plan| self.0.get(usize::from(plan)))
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Planned> {
        self.0.iter()
    }
}

impl<'a> PlansOfGroups<'a> {
    /// A group has the plan at this place.
    pub fn add(&mut self, group: &'a str, plan: u16) {
        self.0.entry(group).or_default().push(plan);
    }

    /// The places of the plans that whoever is in these groups has, in their order.
    pub fn of(&self, groups: &[Box<str>]) -> Box<[u16]> {
        let mut all: Vec<u16> = groups.iter().filter_map(|group| self.0.get(&**group)).flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all.into()
    }
}
