//! The rules of a frontend, and of the backends that it leads to, as routes in their order.
//!
//! What always holds: a request takes the route of the first rule that would have ended it in HAProxy, with the edits of all rules that
//! would have been met before. Routes that come first have the higher priority.
//! May depend on the readers of rules, conditions and maps.

use super::known_of;
use crate::import::condition::{Cond, Fact, How, Match, Subject};
use crate::import::draft::{Table, Value};
use crate::import::haproxy::acl::{self, Scope};
use crate::import::haproxy::binds::Group;
use crate::import::haproxy::edits::{self, Edit, Side};
use crate::import::haproxy::proxy::Proxy;
use crate::import::haproxy::steps::{self, Act, Step};
use crate::import::haproxy::{Work, maps, time};
use crate::import::report::{Ledger, LineId};
use crate::import::valid;

/// How many conditions of edits a route is made in versions by.
const VERSIONS: usize = 3;

/// What a frontend does with requests, in its order.
pub(super) struct Program {
    choices: Vec<Choice>,
}

/// Requests that end in the same way.
struct Choice {
    line: LineId,
    cond: Cond,
    end: End,
    edits: Vec<(Cond, LineId, Edit)>,
}

/// How a request ends.
#[derive(Clone)]
enum End {
    /// With an answer; whether that keeps something out.
    Answer(Table, bool),
    Tarpit(Option<u64>),
    /// At the targets of a backend.
    Backend(String),
}

impl Program {
    /// Reads the rules of a frontend and of the backends that it leads to.
    pub fn read(work: &mut Work<'_>, proxy: &Proxy) -> Program {
        let (own, past) = steps::read(work, proxy, Default::default());
        let own = asked(work, proxy, own);
        let mut program = Program { choices: Vec::new() };
        program.monitor(work, proxy);
        let mut edits = Vec::new();
        program.walk(proxy, &own, &Cond::Const(true), &mut edits);
        let leads = leads(work, proxy, past.clone());
        work.used.extend(leads.iter().map(|(.., backend)| backend.clone()));
        for (line, cond, backend) in leads {
            let mut edits = edits.clone();
            let end = End::Backend(backend.clone());
            let back = work.proxies.get(&backend).cloned();
            if let Some(back) = back.filter(|back| back.head != proxy.head) {
                let (steps, _) = steps::read(work, &back, past.clone());
                let steps = asked(work, &back, steps);
                program.walk(&back, &steps, &cond, &mut edits);
            }
            program.choices.push(Choice { line, cond, end, edits });
        }
        program
    }

    /// Whether a condition mentions a fact.
    pub fn mentions(&self, asks: &dyn Fn(&Fact) -> bool) -> bool {
        self.choices
            .iter()
            .any(|choice| choice.cond.mentions(asks) || choice.edits.iter().any(|(cond, ..)| cond.mentions(asks)))
    }

    /// Takes the rules of a section in their order: those that end requests become choices, the others are put behind `edits`.
    fn walk(&mut self, proxy: &Proxy, steps: &[Step], base: &Cond, edits: &mut Vec<(Cond, LineId, Edit)>) {
        let mut guard = Cond::Const(true);
        // Edits of answers are made of whatever comes back, wherever they stand.
        for step in steps {
            if let Act::Edit(edit @ Edit::Header(Side::Response | Side::Always, ..)) = &step.act {
                edits.push((step.cond.clone(), step.line, edit.clone()));
            }
        }
        for step in steps {
            let cond = Cond::all([step.cond.clone(), guard.clone()]);
            let end = match &step.act {
                Act::Resume => {
                    guard = Cond::Const(true);
                    continue;
                }
                Act::Allow => {
                    guard = Cond::all([guard, step.cond.clone().negate()]);
                    continue;
                }
                Act::Edit(Edit::Header(Side::Response | Side::Always, ..)) | Act::Auth(_) => continue,
                Act::Edit(edit) => {
                    edits.push((cond, step.line, edit.clone()));
                    continue;
                }
                Act::Answer(answer, keeps_out) => End::Answer(answer.table.clone(), *keeps_out),
                Act::Tarpit => End::Tarpit(proxy.timeout("tarpit").or(proxy.timeout("connect")).map(|(_, time)| time)),
            };
            let cond = Cond::all([base.clone(), cond]);
            self.choices.push(Choice { line: step.line, cond, end, edits: edits.clone() });
        }
    }

