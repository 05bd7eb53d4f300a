//! Routes that go before that of a location: what an `if` answers, where a `rewrite` sends clients, whom `limit_except` refuses.
//!
//! May depend on conditions and the headers of answers.

use super::super::{branch, inherit};
use super::At;
use super::beside::answers;
use crate::import::condition::{Cond, Fact};
use crate::import::draft::Table;
use crate::import::nginx::tree::Directive;
use crate::import::nginx::{Work, known};
use crate::import::valid;

/// `limit_except METHOD … { deny all; }`: who asks by other methods is refused.
pub(super) fn excepted(
    work: &mut Work<'_>,
    at: &At<'_>,
    path: &Cond,
    directive: &Directive,
    all: &mut Vec<(String, Table)>,
) {
    let mut methods = directive.arguments.clone();
    if directive.has("GET") && !directive.has("HEAD") {
        methods.push("HEAD".to_owned());
    }
    let closes = matches!(directive.inner(), [only] if only.name == "deny" && only.argument(0) == "all");
    let others = Cond::Fact(Fact::Method(methods.clone())).negate();
    let lowered = match closes && methods.iter().all(|method| valid::method(method)) {
        true => Cond::all([at.host.clone(), path.clone(), others]).lower(),
        false => Err("write a route for the methods with rules of its own: `methods`".to_owned()),
    };
    match lowered {
        Ok(lowered) => {
            work.ledger.carried(directive.id);
            directive.inner().iter().for_each(|inner| work.ledger.carried(inner.id));
            let mut route = lowered.keys;
            if let Some(when) = lowered.when {
                route.set("when", when);
            }
            route.set("respond", Table::new().with("status", 403));
            all.push((format!("{}-methods", at.name), route));
        }
        Err(why) => {
            work.ledger.opens(directive.id, why);
            known::all(work, directive, "it belongs to `limit_except`");
        }
    }
}

/// A `rewrite` in a location that sends clients elsewhere: a route before that of the location.
pub(super) fn moved(
    work: &mut Work<'_>,
    at: &At<'_>,
    path: &Cond,
    directive: &Directive,
    all: &mut Vec<(String, Table)>,
) {
    let made = branch::redirected(directive)
        .and_then(|(cond, table)| Ok((Cond::all([at.host.clone(), path.clone(), cond]).lower()?, table)));
    match made {
        Ok((lowered, table)) => {
            work.ledger.carried(directive.id);
            branch::query_note(work, directive);
            let mut route = lowered.keys;
            if let Some(when) = lowered.when {
                route.set("when", when);
            }
            route.0.extend(table.0);
            all.push((format!("{}-moved", at.name), route));
        }
        Err(why) => work.ledger.unsupported(directive.id, why),
    }
}

/// `if` within a location: answers alone are understood.
pub(super) fn conditional(
    work: &mut Work<'_>,
    at: &At<'_>,
    path: &Cond,
    directive: &Directive,
    around: &[Directive],
    all: &mut Vec<(String, Table)>,
) {
    let answer = directive.inner().iter().find(|inner| ["return", "rewrite"].contains(&inner.name.as_str()));
    let made = branch::asked(directive, at.secure).and_then(|cond| match answer {
        Some(step) if step.name == "return" => branch::returned(step).map(|table| (cond, table)),
        Some(step) => branch::redirected(step).map(|(path, table)| (Cond::all([cond, path]), table)),
        None => Err("an `if` answers, or does nothing here: conditions of routes say what leads where".to_owned()),
    });
    match made.and_then(|(cond, table)| Ok((Cond::all([at.host.clone(), path.clone(), cond]).lower()?, table))) {
        Ok((lowered, table)) => {
            work.ledger.carried(directive.id);
            for inner in directive.inner() {
                match inner.name.as_str() {
                    "return" | "rewrite" => work.ledger.carried(inner.id),
                    // What they are said of is the answer.
                    "add_header" | "expires" | "default_type" => {}
                    _ => work.ledger.unsupported(inner.id, "an `if` answers, and does nothing beside that"),
                }
                branch::query_note(work, inner);
                branch::silence_note(work, inner);
            }
            let mut route = lowered.keys;
            if let Some(when) = lowered.when {
                route.set("when", when);
            }
            route.0.extend(table.0);
            answers(work, &inherit(around, directive.inner().to_vec()), &mut route);
            all.push((format!("{}-if", at.name), route));
        }
        Err(why) => {
            branch::refuse(work, directive, why);
            known::all(work, directive, "it belongs to `if`");
        }
    }
}
