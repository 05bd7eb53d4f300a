//! Traces: what targets are told, what a collector gets, and that traffic never waits for it.

mod context;
mod delivery;
mod reload;
mod spans;
