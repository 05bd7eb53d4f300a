//! Ringway, and the processes that follow it: changing it, and seeing that a change is over.

use crate::plain;
use crate::process::{Place, Process};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The processes, of which the last one accepts.
pub struct Succession {
    first: Process,
    admin: SocketAddr,
    log: Log,
    /// The process that accepts.
    pub pid: u32,
    /// Those from before, the oldest first.
    pub elders: Vec<u32>,
}

/// The log that all of them write to, as far as it has not been read.
struct Log {
    path: PathBuf,
    at: u64,
}

/// How long a change may take.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How often is looked whether it is over.
const GLANCE: Duration = Duration::from_millis(4);

impl Succession {
    /// Starts `program` with the configuration `config`, whose metrics are at `admin`. All that it and those after it say goes to `log`.
    pub fn start(program: &str, config: &str, admin: SocketAddr, log: PathBuf) -> Result<Self> {
        let first = Process::start(program, &["run", "-c", config], Place::Anywhere, &log)?;
        let (pid, log) = (first.id(), Log { path: log, at: 0 });
        Ok(Self { first, admin, log, pid, elders: Vec::new() })
    }

    /// Has the configuration read again by SIGHUP; how long that took.
    pub fn reload(&mut self) -> Result<Duration> {
        let before = self.reloads()?;
        let took = self.say_reload(before)?;
        let after = self.reloads()?;
        ensure!(after.failed == before.failed, "a reload failed: {}", self.log_end());
        Ok(took)
    }

    /// The same with a configuration that has a fault; whether that changed nothing.
    pub fn reload_fault(&mut self) -> Result<bool> {
        let before = self.reloads()?;
        self.say_reload(before)?;
        let after = self.reloads()?;
        Ok(after == Reloads { failed: before.failed + 1.0, ..before })
    }

    fn say_reload(&mut self, before: Reloads) -> Result<Duration> {
        let start = Instant::now();
        signal(self.pid, Signal::HUP)?;
        while self.reloads()?.sum() == before.sum() {
            ensure!(start.elapsed() < LIMIT, "no reload within {LIMIT:?}: {}", self.log_end());
            std::thread::sleep(GLANCE);
        }
        Ok(start.elapsed())
    }

    /// Has a new process take over by SIGUSR2; how long that took.
    pub fn upgrade(&mut self) -> Result<Duration> {
        let start = Instant::now();
        signal(self.pid, Signal::USR2)?;
        let pid = self.log.wait_for("the new process accepts")?;
        self.elders.push(std::mem::replace(&mut self.pid, pid));
        Ok(start.elapsed())
    }

    /// Begins an upgrade; the new process.
    pub fn begin_upgrade(&mut self) -> Result<u32> {
        signal(self.pid, Signal::USR2)?;
        self.log.wait_for("upgrade: a new process is started")
    }

    /// Waits until the process that accepted before accepts again, after the new one was killed.
    pub fn wait_until_back(&mut self) -> Result<()> {
        self.log.wait_for_any(&["this one accepts again", "this process goes on as it was"]).map(drop)
    }

    /// Passes over what the log says up to now.
    pub fn forget_log(&mut self) -> Result<()> {
        self.log.rest().map(drop)
    }

