//! The command line: one file per subcommand. Exit codes: 0 good, 1 failed at run time or a test of the configuration failed,
//! 2 the input was wrong.

mod analytics;
mod ask;
mod check;
mod completions;
mod demo;
mod explain;
mod import;
mod man;
mod mirror;
mod operate;
mod purge;
mod run;
mod schema;
mod split;
mod status;
mod table;
mod target;
mod top;

use crate::explain as explaining;
use crate::plan;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the manual page tells beside the commands.
const MORE: &str = "\
Exit codes: 0 good; 1 failed at run time, or a test of the configuration failed; 2 the input was wrong.

Files: /etc/ringway/ringway.toml is the configuration, /run/ringway/admin.sock where operators ask, /var/lib/ringway what \
outlives the process; the configuration may name others.

Signals: SIGHUP reads the configuration again, SIGUSR2 has a new process take over, SIGUSR1 opens log files again, SIGTERM ends it \
when what is live has ended.

Environment: RINGWAY_LOG chooses what the operational log tells: debug, or by module, ringway::upstream=debug,info.";

/// Load balancer, reverse proxy and API gateway in one process.
#[derive(Parser)]
#[command(name = "ringway", version, about, arg_required_else_help = true, after_long_help = MORE)]
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
    /// Show what a running Ringway does: listeners, pools, targets.
    Status(status::Arguments),
    /// Watch what a running Ringway does, and drain and weigh targets by keys.
    Top(top::Arguments),
    /// Have a running Ringway read its configuration anew, and show what has changed.
    Reload(operate::Reload),
    /// Start the binary anew, which takes over from a running Ringway without losing a request.
    Upgrade(operate::Upgrade),
    /// Look at targets and change them: drain, maintenance, weight, add, remove.
    Target(target::Arguments),
    /// Show how requests of routes are divided among pools, and give these other weights.
    Split(split::Arguments),
    /// Show which routes another pool gets requests of as well, and how its answers differ.
    Mirror(mirror::Arguments),
    /// Show clients' connections, or end them.
    Conns(operate::Conns),
    /// Have caches forget answers, or take them for stale.
    Purge(purge::Purge),
    /// Show who asks for what, how often and with what success, of the last day or of any time.
    Analytics(analytics::Arguments),
    /// Refuse clients, or list those that are refused.
    Ban(operate::Ban),
    /// Refuse a client no more.
    Unban(operate::Unban),
    /// Show or choose what the operational log tells.
    LogLevel(operate::LogLevel),
    /// Make a configuration of HAProxy's, nginx's or Kong's, and say of each line what became of it.
    Import(import::Arguments),
    /// Print the JSON Schema of the configuration, or every key of it.
    Schema(schema::Arguments),
    /// Print what a shell completes commands by.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages.
    Man {
        /// The folder for them.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Start targets and a balancer in front of them, to try things out.
    Demo,
}

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::Check { config } => check::check(&config, |loaded| {
            let plan = plan::compile(&loaded.config, 1)?;
            loaded.warn(plan.warnings());
            explaining::try_all(&plan, &loaded.config)
        }),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Status(arguments) => ask::end(status::status(&arguments)),
        Command::Top(arguments) => ask::end(top::top(&arguments)),
        Command::Reload(arguments) => ask::end(operate::reload(&arguments)),
        Command::Upgrade(arguments) => ask::end(operate::upgrade(&arguments)),
        Command::Target(arguments) => ask::end(target::target(&arguments)),
        Command::Split(arguments) => ask::end(split::split(&arguments)),
        Command::Mirror(arguments) => ask::end(mirror::mirror(&arguments)),
        Command::Conns(arguments) => ask::end(operate::conns(&arguments)),
        Command::Purge(arguments) => ask::end(purge::purge(&arguments)),
        Command::Analytics(arguments) => ask::end(analytics::analytics(&arguments)),
        Command::Ban(arguments) => ask::end(operate::ban(&arguments)),
        Command::Unban(arguments) => ask::end(operate::unban(&arguments)),
        Command::LogLevel(arguments) => ask::end(operate::log_level(&arguments)),
        Command::Import(arguments) => import::import(&arguments),
        Command::Schema(arguments) => schema::schema(&arguments),
        Command::Completions { shell } => completions::completions(shell, Arguments::command()),
        Command::Man { folder } => man::man(&folder, Arguments::command()),
        Command::Demo => demo::demo(),
    }
}
