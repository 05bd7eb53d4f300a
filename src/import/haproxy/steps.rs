//! The rules of a section in their order: what ends a request, and what changes it.
//!
//! May depend on the readers of conditions, texts, answers and old rules.

use super::acl::{self, Past, Scope, Variable};
use super::answer::{self, Answer};
use super::edits::{Edit, Op, Side, editable};
use super::header::Made;
use super::proxy::Proxy;
use super::{Line, Work, format, legacy, limits, sample};
use crate::import::condition::{Cond, Fact};
use crate::import::draft::Table;
use crate::import::report::LineId;
use crate::import::valid;

/// A rule with its condition.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub line: LineId,
    pub cond: Cond,
    pub act: Act,
}

/// What a rule does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Ends it with an answer; whether that keeps something out.
    Answer(Answer, bool),
    /// Has it wait, and refuses it.
    Tarpit,
    /// Asks who it is: the realm. The condition says of which list.
    Auth(String),
    /// Skips the rules behind it, up to the end of them.
    Allow,
    /// The end of what is skipped.
    Resume,
    Edit(Edit),
}

/// The rules of a section, and what they have done; `past`: what rules before have.
pub(super) fn read(work: &mut Work<'_>, proxy: &Proxy, past: Past) -> (Vec<Step>, Past) {
    let acls = proxy.lines("acl").to_vec();
    let mut scope = Scope { acls: &acls, around: work.around, http: proxy.http, past };
    let mut steps = Vec::new();
    if !proxy.http {
        return (steps, scope.past);
    }
    let tracks = limits::tracks(work, proxy, &scope);
    for line in proxy.lines("block") {
        let (_, cond) = acl::split(line.rest(1));
        let cond = scope.condition(&mut work.ledger, line.id, cond);
        work.ledger.carried(line.id);
        steps.push(Step { line: line.id, cond, act: denied(403) });
    }
    for line in proxy.lines("http-request") {
        request(work, proxy, line, &mut scope, &tracks, &mut steps);
    }
    // Old rules and `redirect` are asked after all of `http-request`, whatever that allows.
    steps.push(Step { line: proxy.head, cond: Cond::Const(true), act: Act::Resume });
    legacy::steps(work, proxy, &scope, &mut steps);
    for line in proxy.lines("redirect") {
        let (words, cond) = acl::split(line.rest(1));
        let cond = scope.condition(&mut work.ledger, line.id, cond);
        match answer::redirect(words, &scope.past.variables) {
            Ok(answer) => end(work, line.id, cond, answer, false, &mut steps),
            Err(why) => work.ledger.unsupported(line.id, why),
        }
    }
    for (keyword, side) in [("http-response", Side::Response), ("http-after-response", Side::Always)] {
        for line in proxy.lines(keyword) {
            response(work, line, side, &scope, &mut steps);
        }
    }
    for line in proxy.lines("capture") {
        captured(work, line, line.word(1) == "request", line.word(3));
    }
    if let Some(line) = proxy.line("unique-id-header") {
        match editable(line.word(1)) {
            Ok(()) => {
                let edit = Edit::Header(Side::Request, Op::Set, line.word(1).to_owned(), "{request.id}".to_owned());
                steps.push(Step { line: line.id, cond: Cond::Const(true), act: Act::Edit(edit) });
                work.ledger.carried(line.id);
            }
            Err(why) => work.ledger.unsupported(line.id, why),
        }
    }
    if let Some(line) = proxy.line("unique-id-format") {
        work.ledger.differs(line.id, "`{request.id}` has a form of Ringway's own");
    }
    (steps, scope.past)
}

fn end(work: &mut Work<'_>, line: LineId, cond: Cond, answer: Answer, keeps_out: bool, steps: &mut Vec<Step>) {
    work.ledger.carried(line);
    if let Some(note) = &answer.note {
        work.ledger.differs(line, note.clone());
    }
    steps.push(Step { line, cond, act: Act::Answer(answer, keeps_out) });
}

fn denied(status: i64) -> Act {
    let respond = Table::new().with("status", status);
    Act::Answer(Answer { table: Table::new().with("respond", respond), note: None }, true)
}

