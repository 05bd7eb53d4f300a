//! How two answers to the same request differ.
//!
//! What always holds: no more than so many differences are told of a pair, and no value is shown unless that is asked for; JSON is looked
//! at as deep as it can be read, which is bounded, and a body that was not held whole is not compared.

use super::{Missed, Told};
use crate::compress::{Coding, Decoder};
use serde_json::Value;
use std::collections::BTreeMap;

/// How answers are compared.
#[derive(Debug, Default, PartialEq)]
pub struct Rules {
    /// Bytes of a body that are held.
    pub body: usize,
    /// Headers that may differ, in lower case.
    pub ignore_headers: Vec<String>,
    /// Steps to JSON that may differ; `*` stands for all items of an array.
    pub ignore_fields: Vec<Vec<String>>,
    /// Whether values are shown.
    pub values: bool,
    /// Examples that are kept.
    pub examples: usize,
}

/// Where two answers differ, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub kind: Kind,
    /// Where: both statuses, a header's name, a pointer into JSON with `*` for items; nothing of a body.
    pub at: String,
    /// What the client's pool said, or of which kind that is.
    pub main: String,
    /// What the mirror said.
    pub mirrored: String,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The status.
    Status,
    /// A header.
    Header,
    /// A field of JSON.
    Json,
    /// A body that is no JSON.
    Body,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Status, Self::Header, Self::Json, Self::Body];

    /// Its name in metrics and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Header => "header",
            Self::Json => "json",
            Self::Body => "body",
        }
    }
}

/// Differences that are told of a pair.
const MOST: usize = 32;
/// Characters of a value, or of where it is.
const SHOWN: usize = 120;
/// Bytes that a coded body may come to.
const PLAIN: usize = 4 << 20;
/// What concerns a connection or a length (RFC 9110 §7.6.1, §8.6).
const NEVER: [&[u8]; 9] = [
    b"connection",
    b"content-length",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"content-encoding",
];

impl Rules {
    /// What differs between both answers; nothing if they are the same. Of answers with other statuses that is all that is said.
    ///
    /// # Errors
    /// They cannot be compared.
    pub fn compare(&self, main: &Told, mirrored: &Told) -> Result<Vec<Difference>, Missed> {
        let mut found = Vec::new();
        if main.status != mirrored.status {
            if [main.status, mirrored.status].contains(&304) {
                return Err(Missed::NotModified);
            }
            let (main, mirrored) = (main.status.to_string(), mirrored.status.to_string());
            let at = format!("{main} {mirrored}");
            return Ok(vec![Difference { kind: Kind::Status, at, main, mirrored }]);
        }
        self.headers(main, mirrored, &mut found);
        if main.whole && mirrored.whole {
            self.bodies(main, mirrored, &mut found);
        }
        Ok(found)
    }

    fn headers(&self, main: &Told, mirrored: &Told, found: &mut Vec<Difference>) {
        let (main, mirrored) = (self.named(main), self.named(mirrored));
        let other = |name: &&Vec<u8>| !main.contains_key(*name);
        for name in main.keys().chain(mirrored.keys().filter(other)) {
            let (one, two) = (main.get(name), mirrored.get(name));
            if one != two && found.len() < MOST {
                let show = |values: Option<&Vec<&[u8]>>| match values {
                    None => "absent".to_owned(),
                    Some(values) if self.values => shown(&String::from_utf8_lossy(&values.join(&b", "[..]))),
                    Some(_) => "present".to_owned(),
                };
                let at = shown(&String::from_utf8_lossy(name));
                found.push(Difference { kind: Kind::Header, at, main: show(one), mirrored: show(two) });
            }
        }
    }