    fn monitor(&mut self, work: &mut Work<'_>, proxy: &Proxy) {
        let fails = proxy.lines("monitor").to_vec();
        let Some(line) = proxy.line("monitor-uri") else {
            fails.iter().for_each(|line| work.ledger.differs(line.id, "nothing asks for it without `monitor-uri`"));
            return;
        };
        let mut respond = Table::new().with("status", 200).with("body", "OK\n");
        let acls = proxy.lines("acl").to_vec();
        let scope = Scope { acls: &acls, around: work.around, http: true, past: Default::default() };
        for fail in &fails {
            let (_, cond) = acl::split(fail.rest(2));
            match scope.condition(&mut work.ledger, fail.id, cond) {
                Cond::Fact(Fact::Usable(backend, bound)) if work.pools.contains_key(&backend) => {
                    let pool = work.pools.get(&backend).cloned().unwrap_or_default();
                    respond.push("fail_if_down", pool);
                    work.ledger.carried(fail.id);
                    if bound > 1 {
                        work.ledger.differs(fail.id, "it fails when no target is up");
                    }
                }
                _ => work
                    .ledger
                    .unsupported(fail.id, "`fail_if_down` of `respond` names pools that must have a target that is up"),
            }
        }
        work.ledger.carried(line.id);
        let asked = Match::new(How::Exact, vec![line.word(1).to_owned()]);
        let cond = Cond::Fact(Fact::Text(Subject::Path, asked));
        let end = End::Answer(Table::new().with("respond", respond), false);
        self.choices.push(Choice { line: line.id, cond, end, edits: Vec::new() });
    }

    /// Says which headers tell targets of clients.
    pub fn forwarded(&self, work: &mut Work<'_>, proxy: &Proxy, listener: &mut Table) {
        let backs = self.choices.iter().filter_map(|choice| match &choice.end {
            End::Backend(name) => work.proxies.get(name),
            _ => None,
        });
        let line = std::iter::once(proxy).chain(backs).find_map(|proxy| proxy.option("forwardfor")).cloned();
        let Some(line) = line else {
            listener.set("forwarded", "none");
            work.ledger.differs(proxy.head, "X-Forwarded-For and its kin do not go on as clients send them: name proxies in front in `trusted_proxies`");
            return;
        };
        if line.word(1) == "forwardfor" {
            work.ledger.differs(line.id, "X-Forwarded-Proto, -Host and -Port are told as well, and what clients say under these names does not count: name proxies in front in `trusted_proxies`");
            for word in ["except", "if-none", "header"] {
                if line.words.iter().any(|other| other == word) {
                    work.ledger.differs(
                        line.id,
                        format!("`{word}` is left out: `request.headers` of a route writes any header"),
                    );
                }
            }
        }
    }

    /// The routes for connections of a group, with the names that they should have.
    pub fn routes(&self, work: &mut Work<'_>, proxy: &Proxy, group: &Group) -> Vec<(String, Table)> {
        let known = known_of(group);
        let mut past: Vec<Cond> = Vec::new();
        let mut routes: Vec<(String, Table)> = Vec::new();
        for choice in &self.choices {
            let cond = choice.cond.given(&known).given(&|part| past.contains(part).then_some(false));
            if cond == Cond::Const(false) {
                continue;
            }
            if leads_back(&choice.end, group.tls) {
                continue;
            }
            if let Err(why) = cond.lower() {
                match &choice.end {
                    End::Answer(_, true) | End::Tarpit(_) => work.ledger.opens(choice.line, why),
                    _ => work.ledger.unsupported(choice.line, why),
                }
                continue;
            }
            work.ledger.carried(choice.line);
            self.versions(
                work,
                proxy,
                choice,
                &cond,
                &|part| known(part).or_else(|| past.contains(part).then_some(false)),
                &mut routes,
            );
            if cond == Cond::Const(true) {
                past.push(cond);
                break;
            }
            past.push(cond);
        }
        if past.last() != Some(&Cond::Const(true)) {
            work.ledger.differs(proxy.head, "what no rule takes gets 404, and not 503");
            if routes.is_empty() {
                let respond = Table::new().with("respond", Table::new().with("status", 503));
                routes.push((proxy.name.clone(), respond));
            }
        }
        let count = i64::try_from(routes.len()).unwrap_or(0);
        for ((_, route), place) in routes.iter_mut().zip(0_i64..) {
            if place + 1 < count || past.last() != Some(&Cond::Const(true)) && count > 1 {
                let mut numbered = Table::new().with("priority", (count - place) * 10);
                numbered.0.append(&mut route.0);
                *route = numbered;
            }
        }
        routes
    }

