//! What makes no sense of rules of type ip.

use super::Sense;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn ip(sense: &mut Sense<'_>, name: &str, at: KeyPath) {
    let lists = ["allow", "allow_files", "deny", "deny_files"];
    if !lists.iter().any(|key| sense.has(&at, key)) && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at, format!("rule `{name}` keeps nobody out")).help("write deny = [\"192.0.2.0/24\"], or allow"),
        );
    }
}
