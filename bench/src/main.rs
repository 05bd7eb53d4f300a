//! `bench`: the tools that every claim about Ringway's speed and steadiness comes from.

mod backend;
mod body;
mod pattern;
mod strict;

use clap::Parser;

#[derive(Parser)]
#[command(about, version)]
enum Command {
    /// A fixed HTTP target, and an echo.
    Backend(backend::Args),
    /// A load that verifies every answer.
    Strict(strict::Args),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Backend(args) => backend::run(args),
        Command::Strict(args) => strict::run(args),
    }
}
