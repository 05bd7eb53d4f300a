//! W3C Trace Context, Level 2: what a client's `traceparent` says, and what a target's does.

/// What `traceparent` names: the trace, and the span in it that caused this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace_id: u128,
    /// The span.
    pub span_id: u64,
    /// Whether who sent it records its own part (§3.2.2.5.1, sampled).
    pub sampled: bool,
    /// Whether the last 56 bits of the trace's id are random (§3.2.2.5.2).
    pub random: bool,
}

/// The ids of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Its trace.
    pub trace_id: u128,
    /// Itself.
    pub span_id: u64,
}

/// An exchange's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its trace, and its own span.
    pub ids: Ids,
    /// The span that caused it; 0 if the trace begins here.
    pub parent: u64,
    /// Whether it is told of, however it ends.
    pub sampled: bool,
    /// Whether the last 56 bits of the trace's id are random.
    pub random: bool,
}

/// Bytes of a value of version 00.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

impl Parent {
    /// Reads the value of the one `traceparent` that a request has. `None` if it is not valid (§3.2.2, §4.3).
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, more) = value.split_at_checked(LENGTH)?;
        let version = hex(&head[..2])?;
        // §3.2.2.2, §3.2.4: of a version to come only what 00 has is read, and only if it ends there or a dash follows.
        let fits = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.first().is_none_or(|&byte| byte == b'-'),
        };
        if !fits || head[2] != b'-' || head[35] != b'-' || head[52] != b'-' {
            return None;
        }
        let (trace_id, span_id, flags) = (hex(&head[3..35])?, hex(&head[36..52])?, hex(&head[53..])?);
        let (span_id, flags) = (u64::try_from(span_id).ok()?, u8::try_from(flags).ok()?);
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & SAMPLED != 0,
            random: flags & RANDOM != 0,
        })
    }
}

impl Context {
    /// The value of `traceparent` for a target that is asked within the span `span_id`. Flags that we do not know are not
    /// passed on (§3.2.2.5.3).
    pub fn value(&self, span_id: u64) -> [u8; LENGTH] {
        let mut value = *b"00-                                -                -00";
        write_hex(quarters(self.ids.trace_id), &mut value[3..35]);
        write_hex(halves(span_id), &mut value[36..52]);
        value[54] += self.flags();
        value
    }

    /// The flags of the trace (§3.2.2.5).
    pub fn flags(&self) -> u8 {
        (if self.sampled { SAMPLED } else { 0 }) | if self.random { RANDOM } else { 0 }
    }
}

impl Ids {
    /// The trace's id in hexadecimal.
    pub fn trace_hex(&self) -> [u8; 32] {
        let mut text = [0; 32];
        write_hex(quarters(self.trace_id), &mut text);
        text
    }

    /// The span's id in hexadecimal.
    pub fn span_hex(&self) -> [u8; 16] {
        let mut text = [0; 16];
        write_hex(halves(self.span_id), &mut text);
        text
    }
}

/// The number that lower-case digits stand for, 32 at most: §3.2.2 knows no others.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// Writes the digits of `words`, eight at a time.
fn write_hex<const N: usize>(words: [u32; N], text: &mut [u8]) {
    for (word, digits) in words.into_iter().zip(text.as_chunks_mut::<8>().0) {
        *digits = eight_digits(word);
    }
}

fn eight_digits(word: u32) -> [u8; 8] {
    // Each half byte gets a byte of its own, which becomes a digit or, above 9, a letter.
    let spread = u64::from(word);
    let spread = (spread << 16 | spread) & 0x0000_ffff_0000_ffff;
    let spread = (spread << 8 | spread) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread << 4 | spread) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

fn halves(id: u64) -> [u32; 2] {
    [(id >> 32) as u32, id as u32]
}

fn quarters(id: u128) -> [u32; 4] {
    let ([a, b], [c, d]) = (halves((id >> 64) as u64), halves(id as u64));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_valid_traceparent_is_read_and_any_other_is_not() {
        let good = |flags: &str| format!("00-{TRACE}-{SPAN}-{flags}");
        for (value, sampled, random) in [
            (good("00"), false, false),
            (good("01"), true, false),
            (good("03"), true, true),
            (good("fe"), false, true),
            (format!("01-{TRACE}-{SPAN}-01"), true, false),
            (format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"), true, false),
            (format!("fe-{TRACE}-{SPAN}-01-"), true, false),
        ] {
            let parent = Parent::parse(value.as_bytes()).unwrap_or_else(|| panic!("{value}"));
            assert_eq!((parent.sampled, parent.random), (sampled, random), "{value}");
            assert_eq!(
                (parent.trace_id, parent.span_id),
                (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad6b7169203331)
            );
        }
        for value in [
            String::new(),
            "00".into(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{TRACE}-{SPAN}-.1"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{}g-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("0A-{TRACE}-{SPAN}-01"),
            format!("01-{TRACE}-{SPAN}-01.more"),
            format!("00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(Parent::parse(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let ids = Ids { trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span_id: 7 };
        for (sampled, random) in [(false, false), (true, false), (false, true), (true, true)] {
            let value = Context { ids, parent: 0, sampled, random }.value(0x0102_0304_0506_0708);
            let read = Parent { trace_id: ids.trace_id, span_id: 0x0102_0304_0506_0708, sampled, random };
            assert_eq!(Parent::parse(&value), Some(read));
        }
        assert_eq!(ids.trace_hex(), TRACE.as_bytes());
        let digits = Ids { span_id: 0x0123_4567_89ab_cdef, ..ids }.span_hex();
        assert_eq!(&digits, b"0123456789abcdef");
        assert_eq!(&ids.span_hex(), b"0000000000000007");
    }
}
