//! Rules of type groups.

use super::{Compile, Does, Here};
use crate::config::model::Groups;
use crate::gateway;

impl Compile for Groups {
    fn compile(&self, _: &mut Here<'_>) -> Does {
        Does::asked(gateway::Groups::new(&self.allow))
    }
}
