//! What an issuer says of itself and of its keys, fetched.

use crate::control::web::{Body, Web};
use crate::gateway::issuer::{Endpoints, Known, Place, Wanted};
use crate::gateway::jwt::Keys;
use hyper::header::{ACCEPT, AGE, CACHE_CONTROL, HeaderMap};
use hyper::{Request, StatusCode, Uri};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// The largest answer that is read, in bytes.
const LARGEST: usize = 512 << 10;
/// Characters of what it says that are logged.
const QUOTE: usize = 200;

/// The way to an issuer.
pub(super) struct Fetch {
    wanted: Wanted,
    /// Made anew after a failure, as what it is checked by may have changed.
    web: Option<Web>,
}

/// What was fetched.
pub(super) struct Answer {
    pub(super) known: Known,
    /// For how long it is good, if it says so (RFC 9111 §4.2.1).
    pub(super) age: Option<Duration>,
}

impl Fetch {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, web: None }
    }

    /// Fetches it. Fails, with a message for operators, if it does not answer or its answer is of no use.
    pub(super) async fn get(&mut self) -> Result<Answer, String> {
        let got = self.attempt().await;
        if got.is_err() {
            self.web = None;
        }
        got
    }

    async fn attempt(&mut self) -> Result<Answer, String> {
        let web = match &self.web {
            Some(web) => web.clone(),
            None => self.web.insert(Web::new(self.wanted.ca.clone()).await?).clone(),
        };
        let limit = self.wanted.timeout;
        let (keys, endpoints, age) = match &self.wanted.place {
            Place::Keys(url) => (url.to_string(), Endpoints::default(), None),
            Place::Discovery(issuer) => {
                let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                let (body, age) = get(&web, &url, limit).await?;
                let Document { keys, endpoints } = document(&body, issuer).map_err(|why| format!("{url}: {why}"))?;
                (keys, endpoints, Some(age))
            }
        };
        let (body, good) = get(&web, &keys, limit).await?;
        let read = tokio::task::spawn_blocking(move || read(&body));
        let read = read.await.map_err(|error| error.to_string())?.map_err(|why| format!("{keys}: {why}"))?;
        let (keys, document) = read;
        // What is good for longer is fetched with what is not.
        let age = [age.flatten(), good].into_iter().flatten().min();
        Ok(Answer { known: Known { keys, endpoints, document }, age })
    }
}

/// Keys, and the text that they are read from.
fn read(body: &[u8]) -> Result<(Keys, Arc<str>), String> {
    let keys = Keys::from_jwks(body)?;
    let text = std::str::from_utf8(body).map_err(|_| "it is no text".to_owned())?;
    Ok((keys, text.into()))
}

async fn get(web: &Web, url: &str, limit: Duration) -> Result<(Vec<u8>, Option<Duration>), String> {
    let request = Request::get(url).header(ACCEPT, "application/json, application/jwk-set+json");
    let request = request.body(Body::default()).map_err(|error| format!("{url}: {error}"))?;
    let answer = web.ask(request, limit, LARGEST).await.map_err(|why| format!("{url}: {why}"))?;
    match answer.status() {
        StatusCode::OK => {}
        status => return Err(format!("{url}: status {}", status.as_u16())),
    }
    let age = freshness(answer.headers());
    Ok((answer.into_body().into(), age))
}

/// How long an answer is good for (RFC 9111 §4.2.1), less the time that it was under way (§4.2.3).
fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let control = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = control.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    let mut good = None;
    for directive in directives {
        match directive.split_once('=') {
            None if directive == "no-store" || directive == "no-cache" => return Some(Duration::ZERO),
            Some(("max-age", seconds)) => good = seconds.trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
    Some(good?.saturating_sub(Duration::from_secs(age.unwrap_or(0))))
}

/// What an issuer says of itself (OpenID Connect Discovery §3).
#[derive(Debug)]
struct Document {
    keys: String,
    endpoints: Endpoints,
}

/// Reads it. Whoever is not the issuer that it is to be is not believed (§4.3), and what was asked for over TLS leads nowhere else.
fn document(text: &[u8], issuer: &str) -> Result<Document, String> {
    let members: Map<String, Value> = serde_json::from_slice(text).map_err(|_| "it is no JSON object".to_owned())?;
    let said = members.get("issuer").and_then(Value::as_str).ok_or("it does not say whose it is (`issuer`)")?;
    if said != issuer {
        let said: String = said.chars().take(QUOTE).collect();
        return Err(format!("it is of the issuer {said:?}: write that, to the letter, if it is the one"));
    }
    let is_secure = issuer.starts_with("https://");
    let url = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(url)) => match url.parse::<Uri>().ok().and_then(|uri| uri.scheme_str().map(str::to_owned)) {
            Some(scheme) if scheme == "https" || scheme == "http" && !is_secure => Ok(Some(url.as_str())),
            _ => Err(format!("its `{name}` is no URL of {}", if is_secure { "https" } else { "http or https" })),
        },
        Some(_) => Err(format!("its `{name}` is no string")),
    };
    let endpoint = |name: &str| url(name).map(|url| url.map(Into::into));
    Ok(Document {
        keys: url("jwks_uri")?.ok_or("it does not say where its keys are (`jwks_uri`)")?.to_owned(),
        endpoints: Endpoints {
            authorization: endpoint("authorization_endpoint")?,
            token: endpoint("token_endpoint")?,
            introspection: endpoint("introspection_endpoint")?,
            end_session: endpoint("end_session_endpoint")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn an_answer_says_how_long_it_is_good_for() {
        let good = |control: &'static str, age: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.append(CACHE_CONTROL, HeaderValue::from_static(control));
            headers.extend(age.map(|age| (AGE, HeaderValue::from_static(age))));
            freshness(&headers).map(|good| good.as_secs())
        };
        assert_eq!(freshness(&HeaderMap::new()), None);
        assert_eq!(good("public, max-age=19543, must-revalidate", None), Some(19_543));
        assert_eq!(good("MAX-AGE=\"60\"", Some("20")), Some(40));
        assert_eq!(good("max-age=60", Some("90")), Some(0));
        assert_eq!(good("no-store, max-age=60", None), Some(0));
        assert_eq!(good("private", None), None);
        assert_eq!(good("max-age=soon", None), None);
    }

    #[test]
    fn an_issuer_is_believed_of_itself_alone_and_leads_from_tls_nowhere_else() {
        let read = |text: &str, issuer: &str| document(text.as_bytes(), issuer).map_err(|why| why.to_lowercase());
        let good =
            r#"{"issuer":"https://id.test/a","jwks_uri":"https://keys.test/k","token_endpoint":"https://id.test/t"}"#;
        let Document { keys, endpoints } = read(good, "https://id.test/a").unwrap();
        assert_eq!((keys.as_str(), endpoints.token.as_deref()), ("https://keys.test/k", Some("https://id.test/t")));
        for (text, issuer, why) in [
            (good, "https://id.test/", "to the letter"),
            (&good.replace("https://keys", "http://keys"), "https://id.test/a", "no url of https"),
            (&good.replace("https://id.test/t", "javascript:alert(1)"), "https://id.test/a", "token_endpoint"),
            (&good.replace("https://id.test/t", "/t"), "https://id.test/a", "token_endpoint"),
            (&good.replace("jwks_uri", "keys"), "https://id.test/a", "where its keys are"),
            ("[]", "https://id.test/a", "no json object"),
            ("{}", "https://id.test/a", "whose it is"),
        ] {
            let told = read(text, issuer).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
