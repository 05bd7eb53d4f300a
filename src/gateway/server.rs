//! A server that is asked about requests.

use super::{Denial, Failure, Fetch, Halt};
use crate::observe::reason::Reason;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

/// A server that is asked about requests.
#[derive(Debug)]
pub struct Server {
    /// Where.
    pub url: Box<str>,
    /// How TLS is spoken with it; `None`: it is asked in clear.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether requests go on that it was not there to be asked about.
    pub open: bool,
}

/// The longest content of an answer that is read, in bytes.
const LONGEST: usize = 64 << 10;

impl Server {
    pub(super) fn fetch(&self, method: &'static str, headers: Vec<(Box<str>, Vec<u8>)>, body: Vec<u8>) -> Fetch {
        let (url, timeout, tls) = (self.url.to_string(), self.timeout, self.tls.clone());
        Fetch { method, url, headers, body, timeout, most: LONGEST, tls }
    }

    /// What becomes of a request about which it has said nothing that can be understood.
    pub(super) fn unanswered(&self, failure: Option<Failure>) -> Result<(), Halt> {
        if self.open {
            return Ok(());
        }
        let word = match failure {
            Some(Failure::Busy) => "too-many-questions",
            Some(Failure::Timeout) => "server-timeout",
            Some(Failure::Away) => "server-away",
            None => "server-error",
        };
        Err(Denial { retry_after: 1, ..Denial::new(503, Reason::Unanswered, word) }.into())
    }
}
