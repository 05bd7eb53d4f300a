//! `ringway check`: reads and validates a configuration, and runs its tests. Binds nothing.

use super::explain::colour;
use crate::config::{self, Fault, Loaded};
use crate::explain::{Trial, text};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Prints what is wrong to standard error and gives 2; or the tests that fail, and gives 1; or a summary to standard output,
/// and gives 0. `validate` finds what only the compiled configuration shows, such as routes that tie, and runs the tests.
pub fn check(path: &Path, validate: impl FnOnce(&mut Loaded) -> Result<Vec<Trial>, Vec<Fault>>) -> ExitCode {
    let colour = colour(&io::stderr());
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    match checked(path, &|name| std::env::var(name).ok(), validate, colour, out, err) {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn checked(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    validate: impl FnOnce(&mut Loaded) -> Result<Vec<Trial>, Vec<Fault>>,
    colour: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let report = match config::load(path, env) {
        Err(report) => report,
        Ok(mut loaded) => match validate(&mut loaded) {
            Err(faults) => loaded.sources.report(&faults),
            Ok(trials) => {
                if !loaded.warnings.is_empty() {
                    writeln!(err, "{}\n", loaded.warnings.render(colour))?;
                }
                if failed(&loaded, &trials, colour, err)? {
                    return Ok(ExitCode::FAILURE);
                }
                writeln!(out, "{}", summary(&loaded))?;
                if !trials.is_empty() {
                    writeln!(out, "{} passed", count(trials.len(), "test"))?;
                }
                return Ok(ExitCode::SUCCESS);
            }
        },
    };
    writeln!(err, "{}\n", report.render(colour))?;
    writeln!(err, "{} in {}", count(report.len(), "fault"), path.display())?;
    Ok(ExitCode::from(2))
}

/// Tells of each test that has failed what was expected, what came and why. Whether there is any.
fn failed(loaded: &Loaded, trials: &[Trial], colour: bool, err: &mut dyn Write) -> io::Result<bool> {
    let failed: Vec<&Trial> = trials.iter().filter(|trial| !trial.failures.is_empty()).collect();
    for trial in &failed {
        writeln!(err, "{}\n", loaded.sources.report(&trial.failures).render(colour))?;
        for line in text::render(&trial.explanation, colour).lines() {
            writeln!(err, "{}", format!("    {line}").trim_end())?;
        }
        writeln!(err)?;
    }
    if !failed.is_empty() {
        let passed = trials.len() - failed.len();
        writeln!(err, "{} failed, {passed} passed", count(failed.len(), "test"))?;
    }
    Ok(!failed.is_empty())
}

fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let targets = config.pools.values().map(|pool| pool.targets.len()).sum();
    let mut parts = vec![count(config.listeners.len(), "listener")];
    if !config.routes.is_empty() {
        parts.push(count(config.routes.len(), "route"));
    }
    let found = match config.pools.values().filter(|pool| pool.discover.is_some()).count() {
        0 => String::new(),
        1 => "; 1 pool finds its own".to_owned(),
        found => format!("; {found} pools find their own"),
    };
    parts.push(format!("{} ({}{found})", count(config.pools.len(), "pool"), count(targets, "target")));
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
        let code = checked(
            path,
            &|_| None,
            |_| if faults.is_empty() { Ok(Vec::new()) } else { Err(faults) },
            false,
            &mut out,
            &mut err,
        )
        .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (format!("{code:?}"), text(out), text(err))
    }

    #[test]
    fn a_good_file_is_summed_up_and_a_bad_one_gives_2() {
        let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml"));
        let (code, out, err) = run(example, Vec::new());
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS));
        let written: toml::Table = std::fs::read_to_string(example).unwrap().parse().unwrap();
        let of = |kind: &str| written[kind].as_table().unwrap().len();
        let sum = format!("ok: {} listeners, {} routes, {} pools (", of("listeners"), of("routes"), of("pools"));
        assert!(out.starts_with(&sum) && out.ends_with(" targets)\n") && err.is_empty(), "{out}{err}");

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
