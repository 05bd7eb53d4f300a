//! Reading a request head (RFC 9112 §3, §5, §6.3).

use super::connection::Options;
use super::framing::{Coding, Framing, LengthFault, content_length, lists, members, transfer_coding};
use super::scan::{Limits, LineEnds, MAX_FIELDS, Parsed, Scan, collect, explain_lines, span_in};
use super::target::{is_authority, parse_target};
use super::websocket;
use crate::http::head::{Method, Name, RequestHead, Span, TargetForm, Version};
use std::mem::MaybeUninit;

/// A request that is not served. The connection closes after the answer: where the next request begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The status to answer with.
    pub status: u16,
    /// What was wrong, as one word for log and metric.
    pub reason: &'static str,
}

impl Reject {
    const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// 400 (Bad Request)
    pub(super) const fn bad(reason: &'static str) -> Self {
        Self::new(400, reason)
    }
}

/// What a request head asks of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Bytes up to and with the empty line, tolerated empty lines before the head included.
    pub head_len: usize,
    /// The request's body: never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the client lets the connection live on.
    pub keep_alive: bool,
    /// The client waits for 100 (Continue) before it sends its body (RFC 9110 §10.1.1). Never set without a body.
    pub expects_continue: bool,
    /// A valid WebSocket handshake (RFC 6455 §4.2.1). Any other wish to upgrade is ignored.
    pub websocket: bool,
    /// The client reads trailers (RFC 9110 §6.5.1).
    pub accepts_trailers: bool,
    /// OPTIONS with `Max-Forwards: 0`: to be answered here and not forwarded (RFC 9110 §7.6.2).
    pub final_hop: bool,
}

/// How many empty lines before a request are ignored (RFC 9112 §2.2 asks for one).
const MAX_EMPTY_LINES: usize = 8;
/// The longest method; the longest registered one has 17 bytes.
const MAX_METHOD: usize = 32;

/// Reads the head at the beginning of `bytes` into `head`.
///
/// While it answers [`Parsed::Partial`], call again with the same bytes and more behind them, and the same `scan`; `head`
/// holds nothing until then. An incomplete head is refused as soon as it is seen to be bad or too large.
pub fn parse_request(
    bytes: &[u8],
    limits: &Limits,
    scan: &mut Scan,
    head: &mut RequestHead,
) -> Result<Parsed<Incoming>, Reject> {
    head.clear();
    if !scan.is_due(bytes) {
        return partial(bytes, limits);
    }
    let start = match bytes {
        [b'\r' | b'\n', ..] => skip_empty_lines(bytes)?,
        _ => 0,
    };
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut lines = httparse::Request::new(&mut []);
    let parsed = lines.parse_with_uninit_headers(&bytes[start..], &mut room[..limits.fields.min(MAX_FIELDS)]);
    let (len, method, target, version) = match (parsed, lines.method, lines.path, lines.version) {
        (Ok(httparse::Status::Complete(len)), Some(method), Some(target), Some(version)) => {
            (len, method, target, version)
        }
        (Err(error), ..) => return Err(explain(error, &lines, &bytes[start..])),
        _ => {
            scan.parsed(bytes);
            return partial(bytes, limits);
        }
    };
    let head_len = start + len;
    if head_len > limits.head {
        return Err(Reject::new(431, "head-too-large"));
    }

    head.method = Method::of(method.as_bytes());
    head.method_text = span_in(bytes, method.as_bytes());
    head.target = span_in(bytes, target.as_bytes());
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let version_end = head.target.end as usize + " HTTP/1.1".len();
    if bytes.get(version_end) != Some(&b'\r')
        || collect(bytes, lines.headers, version_end + 2, head_len, LineEnds::Strict, &mut head.fields).is_none()
    {
        return Err(Reject::bad("bare-lf"));
    }
    if head.method == Method::Other {
        check_method(method.as_bytes())?;
    }
    parse_target(bytes, head)?;
    interpret(bytes, head_len, head).map(Parsed::Complete)
}

/// Skips CRLFs before the request line. A head that has not begun is as long as `bytes`.
#[cold]
fn skip_empty_lines(bytes: &[u8]) -> Result<usize, Reject> {
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
        if start > MAX_EMPTY_LINES * 2 {
            return Err(Reject::bad("empty-lines"));
        }
    }
    match bytes[start..] {
        [b'\n', ..] => Err(Reject::bad("bare-lf")),
        [b'\r', _, ..] => Err(Reject::bad("bare-cr")),
        _ => Ok(start),
    }
}

