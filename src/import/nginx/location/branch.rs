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
                    refuse(work, directive, why);
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
                    refuse(work, step, why);
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
                    query_note(work, step);
                    silence_note(work, step);
                    let mut route = lowered.keys;
                    if let Some(when) = lowered.when {
                        route.set("when", when);
                    }
                    route.0.extend(table.0);
                    super::action::answers(work, at.server, &mut route);
                    all.push((format!("{}-moved", at.name), route));
                    if asked == Cond::Const(true) && path == Cond::Const(true) {
                        return true;
                    }
                }
                Err(why) => refuse(work, step, why),
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
    let code = if code == 444 { 403 } else { code };
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
    let (to, bare) = match to.strip_suffix('?') {
        Some(to) => (to, true),
        None => (to, false),
    };
    // What the whole path was captured as is the path; a query goes along, unless there is a question mark.
    let whole = if bare { "$uri" } else { "$uri$is_args$args" };
    let to = match pattern.starts_with("^/(.*)") {
        _ if !all => to.to_owned(),
        true => to.replace("/$1", whole),
        false => to.replace("$1", whole),
    };
    let to = match to.strip_suffix("$uri") {
        Some(before) if !bare => format!("{before}$uri$is_args$args"),
        _ => to,
    };
    if to.split('$').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Err("parts of the path do not go into a redirect: `redirect` keeps it, or gives another one".to_owned());
    }
    let location = text::template(&to)?;
    let mut table = Table::new().with("respond", Table::new().with("status", code));
    table.below(&["response", "headers", "set"]).set("location", location);
    let path = match all {
        true => Cond::Const(true),
        false => Cond::Fact(Fact::Text(Subject::Path, Match::new(How::Regex, vec![pattern.to_owned()]))),
    };
    Ok((path, table))
}

/// Whether a `rewrite` sends the client elsewhere.
pub(super) fn redirects(directive: &Directive) -> bool {
    ["permanent", "redirect"].contains(&directive.argument(2)) || directive.argument(1).contains("://")
}

/// Says of a redirect whose target has no place for it that the query does not go along.
pub(super) fn query_note(work: &mut Work<'_>, directive: &Directive) {
    let to = directive.argument(1);
    let along = ["?", "$request_uri", "$args", "$uri", "$1"].iter().any(|known| to.contains(known));
    if directive.name == "rewrite" && !along {
        work.ledger.differs(directive.id, "the query does not go along");
    }
}

/// Says of `return 444` that there is an answer.
pub(super) fn silence_note(work: &mut Work<'_>, directive: &Directive) {
    if directive.name == "return" && directive.argument(0) == "444" {
        work.ledger.differs(
            directive.id,
            "the client is answered 403: a connection is not closed without an answer but by `on_refuse` and bans",
        );
    }
}

/// Says of what is not understood that it is not supported, and whether it kept something out.
pub(super) fn refuse(work: &mut Work<'_>, directive: &Directive, why: String) {
    let refuses =
        |step: &Directive| step.name == "return" && step.argument(0).parse::<u16>().is_ok_and(|code| code >= 400);
    match refuses(directive) || directive.inner().iter().any(refuses) {
        true => work.ledger.opens(directive.id, why),
        false => work.ledger.unsupported(directive.id, why),
    }
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
    if name == "request_uri"
        && (value.contains("\\?") || value.contains("[?]") || operator.contains('=') && value.contains('?'))
    {
        return Err(
            "the path is compared, and what stands behind it is not: ask for the parameter by `$arg_NAME`".to_owned()
        );
    }
    let subject = match name {
        "host" | "http_host" => Subject::Host,
        "uri" | "request_uri" | "document_uri" => Subject::Path,
        "scheme" => {
            let tls = Cond::Const((value == "https") == secure);
            return if operator == "!=" { Ok(tls.negate()) } else { Ok(tls) };
        }
        "https" => return Ok(Cond::Const(secure)),
        "ssl_client_verify" => {
            // One that is not good is not let in.
            let shown = Cond::Fact(Fact::Cel("tls.client_certificate.present".to_owned()));
            return match (operator, value.as_str()) {
                ("=" | "==", "SUCCESS") | ("!=", "NONE") => Ok(shown),
                ("!=", "SUCCESS") | ("=" | "==", "NONE") => Ok(shown.negate()),
                _ => Err("a certificate is shown, or not: SUCCESS or NONE".to_owned()),
            };
        }
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
        // What is empty, or not there, or zero, is false.
        "" => {
            let values = vec![String::new(), "0".to_owned()];
            return Ok(Cond::Fact(Fact::Text(subject, Match::new(How::Exact, values))).negate());
        }
        "=" | "==" => (How::Exact, false, false),
        "!=" => (How::Exact, false, true),
        "~" => (How::Regex, false, false),
        "~*" => (How::Regex, true, false),
        "!~" => (How::Regex, false, true),
        "!~*" => (How::Regex, true, true),
        other => return Err(format!("`{other}` is not known in conditions")),
    };
    let cond = Cond::Fact(Fact::Text(subject, Match { how, values: vec![value], any_case }));
    Ok(if not { cond.negate() } else { cond })
}
