//! The real binary spoken to over real sockets. Each module is one subject; each test is named after what it protects.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may block, and fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod actors;
mod admin;
mod aggregate;
mod analytics;
mod balance;
mod behaviours;
mod cache;
mod cache_ops;
mod clients;
mod compression;
mod config;
mod config_tests;
mod counts;
mod dashboard;
mod deprecated;
mod discovery;
mod drivers;
mod edits;
mod explain;
mod files;
mod gateway;
mod guards;
mod guides;
mod h2;
mod h2_goaway;
mod h2_heads;
mod h2_stalled;
mod health;
mod hedging;
mod hostile;
mod http_forwarding;
mod http_framing;
mod http_reuse;
mod http_routing;
mod http_timeouts;
mod idle_close;
mod import;
mod interplay;
mod lifecycle;
mod live;
mod logs;
mod mirror;
mod observe;
mod pages;
mod papers;
mod passthrough;
mod privileges;
mod probes;
mod proxy_protocol;
mod queue;
mod reload;
mod retries;
mod retry_bodies;
mod servers;
mod several;
mod split;
mod stages;
mod sticky;
mod supervisor;
mod syslog;
mod takeover;
mod tcp;
mod tls;
mod top;
mod tracing;
mod translate;
mod udp;
mod upgrade;
mod versions;
