//! Rules of type csrf.

use super::{Compile, Does, Here};
use crate::config::model::Csrf;
use crate::gateway;

impl Compile for Csrf {
    fn compile(&self, _: &mut Here<'_>) -> Does {
        Does::asked(gateway::Csrf::new(&self.origins, self.require))
    }
}
