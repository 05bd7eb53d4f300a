//! Rules of type openapi.

use super::{Compile, Does, Here};
use crate::config::model;
use crate::gateway::OpenApi;
use crate::gateway::openapi::Bounds;

impl Compile for model::OpenApi {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        // What is wrong with it has been told.
        let Some(api) = here.apis.of(&self.api) else { return Does::default() };
        let most = usize::try_from(self.max_body.0).unwrap_or(usize::MAX);
        let bounds = Bounds { depth: self.max_depth, members: self.max_members };
        Does::asked(OpenApi::new(here.index, here.shadow, api.clone(), most, bounds))
    }
}
