//! Reading a response head (RFC 9112 §4, §5, §6.3).

use super::connection::Options;
use super::framing::{Coding, Framing, content_length, lists, members, transfer_coding};
use super::scan::{Limits, LineEnds, MAX_FIELDS, Parsed, Scan, collect, explain_lines, next_line, span_in};
use crate::http::head::{Method, Name, ResponseHead, Span, Version};
use std::mem::MaybeUninit;

/// A response that makes no sense: the client gets 502, and the connection to the target closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadResponse {
    /// What was wrong, as one word for log and metric.
    pub reason: &'static str,
}

/// The request that a response answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    /// Its method.
    pub method: Method,
    /// Whether it was sent as a WebSocket handshake.
    pub websocket: bool,
}

/// What a response head asks of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Bytes up to and with the empty line.
    pub head_len: usize,
    /// How the target frames the body.
    pub framing: Framing,
    /// Whether the connection to the target can be used again after the body. If bytes follow the end, it cannot.
    pub keep_alive: bool,
    /// Seconds after which the target says that it closes an idle connection.
    pub keep_alive_timeout: Option<u32>,
    /// 1xx but 101: the real response is still to come (RFC 9110 §15.2).
    pub interim: bool,
    /// 101 to a WebSocket handshake: what follows is a tunnel.
    pub tunnel: bool,
}

/// Reads the head at the beginning of `bytes` into `head`.
///
/// While it answers [`Parsed::Partial`], call again with the same bytes and more behind them, and the same `scan`. The next
/// head, be it after an interim one, begins with a new `scan`.
pub fn parse_response(
    bytes: &[u8],
    question: &Question,
    limits: &Limits,
    scan: &mut Scan,
    head: &mut ResponseHead,
) -> Result<Parsed<Answer>, BadResponse> {
    head.clear();
    if !scan.is_due(bytes) {
        return partial(bytes, limits);
    }
    if matches!(bytes, [b'\r' | b'\n', ..]) {
        return Err(BadResponse { reason: "bytes-before-status-line" });
    }
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut lines = httparse::Response::new(&mut []);
    let mut parser = httparse::ParserConfig::default();
    // RFC 9112 §5.1: a proxy removes blanks before the colon of a response's field; the encoder does.
    parser.allow_spaces_after_header_name_in_responses(true);
    let parsed =
        parser.parse_response_with_uninit_headers(&mut lines, bytes, &mut room[..limits.fields.min(MAX_FIELDS)]);
    let (head_len, status, version) = match (parsed, lines.code, lines.version) {
        (Ok(httparse::Status::Complete(len)), Some(status), Some(version)) => (len, status, version),
        (Err(error), ..) => return Err(BadResponse { reason: explain(error, &lines, bytes) }),
        _ => {
            scan.parsed(bytes);
            return partial(bytes, limits);
        }
    };
    if head_len > limits.head {
        return Err(BadResponse { reason: "head-too-large" });
    }
    if status < 100 {
        return Err(BadResponse { reason: "bad-status" });
    }
    head.status = status;
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let mut line_end = "HTTP/1.1 200".len();
    if let Some(reason) = lines.reason.filter(|reason| !reason.is_empty()) {
        head.reason = span_in(bytes, reason.as_bytes());
        line_end = head.reason.end as usize;
    }
    let first = match next_line(bytes, line_end, LineEnds::Lenient) {
        Some(first) => first,
        // httparse gives no reason phrase that is not ASCII: the first line is wherever the first LF is.
        None => memchr::memchr(b'\n', bytes).map_or(head_len, |at| at + 1),
    };
    if collect(bytes, lines.headers, first, head_len, LineEnds::Lenient, &mut head.fields).is_none() {
        return Err(BadResponse { reason: "bad-line-end" });
    }
    interpret(bytes, head_len, question, head).map(Parsed::Complete)
}

fn partial(bytes: &[u8], limits: &Limits) -> Result<Parsed<Answer>, BadResponse> {
    if bytes.len() < limits.head {
        return Ok(Parsed::Partial { begun: !bytes.is_empty() });
    }
    Err(BadResponse { reason: "head-too-large" })
}

/// The fields that decide about framing and connection, as they are met.
#[derive(Default)]
struct Seen {
    lengths: Lengths,
    codings: usize,
    coding: Span,
    options: Options,
    keep_alive_timeout: Option<u32>,
    websocket: bool,
    accepts: usize,
}

/// What the Content-Length fields say together: the same number in several places is one (RFC 9112 §6.3).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Lengths {
    #[default]
    None,
    One(u64),
    Bad,
}

