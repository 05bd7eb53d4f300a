//! `[translations.NAME]`: REST, gRPC, gRPC-Web and forms, one as the other.

use crate::config::formats::FilePath;
use crate::config::units::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[translations.NAME]`. Its `type` says what becomes what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Translation {
    /// Forms become JSON.
    FormToJson(Form),
    /// Calls of gRPC become requests of REST.
    GrpcToRest(GrpcToRest),
    /// Calls of gRPC-Web become calls of gRPC.
    GrpcWeb(GrpcWeb),
    /// JSON becomes forms.
    JsonToForm(Form),
    /// Requests of REST become calls of gRPC.
    RestToGrpc(RestToGrpc),
}

/// A translation of type rest-to-grpc: what a client asks for by REST becomes a call of gRPC, as `google.api.http` says, and its answer JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestToGrpc {
    /// A file with a descriptor set, as `protoc --include_imports --descriptor_set_out` writes it.
    #[schemars(with = "FilePath")]
    pub descriptors: PathBuf,
    /// The services that are taken of it, by their full names. Empty: all of them.
    #[serde(default)]
    pub services: Vec<String>,
    /// Whether methods without a binding are asked for by `POST /package.Service/Method`, with their message as the body.
    #[serde(default)]
    pub unannotated: bool,
    /// What becomes of requests that no binding has.
    #[serde(default)]
    pub unmatched: Unmatched,
    /// What becomes of fields, values of enums and parameters that the description does not have.
    #[serde(default)]
    pub unknown: UnknownFields,
    /// How several answers to one request are sent.
    #[serde(default)]
    pub stream: StreamForm,
    /// How fields are called in JSON.
    #[serde(default)]
    pub field_names: FieldNames,
    /// How values of enums stand in JSON.
    #[serde(default)]
    pub enums: EnumForm,
    /// Whether fields of answers that have their default stand in JSON, too.
    #[serde(default)]
    pub defaults: bool,
    /// The largest body of a request, and the largest message of an answer. A body that is larger gets 413, a message 502. Each is held
    /// until it has come whole.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_message: Size,
}

/// A translation of type grpc-to-rest: a call of gRPC becomes a request of REST, as `google.api.http` says, and its answer in JSON a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcToRest {
    /// A file with a descriptor set, as `protoc --include_imports --descriptor_set_out` writes it.
    #[schemars(with = "FilePath")]
    pub descriptors: PathBuf,
    /// The services that are taken of it, by their full names. Empty: all of them.
    #[serde(default)]
    pub services: Vec<String>,
    /// What becomes of calls of methods that have no binding.
    #[serde(default)]
    pub unmatched: Unmatched,
    /// What becomes of fields and values of enums in answers that the description does not have.
    #[serde(default = "ignore")]
    pub unknown: UnknownFields,
    /// The largest message of a call, and the largest body of an answer. A message that is larger is refused with `RESOURCE_EXHAUSTED`, of a
    /// larger body the client gets `UNAVAILABLE`. Each is held until it has come whole.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_message: Size,
}

/// A translation of type grpc-web: browsers call services of gRPC, in bytes or in base64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcWeb {
    /// The largest body of a request in base64; a larger one gets 413. It is held until it has come whole. What comes in bytes streams.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_message: Size,
}

/// A translation of type form-to-json or json-to-form: bodies of requests become the other, and answers become what they were, if that is
/// wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Whether answers are translated, too, the other way round, where their type says that they are of it.
    #[serde(default)]
    pub answers: bool,
    /// Whether `a[b]` is the member `b` of an object `a`, and `a[]` an item of a list.
    #[serde(default)]
    pub brackets: bool,
    /// Fields that a form may have; one with more gets 400.
    #[serde(default = "many_fields")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_fields: usize,
    /// The largest body; a larger one gets 413. It is held until it has come whole.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_body: Size,
}

/// What becomes of what no binding has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unmatched {
    /// It is refused.
    #[default]
    Refuse,
    /// It goes on as it is.
    Pass,
}

/// What becomes of what a description does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownFields {
    /// It is refused.
    #[default]
    Refuse,
    /// It is left out.
    Ignore,
}

/// How several answers to one request are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StreamForm {
    /// As events to clients that accept `text/event-stream`, as lines to others.
    #[default]
    Auto,
    /// Each is a line (`application/x-ndjson`).
    JsonLines,
    /// Each is an event (`text/event-stream`).
    Sse,
}

/// How fields are called in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FieldNames {
    /// As the JSON mapping of protobuf has them: `pageSize`.
    #[default]
    Json,
    /// As the description has them: `page_size`.
    Proto,
}

/// How values of enums stand in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnumForm {
    /// By their names.
    #[default]
    Name,
    /// By their numbers.
    Number,
}

impl Translation {
    /// The file with its descriptor set, if it has one.
    pub fn descriptors(&self) -> Option<&PathBuf> {
        match self {
            Self::RestToGrpc(of) => Some(&of.descriptors),
            Self::GrpcToRest(of) => Some(&of.descriptors),
            Self::GrpcWeb(_) | Self::FormToJson(_) | Self::JsonToForm(_) => None,
        }
    }

    /// Whether targets are called by gRPC.
    pub fn calls_grpc(&self) -> bool {
        matches!(self, Self::RestToGrpc(_) | Self::GrpcWeb(_))
    }
}

fn one_mebibyte() -> Size {
    Size(1 << 20)
}

fn many_fields() -> usize {
    1000
}

fn ignore() -> UnknownFields {
    UnknownFields::Ignore
}
