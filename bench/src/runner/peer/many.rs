//! Ringway with many routes and many consumers, and with one of each that does the same for who asks.

use std::fmt::Write;

/// Routes that there are.
const ROUTES: usize = 10_000;
/// Consumers that there are, of whom as many ask as there are routes.
const CONSUMERS: usize = 100_000;
/// The rule of all of them.
const RULE: &str = "[rules.key]\ntype = \"api-key\"\n";

/// All routes, each of which wants a key, and all consumers.
pub fn many() -> String {
    let mut text = RULE.to_owned();
    for route in 0..ROUTES {
        let _ = writeln!(text, "[routes.r{route}]\npaths = [\"/route-{route}/\"]\npool = \"site\"\nrules = [\"key\"]");
    }
    for consumer in 0..CONSUMERS {
        let _ = writeln!(text, "[consumers.c{consumer}]\nkeys = [\"bench-key-{consumer}\"]");
    }
    text
}

/// One route and one consumer, whose keys are in this file.
pub fn alone() -> String {
    let route = "[routes.all]\npaths = [\"~^/route-[0-9]+/\"]\npool = \"site\"\nrules = [\"key\"]\n";
    format!("{RULE}{route}[consumers.all]\nkeys_file = \"{{{{dir}}}}/keys\"\n")
}

/// The keys of those who ask.
pub fn keys() -> String {
    (0..ROUTES).map(|consumer| format!("bench-key-{consumer}\n")).collect()
}
