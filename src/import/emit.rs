//! The draft as TOML, as somebody would have written it.
//!
//! What always holds: what comes out is TOML, whatever texts are in the draft; `${` of a text is no placeholder, unless it was one.
//! May depend on nothing of the crate.

use super::draft::{Draft, Entry, Table, Value};
use std::fmt::Write;

/// What a placeholder for an environment variable begins and ends with within texts of a draft.
pub const ENV: (char, char) = ('\u{F8F0}', '\u{F8F1}');

/// Beyond so many characters a line is broken where it can be.
const WIDTH: usize = 120;

/// The kinds of tables in the order in which a reader wants them.
const ORDER: [&str; 13] = [
    "runtime",
    "admin",
    "access_log",
    "dns",
    "limits",
    "defaults",
    "listeners",
    "routes",
    "rules",
    "consumers",
    "plans",
    "caches",
    "pools",
];

/// The text of a draft; `title` is said at its top.
pub fn emit(draft: &Draft, title: &[String]) -> String {
    let mut text = String::new();
    comments(&mut text, title);
    let place = |entry: &Entry| ORDER.iter().position(|kind| entry.path.first().is_some_and(|first| first == kind));
    let mut entries: Vec<&Entry> = draft.entries.iter().collect();
    entries.sort_by_key(|entry| place(entry));
    for entry in entries {
        text.push('\n');
        comments(&mut text, &entry.notes);
        let path: Vec<String> = entry.path.iter().map(|name| key(name)).collect();
        let _ = writeln!(text, "[{}]", path.join("."));
        for (name, value) in &entry.table.0 {
            line(&mut text, &key(name), value);
        }
    }
    text
}

fn comments(text: &mut String, notes: &[String]) {
    for note in notes {
        for line in note.lines() {
            let _ =
                writeln!(text, "# {}", line.replace(ENV.0, "${").replace(ENV.1, "}").replace(char::is_control, " "));
        }
    }
}

/// One key with its value; tables that are too long for a line are taken apart.
fn line(text: &mut String, name: &str, value: &Value) {
    let short = format!("{name} = {}", inline(value));
    match value {
        Value::Table(table) if !table.is_empty() && (short.chars().count() > WIDTH || nests(table)) => {
            for (below, value) in &table.0 {
                line(text, &format!("{name}.{}", key(below)), value);
            }
        }
        Value::List(list) if short.chars().count() > WIDTH && list.len() > 1 => {
            let _ = writeln!(text, "{name} = [");
            for item in list {
                let _ = writeln!(text, "    {},", inline(item));
            }
            text.push_str("]\n");
        }
        _ => {
            text.push_str(&short);
            text.push('\n');
        }
    }
}

fn nests(table: &Table) -> bool {
    table.0.iter().any(|(_, value)| matches!(value, Value::Table(_)))
}

fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) if table.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let pairs: Vec<String> =
                table.0.iter().map(|(name, value)| format!("{} = {}", key(name), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let text = text.replace("${", "$${").replace(ENV.0, "${").replace(ENV.1, "}");
    if (text.contains('\\') || text.contains('"')) && !text.contains(|c: char| c == '\'' || c.is_control()) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_reads_as_what_went_in() {
        let mut draft = Draft::default();
        let texts = ["plain", "a \"b\" \\d+", "it's \"so\"\n\u{7}", "C:\\x", "${HOME}", "1.2.3.4"];
        let table = Table::new()
            .with("texts", texts.to_vec())
            .with("x-y.z", Table::new().with("in", Table::new().with("a b", 7_i64)).with("on", true))
            .with("long", vec!["a text of some length".to_owned(); 9]);
        let name = draft.name("routes", "a/b c");
        draft.add("routes", &name, table, vec!["two\nlines".to_owned()]);
        assert_eq!(draft.name("routes", "a/b c"), "a-b-c-2");
        draft.single("runtime").table.set("workers", "\u{F8F0}N:-2\u{F8F1}");
        let text = emit(&draft, &["from x".to_owned()]);
        assert!(
            text.starts_with("# from x\n\n[runtime]\nworkers = \"${N:-2}\"\n\n# two\n# lines\n[routes.a-b-c]\n"),
            "{text}"
        );
        let read: toml::Table = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        let route = &read["routes"]["a-b-c"];
        let found: Vec<&str> = route["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
        assert_eq!(found, texts.map(|text| text.replace("${", "$${")));
        assert_eq!(route["x-y.z"]["in"]["a b"].as_integer(), Some(7));
        assert_eq!(route["long"].as_array().unwrap().len(), 9);
    }
}
