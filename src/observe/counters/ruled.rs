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
    /// Clients that it has banned.
    pub bans: Counter,
    /// Clients that it would have banned, were it not in shadow mode.
    pub shadow_bans: Counter,
    /// Requests that it kept waiting.
    pub held: Counter,
    /// Requests that it would have kept waiting, had there been room, or were it not in shadow mode.
    pub unheld: Counter,
    /// Microseconds for which bytes waited that it slows down.
    pub slowed: Counter,
    /// Requests of which its condition could not say anything, so that it was asked.
    pub unclear: Counter,
}
