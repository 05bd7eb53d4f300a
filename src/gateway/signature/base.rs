//! What a signature is computed of (RFC 9421 §2): components of the request, line by line, and what the signature says of itself.

use super::signed::component;
use super::{Denial, Signed};
use crate::gateway::Request;
use sfv::{BareItem, Item, Parameters};

/// The signature base of a request.
///
/// # Errors
/// A component is not understood, or not in the request.
pub(super) fn of(request: &dyn Request, signed: &Signed) -> Result<Vec<u8>, Denial> {
    let mut out = Vec::with_capacity(512);
    for item in &signed.components {
        let name = component(item);
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
        match name.strip_prefix('@') {
            Some("query-param") => {
                let parameter = only_parameter(&item.params, "name")?;
                out.extend_from_slice(b";name=\"");
                out.extend_from_slice(parameter.as_bytes());
                out.extend_from_slice(b"\": ");
                out.extend_from_slice(&query_parameter(request, parameter)?);
            }
            Some(derived) => {
                plain(item)?;
                out.extend_from_slice(b": ");
                derive(request, derived, &mut out)?;
            }
            None => {
                plain(item)?;
                out.extend_from_slice(b": ");
                field(request, name, &mut out)?;
            }
        }
        out.push(b'\n');
    }
    out.extend_from_slice(b"\"@signature-params\": ");
    out.extend_from_slice(signed.parameters.as_bytes());
    Ok(out)
}

/// Components are read in their plain form alone.
fn plain(item: &Item) -> Result<(), Denial> {
    if item.params.is_empty() { Ok(()) } else { Err(Denial::Component) }
}

fn derive(request: &dyn Request, name: &str, out: &mut Vec<u8>) -> Result<(), Denial> {
    match name {
        "method" => out.extend_from_slice(request.method()),
        "scheme" => out.extend_from_slice(request.scheme().as_bytes()),
        "authority" => out.extend_from_slice(&authority(request)),
        "path" => out.extend_from_slice(path(request)),
        "query" => {
            out.push(b'?');
            out.extend_from_slice(request.query().unwrap_or_default());
        }
        "request-target" => target(request, out),
        "target-uri" => {
            out.extend_from_slice(request.scheme().as_bytes());
            out.extend_from_slice(b"://");
            out.extend_from_slice(&authority(request));
            target(request, out);
        }
        _ => return Err(Denial::Component),
    }
    Ok(())
}

fn path(request: &dyn Request) -> &[u8] {
    match request.sent_path() {
        b"" => b"/",
        path => path,
    }
}

fn target(request: &dyn Request, out: &mut Vec<u8>) {
    out.extend_from_slice(path(request));
    if let Some(query) = request.query() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
}

/// In lower case, without the port that the scheme has (RFC 9421 §2.2.3).
fn authority(request: &dyn Request) -> Vec<u8> {
    let mut authority = request.authority().to_ascii_lowercase();
    let port: &[u8] = if request.scheme() == "https" { b":443" } else { b":80" };
    if authority.ends_with(port) {
        authority.truncate(authority.len() - port.len());
    }
    authority
}

/// The lines of a field, each without space around it (RFC 9421 §2.1).
fn field(request: &dyn Request, name: &str, out: &mut Vec<u8>) -> Result<(), Denial> {
    if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Denial::Malformed);
    }
    let mut count = 0;
    request.each(name, &mut |value| {
        out.extend_from_slice(if count == 0 { b"" } else { b", " });
        out.extend_from_slice(value.trim_ascii());
        count += 1;
    });
    if count == 0 { Err(Denial::Missing) } else { Ok(()) }
}

fn only_parameter<'p>(parameters: &'p Parameters, name: &str) -> Result<&'p str, Denial> {
    match (parameters.get(name), parameters.len()) {
        (Some(BareItem::String(text)), 1) if !text.as_str().contains(['"', '\\']) => Ok(text.as_str()),
        _ => Err(Denial::Component),
    }
}

/// The value of the one parameter of a query that has this name, which is written as it is to be in a query (RFC 9421 §2.2.8).
fn query_parameter(request: &dyn Request, wanted: &str) -> Result<Vec<u8>, Denial> {
    let mut found = None;
    for pair in request.query().unwrap_or_default().split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        if rewritten(name) == wanted.as_bytes() && found.replace(rewritten(value)).is_some() {
            return Err(Denial::Component);
        }
    }
    found.ok_or(Denial::Missing)
}

/// A part of a query as all write it: what need not be encoded is not, and all else is, in upper case.
fn rewritten(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.get(at) {
        let (byte, length) = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high << 4 | low).unwrap_or(byte), 3),
            (b'+', ..) => (b' ', 1),
            _ => (byte, 1),
        };
        at += length;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_') {
            out.push(byte);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    out
}
