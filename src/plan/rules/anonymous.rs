//! Rules of type anonymous.

use super::{Compile, Does, Here};
use crate::config::model::Anonymous;
use crate::gateway::Guest;

impl Compile for Anonymous {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        match here.people.names.get(self.consumer.as_str()).cloned() {
            Some(consumer) => Does { identifies: true, is_guest: true, ..Does::asked(Guest::new(consumer)) },
            None => {
                here.fault(&["consumer"], format!("no consumer is named `{}`", self.consumer), None);
                Does::default()
            }
        }
    }
}
