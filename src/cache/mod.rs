//! What HTTP says of caching (RFC 9111 and what builds on it): may an answer be stored, for how long is it fresh, may it be
//! reused for this request, what is asked of the origin to validate or complete it, what becomes of it then. And [`store`], where
//! answers are kept.
//!
//! What always holds:
//! - But for the store, without I/O and without a clock: heads are handed in as [`Fields`], times as milliseconds of the wall clock since 1970.
//! - What a head says is read in one pass ([`Request`], [`Response`]) that allocates nothing for lines of common length.
//! - In doubt the answer is the careful one: not stored, stale, another key, the whole instead of a part.
//!
//! May depend on `net` (calls between workers, the coarse clock) and `observe` (the words for failures), in [`store`] and [`disk`]
//! alone, which say for themselves what else they do and need.

#[cfg(test)]
mod cases;
mod control;
mod date;
pub mod disk;
pub mod etag;
mod fields;
mod freshness;
pub mod groups;
pub mod key;
mod list;
mod message;
pub mod multipart;
mod parts;
mod precondition;
pub mod range;
mod rules;
mod short;
mod status;
pub mod store;
mod storing;
mod targeted;
mod uri;
pub mod validation;
mod vary;

pub use control::{RequestDirectives, ResponseDirectives};
pub use date::parse_date;
pub use fields::{Fields, Lines};
pub use freshness::{Freshness, Need, Times, Use, is_failure};
pub use groups::Tags;
pub use key::{KeyRules, Query};
pub use message::{Conditions, Expires, Request, Response};
pub use parts::{Parts, may_combine};
pub use precondition::{Outcome, Validators};
pub use rules::{Heuristics, Honour, Over, Rules, SetCookie, Ttl};
pub use status::{CacheStatus, Detail, Forward};
pub use storing::{Dropped, Method, Why, judge};
pub use uri::Uri;
pub use vary::{Vary, favourite_language};
