//! People who log in with an OpenID provider (OpenID Connect Core, the code flow of §3.1, with PKCE).
//!
//! What always holds: what a browser keeps is sealed; a code counts only for the browser that began its login, once, and an identity token only
//! if the provider has signed it for us and for that login; nobody is sent back to another site. Only who looks at a page is sent
//! to log in: scripts and forms get 401. Without the provider nobody is let in who is not yet.

mod cookies;
mod login;
mod provider;
mod seal;
mod session;

pub use provider::Provider;

use super::jwt::{self, Claims};
use super::{Asked, Challenges, Denial, Halt, Named, Phase, Proven, Request, Rule, Who};
use crate::observe::reason::Reason;
use cookies::Jar;
use login::Login;
use provider::Step;
use quick_cache::sync::Cache;
use seal::Seal;
use session::Session;
use std::sync::Arc;

/// A rule of type oidc.
#[derive(Debug)]
pub struct Oidc {
    /// Its place among all rules.
    index: usize,
    provider: Provider,
    paths: Paths,
    /// How long somebody stays logged in at most, in seconds.
    lifetime: u64,
    sessions: Jar,
    logins: Box<str>,
    session_seal: Seal,
    login_seal: Seal,
    /// What tells cookies of this rule from tokens of others in caches.
    print: jwt::Print,
    challenge: Arc<str>,
    /// Sessions that are being renewed, by a hash of what the browser has: since when, in seconds since 1970.
    renewing: Renewing,
    named: Option<Named>,
}

/// Paths of ours, and the address that browsers know us by.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Where the provider sends browsers back to.
    pub callback: Box<str>,
    /// Where people log out.
    pub logout: Box<str>,
    /// Where they are sent then: a path, or a URL that the provider knows.
    pub after_logout: Box<str>,
    /// Scheme, host and port; `None`: as the request has them.
    pub origin: Option<Box<str>>,
}

struct Renewing(Cache<u64, u64>);

/// Sessions that can be in renewal at a time.
const RENEWALS: usize = 10_000;
/// How long a session that is being renewed is good as it is, in seconds: pages ask for much at once.
const GRACE: u64 = 30;
/// How soon whoever came while the provider was away may try again, in seconds.
const AGAIN: u32 = 5;
/// What a login's cookie is called beside the rule's: enough of its state that several may be under way.
const TAG: usize = 8;

impl Oidc {
    /// The rule at a place among all, whose cookies are called `cookie`; `realm` has no `"` and no `\`. Fails if no key can be made of
    /// the secret.
    ///
    /// # Errors
    /// A message for the user.
    pub fn new(
        index: usize,
        provider: Provider,
        (cookie, secret, realm): (&str, &[u8], &str),
        (paths, lifetime): (Paths, u64),
        named: Option<Named>,
    ) -> Result<Self, String> {
        let seal = |purpose: &str| Seal::new(secret, &format!("{purpose} {cookie} {}", provider.client()));
        Ok(Self {
            session_seal: seal("session")?,
            login_seal: seal("login")?,
            print: jwt::print(&[b"oidc", secret, cookie.as_bytes(), provider.client().as_bytes()]),
            challenge: format!("Cookie realm=\"{realm}\"").into(),
            sessions: Jar::new(cookie),
            logins: format!("{cookie}-login").into(),
            renewing: Renewing(Cache::new(RENEWALS)),
            index,
            provider,
            paths,
            lifetime,
            named,
        })
    }

    /// The names of the cookies that hold sessions.
    pub fn cookies(&self) -> impl Iterator<Item = String> {
        let both = [true, false].into_iter();
        both.flat_map(move |secure| (0..cookies::PIECES).map(move |piece| self.sessions.name(secure, piece)))
    }

    fn login_jar(&self, state: &str) -> Jar {
        let tag = state.get(..TAG).unwrap_or(state);
        Jar::new(&format!("{}-{tag}", self.logins))
    }

    /// Who has a session, or why the request goes no further.
    fn logged_in(&self, asked: &Asked<'_>) -> Result<Arc<Claims>, Halt> {
        let Some(kept) = self.sessions.find(asked.request) else { return Err(self.log_in(asked, "no-session")) };
        let key = std::str::from_utf8(&kept).map_err(|_| self.log_in(asked, "bad-session"))?;
        let known = asked.tokens.borrow_mut().known(key, &self.print, asked.clock).flatten();
        if let Some(claims) = known {
            return Ok(claims);
        }
        let session = self.session_seal.open(&kept).and_then(|text| Session::read(&text));
        let read = session.and_then(|session| Some((Arc::new(Claims::trusted(&session.identity).ok()?), session)));
        let Some((claims, session)) = read else { return Err(self.log_in(asked, "bad-session")) };
        let end = session.since.saturating_add(self.lifetime);
        if asked.clock >= end || session.since > asked.clock.saturating_add(60) {
            return Err(self.log_in(asked, "old-session"));
        }
        if asked.clock < session.ends {
            asked.tokens.borrow_mut().note(key, &self.print, Some(claims.clone()), session.ends.min(end));
            return Ok(claims);
        }
        self.renewed(asked, key, &session, claims)
    }

