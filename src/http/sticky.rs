//! Where a client belongs: what its request says of that, and what is noted and told once a target has answered.
//!
//! Nothing of this is done for a pool that is not sticky.

use super::connection::Connection;
use super::cookies;
use super::exchange::Exchange;
use super::h1::{self, Marking};
use super::head::{Name, RequestHead, ResponseHead};
use super::request;
use crate::net::coarse_now;
use crate::observe::reason::{CookieAsked, CookieSet, Cookies, Sticking};
use crate::observe::wall;
use crate::upstream::sticky::{By, Cookie, Dates, Mode, Noted, Read, Sticky, Under};
use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

/// What a request says of where its client belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck {
    /// The target that it belongs to, by its place.
    pub(super) owner: Option<usize>,
    /// Whether it is refused rather than sent to another one.
    strict: bool,
    /// How it stands, where it belongs to none.
    how: Sticking,
    /// When it first got the cookie, if that is told.
    first: Option<u64>,
    /// Whether the cookie is to be set anew although it is right.
    is_stale: bool,
    /// What its target is noted under.
    key: Option<u64>,
    /// What the answer has said of the cookie; `None` where there is none.
    set: Option<CookieSet>,
}

impl Stuck {
    /// Looks at a request of a client at `ip`.
    pub(super) fn look(sticky: &Sticky, head: &RequestHead, text: &[u8], ip: IpAddr, now: Duration) -> Self {
        let stuck = match &sticky.by {
            By::Cookie(cookie) => Self::by_cookie(cookie, head, text),
            By::Table(noted) => Self::by_table(noted, head, text, ip, now),
        };
        Self { strict: sticky.strict, ..stuck }
    }

    /// Whether it may be sent to the target that it belongs to, and to no other.
    pub(super) fn is_bound(&self) -> bool {
        self.strict && self.owner.is_some()
    }

    fn by_cookie(cookie: &Cookie, head: &RequestHead, text: &[u8]) -> Self {
        let set = Some(CookieSet::NotThere);
        let mut stuck =
            Self { owner: None, strict: false, how: Sticking::New, first: None, is_stale: false, key: None, set };
        let now = if cookie.has_dates() { wall::now() } else { 0 };
        for value in named(head, text, &cookie.name) {
            let said = match cookie.mode {
                Mode::Prefix => h1::split_prefix(value).map(|(said, _)| said),
                _ => Some(value),
            };
            let how = match said.map(|said| cookie.read(said, now)) {
                Some(Read::Target { place, first, is_stale }) => {
                    return Self { owner: Some(place), first, is_stale, ..stuck };
                }
                Some(Read::Unknown) => Sticking::Unknown,
                Some(Read::Idle) => Sticking::Idle,
                Some(Read::Old) => Sticking::Old,
                None => Sticking::New,
            };
            if stuck.how == Sticking::New {
                stuck.how = how;
            }
        }
        stuck
    }

    fn by_table(noted: &Noted, head: &RequestHead, text: &[u8], ip: IpAddr, now: Duration) -> Self {
        let key = match &noted.under {
            Under::Source { .. } => noted.source(ip),
            Under::Learned { cookie, header, query } => {
                let cookie = cookie.iter().flat_map(|name| named(head, text, name));
                let header = header.iter().flat_map(|name| head.values(text, name.as_bytes()));
                let value = cookie.chain(header).find(|value| !value.is_empty());
                let value = value.or_else(|| {
                    let value = request::named(head.query?.of(text), b'&', query.as_ref()?.as_bytes());
                    value.filter(|value| !value.is_empty())
                });
                value.map(Noted::key)
            }
        };
        let owner = key.and_then(|key| noted.find(key, now));
        let is_told = key.is_some() && !matches!(noted.under, Under::Source { .. });
        let how = if is_told { Sticking::Unknown } else { Sticking::New };
        Self { owner, strict: false, how, first: None, is_stale: false, key, set: None }
    }

    /// The target at `target` is to be asked. Clients that come several at a time from one address then go to the same.
    pub(super) fn chosen(&self, sticky: &Sticky, target: usize) {
        if let (Some(noted), Some(key), None) = (sticky.noted(), self.key, self.owner)
            && matches!(noted.under, Under::Source { .. })
        {
            noted.claim(key, target, coarse_now());
        }
    }

