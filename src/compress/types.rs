//! Media types that are worth compressing.

/// Patterns of media types: `text/html`, `text/*`, `+json`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types {
    /// In lower case.
    patterns: Vec<Box<str>>,
}

/// A stream of events holds its context for as long as its client listens: it has to be named.
const EVENTS: &str = "text/event-stream";

/// What compresses well, unless the configuration says otherwise.
const DEFAULT: &[&str] = &[
    "text/*",
    "+json",
    "+text",
    "+xml",
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/jsonl",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-font-opentype",
    "application/x-font-truetype",
    "application/x-font-ttf",
    "application/x-javascript",
    "application/x-mpegurl",
    "application/x-ndjson",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/sfnt",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
];

/// Whether a pattern can match any type.
pub fn is_type_pattern(pattern: &str) -> bool {
    let token = |part: &str| {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(is_token)
    };
    match pattern.split_once('/') {
        Some((kind, "*")) => token(kind),
        Some((kind, rest)) => token(kind) && token(rest),
        None => pattern == "*" || pattern.strip_prefix('+').is_some_and(token),
    }
}

impl Default for Types {
    fn default() -> Self {
        Self::new(DEFAULT)
    }
}

impl Types {
    /// Those that any of `patterns` matches.
    pub fn new(patterns: &[impl AsRef<str>]) -> Self {
        Self { patterns: patterns.iter().map(|pattern| pattern.as_ref().to_ascii_lowercase().into()).collect() }
    }

    /// Whether the value of a Content-Type field names one of them.
    pub fn has(&self, content_type: &[u8]) -> bool {
        let end = content_type.iter().position(|&byte| byte == b';').unwrap_or(content_type.len());
        let kind = content_type[..end].trim_ascii();
        let is_stream = kind.eq_ignore_ascii_case(EVENTS.as_bytes());
        self.patterns.iter().any(|pattern| match &**pattern {
            exact if exact.len() == kind.len() && kind.eq_ignore_ascii_case(exact.as_bytes()) => true,
            _ if is_stream => false,
            "*" => !kind.is_empty(),
            suffix if suffix.starts_with('+') => kind
                .len()
                .checked_sub(suffix.len())
                .is_some_and(|at| kind[at..].eq_ignore_ascii_case(suffix.as_bytes())),
            family => family.strip_suffix('*').is_some_and(|family| {
                kind.get(..family.len()).is_some_and(|head| head.eq_ignore_ascii_case(family.as_bytes()))
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_name_family_and_suffix() {
        let types = Types::default();
        for kind in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            " text/css ;x=y",
            "application/json",
            "application/problem+json",
            "application/vnd.api+JSON;v=1",
            "image/svg+xml",
            "application/wasm",
            "font/ttf",
        ] {
            assert!(types.has(kind.as_bytes()), "{kind}");
        }
        for kind in [
            "",
            "image/png",
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "application/octet-stream",
            "application/grpc",
            "application/gzip",
            "font/woff2",
            "json",
            "video/mp4",
        ] {
            assert!(!types.has(kind.as_bytes()), "{kind}");
        }
        assert!(Types::new(&["text/event-stream"]).has(b"text/event-stream"), "where it is named");
        assert!(Types::new(&["*"]).has(b"image/png") && !Types::new(&["*"]).has(b"text/event-stream"));
    }

    #[test]
    fn every_default_is_a_pattern() {
        assert!(DEFAULT.iter().all(|pattern| is_type_pattern(pattern)));
        for wrong in ["", "text", "text/", "/html", "*/*", "text/html; charset=utf-8", "+", "text /html"] {
            assert!(!is_type_pattern(wrong), "{wrong:?}");
        }
    }
}
