//! What Ringway tells about itself: counters, latency histograms, access log, spans, operational log.
//!
//! A leaf: it depends on no other module of the crate. What runs on a worker (counters, histograms, formatting a
//! record) takes no lock, makes no system call per request and allocates only when something is seen for the first
//! time; what may wait (files, terminals, `/proc`) runs on threads of its own or on control's.

pub mod access;
pub mod analytics;
pub mod checked;
pub mod compression;
pub mod counters;
pub mod datagrams;
pub mod discovery;
pub mod file;
pub mod issuers;
pub mod latency;
pub mod log;
pub mod process;
pub mod prometheus;
pub mod reason;
pub mod reloads;
pub mod remark;
pub mod scrape;
pub mod status;
pub mod tally;
pub mod trace;
pub mod wall;
