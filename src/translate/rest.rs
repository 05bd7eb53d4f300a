//! From REST to gRPC: the message that a request says, and the answer to it.

use super::binding::{Binding, Body};
use super::descriptors::Services;
use super::query::{self, Put};
use super::{Wrong, json};
use prost_reflect::prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde::de::Deserializer;
use serde_json::{Map, Value};

impl Services {
    /// The message that a request says, as gRPC has it: by the segments of its path, its query and its body.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn message(
        &self,
        binding: &Binding,
        segments: &[&[u8]],
        query: Option<&[u8]>,
        body: &[u8],
    ) -> Result<Vec<u8>, Wrong> {
        let input = &binding.method.input;
        let query = query.unwrap_or_default();
        if binding.body == Body::Whole && binding.variables.is_empty() && query.is_empty() && !is_blank(body) {
            let mut text = serde_json::Deserializer::from_slice(body);
            let message = self.read(input, &mut text)?;
            text.end().map_err(|error| Wrong::new("body", error))?;
            return Ok(message.encode_to_vec());
        }
        let mut root = self.body(binding, body)?;
        let mut pairs = query::pairs(query);
        // What a body says in full no parameter says as well.
        let is_open = |name: &str| match &binding.body {
            Body::Whole => None,
            body => query::fields(input, name).filter(|fields| {
                let is_bodys = matches!((body, fields.first()), (Body::Field(field), Some(first)) if field == first);
                !is_bodys && !binding.variables.contains(fields)
            }),
        };
        pairs.try_for_each(|pair| {
            let (name, text) = pair.ok_or_else(|| Wrong::new("parameter", "the query is no text in UTF-8"))?;
            match is_open(&name) {
                Some(fields) => {
                    let Some(last) = fields.last() else { return Ok(()) };
                    query::put(&mut root, &fields, query::value(last, text)?, Put::Beside)
                }
                None if self.options.ignore_unknown => Ok(()),
                None => Err(Wrong::new("parameter", format_args!("there is no parameter `{name}`"))),
            }
        })?;
        for (fields, is_long, range) in binding.captured(segments.len()) {
            let Some(last) = fields.last() else { continue };
            let text = segments.get(range).unwrap_or_default().join(&b'/');
            let text = query::decoded(&text, false, is_long)
                .ok_or_else(|| Wrong::new("parameter", "the path is no text in UTF-8"))?;
            query::put(&mut root, fields, query::value(last, text)?, Put::Over)?;
        }
        Ok(self.read(input, Value::Object(root))?.encode_to_vec())
    }

    /// What a body says.
    fn body(&self, binding: &Binding, body: &[u8]) -> Result<Map<String, Value>, Wrong> {
        if is_blank(body) {
            return Ok(Map::new());
        }
        if binding.body == Body::None {
            return match self.options.ignore_unknown {
                true => Ok(Map::new()),
                false => Err(Wrong::new("body", "no body is taken here")),
            };
        }
        let value = serde_json::from_slice(body).map_err(|error| Wrong::new("body", error))?;
        match (&binding.body, value) {
            (Body::Field(field), value) => Ok(Map::from_iter([(field.json_name().to_owned(), value)])),
            (_, Value::Object(fields)) => Ok(fields),
            _ => Err(Wrong::new("body", "the body is no object")),
        }
    }

    pub(super) fn read<'t, D>(&self, of: &MessageDescriptor, text: D) -> Result<DynamicMessage, Wrong>
    where
        D: Deserializer<'t, Error = serde_json::Error>,
    {
        let options = DeserializeOptions::new().deny_unknown_fields(!self.options.ignore_unknown);
        DynamicMessage::deserialize_with_options(of.clone(), text, &options).map_err(|error| Wrong::new("body", error))
    }

    /// Appends a message of the answer as JSON.
    ///
    /// # Errors
    /// It is none that could be shown.
    pub fn show(&self, binding: &Binding, message: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        json::push(&binding.method, message, binding.response.as_ref(), self.options.shown, out)
    }
}

fn is_blank(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}
