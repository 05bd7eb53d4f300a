//! Configurations drawn at random, in which all that has to do with targets is on. The first target is in each of them.

use super::Addresses;
use crate::runner::peer;
use anyhow::Result;
use std::net::SocketAddr;
use std::path::Path;

/// What each target may have in hand, at rest.
pub const TARGET_LIMIT: usize = 12;
/// What all of them may, at rest.
pub const POOL_LIMIT: usize = 20;

/// Writes the configuration that is in force at rest; where it lies.
pub fn write_calm(at: &Addresses, targets: &[SocketAddr], directory: &Path) -> Result<String> {
    let list = list(targets.iter().copied(), |_| (1, TARGET_LIMIT));
    let list_found = targets.iter().map(|target| format!("{target}\n")).collect::<String>();
    publish(directory, &list_found)?;
    let choices = [
        ("balance", "random"),
        ("found_balance", "random"),
        ("backoff", "100ms"),
        ("hedge", ""),
        ("on_down", "close"),
        ("live", "outlier = {}"),
        ("adaptive", ""),
    ];
    write(at, targets, directory, &list, POOL_LIMIT, &choices)
}

/// Writes another one.
pub fn write_any(at: &Addresses, targets: &[SocketAddr], directory: &Path) -> Result<()> {
    let some = some(targets);
    let list = list(some.iter().copied(), |_| (fastrand::usize(1..20), fastrand::usize(8..20)));
    let balances = ["random", "round-robin", "least-conn", "latency", "hash"];
    let live = [
        "",
        "outlier = { eject = \"500ms\" }",
        "outlier = { rate = \"50%\", latency = 20, window = \"1s\", eject = \"500ms\" }\nslow_start = \"1s\"",
        "panic = \"40%\"",
        "slow_start = \"2s\"\non_up = \"keep\"",
    ];
    let choices = [
        ("balance", any(&balances)),
        ("found_balance", any(&balances)),
        ("backoff", any(&["50ms", "100ms", "200ms"])),
        ("hedge", any(&["", "hedge = { after = \"30ms\" }"])),
        ("on_down", any(&["close", "keep"])),
        ("live", any(&live)),
        ("adaptive", any(&["", "adaptive = { probe = \"2s\" }", "max_in_flight = 16"])),
    ];
    write(at, targets, directory, &list, fastrand::usize(12..40), &choices).map(drop)
}

/// Publishes another list of the targets that are found, or leaves one that nobody can use.
pub fn publish_any(targets: &[SocketAddr], directory: &Path) -> Result<()> {
    let some = some(targets);
    let path = directory.join("found.targets");
    match fastrand::u8(..8) {
        // Half written, as by one who does not rename.
        0 => Ok(std::fs::write(&path, &some[0].to_string()[..8])?),
        1 => Ok(std::fs::write(&path, b"\xff\xfe no list at all\n")?),
        2 => Ok(std::fs::remove_file(&path).or_else(|_| std::fs::write(&path, ""))?),
        3 => {
            let list: Vec<String> = some.iter().map(|target| format!("\"{target}\"")).collect();
            publish(directory, &format!("[{{\"targets\": [{}], \"labels\": {{\"weight\": \"3\"}}}}]", list.join(", ")))
        }
        _ => publish(directory, &some.iter().map(|target| format!("{target} weight=2\n")).collect::<String>()),
    }
}

fn publish(directory: &Path, text: &str) -> Result<()> {
    let new = directory.join("found.new");
    std::fs::write(&new, text)?;
    Ok(std::fs::rename(new, directory.join("found.targets"))?)
}

/// The first target, and some of the others.
fn some(targets: &[SocketAddr]) -> Vec<SocketAddr> {
    let wanted = |place: &usize| *place == 0 || fastrand::u8(..3) > 0;
    let mut some: Vec<_> = (0..targets.len()).filter(wanted).map(|place| targets[place]).collect();
    let shift = fastrand::usize(..some.len());
    some.rotate_left(shift);
    some
}

fn any<'a>(choices: &[&'a str]) -> &'a str {
    fastrand::choice(choices).copied().unwrap_or_default()
}

fn list(targets: impl Iterator<Item = SocketAddr>, terms: impl Fn(SocketAddr) -> (usize, usize)) -> String {
    let target = |address| {
        let (weight, limit) = terms(address);
        format!("{{ address = \"{address}\", weight = {weight}, max_in_flight = {limit} }}")
    };
    targets.map(target).collect::<Vec<_>>().join(", ")
}

fn write(
    at: &Addresses,
    targets: &[SocketAddr],
    directory: &Path,
    list: &str,
    pool_limit: usize,
    choices: &[(&str, &str)],
) -> Result<String> {
    let plain: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let port = |address: SocketAddr| address.port().to_string();
    let values = [
        ("directory", directory.to_string_lossy().into_owned()),
        ("http", port(at.http)),
        ("tcp", port(at.tcp)),
        ("udp", port(at.udp)),
        ("admin", port(at.admin)),
        ("targets", list.to_owned()),
        ("plain_targets", plain.join(", ")),
        ("pool_limit", pool_limit.to_string()),
    ];
    let values = values.iter().map(|(name, value)| (*name, value.as_str()));
    let values: Vec<(&str, &str)> = values.chain(choices.iter().copied()).collect();
    Ok(peer::render("upstreams.toml", directory, &values)?.to_string_lossy().into_owned())
}
