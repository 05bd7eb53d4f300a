//! What a provider is asked, and what its answers mean.

use super::session::Granted;
use crate::gateway::issuer::Issuer;
use crate::gateway::jwt::{self, Claims, Policy};
use crate::gateway::{Asked, Failure, Fetch, Fetched, Halt, Question, Said, What, form};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A provider, and what we are to it.
pub struct Provider {
    issuer: Arc<Issuer>,
    client: Box<str>,
    /// What we prove ourselves with; `None`: by the code's verifier alone.
    authorization: Option<Vec<u8>>,
    scope: Box<str>,
    timeout: Duration,
    tls: Option<Arc<ClientConfig>>,
    policy: Policy,
}

/// What came of a question.
pub(super) enum Step {
    /// It was granted.
    Done(Granted),
    /// It was not.
    Refused,
    /// It is not known; a word for that.
    Away(&'static str),
}

/// The largest answer, in bytes.
const LARGEST: usize = 256 << 10;

impl Provider {
    /// One of this issuer, which knows us as `client`, with a secret or without, and is asked for a scope.
    pub fn new(
        issuer: Arc<Issuer>,
        (client, secret): (&str, Option<&str>),
        scope: &str,
        policy: Policy,
        tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        let authorization = secret.map(|secret| {
            // RFC 6749 §2.3.1.
            let mut credentials = String::new();
            form::encode(&mut credentials, client);
            credentials.push(':');
            form::encode(&mut credentials, secret);
            format!("Basic {}", STANDARD.encode(credentials)).into_bytes()
        });
        let timeout = issuer.wanted().timeout;
        Self { issuer, client: client.into(), authorization, scope: scope.into(), timeout, tls, policy }
    }

    pub(super) fn client(&self) -> &str {
        &self.client
    }

    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// Where people log in; `None`: it is not known.
    pub(super) fn authorization(&self) -> Option<String> {
        self.issuer.known().as_ref()?.endpoints.authorization.as_deref().map(str::to_owned)
    }

    /// Where people log out, if anywhere.
    pub(super) fn end_session(&self) -> Option<String> {
        self.issuer.known().as_ref()?.endpoints.end_session.as_deref().map(str::to_owned)
    }

    /// Changes a code into tokens (RFC 6749 §4.1.3).
    pub(super) fn change(
        &self,
        rule: usize,
        asked: &Asked<'_>,
        (code, verifier, redirect): (&str, &str, &str),
    ) -> Result<Step, Halt> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        self.token(rule, asked, &fields)
    }

    /// Has an access token renewed (RFC 6749 §6).
    pub(super) fn refresh(&self, rule: usize, asked: &Asked<'_>, token: &str) -> Result<Step, Halt> {
        let step = self.token(rule, asked, &[("grant_type", "refresh_token"), ("refresh_token", token)])?;
        let Step::Done(granted) = step else { return Ok(step) };
        match &granted.identity {
            Some(identity) if self.verified(rule, asked, identity, None)?.is_none() => Ok(Step::Refused),
            _ => Ok(Step::Done(granted)),
        }
    }

    fn token(&self, rule: usize, asked: &Asked<'_>, fields: &[(&str, &str)]) -> Result<Step, Halt> {
        let said = asked.said_to(rule).map(|answer| &answer.said).find(|said| !matches!(said, Ok(Said::Keys)));
        let Some(said) = said else {
            let known = self.issuer.known();
            let Some(url) = known.as_ref().and_then(|known| known.endpoints.token.as_deref()) else {
                return Ok(Step::Away("oidc-away"));
            };
            let what = What::Fetch(self.question(url, fields));
            return Err(Halt::Ask(Box::new(Question { rule, what })));
        };
        Ok(match said {
            Ok(Said::Fetched(Fetched { status: 200, body, .. })) => {
                Granted::read(body).map_or(Step::Away("oidc-malformed"), Step::Done)
            }
            // RFC 6749 §5.2: the grant is not good, or we are not.
            Ok(Said::Fetched(Fetched { status: 400, .. })) => Step::Refused,
            Ok(_) => Step::Away("oidc-refused"),
            Err(Failure::Busy) => Step::Away("oidc-busy"),
            Err(Failure::Timeout) => Step::Away("oidc-timeout"),
            Err(Failure::Away) => Step::Away("oidc-away"),
        })
    }

    fn question(&self, url: &str, fields: &[(&str, &str)]) -> Fetch {
        let mut body = String::new();
        fields.iter().for_each(|(name, value)| form::push(&mut body, name, value));
        let mut headers: Vec<(Box<str>, Vec<u8>)> = vec![
            ("content-type".into(), b"application/x-www-form-urlencoded".to_vec()),
            ("accept".into(), b"application/json".to_vec()),
        ];
        match &self.authorization {
            Some(authorization) => headers.push(("authorization".into(), authorization.clone())),
            None => form::push(&mut body, "client_id", &self.client),
        }
        let tls = self.tls.clone().filter(|_| url.starts_with("https://"));
        let (timeout, most) = (self.timeout, LARGEST);
        Fetch { method: "POST", url: url.to_owned(), headers, body: body.into_bytes(), timeout, most, tls }
    }

    /// The claims of an identity token (OpenID Connect Core §3.1.3.7); `None`: it is not good.
    pub(super) fn verified(
        &self,
        rule: usize,
        asked: &Asked<'_>,
        token: &str,
        nonce: Option<&str>,
    ) -> Result<Option<Claims>, Halt> {
        let known = self.issuer.known();
        let Some(known) = &*known else { return Ok(None) };
        let claims = match jwt::verify(token, &known.keys, &self.policy, asked.clock) {
            Ok(claims) => claims,
            Err(jwt::Denial::KeyUnknown) => {
                let has_asked = asked.said_to(rule).any(|answer| matches!(answer.said, Ok(Said::Keys)));
                if has_asked || !self.issuer.may_be_asked(asked.clock) {
                    return Ok(None);
                }
                return Err(Halt::Ask(Box::new(Question { rule, what: What::Keys(self.issuer.clone()) })));
            }
            Err(_) => return Ok(None),
        };
        let text = |name: &str| claims.all().get(name).and_then(|value| value.as_str());
        let is_ours = text("azp").is_none_or(|party| party == &*self.client);
        let is_that_login = nonce.is_none_or(|nonce| text("nonce") == Some(nonce));
        Ok(Some(claims).filter(|_| is_ours && is_that_login))
    }
}

// What we prove ourselves with is a secret.
impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).field("client", &self.client).finish_non_exhaustive()
    }
}
