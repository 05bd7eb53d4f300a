//! nginx.conf as a tree of directives: words, quotes, comments, blocks, included files.
//!
//! May depend on the ledger.

use crate::import::report::{Ledger, LineId};
use crate::import::{Around, Wrong};

/// A directive with its arguments, and the block behind it.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub id: LineId,
    pub name: String,
    pub arguments: Vec<String>,
    pub block: Option<Vec<Directive>>,
}

impl Directive {
    /// The argument at a place, or nothing.
    pub fn argument(&self, place: usize) -> &str {
        self.arguments.get(place).map_or("", String::as_str)
    }

    /// What is in its block.
    pub fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The value of an argument `name=value`.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether an argument is there.
    pub fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|other| other == argument)
    }
}

/// How deep blocks and included files may be nested.
const DEEP: usize = 32;

/// Reads a file and what it includes.
pub(super) fn read(name: &str, text: &str, ledger: &mut Ledger, around: &dyn Around) -> Result<Vec<Directive>, Wrong> {
    let mut reader = Reader { name, chars: text.chars().peekable(), line: 1, ledger, around };
    let all = reader.block(0)?;
    match reader.chars.next() {
        None => Ok(all),
        Some(_) => Err(reader.wrong("a brace is closed that was not opened")),
    }
}