    /// The values of each header that is compared, by its name in lower case.
    fn named<'a>(&self, told: &'a Told) -> BTreeMap<Vec<u8>, Vec<&'a [u8]>> {
        let mut named: BTreeMap<Vec<u8>, Vec<&[u8]>> = BTreeMap::new();
        for (name, value) in &told.fields {
            let name = name.to_ascii_lowercase();
            let is_ignored = self.ignore_headers.iter().any(|ignored| ignored.as_bytes() == name);
            if !is_ignored && !NEVER.contains(&&name[..]) {
                named.entry(name).or_default().push(value);
            }
        }
        named
    }

    fn bodies(&self, main: &Told, mirrored: &Told, found: &mut Vec<Difference>) {
        if main.body == mirrored.body && coding(main) == coding(mirrored) {
            return;
        }
        let (Some(one), Some(two)) = (plain(main), plain(mirrored)) else { return };
        if one == two {
            return;
        }
        let json = |told: &Told, body: &[u8]| match is_json(told) {
            true => serde_json::from_slice::<Value>(body).ok(),
            false => None,
        };
        match (json(main, &one), json(mirrored, &two)) {
            (Some(one), Some(two)) => self.values(&mut Vec::new(), (Some(&one), Some(&two)), found),
            _ if found.len() < MOST => {
                let size = |body: &[u8]| format!("{} bytes", body.len());
                let (main, mirrored) = (size(&one), size(&two));
                found.push(Difference { kind: Kind::Body, at: String::new(), main, mirrored });
            }
            _ => {}
        }
    }

    /// What differs of two values, to which `steps` lead.
    fn values<'v>(
        &self,
        steps: &mut Vec<&'v str>,
        (main, mirrored): (Option<&'v Value>, Option<&'v Value>),
        found: &mut Vec<Difference>,
    ) {
        if main == mirrored || found.len() >= MOST || self.ignores(steps) {
            return;
        }
        match (main, mirrored) {
            (Some(Value::Object(one)), Some(Value::Object(two))) => {
                for name in one.keys().chain(two.keys().filter(|name| !one.contains_key(*name))) {
                    steps.push(name);
                    self.values(steps, (one.get(name), two.get(name)), found);
                    steps.pop();
                }
            }
            (Some(Value::Array(one)), Some(Value::Array(two))) if one.len() == two.len() => {
                steps.push("*");
                for (one, two) in one.iter().zip(two) {
                    self.values(steps, (Some(one), Some(two)), found);
                }
                steps.pop();
            }
            _ => {
                let at = pointer(steps);
                // Items are told of as one.
                if !found.iter().any(|known| known.kind == Kind::Json && known.at == at) {
                    let (main, mirrored) = (self.show(main), self.show(mirrored));
                    found.push(Difference { kind: Kind::Json, at, main, mirrored });
                }
            }
        }
    }

    fn ignores(&self, steps: &[&str]) -> bool {
        self.ignore_fields.iter().any(|ignored| ignored.iter().map(String::as_str).eq(steps.iter().copied()))
    }

    fn show(&self, value: Option<&Value>) -> String {
        match value {
            None => "absent".to_owned(),
            Some(Value::Array(items)) => format!("array of {}", items.len()),
            Some(value) if self.values => shown(&value.to_string()),
            Some(Value::Null) => "null".to_owned(),
            Some(Value::Bool(_)) => "boolean".to_owned(),
            Some(Value::Number(_)) => "number".to_owned(),
            Some(Value::String(_)) => "string".to_owned(),
            Some(Value::Object(_)) => "object".to_owned(),
        }
    }
}

/// A path into JSON (RFC 6901).
fn pointer(steps: &[&str]) -> String {
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        pointer += &step.replace('~', "~0").replace('/', "~1");
    }
    shown(&pointer)
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

fn value<'a>(told: &'a Told, name: &[u8]) -> Option<&'a [u8]> {
    let found = told.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim_ascii())
}

fn coding(told: &Told) -> Option<&[u8]> {
    value(told, b"content-encoding")
}

