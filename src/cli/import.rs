//! `ringway import`: makes a configuration of another's, and says of each line what became of it.

use crate::import::{self, Around, Source};
use std::io::{self, Write};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is asked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// The file: haproxy.cfg, nginx.conf or kong.yml.
    file: PathBuf,
    /// Whose configuration it is; by default what it looks like.
    #[arg(long, value_enum)]
    from: Option<Source>,
    /// Where the configuration goes; by default to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the report goes; by default to standard error.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Files and names as they are here.
struct Here {
    /// Where the input lies, and what it names by relative paths.
    folder: PathBuf,
}

impl Around for Here {
    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(path)).ok()
    }

    fn is_folder(&self, path: &str) -> bool {
        self.folder.join(path).is_dir()
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        let whole = self.folder.join(pattern);
        let (Some(folder), Some(name)) = (whole.parent(), whole.file_name().and_then(|name| name.to_str())) else {
            return Vec::new();
        };
        let (start, end) = name.split_once('*').unwrap_or((name, ""));
        let fits = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            !name.starts_with('.')
                && name.len() >= start.len() + end.len()
                && name.starts_with(start)
                && name.ends_with(end)
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<String> = entries.filter(fits).map(|path| path.display().to_string()).collect();
        found.sort();
        found
    }

    #[expect(clippy::disallowed_methods, reason = "this command has nothing else to do meanwhile")]
    fn resolve(&self, host: &str) -> Option<IpAddr> {
        let mut found = (host, 0).to_socket_addrs().ok()?.map(|address| address.ip());
        let first = found.next()?;
        Some(if first.is_ipv4() { first } else { found.find(IpAddr::is_ipv4).unwrap_or(first) })
    }
}

/// Imports a file. Gives 2 where it cannot be read or is not understood at all; lines that are not supported are told of, and no failure.
pub fn import(arguments: &Arguments) -> ExitCode {
    match imported(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(what)) => {
            eprintln!("error: {what}");
            ExitCode::from(2)
        }
        Err(Failure::Output(what)) => {
            eprintln!("error: {what}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    Input(String),
    Output(String),
}

fn imported(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.file;
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("cannot read `{name}`: {error}")))?;
    let unknown =
        || Failure::Input(format!("`{name}` looks like none that is understood\nhelp: say whose it is with --from"));
    let source = arguments.from.or_else(|| Source::of(path, &text)).ok_or_else(unknown)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let short = path.file_name().map_or_else(|| name.clone(), |short| short.to_string_lossy().into_owned());
    let made = import::import(source, &short, &text, &Here { folder }).map_err(|wrong| {
        let place = if wrong.line > 0 { format!("{name}:{}", wrong.line) } else { name.clone() };
        Failure::Input(format!("{place}: {}", wrong.what))
    })?;
    let report = if arguments.json { format!("{:#}\n", made.report.json()) } else { made.report.text() };
    write(arguments.output.as_deref(), &made.toml, &mut io::stdout())?;
    write(arguments.report.as_deref(), &report, &mut io::stderr())
}

fn write(path: Option<&Path>, text: &str, otherwise: &mut dyn Write) -> Result<(), Failure> {
    match path {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::Output(format!("cannot write `{}`: {error}", path.display()))),
        None => otherwise.write_all(text.as_bytes()).map_err(|error| Failure::Output(format!("cannot write: {error}"))),
    }
}
