//! What becomes of a request whose head was read: decided by the plan and the request alone.
//!
//! What always holds: it waits for nothing, asks nobody and changes nothing but the room that it is lent, so that
//! `ringway explain` and the tests of a configuration say what the data plane does by doing the same.
//!
//! May use the plan, heads and replies; no connection.

use super::exchange::Heads;
use super::forward::Path;
use super::head::{Method, TargetForm};
use super::reply::Reply;
use super::request::{self, View};
use crate::net::Peer;
use crate::observe::reason::Reason;
use crate::plan::path::{self, Verdict};
use crate::plan::{Action, Aggregate, Forward, Http, Listener, Respond, Route, Site};
use crate::tls::{Edge, Facts};
use std::net::SocketAddr;
use std::sync::Arc;

/// Where a request came in.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) routes: &'a [Route],
    pub(super) listener: &'a Listener,
    pub(super) http: &'a Http,
    /// What the handshake agreed on; `None` in clear.
    pub(super) session: Option<&'a Facts>,
    /// The answer to `OPTIONS` that ends here.
    pub(super) options: &'a Arc<Respond>,
    pub(super) peer: Peer,
    /// Whether whoever came in here is to leave.
    pub(super) leaving: bool,
    /// Seconds since 1970, for routes that come to an end.
    pub(super) clock: fn() -> u64,
    /// By chance a number from 0 to 1, for those of which a share of requests is refused.
    pub(super) chance: fn() -> f64,
}

/// What is to be done with a request, and for whom.
pub(super) struct Decided<'a> {
    /// Who asks: the peer, or whom a trusted proxy names.
    pub(super) client: SocketAddr,
    /// The route's position in the plan, if one takes it.
    pub(super) route: Option<usize>,
    pub(super) decision: Decision<'a>,
}

/// What is to be done with a request.
pub(super) enum Decision<'a> {
    Forward(&'a Arc<Forward>, Path),
    Files(&'a Arc<Site>, Path),
    Aggregate(&'a Arc<Aggregate>, Path),
    Reply(Reply),
    /// What a browser that asks beforehand is answered, by which rule, and whether it may do what it asks for.
    Preflight(Reply, usize, bool),
}

/// Finds what the plan says about the request in `heads`, whose bytes are `text`. `final_hop` as the codec read it;
/// `is_misdirected` says whether the handshake was for another host, and is asked where TLS ended here.
#[inline]
pub(super) fn decide<'a>(
    setting: &Setting<'a>,
    heads: &mut Heads,
    text: &[u8],
    final_hop: bool,
    is_misdirected: impl FnOnce(&Edge, &[u8]) -> bool,
) -> Decided<'a> {
    let Setting { routes, listener, http, session, options, peer, leaving, clock, chance } = *setting;
    let Heads { request, path, spare, hosts, unclear, .. } = heads;
    let client = request::client_address(http, peer, request, text);
    let here = |decision| Decided { client, route: None, decision };
    let host = match hosts.canonical(request.authority.of(text), listener.own_port()) {
        Ok(host) => host,
        Err(_) => return here(Decision::Reply(Reply::refusal(400, Reason::BadHost))),
    };
    if listener.tls.as_ref().is_some_and(|edge| is_misdirected(edge, host.name) || listener.passes(host.name)) {
        return here(Decision::Reply(Reply::refusal(421, Reason::Misdirected)));
    }
    if let Some(text) = http.answers.as_ref().and_then(|answers| answers.text(request.path.of(text))) {
        return here(Decision::Reply(Reply::challenge(text)));
    }
    if http.redirect_https {
        return here(Decision::Reply(Reply::to_https(request, text, host)));
    }
    if final_hop {
        return here(Decision::Reply(Reply::fixed(options)));
    }
    let raw = raw_path(request.form, request.path.of(text));
    let verdict = path::normalise(raw, path);
    let normal: &[u8] = if verdict == Verdict::Plain { raw } else { path };
    let view = View {
        head: request,
        text,
        host: host.name,
        path: normal,
        client: client.ip(),
        instead: None,
        listener,
        session,
        unclear,
    };
    if request.method == Method::Options
        && let Some(decided) = beforehand(setting, &view, verdict, spare, client)
    {
        return decided;
    }
    let admitted = match http.router.admit(&view, verdict, spare) {
        Ok(admitted) => admitted,
        Err(refusal) => return here(Decision::Reply(Reply::ambiguous_path(refusal.reason()))),
    };
    let path = Path { plain: verdict == Verdict::Plain, send: admitted.forward };
    let Some(&route) = admitted.found.and_then(|found| http.routes.get(found.route)) else {
        return here(match &http.fallback {
            Some(forward) => Decision::Forward(forward, path),
            None => Decision::Reply(Reply::refusal(404, Reason::NoRoute)),
        });
    };
    let found = &routes[route];
    if let Some(maintenance) = &found.maintenance
        && maintenance.keeps_out(client.ip())
    {
        let reply = Reply::maintenance(maintenance.status, maintenance.retry_after);
        return Decided { client, route: Some(route), decision: Decision::Reply(reply) };
    }
    if let Some(lifecycle) = &found.lifecycle
        && let Some(refused) = lifecycle.refuses(clock, chance)
    {
        return Decided { client, route: Some(route), decision: Decision::Reply(Reply::ending(&refused)) };
    }
    let decision = match &found.action {
        Action::Forward(forward) => Decision::Forward(forward, path),
        Action::Files(site) => Decision::Files(site, path),
        Action::Aggregate(whole) => Decision::Aggregate(whole, path),
        Action::Respond(respond) => Decision::Reply(Reply::monitored(respond, leaving)),
        // It is on no router.
        Action::Pass(_) => Decision::Reply(Reply::refusal(404, Reason::NoRoute)),
        Action::Redirect(to) => Decision::Reply(Reply::redirect(to, request, text, host, listener.scheme())),
    };
    Decided { client, route: Some(route), decision }
}

/// What becomes of a request by which a browser asks beforehand (CORS preflight), if a route says whose scripts may read its
/// answers: it goes by the method that is asked for, and no rule but that one is asked.
#[cold]
fn beforehand<'a>(
    setting: &Setting<'a>,
    view: &View<'_>,
    verdict: Verdict,
    spare: &mut Vec<u8>,
    client: SocketAddr,
) -> Option<Decided<'a>> {
    let View { head, text, .. } = *view;
    let only = |name: &'static [u8]| {
        let mut values = head.values(text, name);
        values.next().filter(|_| values.next().is_none())
    };
    let (origin, method) = (only(b"origin")?, only(b"access-control-request-method")?);
    let view = View { instead: Some(method), ..*view };
    let found = setting.http.router.admit(&view, verdict, spare).ok()?.found?;
    let &route = setting.http.routes.get(found.route)?;
    let cors = setting.routes[route].cors.as_ref()?;
    let answer = cors.preflight(origin, only(b"access-control-request-headers"));
    let (reply, admitted) = match answer {
        Some(lines) => (Reply::preflight(lines), true),
        None => (Reply::refusal(403, Reason::Origin), false),
    };
    Some(Decided { client, route: Some(route), decision: Decision::Preflight(reply, cors.index, admitted) })
}

/// The path that routing begins with: a target that names none stands for `/`.
pub(super) fn raw_path(form: TargetForm, sent: &[u8]) -> &[u8] {
    match (form, sent) {
        (TargetForm::Asterisk, _) | (_, b"") => b"/",
        (_, raw) => raw,
    }
}
