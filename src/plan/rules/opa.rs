//! Rules of type opa.

use super::server::server;
use super::{Compile, Does, Here};
use crate::config::model;
use crate::gateway::Opa;

impl Compile for model::Opa {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let Some(server) = server(&self.server, here) else { return Does::default() };
        Does::asked(Opa::new(here.index, server, &self.request_headers, self.server.remember.0))
    }
}
