//! User-space instructions per request on the plain HTTP/1.1 path. `scripts/instructions` builds and runs it.
//!
//! The real `http::serve` runs under callgrind, on the epoll driver, since valgrind knows no io_uring; client and targets are
//! a process of their own that is not measured. One connection with one request under way, and peers that speak only while
//! the proxy sleeps, make the counts repeat, at the price that nothing is shared by the requests of one turn of the loop.
//! Counted twice, with N and 2N requests: the difference is N requests without any set-up.
//!
//! What it does not show: the kernel, the ring's side of the runtime, cache misses, and the few instructions of the vDSO's
//! clocks, which valgrind turns into system calls (the calls are listed).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measurement may block, and fails by panicking"
)]

mod frames;
mod peers;
mod profile;
mod proxy;
mod report;
mod stages;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |text: &str| text.parse::<usize>().expect("a number of requests");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["proxy", requests, ref with @ ..] => {
            proxy::run(number(requests), with.contains(&"--log"), with.contains(&"--trace"));
        }
        ["peers", requests] => peers::run(number(requests)),
        ref options => report::run(options),
    }
}
