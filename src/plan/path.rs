//! One path: the normal form of a request path that everything before the target sees, and what of it may go on.
//!
//! [`normalise`] yields the form of RFC 3986 §6.2.2: percent-encoded unreserved characters decoded, hex digits in upper
//! case, dot segments removed (§5.2.4), then empty segments merged; bytes that no URI may hold are percent-encoded.
//! It also says how the raw path differs from what some target could make of it ([`Forms`]), and [`forward`] turns that
//! into what is done: the raw bytes go on, the normal form goes on in their place, or the request is refused.
//!
//! Always true of a normal form: it starts with `/`, has no dot segment and no empty segment but a last one, and
//! normalising it again changes nothing. A path without anything to change costs one scan and no copy.
//!
//! May use nothing but bytes: no configuration, no request, no allocation beyond the caller's buffer.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of ways in which targets could read a path differently.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Forms(u16);

impl Forms {
    /// Nothing.
    pub const NONE: Forms = Forms(0);
    /// `%2F`: a slash to a target that decodes before it splits.
    pub const ENCODED_SLASH: Forms = Forms(1);
    /// `%5C`: a backslash, which some targets take as a slash.
    pub const ENCODED_BACKSLASH: Forms = Forms(1 << 1);
    /// `%00`: the end of the path to a target that handles it as a C string.
    pub const ENCODED_NUL: Forms = Forms(1 << 2);
    /// `\` as it stands.
    pub const BACKSLASH: Forms = Forms(1 << 3);
    /// A dot segment that only shows after decoding (`%2e%2e`) or after its parameter is cut off (`..;x`).
    pub const HIDDEN_DOTS: Forms = Forms(1 << 4);
    /// `;` or `%3B`: some targets cut a segment there.
    pub const PARAMETER: Forms = Forms(1 << 5);
    /// A reserved character that is encoded though a path may hold it plainly, such as `%40` for `@`. Both spellings
    /// are the same path to most targets and another one to RFC 3986 §2.2.
    pub const ENCODED_RESERVED: Forms = Forms(1 << 6);
    /// `.` or `..` as a segment.
    pub const DOTS: Forms = Forms(1 << 7);
    /// `//`
    pub const EMPTY_SEGMENT: Forms = Forms(1 << 8);
    /// `%` without two hex digits behind it.
    pub const BAD_ESCAPE: Forms = Forms(1 << 9);
    /// A control character, a space, `#` or `?`, or no `/` at the start: not a path at all.
    pub const BAD_BYTE: Forms = Forms(1 << 10);

    /// Everything.
    pub const ALL: Forms = Forms(u16::MAX);

    /// Refused whatever the routes are.
    const NEVER: Forms = Forms(Self::BAD_ESCAPE.0 | Self::BAD_BYTE.0);
    /// Refused unless the route allows it by name.
    const BY_NAME: Forms = Forms(
        Self::ENCODED_SLASH.0
            | Self::ENCODED_BACKSLASH.0
            | Self::ENCODED_NUL.0
            | Self::BACKSLASH.0
            | Self::HIDDEN_DOTS.0,
    );
    /// What reads otherwise after decoding.
    const DECODED: Forms =
        Forms(Self::ENCODED_SLASH.0 | Self::ENCODED_BACKSLASH.0 | Self::PARAMETER.0 | Self::ENCODED_RESERVED.0);

    /// What may stand in `allow_in_path`.
    pub const NAMES: [(&'static str, Forms); 7] = [
        ("%2F", Forms::ENCODED_SLASH),
        ("%5C", Forms::ENCODED_BACKSLASH),
        ("%00", Forms::ENCODED_NUL),
        ("\\", Forms::BACKSLASH),
        (";", Forms::PARAMETER),
        ("//", Forms::EMPTY_SEGMENT),
        ("dot-segments", Forms::HIDDEN_DOTS),
    ];

    /// Every single form with the word for it in the log, the gravest first.
    const REASONS: [(Forms, &'static str); 11] = [
        (Forms::BAD_BYTE, "path-bad-byte"),
        (Forms::BAD_ESCAPE, "path-bad-escape"),
        (Forms::ENCODED_NUL, "path-encoded-nul"),
        (Forms::HIDDEN_DOTS, "path-hidden-dots"),
        (Forms::ENCODED_SLASH, "path-encoded-slash"),
        (Forms::ENCODED_BACKSLASH, "path-encoded-backslash"),
        (Forms::BACKSLASH, "path-backslash"),
        (Forms::PARAMETER, "path-parameter"),
        (Forms::ENCODED_RESERVED, "path-encoded-reserved"),
        (Forms::DOTS, "path-dots"),
        (Forms::EMPTY_SEGMENT, "path-empty-segment"),
    ];

    /// The form that `allow_in_path` calls `name`; hex digits in either case.
    pub fn from_name(name: &str) -> Option<Forms> {
        Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, form)| form)
    }

