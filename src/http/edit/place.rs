//! Where things are for the client of an exchange, and for whoever answers it.

use super::back::Place;
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::head::{Name, RequestHead};
use crate::plan::{Action, Back, Host};

/// Calls `then` with where things are. It goes by the route alone, not by the target that has answered: what another client got
/// from another target is put back as well.
pub(super) fn with(exchange: &Exchange<'_>, back: &Back, then: impl FnOnce(&Place<'_>)) {
    let Connection { era, listener, http, peer, .. } = exchange.connection;
    let Some(route) = era.plan.routes.get(exchange.outcome.route) else { return };
    let Action::Forward(rule) = &route.action else { return };
    let pool = &era.plan.pools[rule.pool].shared;
    let (head, text) = (&exchange.heads.request, &exchange.text[..]);
    let trusted = !http.trusted_proxies.is_empty() && http.trusts(peer.ip);
    let told = |kind: Name| said(head, text, kind).filter(|_| trusted);
    let is_target = |host: Option<&[u8]>, port: u16| {
        pool.targets.iter().any(|target| match &target.address {
            crate::net::Address::Ip(address) => {
                let authority = target.authority();
                let end = memchr::memrchr(b':', authority).unwrap_or(authority.len());
                (port == 0 || port == address.port())
                    && host.is_none_or(|host| host.eq_ignore_ascii_case(&authority[..end]))
            }
            crate::net::Address::Unix(_) => false,
        })
    };
    let own = rule.scheme.unwrap_or(listener.scheme());
    then(&Place {
        client_prefix: back.client_prefix.as_bytes(),
        target_prefix: back.target_prefix.as_bytes(),
        maps_paths: back.maps_paths,
        scheme: match told(Name::XForwardedProto) {
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => b"https",
            Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => b"http",
            _ => own.as_bytes(),
        },
        authority: told(Name::XForwardedHost).unwrap_or(head.authority.of(text)),
        target_scheme: if pool.tls.is_some() { b"https" } else { b"http" },
        knows_client: rule.host == Host::Client,
        host: match &rule.host {
            Host::Fixed(name) => Some(name.as_bytes()),
            Host::Client | Host::Target => None,
        },
        is_target: &is_target,
    });
}

/// What a proxy in front says, by the first member of its list.
fn said<'t>(head: &RequestHead, text: &'t [u8], kind: Name) -> Option<&'t [u8]> {
    let value = head.find(kind)?.value.of(text);
    let first = value.split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
    Some(first).filter(|first| !first.is_empty())
}