/// Whether a body is JSON by its media type (RFC 8259, RFC 6839 §3.1).
fn is_json(told: &Told) -> bool {
    let essence = value(told, b"content-type").and_then(|value| value.split(|byte| *byte == b';').next());
    let essence = essence.unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

/// A body without its coding; `None`: it cannot be taken off within bounds.
fn plain(told: &Told) -> Option<Vec<u8>> {
    let coding = match coding(told) {
        None => return Some(told.body.clone()),
        Some(coding) if coding.eq_ignore_ascii_case(b"identity") => return Some(told.body.clone()),
        Some(coding) => Coding::of(coding)?,
    };
    let mut decoder = Decoder::new(coding, usize::MAX)?;
    let (mut input, mut out) = (&told.body[..], Vec::new());
    loop {
        let step =
            decoder.push(input, PLAIN.checked_sub(out.len()).filter(|room| *room > 0)?.min(64 << 10), &mut out).ok()?;
        input = &input[step.consumed..];
        if input.is_empty() && !step.more {
            return Some(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, fields: &[(&str, &str)], body: &str) -> Told {
        let field = |(name, value): &(&str, &str)| (name.as_bytes().into(), value.as_bytes().into());
        Told { status, fields: fields.iter().map(field).collect(), body: body.into(), whole: true }
    }

    fn json(body: &str) -> Told {
        told(200, &[("Content-Type", "application/json; charset=utf-8")], body)
    }

    /// Where they differ, in one line each.
    fn found(rules: &Rules, main: &Told, mirrored: &Told) -> Vec<String> {
        let line = |of: &Difference| format!("{} {}: {} / {}", of.kind.word(), of.at, of.main, of.mirrored);
        rules.compare(main, mirrored).unwrap().iter().map(line).collect()
    }

    #[test]
    fn statuses_go_before_all_else_and_what_is_not_modified_is_not_compared() {
        let rules = Rules::default();
        assert_eq!(found(&rules, &json("1"), &told(500, &[], "")), ["status 200 500: 200 / 500"]);
        assert_eq!(rules.compare(&json("1"), &told(304, &[], "")), Err(Missed::NotModified));
    }

    #[test]
    fn headers_are_compared_by_name_whatever_their_case_and_order() {
        let rules = Rules { ignore_headers: vec!["date".into()], ..Rules::default() };
        let one = told(200, &[("X-A", "1"), ("X-B", "2"), ("Date", "x"), ("Content-Length", "0")], "");
        let two = told(200, &[("x-b", "3"), ("x-a", "1"), ("date", "y"), ("x-new", "1")], "");
        assert_eq!(found(&rules, &one, &two), ["header x-b: present / present", "header x-new: absent / present"]);
        let rules = Rules { values: true, ..rules };
        assert_eq!(found(&rules, &one, &two)[0], "header x-b: 2 / 3");
    }

    #[test]
    fn json_is_compared_by_its_fields_and_shows_no_value_unasked() {
        let one = json(r#"{"id":1,"name":"ann","items":[{"n":1},{"n":2}],"gone":null,"a/b":true}"#);
        let two = json(r#"{"name":"bob","id":1,"items":[{"n":1},{"n":"2"}],"new":[1,2],"a/b":false}"#);
        let rules = Rules::default();
        let wanted = [
            "json /a~1b: boolean / boolean",
            "json /gone: null / absent",
            "json /items/*/n: number / string",
            "json /name: string / string",
            "json /new: absent / array of 2",
        ];
        assert_eq!(found(&rules, &one, &two), wanted);
        let steps = |text: &str| text.split('/').map(str::to_owned).collect();
        let rules = Rules {
            values: true,
            ignore_fields: vec![steps("items/*/n"), steps("new"), steps("gone"), steps("a/b")],
            ..Rules::default()
        };
        assert_eq!(found(&rules, &one, &two)[1..], ["json /name: \"ann\" / \"bob\""]);
    }

    #[test]
    fn the_same_json_written_otherwise_is_the_same() {
        assert!(found(&Rules::default(), &json("{\"a\": 1,\n \"b\":2}"), &json("{\"b\":2,\"a\":1}")).is_empty());
    }

    #[test]
    fn what_is_no_json_differs_as_a_whole_and_what_was_not_held_does_not_differ() {
        let (one, two) = (told(200, &[], "abc"), told(200, &[], "abcd"));
        assert_eq!(found(&Rules::default(), &one, &two), ["body : 3 bytes / 4 bytes"]);
        let two = Told { whole: false, ..two };
        assert!(found(&Rules::default(), &one, &two).is_empty());
    }

    #[test]
    fn differences_are_bounded() {
        let many = |value: usize| {
            let fields: Vec<String> = (0..500).map(|field| format!("\"f{field}\":{value}")).collect();
            json(&format!("{{{}}}", fields.join(",")))
        };
        assert_eq!(found(&Rules::default(), &many(1), &many(2)).len(), MOST);
        let deep = |end: &str| json(&format!("{}{end}{}", "[".repeat(5000), "]".repeat(5000)));
        assert_eq!(found(&Rules::default(), &deep("1"), &deep("2")), ["body : 10001 bytes / 10001 bytes"]);
    }
}