    /// Puts the routes of a choice behind `routes`: one for each set of edits that may be met.
    fn versions(
        &self,
        work: &mut Work<'_>,
        proxy: &Proxy,
        choice: &Choice,
        cond: &Cond,
        known: &dyn Fn(&Cond) -> Option<bool>,
        routes: &mut Vec<(String, Table)>,
    ) {
        let met = cond.parts();
        let mut kept: Vec<(Option<usize>, Edit)> = Vec::new();
        let mut conds: Vec<Cond> = Vec::new();
        for (asked, line, edit) in &choice.edits {
            let asked = asked.given(known).given(&|part| met.contains(&part).then_some(true));
            if asked.mentions(&|fact| matches!(fact, Fact::Status(_))) {
                match by_status(work, proxy, &asked, edit) {
                    Ok(rule) => kept.push((None, Edit::Rule(rule))),
                    Err(why) => work.ledger.unsupported(*line, why),
                }
                continue;
            }
            match asked {
                Cond::Const(false) => continue,
                Cond::Const(true) => kept.push((None, edit.clone())),
                asked => {
                    if let Err(why) = asked.lower() {
                        left_out(&mut work.ledger, *line, edit, why);
                        continue;
                    }
                    let place = match conds.iter().position(|cond| *cond == asked) {
                        Some(place) => place,
                        None if conds.len() == VERSIONS => {
                            let why = format!(
                                "edits of one route depend on {VERSIONS} conditions at most: write routes for the cases"
                            );
                            left_out(&mut work.ledger, *line, edit, why);
                            continue;
                        }
                        None => {
                            conds.push(asked);
                            conds.len() - 1
                        }
                    };
                    kept.push((Some(place), edit.clone()));
                }
            }
        }
        let forwards = matches!(choice.end, End::Backend(_));
        if !forwards
            && !kept
                .iter()
                .any(|(place, edit)| place.is_some() && matches!(edit, Edit::Header(Side::Always, ..) | Edit::Rule(_)))
        {
            conds.clear();
            kept.retain(|(place, _)| place.is_none());
        }
        // The version that meets the most goes first, so that none has to say what it does not meet.
        let mut masks: Vec<usize> = (0..1_usize << conds.len()).collect();
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.count_ones()));
        for mask in masks {
            let met =
                conds.iter().enumerate().filter(|(place, _)| mask & (1 << place) != 0).map(|(_, cond)| cond.clone());
            let whole = Cond::all(std::iter::once(cond.clone()).chain(met));
            let Ok(lowered) = whole.lower() else { continue };
            let mut route = lowered.keys;
            if let Some(when) = lowered.when {
                route.set("when", when);
            }
            let edits: Vec<&Edit> = kept
                .iter()
                .filter(|(place, _)| place.is_none_or(|place| mask & (1 << place) != 0))
                .map(|(_, edit)| edit)
                .collect();
            let name = end(work, proxy, &choice.end, &edits, &mut route);
            routes.push((name, route));
        }
    }

    /// Says what of lines no route was made of.
    pub fn finish(&self, work: &mut Work<'_>) {
        for choice in &self.choices {
            if !work.ledger.has_verdict(choice.line) {
                work.ledger.differs(choice.line, "nothing comes as far as that");
            }
        }
    }
}

/// Says of an edit that a route does without it: where that is a rule, it kept something out.
fn left_out(ledger: &mut Ledger, line: LineId, edit: &Edit, why: String) {
    match edit {
        Edit::Rule(_) => ledger.opens(line, why),
        _ => ledger.unsupported(line, why),
    }
}

/// Makes rules of what asks who somebody is.
fn asked(work: &mut Work<'_>, proxy: &Proxy, steps: Vec<Step>) -> Vec<Step> {
    let mut made = Vec::new();
    for mut step in steps {
        let Act::Auth(realm) = &step.act else {
            made.push(step);
            continue;
        };
        let Some(list) = steps::list(&step.cond) else {
            work.ledger.opens(step.line, "it asks for users without a list of them: use a rule of type basic");
            continue;
        };
        let others = step.cond.parts().into_iter().filter(|part| !part.mentions(&|fact| matches!(fact, Fact::User(_))));
        let rest = Cond::all(others.cloned());
        let file = format!("{list}.htpasswd");
        let mut rule = Table::new().with("type", "basic").with("users_file", file.clone()).with("realm", realm.clone());
        match rest.in_cel() {
            _ if rest == Cond::Const(true) => {}
            Ok(when) => rule.set("when", when),
            Err(why) => work.ledger.differs(step.line, format!("all are asked: {why}")),
        }
        work.ledger.differs(
            step.line,
            format!("make `{file}`, which has to be there, with `htpasswd -nB NAME` for each user of `{list}`"),
        );
        let name = work.draft.shared("rules", &format!("{}-users", proxy.name), rule);
        step.cond = Cond::Const(true);
        step.act = Act::Edit(Edit::Rule(name));
        made.push(step);
    }
    made
}