fn request(
    work: &mut Work<'_>,
    proxy: &Proxy,
    line: &Line,
    scope: &mut Scope<'_>,
    tracks: &limits::Tracks,
    steps: &mut Vec<Step>,
) {
    let (words, cond) = acl::split(line.rest(1));
    let id = line.id;
    let word = words.first().map_or("", String::as_str);
    let rest = words.get(1..).unwrap_or_default();
    let cond = scope.condition(&mut work.ledger, id, cond);
    if limits::is_counted(&cond) {
        return limits::deny(work, proxy, id, word, rest, cond, tracks, steps);
    }
    let put = |work: &mut Work<'_>, steps: &mut Vec<Step>, act: Act| {
        work.ledger.carried(id);
        steps.push(Step { line: id, cond: cond.clone(), act });
    };
    match word {
        "deny" | "block" => match answer::returned(rest, 403, &scope.past.variables, scope.around) {
            Ok(answer) => end(work, id, cond, answer, true, steps),
            Err(why) => {
                put(work, steps, denied(403));
                work.ledger.differs(id, why);
            }
        },
        "reject" | "silent-drop" => {
            put(work, steps, denied(403));
            work.ledger.differs(id, "the client is answered 403");
        }
        "tarpit" => {
            put(work, steps, Act::Tarpit);
            work.ledger.differs(id, "the client is answered 403, after the time");
        }
        "allow" => put(work, steps, Act::Allow),
        "redirect" => match answer::redirect(rest, &scope.past.variables) {
            Ok(answer) => end(work, id, cond, answer, false, steps),
            Err(why) => work.ledger.unsupported(id, why),
        },
        "return" => match answer::returned(rest, 200, &scope.past.variables, scope.around) {
            Ok(answer) => end(work, id, cond, answer, true, steps),
            Err(why) => work.ledger.opens(id, why),
        },
        "auth" => {
            let realm = rest.get(1).map_or("site", String::as_str).to_owned();
            put(work, steps, Act::Auth(realm));
        }
        "set-header" | "add-header" | "del-header" => match header(word, rest, Side::Request, &scope.past.variables) {
            Ok(edit) => {
                put(work, steps, Act::Edit(edit.clone()));
                written(scope, &cond, &edit);
                if rest.get(1).is_some_and(|text| format::changes_case(text, &scope.past.variables)) {
                    work.ledger.differs(id, "the text goes on in the case that it came in");
                }
            }
            Err(why) => work.ledger.unsupported(id, why),
        },
        "set-path" | "set-pathq" | "set-uri" => match path(rest.first().map_or("", String::as_str), &scope.past.variables) {
            Ok(edit) => {
                put(work, steps, Act::Edit(edit));
                scope.past.moved = true;
            }
            Err(why) => work.ledger.unsupported(id, why),
        },
        "replace-path" | "replace-pathq" | "replace-uri" => {
            let (pattern, by) = (rest.first().map_or("", String::as_str), rest.get(1).map_or("", String::as_str));
            match answer::captured(pattern, by) {
                Ok(path) if !by.contains('?') => {
                    put(work, steps, Act::Edit(Edit::Path(Some(pattern.to_owned()), path)));
                    scope.past.moved = true;
                    if word != "replace-path" {
                        work.ledger.differs(id, "the path is matched alone, and the query goes on as it is");
                    }
                }
                Ok(_) => work.ledger.unsupported(id, "what becomes of the query is said by `rewrite.query`"),
                Err(why) => work.ledger.unsupported(id, why),
            }
        }
        "cache-use" => match work.caches.get(rest.first().map_or("", String::as_str)).cloned() {
            Some(cache) => put(work, steps, Act::Edit(Edit::Cache(cache))),
            None => work.ledger.unsupported(id, "there is no such cache"),
        },
        "capture" => {
            let pieces = sample::pieces(rest.first().map_or("", String::as_str));
            let name = pieces.first().filter(|piece| piece.name.ends_with("hdr")).map(|piece| piece.argument.clone());
            captured(work, line, true, name.as_deref().unwrap_or_default());
        }
        "use-service" if rest.first().is_some_and(|service| service.contains("prometheus")) => {
            work.ledger.differs(id, "metrics are at `/metrics` of the admin listener");
        }
        word if word.starts_with("set-var") => variable(work, id, word, rest, cond, scope),
        word if word.starts_with("track-sc") => {}
        "normalize-uri" => work.ledger.differs(id, "paths are matched in one normal form, and go on in the client's bytes unless a target could read them as another path"),
        "wait-for-body" => work.ledger.differs(id, "requests stream: `buffer.request` of a route takes them whole first"),
        "wait-for-handshake" | "set-log-level" | "set-nice" | "strict-mode" | "disable-l7-retry" | "unset-var" | "pause" => {
            work.ledger.unsupported(id, "there is no such thing");
        }
        "replace-header" | "replace-value" => work.ledger.unsupported(id, "a part of a header's value is not replaced: `set` writes the whole of it"),
        "set-query" => work.ledger.unsupported(id, "parameters are changed one by one by `rewrite.query`"),
        "set-method" => work.ledger.unsupported(id, "a rule of type transform says `request.method`"),
        "set-src" | "set-src-port" => work.ledger.unsupported(id, "name the proxies in front in `trusted_proxies` of the listener: then the client is who they say it is"),
        "set-timeout" => work.ledger.unsupported(id, "times are those of the pool: make another pool with other ones"),
        "set-priority-class" => work.ledger.unsupported(id, "`priority_class` of a route says it"),
        "set-dst" | "set-dst-port" | "do-resolve" => work.ledger.unsupported(id, "requests go to targets of a pool"),
        "set-mark" | "set-tos" | "set-fc-mark" | "set-fc-tos" | "set-bc-mark" | "set-bc-tos" => work.ledger.unsupported(id, "packets are not marked"),
        "early-hint" => work.ledger.unsupported(id, "interim answers of targets go on; none are made here"),
        "send-spoe-group" => work.ledger.unsupported(id, "there is no SPOE: rules of type forward-auth and opa ask others"),
        word if word.starts_with("lua.") || word == "use-service" => work.ledger.opens(id, "Lua is not run: rules and conditions take its place"),
        word if word.starts_with("sc-") || word.ends_with("-acl") || word.ends_with("-map") => {
            work.ledger.unsupported(id, "requests change no counters, lists and maps: a rule of type ban keeps out whom rules have refused often");
        }
        other => work.ledger.unsupported(id, format!("`http-request {other}` is not known")),
    }
}

