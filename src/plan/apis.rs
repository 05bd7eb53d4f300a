//! Descriptions of APIs, read and compiled.
//!
//! What always holds: a plan that follows another one goes on with what is described as before.

use super::Plan;
use super::compile::fault;
use super::files::Files;
use crate::config::model::{self, Config, Route};
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
    /// What is not understood of them.
    warnings: Vec<Fault>,
}

/// Warnings of one API that are told each for itself.
const TOLD: usize = 10;

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
        let (mut all, mut warnings) = (Vec::new(), Vec::new());
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
                Ok(api) => {
                    left_out(&key, of, api.left_out(), if of.strict { faults } else { &mut warnings });
                    all.push(Known { name: name.clone(), base: of.base.clone(), text, api });
                }
                Err(wrong) => {
                    let help = "correct the description: it is one of OpenAPI 3.0 or 3.1, in one file";
                    faults.push(fault(&key, told(of, &wrong), Some(help.to_owned())));
                }
            }
        }
        Self { known: all, made: BTreeMap::new(), warnings }
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

/// What is not understood of a description.
fn left_out(key: &[&str], of: &model::Api, wrong: &[Wrong], faults: &mut Vec<Fault>) {
    let help = match of.strict {
        true => "correct the description, or write strict = false",
        false => "nothing is held against it; with strict = true that is a fault",
    };
    let mut tell = |what: String| faults.push(fault(key, what, Some(help.to_owned())));
    wrong.iter().take(TOLD).for_each(|wrong| tell(told(of, wrong)));
    if let Some(more) = wrong.len().checked_sub(TOLD).filter(|more| *more > 0) {
        tell(format!("`{}`: {more} more of its parts are not understood", of.openapi.display()));
    }
}

fn told(of: &model::Api, Wrong { at, what }: &Wrong) -> String {
    let file = of.openapi.display();
    if at.is_empty() { format!("`{file}`: {what}") } else { format!("`{file}`, at `{at}`: {what}") }
}

impl Plan {
    /// What is allowed but likely a mistake, as only the compiled configuration shows it.
    pub fn warnings(&self) -> &[Fault] {
        &self.apis.warnings
    }

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