/// Where requests go that nothing has ended: the lines that say so, the conditions, the backends.
fn leads(work: &mut Work<'_>, proxy: &Proxy, past: acl::Past) -> Vec<(LineId, Cond, String)> {
    let acls = proxy.lines("acl").to_vec();
    let scope = Scope { acls: &acls, around: work.around, http: true, past };
    let backends: Vec<String> =
        work.proxies.values().filter(|proxy| proxy.backs).map(|proxy| proxy.name.clone()).collect();
    let mut leads = Vec::new();
    let default = proxy.line("default_backend");
    for line in proxy.lines("use_backend").iter().chain(default) {
        let (words, cond) = acl::split(line.rest(1));
        let cond = scope.condition(&mut work.ledger, line.id, cond);
        let name = words.first().map_or("", String::as_str);
        if !name.contains("%[") {
            match backends.iter().any(|backend| backend == name) {
                true => leads.push((line.id, cond, name.to_owned())),
                false => work.ledger.unsupported(line.id, format!("no backend is named `{name}`")),
            }
            continue;
        }
        match maps::leads(name, work.around, &backends) {
            Ok(found) => {
                let what = if name.contains(",map") {
                    "the map was read now: a change of it is imported anew"
                } else {
                    "it leads to the backends that there are now"
                };
                work.ledger.differs(line.id, what);
                let ends = found.iter().any(|(more, backend)| *more == Cond::Const(true) && backends.contains(backend));
                for (more, backend) in found {
                    match backends.contains(&backend) {
                        true => leads.push((line.id, Cond::all([cond.clone(), more]), backend)),
                        false => work.ledger.differs(line.id, format!("no backend is named `{backend}`")),
                    }
                }
                // What leads to no backend that there is goes to the default, past all rules behind.
                let last = default.map(|default| (default.id, default.word(1).to_owned()));
                match last.filter(|(_, name)| backends.contains(name)) {
                    _ if ends => {}
                    Some((default, name)) => leads.push((default, cond, name)),
                    None => work.ledger.differs(
                        line.id,
                        "what leads to none of them goes on to the rules behind, and gets no 503 here",
                    ),
                }
            }
            Err(why) => work.ledger.unsupported(line.id, why),
        }
    }
    let serves = proxy.backs && default.is_none() && work.pools.contains_key(&proxy.name);
    if serves {
        leads.push((proxy.head, Cond::Const(true), proxy.name.clone()));
    }
    leads
}

/// A redirect to the scheme that a client came by.
fn leads_back(end: &End, tls: bool) -> bool {
    let End::Answer(table, _) = end else { return false };
    let Some(Value::Table(redirect)) = table.get("redirect") else { return false };
    redirect.get("host").is_none() && redirect.text("scheme") == Some(if tls { "https" } else { "http" })
}

/// A rule for answers with some statuses alone.
fn by_status(work: &mut Work<'_>, proxy: &Proxy, cond: &Cond, edit: &Edit) -> Result<String, String> {
    let (Cond::Fact(Fact::Status(statuses)), Edit::Header(Side::Response | Side::Always, op, name, value)) =
        (cond, edit)
    else {
        return Err("of answers the status is looked at, and nothing beside it".to_owned());
    };
    let mut rule = Table::new().with("type", "transform");
    edits::header(&mut rule, Side::Response, *op, name, value);
    rule.below(&["response"]).set("if_status", statuses.join(", "));
    Ok(work.draft.shared("rules", &format!("{}-answers", proxy.name), rule))
}

