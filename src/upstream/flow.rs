//! Flows of datagrams: no connection binds them to their targets.

use super::local::{Attempt, Local};
use super::target::Pool;
use super::ties::OnUp;
use crate::observe::reason::Ejected;

impl Local {
    /// Whether a flow may go on with the target of its attempt. It may not with one that is down, that is ejected unless that is for being slow
    /// alone, or that is a backup which gives its work back.
    #[inline]
    pub fn keeps(&self, attempt: &Attempt) -> bool {
        let target = attempt.target();
        if self.ignores_health() {
            return !target.is_in_maintenance();
        }
        !target.is_down()
            && (!target.ejection().is_ejected() || attempt.is_trial() || target.ejection().why() == Ejected::Latency)
            && !(target.backup && self.pool().takes_from_backups())
    }
}

impl Pool {
    /// Whether backups are to give back what they have.
    fn takes_from_backups(&self) -> bool {
        let works = |target: &super::Target| !target.backup && target.weight() > 0 && target.is_up();
        self.on_up == OnUp::CloseBackups && self.targets.iter().any(works)
    }
}
