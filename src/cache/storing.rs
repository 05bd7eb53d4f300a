//! Whether an answer may be stored, and what of it (RFC 9111 §3).

use super::control::listed;
use super::fields::Fields;
use super::freshness::{Freshness, Times};
use super::list::members;
use super::message::{Request, Response};
use super::rules::{Over, Rules, SetCookie};
use smallvec::SmallVec;

/// A method, as far as a cache treats it in a way of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD: it is served from what GET stored, and brings that up to date, but stores nothing.
    Head,
    /// POST: what it answers is stored for GET if it says that it is what a GET would be answered (RFC 9110 §9.3.3).
    Post,
    /// Methods that change nothing: OPTIONS, TRACE.
    Safe,
    /// All others: they are taken to change what they name.
    Unsafe,
}

impl Method {
    /// Of a token.
    pub fn of(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"OPTIONS" | b"TRACE" => Method::Safe,
            _ => Method::Unsafe,
        }
    }

    /// Whether a stored answer may be the answer.
    pub fn reads(self) -> bool {
        matches!(self, Method::Get | Method::Head)
    }

    /// Whether what it names is to be taken for changed once it is done (RFC 9111 §4.4).
    pub fn changes(self) -> bool {
        matches!(self, Method::Post | Method::Unsafe)
    }
}

/// Why an answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its method does not allow it, or it is POST and does not say what a GET would get.
    Method,
    /// The request has a field that says another method or another URI.
    Override,
    /// Its status does not allow it, or it is not known and must be.
    Status,
    /// The answer has `no-store`.
    NoStore,
    /// The request has `no-store`.
    RequestNoStore,
    /// It has `private`.
    Private,
    /// The request has Authorization, and the answer does not say that it may be shared.
    Authorization,
    /// Who the client is decides what it may see, and the answer does not say that it may be shared.
    Identity,
    /// It sets a cookie.
    SetCookie,
    /// It varies on everything.
    VaryAll,
    /// Nothing tells how long it is fresh.
    NoFreshness,
    /// It is stale, and cannot be validated.
    Stale,
    /// It has to be validated each time, and cannot be.
    NoValidator,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 13] = [
        Why::Method,
        Why::Override,
        Why::Status,
        Why::NoStore,
        Why::RequestNoStore,
        Why::Private,
        Why::Authorization,
        Why::Identity,
        Why::SetCookie,
        Why::VaryAll,
        Why::NoFreshness,
        Why::Stale,
        Why::NoValidator,
    ];

    /// The word for logs, metrics and the `detail` of Cache-Status.
    pub fn word(self) -> &'static str {
        match self {
            Why::Method => "method",
            Why::Override => "override",
            Why::Status => "status",
            Why::NoStore => "no-store",
            Why::RequestNoStore => "request-no-store",
            Why::Private => "private",
            Why::Authorization => "authorization",
            Why::Identity => "identity",
            Why::SetCookie => "set-cookie",
            Why::VaryAll => "vary-all",
            Why::NoFreshness => "no-freshness",
            Why::Stale => "stale",
            Why::NoValidator => "no-validator",
        }
    }

    /// Whether the next answer for the same key is likely to be turned away for the same reason, so that nobody should wait for it:
    /// all but what this one request brought with it.
    pub fn is_lasting(self) -> bool {
        !matches!(self, Why::Method | Why::Override | Why::RequestNoStore | Why::Authorization)
    }
}

