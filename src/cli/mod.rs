//! The command line: one file per subcommand. Exit codes: 0 good, 1 failed at run time, 2 the input was wrong.

pub mod check;
pub mod schema;

use std::process::ExitCode;

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
