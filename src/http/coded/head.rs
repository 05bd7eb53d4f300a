//! Whether and how an answer is recoded, and the head that it then has.

use super::tags::{self, Kind};
use crate::compress::{Choice, Coding, is_acceptable, negotiate};
use crate::http::head::{Field, Method, Name, RequestHead, ResponseHead, Span};
use crate::observe::reason::Uncompressed;
use crate::plan::{Breach, Compress, Effort};

/// What an answer is recoded by, beside its own head.
#[derive(Clone, Copy)]
pub(in crate::http) struct Setting<'a> {
    pub(in crate::http) rule: &'a Compress,
    pub(in crate::http) request: &'a RequestHead,
    /// The bytes of the request's head.
    pub(in crate::http) asked: &'a [u8],
    /// Whether nobody between the client and us can read what is sent.
    pub(in crate::http) secure: bool,
    /// Whether the client has shown a certificate.
    pub(in crate::http) certified: bool,
    /// Thousandths of its time that the worker is busy.
    pub(in crate::http) busy: u64,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Verdict {
    /// It goes on as it is, head and body.
    Leave(Option<Uncompressed>),
    /// Its head changes.
    Recode(Recoding),
}

/// How an answer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Recoding {
    /// Its body is given a coding.
    Encode {
        /// Which.
        coding: Coding,
        /// At which level.
        level: u8,
        /// Whether that is lower than what is configured.
        lowered: bool,
        /// Whether it is for a client that takes nothing else.
        needed: bool,
    },
    /// The coding of its body is taken off.
    Decode(Coding),
    /// Its body stays; it says that it depends on what the client accepts.
    Vary(Option<Uncompressed>),
    /// It has none, and its tag is the weak one that the client has.
    WeakTag,
}

/// Decides what becomes of an answer to a request with a body of `length` bytes, if that is known.
pub(in crate::http) fn decide(setting: &Setting<'_>, head: &ResponseHead, text: &[u8], length: Option<u64>) -> Verdict {
    let Setting { rule, request, asked, .. } = *setting;
    if let Some(tag) = head.values(text, b"etag").next()
        && (200..400).contains(&head.status)
    {
        match tags::kind(tag) {
            Kind::Strong => rule.tags.note(false),
            Kind::Weak => rule.tags.note(true),
            Kind::Malformed => {}
        }
    }
    match head.status {
        304 => return not_modified(setting, head, text),
        ..200 | 204 | 205 => return Verdict::Leave(None),
        _ => {}
    }
    let forbids = |value: &[u8]| members(value).any(|member| member.eq_ignore_ascii_case(b"no-transform"));
    let mut controls = head.values(text, b"cache-control").chain(request.values(asked, b"cache-control"));
    if controls.any(forbids) {
        return Verdict::Leave(Some(Uncompressed::NoTransform));
    }
    if head.status != 206 && head.values(text, b"content-range").next().is_some() {
        return Verdict::Leave(Some(Uncompressed::Range));
    }
    let kind = head.find(Name::ContentType).map(|field| field.value.of(text));
    let typed = kind.is_some_and(|kind| rule.types.has(kind));
    if head.status == 206 {
        // It says what the whole would say (RFC 9110 §15.3.7).
        return match typed {
            true => vary(head, text, Some(Uncompressed::Range)),
            false => Verdict::Leave(Some(Uncompressed::Range)),
        };
    }
    let accepted = || request.values(asked, b"accept-encoding");
    let mut codings = head.values(text, b"content-encoding").flat_map(members).filter(|coding| !is_identity(coding));
    if let Some(coding) = codings.next() {
        let single = if codings.next().is_none() { Coding::of(coding) } else { None };
        return match single.filter(|_| rule.decompress && typed) {
            Some(coding) if !is_acceptable(accepted(), coding) && length != Some(0) => {
                Verdict::Recode(Recoding::Decode(coding))
            }
            Some(_) => vary(head, text, Some(Uncompressed::Encoded)),
            None => Verdict::Leave(Some(Uncompressed::Encoded)),
        };
    }
    let (coding, needed) = match negotiate(accepted(), &rule.codings) {
        Choice::Coded(coding) => (coding, false),
        Choice::Needed(coding) => (coding, true),
        Choice::Identity if typed => return vary(head, text, Some(Uncompressed::NotAccepted)),
        Choice::Identity => return Verdict::Leave(Some(Uncompressed::Type)),
    };
    if !typed && !needed {
        return Verdict::Leave(Some(Uncompressed::Type));
    }
    let short = length.is_some_and(|length| length == 0 || length < rule.min_size && !needed);
    if short {
        return vary(head, text, Some(Uncompressed::Size));
    }
    if may_tell(setting) {
        return vary(head, text, Some(Uncompressed::Breach));
    }
    match rule.effort(coding, setting.busy) {
        Effort::Full(level) => Verdict::Recode(Recoding::Encode { coding, level, lowered: false, needed }),
        Effort::Lowered(level) => Verdict::Recode(Recoding::Encode { coding, level, lowered: true, needed }),
        Effort::None if needed => {
            let level = coding.fastest();
            Verdict::Recode(Recoding::Encode { coding, level, lowered: true, needed })
        }
        Effort::None => vary(head, text, Some(Uncompressed::Load)),
    }
}

