//! A program that is run, without a shell: exit code 0 is good.
//!
//! What always holds: so many run at a time and no more; one that takes too long, or is not wanted any more, is killed with all that it has
//! started in its process group. It sees none of the environment of this process but the path.

use super::super::finding::{Finding, said};
use super::Address;
use crate::observe::reason::Outcome;
use crate::upstream::health::CheckSpec;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Programs that run at a time, over all targets.
const AT_A_TIME: usize = 16;
/// What of a program's words is told, in bytes.
const TOLD: u64 = 500;
/// How long words may come after the end of who said them.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// Where programs that a program names without a path are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static ROOM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_A_TIME));

/// Runs `words`, a program and its arguments, for the target of `spec`. The time begins once there is room for it.
pub(super) async fn run(words: &[String], spec: &CheckSpec) -> Result<Finding, Finding> {
    // The semaphore is never closed.
    let _room = ROOM.acquire().await.ok();
    let Some((program, arguments)) = words.split_first() else { return Err(failed("no program is named")) };
    let (address, port) = match &spec.address {
        Address::Ip(ip) => (ip.ip().to_string(), ip.port().to_string()),
        Address::Unix(path) => (path.display().to_string(), String::new()),
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs([("PATH", PATH), ("RINGWAY_POOL", &spec.pool), ("RINGWAY_TARGET", &spec.target)])
        .envs([("RINGWAY_ADDRESS", &address), ("RINGWAY_PORT", &port)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| failed(&format!("`{program}` cannot be run: {error}")))?;
    let mut group = Group(child);
    let mut words = Vec::new();
    let status = timeout(spec.timeout, group.end(&mut words)).await;
    drop(group);
    match status {
        Err(_) => Err(Finding::new(Outcome::ProgramTimeout, "the program took too long")),
        Ok(Err(error)) => Err(failed(&format!("the program was lost: {error}"))),
        Ok(Ok(status)) => judged(status, &words),
    }
}

fn judged(status: ExitStatus, words: &[u8]) -> Result<Finding, Finding> {
    let code = status.code().and_then(|code| u32::try_from(code).ok());
    let words = match said(words) {
        words if words.is_empty() => status.to_string(),
        words => format!("{status}: {words}"),
    };
    let outcome = if status.success() { Outcome::ProgramOk } else { Outcome::ProgramFailed };
    let found = Finding { code, ..Finding::new(outcome, words) };
    if found.passed() { Ok(found) } else { Err(found) }
}

fn failed(words: &str) -> Finding {
    Finding::new(Outcome::ProgramFailed, words)
}

/// A program with all that it has started; dropping it kills what still runs.
struct Group(Child);

impl Group {
    /// Waits until it has ended, and hears what it says meanwhile.
    async fn end(&mut self, words: &mut Vec<u8>) -> std::io::Result<ExitStatus> {
        let errors = self.0.stderr.take();
        let listen = async {
            let Some(mut errors) = errors else { return };
            let _ = (&mut errors).take(TOLD).read_to_end(words).await;
            // A program that cannot go on writing would never end.
            let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
        };
        let mut listen = std::pin::pin!(listen);
        tokio::select! {
            () = &mut listen => self.0.wait().await,
            status = self.0.wait() => {
                // Another program that it started may hold its standard error open.
                let _ = timeout(LAST_WORDS, listen).await;
                status
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its number is its own for as long as nobody has waited for its end: then it has none here.
        let running = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(leader) = running {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Probe;
    use super::*;
    use std::time::Instant;

    async fn run_script(script: &str) -> Finding {
        let words = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let spec = CheckSpec {
            probe: Probe::Command(words.clone()),
            timeout: Duration::from_millis(500),
            ..CheckSpec::of("pool a", "10.0.0.1:80", Address::Ip("10.0.0.1:80".parse().unwrap()))
        };
        run(&words, &spec).await.unwrap_or_else(|failed| failed)
    }

    #[tokio::test]
    async fn a_program_passes_or_fails_by_its_exit_code() {
        assert_eq!(run_script("exit 0").await.outcome, Outcome::ProgramOk);
        let failed = run_script("echo 'no such\ndatabase' >&2; exit 3").await;
        assert_eq!((failed.outcome, failed.code), (Outcome::ProgramFailed, Some(3)));
        assert_eq!(failed.words, "exit status: 3: no such database");
        let told =
            "test \"$RINGWAY_POOL/$RINGWAY_TARGET/$RINGWAY_ADDRESS/$RINGWAY_PORT\" = 'pool a/10.0.0.1:80/10.0.0.1/80'";
        assert_eq!(run_script(told).await.outcome, Outcome::ProgramOk);
        assert_eq!(run_script("test -z \"$CARGO\"").await.outcome, Outcome::ProgramOk, "nothing else is told");
        assert_eq!(run_script("head -c 1000000 /dev/zero >&2").await.outcome, Outcome::ProgramOk);
        let gone = run(&["/nowhere/check".to_owned()], &CheckSpec::of("a", "b", Address::Unix("/s".into()))).await;
        assert!(gone.unwrap_err().words.starts_with("`/nowhere/check` cannot be run: No such file"));
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed_with_its_children() {
        let file = std::env::temp_dir().join(format!("ringway-group-{}", std::process::id()));
        let script = format!("(echo $$; exec sleep 60) > {} & wait", file.display());
        let begun = Instant::now();
        assert_eq!(run_script(&script).await.outcome, Outcome::ProgramTimeout);
        assert!(begun.elapsed() < Duration::from_secs(20));
        let group: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        std::fs::remove_file(&file).unwrap();
        let group = Pid::from_raw(group).unwrap();
        for _ in 0..500 {
            if rustix::process::test_kill_process_group(group).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("what the program started still runs");
    }
}
