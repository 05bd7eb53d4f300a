//! What is counted, driven by hand, by many threads, and beside models that are plain.

mod fields;
mod flow;
mod keep;
mod limit;
mod model;
mod open;
mod shares;
mod threads;
