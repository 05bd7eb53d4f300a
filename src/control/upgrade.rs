//! Handing over to a new process: the binary that lies where this one was started from, with the same arguments.
//!
//! What always holds: until the new process says that it accepts, nothing changes here; if it dies while this process is still
//! there, this one accepts again.

use super::checks;
use super::guards::Counts;
use super::handover::{Letter, Operators, Successor};
use super::issuers;
use super::live;
use super::present::Present;
use super::sockets::Sockets;
use super::sticky::Tables;
use crate::net;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use tokio::process::{Child, Command};

/// How this process was started, and from whom it took over.
#[derive(Debug)]
pub(super) struct Origin {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// Processes from before that may still serve their last connections, the oldest first.
    pub(super) elders: Vec<u32>,
}

/// A new process that accepts.
#[derive(Debug)]
pub(super) struct Risen {
    pub(super) child: Child,
    pub(super) successor: Successor,
    /// The doors, by their place in what was handed over, that it has no use for.
    pub(super) spare: Vec<usize>,
}

/// A new process on its way.
pub(super) type Rising = Pin<Box<dyn Future<Output = Result<Risen, String>> + Send>>;

impl Origin {
    /// How this process was started. To be asked at its start: what lies there later is what an upgrade starts.
    pub(super) fn of_this_process(elders: Vec<u32>) -> Self {
        let mut arguments = std::env::args_os();
        let named = arguments.next().map(PathBuf::from).unwrap_or_default();
        let program = found(&named).or_else(|| std::env::current_exe().ok()).unwrap_or(named);
        Self { program, arguments: arguments.collect(), elders }
    }

    /// Starts the new process and hands over to it, once what is to be `kept` on the disk for it is there, which
    /// says what this host has of limits that hosts share.
    pub(super) fn call(
        &self,
        present: &Present,
        sockets: &Sockets,
        operators: Operators,
        kept: impl Future<Output = Option<String>> + Send + 'static,
    ) -> Result<Rising, String> {
        let failed = |error: std::io::Error| format!("what is listened on cannot be handed over: {error}");
        let (doors, mut descriptors) = sockets.hand_over().map_err(failed)?;
        let mut letter = Letter::new();
        letter.plan = present.number;
        letter.confined = present.plan.config.runtime.seccomp;
        letter.doors = doors;
        letter.admin = operators.tcp.is_some();
        letter.admin_socket = operators.socket.is_some();
        descriptors.extend(operators.tcp);
        descriptors.extend(operators.socket);
        (letter.overrides, letter.bans) = (operators.overrides, operators.bans);
        letter.discovered = operators.discovered;
        letter.rings = present.plan.rings.hand_over();
        letter.targets = checks::hand_over(present);
        let (tables, counts) = (Tables::of(&present.plan), Counts::of(&present.plan));
        letter.live = live::hand_over(present);
        letter.issuers = issuers::hand_over(&present.plan);
        letter.elders = self.elders.iter().copied().filter(|&elder| is_alive(elder)).collect();
        letter.elders.push(std::process::id());
        let mut successor = Successor::new().map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        // These are about this process alone.
        ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"].iter().for_each(|name| {
            command.env_remove(name);
        });
        successor.prepare(&mut command);
        let program = self.program.display().to_string();
        let child = net::lent(|| command.spawn()).map_err(|error| format!("`{program}` cannot be started: {error}"))?;
        drop(command);
        tracing::info!(pid = child.id(), program, "upgrade: a new process is started");
        Ok(Box::pin(async move {
            let mut child = child;
            letter.limits = kept.await;
            let handed = tokio::task::spawn_blocking(move || {
                // What is noted last goes along, and control need not wait for it.
                letter.sticky = tables.hand_over();
                [letter.guards, letter.rules] = counts.hand_over();
                let spare = successor.hand_over(&letter, &descriptors);
                spare.map(|spare| (successor, spare))
            });
            match handed.await.unwrap_or_else(|error| Err(error.to_string())) {
                Ok((successor, spare)) => Ok(Risen { child, successor, spare }),
                Err(why) => {
                    let _ = child.start_kill();
                    let _ = child.wait().await;
                    Err(why)
                }
            }
        }))
    }

    /// Has the oldest of those from before end, where there are more than `most` with this one.
    pub(super) fn thin_out(&self, most: usize) {
        let alive: Vec<u32> = self.elders.iter().copied().filter(|&elder| is_alive(elder)).collect();
        let beyond = (alive.len() + 1).saturating_sub(most);
        for &elder in &alive[..beyond.min(alive.len())] {
            tracing::warn!(
                pid = elder,
                most,
                "upgrade: more old processes than `upgrade.max_old`; the oldest ends now"
            );
            if let Some(pid) = i32::try_from(elder).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }
}

/// Where a program is that was started by this name. A link is not followed: where it leads later is what is wanted then.
fn found(named: &Path) -> Option<PathBuf> {
    if named.components().count() > 1 {
        return std::path::absolute(named).ok();
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(named)).find(|path| path.is_file())
}

/// Whether a process of this number runs that is one of ours: numbers are used again.
fn is_alive(pid: u32) -> bool {
    let program = |pid: &str| std::fs::read(format!("/proc/{pid}/comm")).ok();
    let stat = File::open(format!("/proc/{pid}/stat"));
    stat.is_ok() && program(&pid.to_string()) == program("self")
}
