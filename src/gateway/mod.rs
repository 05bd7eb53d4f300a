//! What is decided of a request before it goes on: rules, one file each, and who asks.
//!
//! What always holds: a rule knows nothing of protocols and does no I/O; it gets what was asked, and the time where it needs it. Where
//! it needs to know what only others can say, it asks, and is put to the same request again with what they said. Those of a route go
//! phase by phase, as DESIGN's table has it, and within a phase in the order in which the route names them; the first that refuses
//! ends it. One in shadow mode decides, and lets through.
//!
//! May depend on `observe` alone.

mod about;
mod address;
mod api_key;
mod ask;
mod bandwidth;
mod basic;
mod bearer;
mod cel;
mod certificates;
mod chain;
mod combined;
mod concurrency;
pub mod condition;
mod consumers;
pub mod cors;
mod count_key;
mod csrf;
mod door;
mod form;
mod forward_auth;
mod groups;
mod guest;
mod holds;
pub mod idempotency;
mod introspection;
pub mod issuer;
pub mod jwt;
pub mod limits;
mod meter;
mod mtls;
mod oidc;
mod opa;
pub mod openapi;
mod origins;
pub mod password;
mod place;
mod plans;
pub mod quota;
mod ranges;
mod rate_limit;
mod reading;
mod refusal;
mod remembered;
mod request_size;
#[cfg(test)]
mod sent;
mod server;
pub mod signature;
mod token;
pub mod transform;
mod user_agent;

pub use about::About;
pub use address::Address;
pub use api_key::ApiKey;
pub use ask::{Answer, Failure, Fetch, Fetched, Question, Said, What};
pub use bandwidth::{Bandwidth, Rein, Reins, Way};
pub use basic::Basic;
pub use cel::Cel;
pub use certificates::{Certificates, Mark};
pub use chain::{Chain, Limit, Link, Note, Refused, Step, Stop};
pub use combined::{AllOf, AnyOf};
pub use concurrency::Concurrency;
pub use consumers::{Consumer, Consumers, Key, SameKey};
pub use cors::Cors;
pub use count_key::{CountBy, CountKey, Text};
pub use csrf::Csrf;
pub use door::{Door, Doorkeeper};
pub use forward_auth::{ByHeader, ForwardAuth};
pub use groups::Groups;
pub use guest::Guest;
pub use holds::Holds;
pub use idempotency::Idempotency;
pub use introspection::{Authority, Introspection};
pub use meter::{Meter, Now};
pub use mtls::Mtls;
pub use oidc::{Oidc, Paths, Provider};
pub use opa::Opa;
pub use openapi::OpenApi;
pub use place::Place;
pub use plans::{Planned, Plans, PlansOfGroups};
pub use ranges::Ranges;
pub use rate_limit::{RateLimit, Told, ToldOf};
pub use reading::Reading;
pub use refusal::{Aftermath, Refusal, Stay, Strikes, Tarpit, Which};
pub use request_size::RequestSize;
pub use server::Server;
pub use token::{Named, Proven, Source, Token};
pub use user_agent::{Agents, UserAgent};

use crate::observe::reason::Reason;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a request asks for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The client, whom a trusted proxy may have named.
    pub client: IpAddr,
    /// The route's name.
    pub route: &'a str,
    /// What it has sent.
    pub request: &'a dyn Request,
    /// Monotonic time since the boot of the host, in steps of a few milliseconds.
    pub now: Duration,
    /// The time by the clock, in seconds since 1970.
    pub clock: u64,
    /// Tokens that this worker has verified.
    pub tokens: &'a RefCell<jwt::Cache>,
    /// The ways in which its target may read its path beside the normal form, where rules ask for it.
    pub readings: &'a [Reading],
    /// What others have said of it so far.
    pub answers: &'a [Answer],
    /// Whether it is only looked at what would be decided: nothing is counted.
    pub dry: bool,
}

/// A request, as its client sent it.
pub trait Request {
    /// Its method.
    fn method(&self) -> &[u8];

    /// "http" or "https".
    fn scheme(&self) -> &str;

    /// The host and port that it names, as they were sent.
    fn authority(&self) -> &[u8];

    /// The normal form of its path.
    fn path(&self) -> &[u8];

    /// Its path, as it was sent.
    fn sent_path(&self) -> &[u8] {
        self.path()
    }

    /// What stands behind the `?`, as it was sent.
    fn query(&self) -> Option<&[u8]>;

    /// Shows the value of each header line of this name, in any case.
    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8]));

    /// The values of all header lines of this name, in any case, with `, ` between (RFC 9110 §5.3).
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut all: Option<Vec<u8>> = None;
        self.each(name, &mut |value| match &mut all {
            Some(all) => {
                all.extend_from_slice(b", ");
                all.extend_from_slice(value);
            }
            None => all = Some(value.to_vec()),
        });
        all.map(Cow::Owned)
    }

    /// Shows the name of each header line.
    fn each_name(&self, _: &mut dyn FnMut(&[u8])) {}

    /// The host that routes see; empty where it names none.
    fn host(&self) -> Cow<'_, [u8]> {
        self.authority().into()
    }

    /// Whether it is a call of gRPC, whose body has no end before its answer begins.
    fn is_call(&self) -> bool {
        false
    }

    /// What the TLS handshake told; `None`: it came in clear.
    fn secure(&self) -> Option<Secure<'_>> {
        None
    }

    /// The name of the listener that it came to.
    fn listener(&self) -> &str {
        ""
    }
}

/// What a TLS handshake told.
#[derive(Clone, Copy, Debug)]
pub struct Secure<'a> {
    /// The name that the client asked for; may be empty.
    pub name: &'a str,
    /// `1.2` or `1.3`.
    pub version: &'a str,
    /// Who the client's certificate says it is, if it showed one.
    pub certificate: Option<Certificate<'a>>,
}