    /// A session whose access token has ended: the first who comes with it has it renewed, and all others go on with it meanwhile.
    fn renewed(
        &self,
        asked: &Asked<'_>,
        key: &str,
        session: &Session,
        claims: Arc<Claims>,
    ) -> Result<Arc<Claims>, Halt> {
        let Some(refresh) = &session.refresh else { return Err(self.log_in(asked, "ended-session")) };
        let is_ours = asked.said_to(self.index).next().is_some();
        let hash = xxhash_rust::xxh3::xxh3_64(key.as_bytes());
        let since = self.renewing.0.get(&hash).filter(|since| asked.clock.saturating_sub(*since) < GRACE);
        if !is_ours && since.is_some() {
            return Ok(claims);
        }
        self.renewing.0.insert(hash, asked.clock);
        let granted = match self.provider.refresh(self.index, asked, refresh)? {
            Step::Done(granted) => granted,
            Step::Refused => return Err(self.log_in(asked, "ended-session")),
            Step::Away(word) => {
                // Whoever comes next tries again.
                self.renewing.0.remove(&hash);
                return Err(away(word));
            }
        };
        let session = granted.go_on(session, asked.clock);
        // The same request again, with the new session: by its own method and content (RFC 9110 §15.4.8).
        let back = login::address(asked.request);
        Err(self.give(asked, 307, &session, &back, "renewed-session"))
    }

    /// Gives a session to the browser and sends it somewhere.
    fn give(&self, asked: &Asked<'_>, status: u16, session: &Session, to: &str, word: &'static str) -> Halt {
        let secure = is_secure(asked.request);
        let left = session.since.saturating_add(self.lifetime).saturating_sub(asked.clock);
        let sealed = session.text().and_then(|text| self.session_seal.seal(&text));
        let lines = sealed.and_then(|sealed| self.sessions.set(secure, &sealed, left));
        match lines {
            Some(lines) => sent(status, to, &lines, word),
            None => Denial::new(502, Reason::Unanswered, "large-session").into(),
        }
    }

    /// What is answered to somebody who is not logged in.
    fn log_in(&self, asked: &Asked<'_>, word: &'static str) -> Halt {
        let denial = || Denial::unauthenticated(word).with(&self.challenge);
        if !is_navigation(asked.request) {
            let denial = denial();
            return if word == "no-session" { denial.absent() } else { denial }.into();
        }
        let Some(endpoint) = self.provider.authorization() else { return away("oidc-away") };
        let login = Login::new(asked.request, asked.clock);
        let begun = login.and_then(|login| {
            let sealed = self.login_seal.seal(&serde_json::to_string(&login).ok()?)?;
            let jar = self.login_jar(&login.state);
            let lines = jar.set_one(is_secure(asked.request), &sealed, login::PATIENCE)?;
            Some((login.url(&endpoint, (self.provider.client(), &self.redirect(asked), self.provider.scope())), lines))
        });
        match begun {
            Some((url, lines)) => {
                let halt = sent(302, &url, &lines, word);
                match halt {
                    Halt::Denied(denial) if word == "no-session" => denial.absent().into(),
                    other => other,
                }
            }
            None => Denial::new(500, Reason::Unanswered, "no-randomness").into(),
        }
    }

    fn origin(&self, request: &dyn Request) -> String {
        match &self.paths.origin {
            Some(origin) => origin.to_string(),
            None => format!("{}://{}", request.scheme(), String::from_utf8_lossy(request.authority())),
        }
    }

    fn redirect(&self, asked: &Asked<'_>) -> String {
        format!("{}{}", self.origin(asked.request), self.paths.callback)
    }

