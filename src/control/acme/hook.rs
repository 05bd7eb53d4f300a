//! The program that puts records into DNS and takes them away again.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, copy, sink};
use tokio::process::Command;
use tokio::time::timeout;

/// What of a program's words is told, in bytes.
const TOLD: u64 = 500;

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
    let run = async {
        let mut words = Vec::new();
        if let Some(mut errors) = errors {
            let _ = (&mut errors).take(TOLD).read_to_end(&mut words).await;
            // A program that cannot go on writing would never end.
            let _ = copy(&mut errors, &mut sink()).await;
        }
        (child.wait().await, words)
    };
    let Ok((status, words)) = timeout(limit, run).await else {
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
        let slow = run("sleep 60").await.unwrap_err();
        assert!(slow.contains("took longer than 300ms"), "{slow}");
        let gone = call(Path::new("/nowhere/hook"), Duration::from_secs(1), "present", "a", "b").await.unwrap_err();
        assert!(gone.starts_with("`/nowhere/hook present a` cannot be run: No such file"), "{gone}");
    }
}
