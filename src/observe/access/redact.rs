//! Values that no line shows: of named headers, and of named keys in the query of any text that may hold a URL.
//!
//! What always holds: whoever errs, it is towards hiding. A key is found behind whatever some reader takes for a
//! separator, at any depth of percent-encoding, and in any spelling that a common framework folds onto it; its value ends
//! only where all readers agree that it does, at a bare `&`.

/// What stands for a hidden value.
pub const HIDDEN: &[u8] = b"[redacted]";

/// What is hidden.
#[derive(Debug)]
pub struct Redaction {
    headers: Vec<String>,
    /// Keys as [`fold`] writes them.
    keys: Vec<Vec<u8>>,
}

impl Redaction {
    /// Hides the values of these `headers` (in lower case) and of these keys of queries.
    pub fn new(headers: &[String], keys: &[String]) -> Self {
        let fold = |key: &String| fold(key.bytes().map(|byte| byte.to_ascii_lowercase()));
        Self { headers: headers.to_vec(), keys: keys.iter().map(fold).collect() }
    }

    /// Whether a value of this header, in lower case, is hidden.
    pub fn hides(&self, header: &str) -> bool {
        self.headers.iter().any(|hidden| hidden == header)
    }

    /// Whether nothing is hidden in texts and these headers.
    pub fn is_idle(&self, headers: &[&str]) -> bool {
        self.keys.is_empty() && !headers.iter().any(|header| self.hides(header))
    }

    /// Appends the value of a header to `out`, as a line may show it.
    pub fn header(&self, name: &str, value: &[u8], out: &mut Vec<u8>) {
        match self.hides(name) {
            true => out.extend_from_slice(HIDDEN),
            false => self.text(value, out),
        }
    }

    /// Appends a text that may hold a URL to `out`, as a line may show it.
    pub fn text(&self, text: &[u8], out: &mut Vec<u8>) {
        // Without an equals sign, plain or encoded, there is no value.
        if self.keys.is_empty() || memchr::memchr2(b'=', b'%', text).is_none() {
            return out.extend_from_slice(text);
        }
        let units = decode(text);
        let (mut done, mut key_from) = (0, 0);
        let mut at = 0;
        while let Some(unit) = units.get(at) {
            at += 1;
            match unit.byte {
                b'?' | b'&' | b';' | b'#' | b',' | b'/' => key_from = at,
                b'=' if self.is_hidden(&units[key_from..at - 1]) => {
                    out.extend_from_slice(&text[done..unit.end]);
                    let value = &text[unit.end..];
                    let length = memchr::memchr(b'&', value).unwrap_or(value.len());
                    if length > 0 {
                        out.extend_from_slice(HIDDEN);
                    }
                    done = unit.end + length;
                    at += units[at..].iter().take_while(|unit| unit.end <= done).count();
                    key_from = at;
                }
                // A value may be a query itself.
                b'=' => key_from = at,
                _ => {}
            }
        }
        out.extend_from_slice(&text[done..]);
    }

    fn is_hidden(&self, key: &[Unit]) -> bool {
        let key = fold(key.iter().map(|unit| unit.byte.to_ascii_lowercase()));
        self.keys.contains(&key)
    }
}

/// A byte of a text with all percent-encoding undone, and where its spelling ends.
#[derive(Clone, Copy)]
struct Unit {
    byte: u8,
    end: usize,
}

/// Undoes percent-encoding until there is none left: `%2574` is `%74` is `t`. Also knows `%u0074`, as some servers do.
fn decode(text: &[u8]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        units.push(Unit { byte, end: at + 1 });
        // Whatever this byte completes may itself complete another one.
        while let Some((byte, length)) = completed(&units) {
            units.truncate(units.len() - length);
            units.push(Unit { byte, end: at + 1 });
        }
    }
    units
}

/// The byte whose encoding the units end with, and its length.
fn completed(units: &[Unit]) -> Option<(u8, usize)> {
    let digit = |unit: &Unit| (unit.byte as char).to_digit(16).map(|digit| digit as u8);
    let value = |pair: &[Unit]| Some(digit(&pair[0])? << 4 | digit(&pair[1])?);
    match units {
        [.., percent, a, b] if percent.byte == b'%' => value(&[*a, *b]).map(|byte| (byte, 3)),
        [.., percent, u, zero, nought, a, b]
            if percent.byte == b'%' && u.byte | 0x20 == b'u' && zero.byte == b'0' && nought.byte == b'0' =>
        {
            value(&[*a, *b]).map(|byte| (byte, 6))
        }
        _ => None,
    }
}