    /// Notes that the client belongs to the target at `target`, which has answered; `tries`: how many were asked.
    fn note(&self, noted: &Noted, target: usize, tries: u32, head: &ResponseHead, text: &[u8]) {
        let now = coarse_now();
        let mut is_told = false;
        if let Under::Learned { cookie, header, .. } = &noted.under {
            let cookies = head.fields.iter().filter(|field| field.kind == Name::SetCookie);
            let set = cookies.filter_map(|field| cookies::set(field.value.of(text)));
            let set = set.filter(|(name, ..)| cookie.as_ref().is_some_and(|cookie| cookie.as_bytes() == *name));
            let headers = header.iter().flat_map(|name| head.values(text, name.as_bytes()));
            for value in set.map(|(_, value, _)| value).chain(headers).filter(|value| !value.is_empty()) {
                noted.note(Noted::key(value), target, now);
                is_told = true;
            }
        }
        match (self.key, self.owner) {
            (Some(key), None) if !is_told && tries <= 1 => noted.claim(key, target, now),
            (Some(key), owner) if !is_told && owner != Some(target) => noted.note(key, target, now),
            _ => {}
        }
    }

    /// What the answer of the target at `target` is to say.
    fn marking<'a>(&self, cookie: &'a Cookie, target: usize, secure: bool) -> Marking<'a> {
        let stays = self.owner == Some(target);
        let tells = match (stays, self.is_stale) {
            (false, _) => Some(CookieSet::Inserted),
            (true, true) => Some(CookieSet::Updated),
            (true, false) => None,
        };
        let dates = (cookie.has_dates() && tells.is_some()).then(|| {
            let last = wall::now();
            Dates { last, first: self.first.filter(|_| stays).unwrap_or(last) }
        });
        Marking { cookie, target, tells, dates, secure, done: Cell::new(CookieSet::NotThere) }
    }

    /// How the client stands once the target at `target` was the last that was asked.
    pub(super) fn stands(&self, target: Option<usize>) -> Sticking {
        match (self.owner, target) {
            (None, _) => self.how,
            (owner, target) if owner == target => Sticking::Kept,
            _ if self.strict => Sticking::Refused,
            _ => Sticking::Moved,
        }
    }

    /// The same as HAProxy's letters.
    pub(super) fn cookies(&self, target: Option<usize>) -> Cookies {
        let Some(set) = self.set else { return Cookies::default() };
        let asked = match self.stands(target) {
            Sticking::New => CookieAsked::None,
            Sticking::Kept => CookieAsked::Valid,
            Sticking::Moved | Sticking::Refused => CookieAsked::Down,
            Sticking::Unknown => CookieAsked::Invalid,
            Sticking::Idle => CookieAsked::Expired,
            Sticking::Old => CookieAsked::Old,
        };
        Cookies { asked, set }
    }
}

/// Looks at where the client belongs.
pub(super) fn look(exchange: &mut Exchange<'_>, sticky: &Sticky) {
    let ip = exchange.outcome.client.ip();
    let stuck = Stuck::look(sticky, &exchange.heads.request, &exchange.text, ip, coarse_now());
    exchange.heads.sticky = Some(stuck);
}

/// Writes the head of an answer by `write`, which is told what it is to say of where the client belongs.
pub(super) fn tell<'a>(
    exchange: &mut Exchange<'_>,
    sticky: Option<&'a Sticky>,
    target: usize,
    text: &[u8],
    write: impl FnOnce(&Exchange<'_>, Option<&Marking<'a>>),
) {
    let (Some(sticky), Some(stuck)) = (sticky, exchange.heads.sticky) else { return write(exchange, None) };
    match &sticky.by {
        By::Table(noted) => {
            stuck.note(noted, target, exchange.outcome.tries, &exchange.heads.response, text);
            write(exchange, None);
        }
        By::Cookie(cookie) => {
            let marking = stuck.marking(cookie, target, is_secure(exchange));
            write(exchange, Some(&marking));
            exchange.heads.sticky = Some(Stuck { set: Some(marking.done.get()), ..stuck });
        }
    }
}

/// Whether the client came over TLS, here or at a proxy that counts.
pub(super) fn is_secure(exchange: &Exchange<'_>) -> bool {
    let Connection { listener, http, peer, .. } = exchange.connection;
    let says = || exchange.heads.request.find(Name::XForwardedProto).map(|field| field.value.of(&exchange.text));
    listener.tls.is_some() || http.trusts(peer.ip) && says().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
}

/// The values of all cookies of that name.
fn named<'a>(head: &'a RequestHead, text: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let fields = head.fields.iter().filter(|field| field.kind == Name::Cookie);
    let pairs = fields.flat_map(|field| cookies::pairs(field.value.of(text)));
    pairs.filter(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
}
