//! What of the WebSocket handshake a proxy checks (RFC 6455 §4).

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// The value that `Sec-WebSocket-Accept` must have for a request's `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
pub fn accept_value(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// Whether `value` is 16 bytes in base64 (RFC 6455 §4.2.1).
pub(super) fn is_key(value: &[u8]) -> bool {
    matches!(value, [digits @ .., b'=', b'='] if digits.len() == 22
        && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_the_rfcs_example() {
        assert_eq!(accept_value(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        assert!(is_key(b"dGVzdHRlc3R0ZXN0dGVzdA=="));
        for bad in
            ["", "==", "dGVzdA==", "dGVzdHRlc3R0ZXN0dGVzdA=", "dGVzdHRlc3R0ZXN0dGVzdGE=", "dGVzdHRlc3R0ZXN0dGVzd!=="]
        {
            assert!(!is_key(bad.as_bytes()), "{bad}");
        }
    }
}
