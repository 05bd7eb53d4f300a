//! Distributed tracing: who belongs to which trace (W3C Trace Context), which exchanges are told of, and their spans in
//! OpenTelemetry's form.
//!
//! An exchange gathers [`Facts`] of a fixed size; only at its end, and only if it is wanted, does its worker's [`Tracer`]
//! make spans of them, as bytes that go through a bounded [`Queue`] to whoever delivers them.
//!
//! What always holds: nobody waits for a collector, and what finds no room is dropped and counted; a span holds no query
//! and no header but User-Agent.
//!
//! May depend on what the rest of `observe` may.

mod context;
mod facts;
mod protobuf;
mod queue;
mod rules;
mod span;
mod tracer;

pub use context::{Context, Ids, Parent};
pub use facts::{Facts, TRIES, Try};
pub use protobuf::{Value, Writer, fields};
pub use queue::{Batch, Queue, Spans, queue};
pub use rules::{Rules, Trust};
pub use span::Exchange;
pub use tracer::Tracer;
