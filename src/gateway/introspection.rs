//! Who asks, by tokens of which their issuer alone knows whether they are good (RFC 7662).
//!
//! What always holds: nobody is let in of whom the issuer has not said that the token is good; what it says is believed for so long as the
//! rule has it and never beyond the token's own end.

use super::bearer::Bearer;
use super::form;
use super::jwt::{self, Claims, Policy, Print};
use super::{Answer, Asked, Challenges, Denial, Failure, Fetch, Fetched, Halt, Named, Phase, Place, Proven};
use super::{Question, Rule, Said, What, Who};
use crate::observe::reason::Reason;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A rule of type introspection.
#[derive(Debug)]
pub struct Introspection {
    /// Its place among all rules.
    index: usize,
    bearer: Bearer,
    authority: Authority,
    policy: Policy,
    /// What clients are told, by why their token is not taken.
    told: Box<[Arc<str>]>,
    inactive: Arc<str>,
    named: Option<Named>,
}

/// Who knows whether tokens are good.
pub struct Authority {
    url: String,
    /// What we prove ourselves with.
    authorization: Vec<u8>,
    timeout: Duration,
    tls: Option<Arc<ClientConfig>>,
    /// How long it is believed, in seconds, that a token is good.
    good: u64,
    /// That it is not.
    bad: u64,
    print: Print,
}

/// The largest answer, in bytes.
const LARGEST: usize = 64 << 10;
/// How soon whoever came while nobody could be asked may try again, in seconds.
const AGAIN: u32 = 5;

impl Authority {
    /// One at a URL, which knows us by that name and secret.
    pub fn new(url: &str, (client, secret): (&str, &str), timeout: Duration, tls: Option<Arc<ClientConfig>>) -> Self {
        // RFC 6749 §2.3.1.
        let (mut credentials, mut encoded) = (String::new(), String::new());
        form::encode(&mut credentials, client);
        form::encode(&mut encoded, secret);
        credentials.push(':');
        credentials.push_str(&encoded);
        let authorization = format!("Basic {}", STANDARD.encode(credentials)).into_bytes();
        let print = jwt::print(&[b"introspection", url.as_bytes(), client.as_bytes()]);
        Self { url: url.to_owned(), authorization, timeout, tls, good: 60, bad: 5, print }
    }

    /// The same, believed for so many seconds that a token is good, and that it is not.
    pub fn believed(self, good: u64, bad: u64) -> Self {
        Self { good, bad, ..self }
    }

    fn question(&self, token: &str) -> Fetch {
        let mut body = String::with_capacity(token.len() + 64);
        form::push(&mut body, "token", token);
        form::push(&mut body, "token_type_hint", "access_token");
        let headers = [
            ("content-type", &b"application/x-www-form-urlencoded"[..]),
            ("accept", b"application/json"),
            ("authorization", &self.authorization),
        ];
        Fetch {
            method: "POST",
            url: self.url.clone(),
            headers: headers.map(|(name, value)| (name.into(), value.to_vec())).into(),
            body: body.into_bytes(),
            timeout: self.timeout,
            most: LARGEST,
            tls: self.tls.clone(),
        }
    }
}

impl Introspection {
    /// The rule at a place among all, which looks into all of `places`; `realm` has no `"` and no `\`.
    pub fn new(
        index: usize,
        (places, realm): (&[Place], &str),
        authority: Authority,
        policy: Policy,
        named: Option<Named>,
    ) -> Self {
        let bearer = Bearer::new(places, realm);
        let told = bearer.told(&policy);
        let inactive = bearer.says("invalid_token", "The token is not active", None);
        Self { index, bearer, authority, policy, told, inactive, named }
    }

    /// What the issuer says of a token: what is in it, or that it is not good.
    fn said(&self, token: &str, asked: &Asked<'_>) -> Result<Option<Arc<Claims>>, Halt> {
        let mut tokens = asked.tokens.borrow_mut();
        let Authority { print, good, bad, .. } = &self.authority;
        if let Some(known) = tokens.known(token, print, asked.clock) {
            return Ok(known);
        }
        let Some(Answer { said, .. }) = asked.said_to(self.index).next() else {
            let what = What::Fetch(self.authority.question(token));
            return Err(Halt::Ask(Box::new(Question { rule: self.index, what })));
        };
        let claims = match said {
            Ok(Said::Fetched(Fetched { status: 200, body, .. })) => {
                Claims::introspected(body).map_err(|_| away("introspection-malformed"))?
            }
            Ok(_) => return Err(away("introspection-refused")),
            Err(Failure::Busy) => return Err(away("introspection-busy")),
            Err(Failure::Timeout) => return Err(away("introspection-timeout")),
            Err(Failure::Away) => return Err(away("introspection-away")),
        };
        let claims = claims.map(Arc::new);
        let until = match &claims {
            Some(claims) => claims.expires().unwrap_or(u64::MAX).min(asked.clock.saturating_add(*good)),
            None => asked.clock.saturating_add(*bad),
        };
        tokens.note(token, print, claims.clone(), until);
        Ok(claims)
    }
}

/// It is not known whether the token is good.
fn away(word: &'static str) -> Halt {
    Denial { retry_after: AGAIN, ..Denial::new(503, Reason::Unanswered, word) }.into()
}

impl Rule for Introspection {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let token = self.bearer.find(asked)?;
        let denied = |denial: jwt::Denial| Halt::Denied(self.bearer.denied(denial, &self.told));
        let token = std::str::from_utf8(&token).map_err(|_| denied(jwt::Denial::Malformed))?;
        if token.len() > self.policy.longest {
            return Err(denied(jwt::Denial::TooLong));
        }
        let Some(claims) = self.said(token, asked)? else {
            return Err(Denial::unauthenticated("token-inactive").with(&self.inactive).into());
        };
        self.policy.judge(&claims, asked.clock).map_err(denied)?;
        if let Some(named) = &self.named {
            who.consumer = Some(named.find(&claims)?);
        }
        who.tokens.push(Proven { rule: self.index, claims });
        Ok(())
    }

    fn challenges(&self) -> Challenges {
        self.bearer.challenges()
    }
}

// What we prove ourselves with is a secret.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("url", &self.url).finish_non_exhaustive()
    }
}
