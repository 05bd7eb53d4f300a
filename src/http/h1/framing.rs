//! Where a message ends (RFC 9112 §6), and what the framing fields may say.

use crate::http::head::Version;

/// How the length of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes follow the head, at most 2^63 - 1.
    Length(u64),
    /// Chunks follow the head.
    Chunked,
    /// The body ends with the connection; responses only.
    UntilClose,
}

impl Framing {
    /// How the same body is framed on its way to a peer of that version: a length that is not known in advance becomes
    /// chunks for HTTP/1.1, so that a cut can be told from an end, and the end of the connection for HTTP/1.0.
    pub fn towards(self, version: Version) -> Framing {
        match (self, version) {
            (Framing::Chunked, Version::Http10) => Framing::UntilClose,
            (Framing::UntilClose, Version::Http11) => Framing::Chunked,
            (framing, _) => framing,
        }
    }
}

/// Why a Content-Length says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LengthFault {
    /// Not `1*DIGIT`.
    Malformed,
    /// Above 2^63 - 1 (RFC 9110 §8.6 asks to expect such values).
    TooLarge,
}

/// Reads `1*DIGIT`: no sign, no blank, no list, no other base.
pub(super) fn content_length(value: &[u8]) -> Result<u64, LengthFault> {
    let mut length = Some(0u64);
    for byte in value {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(LengthFault::Malformed);
        }
        length = length.and_then(|length| length.checked_mul(10)?.checked_add(u64::from(digit)));
    }
    match length {
        _ if value.is_empty() => Err(LengthFault::Malformed),
        Some(length) if length <= i64::MAX as u64 => Ok(length),
        _ => Err(LengthFault::TooLarge),
    }
}

/// What a Transfer-Encoding value asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `chunked` and nothing else.
    Chunked,
    /// `chunked` at the end behind a coding that we do not speak.
    Unknown,
    /// Not chunked in the end: the length is unknowable.
    Unframed,
}

/// Reads a Transfer-Encoding value. Parameters and repetitions of `chunked` count as unknown codings (RFC 9112 §7).
pub(super) fn transfer_coding(value: &[u8]) -> Coding {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Coding::Chunked;
    }
    match value.rsplit(|&byte| byte == b',').next() {
        Some(last) if last.trim_ascii().eq_ignore_ascii_case(b"chunked") => Coding::Unknown,
        _ => Coding::Unframed,
    }
}

/// The members of a comma-separated list, empty ones skipped (RFC 9110 §5.6.1).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Whether a list holds that member, without regard to case.
pub(super) fn lists(value: &[u8], member: &[u8]) -> bool {
    members(value).any(|found| found.eq_ignore_ascii_case(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits_and_fits_63_bits() {
        for (value, length) in
            [("0", 0), ("5", 5), ("010", 10), ("0000000005", 5), ("9223372036854775807", i64::MAX as u64)]
        {
            assert_eq!(content_length(value.as_bytes()), Ok(length));
        }
        for value in ["", "+1", "-1", "0x5", "5.0", "5e0", "5,5", "5 5", "5\x0b", "\u{665}"] {
            assert_eq!(content_length(value.as_bytes()), Err(LengthFault::Malformed), "{value:?}");
        }
        for value in ["9223372036854775808", "18446744073709551621", "99999999999999999999", "00018446744073709551616"]
        {
            assert_eq!(content_length(value.as_bytes()), Err(LengthFault::TooLarge), "{value:?}");
        }
    }

    #[test]
    fn only_chunked_alone_is_a_coding() {
        for (value, coding) in [
            ("chunked", Coding::Chunked),
            ("CHUNKED", Coding::Chunked),
            ("gzip, chunked", Coding::Unknown),
            ("chunked, chunked", Coding::Unknown),
            (",chunked", Coding::Unknown),
            ("", Coding::Unframed),
            ("identity", Coding::Unframed),
            ("chunked;a=b", Coding::Unframed),
            ("\"chunked\"", Coding::Unframed),
            ("xchunked", Coding::Unframed),
            ("chunked, identity", Coding::Unframed),
            ("chunked,", Coding::Unframed),
        ] {
            assert_eq!(transfer_coding(value.as_bytes()), coding, "{value:?}");
        }
    }

    #[test]
    fn a_body_is_reframed_for_the_other_version() {
        use Version::*;
        assert_eq!(Framing::Chunked.towards(Http10), Framing::UntilClose);
        assert_eq!(Framing::UntilClose.towards(Http11), Framing::Chunked);
        assert_eq!(Framing::Length(3).towards(Http10), Framing::Length(3));
        assert_eq!(Framing::None.towards(Http11), Framing::None);
    }
}
