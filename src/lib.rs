//! Ringway: a load balancer, reverse proxy and API gateway in one process, on io_uring, one pinned thread per core.
//!
//! Dependencies between the modules point down this list only (`tests/house.rs` checks it):
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | arguments, one file per subcommand |
//! | [`import`] | configurations of HAProxy, nginx and Kong as Ringway's own, and what became of each line |
//! | [`control`] | sockets and workers' lives, health checks' schedule, admin listener, signals |
//! | [`explain`] | what would become of a request and why, without a socket; a configuration's own tests |
//! | [`worker`] | the pinned thread: accept, mailbox, drain |
//! | [`http`] | heads, bodies and the exchange; the codecs of HTTP/1.1 and HTTP/2 at its edge |
//! | [`stream`] | L4: the TCP pump, also for what an Upgrade made a tunnel |
//! | [`lane`] | one worker's side of the plan: pools, counters, histograms, log |
//! | [`plan`] | the configuration compiled into the immutable `Plan`: routers and pools |
//! | [`cache`] | what RFC 9111 says of storing and reusing answers, and where they are stored, the disk included |
//! | [`gateway`] | what is decided of a request before it goes on: rules, one file each, and who asks |
//! | [`config`] | the TOML model, reading it, diagnostics, JSON Schema |
//! | [`upstream`] | targets, balancing policies, idle connections, health checks |
//! | [`tls`] | ending TLS: certificates by name, tickets, clients' certificates, the session |
//! | [`compress`] | content codings both ways, and which of them a client is given |
//! | [`translate`] | REST, gRPC, gRPC-Web and forms, one as the other: descriptors, bindings, messages as JSON |
//! | [`net`] | the contract with the runtime: the only place with descriptors, tasks, timers and `unsafe` |
//! | [`observe`] | counters, histograms, access log, operational log |

#![deny(unsafe_code)]

pub mod cache;
pub mod cli;
pub mod compress;
pub mod config;
pub mod control;
pub mod explain;
pub mod gateway;
pub mod http;
pub mod import;
pub mod lane;
#[allow(unsafe_code, reason = "the only module that talks to the kernel; every block says why it is sound")]
pub mod net;
pub mod observe;
pub mod plan;
pub mod stream;
pub mod tls;
pub mod translate;
pub mod upstream;
pub mod worker;