    /// Those that `allow_in_path` calls so; what is no form's name is none.
    pub fn of_names(names: &[String]) -> Forms {
        names.iter().filter_map(|name| Self::from_name(name)).fold(Self::NONE, |all, form| all | form)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are here.
    pub const fn contains(self, other: Forms) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is here.
    pub const fn intersects(self, other: Forms) -> bool {
        self.0 & other.0 != 0
    }

    /// These, less `other`.
    pub const fn without(self, other: Forms) -> Forms {
        Forms(self.0 & !other.0)
    }

    /// What is in both.
    pub const fn and(self, other: Forms) -> Forms {
        Forms(self.0 & other.0)
    }

    /// The words for all of them, the gravest first.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::REASONS.iter().filter(move |(form, _)| self.contains(*form)).map(|&(_, word)| word)
    }

    /// What `allow_in_path` calls those that a route can allow.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(_, form)| self.contains(*form)).map(|&(name, _)| name)
    }

    /// The word for the gravest of them in the log, `"path"` for none.
    pub fn reason(self) -> &'static str {
        Self::REASONS.iter().find(|(form, _)| self.contains(*form)).map_or("path", |&(_, word)| word)
    }
}

impl BitOr for Forms {
    type Output = Forms;
    fn bitor(self, other: Forms) -> Forms {
        Forms(self.0 | other.0)
    }
}

impl BitOrAssign for Forms {
    fn bitor_assign(&mut self, other: Forms) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Self::REASONS.iter().filter(|(form, _)| self.contains(*form)).map(|(_, word)| word))
            .finish()
    }
}

/// What [`normalise`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The raw path is its own normal form and nobody reads it otherwise. What the buffer holds is of no use; without
    /// an escape in the path it was not even touched.
    Plain,
    /// The buffer holds the normal form; every target reads the raw path as that, so the raw path may go on.
    Normalised,
    /// The buffer holds the normal form, but some target could read the raw path as another one.
    Ambiguous(Forms),
}

/// What the target is sent as the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The bytes that the client sent.
    Raw,
    /// The normal form.
    Normal,
}

/// Why a path was refused; the client gets 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    forms: Forms,
}

impl Refusal {
    /// For these forms, of which there is one at least.
    pub fn new(forms: Forms) -> Refusal {
        debug_assert!(!forms.is_empty());
        Refusal { forms }
    }

    /// What cannot go on.
    pub fn forms(self) -> Forms {
        self.forms
    }

    /// One word for the log, such as `path-encoded-slash`.
    pub fn reason(self) -> &'static str {
        self.forms.reason()
    }
}

/// Brings the path of a request target (from `/` up to `?`, exclusively) into its normal form.
///
/// The verdict says whether the normal form is in `out` or is `raw` itself. Where a path is refused whatever the routes are
/// (see [`forward`]) its content is of no use.
pub fn normalise(raw: &[u8], out: &mut Vec<u8>) -> Verdict {
    if is_plain(raw) {
        return Verdict::Plain;
    }
    out.clear();
    let forms = rewrite(raw, out);
    match forms {
        Forms::NONE if out.as_slice() == raw => Verdict::Plain,
        Forms::NONE => Verdict::Normalised,
        forms => Verdict::Ambiguous(forms),
    }
}

/// Decides what becomes of a path with these forms on a route that allows `allowed`.
///
/// Dot segments and empty segments are not forwarded: the target gets the normal form, which it cannot read as another
/// one. `//` goes on as it stands where it is allowed (encoded data in a path may hold it). Escapes and bytes that are
/// no URI are refused; encoded slashes and their like are refused unless allowed. Encoded dot segments, where allowed,
/// are resolved as plain ones are.
///
/// # Errors
/// The forms for which the path is refused.
pub fn forward(forms: Forms, allowed: Forms) -> Result<Forward, Refusal> {
    let refused = forms.and(Forms::NEVER | Forms::BY_NAME.without(allowed));
    if !refused.is_empty() {
        return Err(Refusal::new(refused));
    }
    let rewritten = Forms::DOTS | Forms::HIDDEN_DOTS | Forms::EMPTY_SEGMENT.without(allowed);
    Ok(if forms.intersects(rewritten) { Forward::Normal } else { Forward::Raw })
}

