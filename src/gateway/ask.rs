//! What rules ask others, and what these say.
//!
//! What always holds: a question has a time, after which its answer is that there was none; an answer has a bound. Who puts questions
//! to others knows nothing of rules.

use super::issuer::Issuer;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a rule needs to know.
#[derive(Debug)]
pub struct Question {
    /// The place of the rule among all.
    pub rule: usize,
    /// What it asks.
    pub what: What,
}

/// What is asked.
pub enum What {
    /// Whether a password is the one of which this is the hash, in the form of the PHC or of crypt(3). Takes a processor its time.
    Fits {
        /// What the client has sent.
        password: Box<[u8]>,
        /// The hash.
        hash: Arc<str>,
    },
    /// What a server says.
    Fetch(Fetch),
    /// That an issuer is asked for its keys.
    Keys(Arc<Issuer>),
}

/// A request to a server.
#[derive(Clone)]
pub struct Fetch {
    /// The method.
    pub method: &'static str,
    /// Where to, as a whole URL.
    pub url: String,
    /// Its header lines.
    pub headers: Vec<(Box<str>, Vec<u8>)>,
    /// Its content.
    pub body: Vec<u8>,
    /// Until when the whole answer has to be there.
    pub timeout: Duration,
    /// How long its content may be, in bytes.
    pub most: usize,
    /// How TLS is spoken with it; `None`: it is asked in clear.
    pub tls: Option<Arc<ClientConfig>>,
}

/// What was said to a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The place of the rule that asked among all.
    pub rule: usize,
    /// What was said.
    pub said: Result<Said, Failure>,
}

/// What was said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Whether the password fits.
    Fits(bool),
    /// What a server answers.
    Fetched(Fetched),
    /// The issuer was asked; what is known of it is what it has said.
    Keys,
}

/// The answer of a server.
#[derive(PartialEq, Eq)]
pub struct Fetched {
    /// Its status.
    pub status: u16,
    /// Its header lines, with names in lower case.
    pub headers: Vec<(Box<str>, Vec<u8>)>,
    /// Its content.
    pub body: Vec<u8>,
}

/// Why nothing was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Too much is being asked.
    Busy,
    /// It took too long.
    Timeout,
    /// Nobody could be asked, or the answer could not be read.
    Away,
}

impl Fetched {
    /// The first header line of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(other, _)| **other == *name).map(|(_, value)| &value[..])
    }
}

// What clients send to prove themselves is not for a log, nor what is said of it.
impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fits { .. } => f.write_str("Fits(secret)"),
            Self::Fetch(fetch) => fetch.fmt(f),
            Self::Keys(issuer) => issuer.fmt(f),
        }
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("status", &self.status).finish_non_exhaustive()
    }
}
