//! Which stage of a request an instruction belongs to.

use crate::frames::Frame;
use crate::profile::{Function, Profile, Site};
use std::collections::HashMap;

/// Files and folders of ours, the first that matches decides. What is not listed (heads, framing, scanning: what several
/// stages share) belongs to whoever called it, as libraries do.
const FILES: &[(&str, &str)] = &[
    ("src/http/h1/request.rs", "parse request"),
    ("src/http/h1/target.rs", "parse request"),
    ("src/http/h1/response.rs", "parse response"),
    ("src/http/h1/forwarding.rs", "encode request"),
    ("src/http/request.rs", "route"),
    ("src/plan/", "route"),
    ("src/upstream/balance/", "balance"),
    ("src/upstream/target.rs", "balance"),
    ("src/upstream/local.rs", "idle connections"),
    ("src/observe/access/", "log"),
    ("src/observe/trace/", "trace"),
    ("src/observe/file/", "log"),
    ("src/observe/", "counters, latency"),
    ("src/http/outcome.rs", "counters, latency"),
    ("src/http/answer.rs", "exchange"),
    ("src/http/body.rs", "exchange"),
    ("src/http/connection.rs", "exchange"),
    ("src/lane/", "exchange"),
    ("src/http/exchange.rs", "exchange"),
    ("src/http/forward.rs", "exchange"),
    ("src/http/transfer.rs", "exchange"),
    ("src/net/clock.rs", "net: clock"),
    ("src/net/driver", "runtime (epoll)"),
    ("src/net/executor.rs", "runtime (epoll)"),
    ("src/net/timer.rs", "runtime (epoll)"),
    ("src/net/watch.rs", "net: watches"),
    ("src/net/lease.rs", "net: buffers"),
    ("src/net/", "net: streams"),
];

/// Functions that belong elsewhere than the rest of their file, by the beginning of their name.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("src/http/h1/encode.rs", "encode_request", "encode request"),
    ("src/http/h1/encode.rs", "push_request_line", "encode request"),
    ("src/http/h1/encode.rs", "encode_response", "encode response"),
    ("src/http/h1/encode.rs", "push_response", "encode response"),
    ("src/http/h1/encode.rs", "stated_length", "encode response"),
    ("src/http/transfer.rs", "encode_head", "encode request"),
    ("src/http/transfer.rs", "onward_path", "encode request"),
    ("src/http/exchange.rs", "decide", "route"),
    ("src/upstream/local.rs", "choose", "balance"),
    ("src/upstream/local.rs", "usable", "balance"),
    ("src/upstream/local.rs", "weight", "balance"),
    ("src/upstream/local.rs", "in_flight", "balance"),
    ("src/http/outcome.rs", "record", "log"),
    ("src/http/outcome.rs", "request_id", "log"),
];

const LIBRARIES: &[(&str, &str)] = &[("mimalloc", "allocator"), ("hdrhistogram", "counters, latency")];

/// The stage of an instruction; `None` if it belongs to whoever called its function.
pub fn stage(frames: &[Frame], function: &Function) -> Option<&'static str> {
    let name = function.name.as_str();
    if ["mi_", "_mi_", "__rust_", "__rdl_", "__rustc"].iter().any(|start| name.starts_with(start)) {
        return Some("allocator");
    }
    if ["memcpy", "memmove", "memset", "memcmp", "bcmp"].iter().any(|part| name.contains(part)) {
        return Some("memcpy, memcmp");
    }
    if function.object.contains("/libc.so") || function.object.contains("/ld-linux") {
        return Some("libc (system calls)");
    }
    frames.iter().find_map(|frame| {
        if let Some(library) = frame.library() {
            return LIBRARIES.iter().find(|(known, _)| library.starts_with(known)).map(|(_, stage)| *stage);
        }
        if !frame.is_ours() {
            return None;
        }
        let by_function =
            FUNCTIONS.iter().find(|(file, name, _)| frame.file == *file && frame.function.starts_with(name));
        let by_file = || FILES.iter().find(|(path, _)| frame.file.starts_with(path)).map(|(_, stage)| *stage);
        by_function.map(|(_, _, stage)| *stage).or_else(by_file)
    })
}

/// Adds up the instructions under what `blame` says of their site. Where it says nothing, they go to those that called the
/// function, in the shares in which they did.
pub fn attribute(profile: &Profile, blame: impl Fn(&Site) -> Option<String>) -> HashMap<String, f64> {
    let mut sums: HashMap<String, f64> = HashMap::new();
    let mut left: HashMap<&Function, f64> = HashMap::new();
    for (site, cost) in &profile.own {
        match blame(site) {
            Some(key) => *sums.entry(key).or_default() += cost,
            None => *left.entry(&site.function).or_default() += cost,
        }
    }
    type Call<'a> = (&'a Site, f64, Option<String>);
    let mut callers: HashMap<&Function, Vec<Call<'_>>> = HashMap::new();
    for ((site, callee), calls) in &profile.arcs {
        // A function that calls itself has no other caller by that.
        if calls.cost > 0.0 && site.function != *callee {
            callers.entry(callee).or_default().push((site, calls.cost, blame(site)));
        }
    }
    for _ in 0..MOST_DEEP {
        for (function, cost) in std::mem::take(&mut left) {
            let Some(callers) = callers.get(function) else {
                *sums.entry("(nobody)".to_owned()).or_default() += cost;
                continue;
            };
            let all: f64 = callers.iter().map(|(_, weight, _)| weight).sum();
            for (site, weight, key) in callers {
                let share = cost * weight / all;
                match key {
                    Some(key) => *sums.entry(key.clone()).or_default() += share,
                    None => *left.entry(&site.function).or_default() += share,
                }
            }
        }
    }
    sums.entry("(nobody)".to_owned()).and_modify(|sum| *sum += left.values().sum::<f64>());
    sums
}

/// Calls of library functions by library functions, one below the other.
const MOST_DEEP: usize = 40;
