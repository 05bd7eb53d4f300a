//! `bench`: the tools that every claim about Ringway's speed and steadiness comes from.

mod backend;
mod body;
mod pattern;

use clap::Parser;

#[derive(Parser)]
#[command(about, version)]
enum Command {
    /// A fixed HTTP target, and an echo.
    Backend(backend::Args),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Backend(args) => backend::run(args),
    }
}
