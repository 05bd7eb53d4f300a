//! What rules know that outlives a plan.

use crate::config::model::{Config, RuleKind};
use crate::gateway::password::Known;
use std::sync::Arc;

/// What plans that follow each other share of what their rules know.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    /// What was found of passwords; `None`: no rule looks at any.
    pub(in crate::plan) passwords: Option<Arc<Known>>,
}

impl Lasting {
    /// For a configuration that follows what was `before`.
    pub(super) fn new(config: &Config, before: Option<&Self>) -> Self {
        let has = |is: fn(&RuleKind) -> bool| config.rules.values().any(|rule| is(&rule.kind));
        let passwords = has(|kind| matches!(kind, RuleKind::Basic(_)))
            .then(|| before.and_then(|before| before.passwords.clone()).unwrap_or_default());
        Self { passwords }
    }
}
