//! What makes no sense of rules of type groups.

use super::Sense;
use crate::config::model::Groups;
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

pub(super) fn groups(sense: &mut Sense<'_>, of: &Groups, at: &KeyPath) {
    unknown(sense, &of.allow, &at.child("allow"));
}

/// Warns of those of a list of groups that nobody is in.
pub(super) fn unknown(sense: &mut Sense<'_>, groups: &[String], list: &KeyPath) {
    let config = sense.config;
    let known: BTreeSet<&String> = config.consumers.values().flat_map(|consumer| &consumer.groups).collect();
    if !sense.is_complete([]) {
        return;
    }
    for (place, group) in groups.iter().enumerate().filter(|(_, group)| !known.contains(group)) {
        sense.findings.warnings.push(
            Fault::new(list.child(place), format!("no consumer is in group `{group}`"))
                .help("name it among the groups of a consumer"),
        );
    }
}
