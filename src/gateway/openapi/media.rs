//! Media types: those that a description names, and which of them a request has.

use super::Wrong;

/// A media type or a range of them, without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// Nothing: any.
    kind: Option<Box<str>>,
    sub: Option<Box<str>>,
}

impl Media {
    /// Reads one as a description names it.
    pub(super) fn new(text: &str, at: &str) -> Result<Self, Wrong> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        let is_token = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-*".contains(&byte))
        };
        let parts = essence.split_once('/').filter(|(kind, sub)| is_token(kind) && is_token(sub));
        let Some((kind, sub)) = parts else {
            return Err(Wrong::new(at, format!("`{text}` is no media type such as \"application/json\"")));
        };
        let part = |part: &str| (part != "*").then(|| part.to_ascii_lowercase().into());
        Ok(Self { kind: part(kind), sub: part(sub) })
    }

    /// How particular it is about a type: the higher the more; nothing: it does not hold it.
    pub(super) fn holds(&self, essence: &[u8]) -> Option<u8> {
        let mut parts = essence.splitn(2, |&byte| byte == b'/');
        let (kind, sub) = (parts.next()?, parts.next()?);
        let is = |wanted: &Option<Box<str>>, part: &[u8]| match wanted {
            Some(wanted) => wanted.as_bytes().eq_ignore_ascii_case(part),
            None => !part.is_empty(),
        };
        let holds = is(&self.kind, kind) && is(&self.sub, sub);
        holds.then_some(u8::from(self.kind.is_some()) + u8::from(self.sub.is_some()))
    }
}

/// The type in a value of Content-Type, without its parameters.
pub(super) fn essence(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether a body of this type is one JSON text (RFC 8259 §11, RFC 6839 §3.1).
pub(super) fn is_json(essence: &[u8]) -> bool {
    let ends = essence.len().checked_sub(b"+json".len()).filter(|&start| start > 0);
    let is_suffixed = ends.is_some_and(|start| essence[start..].eq_ignore_ascii_case(b"+json"));
    is_suffixed || [&b"application/json"[..], b"text/json"].iter().any(|kind| essence.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_type_is_known() {
        let media = |text: &str| Media::new(text, "").unwrap();
        assert_eq!(media("application/JSON; charset=utf-8").holds(b"Application/json"), Some(2));
        assert_eq!(media("application/*").holds(b"application/json"), Some(1));
        assert_eq!(media("*/*").holds(b"a/b"), Some(0));
        assert_eq!(media("text/*").holds(b"application/json"), None);
        assert_eq!(media("text/*").holds(b"text/"), None);
        assert!(Media::new("json", "").is_err() && Media::new("a/b\r\nX: y", "").is_err());
    }
}
