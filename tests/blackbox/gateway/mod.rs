//! What rules decide of requests, and who is told what.

mod address;
mod cors;
mod identity;

use crate::support::Target;
use crate::support::toml::http;

/// A route `/v1/` of these rules in front of a target, a second consumer beside `acme`, and a listener pool for all other paths.
fn config(target: &Target, rules: &str, more: &str) -> String {
    let consumers = "[consumers.acme]\ngroups = [\"gold\", \"eu\"]\nkeys = [\"key-of-acme\"]\n\
                     [consumers.other]\nkeys = [\"key-of-other\"]\n";
    http(&[target])
        + &format!("\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = {rules}\n{more}\n{consumers}")
        + "[rules.key]\ntype = \"api-key\"\nheader = \"X-Key\"\n[rules.gold]\ntype = \"groups\"\nallow = [\"gold\"]\n"
        + "[access_log]\n"
}
