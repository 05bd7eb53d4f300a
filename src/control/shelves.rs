//! The caches' tiers on the disk over the lives of plans and processes.
//!
//! What always holds: one process at a time has a folder. What is kept is written out when a process ends or another one has taken
//! over; nobody waits for a disk for longer than [`LAST_WRITES`].

use crate::plan::{Plan, Store};
use std::io;
use std::time::Duration;

/// How long an ending process waits for what is being written.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Opens, changes and closes what differs from the plan before.
pub(super) fn follow(plan: &Plan, before: Option<&Plan>) -> Result<(), String> {
    for gone in before.into_iter().flat_map(|before| &before.caches) {
        let stays = |store: &Store| store.shared.name == gone.shared.name && store.shelf.is_some();
        if !plan.caches.iter().any(stays) {
            gone.shared.unshelve();
        }
    }
    for store in &plan.caches {
        store.shared.shelve(store.shelf.as_ref()).map_err(|error| cannot(store, &error))?;
    }
    Ok(())
}

fn cannot(store: &Store, error: &io::Error) -> String {
    let name = &store.shared.name;
    let path = store.shelf.as_ref().map(|shelf| shelf.path.display().to_string()).unwrap_or_default();
    format!(
        "cache `{name}` cannot use the folder {path}: {error}\n  help: `caches.{name}.disk.path` is to be one that this user may make and \
         write to"
    )
}

/// Another process is to have the folders.
pub(super) fn hand_over(plan: &Plan) {
    plan.caches.iter().for_each(|store| store.shared.unshelve());
}

/// The process ends. Blocks.
pub(super) fn close(plan: &Plan) {
    plan.caches.iter().for_each(|store| store.shared.close(LAST_WRITES));
}