struct Reader<'a> {
    name: &'a str,
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    line: u32,
    ledger: &'a mut Ledger,
    around: &'a dyn Around,
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
    Nothing,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> Wrong {
        Wrong { line: self.line, what: what.to_owned() }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next();
        self.line += u32::from(c == Some('\n'));
        c
    }

    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, Wrong> {
        if depth > DEEP {
            return Err(self.wrong("blocks are nested too deep"));
        }
        let mut all = Vec::new();
        loop {
            let token = self.token()?;
            let line = self.line;
            let name = match token {
                Token::Word(name) => name,
                Token::End => continue,
                Token::Open => return Err(self.wrong("a block has no name")),
                Token::Close if depth > 0 => return Ok(all),
                Token::Close => return Err(self.wrong("a brace is closed that was not opened")),
                Token::Nothing if depth == 0 => return Ok(all),
                Token::Nothing => return Err(self.wrong("a brace is not closed")),
            };
            let mut arguments = Vec::new();
            let opens = loop {
                match self.token()? {
                    Token::Word(word) => arguments.push(word),
                    Token::End => break false,
                    Token::Open => break true,
                    Token::Close | Token::Nothing => return Err(self.wrong(&format!("`{name}` does not end with `;`"))),
                }
            };
            let id = self.ledger.open(self.name, line, shown(&name, &arguments));
            if name == "include" && !opens {
                self.include(id, &arguments, depth, &mut all)?;
                continue;
            }
            let block = if opens { Some(self.block(depth + 1)?) } else { None };
            all.push(Directive { id, name, arguments, block });
        }
    }

    fn include(
        &mut self,
        id: LineId,
        arguments: &[String],
        depth: usize,
        all: &mut Vec<Directive>,
    ) -> Result<(), Wrong> {
        let pattern = arguments.first().map_or("", String::as_str);
        if pattern.ends_with("mime.types") {
            self.ledger.carried(id);
            return Ok(());
        }
        let files = if pattern.contains('*') { self.around.matching(pattern) } else { vec![pattern.to_owned()] };
        let mut found = false;
        for file in &files {
            let Some(text) = self.around.read(file) else { continue };
            found = true;
            let mut reader = Reader {
                name: file,
                chars: text.chars().peekable(),
                line: 1,
                ledger: self.ledger,
                around: self.around,
            };
            if depth + 1 > DEEP {
                return Err(self.wrong("files include each other"));
            }
            // What is included stands on its own: its braces are closed in it.
            all.extend(reader.block(0)?);
        }
        match (found, pattern.contains('*')) {
            (true, _) => self.ledger.carried(id),
            (false, true) => self.ledger.differs(id, "no file is called so here"),
            (false, false) => {
                self.ledger.unsupported(id, format!("`{pattern}` cannot be read here: import where it is"))
            }
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token, Wrong> {
        loop {
            match self.chars.peek() {
                None => return Ok(Token::Nothing),
                Some('#') => while self.next().is_some_and(|c| c != '\n') {},
                Some(c) if c.is_whitespace() => {
                    self.next();
                }
                Some(';') => {
                    self.next();
                    return Ok(Token::End);
                }
                Some('{') => {
                    self.next();
                    return Ok(Token::Open);
                }
                Some('}') => {
                    self.next();
                    return Ok(Token::Close);
                }
                Some(_) => return self.word().map(Token::Word),
            }
        }
    }

    fn word(&mut self) -> Result<String, Wrong> {
        let mut word = String::new();
        if let Some(quote) = self.chars.next_if(|c| *c == '"' || *c == '\'') {
            loop {
                match self.next() {
                    None => return Err(self.wrong("a quote is not closed")),
                    Some(c) if c == quote => return Ok(word),
                    Some('\\') => match self.next() {
                        Some(c) => escaped(c, &mut word),
                        None => return Err(self.wrong("a quote is not closed")),
                    },
                    Some(c) => word.push(c),
                }
            }
        }
        while let Some(&c) = self.chars.peek() {
            match c {
                // `${name}` is a variable, and no block.
                '{' if word.ends_with('$') => {
                    while let Some(c) = self.next() {
                        word.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                // A quantifier of a regex stands behind something.
                '{' if word.starts_with('^') || word.contains('(') || word.contains('[') => {
                    while let Some(c) = self.next() {
                        word.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                ';' | '{' => break,
                c if c.is_whitespace() => break,
                '\\' => {
                    self.next();
                    match self.next() {
                        Some(c) => escaped(c, &mut word),
                        None => return Err(self.wrong("nothing is behind the last backslash")),
                    }
                }
                c => {
                    self.next();
                    word.push(c);
                }
            }
        }
        Ok(word)
    }
}

/// What stands behind a backslash.
fn escaped(c: char, word: &mut String) {
    match c {
        '"' | '\'' | '\\' => word.push(c),
        't' => word.push('\t'),
        'r' => word.push('\r'),
        'n' => word.push('\n'),
        // What it means is for the regex to say that it stands in.
        other => word.extend(['\\', other]),
    }
}

/// A directive as the report shows it, without what lets one in.
fn shown(name: &str, arguments: &[String]) -> String {
    let secret = |word: &String| {
        ["authorization", "password", "secret", "token", "api-key", "apikey"]
            .iter()
            .any(|s| word.to_ascii_lowercase().contains(s))
    };
    let mut text = name.to_owned();
    for argument in arguments {
        text.push(' ');
        text.push_str(argument);
        if ["proxy_set_header", "set", "add_header"].contains(&name) && secret(argument) {
            return text + " …";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Around for Nothing {
        fn read(&self, path: &str) -> Option<String> {
            (path == "more.conf").then(|| "a 1;\nb { c; }\n".to_owned())
        }
        fn is_folder(&self, _: &str) -> bool {
            false
        }
        fn matching(&self, _: &str) -> Vec<String> {
            Vec::new()
        }
        fn resolve(&self, _: &str) -> Option<std::net::IpAddr> {
            None
        }
    }

    #[test]
    fn blocks_quotes_regexes_and_included_files_are_read() {
        let lines = read("x.conf", r#"return 200 "a\n\"b\" \d";"#, &mut Ledger::default(), &Nothing).unwrap();
        assert_eq!(lines[0].arguments[1], "a\n\"b\" \\d");
        let text = "http { # c\n server \"a b\" 'c;d' ${x}y; location ~ ^/v[0-9]{1,2}/(a|b)\\.php$ { return 200; }\n include more.conf; }";
        let mut ledger = Ledger::default();
        let all = read("x.conf", text, &mut ledger, &Nothing).unwrap();
        let http = &all[0];
        assert_eq!(http.inner()[0].arguments, ["a b", "c;d", "${x}y"]);
        assert_eq!(http.inner()[1].arguments, ["~", r"^/v[0-9]{1,2}/(a|b)\.php$"]);
        assert_eq!(http.inner()[3].inner()[0].name, "c");
        let report = ledger.close();
        assert!(report.lines.iter().any(|line| line.file == "more.conf" && line.line == 2), "{report:?}");
        for wrong in ["a", "a {", "a; }", "a \"b;", "{ a; }"] {
            assert!(read("x", wrong, &mut Ledger::default(), &Nothing).is_err(), "{wrong}");
        }
    }
}