impl Lengths {
    fn add(&mut self, value: &[u8]) {
        let mut any = false;
        for member in value.split(|&byte| byte == b',') {
            any = true;
            *self = match (*self, content_length(member.trim_ascii())) {
                (Lengths::None, Ok(length)) => Lengths::One(length),
                (Lengths::One(known), Ok(length)) if known == length => Lengths::One(known),
                _ => Lengths::Bad,
            };
        }
        debug_assert!(any);
    }
}

fn interpret(
    text: &[u8],
    head_len: usize,
    question: &Question,
    head: &mut ResponseHead,
) -> Result<Answer, BadResponse> {
    let mut seen = Seen::default();
    for field in &head.fields {
        let value = field.value;
        match field.kind {
            Name::Other => {}
            Name::ContentLength => seen.lengths.add(value.of(text)),
            Name::TransferEncoding => {
                seen.codings += 1;
                seen.coding = value;
            }
            Name::Connection => seen.options.add(value.of(text)),
            Name::KeepAlive => seen.keep_alive_timeout = timeout(value.of(text)).or(seen.keep_alive_timeout),
            Name::Upgrade => seen.websocket |= lists(value.of(text), b"websocket"),
            Name::SecWebSocketAccept => seen.accepts += 1,
            _ => {}
        }
    }
    if seen.options.strike(&mut head.fields, text).is_err() {
        return Err(BadResponse { reason: "too-many-connection-options" });
    }
    let tunnel = head.status == 101;
    if tunnel && !question.websocket {
        return Err(BadResponse { reason: "unsolicited-101" });
    }
    if tunnel && !(seen.websocket && seen.options.upgrade && seen.accepts == 1 && head.version == Version::Http11) {
        return Err(BadResponse { reason: "bad-101" });
    }
    let (framing, clean) = framing(text, &seen, question.method, head)?;
    let persistent = match head.version {
        Version::Http11 => !seen.options.close,
        Version::Http10 => seen.options.keep_alive && !seen.options.close,
    };
    Ok(Answer {
        head_len,
        framing,
        keep_alive: persistent && clean && !tunnel && framing != Framing::UntilClose,
        keep_alive_timeout: seen.keep_alive_timeout,
        interim: head.status < 200 && !tunnel,
        tunnel,
    })
}

/// RFC 9112 §6.3, and whether the target's next response surely begins behind this one.
fn framing(text: &[u8], seen: &Seen, method: Method, head: &ResponseHead) -> Result<(Framing, bool), BadResponse> {
    let coding = match seen.codings {
        0 => None,
        1 => Some(transfer_coding(seen.coding.of(text))),
        _ => return Err(BadResponse { reason: "several-transfer-encodings" }),
    };
    if seen.lengths == Lengths::Bad {
        return Err(BadResponse { reason: "bad-content-length" });
    }
    let unlengthed = coding.is_none() && matches!(seen.lengths, Lengths::None | Lengths::One(0));
    match head.status {
        100..=199 => return Ok((Framing::None, true)),
        // RFC 9112 §6.1 forbids both fields in a 204. Who sends them may well send the body too.
        204 => return Ok((Framing::None, unlengthed)),
        304 => return Ok((Framing::None, true)),
        _ if method == Method::Head => return Ok((Framing::None, true)),
        _ => {}
    }
    match (coding, seen.lengths) {
        (Some(_), _) if head.version == Version::Http10 => Err(BadResponse { reason: "coding-in-http10" }),
        // The coding wins and the length goes, but such a target is not asked again on this connection.
        (Some(Coding::Chunked), lengths) => Ok((Framing::Chunked, lengths == Lengths::None)),
        (Some(_), _) => Err(BadResponse { reason: "unknown-transfer-coding" }),
        (None, Lengths::One(length)) => Ok((Framing::Length(length), true)),
        (None, _) => Ok((Framing::UntilClose, false)),
    }
}

/// The `timeout` parameter of a Keep-Alive field, in seconds.
fn timeout(value: &[u8]) -> Option<u32> {
    members(value).find_map(|member| {
        let (name, seconds) = member.split_at_checked("timeout=".len())?;
        if !name.eq_ignore_ascii_case(b"timeout=") {
            return None;
        }
        std::str::from_utf8(seconds).ok()?.parse().ok()
    })
}

/// Says what is wrong with a head that httparse refused.
#[cold]
fn explain(error: httparse::Error, lines: &httparse::Response<'_, '_>, bytes: &[u8]) -> &'static str {
    let line_end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    match error {
        httparse::Error::TooManyHeaders => "too-many-fields",
        httparse::Error::Version if bytes.starts_with(b"HTTP/") => "bad-version",
        httparse::Error::Version => "not-http",
        _ if lines.code.is_none() => "bad-status",
        _ if lines.reason.is_none() => "bad-reason",
        _ => explain_lines(&bytes[line_end..], LineEnds::Lenient),
    }
}
