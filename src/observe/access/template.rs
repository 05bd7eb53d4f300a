//! Lines as the operator writes them: text with fields in braces, `{client.ip} "{request.uri}" {status}`.
//!
//! A field that does not apply is `-`. Values are escaped as in the combined format, so that neither a control character
//! nor a quote comes into a line that the template does not have itself.

use super::stamp::Stamp;
use super::{Record, Shown, escape};

/// A compiled template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is no such field.
    Unknown(String),
    /// A brace without its other half.
    Unpaired,
    /// A header's name that no header can have.
    HeaderName(String),
    /// A control character, which would break the line.
    Control,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    Field(Field),
    RequestHeader(String),
    ResponseHeader(String),
}

/// Defines the fields of templates of a kind, and their names.
macro_rules! fields {
    ($(#[$about:meta])* $visible:vis enum { $($field:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visible enum Field { $($field),+ }

        /// The names of all fields but headers.
        pub const FIELDS: &[&str] = &[$($name),+];

        fn field(name: &str) -> Option<Field> {
            match name {
                $($name => Some(Field::$field),)+
                _ => None,
            }
        }
    };
}
pub(crate) use fields;

fields! { enum {
    Time = "time",
    TimeCommon = "time.common",
    TimeUnix = "time.unix",
    ClientIp = "client.ip",
    ClientPort = "client.port",
    Listener = "listener",
    Route = "route",
    Version = "version",
    Pool = "pool",
    Target = "target",
    RequestId = "request.id",
    Method = "request.method",
    Uri = "request.uri",
    Path = "request.path",
    Query = "request.query",
    Protocol = "request.protocol",
    Host = "request.host",
    Status = "status",
    BodyBytesOut = "body_bytes_out",
    Cache = "cache",
    Idempotency = "idempotency",
    Consumer = "consumer.name",
    DeniedBy = "denied_by",
    ShadowDeniedBy = "shadow_denied_by",
    HeldBy = "held_by",
    Missing = "missing",
    BytesIn = "bytes_in",
    BytesOut = "bytes_out",
    TlsVersion = "tls.version",
    TlsCipher = "tls.cipher",
    Sni = "tls.sni",
    RequestHeadMs = "request_head_ms",
    QueueMs = "queue_ms",
    TargetQueue = "target_queue",
    PoolQueue = "pool_queue",
    ConnectMs = "connect_ms",
    FirstByteMs = "first_byte_ms",
    TotalMs = "total_ms",
    Tries = "tries",
    Reason = "reason",
    Termination = "termination",
} }

/// What precedes the name of a request's header, and of a response's.
pub const HEADERS: [&str; 2] = ["request.headers.", "response.headers."];

impl Template {
    /// Compiles `text`. `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(Wrong::Control);
        }
        let (mut pieces, mut literal) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.extend_from_slice(before.as_bytes());
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                literal.push(brace.as_bytes()[0]);
                rest = after;
                continue;
            }
            let (name, after) =
                brace.strip_prefix('{').and_then(|inner| inner.split_once('}')).ok_or(Wrong::Unpaired)?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::named(name)?);
            rest = after;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// Whether it shows headers of the response.
    pub(super) fn shows_answer(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::ResponseHeader(_)))
    }

    /// Writes a line without its line feed.
    pub(super) fn write(&self, record: &Record<'_>, shown: &mut Shown<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            let start = out.len();
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Field(field) => field.write(record, stamp, out),
                Piece::RequestHeader(name) => {
                    if let Some(value) = shown.request(record, name) {
                        escape::combined(value, out);
                    }
                }
                Piece::ResponseHeader(name) => {
                    if let Some(value) = shown.response(record, name) {
                        escape::combined(value, out);
                    }
                }
            }
            if out.len() == start {
                out.push(b'-');
            }
        }
    }
}

