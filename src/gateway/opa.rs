//! Who may come in, by what the Open Policy Agent says of each request.

use super::remembered::Remembered;
use super::server::Server;
use super::{Asked, Denial, Fetched, Halt, Phase, Question, Rule, Said, What, Who};
use crate::observe::reason::Reason;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A rule of type opa: a decision of a policy, asked for by the Data API of OPA. Only what is `true`, or says `allow = true`, lets in.
#[derive(Debug)]
pub struct Opa {
    index: usize,
    server: Server,
    /// Headers of the request that it is told.
    sent: Box<[Box<str>]>,
    remembered: Remembered<Verdict>,
}

#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    allow: bool,
    status: u16,
    /// Whole lines for the client that is refused.
    lines: String,
    word: &'static str,
}

/// Answers that are remembered.
const SIZE: usize = 20_000;
/// Headers that are ours to write.
const OURS: [&str; 4] = ["content-length", "transfer-encoding", "connection", "content-type"];

impl Opa {
    /// One at this place among all rules. What was said counts for `time`, of a request that says the same; names are in lower case.
    pub fn new(index: usize, server: Server, sent: &[String], time: Duration) -> Self {
        let sent = sent.iter().map(|name| name.as_str().into()).collect();
        Self { index, server, sent, remembered: Remembered::new(time, SIZE) }
    }

    /// What it is asked: the request in the form that policies for gateways know.
    fn input(&self, asked: &Asked<'_>, who: &Who) -> Vec<u8> {
        let request = asked.request;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers = Map::new();
        for name in &self.sent {
            let mut all = Vec::new();
            request.each(name, &mut |value| all.push(text(value)));
            if !all.is_empty() {
                headers.insert(name.to_string(), all.join(", ").into());
            }
        }
        let path = text(request.path());
        let parsed: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let consumer = who.consumer.as_ref().map(|of| json!({ "username": of.name, "groups": of.groups }));
        let claims = who.tokens.first().map(|proven| Value::Object(proven.claims.all().clone()));
        let input = json!({ "input": {
            "request": { "http": {
                "method": text(request.method()),
                "scheme": request.scheme(),
                "host": text(request.authority()),
                "path": path,
                "parsed_path": parsed,
                "query": request.query().map(text),
                "headers": headers,
            } },
            "client_ip": asked.client.to_canonical().to_string(),
            "route": asked.route,
            "consumer": consumer,
            "claims": claims,
        } });
        input.to_string().into_bytes()
    }

    fn apply(&self, verdict: &Verdict) -> Result<(), Halt> {
        if verdict.allow {
            return Ok(());
        }
        let denial = Denial::new(verdict.status, Reason::Forbidden, verdict.word);
        Err(Denial { lines: verdict.lines.clone(), ..denial }.into())
    }
}

impl Rule for Opa {
    fn phase(&self) -> Phase {
        Phase::Authorize
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let input = self.input(asked, who);
        let tag = self.remembered.tag([&input[..]]);
        if let Some(verdict) = self.remembered.find(tag.as_ref(), asked.now) {
            return self.apply(&verdict);
        }
        match asked.said_to(self.index).last().map(|answer| &answer.said) {
            Some(Ok(Said::Fetched(fetched))) => match verdict(fetched) {
                Some(verdict) => {
                    let verdict = Arc::new(verdict);
                    self.remembered.keep(tag, &verdict, asked.now);
                    self.apply(&verdict)
                }
                None => self.server.unanswered(None),
            },
            Some(Ok(Said::Fits(_) | Said::Keys)) => self.server.unanswered(None),
            Some(Err(failure)) => self.server.unanswered(Some(*failure)),
            None => {
                let headers = vec![("content-type".into(), b"application/json".to_vec())];
                let what = What::Fetch(self.server.fetch("POST", headers, input));
                Err(Halt::Ask(Box::new(Question { rule: self.index, what })))
            }
        }
    }
}

/// What an answer of the Data API means; `None`: it cannot be understood.
fn verdict(said: &Fetched) -> Option<Verdict> {
    if said.status != 200 {
        return None;
    }
    let no = |status, word| Verdict { allow: false, status, lines: String::new(), word };
    let answer: Value = serde_json::from_slice(&said.body).ok()?;
    match answer.as_object()?.get("result") {
        // The policy does not say anything of it.
        None | Some(Value::Null) => Some(no(403, "policy-undefined")),
        Some(Value::Bool(true)) => Some(Verdict { allow: true, ..no(200, "policy") }),
        Some(Value::Bool(false)) => Some(no(403, "policy")),
        Some(Value::Object(result)) => {
            if result.get("allow")?.as_bool()? {
                return Some(Verdict { allow: true, ..no(200, "policy") });
            }
            let status = result.get("status").map_or(Some(403), Value::as_u64)?;
            let status = u16::try_from(status).ok().filter(|status| (300..=599).contains(status))?;
            let mut verdict = no(status, "policy");
            for (name, value) in result.get("headers").and_then(Value::as_object).into_iter().flatten() {
                let sound = |text: &str| !text.bytes().any(|byte| byte < b' ' || byte == 0x7f);
                let token =
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
                let value = value.as_str().filter(|value| token && sound(value))?;
                if !OURS.contains(&&*name.to_ascii_lowercase()) {
                    // Writing into memory does not fail.
                    let _ = write!(verdict.lines, "{name}: {value}\r\n");
                }
            }
            Some(verdict)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Option<(bool, u16, String)> {
        let fetched = Fetched { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
        verdict(&fetched).map(|verdict| (verdict.allow, verdict.status, verdict.lines))
    }

    #[test]
    fn only_what_is_true_lets_in() {
        for (body, expected) in [
            (r#"{"result":true}"#, Some((true, 200, ""))),
            (r#"{"result":{"allow":true}}"#, Some((true, 200, ""))),
            (r#"{"result":false}"#, Some((false, 403, ""))),
            (r#"{}"#, Some((false, 403, ""))),
            (r#"{"result":null}"#, Some((false, 403, ""))),
            (
                r#"{"result":{"allow":false,"status":401,"headers":{"X-Why":"no","Content-Length":"9"}}}"#,
                Some((false, 401, "X-Why: no\r\n")),
            ),
            (r#"{"result":{"allow":false,"status":200}}"#, None),
            (r#"{"result":{"allow":false,"headers":{"X":"a\r\nb"}}}"#, None),
            (r#"{"result":{}}"#, None),
            (r#"{"result":"true"}"#, None),
            (r#"{"result":1}"#, None),
            ("true", None),
            ("", None),
        ] {
            let expected = expected.map(|(allow, status, lines)| (allow, status, lines.to_owned()));
            assert_eq!(said(200, body), expected, "{body}");
        }
        assert_eq!(said(500, r#"{"result":true}"#), None);
    }
}
