//! The process as the kernel sees it, read from `/proc/self` when asked. Blocks for microseconds: for control only.

use std::fs;
use std::io;

/// The kernel shows times to user space in ticks of 1/100 s on every architecture that we run on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// One look at the process. What could not be read is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// CPU time of all threads, user and system, seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory, bytes.
    pub resident_bytes: Option<u64>,
    /// Address space, bytes.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// The soft limit of open descriptors.
    pub max_fds: Option<u64>,
    /// When the process started, seconds since 1970.
    pub start_seconds: Option<f64>,
}

impl Process {
    /// Looks at this process.
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let (stat, status) = (text("/proc/self/stat"), text("/proc/self/status"));
        let (cpu_ticks, start_ticks) = times(&stat).unzip();
        let boot_seconds = field(&text("/proc/stat"), "btime");
        Self {
            cpu_seconds: cpu_ticks.map(|ticks| ticks as f64 / TICKS_PER_SECOND),
            resident_bytes: field(&status, "VmRSS:").map(|kb| kb * 1024),
            virtual_bytes: field(&status, "VmSize:").map(|kb| kb * 1024),
            threads: field(&status, "Threads:"),
            open_fds: open_fds().ok(),
            max_fds: field(&text("/proc/self/limits"), "Max open files"),
            start_seconds: start_ticks.zip(boot_seconds).map(|(t, boot)| boot as f64 + t as f64 / TICKS_PER_SECOND),
        }
    }
}

/// The sum of `utime` and `stime`, and `starttime`, in ticks (proc_pid_stat(5), fields 14, 15 and 22).
fn times(stat: &str) -> Option<(u64, u64)> {
    // The second field is the command in parentheses and may hold spaces and parentheses itself.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let start: u64 = fields.nth(6)?.parse().ok()?;
    Some((user + system, start))
}

/// The first number after `key` on the line that begins with it.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Since Linux 6.2 the size of the directory is the number of descriptors; before, it is 0 and they are counted.
fn open_fds() -> io::Result<u64> {
    match fs::metadata("/proc/self/fd")?.len() {
        // The directory handle of the listing itself is one of them.
        0 => Ok((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1)),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat =
            "7 (ring) way (x) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 5 0 12345 1000 200 18446744073709551615";
        assert_eq!(times(stat), Some((200, 12345)));
        assert_eq!(times("7 (x) S 1"), None);
    }

    #[test]
    fn this_process_is_visible() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.virtual_bytes >= process.resident_bytes);
        assert!(process.threads.unwrap() >= 1);
        assert!(process.open_fds.unwrap() >= 3);
        assert!(process.max_fds.unwrap() >= process.open_fds.unwrap());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - process.start_seconds.unwrap();
        assert!((-2.0..100_000.0).contains(&age), "{age}");
    }
}
