//! What the process may do, and as whom.

mod seccomp;
mod user;

use std::path::Path;

/// What `/proc` says of each thread of a process under a name, such as `CapEff`.
pub fn of_threads(pid: i32, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.filter_map(|task| of(&task.unwrap().path().join("status"), name)).collect()
}

/// What a file of `/proc/PID/status` says under a name; `None`: the thread is gone.
fn of(status: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Some(line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
}
