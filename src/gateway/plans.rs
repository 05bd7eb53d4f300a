//! Limits that consumers get by the groups that they are in.
//!
//! What always holds: a request is put to the limits of all plans that its consumer has together with those of its route, and is counted by all
//! of them or by none.

use super::{Consumer, Limit};
use std::collections::HashMap;

/// The limits of each plan, by its place among all.
#[derive(Debug, Default)]
pub struct Plans(Box<[Box<[Limit]>]>);

/// The places of the plans that each group has.
#[derive(Debug, Default)]
pub struct PlansOfGroups<'a>(HashMap<&'a str, Vec<u16>>);

impl Plans {
    /// Plans of these limits.
    pub fn new(limits: impl IntoIterator<Item = Vec<Limit>>) -> Self {
        Self(limits.into_iter().map(Vec::into_boxed_slice).collect())
    }

    /// The limits that a consumer has.
    pub(super) fn of(&self, consumer: &Consumer) -> impl Iterator<Item = &Limit> {
        consumer.plans.iter().filter_map(|&plan| self.0.get(usize::from(plan))).flatten()
    }

    /// Those of all plans, in their order.
    pub(super) fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.0.iter().flatten()
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
