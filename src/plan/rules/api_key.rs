//! Rules of type api-key.

use super::{Compile, Does, Here};
use crate::config::model::ApiKey;
use crate::gateway::{self, Place};

impl Compile for ApiKey {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let header = self.header().map(|name| Place::Header(name.into()));
        let query = self.query.as_deref().map(|name| Place::Query(name.into()));
        let cookie = self.cookie.as_deref().map(|name| Place::Cookie(name.into()));
        let places: Vec<Place> = header.into_iter().chain(query).chain(cookie).collect();
        let rule = gateway::ApiKey::new(&places, &self.realm, here.people.keys.clone());
        Does { identifies: true, credentials: places, ..Does::asked(rule) }
    }
}
