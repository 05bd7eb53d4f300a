//! What makes no sense of rules of type api-key.

use super::Sense;
use crate::config::model::ApiKey;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn api_key(sense: &mut Sense<'_>, of: &ApiKey, at: &KeyPath) {
    if of.realm.contains(['"', '\\']) || of.realm.chars().any(char::is_control) {
        sense.fault(
            Fault::new(at.child("realm"), "a realm has no `\"`, no `\\` and no control characters")
                .help("write realm = \"api\""),
        );
    }
}
