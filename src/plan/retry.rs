//! When a request of a route is tried again.

use crate::config::model::{self, RetryMethods, RetryOn};
use crate::upstream::Budget;
use std::sync::Arc;
use std::time::Duration;

/// When a request is tried again, and what that may cost.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Tries beyond the first.
    pub attempts: u32,
    /// What is tried again.
    pub on: Conditions,
    /// Which requests may be sent twice.
    pub methods: Methods,
    /// How long one try may take to the head of its answer.
    pub per_try: Option<Duration>,
    /// How long to wait before targets that were tried are tried again; `None`: they are not.
    pub backoff: Option<Duration>,
    /// What bounds tries beyond the first.
    pub budget: Option<Arc<Budget>>,
    /// Bytes of a request's body that are held for another try.
    pub body: usize,
}

/// What is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// A failed connect.
    pub connect: bool,
    /// A connection that ended before a byte of the answer.
    pub reset: bool,
    /// No head of an answer in time.
    pub timeout: bool,
    /// An answer that cannot be read.
    pub bad_response: bool,
    /// Answers with these statuses, from the first to the second.
    pub statuses: Box<[(u16, u16)]>,
}

/// Which requests may be sent again although a target may have seen them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Those whose method is idempotent.
    Idempotent,
    /// Any.
    All,
    /// Those with one of these methods.
    List(Box<[Box<[u8]>]>),
}

impl Conditions {
    /// Whether an answer with `status` is tried again.
    pub fn has(&self, status: u16) -> bool {
        self.statuses.iter().any(|&(low, high)| (low..=high).contains(&status))
    }
}

impl Retry {
    /// Whether requests are tried again by the same rules, and by no budget of their route's own.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self { attempts, on, methods, per_try, backoff, budget, body } = self;
        let alike =
            (attempts, per_try, backoff, body) == (&other.attempts, &other.per_try, &other.backoff, &other.body);
        alike && *on == other.on && *methods == other.methods && budget.is_none() && other.budget.is_none()
    }

    /// As a route says, whose requests `workers` take. What `before` saved up is kept if its share is the same.
    pub(super) fn new(model: &model::Retry, workers: usize, before: Option<&Retry>) -> Self {
        let has = |on: RetryOn| model.on.contains(&on);
        let status = |on: &RetryOn| match *on {
            RetryOn::Status(low, high) => Some((low, high)),
            _ => None,
        };
        let budget = model.budget.map(|share| {
            let kept = before.and_then(|before| before.budget.as_ref()).filter(|budget| budget.is_of(share.0));
            kept.cloned().unwrap_or_else(|| Arc::new(Budget::new(share.0, workers)))
        });
        Self {
            attempts: model.attempts,
            on: Conditions {
                connect: has(RetryOn::Connect),
                reset: has(RetryOn::Reset),
                timeout: has(RetryOn::Timeout),
                bad_response: has(RetryOn::BadResponse),
                statuses: model.on.iter().filter_map(status).collect(),
            },
            methods: match &model.methods {
                RetryMethods::Idempotent => Methods::Idempotent,
                RetryMethods::All => Methods::All,
                RetryMethods::List(methods) => {
                    Methods::List(methods.iter().map(|method| method.as_bytes().into()).collect())
                }
            },
            per_try: model.per_try.map(|span| span.0),
            backoff: model.backoff.map(|span| span.0),
            budget,
            body: usize::try_from(model.body.0).unwrap_or(usize::MAX),
        }
    }
}

impl Default for Retry {
    /// That of a route which says nothing of it.
    fn default() -> Self {
        Self::new(&model::Retry::default(), 0, None)
    }
}
