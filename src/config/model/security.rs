//! `security_headers`: what browsers are told so that a page is harder to abuse.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// `security_headers`: `true`, `"strict"`, or a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecurityHeaders {
    /// `true`: what breaks no page, where targets say nothing of it themselves. `false`: nothing.
    Switch(bool),
    /// `"strict"`: the most, in place of what targets say.
    Preset(SecurityPreset),
    /// One of the two, with headers of its own.
    Table(Box<SecurityTable>),
}

/// The presets that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("type" = "string"))]
pub enum SecurityPreset {
    /// The most, in place of what targets say.
    Strict,
}

/// `[routes.NAME.security_headers]`. Each header is a value, `false` for none, or `true` for what it has by `strict`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityTable {
    /// Whether the most is asked of browsers, in place of what targets say.
    pub strict: bool,
    /// Whether headers that tell what a target runs on are kept from clients.
    pub hide: bool,
    /// What a page may load, and who may show it.
    #[schemars(with = "Option<SayForm>")]
    pub content_security_policy: Option<Say>,
    /// Whether types of content are guessed.
    #[schemars(with = "Option<SayForm>")]
    pub content_type_options: Option<Say>,
    /// What a page may load of other origins.
    #[schemars(with = "Option<SayForm>")]
    pub cross_origin_embedder_policy: Option<Say>,
    /// Whether windows of other origins are reached.
    #[schemars(with = "Option<SayForm>")]
    pub cross_origin_opener_policy: Option<Say>,
    /// Which origins may load this.
    #[schemars(with = "Option<SayForm>")]
    pub cross_origin_resource_policy: Option<Say>,
    /// Who may show a page in a frame.
    #[schemars(with = "Option<SayForm>")]
    pub frame_options: Option<Say>,
    /// What a page may use of the device.
    #[schemars(with = "Option<SayForm>")]
    pub permissions_policy: Option<Say>,
    /// Which policies of other domains PDF readers and the like look for.
    #[schemars(with = "Option<SayForm>")]
    pub permitted_cross_domain_policies: Option<Say>,
    /// What other sites learn about where a visitor comes from.
    #[schemars(with = "Option<SayForm>")]
    pub referrer_policy: Option<Say>,
}

impl Default for SecurityTable {
    fn default() -> Self {
        Self {
            strict: false,
            hide: true,
            content_security_policy: None,
            content_type_options: None,
            cross_origin_embedder_policy: None,
            cross_origin_opener_policy: None,
            cross_origin_resource_policy: None,
            frame_options: None,
            permissions_policy: None,
            permitted_cross_domain_policies: None,
            referrer_policy: None,
        }
    }
}

/// What a header is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// `true`: what it says by `strict`.
    Strict,
    /// `false`: it is not there.
    Nothing,
    /// This.
    Value(String),
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "carries the accepted forms into the schema")]
enum SayForm {
    Switch(bool),
    Value(crate::config::formats::HeaderValue),
}

impl SecurityHeaders {
    /// What it stands for; `None`: nothing.
    pub fn table(&self) -> Option<SecurityTable> {
        match self {
            Self::Switch(false) => None,
            Self::Switch(true) => Some(SecurityTable::default()),
            Self::Preset(SecurityPreset::Strict) => Some(SecurityTable { strict: true, ..SecurityTable::default() }),
            Self::Table(table) => Some((**table).clone()),
        }
    }
}

impl Serialize for Say {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Strict => serializer.serialize_bool(true),
            Self::Nothing => serializer.serialize_bool(false),
            Self::Value(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Say {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Say;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, true or false")
            }

            fn visit_bool<E: de::Error>(self, strict: bool) -> Result<Say, E> {
                Ok(if strict { Say::Strict } else { Say::Nothing })
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Say, E> {
                Ok(Say::Value(value.into()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
