//! The words of a line of haproxy.cfg: quotes, escapes, environment variables and comments.
//!
//! May depend on the emitter's mark for variables alone.

use crate::import::emit::ENV;

/// The words of a line; none if it says nothing.
///
/// # Errors
/// What is wrong with it.
pub(super) fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' => break,
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a single quote is not closed"),
                    }
                }
            }
            '"' => quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => escape(&mut chars, word.get_or_insert_default(), false)?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn quoted(chars: &mut Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next() {
            None => return Err("a double quote is not closed"),
            Some('"') => return Ok(()),
            Some('\\') => escape(chars, word, true)?,
            Some('$') => variable(chars, word)?,
            Some(c) => word.push(c),
        }
    }
}

fn escape(chars: &mut Chars<'_>, word: &mut String, in_quotes: bool) -> Result<(), &'static str> {
    let Some(c) = chars.next() else { return Err("nothing is behind the last backslash") };
    match c {
        ' ' | '\\' | '#' | '\'' | '"' => word.push(c),
        '$' if in_quotes => word.push('$'),
        'r' => word.push('\r'),
        'n' => word.push('\n'),
        't' => word.push('\t'),
        'x' => {
            let mut digit = || chars.next().and_then(|c| c.to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else { return Err("`\\x` takes two hexadecimal digits") };
            word.extend(char::from_u32(high * 16 + low));
        }
        // What it means is for the regex to say that it stands in.
        other => word.extend(['\\', other]),
    }
    Ok(())
}

/// A variable, between the marks that make a placeholder of it.
fn variable(chars: &mut Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    let braces = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '.') {
        name.push(c);
    }
    if name.is_empty() {
        return Err("no name is behind `$`");
    }
    let mut default = None;
    if braces {
        let mut rest = String::new();
        loop {
            match chars.next() {
                Some('}') => break,
                Some(c) => rest.push(c),
                None => return Err("a brace is not closed"),
            }
        }
        default = rest.strip_prefix('-').map(str::to_owned);
    }
    word.push(ENV.0);
    word.push_str(&name);
    if let Some(default) = default {
        word.push_str(":-");
        word.push_str(&default);
    }
    word.push(ENV.1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_escapes_variables_and_comments_are_understood() {
        let read = |line: &str| words(line).unwrap();
        assert_eq!(read("  bind :80  # the web"), ["bind", ":80"]);
        assert_eq!(read(r"reqadd X-A:\ b\#c"), ["reqadd", "X-A: b#c"]);
        assert_eq!(read(r"reqrep ^([^\ :]*)\ /a/(.*) \1\ /\2"), ["reqrep", "^([^ :]*) /a/(.*)", r"\1 /\2"]);
        assert_eq!(read(r#"set "a b"'c "d"'e"\"""#), ["set", r#"a bc "d"e""#]);
        assert_eq!(
            read(r#"server s "${HOST-10.0.0.1}:$PORT" "$X""#)[2..],
            ["\u{F8F0}HOST:-10.0.0.1\u{F8F1}:\u{F8F0}PORT\u{F8F1}", "\u{F8F0}X\u{F8F1}"]
        );
        assert_eq!(read(r#"x """#), ["x", ""]);
        assert_eq!(read(r"tcp-check send PING\r\n"), ["tcp-check", "send", "PING\r\n"]);
        assert_eq!(read("# nothing"), [""; 0]);
        for wrong in ["a \"b", "a 'b", r"a \xZ1", "a \"$\""] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