    /// A browser comes back from the provider.
    fn back(&self, asked: &Asked<'_>) -> Halt {
        let find = |name: &str| crate::gateway::Place::Query(name.into()).find(asked.request);
        let text = |name: &str| match find(name) {
            (1, Some(value)) => String::from_utf8(value.to_vec()).ok(),
            _ => None,
        };
        let Some(state) = text("state") else { return bad("no-state") };
        let jar = self.login_jar(&state);
        let kept = jar.find(asked.request).and_then(|kept| self.login_seal.open(&kept));
        let login: Option<Login> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let Some(login) = login.filter(|login| login.state == state && login.is_live(asked.clock)) else {
            return bad("unknown-login");
        };
        if find("error").0 > 0 {
            return refused(&jar.clear_one(is_secure(asked.request)));
        }
        let Some(code) = text("code") else { return bad("no-code") };
        let step = self.provider.change(self.index, asked, (&code, &login.verifier, &self.redirect(asked)));
        let granted = match step {
            Err(halt) => return halt,
            Ok(Step::Refused) => return refused(&jar.clear_one(is_secure(asked.request))),
            Ok(Step::Away(word)) => return away(word),
            Ok(Step::Done(granted)) => granted,
        };
        let Some(identity) = granted.identity.clone() else { return away("oidc-malformed") };
        match self.provider.verified(self.index, asked, &identity, Some(&login.nonce)) {
            Err(halt) => return halt,
            Ok(None) => return bad("bad-identity"),
            Ok(Some(_)) => {}
        }
        let session = granted.begin(identity, asked.clock);
        let mut halt = self.give(asked, 303, &session, &login.back, "logged-in");
        if let Halt::Denied(denial) = &mut halt {
            denial.lines.push_str(&jar.clear_one(is_secure(asked.request)));
        }
        halt
    }

    /// Somebody leaves (OpenID Connect RP-Initiated Logout §2).
    fn leave(&self, asked: &Asked<'_>) -> Halt {
        let secure = is_secure(asked.request);
        let kept = self.sessions.find(asked.request).and_then(|kept| self.session_seal.open(&kept));
        let session = kept.and_then(|text| Session::read(&text));
        let to = match (self.provider.end_session(), session) {
            (Some(endpoint), Some(session)) => {
                let after = match self.paths.after_logout.starts_with('/') {
                    true => format!("{}{}", self.origin(asked.request), self.paths.after_logout),
                    false => self.paths.after_logout.to_string(),
                };
                let mut query = String::new();
                super::form::push(&mut query, "id_token_hint", &session.identity);
                super::form::push(&mut query, "client_id", self.provider.client());
                super::form::push(&mut query, "post_logout_redirect_uri", &after);
                login::with_query(&endpoint, &query)
            }
            _ => self.paths.after_logout.to_string(),
        };
        sent(303, &to, &self.sessions.clear(secure), "logged-out")
    }
}

impl Rule for Oidc {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let path = asked.request.path();
        if path == self.paths.callback.as_bytes() {
            return Err(self.back(asked));
        }
        if path == self.paths.logout.as_bytes() {
            return Err(self.leave(asked));
        }
        let claims = self.logged_in(asked)?;
        if let Some(named) = &self.named {
            who.consumer = Some(named.find(&claims)?);
        }
        who.tokens.push(Proven { rule: self.index, claims });
        Ok(())
    }

    fn challenges(&self) -> Challenges {
        Challenges::from_iter([self.challenge.clone()])
    }
}

impl std::fmt::Debug for Renewing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renewing({})", self.0.len())
    }
}

fn is_secure(request: &dyn Request) -> bool {
    request.scheme() == "https"
}

/// Whether somebody looks at a page, rather than a script at data.
fn is_navigation(request: &dyn Request) -> bool {
    let (mut is_page, mut is_script) = (false, false);
    request.each("accept", &mut |value| is_page |= memchr::memmem::find(value, b"text/html").is_some());
    request.each("sec-fetch-mode", &mut |value| is_script |= value != b"navigate");
    request.method() == b"GET" && is_page && !is_script
}

/// The browser is sent somewhere, with these lines; nobody else may keep that.
fn sent(status: u16, to: &str, lines: &str, word: &'static str) -> Halt {
    let lines = format!("Location: {to}\r\nCache-Control: no-store\r\n{lines}");
    Denial { lines, ..Denial::new(status, Reason::Unauthenticated, word) }.into()
}

/// What came back from the provider is none of ours.
fn bad(word: &'static str) -> Halt {
    Denial { lines: "Cache-Control: no-store\r\n".to_owned(), ..Denial::new(400, Reason::Unauthenticated, word) }.into()
}

/// The provider lets nobody in.
fn refused(lines: &str) -> Halt {
    Denial { lines: format!("Cache-Control: no-store\r\n{lines}"), ..Denial::forbidden("login-refused") }.into()
}

/// The provider does not answer.
fn away(word: &'static str) -> Halt {
    Denial { retry_after: AGAIN, ..Denial::new(503, Reason::Unanswered, word) }.into()
}
