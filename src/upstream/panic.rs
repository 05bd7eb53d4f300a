//! The panic threshold: when most of a pool seems to be sick it is likelier that the checks are, or that those who are left
//! would break under the work of all.
//!
//! Backups come first: as long as one of them can take the work, health is believed. An operator's word always is.

use super::target::Pool;

impl Pool {
    /// Whether health is not believed: fewer targets than its threshold are usable.
    pub fn is_doubted(&self) -> bool {
        let Some(threshold) = self.panic else { return false };
        let (mut all, mut usable) = (0_u32, 0_u32);
        for target in self.targets.iter().filter(|target| target.weight() > 0 && !target.is_in_maintenance()) {
            match (target.backup, target.is_up()) {
                (true, true) => return false,
                (true, false) => {}
                (false, up) => {
                    all += 1;
                    usable += u32::from(up);
                }
            }
        }
        f64::from(usable) < threshold * f64::from(all)
    }

    /// Whether work goes to targets that are down when none is up.
    pub(super) fn is_open(&self) -> bool {
        self.open_when_down || self.panic.is_some()
    }
}
