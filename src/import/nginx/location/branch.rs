//! What a server does before it looks for a location: `return`, `rewrite`, `if`; and what `return` answers.
//!
//! May depend on texts with variables and conditions.

use super::action::At;
use crate::import::condition::{self, Cond, Fact, How, Match, Subject};
use crate::import::draft::Table;
use crate::import::nginx::tree::Directive;
use crate::import::nginx::{Work, known, text};

/// Makes routes of what stands in a server itself. Whether it ends all requests.
pub(super) fn before_locations(work: &mut Work<'_>, at: &At<'_>, all: &mut Vec<(String, Table)>) -> bool {
    for directive in at.server {
        let asked = match directive.name.as_str() {
            "return" | "rewrite" => Cond::Const(true),
            "if" => match asked(directive, at.secure) {
                Ok(cond) => {
                    work.ledger.carried(directive.id);
                    cond
                }
                Err(why) => {
                    work.ledger.unsupported(directive.id, why);
                    known::all(work, directive, "it belongs to `if`");
                    continue;
                }
            },
            _ => continue,
        };
        let inner = if directive.name == "if" { directive.inner() } else { std::slice::from_ref(directive) };
        for step in inner {
            let made = match step.name.as_str() {
                "return" => returned(step).map(|table| (Cond::Const(true), table)),
                "rewrite" => redirected(step),
                "set" | "break" => {
                    work.ledger
                        .unsupported(step.id, "there are no variables: conditions of routes say what leads where");
                    continue;
                }
                _ => {
                    known::other(work, step);
                    continue;
                }
            };
            let (path, table) = match made {
                Ok(made) => made,
                Err(why) => {
                    work.ledger.unsupported(step.id, why);
                    continue;
                }
            };
            let cond = Cond::all([at.host.clone(), asked.clone(), path.clone()]);
            if cond == Cond::Const(false) {
                work.ledger.carried(step.id);
                continue;
            }
            match cond.lower() {
                Ok(lowered) => {
                    work.ledger.carried(step.id);
                    let mut route = lowered.keys;
                    if let Some(when) = lowered.when {
                        route.set("when", when);
                    }
                    route.0.extend(table.0);
                    all.push((format!("{}-moved", at.name), route));
                    if asked == Cond::Const(true) && path == Cond::Const(true) {
                        return true;
                    }
                }
                Err(why) => work.ledger.unsupported(step.id, why),
            }
        }
    }
    false
}

/// `return CODE TEXT`, `return CODE URL`, `return URL`.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn returned(directive: &Directive) -> Result<Table, String> {
    let (code, rest) = match directive.argument(0).parse::<i64>() {
        Ok(code) => (code, directive.argument(1)),
        Err(_) => (302, directive.argument(0)),
    };
    if code == 444 {
        return Err(
            "a connection is not closed without an answer: `on_refuse` of the listener and bans do so by address"
                .to_owned(),
        );
    }
    if !(200..=599).contains(&code) {
        return Err(format!("{code} is no status from 200 to 599"));
    }
    let mut respond = Table::new().with("status", code);
    if [301, 302, 303, 307, 308].contains(&code) {
        let to = text::template(rest)?;
        let mut table = Table::new().with("respond", respond);
        if to == "https://{request.host}{request.uri}" {
            return Ok(Table::new().with("redirect", Table::new().with("scheme", "https").with("status", code)));
        }
        table.below(&["response", "headers", "set"]).set("location", to);
        return Ok(table);
    }
    if !rest.is_empty() && code != 204 {
        if rest.contains('$') {
            return Err("a body is a fixed text: `respond.body`".to_owned());
        }
        respond.set("body", rest);
    }
    Ok(Table::new().with("respond", respond))
}

/// A `rewrite` that sends the client elsewhere: what the path has to be, and the route.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn redirected(directive: &Directive) -> Result<(Cond, Table), String> {
    let (pattern, to) = (directive.argument(0), directive.argument(1));
    let code = match (directive.argument(2), to.contains("://")) {
        ("permanent", _) => 301,
        ("redirect", _) | ("", true) => 302,
        _ => {
            return Err("what goes on under another path does so by `rewrite` of a route: write it into the location"
                .to_owned());
        }
    };
    condition::regex(pattern)?;
    let all = ["^", "^/", "^(.*)$", "^/(.*)$", "^(.*)", "^/(.*)", "^.*$", "^/.*$"].contains(&pattern);
    // What the whole path was captured as is the path.
    let to = match pattern.starts_with("^/(.*)") {
        true => to.replace("/$1", "$request_uri"),
        false => to.replace("$1", "$request_uri"),
    };
    if !all && to.contains("$request_uri") {
        return Err("parts of the path do not go into a redirect: `redirect` keeps it, or gives another one".to_owned());
    }
    let drops = to.ends_with('?');
    let mut location = text::template(to.trim_end_matches('?'))?;
    if drops {
        location = location.replace("{request.uri}", "{request.path}");
    }
    let mut table = Table::new().with("respond", Table::new().with("status", code));
    table.below(&["response", "headers", "set"]).set("location", location);
    let path = match all {
        true => Cond::Const(true),
        false => Cond::Fact(Fact::Text(Subject::Path, Match::new(How::Regex, vec![pattern.to_owned()]))),
    };
    Ok((path, table))
}

/// What an `if` asks.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn asked(directive: &Directive, secure: bool) -> Result<Cond, String> {
    let joined = directive.arguments.join(" ");
    let inner =
        joined.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(&joined).trim().to_owned();
    let (variable, rest) = inner.split_once(char::is_whitespace).unwrap_or((&inner, ""));
    let (operator, value) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    let Some(name) = variable.strip_prefix('$') else {
        return Err("files are not asked for: `files` with a `pool` takes what is there".to_owned());
    };
    let subject = match name {
        "host" | "http_host" => Subject::Host,
        "uri" | "request_uri" | "document_uri" => Subject::Path,
        "scheme" => {
            let tls = Cond::Const((value == "https") == secure);
            return if operator == "!=" { Ok(tls.negate()) } else { Ok(tls) };
        }
        "https" => return Ok(Cond::Const(secure)),
        "request_method" => Subject::Cel("request.method".to_owned()),
        "remote_addr" => Subject::Cel("client.ip".to_owned()),
        other => {
            if let Some(header) = other.strip_prefix("http_") {
                Subject::Header(header.replace('_', "-"))
            } else if let Some(cookie) = other.strip_prefix("cookie_") {
                Subject::Cookie(cookie.to_owned())
            } else if let Some(query) = other.strip_prefix("arg_") {
                Subject::Query(query.to_owned())
            } else {
                return Err(format!("the variable `${other}` is not known in conditions"));
            }
        }
    };
    let (how, any_case, not) = match operator {
        "" => (How::Present, false, false),
        "=" | "==" if value.is_empty() => (How::Present, false, true),
        "!=" if value.is_empty() => (How::Present, false, false),
        "=" | "==" => (How::Exact, false, false),
        "!=" => (How::Exact, false, true),
        "~" => (How::Regex, false, false),
        "~*" => (How::Regex, true, false),
        "!~" => (How::Regex, false, true),
        "!~*" => (How::Regex, true, true),
        other => return Err(format!("`{other}` is not known in conditions")),
    };
    let values = if how == How::Present { Vec::new() } else { vec![value] };
    let cond = Cond::Fact(Fact::Text(subject, Match { how, values, any_case }));
    Ok(if not { cond.negate() } else { cond })
}
