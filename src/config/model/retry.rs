//! `[routes.NAME.retry]`: what is tried again, how often, and what that may cost.

use crate::config::formats::Method;
use crate::config::units::{Share, Size, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Further tries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Tries beyond the first.
    #[schemars(range(min = 0, max = 10))]
    pub attempts: u32,
    /// What is tried again: "connect" no connection could be made, "reset" the target closed it before a byte of its answer, "timeout"
    /// no head of an answer in time, "bad-response" an answer that cannot be read, or its status: "503", "5xx", "502-504".
    pub on: Vec<RetryOn>,
    /// The methods of requests that may be sent again although a target may have seen them: "idempotent" (GET, HEAD, PUT, DELETE,
    /// OPTIONS), "all", or a list. What no target can have seen is tried again whatever the method.
    pub methods: RetryMethods,
    /// How long one try may take to the head of its answer, connecting included and the sending of a long body not. Absent: the pool's
    /// timeouts alone.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub per_try: Option<Span>,
    /// How long to wait before targets that were tried are tried again, once no other is left. Absent: they are not.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub backoff: Option<Span>,
    /// The most tries beyond the first, as a share of the route's requests: what keeps retries from finishing off targets that are
    /// overloaded. Absent: no bound.
    pub budget: Option<Share>,
    /// How much of a request's body is held, so that it can be sent again; larger ones are not.
    #[schemars(extend("x-maximum" = "16MiB"))]
    pub body: Size,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: vec![RetryOn::Connect, RetryOn::Reset],
            methods: RetryMethods::Idempotent,
            per_try: None,
            backoff: None,
            budget: None,
            body: Size(16 << 10),
        }
    }
}

/// A second target that is asked while the first is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    /// How long the head of an answer may take, from when the request has gone out, before the second one is asked as well.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1m"))]
    pub after: Span,
}

/// A failure that is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// No connection could be made.
    Connect,
    /// The connection ended before a byte of the answer.
    Reset,
    /// No head of an answer in time.
    Timeout,
    /// An answer that cannot be read.
    BadResponse,
    /// An answer with a status from the first to the second.
    Status(u16, u16),
}

/// Which requests may be sent twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum RetryMethods {
    /// Those of which twice is the same as once (RFC 9110 §9.2.2).
    Idempotent,
    /// Any.
    All,
    /// These.
    List(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(Word),
    List(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Idempotent,
    All,
}

impl From<Written> for RetryMethods {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Idempotent) => Self::Idempotent,
            Written::Word(Word::All) => Self::All,
            Written::List(methods) => Self::List(methods),
        }
    }
}

impl From<RetryMethods> for Written {
    fn from(methods: RetryMethods) -> Self {
        match methods {
            RetryMethods::Idempotent => Self::Word(Word::Idempotent),
            RetryMethods::All => Self::Word(Word::All),
            RetryMethods::List(methods) => Self::List(methods),
        }
    }
}

impl JsonSchema for RetryMethods {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RetryMethods".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "enum": ["idempotent", "all"] },
            { "type": "array", "items": Method::json_schema(generator) },
        ] })
    }
}
