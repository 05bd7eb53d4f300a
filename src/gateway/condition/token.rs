//! The words and signs of a condition, each with where it stands.
//!
//! What always holds: every text ends in tokens or in a fault, in one pass over it; a token's place is a byte of the text at which a
//! character begins.

use super::Fault;

/// What stands in a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, or a word such as `in`.
    Word(String),
    /// A number without a fraction, without its sign.
    Int(u64),
    Double(f64),
    Text(String),
    /// An operator, a bracket, a dot or a comma.
    Sign(&'static str),
    End,
}

/// Longer ones first: the first that fits is taken.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];

/// All tokens of a text with their places; the last is its end.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut reader = Reader { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        reader.skip();
        let start = reader.at;
        let token = reader.next()?;
        let is_end = token == Token::End;
        tokens.push((start, token));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Blanks, and comments to the ends of their lines.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn next(&mut self) -> Result<Token, Fault> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let second = rest[first.len_utf8()..].chars().next();
        if first.is_ascii_digit() || first == '.' && second.is_some_and(|c| c.is_ascii_digit()) {
            return self.number();
        }
        if let Some(prefix) = self.quoted() {
            return self.string(prefix);
        }
        if first == '_' || first.is_ascii_alphabetic() {
            let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            self.at += end;
            return Ok(Token::Word(rest[..end].to_owned()));
        }
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok(Token::Sign(sign));
        }
        let fault = Fault::at(self.text, self.at, format!("`{}` means nothing here", first.escape_default()));
        Err(match first {
            '=' => fault.help("write == to compare"),
            '&' => fault.help("write &&"),
            '|' => fault.help("write ||"),
            '`' => fault.help("write [\"name\"] for a name with other signs"),
            _ => fault,
        })
    }

    /// The letters before a quote, if a string begins here.
    fn quoted(&self) -> Option<&'a str> {
        let rest = self.rest();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let prefix = rest.get(..letters).filter(|prefix| prefix.len() <= 2)?;
        let is_prefix = prefix.chars().all(|c| matches!(c, 'r' | 'R' | 'b' | 'B'));
        (is_prefix && rest[letters..].starts_with(['"', '\''])).then_some(prefix)
    }

    fn string(&mut self, prefix: &str) -> Result<Token, Fault> {
        let start = self.at;
        if prefix.contains(['b', 'B']) {
            return Err(Fault::at(self.text, start, "bytes cannot be written").help("write a text: \"…\""));
        }
        self.at += prefix.len();
        let rest = self.rest();
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote)).unwrap_or("\"");
        self.at += quote.len();
        let mut out = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote) {
                self.at += quote.len();
                return Ok(Token::Text(out));
            }
            let Some(next) = rest.chars().next().filter(|&next| quote.len() == 3 || !matches!(next, '\n' | '\r'))
            else {
                return Err(Fault::at(self.text, start, "a text has no end").help(format!("end it with {quote}")));
            };
            if next == '\\' && prefix.is_empty() {
                out.push(self.escape()?);
            } else {
                self.at += next.len_utf8();
                out.push(next);
            }
        }
    }

    /// One character that is written by a backslash and what follows.
    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let unknown = || {
            Fault::at(self.text, start, "no character is written that way")
                .help("write \\\\ for a backslash, or r\"…\" for a text without escapes")
        };
        let after = self.rest().get(1..).unwrap_or_default();
        let sign = after.chars().next().ok_or_else(unknown)?;
        let digits = |from: usize, count: usize, radix: u32| {
            let digits =
                after.get(from..from + count).filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric()))?;
            u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
        };
        let (meant, length) = match sign {
            'a' => (Some('\u{7}'), 1),
            'b' => (Some('\u{8}'), 1),
            'f' => (Some('\u{c}'), 1),
            'n' => (Some('\n'), 1),
            'r' => (Some('\r'), 1),
            't' => (Some('\t'), 1),
            'v' => (Some('\u{b}'), 1),
            '\\' | '"' | '\'' | '`' | '?' => (Some(sign), 1),
            'x' | 'X' => (digits(1, 2, 16), 3),
            'u' => (digits(1, 4, 16), 5),
            'U' => (digits(1, 8, 16), 9),
            '0'..='3' => (digits(0, 3, 8), 3),
            _ => (None, 0),
        };
        let meant = meant.ok_or_else(unknown)?;
        self.at += 1 + length;
        Ok(meant)
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let (start, rest) = (self.at, self.rest());
        let wrong = |what: &str| Fault::at(self.text, start, what);
        let count = |text: &str, is: fn(char) -> bool| text.find(|c: char| !is(c)).unwrap_or(text.len());
        let is_digit: fn(char) -> bool = |c| c.is_ascii_digit();
        let hex = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        let (token, end) = if let Some(digits) = hex {
            let length = count(digits, |c| c.is_ascii_hexdigit());
            let number = u64::from_str_radix(&digits[..length], 16).map_err(|_| wrong("it is no number"))?;
            (Token::Int(number), 2 + length)
        } else {
            let whole = count(rest, is_digit);
            let mut end = whole;
            if let Some(fraction) = rest[end..].strip_prefix('.').filter(|rest| rest.starts_with(is_digit)) {
                end += 1 + count(fraction, is_digit);
            }
            if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if digits.starts_with(is_digit) {
                    end += 1 + (exponent.len() - digits.len()) + count(digits, is_digit);
                }
            }
            let text = &rest[..end];
            let token = match end == whole {
                true => text.parse().map(Token::Int).map_err(|_| wrong("the number is too large"))?,
                false => text.parse().map(Token::Double).map_err(|_| wrong("it is no number"))?,
            };
            (token, end)
        };
        if let Some(next) = rest[end..].chars().next().filter(|next| *next == '_' || next.is_ascii_alphanumeric()) {
            let fault = Fault::at(self.text, start + end, format!("`{next}` stands right behind a number"));
            return Err(if matches!(next, 'u' | 'U') {
                fault.help("numbers have signs here: write it without")
            } else {
                fault
            });
        }
        self.at += end;
        Ok(token)
    }
}
