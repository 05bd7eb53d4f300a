//! What rules know that outlives a plan.

use super::idempotency::{KeptKeys, Keys};
use crate::config::model::{Config, RuleKind};
use crate::gateway::limits::InFlight;
use crate::gateway::limits::flow::Shared;
use crate::gateway::password::Known;
use crate::gateway::quota::Quota;
use crate::gateway::signature::Nonces;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// What plans that follow each other share of what their rules know.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    /// What was found of passwords; `None`: no rule looks at any.
    pub(in crate::plan) passwords: Option<Arc<Known>>,
    /// What its quotas have counted.
    pub(in crate::plan) quotas: Vec<KeptQuota>,
    /// Those that are counted over all hosts.
    pub(super) shared_quotas: Vec<KeptQuota>,
    /// What its limits on requests under way count.
    pub(super) flights: Vec<KeptFlight>,
    /// What is slowed down together.
    pub(super) flows: Vec<KeptFlow>,
    /// Nonces that were used, by the names of rules.
    pub(super) nonces: Vec<(String, Nonces)>,
    /// How many are kept waiting, by the names of rules.
    pub(super) held: Vec<(String, Arc<AtomicU32>)>,
    /// What is known of Idempotency-Keys.
    pub(super) keys: Vec<KeptKeys>,
    /// What the keys of quotas are made with.
    seed: Arc<AtomicU64>,
}

/// A quota whose counts outlive the process.
#[derive(Clone, Debug)]
pub struct KeptQuota {
    /// The name of its rule.
    pub rule: String,
    /// What is counted there, and when: what was counted under another heading says nothing of it.
    pub under: String,
    /// The quota.
    pub quota: Quota,
}

/// A limit on requests under way.
#[derive(Clone, Debug)]
pub struct KeptFlight {
    /// The name of its rule.
    pub rule: String,
    /// What makes a key there.
    pub under: String,
    /// The limit.
    pub flight: InFlight,
}

/// What is slowed down together.
#[derive(Clone, Debug)]
pub struct KeptFlow {
    /// The name of its rule.
    pub(super) rule: String,
    /// What makes a key there.
    pub(super) under: String,
    /// Answers, and requests.
    pub(super) ways: [Option<Shared>; 2],
}

impl Lasting {
    /// For a configuration that follows what was `before`.
    pub(super) fn new(config: &Config, before: Option<&Self>) -> Self {
        let has = |is: fn(&RuleKind) -> bool| config.rules.values().any(|rule| is(&rule.kind));
        let passwords = has(|kind| matches!(kind, RuleKind::Basic(_)))
            .then(|| before.and_then(|before| before.passwords.clone()).unwrap_or_default());
        let seed = before.map_or_else(|| Arc::new(AtomicU64::new(fastrand::u64(..))), |before| before.seed.clone());
        Self {
            passwords,
            quotas: Vec::new(),
            shared_quotas: Vec::new(),
            flights: Vec::new(),
            flows: Vec::new(),
            nonces: Vec::new(),
            held: Vec::new(),
            keys: Vec::new(),
            seed,
        }
    }

    /// Nonces that were used, by the names of rules.
    pub fn all_nonces(&self) -> &[(String, Nonces)] {
        &self.nonces
    }

    /// The nonces that were used of a rule.
    pub(super) fn nonces(&self, rule: &str) -> Option<&Nonces> {
        self.nonces.iter().find(|(name, _)| name == rule).map(|(_, nonces)| nonces)
    }

    /// How many a rule keeps waiting.
    pub(super) fn held(&self, rule: &str) -> Option<&Arc<AtomicU32>> {
        self.held.iter().find(|(name, _)| name == rule).map(|(_, held)| held)
    }

    /// What is known of Idempotency-Keys.
    pub fn all_keys(&self) -> &[KeptKeys] {
        &self.keys
    }

    /// What the rule at this place among all knows of keys.
    pub fn keys_at(&self, rule: usize) -> Option<&Arc<Keys>> {
        self.keys.iter().find(|kept| kept.index == rule).map(|kept| &kept.keys)
    }

    /// What the rule of this name knows of them.
    pub(super) fn keys_named(&self, rule: &str) -> Option<&Arc<Keys>> {
        self.keys.iter().find(|kept| kept.rule == rule).map(|kept| &kept.keys)
    }

    /// Its limits on requests under way.
    pub fn flights(&self) -> &[KeptFlight] {
        &self.flights
    }

    /// Those whose counts are to outlive the process.
    pub fn quotas(&self) -> &[KeptQuota] {
        &self.quotas
    }

    /// Quotas that are counted over all hosts: what is kept of them, the store has.
    pub fn shared_quotas(&self) -> &[KeptQuota] {
        &self.shared_quotas
    }

    /// What the keys of quotas are made with: to be set before anything is counted, and the same for all processes that count on.
    pub fn seed(&self) -> &Arc<AtomicU64> {
        &self.seed
    }
}
