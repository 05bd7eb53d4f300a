//! Browsers that are signed in: by a cookie that no script can read, and a key that the page keeps and shows in a header.
//!
//! What always holds: neither the cookie nor the key is worth anything alone. Cookies go to every port of a host, and so may come
//! into others' hands; the key goes to no other origin, and another site's page can send no header of ours. Both are sealed with the
//! token, so that they end with it, and nothing is kept here. All tabs of a browser are in one session.

use super::guard::{Caller, Way, may_change};
use super::problem::Problem;
use super::read::answer;
use super::token::Token;
use super::view::{NewSession, Session};
use crate::observe::wall::now;
use axum::Extension;
use axum::http::header::{COOKIE, HOST, SET_COOKIE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

/// The header with the key.
pub(super) const FIELD: &str = "ringway-session";
/// What the names of cookies begin with; a port follows, as browsers do not tell ports apart.
const COOKIE_NAME: &str = "ringway-admin-";
/// How long one lasts.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Cookies that are looked at: there is one for each port that was signed in at.
const COOKIES: usize = 16;
/// Bytes that say when a session ends.
const WHEN: usize = 8;
/// Bytes of a session: when it ends, and its name, which tells it from others.
const LENGTH: usize = WHEN + 16;
/// Bytes of a seal.
const SEAL: usize = 32;

type From = Extension<Caller>;

pub(super) async fn session(Extension(caller): From, headers: HeaderMap) -> Result<Response, Problem> {
    let token = token(&caller);
    let session = Session {
        changes: may_change(&caller, &headers),
        token: token.is_some(),
        ends: token.and_then(|token| ends(&headers, token)),
    };
    answer(200, None, &session)
}

/// Who gets here has shown the token.
pub(super) async fn sign_in(Extension(caller): From, headers: HeaderMap) -> Result<Response, Problem> {
    let nobody = || Problem::new(StatusCode::CONFLICT, "by the socket everything is allowed: nobody has to sign in");
    let token = token(&caller).ok_or_else(nobody)?;
    let mut session = [0; LENGTH];
    let ends = now() + LIFE.as_secs();
    session[..WHEN].copy_from_slice(&ends.to_be_bytes());
    // Tabs of a browser have one cookie: it goes on with the name that it has, or the others' keys would open nothing any more.
    match named(&headers, token).next() {
        Some((_, known)) => session[WHEN..].copy_from_slice(&known[WHEN..]),
        None => {
            let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the system has no random numbers");
            aws_lc_rs::rand::fill(&mut session[WHEN..]).map_err(broken)?;
        }
    }
    let sealed = [&session[..], token.seal(&of_cookie(&session)).as_ref()].concat();
    let key = URL_SAFE_NO_PAD.encode(token.seal(&of_key(&session)));
    let mut response = answer(201, None, &NewSession { key, ends })?;
    set(&mut response, &headers, &URL_SAFE_NO_PAD.encode(sealed), LIFE.as_secs());
    Ok(response)
}

pub(super) async fn sign_out(headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set(&mut response, &headers, "", 0);
    response
}

/// When the session ends that these headers have both halves of; `None`: they have none that counts.
pub(super) fn ends(headers: &HeaderMap, token: &Token) -> Option<u64> {
    let mut keys = headers.get_all(FIELD).iter();
    let key = URL_SAFE_NO_PAD.decode(keys.next().filter(|_| keys.next().is_none())?).ok()?;
    named(headers, token).find(|(_, session)| token.is_sealed(&of_key(session), &key)).map(|(ends, _)| ends)
}

/// The sessions that these headers have cookies of, sealed and not over, with when they end.
fn named<'a>(headers: &'a HeaderMap, token: &'a Token) -> impl Iterator<Item = (u64, [u8; LENGTH])> + 'a {
    cookies(headers).take(COOKIES).filter_map(|value| {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok().filter(|sealed| sealed.len() == LENGTH + SEAL)?;
        let (session, seal) = sealed.split_first_chunk::<LENGTH>()?;
        let ends = u64::from_be_bytes(session.first_chunk().copied()?);
        (token.is_sealed(&of_cookie(session), seal) && now() < ends).then_some((ends, *session))
    })
}

fn token(caller: &Caller) -> Option<&Token> {
    match &*caller.way {
        Way::Tcp { token, .. } => token.as_deref(),
        Way::Socket => None,
    }
}

fn of_cookie(session: &[u8]) -> Vec<u8> {
    [b"ringway admin cookie\0", session].concat()
}

/// The key is of the name alone: a later sign-in of the same browser leaves it as it is.
fn of_key(session: &[u8; LENGTH]) -> Vec<u8> {
    [b"ringway admin key\0", &session[WHEN..]].concat()
}

/// The values of cookies of ours.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| name.starts_with(COOKIE_NAME)).map(|(_, value)| value)
}

