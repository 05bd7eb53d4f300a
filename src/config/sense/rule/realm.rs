//! What makes no sense of rules by which clients are asked to prove themselves.

use super::Sense;
use crate::config::sources::{Fault, KeyPath};

/// Looks at the `realm` of the rule at `at`.
pub(super) fn realm(sense: &mut Sense<'_>, realm: &str, at: &KeyPath) {
    if realm.contains(['"', '\\']) || realm.chars().any(char::is_control) {
        sense.fault(
            Fault::new(at.child("realm"), "a realm has no `\"`, no `\\` and no control characters")
                .help("write realm = \"api\""),
        );
    }
}
