//! Answers that rules give: redirects, `return`, denials.
//!
//! May depend on texts with samples and the draft.

use super::format::{self, Variables};
use crate::import::draft::Table;
use crate::import::{Around, condition, valid};

/// What a route answers by itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// Its keys: `redirect`, or `respond` with headers.
    pub table: Table,
    /// What is different.
    pub note: Option<String>,
}

/// `redirect scheme|prefix|location … [code N]`.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn redirect(words: &[String], variables: &Variables) -> Result<Answer, String> {
    let mut words = words.iter();
    let (mut kind, mut to, mut code, mut cookie) = ("", String::new(), 302, None);
    let (mut drops, mut slash) = (false, "");
    while let Some(word) = words.next() {
        match word.as_str() {
            "scheme" | "prefix" | "location" => {
                kind = word;
                to = words.next().cloned().unwrap_or_default();
            }
            "code" => code = words.next().and_then(|code| code.parse::<i64>().ok()).unwrap_or(302),
            "set-cookie" => cookie = words.next().map(|value| format!("{value}; Path=/")),
            "clear-cookie" => cookie = words.next().map(|name| format!("{name}=; Path=/; Max-Age=0")),
            "drop-query" => drops = true,
            "append-slash" => slash = "/",
            "ignore-empty" => {}
            other => return Err(format!("`{other}` is not known of redirects")),
        }
    }
    if ![301, 302, 303, 307, 308].contains(&code) {
        return Err(format!("a redirect has status 301, 302, 303, 307 or 308, and not {code}"));
    }
    let mut answer = match kind {
        "scheme" if (to == "https" || to == "http") && !drops && slash.is_empty() => Answer {
            table: Table::new().with("redirect", Table::new().with("scheme", to).with("status", code)),
            note: None,
        },
        "prefix" => {
            let plain = to.split_once("://").filter(|(scheme, host)| {
                ["http", "https"].contains(scheme)
                    && !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
            });
            match plain {
                Some((scheme, host)) if !drops && slash.is_empty() => {
                    let to = Table::new().with("scheme", scheme).with("host", host).with("status", code);
                    Answer { table: Table::new().with("redirect", to), note: None }
                }
                _ => {
                    let to = if to == "/" { String::new() } else { to };
                    let rest = if drops { "{request.path}" } else { "{request.uri}" };
                    located(&format!("{}{rest}{slash}", format::template(&to, variables)?), code)
                }
            }
        }
        "scheme" => {
            let scheme = format::template(&to, variables)?;
            located(
                &format!(
                    "{scheme}://{{request.host}}{}{slash}",
                    if drops { "{request.path}" } else { "{request.uri}" }
                ),
                code,
            )
        }
        "location" => located(&format::template(&to, variables)?, code),
        _ => return Err("it does not say where to".to_owned()),
    };
    if !slash.is_empty() && kind != "location" {
        answer.note = Some("a path that ends with a slash gets another one: bind it to `!{ path_end / }`".to_owned());
    }
    if let Some(cookie) = cookie {
        let mut value = String::new();
        format::literal(&cookie, &mut value);
        answer.table.below(&["response", "headers", "append"]).set("set-cookie", value);
    }
    Ok(answer)
}

fn located(to: &str, code: i64) -> Answer {
    let mut table = Table::new().with("respond", Table::new().with("status", code));
    table.below(&["response", "headers", "set"]).set("location", to);
    Answer { table, note: None }
}

/// `return status … content-type … string|lf-string|file … hdr …`.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn returned(
    words: &[String],
    status: i64,
    variables: &Variables,
    around: &dyn Around,
) -> Result<Answer, String> {
    let mut words = words.iter();
    let mut respond = Table::new().with("status", status);
    let mut table = Table::new();
    let mut headers = Table::new();
    let mut note = None;
    while let Some(word) = words.next() {
        let value = words.next().cloned().unwrap_or_default();
        match word.as_str() {
            "status" | "deny_status" => match value.parse::<i64>() {
                Ok(status @ 200..=599) => respond.set("status", status),
                _ => return Err(format!("`{value}` is no status from 200 to 599")),
            },
            "content-type" if !valid::media_type(value.split(';').next().unwrap_or_default().trim()) => {
                return Err(format!("`{value}` is no media type"));
            }
            "content-type" => respond.set("content_type", value),
            "string" => respond.set("body", value),
            "lf-string" if !value.contains('%') => respond.set("body", value),
            "lf-string" => return Err("a body is a fixed text: `respond.body`".to_owned()),
            "file" | "lf-file" => match around.read(&value) {
                Some(text) if text.len() <= 65_536 && !(word == "lf-file" && text.contains('%')) => {
                    note = Some(format!("what `{value}` says now stands in the configuration"));
                    respond.set("body", text);
                }
                _ => {
                    return Err(format!(
                        "`{value}` cannot be read here, or is no plain text: serve it by a route with `files`"
                    ));
                }
            },
            "hdr" => {
                let text = words.next().cloned().unwrap_or_default();
                super::edits::editable(&value)?;
                headers.set(&value.to_ascii_lowercase(), format::template(&text, variables)?);
            }
            "default-errorfiles" | "errorfile" | "errorfiles" | "lf-errorfile" => {
                return Err("an error file is a whole answer: write status, type and body".to_owned());
            }
            other => return Err(format!("`{other}` is not known of answers")),
        }
    }
    let bodiless = matches!(respond.get("status"), Some(crate::import::draft::Value::Number(204 | 205 | 304)));
    if bodiless {
        respond.remove("body");
    }
    if respond.get("content_type").is_some() && respond.get("body").is_none() {
        respond.remove("content_type");
    }
    table.set("respond", respond);
    if !headers.is_empty() {
        table.below(&["response", "headers"]).set("set", headers);
    }
    Ok(Answer { table, note })
}

