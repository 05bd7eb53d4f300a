//! What gRPC-Web has otherwise than gRPC: content as text, and trailers behind the messages.

use super::frames::push_frame;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;

/// Whether padding is there says nothing, in metadata.
const LOOSE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client has its content in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bytes.
    Binary,
    /// Base64.
    Text,
}

/// The form and the format of messages that a content type names; `None`: it is none of gRPC-Web.
pub fn of_type(content_type: &[u8]) -> Option<(Form, &[u8])> {
    const TYPE: &[u8] = b"application/grpc-web";
    let (start, rest) = content_type.split_at_checked(TYPE.len())?;
    if !start.eq_ignore_ascii_case(TYPE) {
        return None;
    }
    let (form, rest) = match rest.split_at_checked(5) {
        Some((text, rest)) if text.eq_ignore_ascii_case(b"-text") => (Form::Text, rest),
        _ => (Form::Binary, rest),
    };
    let end = rest.iter().position(|byte| matches!(byte, b';' | b' ')).unwrap_or(rest.len());
    match rest.split_at(end).0 {
        [] => Some((form, b"")),
        format @ [b'+', first, ..] if first.is_ascii_alphanumeric() => Some((form, format)),
        _ => None,
    }
}

/// Content that came as text: pieces of base64, each of which may have padding. `None`: it is none.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut rest = text;
    while !rest.is_empty() {
        let padding = rest.iter().position(|&byte| byte == b'=').unwrap_or(rest.len());
        let end = (padding + 1).next_multiple_of(4).min(rest.len());
        let (piece, behind) = rest.split_at(end);
        BASE64_STANDARD.decode_vec(piece, &mut out).ok()?;
        rest = behind;
    }
    Some(out)
}

/// Bytes that stand in a field.
pub(super) fn decode_loosely(text: &[u8]) -> Option<Vec<u8>> {
    LOOSE.decode(text).ok()
}

/// Content on its way to a client, as it wants it.
#[derive(Debug)]
pub struct Coder {
    form: Form,
    /// Bytes that make no whole group yet.
    rest: Vec<u8>,
}

impl Coder {
    /// For a client that wants it so.
    pub fn new(form: Form) -> Self {
        Self { form, rest: Vec::new() }
    }

    /// Appends content. What comes last is padded, so that a client can read it although more follows.
    pub fn push(&mut self, content: &[u8], out: &mut Vec<u8>) {
        match self.form {
            Form::Binary => out.extend_from_slice(content),
            Form::Text => {
                self.rest.extend_from_slice(content);
                let mut text = String::with_capacity(self.rest.len().div_ceil(3) * 4);
                BASE64_STANDARD.encode_string(&self.rest, &mut text);
                out.extend_from_slice(text.as_bytes());
                self.rest.clear();
            }
        }
    }

    /// Appends trailers, whole lines, as the last piece of content.
    pub fn finish(&mut self, trailers: &[u8], out: &mut Vec<u8>) {
        let mut lines = Vec::with_capacity(trailers.len());
        for line in trailers.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            lines.extend(line[..colon].iter().map(u8::to_ascii_lowercase));
            lines.extend_from_slice(&line[colon..]);
            lines.extend_from_slice(b"\r\n");
        }
        let mut frame = Vec::with_capacity(lines.len() + 5);
        push_frame(0x80, &lines, &mut frame);
        self.push(&frame, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart() {
        assert_eq!(of_type(b"application/grpc-web"), Some((Form::Binary, &b""[..])));
        assert_eq!(of_type(b"Application/GRPC-Web+proto; x=y"), Some((Form::Binary, &b"+proto"[..])));
        assert_eq!(of_type(b"application/grpc-web-text+proto"), Some((Form::Text, &b"+proto"[..])));
        for bad in [
            &b"application/grpc"[..],
            b"application/grpc-webx",
            b"application/grpc-web-textx",
            b"",
            b"application/grpc-web+",
        ] {
            assert_eq!(of_type(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn text_comes_in_pieces_with_padding() {
        assert_eq!(decode(b"AAAAAAA=AAAA"), Some(vec![0; 8]));
        assert_eq!(decode(b"YQ==Yg==YWJj"), Some(b"ababc".to_vec()));
        assert_eq!(decode(b""), Some(Vec::new()));
        for bad in [&b"="[..], b"====", b"YQ", b"Y===", b"YQ=", b"\xff\xff\xff\xff", b"YQ== Yg=="] {
            assert_eq!(decode(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn trailers_are_the_last_piece() {
        let (mut out, mut coder) = (Vec::new(), Coder::new(Form::Binary));
        coder.finish(b"Grpc-Status: 0\r\nX-A: b\r\n", &mut out);
        assert_eq!(out, b"\x80\0\0\0\x18grpc-status: 0\r\nx-a: b\r\n");
        let (mut text, mut coder) = (Vec::new(), Coder::new(Form::Text));
        coder.push(b"a", &mut text);
        coder.finish(b"Grpc-Status: 0\r\nX-A: b\r\n", &mut text);
        assert_eq!(decode(&text).unwrap(), [b"a", &out[..]].concat());
    }
}