/// A key as the most lenient of frameworks read it: PHP takes dots and spaces for underscores and what follows a bracket or
/// a zero byte for something else; white space around it means nothing.
fn fold(key: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut folded: Vec<u8> = key
        .skip_while(|byte| byte.is_ascii_whitespace() || matches!(byte, b'+' | b'"' | b'\'' | b'{' | b'('))
        .take_while(|byte| !matches!(byte, 0 | b'['))
        .map(|byte| match byte {
            b'.' | b'-' | b'+' => b'_',
            byte if byte.is_ascii_whitespace() => b'_',
            byte => byte,
        })
        .collect();
    while folded.last() == Some(&b'_') {
        folded.pop();
    }
    folded
}

/// Whether `text` holds `part`, for tests of what must not be there.
#[cfg(test)]
fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        Redaction::new(&["authorization".into()], &["token".into(), "api_key".into(), "Key".into()])
    }

    fn shown(text: &str) -> String {
        let mut out = Vec::new();
        redaction().text(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_is_hidden_and_what_is_around_it_stays() {
        for (text, expected) in [
            ("/a?token=s3cret", "/a?token=[redacted]"),
            ("/a?x=1&token=s3cret&y=2", "/a?x=1&token=[redacted]&y=2"),
            ("/a?token=s3cret&key=s3cret", "/a?token=[redacted]&key=[redacted]"),
            ("/a?token=&x=1", "/a?token=&x=1"),
            ("/a?token", "/a?token"),
            ("/a?tokens=1&x=token", "/a?tokens=1&x=token"),
            ("http://a.test/?q=%20b", "http://a.test/?q=%20b"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn no_trick_of_encoding_shows_a_hidden_value() {
        for text in [
            "/?TOKEN=s3cret",
            "/?%74oken=s3cret",
            "/?%2574oken=s3cret",
            "/?%252574oken=s3cret",
            "/?%u0074oken=s3cret",
            "/?%5450KEN=1&%74%6F%6b%65%6e=s3cret",
            "/?toke%6e%3Ds3cret",
            "/?next=%2Fp%3Ftoken%3Ds3cret%26x%3D1",
            "/?next=%252Fp%253Ftoken%253Ds3cret",
            "/?next=/p?token=s3cret",
            "/?a=1;token=s3cret",
            "/?a=1;%20token=s3cret",
            "/p;token=s3cret?a",
            "/p#token=s3cret",
            "/?token=a;s3cret",
            "/?token=a%26s3cret",
            "/?token=a#s3cret",
            "/?token=a?s3cret",
            "/?token==s3cret",
            "/?token==&token=s3cret",
            "/?token[]=s3cret&token[x]=s3cret",
            "/?token%5B%5D=s3cret",
            "/?token%00x=s3cret",
            "/?+token=s3cret",
            "/?token+=s3cret",
            "/?api.key=s3cret&api-key=s3cret&api%20key=s3cret&API_KEY=s3cret",
            "/?a=%&token=s3cret",
            "/?a=%2&token=s3cret",
            "/?%&%74oken=s3cret",
            "token=s3cret",
            "a=b, token=s3cret",
            "/?a={\"token=s3cret",
        ] {
            assert!(!holds(shown(text).as_bytes(), b"s3cret"), "{text} shows {}", shown(text));
        }
    }

    #[test]
    fn the_value_of_a_hidden_header_is_not_shown_at_all() {
        let mut out = Vec::new();
        redaction().header("authorization", b"Bearer s3cret", &mut out);
        redaction().header("x-next", b" /?token=s3cret", &mut out);
        assert_eq!(out, b"[redacted] /?token=[redacted]");
        assert!(!redaction().is_idle(&[]));
        assert!(Redaction::new(&["cookie".into()], &[]).is_idle(&["referer"]));
    }

    #[test]
    fn random_bytes_lose_nothing_but_hidden_values() {
        let mut random = fastrand::Rng::with_seed(3);
        let parts = ["token", "%", "=", "&", "74", "%3D", "%26", "u00", "?", "x", "ÿ", ";", "[", "+"];
        for _ in 0..20_000 {
            let text: String = (0..random.usize(0..12)).map(|_| *random.choice(&parts).unwrap()).collect();
            let shown = shown(&text);
            let bare = |text: &str| text.matches('&').count();
            assert_eq!(bare(&text), bare(&shown), "{text} {shown}");
            if !shown.contains("[redacted]") {
                assert_eq!(text, shown);
            }
        }
    }
}
