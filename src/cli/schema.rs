//! `ringway schema`: prints the JSON Schema of a configuration file.

use std::io::{self, Write};
use std::process::ExitCode;

/// Prints the schema to standard output.
pub fn schema() -> ExitCode {
    match writeln!(io::stdout(), "{:#}", crate::config::schema::schema()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