fn set(response: &mut Response, headers: &HeaderMap, value: &str, seconds: u64) {
    let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let port = host.and_then(|host| host.port_u16()).unwrap_or(80);
    let cookie = format!("{COOKIE_NAME}{port}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::sync::Arc;

    fn token(word: &str) -> Arc<Token> {
        let file = std::env::temp_dir().join(format!("ringway-session-{}-{word}", std::process::id()));
        std::fs::write(&file, word.repeat(16)).unwrap();
        let token = Token::open(&file).ok().unwrap();
        std::fs::remove_file(&file).unwrap();
        Arc::new(token)
    }

    fn caller(token: &Arc<Token>) -> Caller {
        let listen: SocketAddr = "127.0.0.1:9901".parse().unwrap();
        Caller { way: Arc::new(Way::Tcp { listen, token: Some(token.clone()) }), peer: "test".into() }
    }

    async fn signed_in(token: &Arc<Token>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost:9901"));
        let response = sign_in(Extension(caller(token)), headers).await.ok().unwrap();
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        let new: NewSession = serde_json::from_slice(&body).unwrap();
        let mut headers = HeaderMap::new();
        let cookies = format!("other=1; {}", cookie.split(';').next().unwrap());
        headers.insert(COOKIE, HeaderValue::from_str(&cookies).unwrap());
        headers.insert(FIELD, HeaderValue::from_str(&new.key).unwrap());
        headers
    }

    #[tokio::test]
    async fn both_halves_of_one_session_count_and_neither_alone() {
        let token = token("a");
        let (mine, other) = (signed_in(&token).await, signed_in(&token).await);
        assert!(ends(&mine, &token).is_some_and(|ends| ends > now()));
        for name in [COOKIE.as_str(), FIELD] {
            let mut half = mine.clone();
            half.remove(name);
            assert_eq!(ends(&half, &token), None, "without {name}");
            half.insert(axum::http::HeaderName::try_from(name).unwrap(), other[name].clone());
            assert_eq!(ends(&half, &token), None, "{name} of another session");
        }
        let mut twice = mine.clone();
        twice.append(FIELD, mine[FIELD].clone());
        assert_eq!(ends(&twice, &token), None);
    }

    #[tokio::test]
    async fn who_signs_in_in_another_tab_leaves_the_first_one_signed_in() {
        let token = token("d");
        let mine = signed_in(&token).await;
        let mut again = mine.clone();
        again.remove(FIELD);
        again.insert(HOST, HeaderValue::from_static("localhost:9901"));
        let response = sign_in(Extension(caller(&token)), again).await.ok().unwrap();
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut first_tab = mine.clone();
        first_tab.insert(COOKIE, HeaderValue::from_str(&cookie).unwrap());
        assert!(ends(&first_tab, &token).is_some(), "its key goes with the new cookie");
        assert_ne!(signed_in(&token).await[FIELD], mine[FIELD], "another browser has another");
    }

    #[tokio::test]
    async fn what_is_changed_or_of_another_token_does_not_count() {
        let (token, next) = (token("b"), token("c"));
        let headers = signed_in(&token).await;
        assert_eq!(ends(&headers, &next), None, "the token has changed");
        let cookie = headers[COOKIE].to_str().unwrap().to_owned();
        let value = cookie.split_once("9901=").unwrap().1;
        let mut later = URL_SAFE_NO_PAD.decode(value).unwrap();
        later[6] ^= 1;
        let forged = cookie.replace(value, &URL_SAFE_NO_PAD.encode(later));
        let mut changed = headers.clone();
        changed.insert(COOKIE, HeaderValue::from_str(&forged).unwrap());
        assert_eq!(ends(&changed, &token), None, "it would last longer");
        for junk in ["", "x", "====", &"A".repeat(5000)] {
            changed.insert(COOKIE, HeaderValue::from_str(&format!("ringway-admin-1={junk}")).unwrap());
            assert_eq!(ends(&changed, &token), None);
        }
    }
}
