//! Parts of a request's way, one by one: `cargo bench`, or `cargo bench -- router` for those whose name has that in it.
//!
//! They use what is `pub` in the library alone. What only the exchange itself can call (its own glue, the runtime) is counted
//! by `scripts/instructions`, which drives the real exchange; to open it up for a timer would show more than it tells.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

mod balance;
mod condition;
mod h1;
mod path;
mod router;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}