/// Notes what an edit makes of a header, for the conditions behind it.
fn written(scope: &mut Scope<'_>, cond: &Cond, edit: &Edit) {
    let text = |value: &String| (!value.contains(['{', '}'])).then(|| value.clone());
    let (name, made) = match edit {
        Edit::Header(Side::Request, Op::Set, name, value) => {
            (name.as_str(), text(value).map_or(Made::Other, Made::Set))
        }
        Edit::Header(Side::Request, Op::Append, name, value) => {
            (name.as_str(), text(value).map_or(Made::Other, Made::Added))
        }
        Edit::Header(Side::Request, Op::Remove, name, _) => (name.as_str(), Made::Gone),
        Edit::Host(host) => ("host", Made::Set(host.clone())),
        _ => return,
    };
    scope.past.written.note(name, cond, made);
}

fn variable(work: &mut Work<'_>, id: LineId, word: &str, rest: &[String], cond: Cond, scope: &mut Scope<'_>) {
    let name = word.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(name, _)| name);
    let name = name.split(',').next().unwrap_or_default().to_owned();
    let value = rest.join("");
    let pieces = sample::pieces(&value);
    let fixed =
        pieces.first().filter(|piece| pieces.len() == 1 && ["bool", "int", "str"].contains(&piece.name.as_str()));
    work.ledger.carried(id);
    match (fixed, word.starts_with("set-var-fmt")) {
        (_, true) => work.ledger.unsupported(id, "a variable holds a sample or a fixed text"),
        (Some(piece), _) => {
            let value = piece.argument.trim_matches(['\'', '"']).to_owned();
            match scope.past.variables.get_mut(&name) {
                Some(Variable::When(cases)) => cases.push((cond, value)),
                _ => {
                    scope.past.variables.insert(name, Variable::When(vec![(cond, value)]));
                }
            }
        }
        (None, _) if cond == Cond::Const(true) => {
            let then = scope.past.then();
            scope.past.variables.insert(name, Variable::Is(value, then));
        }
        (None, _) => work.ledger.unsupported(id, "a variable that is set to a sample is so always, or not at all"),
    }
}

fn header(word: &str, rest: &[String], side: Side, variables: &format::Variables) -> Result<Edit, String> {
    let name = rest.first().map_or("", String::as_str);
    let op = match word {
        "set-header" => Op::Set,
        "add-header" => Op::Append,
        _ if rest.get(1).is_some_and(|flag| flag == "-m") && rest.get(2).is_none_or(|method| method != "str") => {
            return Err("headers are removed by their whole names".to_owned());
        }
        _ => Op::Remove,
    };
    let value = match op {
        Op::Remove => String::new(),
        _ => format::template(rest.get(1).map_or("", String::as_str), variables)?,
    };
    if name.eq_ignore_ascii_case("host") && side == Side::Request {
        return match op {
            Op::Set if valid::host(&value) || value.parse::<std::net::Ipv4Addr>().is_ok() => Ok(Edit::Host(value)),
            _ => Err("the Host that a target is sent is the client's, the target's address, or a fixed name: `host` of the route".to_owned()),
        };
    }
    editable(name)?;
    if side == Side::Request && value.contains("{response.") {
        return Err("it is filled in from an answer, and the request goes before it".to_owned());
    }
    Ok(Edit::Header(side, op, name.to_owned(), value))
}