/// Whether an answer may be stored, and how long it is fresh then. A part (206) is judged like the whole; it is for the caller to
/// keep it as a part. A POST may pass only if its Content-Location is the URI itself: this the caller looks at as well.
pub fn judge(
    method: Method,
    request: &Request<'_>,
    response: &Response<'_>,
    rules: &Rules,
    times: Times,
) -> Result<Freshness, Why> {
    let control = &response.control;
    match method {
        Method::Get => {}
        Method::Post if response.content_location.is_some() => {}
        _ => return Err(Why::Method),
    }
    if request.overrides {
        return Err(Why::Override);
    }
    if !is_storable(response) || control.must_understand && !is_known(response.status) {
        return Err(Why::Status);
    }
    if request.control.no_store {
        return Err(Why::RequestNoStore);
    }
    let ignored = rules.ttl(response.status).is_some_and(|ttl| ttl.over == Over::Everything);
    if control.no_store && !control.must_understand && !ignored {
        return Err(Why::NoStore);
    }
    if control.private && !ignored {
        return Err(Why::Private);
    }
    if request.authorization && !control.allows_authorized() {
        return Err(Why::Authorization);
    }
    if rules.identity && !control.public && control.s_maxage.is_none() {
        return Err(Why::Identity);
    }
    if response.varies_on_all {
        return Err(Why::VaryAll);
    }
    let freshness = Freshness::of(request, response, rules, times);
    if response.set_cookie {
        match rules.set_cookie {
            SetCookie::Never => return Err(Why::SetCookie),
            SetCookie::Explicit if !is_for_many(response) => return Err(Why::SetCookie),
            _ => {}
        }
    }
    let useful = freshness.is_fresh(0)
        || control.stale_while_revalidate.is_some_and(|seconds| seconds > 0)
        || control.stale_if_error.is_some_and(|seconds| seconds > 0);
    let said = freshness.is_explicit() || freshness.lifetime > 0 || control.no_cache || control.public;
    if method == Method::Post && !freshness.is_explicit() {
        Err(Why::NoFreshness)
    } else if control.no_cache && !ignored && !response.has_validator() {
        Err(Why::NoValidator)
    } else if !said {
        Err(Why::NoFreshness)
    } else if !useful && !response.has_validator() {
        Err(if freshness.is_explicit() { Why::Stale } else { Why::NoFreshness })
    } else {
        Ok(freshness)
    }
}

/// Whether an answer says that it is for more than one client: `max-age` alone stands on many a page that begins a session.
fn is_for_many(response: &Response<'_>) -> bool {
    response.control.public || response.control.s_maxage.is_some() || response.targeted
}

/// Whether an answer of its status can be an answer to others as well. What depends on the range or the preconditions of one
/// request is not; of parts, those are that say which part they are.
fn is_storable(response: &Response<'_>) -> bool {
    match response.status {
        206 => response.content_range.is_some(),
        304 | 412 | 416 | 417 | 421 | 425 => false,
        status => status >= 200,
    }
}

/// Whether we know what a status means for caching: those of RFC 9110 and its successors.
fn is_known(status: u16) -> bool {
    matches!(status, 200..=206 | 300..=303 | 305 | 307 | 308 | 400..=411 | 413..=415 | 422 | 426 | 428 | 429 | 431 | 451 | 500..=505)
        || status == 511
}

/// The fields of an answer that are not stored (RFC 9111 §3.1): those of one connection, those that its Connection names, those
/// that `no-cache="…"` and `private="…"` list; Age, which is written anew each time; Set-Cookie where it is stripped.
#[derive(Clone, Debug)]
pub struct Dropped<'a> {
    listed: SmallVec<[&'a [u8]; 4]>,
    cookies: bool,
}

impl<'a> Dropped<'a> {
    /// For this answer and its head.
    pub fn of(response: &Response<'_>, fields: &'a (impl Fields + ?Sized), rules: &Rules) -> Self {
        let mut dropped = Self { listed: SmallVec::new(), cookies: rules.set_cookie == SetCookie::Strip };
        if response.connection || response.control.lists_fields() {
            for (name, value) in fields.lines() {
                if name.eq_ignore_ascii_case(b"connection") {
                    dropped.listed.extend(members(value));
                } else if name.eq_ignore_ascii_case(b"cache-control") && response.control.lists_fields() {
                    dropped.listed.extend(listed(value));
                }
            }
        }
        dropped
    }

    /// Whether the field of this name is not stored.
    pub fn has(&self, name: &[u8]) -> bool {
        belongs_to_connection(name)
            || name.eq_ignore_ascii_case(b"age")
            || self.cookies && name.eq_ignore_ascii_case(b"set-cookie")
            || self.listed.iter().any(|listed| listed.eq_ignore_ascii_case(name))
    }
}

/// Whether a field is of one connection only (RFC 9110 §7.6.1) or for the next proxy only (RFC 9111 §3.1).
pub(super) fn belongs_to_connection(name: &[u8]) -> bool {
    let known: &[&[u8]] = match name.len() {
        2 => &[b"te"],
        7 => &[b"trailer", b"upgrade"],
        10 => &[b"connection", b"keep-alive"],
        16 => &[b"proxy-connection"],
        17 => &[b"transfer-encoding"],
        18 => &[b"proxy-authenticate"],
        19 => &[b"proxy-authorization"],
        25 => &[b"proxy-authentication-info"],
        _ => return false,
    };
    known.iter().any(|known| known.eq_ignore_ascii_case(name))
}
