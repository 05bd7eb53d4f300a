//! What requests and answers become on their way, compiled.
//!
//! What always holds: a plan that follows another one goes on with what is described as before.

use super::compile::fault;
use super::files::Files;
use crate::config::model::{self, Config};
use crate::config::{Fault, KeyPath};
use crate::translate::form::Terms;
use crate::translate::{Options, Services, Shown};
use std::sync::Arc;

pub use crate::config::model::StreamForm;

/// Those of a plan, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Translations(Vec<Arc<Translation>>);

/// What some requests become, and their answers.
#[derive(Debug)]
pub struct Translation {
    /// Its name in the configuration.
    pub name: String,
    /// Bytes that are held of a body or a message.
    pub most: usize,
    /// What becomes what.
    pub what: What,
    /// What it was compiled from.
    config: model::Translation,
    text: Option<Arc<[u8]>>,
}

/// What becomes what.
#[derive(Debug)]
pub enum What {
    /// Requests of REST become calls of gRPC.
    RestToGrpc {
        /// What is described.
        services: Arc<Services>,
        /// Whether requests that no binding has are refused.
        refuses: bool,
        /// How several answers are sent.
        stream: StreamForm,
    },
    /// Calls of gRPC become requests of REST.
    GrpcToRest {
        /// What is described.
        services: Arc<Services>,
        /// Whether calls that have no binding are refused.
        refuses: bool,
    },
    /// Calls of gRPC-Web become calls of gRPC.
    GrpcWeb,
    /// Forms become JSON; with their answers, if that is wanted.
    FormToJson(Terms, bool),
    /// JSON becomes forms; with their answers, if that is wanted.
    JsonToForm(Terms, bool),
}

impl Translations {
    /// Those of a configuration. What is at fault of them is added to `faults`.
    pub(super) fn compile(config: &Config, files: &Files, before: Option<&Self>, faults: &mut Vec<Fault>) -> Self {
        let mut all = Vec::new();
        for (name, of) in &config.translations {
            let key = ["translations", name, "descriptors"];
            let text = match of.descriptors().map(|_| files.shared(&KeyPath::from(key))) {
                None => None,
                Some(Ok(text)) => Some(text.clone()),
                Some(Err(why)) => {
                    faults.push(fault(&key, why.to_owned(), None));
                    continue;
                }
            };
            let is_same = |known: &&Arc<Translation>| known.name == *name && known.config == *of && known.text == text;
            if let Some(same) = before.and_then(|before| before.0.iter().find(is_same)) {
                all.push(same.clone());
                continue;
            }
            match what(of, text.as_deref()) {
                Ok((what, most)) => {
                    all.push(Arc::new(Translation { name: name.clone(), most, what, config: of.clone(), text }));
                }
                Err(what) => {
                    let file = of.descriptors().map(|file| file.display().to_string()).unwrap_or_default();
                    let help = "write it with protoc --include_imports --descriptor_set_out=FILE, or buf build -o FILE";
                    faults.push(fault(&key, format!("`{file}`: {what}"), Some(help.to_owned())));
                }
            }
        }
        Self(all)
    }

    /// Those of these names; `None`: there are none.
    pub(super) fn of(&self, names: &[String]) -> Option<Arc<[Arc<Translation>]>> {
        let found = names.iter().filter_map(|name| {
            let place = self.0.binary_search_by(|known| known.name.as_str().cmp(name)).ok()?;
            self.0.get(place).cloned()
        });
        Some(found.collect::<Arc<[_]>>()).filter(|found| !found.is_empty())
    }
}

/// What is compiled of one, and bytes that are held.
fn what(of: &model::Translation, text: Option<&[u8]>) -> Result<(What, usize), String> {
    let text = text.unwrap_or_default();
    let terms = |of: &model::Form| Terms { brackets: of.brackets, fields: of.max_fields };
    let (what, most) = match of {
        model::Translation::RestToGrpc(of) => {
            let shown = Shown {
                proto_names: of.field_names == model::FieldNames::Proto,
                enum_numbers: of.enums == model::EnumForm::Number,
                defaults: of.defaults,
            };
            let options = Options {
                services: of.services.clone(),
                unannotated: of.unannotated,
                ignore_unknown: of.unknown == model::UnknownFields::Ignore,
                shown,
            };
            let services = Arc::new(Services::new(text, options)?);
            if services.describes().bound == 0 {
                return Err(
                    "no method has a binding of google.api.http; with unannotated = true all have one".to_owned()
                );
            }
            let refuses = of.unmatched == model::Unmatched::Refuse;
            (What::RestToGrpc { services, refuses, stream: of.stream }, of.max_message)
        }
        model::Translation::GrpcToRest(of) => {
            let options = Options {
                services: of.services.clone(),
                unannotated: false,
                ignore_unknown: of.unknown == model::UnknownFields::Ignore,
                shown: Shown::default(),
            };
            let services = Arc::new(Services::new(text, options)?);
            if services.describes().bound == 0 {
                return Err("no method has a binding of google.api.http".to_owned());
            }
            (What::GrpcToRest { services, refuses: of.unmatched == model::Unmatched::Refuse }, of.max_message)
        }
        model::Translation::GrpcWeb(of) => (What::GrpcWeb, of.max_message),
        model::Translation::FormToJson(of) => (What::FormToJson(terms(of), of.answers), of.max_body),
        model::Translation::JsonToForm(of) => (What::JsonToForm(terms(of), of.answers), of.max_body),
    };
    Ok((what, usize::try_from(most.0).unwrap_or(usize::MAX)))
}
