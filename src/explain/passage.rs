//! TLS that a route passes on before anybody sees a request.

use super::explanation::Explanation;
use super::listener::listens_on;
use super::onward::{self, Target};
use super::request::Request;
use crate::config::url::Url;
use crate::observe::reason::Reason;
use crate::plan::{Action, Listener, Passages, Plan, Protocol};
use serde::Serialize;

/// How TLS is passed on.
#[derive(Clone, Debug, Serialize)]
pub struct Passed {
    /// The name that the client asks for.
    pub sni: Option<String>,
    /// The protocols that it offers.
    pub alpn: Vec<String>,
    /// The pool.
    pub pool: String,
    /// How it chooses.
    pub balance: &'static str,
    /// All targets.
    pub targets: Vec<Target>,
    /// By which PROXY header the target is told of the client: "v1", "v2", "v2-crc32c"; null if by none.
    pub send_proxy: Option<&'static str>,
}

/// What becomes of a connection for `url` whose TLS is passed on, or could be if it asked for another name. `None`: TLS ends
/// here, or there is none.
pub(super) fn explain(plan: &Plan, url: &Url, request: &Request, name: Option<&str>) -> Option<Explanation> {
    if !url.secure {
        return None;
    }
    let (listener, passages) = listener_of(plan, url, request.listener.as_deref())?;
    let offered = offered(request);
    let route = passages.find(name, offered.iter().map(|protocol| protocol.as_bytes()));
    let pool = match (route.map(|route| &plan.routes[route].action), &listener.protocol) {
        (Some(Action::Pass(pool)), _) => Some(*pool),
        (None, Protocol::Tcp { pool }) if listener.tls.is_none() => *pool,
        _ => return None,
    };
    let asks = match (name, &offered[..]) {
        (Some(name), offered) => format!("the handshake asks for `{name}` and offers {}", offered.join(", ")),
        (None, offered) => format!("the handshake asks for no name and offers {}", offered.join(", ")),
    };
    let mut explanation = Explanation::of(request, &listener.name, "its TLS is looked at, and not opened");
    explanation.route = route.map(|route| plan.routes[route].name.clone());
    explanation.notes.push(asks);
    match pool {
        Some(pool) => {
            let shared = &plan.pools[pool].shared;
            explanation.outcome = "passthrough";
            explanation.passthrough = Some(Passed {
                sni: name.map(str::to_owned),
                alpn: offered,
                pool: shared.name.clone(),
                balance: onward::balance(shared.balance),
                targets: onward::targets(shared),
                send_proxy: onward::form(shared.send_proxy),
            });
        }
        None => {
            explanation.outcome = "refuse";
            (explanation.reason, explanation.word) =
                (Some(Reason::UnknownName.word()), Some(Reason::UnknownName.word()));
        }
    }
    Some(explanation)
}

/// The listener of that name, or the one that the URL leads to, if it passes TLS on.
fn listener_of<'p>(plan: &'p Plan, url: &Url, named: Option<&str>) -> Option<(&'p Listener, &'p Passages)> {
    let passing = plan.listeners.iter().filter_map(|listener| {
        let passages = listener.front.as_ref()?.passages.as_ref()?;
        Some((&**listener, passages))
    });
    let fits = |listener: &Listener| match named {
        Some(name) => listener.name == name,
        None => listens_on(listener, url.dialled()),
    };
    let mut fitting = passing.filter(|(listener, _)| fits(listener));
    let first = fitting.next();
    first.filter(|_| fitting.next().is_none())
}

/// What a client offers that speaks as the request does.
fn offered(request: &Request) -> Vec<String> {
    match (&request.alpn[..], request.http2) {
        ([], true) => vec!["h2".to_owned()],
        ([], false) => vec!["http/1.1".to_owned()],
        (named, _) => named.to_vec(),
    }
}
