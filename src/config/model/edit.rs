//! `[routes.NAME.request]` and `[routes.NAME.response]`: what of a message is not passed on as it came.

use crate::config::formats::EditedHeader;
use crate::config::template::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[routes.NAME.request]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestEdits {
    /// What becomes of headers on their way to targets, those that Ringway writes itself included.
    pub headers: HeaderEdits,
}

/// `[routes.NAME.response]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseEdits {
    /// What becomes of headers on their way to clients, in answers of every status and in Ringway's own.
    pub headers: HeaderEdits,
}

/// Edits of headers, done in this order: remove, rename, set, add, append.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderEdits {
    /// Headers that do not pass.
    #[schemars(with = "Vec<EditedHeader>")]
    pub remove: Vec<String>,
    /// Headers that pass under another name, in place of those that have it.
    #[schemars(with = "BTreeMap<String, EditedHeader>", extend("propertyNames" = { "format": "edited-header" }))]
    pub rename: BTreeMap<String, String>,
    /// Headers with what they are to say, in place of all of their name; without them where that is nothing.
    #[schemars(extend("propertyNames" = { "format": "edited-header" }))]
    pub set: BTreeMap<String, Template>,
    /// Headers with what they are to say where there is none of their name.
    #[schemars(extend("propertyNames" = { "format": "edited-header" }))]
    pub add: BTreeMap<String, Template>,
    /// Headers with what one more of them is to say.
    #[schemars(extend("propertyNames" = { "format": "edited-header" }))]
    pub append: BTreeMap<String, Template>,
}

impl HeaderEdits {
    /// Whether nothing is edited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The headers that are edited.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let renamed = self.rename.keys().chain(self.rename.values());
        self.remove.iter().chain(renamed).chain(self.templates().map(|(_, name, _)| name))
    }

    /// What is filled in for each request, by the edit and the header that it is for.
    pub fn templates(&self) -> impl Iterator<Item = (&'static str, &String, &Template)> {
        let all = [("set", &self.set), ("add", &self.add), ("append", &self.append)];
        all.into_iter().flat_map(|(edit, map)| map.iter().map(move |(name, template)| (edit, name, template)))
    }
}
