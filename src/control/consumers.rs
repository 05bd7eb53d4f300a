//! The file of consumers that the configuration names: a change of it is read where it holds up nobody, and put into force.
//!
//! What always holds: a file is read when it was the same at two looks, as it may be seen while it is written; one that cannot be used
//! changes nothing, and is told once, without what stands in it. One that control had no time for is taken up at the next look.

use super::command::{Asker, Commands, Enrol, Refused};
use super::present::Shared;
use super::report::Report;
use crate::config;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// A file, and how it was when it was looked at; `None`: it was not there.
type Look = (PathBuf, Option<(SystemTime, u64)>);

/// What was seen of it.
#[derive(Default)]
struct Looks {
    /// When it was taken up.
    taken: Option<Look>,
    last: Option<Look>,
}

/// Why what stands in it is not in force.
enum Unused {
    /// There was no time.
    Later,
    /// It cannot be used.
    Unfit(String),
}

/// Looks for as long as the process lives.
pub(super) async fn watch(present: Shared, report: Arc<Report>, commands: Commands) {
    // Of what was read before the first look nobody knows whether it has changed since.
    let mut looks = Looks::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(path) = present.load().plan.config.runtime.consumers_file.clone() else { continue };
        let Ok(now) = tokio::task::spawn_blocking(move || look(path)).await else { continue };
        if !looks.is_settled(&now) {
            continue;
        }
        let file = now.0.display().to_string();
        match take_up(&now.0, &report, &commands).await {
            Ok(()) => {}
            Err(Unused::Later) => {
                looks.again();
                tracing::warn!(file, "the file of consumers waits: control has too much to do, or is ending");
            }
            Err(Unused::Unfit(why)) => {
                report.reloads().consumers_failed.inc();
                tracing::error!(file, "the file of consumers cannot be used, those that were known stay so: {why}");
            }
        }
    }
}

impl Looks {
    /// Whether a file is as it was at the look before, and has not been taken up so.
    fn is_settled(&mut self, now: &Look) -> bool {
        let is_settled = self.taken.as_ref() != Some(now) && self.last.as_ref() == Some(now);
        if is_settled {
            self.taken = Some(now.clone());
        }
        self.last = Some(now.clone());
        is_settled
    }

    /// It was not taken up after all.
    fn again(&mut self) {
        self.taken = None;
    }
}

async fn take_up(path: &Path, report: &Report, commands: &Commands) -> Result<(), Unused> {
    let file = path.to_owned();
    let read = move || config::read_consumers(&file, &|name| std::env::var(name).ok()).map_err(|report| report.brief());
    let listed = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()));
    let listed = listed.map_err(Unused::Unfit)?;
    let change = Enrol::Listed(path.to_owned(), Arc::new(listed));
    match commands.enrol(Asker::Watch, change, None).await {
        Ok(enrolled) => {
            if enrolled.changed {
                report.reloads().consumers_changed.inc();
            }
            Ok(())
        }
        Err(Refused::Busy) => Err(Unused::Later),
        Err(refused) => Err(Unused::Unfit(refused.to_string())),
    }
}

fn look(path: PathBuf) -> Look {
    let data = std::fs::metadata(&path).ok();
    let stamp = data.and_then(|data| Some((data.modified().ok()?, data.len())));
    (path, stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_up_once_it_stays_as_it_is_and_again_if_it_was_not() {
        let of = |length| (PathBuf::from("c"), Some((SystemTime::UNIX_EPOCH, length)));
        let mut looks = Looks::default();
        let settled: Vec<bool> =
            [1, 1, 1, 2, 3, 3, 3].into_iter().map(|length| looks.is_settled(&of(length))).collect();
        assert_eq!(settled, [false, true, false, false, false, true, false]);
        looks.again();
        assert!(looks.is_settled(&of(3)), "control had no time for it");
        assert!(!looks.is_settled(&of(3)));
    }
}
