//! `bench`: the tools that every claim about Ringway's speed and steadiness comes from.

mod backend;
mod body;
mod bulk;
mod caches;
mod changes;
mod chaos;
mod checks;
mod datagrams;
mod messages;
mod pattern;
mod plain;
mod process;
mod ratio;
mod records;
mod report;
mod runner;
mod short;
mod strict;
mod succession;
mod tls;
mod wait;

use clap::Parser;

#[derive(Parser)]
#[command(about, version)]
enum Command {
    /// A fixed HTTP target, and an echo.
    Backend(backend::Args),
    /// A load that verifies every answer.
    Strict(strict::Args),
    /// A load for large bodies that are not looked at.
    Bulk(bulk::Args),
    /// A load of a connection for each request.
    Short(short::Args),
    /// A load of small WebSocket messages.
    Messages(messages::Args),
    /// A load of datagrams, as questions of DNS.
    Datagrams(datagrams::Args),
    /// Ringway and its peers side by side.
    Run(runner::Args),
    /// Ringway under full load while targets are killed and clients misbehave.
    Chaos(chaos::Args),
    /// Ringway under load of all kinds while its configuration and its binary are changed.
    Changes(changes::Args),
    /// Ringway's cache: what it takes of memory, and what a million objects on its disk do.
    Caches(caches::Args),
    /// Results as an SVG for each scenario.
    Chart(report::chart::Args),
    /// Whether the second of two results is worse than the first.
    Compare(report::compare::Args),
}

fn main() -> std::process::ExitCode {
    let done = match Command::parse() {
        Command::Backend(args) => backend::run(args),
        Command::Strict(args) => strict::run(args),
        Command::Bulk(args) => bulk::run(args),
        Command::Short(args) => short::run(args),
        Command::Messages(args) => messages::run(args),
        Command::Datagrams(args) => datagrams::run(args),
        Command::Run(args) => runner::run(args),
        Command::Chaos(args) => chaos::run(args),
        Command::Changes(args) => changes::run(args),
        Command::Caches(args) => caches::run(args),
        Command::Chart(args) => report::chart::run(args),
        Command::Compare(args) => return report::compare::run(args),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
