//! Rules of type user-agent.

use super::{Compile, Does, Here};
use crate::config::model::UserAgent;
use crate::gateway::{self, Agents};

impl Compile for UserAgent {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let mut agents = |key: &str, patterns: &[String]| {
            Agents::new(patterns).map_err(|why| here.fault(&[key], why, Some("write fewer or simpler ones".to_owned())))
        };
        match (agents("allow", &self.allow), agents("deny", &self.deny)) {
            (Ok(allow), Ok(deny)) => {
                let allow = (!self.allow.is_empty()).then_some(allow);
                Does::asked(gateway::UserAgent::new(allow, deny, self.require))
            }
            _ => Does::default(),
        }
    }
}