/// Puts into a route what it ends with, and gives the name that it should have.
fn end(work: &mut Work<'_>, proxy: &Proxy, end: &End, edits: &[&Edit], route: &mut Table) -> String {
    let front = &proxy.name;
    match end {
        End::Answer(answer, keeps_out) => {
            route.0.extend(answer.0.iter().cloned());
            edits::apply_always(route, edits);
            let redirects = answer.get("redirect").is_some()
                || matches!(answer.get("respond"), Some(Value::Table(table)) if matches!(table.get("status"), Some(Value::Number(300..=399))));
            format!(
                "{front}-{}",
                if redirects {
                    "redirect"
                } else if *keeps_out {
                    "deny"
                } else {
                    "answer"
                }
            )
        }
        End::Tarpit(time) => {
            let nobody = Table::new().with("type", "cel").with("allow", "false");
            let nobody = work.draft.shared("rules", "nobody", nobody);
            let delay = time.unwrap_or(10_000).clamp(100, 300_000);
            let tarpit = Table::new().with("type", "tarpit").with("delay", time::duration(delay));
            let tarpit = work.draft.shared("rules", "tarpit", tarpit);
            route.set("rules", vec![nobody, tarpit]);
            route.set("respond", Table::new().with("status", 403));
            format!("{front}-tarpit")
        }
        End::Backend(name) => {
            let Some(pool) = work.pools.get(name).cloned() else {
                route.set("respond", Table::new().with("status", 503));
                return format!("{front}-{name}");
            };
            route.set("pool", pool);
            let back = work.proxies.get(name).cloned();
            let both: Vec<&Proxy> =
                std::iter::once(proxy).chain(back.as_ref().filter(|back| back.head != proxy.head)).collect();
            if let Some(back) = back.as_ref() {
                retries(&mut work.ledger, back, route);
            }
            compress(&mut work.ledger, &both, route);
            let draft = &mut work.draft;
            let mut rules = |pattern: &str, path: &str| {
                let mut request = Table::new();
                if !pattern.is_empty() {
                    request.set("match", pattern);
                }
                request.set("path", path);
                draft.shared(
                    "rules",
                    &format!("{name}-path"),
                    Table::new().with("type", "transform").with("request", request),
                )
            };
            edits::apply(route, edits, &mut rules);
            if name == front { front.clone() } else { format!("{front}-{name}") }
        }
    }
}

fn retries(ledger: &mut Ledger, back: &Proxy, route: &mut Table) {
    let mut retry = Table::new();
    if let Some(line) = back.line("retries") {
        match line.word(1).parse::<i64>() {
            Ok(attempts) => {
                retry.set("attempts", attempts.clamp(0, 10));
                ledger.differs(line.id, "each try goes to another target");
            }
            Err(_) => ledger.unsupported(line.id, "it is no number"),
        }
    }
    if let Some(line) = back.line("retry-on") {
        ledger.carried(line.id);
        for word in line.rest(1) {
            let on: &[&str] = match word.as_str() {
                "none" => {
                    retry.set("attempts", 0);
                    &[]
                }
                "conn-failure" | "0rtt-rejected" => &["connect"],
                "empty-response" => &["reset"],
                "junk-response" => &["bad-response"],
                "response-timeout" => &["timeout"],
                "all-retryable-errors" => &["connect", "reset", "timeout", "bad-response", "500", "502-504"],
                code if code.len() == 3 && code.parse::<u16>().is_ok() => {
                    retry.push("on", code);
                    &[]
                }
                other => {
                    ledger.differs(line.id, format!("`{other}` is left out"));
                    &[]
                }
            };
            on.iter().for_each(|on| retry.push("on", *on));
        }
        ledger.differs(
            line.id,
            "what a target may have seen is tried again for idempotent methods alone: `retry.methods`",
        );
    }
    if !retry.is_empty() {
        route.set("retry", retry);
    }
}

fn compress(ledger: &mut Ledger, proxies: &[&Proxy], route: &mut Table) {
    let mut compress = Table::new();
    for line in proxies.iter().flat_map(|proxy| proxy.lines("compression")) {
        match line.word(1) {
            "algo" | "algo-res" => {
                let gzip = line.rest(2).iter().any(|algo| algo == "gzip");
                if line.rest(2).iter().any(|algo| algo.contains("deflate")) {
                    ledger.differs(line.id, "`deflate` is not spoken: zstd, br and gzip are");
                }
                ledger.carried(line.id);
                if gzip {
                    compress.set("codings", vec!["gzip"]);
                }
            }
            "type" | "type-res" => {
                ledger.carried(line.id);
                for kind in line.rest(2).iter().map(|kind| kind.trim_end_matches(';')) {
                    match valid::media_type(kind) {
                        true => compress.push("types", kind),
                        false => ledger.differs(line.id, format!("`{kind}` is no media type, and left out")),
                    }
                }
            }
            "offload" => {
                compress.set("offload", true);
                ledger.carried(line.id);
            }
            "minsize-res" => {
                if let Some(size) = time::bytes(line.word(2)) {
                    compress.set("min_size", i64::try_from(size).unwrap_or(0).min(1 << 30));
                }
                ledger.carried(line.id);
            }
            _ => ledger.unsupported(line.id, "answers are compressed, and requests are not"),
        }
    }
    if compress.get("codings").is_some() {
        route.set("compress", compress);
    }
}
