//! Rules of type any-of and all-of.

use super::{Compile, Does, Here};
use crate::config::model::{self, RuleMode};
use crate::gateway::{AllOf, AnyOf, Rule};
use std::sync::Arc;

impl Compile for model::AnyOf {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let (guests, proving): (Vec<Does>, Vec<Does>) = members(&self.rules, here).partition(|does| does.is_guest);
        let rules = |of: &[Does]| of.iter().filter_map(|does| does.asked.clone()).collect::<Vec<Arc<dyn Rule>>>();
        let rule = AnyOf::new(rules(&proving), rules(&guests).into_iter().next());
        let edits = proving.iter().flat_map(|does| does.edits.iter().cloned()).collect();
        let credentials = proving.into_iter().flat_map(|does| does.credentials).collect();
        let identifies = members(&self.rules, here).any(|does| does.identifies);
        Does { identifies, edits, credentials, ..Does::asked(rule) }
    }
}

impl Compile for model::AllOf {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let rules = members(&self.rules, here).filter_map(|does| does.asked).collect();
        let edits = members(&self.rules, here).flat_map(|does| does.edits).collect();
        let credentials = members(&self.rules, here).flat_map(|does| does.credentials).collect();
        let identifies = members(&self.rules, here).any(|does| does.identifies);
        Does { identifies, edits, credentials, ..Does::asked(AllOf::new(rules)) }
    }
}

/// What the rules of these names do that are not off.
fn members<'h>(names: &'h [String], here: &'h Here<'_>) -> impl Iterator<Item = Does> + use<'h> {
    let known = names.iter().filter_map(|name| here.known.get(name.as_str()));
    known.filter(|known| known.mode != RuleMode::Off).map(|known| known.does.clone())
}