/// The answer while the head is incomplete: a refusal once it cannot become a good one any more.
fn partial(bytes: &[u8], limits: &Limits) -> Result<Parsed<Incoming>, Reject> {
    if bytes.len() < limits.head {
        return Ok(Parsed::Partial { begun: bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) });
    }
    if memchr::memchr(b'\n', bytes.trim_ascii_start()).is_some() {
        return Err(Reject::new(431, "head-too-large"));
    }
    match memchr::memchr(b' ', bytes) {
        Some(at) if at <= MAX_METHOD => Err(Reject::new(414, "target-too-long")),
        _ => Err(Reject::new(501, "unknown-method")),
    }
}

/// Those of RFC 9110 §9.3 and RFC 5789.
const KNOWN_METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];

/// RFC 9110 §9.1: methods are case-sensitive tokens, and those that nobody here knows are for the target to judge.
fn check_method(method: &[u8]) -> Result<(), Reject> {
    match method {
        // A gateway makes no tunnels, and TRACE shows a script the cookies that it may not read (RFC 9110 §9.3.8).
        b"CONNECT" => Err(Reject::new(501, "connect")),
        b"TRACE" => Err(Reject::new(501, "trace")),
        _ if method.len() > MAX_METHOD => Err(Reject::new(501, "unknown-method")),
        // Rules would take it for another one, and targets that are not strict for the one that it looks like.
        _ if KNOWN_METHODS.iter().any(|known| method.eq_ignore_ascii_case(known)) => Err(Reject::bad("method-case")),
        _ => Ok(()),
    }
}

/// The fields that decide about host, framing and connection, as they are met.
#[derive(Default)]
struct Seen {
    hosts: usize,
    host: Span,
    lengths: usize,
    length: Span,
    codings: usize,
    coding: Span,
    options: Options,
    websocket: bool,
    keys: usize,
    key: Span,
    version_13: bool,
    expects: bool,
    unknown_expectation: bool,
    accepts_trailers: bool,
    final_hop: bool,
}

fn interpret(text: &[u8], head_len: usize, head: &mut RequestHead) -> Result<Incoming, Reject> {
    let mut seen = Seen::default();
    for field in &head.fields {
        let value = field.value;
        match field.kind {
            Name::Other => {}
            Name::Host => {
                seen.hosts += 1;
                seen.host = value;
            }
            Name::Connection => seen.options.add(value.of(text)),
            Name::ContentLength => {
                seen.lengths += 1;
                seen.length = value;
            }
            Name::TransferEncoding => {
                seen.codings += 1;
                seen.coding = value;
            }
            Name::Expect => {
                seen.expects = true;
                seen.unknown_expectation |= !value.of(text).eq_ignore_ascii_case(b"100-continue");
            }
            Name::Upgrade => seen.websocket |= lists(value.of(text), b"websocket"),
            Name::SecWebSocketKey => {
                seen.keys += 1;
                seen.key = value;
            }
            Name::SecWebSocketVersion => seen.version_13 = value.of(text) == b"13",
            Name::Te => seen.accepts_trailers |= members(value.of(text)).any(is_trailers),
            Name::MaxForwards if head.method == Method::Options => seen.final_hop = is_zero(value.of(text)),
            _ => {}
        }
    }
    check_host(text, &seen, head)?;
    let framing = framing(text, &seen, head.version)?;
    if seen.options.strike(&mut head.fields, text).is_err() {
        return Err(Reject::bad("too-many-connection-options"));
    }
    let modern = head.version == Version::Http11;
    Ok(Incoming {
        head_len,
        framing,
        keep_alive: !seen.options.close && (modern || seen.options.keep_alive),
        expects_continue: modern && expects_continue(&seen, framing)?,
        websocket: modern && seen.websocket && seen.options.upgrade && is_websocket(text, &seen, head, framing)?,
        accepts_trailers: modern && seen.accepts_trailers,
        final_hop: seen.final_hop,
    })
}

/// RFC 9112 §3.2: exactly one Host in HTTP/1.1, never two, and a valid one even where the target says the host.
fn check_host(text: &[u8], seen: &Seen, head: &mut RequestHead) -> Result<(), Reject> {
    match seen.hosts {
        0 if head.version == Version::Http10 => return Ok(()),
        0 => return Err(Reject::bad("missing-host")),
        1 => {}
        _ => return Err(Reject::bad("several-hosts")),
    }
    if !seen.host.is_empty() && !is_authority(seen.host.of(text)) {
        return Err(Reject::bad("bad-host"));
    }
    if head.form != TargetForm::Absolute {
        head.authority = seen.host;
    }
    Ok(())
}

