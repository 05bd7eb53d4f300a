//! Lines of configurations as they are shown, without the secrets in them.
//!
//! What always holds: a masked text is as long as it was, byte for byte, so that what is underlined in it stays where it is. It is the text
//! that is looked at, for it may be no TOML at all.

use super::redis_url;
use std::borrow::Cow;

/// The bytes of `text` from `begin` to `end`, which are whole lines; of those that may have secrets in them no value is shown.
pub fn masked(text: &str, begin: usize, end: usize) -> Cow<'_, str> {
    let mut table = text[..begin].lines().rev().find_map(header).unwrap_or_default();
    let lines = &text[begin..end];
    if !is_secret(table, lines) && !lines.lines().filter_map(header).any(|table| is_secret(table, lines)) {
        return lines.into();
    }
    let mut shown = String::with_capacity(lines.len());
    for line in lines.split_inclusive('\n') {
        table = header(line).unwrap_or(table);
        match header(line).is_none() && is_secret(table, line) {
            true => mask(line, &mut shown),
            false => shown.push_str(line),
        }
    }
    shown.into()
}

/// What a line says which is the head of a table.
fn header(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.starts_with('[').then(|| line.trim_start_matches('['))
}

/// Whether a line of a table may have secrets in it: see `is_secret` of the diff.
fn is_secret(table: &str, line: &str) -> bool {
    let about = |word: &str| table.contains(word) || line.contains(word);
    (about("consumers") && !line.contains("consumers_file"))
        || (about("redis") && line.contains("url") && !is_open(line))
        || (about("headers") && (about("tracing") || about("health") || about("hooks")))
}

/// Whether a line has nothing but the URL of a server of Redis, and that no password.
fn is_open(line: &str) -> bool {
    let Some((before, rest)) = line.split_once("url") else { return false };
    let before: String = before.split_whitespace().collect();
    let value = rest.trim_start().strip_prefix('=').map(str::trim_start).unwrap_or_default();
    let Some(quote) = value.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else { return false };
    let (text, behind) = value.split_at(quoted(value, quote));
    let Some(text) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) else { return false };
    let behind = behind.trim();
    matches!(&*before, "" | "redis={" | "redis.") && (behind.is_empty() || behind == "}") && redis_url::is_open(text)
}

/// Adds a line without its values. Names of keys are shown, and so are commas, brackets and braces.
fn mask(line: &str, shown: &mut String) {
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '#' => rest.len(),
            '"' | '\'' => quoted(rest, next),
            _ if next.is_whitespace() || "[]{},=".contains(next) => {
                shown.push(next);
                rest = &rest[next.len_utf8()..];
                continue;
            }
            _ => rest.find(|c: char| c.is_whitespace() || "[]{},=\"'".contains(c)).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(length);
        match next == '#' || behind.trim_start().starts_with('=') {
            true => shown.push_str(word),
            false => word.bytes().for_each(|byte| shown.push(if byte == b'\n' { '\n' } else { '*' })),
        }
        rest = behind;
    }
}

/// How long the text in quotes is that `rest` begins with. One that does not end goes on to the end of the line.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, from: &str, shown: &str) {
        let begin = text.find(from).unwrap();
        let end = text[begin..].find('\n').map_or(text.len(), |end| begin + end);
        let masked = masked(text, begin, end);
        assert_eq!((&*masked, masked.len()), (shown, end - begin));
    }

    #[test]
    fn no_value_of_a_consumer_is_shown() {
        let text = "[pools.a]\nkeys = 'shown'\n[consumers]\na = { keys = [\"k1\", 'k2'], grups = [\"g\"] }\n[consumers.b]\nkeyz = [\"a\\\"b\", bare]\n\
                    keys = [\"no end, ]\n[consumers.\"c\"]\nkeys = \"ä\" # why\n[routes.r]\npaths = [\"/\"]\n";
        check(text, "keys = 'shown'", "keys = 'shown'");
        check(text, "a = {", "a = { keys = [****, ****], grups = [***] }");
        check(text, "keyz", "keyz = [******, ****]");
        check(text, "keys = [\"no", "keys = [**********");
        check(text, "keys = \"ä", "keys = **** # why");
        check(text, "paths", "paths = [\"/\"]");
        check("consumers = { a = { keys = ['k'] } }", "con", "consumers = { a = { keys = [***] } }");
    }

    #[test]
    fn no_header_of_a_check_or_a_collector_is_shown() {
        check("[tracing.headers]\nauthorization = 'b'\n", "auth", "authorization = ***");
        check("[pools.a]\nhealth = { headers = { a = 'b' } }\n", "health", "health = { headers = { a = *** } }");
        check("[routes.a]\nheaders = { a = 'b' }\n", "headers", "headers = { a = 'b' }");
    }

    #[test]
    fn no_password_of_a_store_is_shown() {
        check("[store.redis]\nurl = 'redis://:p@h'\nhosts = 2\n", "url", "url = **************");
        check("[store.redis]\nurl = 'redis://:p@h'\nhosts = 2\n", "hosts", "hosts = 2");
        check("[store]\nredis = { url = 'redis://:p@h' }\n", "redis", "redis = { url = ************** }");
        check("[store.redis]\nurl = 'redis://h:1' # p\n", "url", "url = ************* # p");
        check("[store.redis]\nurl = 'redis://h', p = 'x'\n", "url", "url = ***********, p = ***");
        check("[store.redis]\nurl = redis://:p@h\n", "url", "url = ************");
        let open = "url = 'redis://127.0.0.1:6379?db=1'";
        check(&format!("[store.redis]\n{open}\n"), "url", open);
    }

    #[test]
    fn several_lines_are_each_what_their_table_says() {
        let text = "[routes.a]\npool = 'p'\n[consumers.a]\nkeys = ['k']\n[pools.p]\ntargets = ['t']\n";
        let shown = "[routes.a]\npool = 'p'\n[consumers.a]\nkeys = [***]\n[pools.p]\ntargets = ['t']\n";
        assert_eq!(masked(text, 0, text.len()), shown);
    }
}
