//! Whether a message has a JSON body, by its head.

/// Whether a value of Content-Type says that a body is one JSON text (RFC 8259 §11, RFC 6839 §3.1).
pub(super) fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let ends = |end: &[u8]| {
        let start = essence.len().checked_sub(end.len());
        start.is_some_and(|start| start > 0 && essence[start..].eq_ignore_ascii_case(end))
    };
    let is = |kind: &[u8]| essence.eq_ignore_ascii_case(kind);
    is(b"application/json") || is(b"text/json") || ends(b"+json")
}

/// The codings that a value of Content-Encoding names (RFC 9110 §8.4).
pub(super) fn codings(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let members = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    members.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// Whether a field of this name tells of the very bytes of a body.
pub(super) fn is_digest(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"content-digest", b"content-md5", b"digest", b"repr-digest"];
    NAMES.into_iter().any(|digest| name.eq_ignore_ascii_case(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_json_are_known_in_any_spelling() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "text/json",
            "a/b+JSON ;x",
        ] {
            assert!(is_json(kind.as_bytes()), "{kind}");
        }
        for kind in
            ["", "+json", "text/plain", "application/jsonp", "application/x-ndjson", "application/json-seq", "a/json"]
        {
            assert!(!is_json(kind.as_bytes()), "{kind}");
        }
    }
}
