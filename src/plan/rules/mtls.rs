//! Rules of type mtls.

use super::{Compile, Does, Here};
use crate::config::model;
use crate::gateway::Mtls;

impl Compile for model::Mtls {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let rule = Mtls::new(&self.realm, here.people.certificates.clone());
        Does { identifies: true, ..Does::asked(rule) }
    }
}
