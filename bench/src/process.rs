//! Processes: starting them pinned, ending them, and what the kernel says that they used.

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that does not outlive its owner.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts `program` at `place`. Its output goes to `log`.
    pub fn start(program: &str, args: &[&str], place: Place, log: &Path) -> Result<Self> {
        let mut command = placed(program, args, place);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self(command.spawn().with_context(|| format!("start {program}"))?))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it waits, once woken, until others on its core pause (SCHED_BATCH). Those who share a core then do more in a
    /// turn and switch less, which leaves more of the core for the work; but each turn, and so each answer, takes longer.
    pub fn be_patient(&self, patient: bool) -> Result<()> {
        let policy = if patient { "--batch" } else { "--other" };
        let status = Command::new("chrt").args([policy, "--pid", "0", &self.id().to_string()]).status()?;
        ensure!(status.success(), "chrt {policy}: {status}");
        Ok(())
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.0.id() as i32).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Kills it and its descendants, and waits until it is gone.
    pub fn kill(&mut self) {
        // Once the parent is gone nobody would find them, so they are looked for first.
        let family = if self.is_alive() { family(self.id()) } else { Vec::new() };
        let _ = self.0.kill();
        let _ = self.0.wait();
        for pid in family.into_iter().skip(1).filter_map(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Asks it to end and waits for its exit code at most `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<Option<i32>> {
        self.signal(Signal::TERM)?;
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("still running {limit:?} after SIGTERM")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a process runs.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Wherever the kernel puts it.
    Anywhere,
    /// On this one core.
    Core(usize),
    /// On this one core, and patient there, see [`Process::be_patient`].
    Patient(usize),
}

/// The command that runs `program` at `place`.
pub fn placed(program: &str, args: &[&str], place: Place) -> Command {
    let on = |core: usize, words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["-c", &core.to_string(), program]);
        command
    };
    let mut command = match place {
        Place::Anywhere => Command::new(program),
        Place::Core(core) => on(core, &["taskset"]),
        Place::Patient(core) => on(core, &["chrt", "--batch", "0", "taskset"]),
    };
    command.args(args);
    command
}

/// Lets this process and its children open as many files as the hard limit allows; how many that is.
pub fn raise_file_limit() -> Result<u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

/// A process and its descendants.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while next < all.len() {
        for task in entries(&format!("/proc/{}/task", all[next])) {
            let children = std::fs::read_to_string(format!("/proc/{}/task/{task}/children", all[next]));
            all.extend(children.unwrap_or_default().split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        next += 1;
    }
    all
}

/// CPU time of all threads of `pid` and its descendants, user and system.
pub fn cpu_time(pid: u32) -> Duration {
    family(pid).into_iter().map(own_time).sum()
}

/// The one thread of `pid` that is called `name`.
pub fn thread(pid: u32, name: &str) -> Result<u32> {
    let home = format!("/proc/{pid}/task");
    let is_it =
        |task: &String| std::fs::read_to_string(format!("{home}/{task}/comm")).is_ok_and(|comm| comm.trim() == name);
    let found = entries(&home).into_iter().find(is_it).with_context(|| format!("no thread {name}"))?;
    Ok(found.parse()?)
}

/// CPU time of a thread.
pub fn thread_time(thread: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{thread}/schedstat"))?;
    let used = text.split_whitespace().next().context("no CONFIG_SCHED_INFO")?;
    Ok(Duration::from_nanos(used.parse()?))
}

/// Has a thread run whenever it can, before all that is not for real time (SCHED_FIFO).
pub fn go_first(thread: u32) -> Result<()> {
    let status = Command::new("chrt").args(["--fifo", "--pid", "1", &thread.to_string()]).status()?;
    ensure!(status.success(), "chrt --fifo: {status}");
    Ok(())
}

fn own_time(pid: u32) -> Duration {
    let threads = entries(&format!("/proc/{pid}/task"));
    let precise = threads.iter().map(|task| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    });
    // Without CONFIG_SCHED_INFO: the process's ticks.
    precise.sum::<Option<Duration>>().unwrap_or_else(|| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = text.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    })
}

/// Resident bytes of `pid` and its descendants. Read from smaps_rollup, which is exact where statm is not.
pub fn resident(pid: u32) -> Result<u64> {
    let mut total = 0;
    for pid in family(pid) {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss")?;
        total += line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
    }
    Ok(total)
}

/// Bytes in the slab caches of the whole kernel.
pub fn slab() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:")).context("no Slab")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Open descriptors of `pid`.
pub fn descriptors(pid: u32) -> usize {
    entries(&format!("/proc/{pid}/fd")).len()
}

/// A core's time so far, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct CoreTime {
    busy: u64,
    total: u64,
}

/// The time of the core `core` so far.
pub fn core_time(core: usize) -> Result<CoreTime> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let label = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&label)).context("no such core")?;
    // user nice system idle iowait irq softirq; what follows is stolen by the host, or counted in user already.
    let fields: Vec<u64> = line.split_whitespace().take(7).filter_map(|field| field.parse().ok()).collect();
    let total = fields.iter().sum();
    Ok(CoreTime { busy: total - fields[3] - fields[4], total })
}

impl CoreTime {
    /// Share of the time since `before` in which the core was busy, 0 to 1.
    pub fn busy_since(&self, before: CoreTime) -> f64 {
        (self.busy - before.busy) as f64 / (self.total - before.total).max(1) as f64
    }
}

fn entries(directory: &str) -> Vec<String> {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_processs_own_time() {
        let before = cpu_time(std::process::id());
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(60) {
            std::hint::black_box(entries("/proc/self/fd"));
        }
        let used = cpu_time(std::process::id()) - before;
        assert!(used > Duration::from_millis(5) && used < Duration::from_secs(1), "{used:?}");
    }
}
