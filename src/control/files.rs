//! The files of the configuration: where that is asked for, a change of them is a reload.
//!
//! What always holds: a file is read when it was the same at two looks, as it may be seen while it is written; a change that
//! was tried is not tried again.

use super::command::{Asker, Commands};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// What is to be looked at: files, and folders in which files may come and go. Empty: nothing.
pub(super) type Places = Vec<PathBuf>;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// How each place was when it was looked at; `None`: it was not there.
type Stamps = HashMap<PathBuf, Option<(SystemTime, u64)>>;

/// Looks for as long as the process lives, and asks for a reload where something has changed.
pub(super) async fn watch(mut places: watch::Receiver<Places>, asking: Commands) {
    let mut wanted = places.borrow_and_update().clone();
    // Of what was read before the first look nobody knows whether it has changed since.
    let (mut known, mut seen) = (Stamps::new(), Stamps::new());
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = places.changed() => {
                if changed.is_err() {
                    return;
                }
                wanted.clone_from(&places.borrow_and_update());
                known.retain(|place, _| wanted.contains(place));
            }
        }
        let now = look(wanted.clone()).await;
        if now != known && now == seen {
            known.clone_from(&now);
            if !asking.tell_to_reload(Asker::Watch).await {
                return;
            }
        }
        seen = now;
    }
}

async fn look(places: Places) -> Stamps {
    let stamp = |place: PathBuf| {
        let data = std::fs::metadata(&place).ok();
        let stamp = data.and_then(|data| Some((data.modified().ok()?, data.len())));
        (place, stamp)
    };
    match places.is_empty() {
        true => Stamps::new(),
        false => tokio::task::spawn_blocking(move || places.into_iter().map(stamp).collect()).await.unwrap_or_default(),
    }
}
