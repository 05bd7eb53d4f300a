//! `ringway check`: reads and validates a configuration. Binds nothing.

use crate::config::{self, Fault, Loaded};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Prints what is wrong to standard error and gives 2, or a summary to standard output and 0. `validate` finds what only
/// the compiled configuration shows, such as routes that tie.
pub fn check(path: &Path, validate: impl FnOnce(&Loaded) -> Vec<Fault>) -> ExitCode {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    match checked(path, &|name| std::env::var(name).ok(), validate, colour, out, err) {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn checked(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    validate: impl FnOnce(&Loaded) -> Vec<Fault>,
    colour: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let report = match config::load(path, env) {
        Err(report) => report,
        Ok(loaded) => {
            let faults = validate(&loaded);
            if faults.is_empty() {
                if !loaded.warnings.is_empty() {
                    writeln!(err, "{}\n", loaded.warnings.render(colour))?;
                }
                writeln!(out, "{}", summary(&loaded))?;
                return Ok(ExitCode::SUCCESS);
            }
            loaded.sources.report(&faults)
        }
    };
    writeln!(err, "{}\n", report.render(colour))?;
    writeln!(err, "{} in {}", count(report.len(), "fault"), path.display())?;
    Ok(ExitCode::from(2))
}

fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let targets = config.pools.values().map(|pool| pool.targets.len()).sum();
    let mut parts = vec![count(config.listeners.len(), "listener")];
    if !config.routes.is_empty() {
        parts.push(count(config.routes.len(), "route"));
    }
    parts.push(format!("{} ({})", count(config.pools.len(), "pool"), count(targets, "target")));
    if !loaded.warnings.is_empty() {
        parts.push(count(loaded.warnings.len(), "warning"));
    }
    format!("ok: {}", parts.join(", "))
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(path: &Path, faults: Vec<Fault>) -> (String, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = checked(path, &|_| None, |_| faults, false, &mut out, &mut err).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (format!("{code:?}"), text(out), text(err))
    }

    #[test]
    fn a_good_file_is_summed_up_and_a_bad_one_gives_2() {
        let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml"));
        let (code, out, err) = run(example, Vec::new());
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS));
        assert_eq!((out.as_str(), err.as_str()), ("ok: 3 listeners, 3 routes, 3 pools (7 targets)\n", ""));

        let tie = Fault::new(["routes", "api"], "routes `api` and `hello` tie");
        let (code, out, err) = run(example, vec![tie]);
        assert_eq!(code, format!("{:?}", ExitCode::from(2)));
        assert!(out.is_empty());
        assert!(err.starts_with("error: routes `api` and `hello` tie\n"), "{err}");

        let (code, _, err) = run(Path::new("/nowhere/ring.toml"), Vec::new());
        assert_eq!(code, format!("{:?}", ExitCode::from(2)));
        assert!(err.contains("cannot read `/nowhere/ring.toml`: there is no such file"), "{err}");
    }
}
