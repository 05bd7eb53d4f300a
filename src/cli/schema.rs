//! `ringway schema`: prints the JSON Schema of a configuration file, or every key of one for people.

use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;

/// What is wanted of it.
#[derive(Args)]
pub struct Arguments {
    /// Print every key with its type, its default and its meaning, as Markdown.
    #[arg(long)]
    markdown: bool,
}

/// Prints it to standard output.
pub fn schema(arguments: &Arguments) -> ExitCode {
    let text = match arguments.markdown {
        true => crate::config::reference::markdown(),
        false => format!("{:#}\n", crate::config::schema::schema()),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
