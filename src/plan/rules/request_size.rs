//! Rules of type request-size.

use super::{Compile, Does, Here};
use crate::config::model::RequestSize;
use crate::gateway;

impl Compile for RequestSize {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        // What comes without a length is cut off where it becomes too long: that cannot be tried out.
        let body = (!here.shadow).then_some(self.max.0);
        Does { body, ..Does::asked(gateway::RequestSize::new(self.max.0)) }
    }
}