impl Piece {
    fn named(name: &str) -> Result<Self, Wrong> {
        let header = |prefix: &str| name.strip_prefix(prefix).map(str::to_ascii_lowercase);
        let good = |name: String| match name.is_empty() || !name.bytes().all(is_token) {
            true => Err(Wrong::HeaderName(name)),
            false => Ok(name),
        };
        if let Some(name) = header(HEADERS[0]) {
            return good(name).map(Self::RequestHeader);
        }
        if let Some(name) = header(HEADERS[1]) {
            return good(name).map(Self::ResponseHeader);
        }
        field(name).map(Self::Field).ok_or_else(|| Wrong::Unknown(name.to_owned()))
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Field {
    fn write(self, record: &Record<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
        let (times, http, tls) = (&record.times, record.http.as_ref(), record.tls.as_ref());
        let text = match self {
            Self::Time => return stamp.rfc3339(out),
            Self::TimeCommon => return stamp.common(out),
            Self::TimeUnix => return super::millis(Some(record.start_ns / 1_000_000 * 1_000), out),
            Self::ClientIp => return super::client_ip(record.client, out),
            Self::ClientPort => {
                let port = record.client.map_or(0, |client| client.port());
                return if port != 0 {
                    super::number(port.into(), out)
                };
            }
            Self::Status => {
                let status = http.map_or(0, |http| http.status);
                return if status != 0 {
                    super::number(status.into(), out)
                };
            }
            Self::BodyBytesOut => return http.into_iter().for_each(|http| super::number(http.body_out, out)),
            Self::BytesIn => return super::number(record.bytes_in, out),
            Self::BytesOut => return super::number(record.bytes_out, out),
            Self::RequestHeadMs => return super::millis(times.request_head, out),
            Self::QueueMs => return super::millis(times.queue, out),
            Self::ConnectMs => return super::millis(times.connect, out),
            Self::FirstByteMs => return super::millis(times.first_byte, out),
            Self::TotalMs => return super::millis(Some(times.total), out),
            Self::TargetQueue => return super::number(record.load.places.target.into(), out),
            Self::PoolQueue => return super::number(record.load.places.pool.into(), out),
            Self::Tries => return super::number(record.tries.into(), out),
            Self::Termination => {
                let letters = record.letters();
                return out.extend_from_slice(if http.is_some() { &letters } else { &letters[..2] });
            }
            Self::Listener => record.listener.as_bytes(),
            Self::Route => record.route.as_bytes(),
            Self::Version => http.map_or(&b""[..], |http| http.version_label.as_bytes()),
            Self::Pool => record.pool.as_bytes(),
            Self::Target => record.target.as_bytes(),
            Self::RequestId => http.map_or(&b""[..], |http| http.request_id),
            Self::DeniedBy => http.map_or(&b""[..], |http| http.denied_by.as_bytes()),
            Self::ShadowDeniedBy => http.map_or(&b""[..], |http| http.shadow_denied_by.as_bytes()),
            Self::Missing => http.map_or(&b""[..], |http| http.missing.as_bytes()),
            Self::HeldBy => http.map_or(&b""[..], |http| http.held_by.as_bytes()),
            Self::Consumer => http.map_or(&b""[..], |http| http.consumer.as_bytes()),
            Self::Idempotency => http.map_or(&b""[..], |http| http.idempotency.as_bytes()),
            Self::Cache => http.map_or(&b""[..], |http| http.cache.as_bytes()),
            Self::Method => http.map_or(&b""[..], |http| http.method),
            Self::Uri => http.map_or(&b""[..], |http| http.target),
            Self::Path => http.map_or(&b""[..], |http| split(http.target).0),
            Self::Query => http.map_or(&b""[..], |http| split(http.target).1),
            Self::Protocol => match record.datagrams {
                Some(_) => b"UDP",
                None => http.map_or(&b"TCP"[..], |http| http.version.name()),
            },
            Self::Host => http.map_or(&b""[..], |http| http.host),
            Self::TlsVersion => tls.map_or(&b""[..], |tls| tls.version.as_bytes()),
            Self::TlsCipher => tls.map_or(&b""[..], |tls| tls.cipher.as_bytes()),
            Self::Sni => tls.map_or(&b""[..], |tls| tls.name.as_bytes()),
            Self::Reason => record.reason.as_bytes(),
        };
        escape::combined(text, out);
    }
}

fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Fields, hostile, http, line, tcp};
    use super::super::{Format, Http, Record};
    use super::*;

    fn shown(template: &str, record: &Record<'_>) -> String {
        line(Format::Template(Template::parse(template).unwrap()), record)
    }

    #[test]
    fn fields_stand_where_the_template_has_them() {
        let template = "{time} {client.ip} \"{request.method} {request.uri}\" {status} {total_ms} {route}@{listener}";
        let expected = "2026-11-25T04:26:03.045Z 10.0.1.2 \"GET /index.html?q=1\" 200 109.000 api@web\n";
        assert_eq!(shown(template, &http()), expected);
        let template = "{{{request.path}}} {request.query} {time.unix} {termination} {client.port} {{}}";
        assert_eq!(shown(template, &http()), "{/index.html} q=1 1795580763.045 ---- 33317 {}\n");
        assert_eq!(shown("bare", &http()), "bare\n");
    }

    #[test]
    fn every_field_that_does_not_apply_is_a_dash() {
        let all: Vec<String> = FIELDS.iter().map(|name| format!("{{{name}}}")).collect();
        let bare = Record { client: None, pool: "", target: "", reason: "", listener: "", ..tcp() };
        let line = shown(&all.join(" "), &bare);
        assert_eq!(line.trim_end().split(' ').filter(|value| *value == "-").count(), 26, "{line}");
        assert_eq!(shown("{request.headers.x}{response.headers.x}", &tcp()), "--\n");
    }

    #[test]
    fn headers_are_found_in_any_case_and_joined() {
        let fields = Fields { request: &[("x-tenant", "a"), ("X-TENANT", "b")], response: &[("x-answer", "c\"d")] };
        let record = Record { headers: Some(&fields), ..http() };
        let template = "{request.headers.X-Tenant} \"{response.headers.x-answer}\" {request.headers.y}";
        assert_eq!(shown(template, &record), "a, b \"c\\x22d\" -\n");
    }

    #[test]
    fn no_value_leaves_its_quotes() {
        let evil = hostile();
        let template = "\"{request.uri}\" \"{request.host}\" \"{request.method}\" \"{listener}\"";
        let line = shown(template, &evil);
        assert_eq!(line.matches('"').count(), 8, "{line}");
        assert!(line.trim_end().chars().all(|c| (' '..='~').contains(&c)), "{line}");
        let quoted = Record { http: Some(Http { target: b"/\\", ..Http::default() }), ..http() };
        assert_eq!(shown("\"{request.uri}\"", &quoted), "\"/\\x5C\"\n");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told() {
        for (text, wrong) in [
            ("{clent.ip}", Wrong::Unknown("clent.ip".into())),
            ("{}", Wrong::Unknown(String::new())),
            ("{time", Wrong::Unpaired),
            ("time}", Wrong::Unpaired),
            ("{time}}", Wrong::Unpaired),
            ("{request.headers.}", Wrong::HeaderName(String::new())),
            ("{request.headers.x y}", Wrong::HeaderName("x y".into())),
            ("{time}\n", Wrong::Control),
        ] {
            assert_eq!(Template::parse(text), Err(wrong), "{text}");
        }
    }
}