/// An answer whose body stays as it is, while another client could get another one.
fn vary(head: &ResponseHead, text: &[u8], why: Option<Uncompressed>) -> Verdict {
    if varies(head, text) { Verdict::Leave(why) } else { Verdict::Recode(Recoding::Vary(why)) }
}

/// What a 304 says must be what the 200 would have said (RFC 9110 §15.4.5), which the client has.
fn not_modified(setting: &Setting<'_>, head: &ResponseHead, text: &[u8]) -> Verdict {
    let kind = head.find(Name::ContentType).map(|field| field.value.of(text));
    if kind.is_some_and(|kind| !setting.rule.types.has(kind)) {
        return Verdict::Leave(None);
    }
    if has_weakened(setting.request, setting.asked, head, text) {
        return Verdict::Recode(Recoding::WeakTag);
    }
    vary(head, text, None)
}

/// Whether the length of the answer could tell what is in it: somebody who has the client ask, with its credentials, for what holds a
/// guess of his beside a secret, sees by the length whether they are alike (BREACH).
fn may_tell(setting: &Setting<'_>) -> bool {
    let Setting { rule, request, asked, secure, certified, .. } = *setting;
    if rule.breach == Breach::Off || !secure {
        return false;
    }
    // A token that a script has to add is none that another site can have a browser send.
    let sent_by_itself = |value: &[u8]| {
        let scheme = value.split(|&byte| byte == b' ').next().unwrap_or_default();
        !scheme.eq_ignore_ascii_case(b"bearer")
    };
    let has_credentials = certified
        || request.find(Name::Cookie).is_some()
        || request.values(asked, b"authorization").any(sent_by_itself);
    has_credentials && (rule.breach == Breach::Credentials || is_cross_site(request, asked))
}

/// Whether another site has made the request. Browsers say so by `Sec-Fetch-Site` over TLS; those that do not by where they come from,
/// if they say that.
fn is_cross_site(request: &RequestHead, asked: &[u8]) -> bool {
    if let Some(site) = request.values(asked, b"sec-fetch-site").next() {
        return site.eq_ignore_ascii_case(b"cross-site");
    }
    let host = request.authority.of(asked);
    let is_foreign = |from: &[u8]| {
        let authority = memchr::memmem::find(from, b"://").map_or(&b""[..], |at| &from[at + 3..]);
        let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(authority.len());
        !authority[..end].eq_ignore_ascii_case(host)
    };
    request.values(asked, b"origin").chain(request.values(asked, b"referer")).any(is_foreign)
}

fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

fn is_identity(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"identity")
}

