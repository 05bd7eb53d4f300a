//! `ringway completions`: prints what a shell completes commands by.

use clap_complete::Shell;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints what `shell` needs to complete `command`.
pub fn completions(shell: Shell, mut command: clap::Command) -> ExitCode {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    match io::stdout().write_all(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
