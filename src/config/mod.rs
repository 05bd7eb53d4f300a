//! The TOML model (serde), reading, includes, environment, diagnostics with spans, JSON Schema.

pub mod model;
pub mod units;
