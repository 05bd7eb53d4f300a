//! Rules of type forward-auth.

use super::server::server;
use super::{Compile, Does, Here};
use crate::config::model;
use crate::gateway::{ByHeader, ForwardAuth};
use crate::plan::edits::Edit;

impl Compile for model::ForwardAuth {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let Some(server) = server(&self.server, here) else { return Does::default() };
        let by = |header: &String| ByHeader { header: header.as_str().into(), consumers: here.people.names.clone() };
        let consumer = self.consumer_header.as_ref().map(by);
        let (sent, told) = (&self.request_headers, &self.response_headers);
        let rule = ForwardAuth::new(here.index, server, sent, told, consumer, self.server.remember.0);
        let edits = told.iter().map(|name| Edit::Told(name.as_str().into())).collect();
        Does { identifies: true, edits, ..Does::asked(rule) }
    }
}
