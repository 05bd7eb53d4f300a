//! `ringway man`: writes the manual pages, one for each command.

use std::path::Path;
use std::process::ExitCode;

/// Writes the pages of `command` and all below it to a folder, which is made where it is not there.
pub fn man(folder: &Path, command: clap::Command) -> ExitCode {
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringway: the pages cannot be written to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
