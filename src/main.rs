//! The thin binary: arguments in, exit code out.

/// An exchange's state is made and dropped with every request, and is larger than what the C library keeps at hand.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    ringway::cli::main()
}