/// Whether an answer says that it depends on what the client accepts.
fn varies(head: &ResponseHead, text: &[u8]) -> bool {
    let says = |member: &[u8]| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding");
    head.values(text, b"vary").flat_map(members).any(says)
}

impl Recoding {
    /// Makes a head say what the answer becomes. `text` holds the head alone; what is new is put behind it.
    pub(in crate::http) fn rewrite(self, head: &mut ResponseHead, text: &mut Vec<u8>) {
        if !varies(head, text) {
            let first = head.fields.iter_mut().find(|field| is(field, text, b"vary"));
            match first {
                Some(field) => {
                    let value = [field.value.of(text), b", Accept-Encoding"].concat();
                    field.value = put(text, &value);
                }
                None => add(head, text, b"Vary", b"Accept-Encoding"),
            }
        }
        if let Self::Vary(_) = self {
            return;
        }
        if self != Self::WeakTag {
            head.fields.retain(|field| !is_of_other_bytes(field, text));
        }
        weaken(head, text);
        if let Self::Encode { coding, .. } = self {
            add(head, text, b"Content-Encoding", coding.token().as_bytes());
        }
    }

    /// Why the answer is not compressed, where it is not.
    pub(in crate::http) fn skipped(self) -> Option<Uncompressed> {
        if let Self::Vary(why) = self { why } else { None }
    }
}

/// Makes a head say nothing of the bytes that its target has sent, which are edited.
pub(super) fn edited(head: &mut ResponseHead, text: &mut Vec<u8>) {
    head.fields.retain(|field| !is_of_other_bytes(field, text));
    weaken(head, text);
}

/// Makes the tag of an answer weak: the bytes are others on the other side of us.
pub(super) fn weaken(head: &mut ResponseHead, text: &mut Vec<u8>) {
    head.fields.retain_mut(|field| {
        if !is(field, text, b"etag") {
            return true;
        }
        let tag = field.value.of(text).to_vec();
        match tags::kind(&tag) {
            Kind::Strong => field.value = put(text, &[b"W/", &tag[..]].concat()),
            Kind::Weak => {}
            // Nobody could compare it.
            Kind::Malformed => return false,
        }
        true
    });
}

/// Whether the client has the tag of an answer in its weak form alone.
pub(super) fn has_weakened(request: &RequestHead, asked: &[u8], head: &ResponseHead, text: &[u8]) -> bool {
    let tag = head.values(text, b"etag").next().filter(|tag| tags::kind(tag) == Kind::Strong);
    let conditions: Vec<_> = request.values(asked, b"if-none-match").collect();
    tag.is_some_and(|tag| tags::has_weakened(conditions.into_iter(), tag))
}

/// Whether a field tells of the very bytes that are changed.
fn is_of_other_bytes(field: &Field, text: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] =
        [b"accept-ranges", b"content-digest", b"content-encoding", b"content-md5", b"digest", b"repr-digest"];
    field.kind == Name::ContentLength || NAMES.into_iter().any(|name| is(field, text, name))
}

fn is(field: &Field, text: &[u8], name: &[u8]) -> bool {
    field.name.len() == name.len() && field.name.of(text).eq_ignore_ascii_case(name)
}

/// Puts a value where spans can name it.
fn put(text: &mut Vec<u8>, value: &[u8]) -> Span {
    let start = text.len();
    text.extend_from_slice(value);
    Span::new(start, text.len())
}

fn add(head: &mut ResponseHead, text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let name = put(text, name);
    text.extend_from_slice(b": ");
    let value = put(text, value);
    text.extend_from_slice(b"\r\n");
    head.fields.push(Field { name, value, kind: Name::Other });
}

/// The length of the body that the answer has, or would have to GET.
pub(super) fn length(head: &ResponseHead, text: &[u8], method: Method, framed: Option<u64>) -> Option<u64> {
    let stated = || {
        let value = head.find(Name::ContentLength)?.value.of(text);
        std::str::from_utf8(value).ok()?.parse().ok()
    };
    if method == Method::Head { stated() } else { framed }
}

#[cfg(test)]
mod tests;