/// What a target could make of a path beyond its normal form: calls `each` with every other reading, brought into
/// normal form itself, and the forms that it rests on, until it returns `false`.
pub fn readings(normal: &[u8], forms: Forms, scratch: &mut Vec<u8>, mut each: impl FnMut(&[u8], Forms) -> bool) {
    // Each bit is one thing that targets do; some do several.
    for ways in 0..32_u8 {
        let way = |bit: u8, rests_on: Forms| (ways >> bit & 1 == 1).then_some(forms.and(rests_on));
        let cut = way(0, Forms::PARAMETER);
        let decode = way(1, Forms::DECODED);
        let slashes = way(2, Forms::BACKSLASH | Forms::ENCODED_BACKSLASH);
        let end = way(3, Forms::ENCODED_NUL);
        let chosen = [cut, decode, slashes, end];
        // A way that finds nothing to do makes the reading that there is without it.
        if chosen.iter().flatten().any(|rests_on| rests_on.is_empty()) {
            continue;
        }
        scratch.clear();
        read(normal, chosen.map(|way| way.is_some()), scratch);
        // Dots climb out of an empty segment in one order and out of the one before it in the other.
        if ways >> 4 == 1 && !merge_slashes(scratch) {
            continue;
        }
        resolve(scratch);
        let rests_on = chosen.into_iter().flatten().fold(forms.and(Forms::HIDDEN_DOTS), |all, way| all | way);
        if scratch.as_slice() != normal && !each(scratch, rests_on) {
            return;
        }
    }
}

/// The offset in `raw` at which its normal form has `offset` bytes, for a raw path that may be forwarded: where
/// `strip_prefix` cuts the bytes that go on.
pub fn raw_offset(raw: &[u8], offset: usize) -> usize {
    let (mut at, mut seen) = (0, 0);
    while at < raw.len() && seen < offset {
        if raw[at] == b'/' && at > 0 && raw[at - 1] == b'/' {
            at += 1;
            continue;
        }
        (at, seen) = match raw[at] {
            b'%' => match escape(&raw[at..]) {
                Some(byte) if CLASS[usize::from(byte)] == UNRESERVED => (at + 3, seen + 1),
                Some(_) => (at + 3, seen + 3),
                None => (at + 1, seen + 1),
            },
            byte if CLASS[usize::from(byte)] == ENCODE => (at + 1, seen + 3),
            _ => (at + 1, seen + 1),
        };
    }
    at
}

/// Letters, digits, `-`, `.`, `_`, `~`.
const UNRESERVED: u8 = 0;
/// Other characters that a path holds as they are, RFC 3986 §3.3; `;` has its own class.
const RESERVED: u8 = 1;
const SLASH: u8 = 2;
const PERCENT: u8 = 3;
const SEMICOLON: u8 = 4;
const BACKSLASH: u8 = 5;
/// Not allowed in a URI but harmless: the normal form has them percent-encoded.
const ENCODE: u8 = 6;
/// Refused.
const BAD: u8 = 7;

const CLASS: [u8; 256] = {
    let mut table = [ENCODE; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => UNRESERVED,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => RESERVED,
            b'/' => SLASH,
            b'%' => PERCENT,
            b';' => SEMICOLON,
            b'\\' => BACKSLASH,
            0..=b' ' | 127 | b'#' | b'?' => BAD,
            _ => ENCODE,
        };
        byte += 1;
    }
    table
};

