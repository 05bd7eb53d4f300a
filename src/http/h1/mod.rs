//! HTTP/1.0 and HTTP/1.1 (RFC 9112) as functions over bytes: no I/O, no clock, no allocation per field.
//!
//! [`parse_request`] and [`parse_response`] read a head, [`ChunkDecoder`] reads a chunked body, [`encode_request`] and
//! [`encode_response`] write heads for the other side, [`encode_reply`] writes what the proxy itself says. Depends on
//! [`head`](crate::http::head) alone.
//!
//! What always holds: a message that two readers could read in two ways is refused or written anew in the one form that
//! all read alike; every head that is written has exactly one framing and one Host; nothing that a client claims about
//! itself passes unless it is a trusted proxy.
//!
//! # What is refused
//!
//! Requests, with the status that the client gets and the word for the log. The connection closes each time.
//!
//! | what | status | word | why |
//! | --- | --- | --- | --- |
//! | line end without CR, CR without LF, NUL and other controls | 400 | `bare-lf`, `bare-cr`, `nul`, `control-in-value` | RFC 9112 §2.2; request smuggling through a line that one side does not see |
//! | more than 8 empty lines first | 400 | `empty-lines` | RFC 9112 §2.2 asks for one |
//! | folded line, blank before the first field | 400 | `obs-fold` | RFC 9112 §5.2; hides Transfer-Encoding |
//! | blank before the colon, empty or broken name, no colon | 400 | `space-before-colon`, `empty-field-name`, `bad-field-name`, `field-without-colon` | RFC 9112 §5.1; CVE-2023-25725 |
//! | method that is no token | 400 | `bad-method` | RFC 9110 §9.1 |
//! | `get`, `Delete` and the like | 400 | `method-case` | methods are case-sensitive (RFC 9110 §9.1), but not every target knows |
//! | TLS hello on a plain port | 400 | `tls-to-plain-port` | |
//! | CONNECT, TRACE, method over 32 bytes | 501 | `connect`, `trace`, `unknown-method` | a gateway makes no tunnels; TRACE shows cookies to scripts |
//! | blank, control or 8-bit byte in the target, or none of the target forms | 400 | `space-in-target`, `bad-target`, `non-ascii-target` | RFC 9112 §3.2; CVE-2021-33193 |
//! | `#` in the target | 400 | `fragment-in-target` | CVE-2023-45539 |
//! | absolute form with another scheme, user information, broken authority | 400 | `bad-scheme`, `userinfo-in-target`, `bad-authority` | RFC 9110 §4.2 |
//! | HTTP/0.9, HTTP/1.2 and up, HTTP/2 preface | 505 | `http-version`, `http2-preface` | RFC 9110 §15.6.6 |
//! | version that is not `HTTP/d.d` | 400 | `bad-version` | RFC 9112 §2.3 |
//! | no Host in HTTP/1.1, several, a broken one | 400 | `missing-host`, `several-hosts`, `bad-host` | RFC 9112 §3.2 |
//! | Transfer-Encoding that does not end in chunked | 400 | `bad-transfer-encoding` | RFC 9112 §6.3; CVE-2019-18277 |
//! | codings besides chunked | 501 | `unknown-transfer-coding` | RFC 9112 §6.1 |
//! | several Transfer-Encoding lines, one in HTTP/1.0, one beside Content-Length | 400 | `several-transfer-encodings`, `coding-in-http10`, `length-and-coding` | RFC 9112 §6.1, §6.3; CVE-2021-21299 |
//! | several Content-Length lines, lists, anything but digits | 400 | `several-content-lengths`, `bad-content-length` | RFC 9112 §6.3 |
//! | Content-Length over 2^63 - 1 | 413 | `content-length-too-large` | CVE-2021-40346 |
//! | Expect other than 100-continue | 417 | `unknown-expectation` | RFC 9110 §10.1.1 |
//! | WebSocket handshake with a broken key or a body | 400 | `bad-websocket-key`, `websocket-with-body` | RFC 6455 §4.2.1 |
//! | WebSocket version other than 13 | 426 | `websocket-version` | RFC 6455 §4.2.2 |
//! | more than 32 names in Connection | 400 | `too-many-connection-options` | bounds the search |
//! | head or field count over the limit | 431 | `head-too-large`, `too-many-fields` | RFC 6585 §5 |
//! | request line over the limit | 414 | `target-too-long` | RFC 9112 §3 |
//! | chunk sizes, lines, extensions, trailers out of form or bounds | 400 | see [`ChunkDecoder`] | RFC 9112 §7.1; CVE-2025-22871, CVE-2023-39326 |
//!
//! Responses: the client gets 502, and the connection to the target is not used again.
//!
//! | what | word |
//! | --- | --- |
//! | no HTTP, another version, a status that is not three digits from 100 up, a broken reason phrase | `not-http`, `bad-version`, `bad-status`, `bad-reason` |
//! | bytes before the status line | `bytes-before-status-line` |
//! | folded lines, controls, broken names | the words for requests |
//! | Content-Length that is no number, or several that differ | `bad-content-length` |
//! | a coding besides chunked, several, one in HTTP/1.0 | `unknown-transfer-coding`, `several-transfer-encodings`, `coding-in-http10` |
//! | 101 that nobody asked for, or that is no WebSocket handshake | `unsolicited-101`, `bad-101` |
//! | head or field count over the limit | `head-too-large`, `too-many-fields` |
//!
//! Taken from targets all the same, and written anew in the right form: line ends without CR, blanks before the colon,
//! equal Content-Length lines, and a length beside chunked (which wins; the connection is not used again).
//!
//! What is dropped without a word: names that CGI would fold onto a guarded one (`X_Forwarded_For`), `Proxy`, every
//! `Upgrade` but a WebSocket handshake, `HTTP2-Settings`, hop-by-hop fields and those that Connection names, except the
//! ones that the proxy answers for; trailers that would act as headers.

mod chunked;
mod connection;
mod encode;
mod forwarding;
mod framing;
mod marking;
mod reply;
mod request;
mod response;
mod scan;
mod target;
#[cfg(test)]
mod tests;
mod websocket;

pub use chunked::{BadChunk, CHUNK_END, ChunkDecoder, Step, push_chunk_size, push_last_chunk};
pub use encode::{Backward, HostLine, Onward, Trace, encode_interim, encode_request, encode_response};
pub use forwarding::{Forwarding, Style};
pub use framing::Framing;
pub use marking::{Marking, split_prefix};
pub use reply::{Asker, Reply, encode_error, encode_grpc_error, encode_reply};
pub use request::{Incoming, Reject, parse_request};
pub use response::{Answer, BadResponse, Question, parse_response};
pub use scan::{Limits, MAX_FIELDS, Parsed, Scan};
pub use websocket::accept_value;
