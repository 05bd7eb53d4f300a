//! Paths of `google.api.http`: `/v1/{name=shelves/*}/books/**:merge`.

use std::fmt;

/// A path with places for fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its segments.
    pub parts: Vec<Part>,
    /// What follows the last colon.
    pub verb: Option<Box<str>>,
    /// The fields that it holds.
    pub variables: Vec<Variable>,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This one.
    Literal(Box<str>),
    /// Any one.
    One,
    /// Any number of them, none included.
    Many,
}

/// A field that stands in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The names that lead to it, the outermost first.
    pub path: Vec<Box<str>>,
    /// Its first segment.
    pub from: usize,
    /// The one behind its last.
    pub to: usize,
}

/// Segments that a template may have.
const MOST: usize = 64;

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text, all: Self { parts: Vec::new(), verb: None, variables: Vec::new() } };
        if !reader.takes('/') {
            return Err("a path begins with `/`".to_owned());
        }
        // The root has no segment.
        if !reader.rest.is_empty() {
            reader.segments(false)?;
        }
        if reader.takes(':') {
            if reader.rest.is_empty() || !reader.rest.bytes().all(is_plain) {
                return Err(format!("`{}` is no verb", reader.rest));
            }
            reader.all.verb = Some(reader.rest.into());
            reader.rest = "";
        }
        if !reader.rest.is_empty() {
            return Err(format!("`{}` is not understood", reader.rest));
        }
        let all = reader.all;
        if all.parts.len() > MOST {
            return Err(format!("it has more than {MOST} segments"));
        }
        if all.parts.iter().filter(|part| **part == Part::Many).count() > 1 {
            return Err("it has `**` more than once".to_owned());
        }
        Ok(all)
    }

    /// The segments of a path that stand for each variable, where there are as many as `segments`.
    pub fn places(&self, segments: usize) -> impl Iterator<Item = (&Variable, std::ops::Range<usize>)> {
        let many = self.parts.iter().position(|part| *part == Part::Many);
        let extra = segments as isize - self.parts.len() as isize;
        let at = move |part: usize| match many {
            // What stands behind it moves by as many as it has more, or less, than one.
            Some(many) if part > many => part.saturating_add_signed(extra).min(segments),
            _ => part.min(segments),
        };
        self.variables.iter().map(move |variable| {
            let (from, to) = (at(variable.from), at(variable.to));
            (variable, from..to.max(from))
        })
    }
}

impl Variable {
    /// Whether it may stand for several segments.
    pub fn is_long(&self, template: &Template) -> bool {
        self.to - self.from != 1 || template.parts.get(self.from) == Some(&Part::Many)
    }
}

struct Reader<'t> {
    rest: &'t str,
    all: Template,
}

impl<'t> Reader<'t> {
    fn takes(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn segments(&mut self, within: bool) -> Result<(), String> {
        loop {
            self.segment(within)?;
            if !self.takes('/') {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, within: bool) -> Result<(), String> {
        if self.takes('{') {
            if within {
                return Err("a field stands within a field".to_owned());
            }
            return self.variable();
        }
        let part = match self.word(|byte| !matches!(byte, b'/' | b'{' | b'}' | b':' | b'=')) {
            "" => return Err("a segment is empty".to_owned()),
            "*" => Part::One,
            "**" => Part::Many,
            literal if literal.bytes().all(is_plain) => Part::Literal(literal.into()),
            other => return Err(format!("`{other}` is no segment")),
        };
        self.all.parts.push(part);
        Ok(())
    }

    fn variable(&mut self) -> Result<(), String> {
        let name = self.word(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        let path: Vec<Box<str>> = name.split('.').map(Into::into).collect();
        if path.iter().any(|name| name.is_empty()) {
            return Err(format!("`{name}` names no field"));
        }
        if self.all.variables.iter().any(|other| other.path == path) {
            return Err(format!("`{name}` stands twice in it"));
        }
        let from = self.all.parts.len();
        if self.takes('=') {
            self.segments(true)?;
        } else {
            self.all.parts.push(Part::One);
        }
        if !self.takes('}') {
            return Err(format!("`}}` is missing behind `{name}`"));
        }
        let to = self.all.parts.len();
        self.all.variables.push(Variable { path, from, to });
        Ok(())
    }

    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> &'t str {
        let end = self.rest.bytes().position(|byte| !belongs(byte)).unwrap_or(self.rest.len());
        // It ends before a byte of ASCII or at the end.
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }
}

/// What stands in a path as itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'$' | b'@' | b'!' | b'+' | b',' | b'%')
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut variables = self.variables.iter().peekable();
        let mut end = None;
        if self.parts.is_empty() {
            f.write_str("/")?;
        }
        for (place, part) in self.parts.iter().enumerate() {
            f.write_str("/")?;
            if let Some(variable) = variables.next_if(|variable| variable.from == place) {
                write!(f, "{{{}=", variable.path.join("."))?;
                end = Some(variable.to);
            }
            match part {
                Part::Literal(literal) => f.write_str(literal)?,
                Part::One => f.write_str("*")?,
                Part::Many => f.write_str("**")?,
            }
            if end == Some(place + 1) {
                f.write_str("}")?;
                end = None;
            }
        }
        match &self.verb {
            Some(verb) => write!(f, ":{verb}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read_and_shown() {
        for text in ["/", "/v1/shelves", "/v1/{name=shelves/*}/books:merge", "/{a.b=**}", "/v1/{x=*}/**/end"] {
            assert_eq!(Template::parse(text).map(|template| template.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Template::parse("/v1/{x}").map(|template| template.to_string()), Ok("/v1/{x=*}".to_owned()));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in [
            "",
            "v1",
            "/v1/",
            "//",
            "/{",
            "/{}",
            "/{a",
            "/{a=}",
            "/{a={b}}",
            "/a}",
            "/{a..b}",
            "/**/**",
            "/a:",
            "/a:b/c",
            "/{a}/{a}",
            "/a b",
            "/ä",
            "/*x",
            "/{a=**/*/**}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
        assert!(Template::parse(&"/a".repeat(65)).is_err());
    }

    #[test]
    fn variables_have_their_segments() {
        let template = Template::parse("/v1/{a=x/**}/y/{b}").unwrap();
        let of = |segments| template.places(segments).map(|(_, range)| range).collect::<Vec<_>>();
        assert_eq!(of(5), [1..3, 4..5]);
        assert_eq!(of(8), [1..6, 7..8]);
        assert_eq!(of(4), [1..2, 3..4]);
        assert_eq!(of(0), [0..0, 0..0]);
    }
}