fn path(text: &str, variables: &format::Variables) -> Result<Edit, String> {
    let whole = text.strip_prefix("%[").and_then(|rest| rest.strip_suffix(']')).filter(|inner| !inner.contains("%["));
    if let Some(inner) = whole {
        let pieces = sample::pieces(inner);
        if let [of, change] = pieces.as_slice()
            && ["path", "url", "pathq"].contains(&of.name.as_str())
            && change.name == "regsub"
        {
            let (pattern, path) = answer::regsub(&change.argument)?;
            return Ok(Edit::Path(Some(pattern), path));
        }
    }
    if let Some(prefix) = text.strip_suffix("%[path]").or(text.strip_suffix("%[url]")).or(text.strip_suffix("%[pathq]"))
        && crate::import::condition::is_path(prefix)
        && prefix.len() > 1
        && !prefix.ends_with('/')
    {
        return Ok(Edit::Prefix(prefix.to_owned()));
    }
    let path = format::template(text, variables)?;
    match path {
        path if path.starts_with("{{") || !path.starts_with(['/', '{']) => {
            Err(format!("`{path}` is no path: it begins with `/`"))
        }
        path if path.contains('?') => Err("what becomes of the query is said by `rewrite.query`".to_owned()),
        path if path.contains("{request.uri}") => Ok(Edit::Path(None, path.replace("{request.uri}", "{request.path}"))),
        path => Ok(Edit::Path(None, path)),
    }
}

fn response(work: &mut Work<'_>, line: &Line, side: Side, scope: &Scope<'_>, steps: &mut Vec<Step>) {
    let (words, cond) = acl::split(line.rest(1));
    let id = line.id;
    let word = words.first().map_or("", String::as_str);
    let rest = words.get(1..).unwrap_or_default();
    let cond = scope.condition(&mut work.ledger, id, cond);
    match word {
        "set-header" | "add-header" | "del-header" => match header(word, rest, side, &scope.past.variables) {
            Ok(edit) => {
                work.ledger.carried(id);
                if rest.first().is_some_and(|name| name.eq_ignore_ascii_case("alt-svc")) {
                    work.ledger.differs(id, "HTTP/3 is not spoken here: clients that are told so try in vain");
                }
                steps.push(Step { line: id, cond, act: Act::Edit(edit) });
            }
            Err(why) => work.ledger.unsupported(id, why),
        },
        "cache-store" => match work.caches.contains_key(rest.first().map_or("", String::as_str)) {
            true => work.ledger.carried(id),
            false => work.ledger.unsupported(id, "there is no such cache"),
        },
        "capture" => {
            let pieces = sample::pieces(rest.first().map_or("", String::as_str));
            let name = pieces.first().filter(|piece| piece.name.ends_with("hdr")).map(|piece| piece.argument.clone());
            captured(work, line, false, name.as_deref().unwrap_or_default());
        }
        "deny" => work
            .ledger
            .opens(id, "answers are not refused: `error_pages` with `intercept` puts a page in place of a status"),
        "replace-header" | "replace-value" => work.ledger.unsupported(
            id,
            "a part of a header's value is not replaced; `rewrite.back` puts `Location` and cookies back",
        ),
        "set-status" => work.ledger.unsupported(id, "a rule of type transform says `response.status`, and `if_status`"),
        "allow" => work.ledger.unsupported(id, "edits of answers do not end each other"),
        other => work.ledger.unsupported(id, format!("`http-response {other}` is not known")),
    }
}

fn captured(work: &mut Work<'_>, line: &Line, request: bool, name: &str) {
    if !["request", "response", "capture"].contains(&line.word(1))
        || editable(name).is_err() && !name.eq_ignore_ascii_case("host")
    {
        return work.ledger.unsupported(line.id, "name what the log is to show in `access_log.headers`");
    }
    let key = if request { "headers" } else { "response_headers" };
    work.draft.single("access_log").table.push(key, name.to_ascii_lowercase());
    work.ledger.differs(line.id, "the access log shows it, as long as it is");
}

/// Whether a condition asks for a user of a list, alone or negated.
pub(super) fn list(cond: &Cond) -> Option<String> {
    cond.parts().into_iter().find_map(|part| match part {
        Cond::Not(inner) => match inner.as_ref() {
            Cond::Fact(Fact::User(list)) => Some(list.clone()),
            _ => None,
        },
        _ => None,
    })
}
