//! Rules as they were written before HAProxy 2.1: `reqadd`, `rspadd`, `reqdel`, `reqrep` and their kin.
//!
//! May depend on the readers of conditions and edits.

use super::acl::{self, Scope};
use super::edits::{Edit, Op, Side, editable};
use super::proxy::Proxy;
use super::steps::{Act, Step};
use super::{Line, Work, answer, format};

/// What reads the words of an old rule.
type Read = fn(&[String]) -> Result<Edit, String>;

/// Puts the old rules of a section behind `steps`.
pub(super) fn steps(work: &mut Work<'_>, proxy: &Proxy, scope: &Scope<'_>, steps: &mut Vec<Step>) {
    let all: [(&str, Read); 8] = [
        ("reqdel", |words| removed(words, Side::Request)),
        ("reqidel", |words| removed(words, Side::Request)),
        ("reqrep", replaced),
        ("reqirep", replaced),
        ("reqadd", |words| added(words, Side::Request)),
        ("rspdel", |words| removed(words, Side::Response)),
        ("rspidel", |words| removed(words, Side::Response)),
        ("rspadd", |words| added(words, Side::Response)),
    ];
    for (keyword, read) in all {
        for line in proxy.lines(keyword) {
            let (words, cond) = acl::split(line.rest(1));
            let cond = scope.condition(&mut work.ledger, line.id, cond);
            match read(words) {
                Ok(edit) => {
                    work.ledger.carried(line.id);
                    steps.push(Step { line: line.id, cond, act: Act::Edit(edit) });
                }
                Err(why) => work.ledger.unsupported(line.id, why),
            }
        }
    }
    for keyword in ["reqdeny", "reqideny"] {
        for line in proxy.lines(keyword) {
            denied(work, line);
        }
    }
}

fn denied(work: &mut Work<'_>, line: &Line) {
    work.ledger.opens(
        line.id,
        "write it as `http-request deny if { … }`, and import again: a regex on whole lines of a head is not known",
    );
}

/// `Name: value`
fn added(words: &[String], side: Side) -> Result<Edit, String> {
    let text = words.join(" ");
    let Some((name, value)) = text.split_once(':') else { return Err("no header is behind it".to_owned()) };
    editable(name.trim())?;
    let mut template = String::new();
    format::literal(value.trim(), &mut template);
    Ok(Edit::Header(side, Op::Append, name.trim().to_owned(), template))
}

/// The name of a header of which a regex finds every line: `^X-Name:`, `^X-Name:.*`.
fn header_of(pattern: &str) -> Option<&str> {
    let name = pattern
        .strip_prefix('^')?
        .split_once(':')
        .filter(|(_, rest)| ["", ".*", " .*", "[ ]*.*", " ?.*"].contains(rest))?
        .0;
    editable(name).ok().map(|()| name)
}

fn removed(words: &[String], side: Side) -> Result<Edit, String> {
    match words.first().and_then(|pattern| header_of(pattern)) {
        Some(name) => Ok(Edit::Header(side, Op::Remove, name.to_owned(), String::new())),
        None => Err("headers are removed by their whole names: `http-request del-header NAME`".to_owned()),
    }
}

/// What stands for the method at the beginning of a regex on the first line.
const METHODS: [&str; 6] = [r"^([^ :]*) ", r"^([^\ ]*) ", r"^([^\ :]*) ", r"^([^ ]*) ", r"^(.*) ", r"^([A-Z]*) "];

/// A regex on the first line of a request, or on a header of it.
fn replaced(words: &[String]) -> Result<Edit, String> {
    let (pattern, by) = (words.first().map_or("", String::as_str), words.get(1).map_or("", String::as_str));
    if pattern.to_ascii_lowercase().starts_with("^host:") {
        let host = by.split_once(':').map_or("", |(_, host)| host.trim());
        let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        return match (plain, header_of_any(pattern)) {
            (true, true) => Ok(Edit::Host(host.to_owned())),
            _ => Err("`host` of a route is a fixed name".to_owned()),
        };
    }
    let Some(path) = METHODS.iter().find_map(|method| pattern.strip_prefix(method)) else {
        return Err("write it as `http-request replace-path` or `set-header`, and import again".to_owned());
    };
    let Some(by) = by.strip_prefix(r"\1 ") else {
        return Err("the method of a request is changed by a rule of type transform".to_owned());
    };
    // What a last group finds is the version as well, which the replacement repeats.
    let path = path.strip_suffix(" (.*)").map_or_else(|| path.to_owned(), |path| format!("{path}$"));
    let by = by.strip_suffix(" \\2").or(by.strip_suffix(" \\3")).unwrap_or(by);
    let anchored = if path.starts_with('/') || path.starts_with('(') { format!("^{path}") } else { path };
    crate::import::condition::regex(&anchored)?;
    // The group of the method is gone.
    if !by.starts_with(['/', '\\']) {
        return Err(format!("`{by}` is no path: it begins with `/`"));
    }
    let by: String = answer::numbered(by, 0)?;
    let shifted =
        (1..10).fold(by, |text, number| text.replace(&format!("{{{number}}}"), &format!("{{{}}}", number - 1)));
    if shifted.contains("{0}") {
        return Err("the method stands within the new path".to_owned());
    }
    let whole =
        if anchored.ends_with('$') || anchored.ends_with("(.*)") { anchored } else { format!("{anchored}(.*)$") };
    let groups = regex::Regex::new(&whole).map_or(0, |regex| regex.captures_len() - 1);
    let path = if whole.ends_with("(.*)$") && !shifted.contains(&format!("{{{groups}}}")) {
        format!("{shifted}{{{groups}}}")
    } else {
        shifted
    };
    Ok(Edit::Path(Some(whole), path))
}

/// Whether a regex on `Host:` finds whatever stands behind it.
fn header_of_any(pattern: &str) -> bool {
    pattern.split_once(':').is_some_and(|(_, rest)| regex::Regex::new(&format!("^{}$", rest.trim())).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regexes_on_the_first_line_become_ones_on_the_path() {
        let of = |pattern: &str, by: &str| replaced(&[pattern.to_owned(), by.to_owned()]);
        let path = |pattern: &str, path: &str| Ok(Edit::Path(Some(pattern.to_owned()), path.to_owned()));
        assert_eq!(of(r"^([^ :]*) /static/(.*)", r"\1 /assets/\2"), path("^/static/(.*)", "/assets/{1}"));
        assert_eq!(of(r"^([^\ :]*) /api", r"\1 /v1"), path("^/api(.*)$", "/v1{1}"));
        assert_eq!(of("^Host:.*", "Host: app.internal"), Ok(Edit::Host("app.internal".to_owned())));
        assert!(of("^GET (.*)", "POST /").is_err());
        assert_eq!(
            added(&["X-Proto: {https}".to_owned()], Side::Request),
            Ok(Edit::Header(Side::Request, Op::Append, "X-Proto".to_owned(), "{{https}}".to_owned()))
        );
        assert!(removed(&["^X-[AB]:".to_owned()], Side::Request).is_err());
    }
}
