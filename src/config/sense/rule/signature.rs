//! What makes no sense of rules of type signature.

use super::{Sense, realm};
use crate::config::model::Signature;
use crate::config::sources::{Fault, KeyPath};

/// Components that are not headers.
const DERIVED: [&str; 7] = ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];

pub(super) fn signature(sense: &mut Sense<'_>, of: &Signature, at: &KeyPath) {
    realm::realm(sense, &of.realm, at);
    for (place, name) in of.components.iter().enumerate() {
        let here = at.child("components").child(place);
        let is_header = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if name.starts_with('@') {
            if !DERIVED.contains(&name.as_str()) {
                let help = format!("the components here are {}, and names of headers", DERIVED.join(", "));
                sense.fault(Fault::new(here, format!("no component is named `{name}`")).help(&help));
            }
        } else if name.is_empty() || !is_header || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            sense.fault(
                Fault::new(here, format!("`{name}` is no header's name in lower case"))
                    .help("write \"content-type\" or the like"),
            );
        } else if of.components[..place].contains(name) {
            sense.fault(Fault::new(here, format!("`{name}` is named twice")).help("name it once"));
        }
    }
    let printable =
        |tag: &String| tag.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
    if of.tag.as_ref().is_some_and(|tag| !printable(tag)) {
        sense.fault(
            Fault::new(at.child("tag"), "a tag has printable characters of ASCII alone, and no `\"` and no `\\`")
                .help("write tag = \"my-application\""),
        );
    }
}