    /// Waits until those from before have ended; those that have not within `limit`.
    pub fn wait_for_elders(&mut self, limit: Duration) -> Vec<u32> {
        let end = Instant::now() + limit;
        let elders = self.elders.clone();
        loop {
            let left: Vec<u32> = elders.iter().copied().filter(|&pid| self.is_alive(pid)).collect();
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks the one that accepts to end; whether it did within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<bool> {
        signal(self.pid, Signal::TERM)?;
        let end = Instant::now() + limit;
        while self.is_alive(self.pid) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(!self.is_alive(self.pid))
    }

    fn is_alive(&mut self, pid: u32) -> bool {
        if pid == self.first.id() { self.first.is_alive() } else { is_alive(pid) }
    }

    /// The metrics of the process that accepts.
    pub fn metrics(&self) -> Result<String> {
        Ok(String::from_utf8(plain::get(self.admin, "/metrics")?)?)
    }

    /// The sum of the metrics whose series begin with `start`.
    pub fn metric(&self, start: &str) -> Result<f64> {
        Ok(sum(&self.metrics()?, start))
    }

    fn reloads(&self) -> Result<Reloads> {
        let page = self.metrics()?;
        let of = |result: &str| sum(&page, &format!("ringway_config_reloads_total{{result=\"{result}\"}}"));
        let plan = sum(&page, "ringway_config_plan_number");
        Ok(Reloads { plan, applied: of("applied"), unchanged: of("unchanged"), failed: of("failed") })
    }

    /// How often the log says `words`.
    pub fn said(&self, words: &str) -> usize {
        std::fs::read_to_string(&self.log.path).unwrap_or_default().matches(words).count()
    }

    /// Whether a line of the log has `subject` and one of `words`.
    pub fn tells_of(&self, subject: &str, words: &[&str]) -> Result<bool> {
        let log = std::fs::read_to_string(&self.log.path)?;
        Ok(log.lines().any(|line| line.contains(subject) && words.iter().any(|part| line.contains(part))))
    }

    /// The last lines of the log.
    pub fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log.path).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n    ")
    }
}

impl Drop for Succession {
    fn drop(&mut self) {
        let others = self.elders.iter().chain([&self.pid]).filter(|&&pid| pid != self.first.id());
        others.filter(|&&pid| is_alive(pid)).for_each(|&pid| drop(signal(pid, Signal::KILL)));
    }
}

/// What became of reloads.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reloads {
    plan: f64,
    applied: f64,
    unchanged: f64,
    failed: f64,
}

impl Reloads {
    fn sum(&self) -> f64 {
        self.applied + self.unchanged + self.failed
    }
}

impl Log {
    /// Waits for a line with `words`; the process that it names.
    fn wait_for(&mut self, words: &str) -> Result<u32> {
        self.wait_for_any(&[words])?.with_context(|| format!("no process named: {words}"))
    }

    fn wait_for_any(&mut self, words: &[&str]) -> Result<Option<u32>> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let text = self.rest()?;
            if let Some(place) = words.iter().find_map(|words| text.find(words)) {
                let line = text[place..].lines().next().unwrap_or_default();
                // What comes after it has not been read yet.
                self.at -= (text.len() - place - line.len()) as u64;
                let pid = line.split_once("pid=").map(|(_, pid)| pid.trim_start_matches("Some("));
                let digits = pid.map(|pid| pid.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
                return Ok(digits.and_then(|digits| digits.parse().ok()));
            }
            std::thread::sleep(GLANCE);
        }
        bail!("the log does not say {words:?} within {LIMIT:?}")
    }

    /// What it says in whole lines beyond what was read.
    fn rest(&mut self) -> Result<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        self.at += bytes.len() as u64;
        Ok(String::from_utf8(bytes)?)
    }
}

/// Sends a signal to a process that this one, or one of its descendants, has started.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid as i32).context("no process id")?;
    kill_process(pid, signal).with_context(|| format!("process {}", pid.as_raw_nonzero()))
}

/// Whether a process runs that another one has started. What has ended is buried: see [`adopt_orphans`].
pub fn is_alive(pid: u32) -> bool {
    let _ = waitpid(Pid::from_raw(pid as i32), WaitOptions::NOHANG);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Makes this process the parent of descendants whose own parent has ended, so that it can see their end.
pub fn adopt_orphans() -> Result<()> {
    // SAFETY: an option of this process alone; no pointer is passed.
    let done = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    ensure!(done == 0, "prctl: {}", std::io::Error::last_os_error());
    Ok(())
}

fn sum(page: &str, start: &str) -> f64 {
    let series = page.lines().filter(|line| line.starts_with(start));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
