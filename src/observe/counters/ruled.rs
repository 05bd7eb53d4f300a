//! What rules decided.

use super::Counter;

/// Per rule.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// Requests that it let go on.
    pub passed: Counter,
    /// Requests that it refused.
    pub denied: Counter,
    /// Requests that it would have refused, were it not in shadow mode.
    pub shadowed: Counter,
}
