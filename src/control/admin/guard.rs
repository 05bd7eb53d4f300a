//! Who may ask for what.
//!
//! A Unix socket lets in its user alone, who may do everything. Over TCP, changes need the token; an address that other hosts can
//! reach asks for it always, but for the two probes. A browser on this host that was led here by another site gets nothing: by
//! another site's name (DNS rebinding) Host is not ours, and what changes something is refused when another site asks for it. Who
//! is signed in ([`session`]) counts as who shows the token.

use super::problem::Problem;
use super::session;
use super::token::Token;
use crate::control::command::Asker;
use crate::control::dashboard;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long a wrong token has to wait for its answer: with the connections that there may be at a time, it bounds how many are tried.
const GUESS: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 300 });

/// How operators come in.
pub(super) enum Way {
    /// Over TCP.
    Tcp { listen: SocketAddr, token: Option<Arc<Token>> },
    /// By a Unix socket.
    Socket,
}

/// Who has sent a request.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) way: Arc<Way>,
    pub(super) peer: String,
}

impl Caller {
    /// As the log and the history name it.
    pub(super) fn asker(&self) -> Asker {
        Asker::Admin(self.peer.clone())
    }
}

/// Before every request.
pub(super) async fn all(request: Request, next: Next) -> Response {
    match admit(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => refuse(guess(&request, &problem), problem).await,
    }
}

/// Before every request that changes something.
pub(super) async fn changes(request: Request, next: Next) -> Response {
    match admit_change(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => refuse(guess(&request, &problem), problem).await,
    }
}

/// Who has shown a token that is wrong.
fn guess(request: &Request, problem: &Problem) -> Option<Caller> {
    let guessed = problem.status == StatusCode::UNAUTHORIZED.as_u16() && request.headers().contains_key(AUTHORIZATION);
    caller(request).ok().filter(|_| guessed).cloned()
}

/// Who guesses gets to know late that it was wrong, and is told of in the log.
async fn refuse(guess: Option<Caller>, problem: Problem) -> Response {
    if let Some(Caller { way, peer }) = guess
        && let Way::Tcp { token: Some(token), .. } = &*way
    {
        token.guessed(&peer);
        sleep(GUESS).await;
    }
    problem.into_response()
}

fn admit(request: &Request) -> Result<(), Problem> {
    let Way::Tcp { listen, token } = &*caller(request)?.way else { return Ok(()) };
    let token = token.as_deref();
    if listen.ip().is_loopback() {
        if !host(request).is_some_and(|host| is_ours(&host, listen.ip())) {
            let what = "Host must be localhost or the address of the admin listener";
            return Err(Problem::new(StatusCode::FORBIDDEN, what));
        }
        // One that is shown is to be right.
        return match (token, request.headers().contains_key(AUTHORIZATION)) {
            (Some(token), true) => check(request.headers(), token),
            _ => Ok(()),
        };
    }
    match token {
        // The page is the same for everybody, and holds nothing.
        _ if matches!(request.uri().path(), "/healthz" | "/readyz") || dashboard::is_page(request.uri().path()) => {
            Ok(())
        }
        Some(token) => check(request.headers(), token),
        None => Err(read_only()),
    }
}

fn admit_change(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let is_socket = matches!(*caller(request)?.way, Way::Socket);
    let origin_is_ours = headers.get_all(ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok();
        // Browsers come to a socket through a listener, which may have TLS.
        let secure = origin.filter(|_| is_socket).and_then(|origin| origin.strip_prefix("https://"));
        let named = secure.or(origin.and_then(|origin| origin.strip_prefix("http://")));
        named.is_some() && named == headers.get(HOST).and_then(|host| host.to_str().ok())
    });
    if !matches!(site, None | Some(b"same-origin" | b"none")) || !origin_is_ours {
        return Err(Problem::new(StatusCode::FORBIDDEN, "a page of another site asks for a change"));
    }
    match &*caller(request)?.way {
        Way::Socket => Ok(()),
        Way::Tcp { token: Some(token), .. } => check(headers, token),
        Way::Tcp { token: None, .. } => Err(read_only()),
    }
}

fn read_only() -> Problem {
    let what = "without admin.token_file this is read only: set it, or use admin.socket";
    Problem::new(StatusCode::FORBIDDEN, what)
}

fn caller(request: &Request) -> Result<&Caller, Problem> {
    let nobody = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it is not known who asks");
    request.extensions().get::<Caller>().ok_or_else(nobody)
}

/// Whether who sends this could change something.
pub(super) fn may_change(caller: &Caller, headers: &HeaderMap) -> bool {
    match &*caller.way {
        Way::Socket => true,
        Way::Tcp { token: Some(token), .. } => check(headers, token).is_ok(),
        Way::Tcp { token: None, .. } => false,
    }
}

fn check(headers: &HeaderMap, token: &Token) -> Result<(), Problem> {
    if !headers.contains_key(AUTHORIZATION) && headers.contains_key(session::FIELD) {
        let ended = || Problem::new(StatusCode::UNAUTHORIZED, "you are not signed in any more: sign in again");
        return session::ends(headers, token).map(|_| ()).ok_or_else(ended);
    }
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let only = shown.next().filter(|_| shown.next().is_none()).map(|value| value.as_bytes());
    let told = match only.and_then(|value| value.split_at_checked(7)) {
        Some((scheme, value)) if scheme.eq_ignore_ascii_case(b"bearer ") => match token.is(value.trim_ascii()) {
            true => return Ok(()),
            false => "this is not the token of admin.token_file",
        },
        _ => "show the token of admin.token_file as `Authorization: Bearer …`",
    };
    Err(Problem::new(StatusCode::UNAUTHORIZED, told))
}

/// What the request names: the target in absolute form, or else the one Host header (RFC 9112 §3.2.2).
fn host(request: &Request) -> Option<String> {
    match request.uri().authority() {
        Some(authority) => Some(authority.host().to_owned()),
        None => {
            let mut hosts = request.headers().get_all(HOST).iter();
            let only = hosts.next().filter(|_| hosts.next().is_none());
            only.and_then(|host| Authority::try_from(host.as_bytes()).ok()).map(|host| host.host().to_owned())
        }
    }
}

fn is_ours(host: &str, listen: IpAddr) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback() || ip == listen,
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_host_are_ours_and_no_others() {
        let listen = "10.1.2.3".parse().unwrap();
        for host in ["localhost", "LOCALHOST.", "127.9.9.9", "[::1]", "10.1.2.3"] {
            assert!(is_ours(host, listen), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", ""] {
            assert!(!is_ours(host, listen), "{host}");
        }
    }
}
