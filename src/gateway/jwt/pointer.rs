//! Where a claim is.

use serde_json::{Map, Value};
use std::fmt;

/// The longest text of a pointer, in bytes.
const LONGEST: usize = 512;

/// Where a claim is: `sub`, `realm_access.roles`, or a JSON pointer (RFC 6901) like `/https:~1~1example.com~1roles/0`.
///
/// With dots, a claim of that very name comes first: names that are URLs have dots, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    whole: Option<Box<str>>,
    steps: Box<[Box<str>]>,
}

impl Pointer {
    /// Reads one.
    ///
    /// # Errors
    /// A message for the user.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(format!("a claim is named by 1 to {LONGEST} bytes"));
        }
        if let Some(path) = text.strip_prefix('/') {
            let steps = path.split('/').map(unescaped).collect::<Result<_, _>>()?;
            return Ok(Self { whole: None, steps });
        }
        let steps: Box<[Box<str>]> = text.split('.').map(Into::into).collect();
        if steps.iter().any(|step| step.is_empty()) {
            return Err(format!("`{text}` names a claim of no name: write a JSON pointer (/a/b) if that is meant"));
        }
        Ok(Self { whole: (steps.len() > 1).then(|| text.into()), steps })
    }

    /// What is there.
    pub(super) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        if let Some(value) = self.whole.as_deref().and_then(|whole| claims.get(whole)) {
            return Some(value);
        }
        let (first, rest) = self.steps.split_first()?;
        rest.iter().try_fold(claims.get(&**first)?, |value, step| match value {
            Value::Object(members) => members.get(&**step),
            Value::Array(all) => all.get(place(step)?),
            _ => None,
        })
    }
}

impl fmt::Display for Pointer {
    /// As a JSON pointer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// An index as RFC 6901 §4 writes it.
fn place(step: &str) -> Option<usize> {
    let digits = step.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (step == "0" || !step.starts_with('0'))).then(|| step.parse().ok()).flatten()
}

fn unescaped(step: &str) -> Result<Box<str>, String> {
    let mut rest = step.split('~');
    let mut out = rest.next().unwrap_or_default().to_owned();
    for part in rest {
        let (sign, part) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(format!("in the JSON pointer step `{step}`, `~` is to be written `~0`, `/` as `~1`")),
        };
        out.push(sign);
        out.push_str(part);
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_name_path_and_pointer() {
        let claims =
            r#"{"sub":"a","realm":{"roles":["x","y"],"":{"~/":1}},"a.b":1,"a":{"b":2,"c":3},"https://e.com/r":[7]}"#;
        let claims: Map<String, Value> = serde_json::from_str(claims).unwrap();
        let found = |at: &str| Pointer::new(at).unwrap().find(&claims).map(ToString::to_string);
        for (at, value) in [
            ("sub", "\"a\""),
            ("/sub", "\"a\""),
            ("realm.roles.1", "\"y\""),
            ("/realm/roles/0", "\"x\""),
            ("/realm//~0~1", "1"),
            ("a.b", "1"),
            ("/a/b", "2"),
            ("a.c", "3"),
            ("https://e.com/r", "[7]"),
            ("/https:~1~1e.com~1r/0", "7"),
        ] {
            assert_eq!(found(at).as_deref(), Some(value), "{at}");
        }
        for at in [
            "sub.x",
            "no",
            "realm.roles.2",
            "realm.roles.01",
            "realm.roles.-",
            "realm.roles.+1",
            "/",
            "/realm/x",
            "sub/x",
        ] {
            assert_eq!(found(at), None, "{at}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "/~", "/a~2", &"a".repeat(513)] {
            assert!(Pointer::new(bad).is_err(), "{bad}");
        }
    }
}
