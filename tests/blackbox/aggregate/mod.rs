//! Answers that are put together of what several pools say: whole and in order, or with what is missing said, and over with their client.

mod beside;
mod missing;
mod whole;

use crate::support::Target;
use crate::support::toml::pool;
use std::fmt::Display;

/// A listener "web" with a route `/whole/{id}` that has these keys, with these parts, each with keys of its own, and a pool for each.
pub(super) fn config(route: &str, keys: &str, parts: &[(&str, &dyn Display, &str)]) -> String {
    let mut text = "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n".to_owned()
        + &format!("\n[routes.whole]\npaths = [\"=/whole/{{id}}\"]\n{route}\n[routes.whole.aggregate]\n{keys}\n");
    for (name, _, lines) in parts {
        text += &format!("[[routes.whole.aggregate.parts]]\nname = \"{name}\"\npool = \"{name}\"\n{lines}\n");
    }
    for (name, address, _) in parts {
        text += &pool(name, &[address], "");
    }
    text
}

/// A target that answers with this body of this type.
pub(super) fn says(name: &str, status: &str, fields: &str, body: &str) -> Target {
    let length = body.len();
    Target::says(name, format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}"))
}

/// The same in JSON with 200.
pub(super) fn json(name: &str, body: &str) -> Target {
    says(name, "200 OK", "Content-Type: application/json\r\n", body)
}