/// RFC 9112 §6.3, with every message that two readers could frame in two ways refused.
fn framing(text: &[u8], seen: &Seen, version: Version) -> Result<Framing, Reject> {
    match (seen.codings, seen.lengths) {
        (0, 0) => Ok(Framing::None),
        (0, 1) => match content_length(seen.length.of(text)) {
            Ok(length) => Ok(Framing::Length(length)),
            Err(LengthFault::Malformed) => Err(Reject::bad("bad-content-length")),
            Err(LengthFault::TooLarge) => Err(Reject::new(413, "content-length-too-large")),
        },
        (0, _) => Err(Reject::bad("several-content-lengths")),
        (1, lengths) => match transfer_coding(seen.coding.of(text)) {
            Coding::Unframed => Err(Reject::bad("bad-transfer-encoding")),
            _ if lengths > 0 => Err(Reject::bad("length-and-coding")),
            _ if version == Version::Http10 => Err(Reject::bad("coding-in-http10")),
            Coding::Unknown => Err(Reject::new(501, "unknown-transfer-coding")),
            Coding::Chunked => Ok(Framing::Chunked),
        },
        _ => Err(Reject::bad("several-transfer-encodings")),
    }
}

/// RFC 9110 §10.1.1: 100-continue is the only expectation there is.
fn expects_continue(seen: &Seen, framing: Framing) -> Result<bool, Reject> {
    if seen.unknown_expectation {
        return Err(Reject::new(417, "unknown-expectation"));
    }
    Ok(seen.expects && !matches!(framing, Framing::None | Framing::Length(0)))
}

/// RFC 6455 §4.2.1. What a target could take for a handshake, and we not, would open a tunnel that only one side knows of.
fn is_websocket(text: &[u8], seen: &Seen, head: &RequestHead, framing: Framing) -> Result<bool, Reject> {
    if head.method != Method::Get {
        return Ok(false);
    }
    if seen.keys != 1 || !websocket::is_key(seen.key.of(text)) {
        return Err(Reject::bad("bad-websocket-key"));
    }
    if !matches!(framing, Framing::None | Framing::Length(0)) {
        return Err(Reject::bad("websocket-with-body"));
    }
    if !seen.version_13 {
        return Err(Reject::new(426, "websocket-version"));
    }
    Ok(true)
}

/// Whether a member of `TE` is `trailers` (RFC 9110 §10.1.4).
fn is_trailers(member: &[u8]) -> bool {
    member.eq_ignore_ascii_case(b"trailers")
}

fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|&byte| byte == b'0')
}

/// Says what is wrong with a head that httparse refused.
#[cold]
fn explain(error: httparse::Error, lines: &httparse::Request<'_, '_>, bytes: &[u8]) -> Reject {
    if error == httparse::Error::TooManyHeaders {
        return Reject::new(431, "too-many-fields");
    }
    let line_end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    let line = &bytes[..line_end];
    let Some(method) = lines.method else {
        return match line {
            [0x16, 0x03, ..] => Reject::bad("tls-to-plain-port"),
            _ => Reject::bad("bad-method"),
        };
    };
    let rest = &line[method.len() + 1..];
    let Some(target) = lines.path else {
        return match rest.strip_suffix(b"\r\n") {
            Some(target) if !target.is_empty() && target.iter().all(u8::is_ascii_graphic) => {
                Reject::new(505, "http-version")
            }
            _ => Reject::bad("bad-target"),
        };
    };
    let version = &rest[target.len() + 1..];
    if is_version_line(version) {
        return match version.get(5..8) {
            Some(b"1.0" | b"1.1") => Reject::bad(explain_lines(&bytes[line_end..], LineEnds::Strict)),
            _ if method == "PRI" && version[5] == b'2' => Reject::new(505, "http2-preface"),
            _ => Reject::new(505, "http-version"),
        };
    }
    match version {
        _ if version.contains(&b' ') || !version.starts_with(b"HTTP/") => Reject::bad("space-in-target"),
        [.., b'\n'] if !version.contains(&b'\r') => Reject::bad("bare-lf"),
        _ => Reject::bad("bad-version"),
    }
}

/// Whether `line` is, or could become, `HTTP/` DIGIT `.` DIGIT CRLF; at least its first digit is there.
fn is_version_line(line: &[u8]) -> bool {
    const SHAPE: &[u8] = b"HTTP/0.0\r\n";
    (6..=SHAPE.len()).contains(&line.len())
        && line.iter().zip(SHAPE).all(|(byte, &want)| if want == b'0' { byte.is_ascii_digit() } else { *byte == want })
}
