//! Rules of type cors.

use super::{Compile, Does, Here};
use crate::config::model;
use crate::gateway::cors::{Cors, Spec};
use std::sync::Arc;

impl Compile for model::Cors {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let spec = Spec {
            origins: &self.origins,
            methods: &self.methods,
            headers: &self.headers,
            expose: &self.expose_headers,
            credentials: self.credentials,
            max_age: self.max_age.0.as_secs(),
        };
        Does { cors: Some(Arc::new(Cors::new(here.index, spec))), ..Does::default() }
    }
}