/// The first path and what it becomes of a `regsub` on the path that begins at its start: `^/old` and `/new`.
///
/// # Errors
/// Why it cannot be carried over.
pub(super) fn regsub(argument: &str) -> Result<(String, String), String> {
    let unquoted = |part: String| part.trim().trim_matches(['\'', '"']).to_owned();
    let mut parts = split_commas(argument).into_iter().map(unquoted);
    let (pattern, by) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if parts.next().is_some_and(|flags| !flags.is_empty()) {
        return Err("`regsub` with flags is not known".to_owned());
    }
    captured(&pattern, &by).or_else(|why| {
        if by.starts_with('/') || by.is_empty() { Err(why) } else { captured(&pattern, &format!("/{by}")) }
    })?;
    let groups = regex::Regex::new(&pattern).map_or(0, |regex| regex.captures_len());
    // What stands before and behind what is found goes on as it is.
    let (before, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => ("", rest.to_owned()),
        None => ("(.*?)", pattern),
    };
    let (pattern, behind) = match pattern.strip_suffix('$') {
        Some(rest) => (rest.to_owned(), ""),
        None => (pattern, "(.*)"),
    };
    let shift = usize::from(!before.is_empty());
    let mut path = if before.is_empty() { String::new() } else { "{1}".to_owned() };
    path.push_str(&numbered(&by, shift)?);
    if !behind.is_empty() {
        path.push_str(&format!("{{{}}}", groups + shift));
    }
    Ok((format!("^{before}{pattern}{behind}$"), path))
}

/// The path that a text is whose `\1` a regex has captured.
///
/// # Errors
/// Why it is none.
pub(super) fn captured(pattern: &str, by: &str) -> Result<String, String> {
    condition::regex(pattern)?;
    let path = numbered(by, 0)?;
    let groups = regex::Regex::new(pattern).map_or(0, |regex| regex.captures_len());
    if (groups..10).any(|number| path.contains(&format!("{{{number}}}"))) {
        return Err(format!("`{pattern}` has fewer groups than `{by}` names"));
    }
    match path.starts_with(['/', '{']) && !path.starts_with("{{") {
        true => Ok(path),
        false => Err(format!("`{by}` is no path: it begins with `/`")),
    }
}

/// A text in which `\1` stands for what was captured, as a template.
///
/// # Errors
/// Why it is none.
pub(super) fn numbered(text: &str, shift: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next().and_then(|c| c.to_digit(10)) {
                Some(0) => return Err("`\\0`, all that was found, is written `(…)` and `\\1`".to_owned()),
                Some(number) => out.push_str(&format!("{{{}}}", number as usize + shift)),
                None => return Err("behind a backslash stands the number of a group".to_owned()),
            },
            c => format::literal(&c.to_string(), &mut out),
        }
    }
    Ok(out)
}

fn split_commas(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0_u32);
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_in_the_middle_leaves_the_rest_as_it_is() {
        assert_eq!(regsub("^/old,/new"), Ok(("^/old(.*)$".into(), "/new{1}".into())));
        assert_eq!(regsub("'/v([0-9]+)/',/\\1/"), Ok(("^(.*?)/v([0-9]+)/(.*)$".into(), "{1}/{2}/{3}".into())));
        assert!(regsub("a,b,g").is_err() && regsub("(?=a),b").is_err());
    }

    #[test]
    fn redirects_keep_what_they_kept() {
        let of = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            redirect(&words, &Variables::new()).map(|answer| answer.table)
        };
        let table = of("prefix https://www.a.test code 301").unwrap();
        let to = Table::new().with("scheme", "https").with("host", "www.a.test").with("status", 301);
        assert_eq!(table.get("redirect"), Some(&to.into()));
        let mut table = of("prefix /app drop-query").unwrap();
        assert_eq!(table.below(&["response", "headers", "set"]).text("location"), Some("/app{request.path}"));
        let mut table = of("location / code 303").unwrap();
        assert_eq!(table.below(&["response", "headers", "set"]).text("location"), Some("/"));
        assert!(of("location / code 304").is_err() && of("code 301").is_err());
    }
}
