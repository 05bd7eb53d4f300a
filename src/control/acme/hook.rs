//! The program that puts records into DNS and takes them away again.

use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, copy, sink};
use tokio::process::{ChildStderr, Command};
use tokio::time::timeout;

/// What of a program's words is told, in bytes.
const TOLD: u64 = 500;
/// How long words may come after the end of who said them.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Runs `program ACT RECORD VALUE`, without a shell. It has done its work when it ends with success: a record that is
/// present can be asked for.
pub(super) async fn call(program: &Path, limit: Duration, act: &str, record: &str, value: &str) -> Result<(), String> {
    let shown = format!("`{} {act} {record}`", program.display());
    let mut child = Command::new(program)
        .args([act, record, value])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{shown} cannot be run: {error}"))?;
    let errors = child.stderr.take();
    let mut words = Vec::new();
    let run = async {
        let mut listening = pin!(listen(errors, &mut words));
        tokio::select! {
            () = &mut listening => child.wait().await,
            status = child.wait() => {
                // Another program that it started may hold its standard error open.
                let _ = timeout(LAST_WORDS, listening).await;
                status
            }
        }
    };
    let Ok(status) = timeout(limit, run).await else {
        return Err(format!("{shown} took longer than {limit:?}, the time that dns_timeout gives it"));
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let words = String::from_utf8_lossy(&words);
            let words: Vec<&str> = words.split_whitespace().collect();
            Err(format!("{shown} failed with {status}: {}", words.join(" ")))
        }
        Err(error) => Err(format!("{shown} was lost: {error}")),
    }
}

async fn listen(errors: Option<ChildStderr>, words: &mut Vec<u8>) {
    let Some(mut errors) = errors else { return };
    let _ = (&mut errors).take(TOLD).read_to_end(words).await;
    // A program that cannot go on writing would never end.
    let _ = copy(&mut errors, &mut sink()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str) -> Result<(), String> {
        // `sh -c` takes the place of the program's three arguments: the script is the record's name.
        call(Path::new("/bin/sh"), Duration::from_millis(300), "-c", script, "value").await
    }

    #[tokio::test]
    async fn a_program_succeeds_fails_with_its_words_or_is_ended() {
        assert_eq!(run("exit 0").await, Ok(()));
        assert_eq!(run("test $0 = value").await, Ok(()));
        let failed = run("echo 'no such\n zone' >&2; exit 3").await.unwrap_err();
        assert!(failed.ends_with("failed with exit status: 3: no such zone"), "{failed}");
        let chatty = run("head -c 1000000 /dev/zero >&2; exit 1").await.unwrap_err();
        assert!(chatty.contains("failed with exit status: 1"), "it could write all that it wanted");
        assert_eq!(run("sleep 2 & exit 0").await, Ok(()), "what it leaves running is not waited for");
        let slow = run("sleep 60").await.unwrap_err();
        assert!(slow.contains("took longer than 300ms"), "{slow}");
        let gone = call(Path::new("/nowhere/hook"), Duration::from_secs(1), "present", "a", "b").await.unwrap_err();
        assert!(gone.starts_with("`/nowhere/hook present a` cannot be run: No such file"), "{gone}");
    }
}
