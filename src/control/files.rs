//! The files of the configuration: where that is asked for, a change of them is a reload.
//!
//! What always holds: a file is read when it was the same at two looks, as it may be seen while it is written; a change that
//! was tried is not tried again.

use super::reload::{Asker, Wanted};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};

/// What is to be looked at: files, and folders in which files may come and go. Empty: nothing.
pub(super) type Places = Vec<PathBuf>;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// How a place was when it was looked at; `None`: it was not there.
type Stamps = Vec<Option<(SystemTime, u64)>>;

/// Looks for as long as the process lives, and asks for a reload where something has changed.
pub(super) async fn watch(mut places: watch::Receiver<Places>, asking: mpsc::Sender<Wanted>) {
    let mut wanted = places.borrow_and_update().clone();
    let mut known = look(wanted.clone()).await;
    let mut seen = known.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = places.changed() => {
                if changed.is_err() {
                    return;
                }
                wanted.clone_from(&places.borrow_and_update());
                known = look(wanted.clone()).await;
                seen.clone_from(&known);
                continue;
            }
        }
        let now = look(wanted.clone()).await;
        if now != known && now == seen {
            known.clone_from(&now);
            if asking.send(Wanted { by: Asker::Watch, stage: None, reply: None }).await.is_err() {
                return;
            }
        }
        seen = now;
    }
}

async fn look(places: Places) -> Stamps {
    if places.is_empty() {
        return Vec::new();
    }
    let stamp = |place: &PathBuf| {
        let data = std::fs::metadata(place).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    tokio::task::spawn_blocking(move || places.iter().map(stamp).collect()).await.unwrap_or_default()
}
