//! What is told of limits in header fields: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), values of
//! structured fields (RFC 9651), and the three fields that were usual before.
//!
//! `pk` is not written: whose allowance it is goes without saying for who is told, and is no one else's business.

use super::allowance::{Allowance, Decision};

/// The name of what [`write_policy`] writes.
pub const POLICY: &str = "RateLimit-Policy";
/// The name of what [`write_limit`] writes.
pub const LIMIT: &str = "RateLimit";

/// The greatest integer of a structured field (RFC 9651, 3.3.1).
const GREATEST: u64 = 999_999_999_999_999;

/// Appends the value of `RateLimit-Policy`: quota and window of each policy, by its name. The same for all requests.
pub fn write_policy<'a>(out: &mut Vec<u8>, policies: impl IntoIterator<Item = (&'a str, &'a Allowance)>) {
    for (name, allowance) in policies {
        item(out, name, [("q", allowance.quota()), ("w", allowance.seconds())]);
    }
}

/// Appends what `RateLimit-Policy` says of a policy that has so many requests in so many seconds.
pub fn write_quota(out: &mut Vec<u8>, name: &str, limit: u64, seconds: u64) {
    item(out, name, [("q", limit), ("w", seconds)]);
}

/// Appends the value of `RateLimit`: how many requests remain, and when more will.
pub fn write_limit<'a>(out: &mut Vec<u8>, limits: impl IntoIterator<Item = (&'a str, &'a Decision)>) {
    for (name, decision) in limits {
        item(out, name, [("r", decision.remaining), ("t", decision.more)]);
    }
}

/// The three fields without a standard: limit, how many remain, and in how many seconds the whole limit does.
pub fn former(decision: &Decision) -> [(&'static str, u64); 3] {
    let Decision { limit, remaining, reset, .. } = *decision;
    [("X-RateLimit-Limit", limit), ("X-RateLimit-Remaining", remaining), ("X-RateLimit-Reset", reset)]
}

/// An item of a list, after those that are there.
fn item(out: &mut Vec<u8>, name: &str, parameters: [(&str, u64); 2]) {
    if !out.is_empty() {
        out.extend_from_slice(b", ");
    }
    out.push(b'"');
    for char in name.chars() {
        match char {
            '"' | '\\' => out.extend_from_slice(&[b'\\', char as u8]),
            ' '..='~' => out.push(char as u8),
            // A string has no others.
            _ => out.push(b'?'),
        }
    }
    out.push(b'"');
    for (key, value) in parameters {
        out.push(b';');
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(itoa::Buffer::new().format(value.min(GREATEST)).as_bytes());
    }
}
