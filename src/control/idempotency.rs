//! What metrics are told of rules that have requests with an Idempotency-Key carried out once.

use crate::observe::scrape::{IdempotentRule, SharedIdempotent};
use crate::plan::{KeptKeys, Plan};
use std::sync::atomic::{AtomicU64, Ordering};

/// Those of a plan.
pub(super) fn shown(plan: &Plan) -> Vec<IdempotentRule> {
    plan.lasting.all_keys().iter().map(of).collect()
}

fn of(KeptKeys { rule, keys, terms, .. }: &KeptKeys) -> IdempotentRule {
    let figures = &keys.figures;
    let counts = |all: &[(&'static str, &AtomicU64)]| {
        all.iter().map(|(word, count)| (*word, count.load(Ordering::Relaxed))).collect()
    };
    IdempotentRule {
        rule: rule.clone(),
        requests: counts(&[
            ("executed", &figures.executed),
            ("replayed", &figures.replayed),
            ("collapsed", &figures.collapsed),
            ("conflict", &figures.conflicts),
            ("mismatch", &figures.mismatches),
            ("unkept", &figures.unkept),
            ("lost", &figures.lost),
            ("full", &figures.full),
            ("away", &figures.away),
        ]),
        answers: counts(&[
            ("stored", &figures.stored),
            ("too-large", &figures.too_large),
            ("no-room", &figures.no_room),
            ("broken", &figures.broken),
            ("freed", &figures.freed),
        ]),
        evicted: counts(&[("answer", &figures.evicted_answers), ("key", &figures.evicted_keys)]),
        shared: terms.shared.as_ref().map(|_| SharedIdempotent {
            requests: counts(&[
                ("claimed", &figures.claimed),
                ("elsewhere", &figures.elsewhere),
                ("alone", &figures.alone),
                ("twice", &figures.twice),
            ]),
            untold: keys.untold(),
        }),
        keys: keys.keys(),
        bytes: keys.bytes(),
    }
}