/// Who a client's certificate says it is; what it does not say is empty.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// The common name.
    pub common_name: &'a str,
    /// The subject, as RFC 4514 writes it.
    pub subject: &'a str,
    /// The alternative names, with commas between.
    pub names: &'a str,
    /// The SHA-256 of the certificate, in hex.
    pub fingerprint: &'a str,
}

/// Who asks, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The consumer.
    pub consumer: Option<Arc<Consumer>>,
    /// What tokens say of them, in the order of the rules that found these good.
    pub tokens: SmallVec<[Proven; 1]>,
    /// Headers by which others have said what targets are to be told.
    pub told: Vec<(Arc<str>, Box<[u8]>)>,
    /// What limits have said to it.
    pub limits: rate_limit::Said,
    /// What rules hold of it while it lasts.
    pub holds: Holds,
    /// What content has to be that comes with the request.
    pub promised: Option<signature::Promised>,
    /// What its body has to be, as rules say.
    pub bodies: SmallVec<[openapi::Awaited; 1]>,
    /// The key by which it is known again.
    pub keyed: Option<Box<idempotency::Keyed>>,
}

impl Who {
    /// What the consumer is called, or who is none, by whom their token is about.
    pub fn name(&self) -> Option<&str> {
        let subject = || self.tokens.iter().find_map(|proven| proven.claims.subject());
        self.consumer.as_ref().map(|consumer| &*consumer.name).or_else(subject)
    }

    /// It is known as that of it again. What is held of the request stays so: that is the request's, whoever asks.
    fn becomes(&mut self, before: Self) {
        let holds = std::mem::take(&mut self.holds);
        *self = Self { holds, ..before };
    }

    /// Forgets all of it. Where there is nothing, as of most requests, nothing is written.
    #[inline]
    pub fn clear(&mut self) {
        let Self { consumer, tokens, told, limits, holds, promised, bodies, keyed } = self;
        let is_any =
            consumer.is_some() || promised.is_some() || holds.is_any() || !bodies.is_empty() || keyed.is_some();
        if is_any || !(tokens.is_empty() && told.is_empty() && limits.is_empty()) {
            *self = Self::default();
        }
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.consumer.is_some() || !self.tokens.is_empty()
    }
}

/// When a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It needs not know who asks.
    Early,
    /// It counts, and needs not know either.
    EarlyLimit,
    /// It finds out who asks.
    Identity,
    /// It decides by that.
    Authorize,
    /// It counts what has come through all others.
    Limit,
    /// It looks at what is asked, of whomever that comes from.
    Validate,
}

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The status.
    pub status: u16,
    /// The kind of refusal.
    pub reason: Reason,
    /// What it was, in a word of the rule's own.
    pub word: &'static str,
    /// Whether the client has sent nothing of what the rule looks for.
    pub absent: bool,
    /// What the client may prove itself with (RFC 9110 §11.6.1): each is a line. Where there is none, what the route's rules look for.
    pub challenges: Challenges,
    /// After how many seconds the client may try again; 0: it is not said.
    pub retry_after: u32,
    /// Further whole lines of the answer's head, each with its end.
    pub lines: String,
    /// What the client is told of it, as a document (RFC 9457); `None`: no more than the status.
    pub problem: Option<Box<str>>,
}

/// What clients may prove themselves with.
pub type Challenges = SmallVec<[Arc<str>; 1]>;

/// Why a request does not go on for now.
#[derive(Debug)]
pub enum Halt {
    /// It never will.
    Denied(Denial),
    /// Somebody is to be asked first. Then the rule is put to the same request again, with the answer.
    Ask(Box<Question>),
}

/// Something that is decided of requests.
pub trait Rule: fmt::Debug + Send + Sync {
    /// When it is asked.
    fn phase(&self) -> Phase;

    /// Lets a request go on, or not; notes of who asks what it has found out.
    ///
    /// # Errors
    /// Why it goes no further, or whom to ask before that is known.
    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt>;

    /// Whether a condition of it asks for the path.
    fn names_path(&self) -> bool {
        false
    }

    /// What whoever is nobody may prove themselves with.
    fn challenges(&self) -> Challenges {
        Challenges::new()
    }
}

impl Denial {
    /// A refusal.
    pub fn new(status: u16, reason: Reason, word: &'static str) -> Self {
        let (challenges, lines) = (Challenges::new(), String::new());
        Self { status, reason, word, absent: false, challenges, retry_after: 0, lines, problem: None }
    }

    /// Nobody whom the rule knows (RFC 9110 §15.5.2).
    pub fn unauthenticated(word: &'static str) -> Self {
        Self::new(401, Reason::Unauthenticated, word)
    }

    /// Somebody who may not (RFC 9110 §15.5.4).
    pub fn forbidden(word: &'static str) -> Self {
        Self::new(403, Reason::Forbidden, word)
    }

    /// The same, to somebody who has sent nothing of what the rule looks for.
    pub fn absent(self) -> Self {
        Self { absent: true, ..self }
    }

    /// The same, with what the client may prove itself with.
    pub fn with(mut self, challenge: &Arc<str>) -> Self {
        self.challenges.push(challenge.clone());
        self
    }
}

impl From<Denial> for Halt {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl<'a> Asked<'a> {
    /// What was said to the rule at this place among all, in the order in which it asked.
    pub fn said_to(&self, rule: usize) -> impl Iterator<Item = &'a Answer> + use<'a> {
        self.answers.iter().filter(move |answer| answer.rule == rule)
    }
}

#[cfg(test)]
mod tests;
