//! What routes say of the requests that they take, and what answers say of the headers by which their routes were chosen (RFC 9110
//! §12.5.5), so that whoever keeps them tells them apart.

use super::apis::Unfolded;
use super::compile::fault;
use super::edits::Edit;
use super::router::{self, Conditions};
use crate::config::Fault;
use crate::config::model::{Protocol, Route};
use std::collections::BTreeSet;

/// Of each route what it says of requests, and what is to be done to its answers, if anything. What is at fault is added to `faults`.
pub(super) fn compile(unfolded: &Unfolded<'_>, faults: &mut Vec<Fault>) -> Vec<(Conditions, Option<Edit>)> {
    let config = &*unfolded.config;
    let mut of_route = |(name, route): (&String, &Route)| {
        Conditions::compile(route).unwrap_or_else(|found| {
            let at = |key| ["routes", unfolded.origin(name), key];
            faults.extend(found.into_iter().map(|found| fault(&at(found.key), found.message, found.help)));
            Conditions::default()
        })
    };
    let mut conditions: Vec<Conditions> = config.routes.iter().map(&mut of_route).collect();
    let mut vary = vec![BTreeSet::new(); conditions.len()];
    for (name, _) in config.listeners.iter().filter(|(_, listener)| listener.protocol == Protocol::Http) {
        let on = config.routes.values().enumerate().filter(|(_, route)| config.is_on(route, name));
        let on: Vec<usize> = on.map(|(index, _)| index).collect();
        router::settle(&mut conditions, &on, &mut vary);
    }
    let edit = |names: BTreeSet<String>| {
        (!names.is_empty()).then(|| Edit::Vary(names.into_iter().map(String::into_boxed_str).collect()))
    };
    conditions.into_iter().zip(vary.into_iter().map(edit)).collect()
}
