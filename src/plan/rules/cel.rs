//! Rules of type cel, and the conditions of all types.

use super::{Compile, Does, Here};
use crate::config::model::Cel;
use crate::gateway;
use crate::gateway::Phase;
use crate::gateway::condition::{Condition, Stage};
use std::sync::Arc;

impl Compile for Cel {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        match condition(here, "allow", &self.allow, Stage::Known) {
            Some(allow) => Does::asked(gateway::Cel::new(allow)),
            None => Does::default(),
        }
    }
}

/// When a rule that becomes `does` is there; `None`: always, or it is at fault.
pub(super) fn when(here: &mut Here<'_>, does: &Does, text: &str) -> Option<Arc<Condition>> {
    let is_after = does.asked.as_ref().is_some_and(|rule| rule.phase() > Phase::Identity)
        || does.limit.as_ref().is_some_and(|limit| limit.late);
    let stage = if is_after { Stage::Known } else { Stage::Early };
    condition(here, "when", text, stage).map(Arc::new)
}

fn condition(here: &mut Here<'_>, key: &str, text: &str, stage: Stage) -> Option<Condition> {
    let compiled = Condition::compile(text, stage);
    compiled.map_err(|found| here.fault(&[key], found.to_string(), found.help)).ok()
}
