//! Who may come in, by what a server says of each request.

use super::remembered::Remembered;
use super::server::Server;
use super::{Asked, Consumer, Denial, Fetched, Halt, Phase, Question, Rule, Said, What, Who};
use crate::observe::reason::Reason;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A rule of type forward-auth: the server is told what is asked for, and with 2xx it lets that in.
#[derive(Debug)]
pub struct ForwardAuth {
    index: usize,
    server: Server,
    /// Headers of the request that it is told.
    sent: Box<[Box<str>]>,
    /// Headers of its answer that targets are told.
    told: Box<[Arc<str>]>,
    consumer: Option<ByHeader>,
    remembered: Remembered<Verdict>,
}

/// Which header of an answer names the consumer, in lower case.
#[derive(Debug)]
pub struct ByHeader {
    /// Its name.
    pub header: Box<str>,
    /// Whom it may name.
    pub consumers: Arc<HashMap<Box<str>, Arc<Consumer>>>,
}

/// What the server said of a request.
#[derive(Debug)]
struct Verdict {
    status: u16,
    /// Whole lines for the client that was refused.
    lines: String,
    told: Vec<(Arc<str>, Box<[u8]>)>,
    consumer: Option<Arc<Consumer>>,
}

/// Answers that are remembered.
const SIZE: usize = 20_000;
/// Headers of an answer that a client which is refused is told: what it may prove itself with, where it may do so, when it may come again.
const FOR_CLIENTS: [&str; 4] = ["www-authenticate", "location", "set-cookie", "retry-after"];

impl ForwardAuth {
    /// One at this place among all rules. What was said counts for `time`, of a request that says the same; names are in lower case.
    pub fn new(
        index: usize,
        server: Server,
        sent: &[String],
        told: &[String],
        consumer: Option<ByHeader>,
        time: Duration,
    ) -> Self {
        Self {
            index,
            server,
            sent: sent.iter().map(|name| name.as_str().into()).collect(),
            told: told.iter().map(|name| name.as_str().into()).collect(),
            consumer,
            remembered: Remembered::new(time, SIZE),
        }
    }

    /// What the server is told of a request.
    fn headers(&self, asked: &Asked<'_>) -> Vec<(Box<str>, Vec<u8>)> {
        let request = asked.request;
        let mut uri = request.path().to_vec();
        if let Some(query) = request.query() {
            uri.push(b'?');
            uri.extend_from_slice(query);
        }
        let mut headers: Vec<(Box<str>, Vec<u8>)> = vec![
            ("x-forwarded-method".into(), request.method().to_vec()),
            ("x-forwarded-proto".into(), request.scheme().as_bytes().to_vec()),
            ("x-forwarded-host".into(), request.authority().to_vec()),
            ("x-forwarded-uri".into(), uri),
            ("x-forwarded-for".into(), asked.client.to_canonical().to_string().into_bytes()),
        ];
        for name in &self.sent {
            request.each(name, &mut |value| headers.push((name.clone(), value.to_vec())));
        }
        headers
    }

    fn verdict(&self, said: &Fetched) -> Option<Verdict> {
        let allowed = (200..300).contains(&said.status);
        // What is neither yes nor no says nothing.
        if !allowed && !matches!(said.status, 301 | 302 | 303 | 307 | 308 | 401 | 403 | 404 | 429) {
            return None;
        }
        let mut lines = String::new();
        for (name, value) in said.headers.iter().filter(|(name, _)| FOR_CLIENTS.contains(&&**name)) {
            if let Ok(value) = std::str::from_utf8(value) {
                // Writing into memory does not fail.
                let _ = write!(lines, "{name}: {value}\r\n");
            }
        }
        let told = self.told.iter().filter_map(|name| Some((name.clone(), said.header(name)?.into()))).collect();
        let consumer = self
            .consumer
            .as_ref()
            .and_then(|by| by.consumers.get(std::str::from_utf8(said.header(&by.header)?).ok()?.trim()).cloned());
        Some(Verdict { status: said.status, lines, told, consumer })
    }

    fn apply(&self, verdict: &Verdict, who: &mut Who) -> Result<(), Halt> {
        if !(200..300).contains(&verdict.status) {
            let (reason, word) = match verdict.status {
                401 => (Reason::Unauthenticated, "server-unauthenticated"),
                300..=399 => (Reason::Unauthenticated, "server-redirect"),
                _ => (Reason::Forbidden, "server-forbidden"),
            };
            return Err(Denial { lines: verdict.lines.clone(), ..Denial::new(verdict.status, reason, word) }.into());
        }
        if verdict.consumer.is_some() {
            who.consumer.clone_from(&verdict.consumer);
        }
        who.told.extend(verdict.told.iter().cloned());
        Ok(())
    }
}

impl Rule for ForwardAuth {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let headers = self.headers(asked);
        let parts = || headers.iter().flat_map(|(name, value)| [name.as_bytes(), &value[..]]);
        let tag = self.remembered.tag(parts());
        if let Some(verdict) = self.remembered.find(tag.as_ref(), asked.now) {
            return self.apply(&verdict, who);
        }
        match asked.said_to(self.index).last().map(|answer| &answer.said) {
            Some(Ok(Said::Fetched(fetched))) => match self.verdict(fetched) {
                Some(verdict) => {
                    let verdict = Arc::new(verdict);
                    self.remembered.keep(tag, &verdict, asked.now);
                    self.apply(&verdict, who)
                }
                None => self.server.unanswered(None),
            },
            Some(Ok(Said::Fits(_) | Said::Keys)) => self.server.unanswered(None),
            Some(Err(failure)) => self.server.unanswered(Some(*failure)),
            None => {
                let what = What::Fetch(self.server.fetch("GET", headers, Vec::new()));
                Err(Halt::Ask(Box::new(Question { rule: self.index, what })))
            }
        }
    }
}
