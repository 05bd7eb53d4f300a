//! The file of consumers that the configuration names: a change of it is read where it holds up nobody, and put into force.
//!
//! What always holds: a file is read when it was the same at two looks, as it may be seen while it is written; one that cannot be used
//! changes nothing, and is told once, without what stands in it.

use super::command::{Asker, Commands, Enrol};
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

/// Looks for as long as the process lives.
pub(super) async fn watch(present: Shared, report: Arc<Report>, commands: Commands) {
    // Of what was read before the first look nobody knows whether it has changed since.
    let (mut known, mut seen): (Option<Look>, Option<Look>) = (None, None);
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(path) = present.load().plan.config.runtime.consumers_file.clone() else { continue };
        let Ok(now) = tokio::task::spawn_blocking(move || look(path)).await else { continue };
        if known.as_ref() != Some(&now) && seen.as_ref() == Some(&now) {
            known = Some(now.clone());
            if let Err(why) = take_up(&now.0, &report, &commands).await {
                report.reloads().consumers_failed.inc();
                let file = now.0.display().to_string();
                tracing::error!(file, "the file of consumers cannot be used, those that were known stay so: {why}");
            }
        }
        seen = Some(now);
    }
}

async fn take_up(path: &Path, report: &Report, commands: &Commands) -> Result<(), String> {
    let file = path.to_owned();
    let read = move || config::read_consumers(&file, &|name| std::env::var(name).ok()).map_err(|report| report.brief());
    let listed = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()))?;
    let change = Enrol::Listed(path.to_owned(), Arc::new(listed));
    match commands.enrol(Asker::Watch, change, None).await {
        Ok(enrolled) => {
            if enrolled.changed {
                report.reloads().consumers_changed.inc();
            }
            Ok(())
        }
        Err(refused) => Err(refused.to_string()),
    }
}

fn look(path: PathBuf) -> Look {
    let data = std::fs::metadata(&path).ok();
    let stamp = data.and_then(|data| Some((data.modified().ok()?, data.len())));
    (path, stamp)
}
