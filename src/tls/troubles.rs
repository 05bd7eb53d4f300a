//! What could not be used of files that have changed, so that each trouble is told once.

use super::files::Fault;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What could not be used when the files were last looked at, and whether that was told.
#[derive(Default)]
pub(super) struct Troubles(ArcSwap<Vec<(Fault, bool)>>);

impl Troubles {
    /// Those of `faults` that were there at the last look, too, and have not been told: a file may be seen while it is
    /// written.
    pub(super) fn untold(&self, faults: Vec<Fault>) -> Vec<Fault> {
        let before = self.0.load();
        if faults.is_empty() && before.is_empty() {
            return faults;
        }
        let seen = |fault: &Fault| before.iter().find(|(old, _)| old == fault).map(|(_, told)| *told);
        let troubles: Vec<(Fault, bool)> = faults
            .into_iter()
            .map(|fault| (seen(&fault).is_some(), fault))
            .map(|(told, fault)| (fault, told))
            .collect();
        let untold = troubles.iter().filter(|(fault, told)| *told && seen(fault) == Some(false));
        let untold = untold.map(|(fault, _)| fault.clone()).collect();
        self.0.store(Arc::new(troubles));
        untold
    }
}