fn is_plain(raw: &[u8]) -> bool {
    let mut before = b'/';
    if raw.first() != Some(&b'/') {
        return false;
    }
    for (at, &byte) in raw.iter().enumerate().skip(1) {
        if CLASS[usize::from(byte)] > SLASH {
            return false;
        }
        if before == b'/' && (byte == b'/' || byte == b'.' && is_dots(segment(&raw[at..]))) {
            return false;
        }
        before = byte;
    }
    true
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// What stands before the next slash.
fn segment(path: &[u8]) -> &[u8] {
    &path[..memchr::memchr(b'/', path).unwrap_or(path.len())]
}

/// The byte that an escape at the start of `text` stands for.
pub fn escape(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
    match text {
        [b'%', high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// Appends the normal form of `raw` to the empty `out` and returns all that was found on the way.
fn rewrite(raw: &[u8], out: &mut Vec<u8>) -> Forms {
    let Some((b'/', mut rest)) = raw.split_first() else {
        out.push(b'/');
        return Forms::BAD_BYTE;
    };
    let mut forms = Forms::NONE;
    loop {
        let raw_segment = segment(rest);
        let last = raw_segment.len() == rest.len();
        let start = out.len();
        out.push(b'/');
        forms |= decode_segment(raw_segment, out);
        let decoded = &out[start + 1..];
        if is_dots(raw_segment) {
            forms |= Forms::DOTS;
        } else if is_dots(without_parameter(decoded)) {
            forms |= Forms::HIDDEN_DOTS;
        } else if decoded.is_empty() && !last {
            forms |= Forms::EMPTY_SEGMENT;
        }
        if last {
            break;
        }
        rest = &rest[raw_segment.len() + 1..];
    }
    if forms.intersects(Forms::DOTS | Forms::HIDDEN_DOTS | Forms::EMPTY_SEGMENT) {
        resolve(out);
    }
    forms
}

/// Appends a segment with its escapes in normal form.
fn decode_segment(raw: &[u8], out: &mut Vec<u8>) -> Forms {
    let mut forms = Forms::NONE;
    let mut encoded_dot = false;
    let mut at = 0;
    while at < raw.len() {
        let byte = raw[at];
        at += 1;
        match CLASS[usize::from(byte)] {
            PERCENT => {
                let Some(meant) = escape(&raw[at - 1..]) else {
                    forms |= Forms::BAD_ESCAPE;
                    out.push(byte);
                    continue;
                };
                at += 2;
                if CLASS[usize::from(meant)] == UNRESERVED {
                    encoded_dot |= meant == b'.';
                    out.push(meant);
                } else {
                    forms |= encoded_form(meant);
                    encode(meant, out);
                }
            }
            ENCODE => encode(byte, out),
            class => {
                forms |= match class {
                    SEMICOLON => Forms::PARAMETER,
                    BACKSLASH => Forms::BACKSLASH,
                    BAD => Forms::BAD_BYTE,
                    _ => Forms::NONE,
                };
                out.push(byte);
            }
        }
    }
    // What looks like a slash to some target may make a segment of the dots.
    if encoded_dot && forms.intersects(Forms::ENCODED_SLASH | Forms::ENCODED_BACKSLASH | Forms::BACKSLASH) {
        forms |= Forms::HIDDEN_DOTS;
    }
    forms
}

fn encoded_form(meant: u8) -> Forms {
    match (meant, CLASS[usize::from(meant)]) {
        (0, _) => Forms::ENCODED_NUL,
        (_, SLASH) => Forms::ENCODED_SLASH,
        (_, BACKSLASH) => Forms::ENCODED_BACKSLASH,
        (_, SEMICOLON) => Forms::PARAMETER,
        (_, RESERVED) => Forms::ENCODED_RESERVED,
        _ => Forms::NONE,
    }
}

fn encode(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

/// A segment up to its first `;`, encoded or not.
fn without_parameter(segment: &[u8]) -> &[u8] {
    let plain = memchr::memchr(b';', segment).unwrap_or(segment.len());
    let encoded = memchr::memmem::find(&segment[..plain], b"%3B").unwrap_or(plain);
    &segment[..encoded]
}

/// Removes empty segments but a last one and says whether there were any.
fn merge_slashes(path: &mut Vec<u8>) -> bool {
    let length = path.len();
    let mut before = 0;
    path.retain(|&byte| {
        let keep = byte != b'/' || before != b'/';
        before = byte;
        keep
    });
    path.len() < length
}

/// Appends what a target reads of `normal` that cuts parameters off, decodes reserved characters, takes `\` for `/`,
/// ends at NUL, or does several of these.
fn read(normal: &[u8], [cut, decode, slashes, end]: [bool; 4], out: &mut Vec<u8>) {
    let mut at = 0;
    let mut cutting = false;
    while at < normal.len() {
        let (mut byte, mut length) = (normal[at], 1);
        match escape(&normal[at..]) {
            Some(0) if end => return,
            Some(meant) if decode && matches!(CLASS[usize::from(meant)], RESERVED | SLASH | SEMICOLON | BACKSLASH) => {
                (byte, length) = (meant, 3);
            }
            _ => {}
        }
        if slashes && byte == b'\\' {
            byte = b'/';
        }
        cutting = byte != b'/' && (cutting || cut && byte == b';');
        if !cutting {
            out.push(byte);
        }
        at += length;
    }
}

/// Removes dot segments (RFC 3986 §5.2.4), then empty ones, in place.
fn resolve(path: &mut Vec<u8>) {
    let (mut from, mut to) = (0, 0);
    while from < path.len() {
        let end = from + 1 + segment(&path[from + 1..]).len();
        match &path[from + 1..end] {
            b"." => {}
            b".." => to = memchr::memrchr(b'/', &path[..to]).unwrap_or(0),
            _ => {
                path.copy_within(from..end, to);
                to += end - from;
                from = end;
                continue;
            }
        }
        // A dot segment at the end names what stands before it as a folder.
        if end == path.len() {
            path[to] = b'/';
            to += 1;
        }
        from = end;
    }
    path.truncate(to);
    merge_slashes(path);
}

#[cfg(test)]
mod tests;
