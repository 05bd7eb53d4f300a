//! Descriptions of APIs, read and compiled.
//!
//! What always holds: a plan that follows another one goes on with what is described as before.

use super::Plan;
use super::compile::fault;
use super::files::Files;
use crate::config::model::{Config, Route};
use crate::config::{Fault, KeyPath};
use crate::gateway::openapi::{Api, Wrong};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

mod read;
mod unfold;

pub(super) use unfold::Unfolded;

/// Those of a plan, in the order of their names.
#[derive(Clone, Default)]
pub struct Apis {
    known: Vec<Known>,
    /// The routes that were made of them.
    made: BTreeMap<String, Route>,
}

#[derive(Clone)]
struct Known {
    name: String,
    base: Option<String>,
    text: Arc<[u8]>,
    api: Arc<Api>,
}

impl Apis {
    /// Those of a configuration. What is at fault of them is added to `faults`.
    pub(super) fn compile(config: &Config, files: &Files, before: Option<&Self>, faults: &mut Vec<Fault>) -> Self {
        let mut all = Vec::new();
        for (name, of) in &config.apis {
            let key = ["apis", name, "openapi"];
            let text = match files.shared(&KeyPath::from(key)) {
                Ok(text) => text.clone(),
                Err(why) => {
                    faults.push(fault(&key, why.to_owned(), None));
                    continue;
                }
            };
            let is_same = |known: &&Known| known.name == *name && known.base == of.base && known.text == text;
            let known = before.and_then(|before| before.known.iter().find(is_same));
            let api = match known {
                Some(known) => Ok(known.api.clone()),
                None => read::read(&text).and_then(|value| Api::new(value, of.base.as_deref())).map(Arc::new),
            };
            match api {
                Ok(api) => all.push(Known { name: name.clone(), base: of.base.clone(), text, api }),
                Err(Wrong { at, what }) => {
                    let file = of.openapi.display();
                    let what = match at.is_empty() {
                        true => format!("`{file}`: {what}"),
                        false => format!("`{file}`, at `{at}`: {what}"),
                    };
                    let help = "correct the description: it is one of OpenAPI 3.0 or 3.1, in one file";
                    faults.push(fault(&key, what, Some(help.to_owned())));
                }
            }
        }
        Self { known: all, made: BTreeMap::new() }
    }

    /// With the routes that were made of them.
    pub(super) fn with(self, unfolded: &Unfolded<'_>) -> Self {
        Self { made: unfolded.made(), ..self }
    }

    /// The one of this name; `None`: there is none, or it is at fault.
    pub(super) fn of(&self, name: &str) -> Option<&Arc<Api>> {
        let place = self.known.binary_search_by(|known| known.name.as_str().cmp(name)).ok()?;
        self.known.get(place).map(|known| &known.api)
    }
}

impl Plan {
    /// What is said of the route of this name, be it by the description of an API.
    pub fn written(&self, name: &str) -> Option<&Route> {
        self.config.routes.get(name).or_else(|| self.apis.made.get(name))
    }
}

impl fmt::Debug for Apis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|known| &known.name)).finish()
    }
}
