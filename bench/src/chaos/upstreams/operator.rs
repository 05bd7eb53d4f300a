//! An operator who never rests: reloads, upgrades, targets that are found, drained, weighed and taken back. After each act the counters
//! are looked at, none of which may have gone down.

use super::Addresses;
use super::variety;
use crate::succession::Succession;
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Between two upgrades.
const UPGRADE: Duration = Duration::from_secs(8);

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Acts {
    /// Reloads.
    pub reloads: usize,
    /// Upgrades.
    pub upgrades: usize,
    /// Lists of targets that are found.
    pub lists: usize,
    /// Commands.
    pub commands: usize,
    /// Counters that went down, with what they were before.
    pub fallen: Vec<String>,
}

/// Does all of that until `end`, and leaves it as it is at rest.
pub fn run(
    program: &str,
    processes: &mut Succession,
    at: &Addresses,
    targets: &[SocketAddr],
    directory: &Path,
    end: Instant,
) -> Result<Acts> {
    let mut acts = Acts::default();
    let mut counters = Counters::default();
    let mut upgraded = Instant::now();
    let good = format!("target=\"{}\"", targets[0]);
    let config = directory.join("upstreams.toml").to_string_lossy().into_owned();
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(fastrand::u64(50..700)));
        if upgraded.elapsed() > UPGRADE {
            processes.upgrade()?;
            acts.upgrades += 1;
            (counters, upgraded) = (Counters::default(), Instant::now());
            continue;
        }
        match fastrand::u8(..8) {
            0..=3 => {
                variety::write_any(at, targets, directory)?;
                processes.reload()?;
                acts.reloads += 1;
            }
            4 | 5 => {
                variety::publish_any(targets, directory)?;
                acts.lists += 1;
            }
            _ => {
                // The first target is good, and stays so.
                let target = targets[fastrand::usize(1..targets.len())].to_string();
                let pool = ["site", "found"][fastrand::usize(..2)];
                let state = ["ready", "drain", "maintenance"][fastrand::usize(..3)];
                // What is not there at the moment cannot be changed.
                let _ = command(program, &["target", "set", "-c", &config, pool, &target, "--state", state]);
                acts.commands += 1;
            }
        }
        counters.look(&processes.metrics()?, &good, &mut acts.fallen);
    }
    variety::write_calm(at, targets, directory)?;
    command(program, &["target", "reset", "-c", &config, "--all"])?;
    processes.reload()?;
    Ok(acts)
}

fn command(program: &str, words: &[&str]) -> Result<()> {
    let output = Command::new(program).args(words).output().context(program.to_owned())?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What the counters of a process were.
#[derive(Default)]
struct Counters(HashMap<String, f64>);

impl Counters {
    /// Notes those that have gone down. One of a target may begin anew, as the target may have been away, but for the one that is `good`.
    fn look(&mut self, page: &str, good: &str, fallen: &mut Vec<String>) {
        let mut now = HashMap::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let name = series.split('{').next().unwrap_or_default();
            let counts = ["_total", "_count", "_bucket", "_sum"].iter().any(|end| name.ends_with(end));
            let of_others = series.contains("target=\"") && !series.contains(good);
            if !counts || of_others {
                continue;
            }
            let Ok(value) = value.parse::<f64>() else { continue };
            if let Some(before) = self.0.get(series).filter(|before| value < **before) {
                fallen.push(format!("{series} was {before} and is {value}"));
            }
            now.insert(series.to_owned(), value);
        }
        self.0 = now;
    }
}
