//! The command line: one file per subcommand. Exit codes: 0 good, 1 failed at run time or a test of the configuration failed,
//! 2 the input was wrong.

mod check;
mod demo;
mod explain;
mod run;
mod schema;

use crate::explain as explaining;
use crate::plan;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Load balancer, reverse proxy and API gateway in one process.
#[derive(Parser)]
#[command(name = "ringway", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run with a configuration until SIGTERM or Ctrl-C.
    Run {
        /// The configuration.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/ringway/ringway.toml")]
        config: PathBuf,
    },
    /// Check a configuration and run its tests; tell every fault at once, and bind nothing.
    Check {
        /// The configuration.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/ringway/ringway.toml")]
        config: PathBuf,
    },
    /// Say what would become of a request, and why; send nothing.
    Explain(explain::Arguments),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Start targets and a balancer in front of them, to try things out.
    Demo,
}

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::Check { config } => {
            check::check(&config, |loaded| explaining::try_all(&plan::compile(&loaded.config, 1)?, &loaded.config))
        }
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Schema => schema::schema(),
        Command::Demo => demo::demo(),
    }
}
