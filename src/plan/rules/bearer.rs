//! What rules have in common that look at tokens.

use super::Here;
use crate::gateway::{Named, Place};
use crate::plan::edits::Edit;
use std::collections::BTreeMap;

/// Where tokens are looked for.
pub(super) fn places(header: Option<&str>, query: Option<&str>, cookie: Option<&str>) -> Vec<Place> {
    let header = header.map(|name| Place::Header(name.into()));
    let query = query.map(|name| Place::Query(name.into()));
    let cookie = cookie.map(|name| Place::Cookie(name.into()));
    header.into_iter().chain(query).chain(cookie).collect()
}

/// Which claim names a consumer.
pub(super) fn named(claim: Option<&str>, here: &mut Here<'_>) -> Option<Named> {
    let at = here.pointer(&["consumer_claim"], claim?)?;
    Some(Named { at, consumers: here.people.names.clone() })
}

/// Headers that tell targets what claims say: none of these names passes, even where a rule that comes after tells nothing.
pub(super) fn claims(forward: &BTreeMap<String, String>, here: &mut Here<'_>) -> Vec<Edit> {
    let told = forward.iter().filter_map(|(claim, header)| {
        let at = here.pointer(&["forward_claims", claim], claim)?;
        Some([Edit::Remove(header.as_str().into()), Edit::Claim(header.as_str().into(), here.index, at)])
    });
    told.flatten().collect()
}
