//! Caches: what one takes of memory while it is asked for things of any size, and what a million small objects on its disk take, and
//! how soon they are there again. Every byte of every answer is verified.

mod client;
pub mod object;
mod objects;
mod proxy;
mod sizes;

use crate::checks::Checks;
use crate::plain;
use crate::process::{self, Place, Process};
use crate::runner::{Directory, peer, progress};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `bench caches`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Minutes of random sizes; 0: none.
    #[arg(long, default_value_t = 1.0)]
    pub minutes: f64,
    /// MiB that the cache may take meanwhile.
    #[arg(long, default_value_t = 256)]
    pub memory: u64,
    /// Small objects on the disk; 0: none.
    #[arg(long, default_value_t = 1_000_000)]
    pub objects: u64,
    /// Folder in which the disk's files are made, and removed at the end.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
    /// The ringway binary.
    #[arg(long, env = "RINGWAY", default_value_t = peer::built_ringway())]
    pub ringway: String,
}

/// Runs it and prints the report; fails if anything did not hold.
pub fn run(args: Args) -> Result<()> {
    process::raise_file_limit()?;
    let (directory, target, mut checks) = (Directory::new()?, plain::free_address()?, Checks::default());
    let _backend = backend(target, &directory.0)?;
    if args.minutes > 0.0 {
        sizes::run(&args, &directory.0, target, &mut checks)?;
    }
    if args.objects > 0 {
        objects::run(&args, &directory.0, target, &mut checks)?;
    }
    progress("");
    checks.finish()?;
    println!("caches passed");
    Ok(())
}

fn backend(target: SocketAddr, directory: &Path) -> Result<Process> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let args = ["backend", "--http", &target.to_string()];
    let process = Process::start(&program, &args, Place::Anywhere, &directory.join("backend.log"))?;
    plain::wait_for(target, false, "/health", Duration::from_secs(10)).context("the target")?;
    Ok(process)
}

/// Bytes as they are read best.
fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}
