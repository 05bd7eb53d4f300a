//! Which translation a request is one for, and what it becomes by that. Without I/O, so that `ringway explain` says it, too.

use super::head::Change;
use super::{FORM, JSON, Refusal};
use crate::http::grpc;
use crate::http::head::{Name, RequestHead};
use crate::http::json::{codings, is_json};
use crate::plan::{StreamForm, Translation, What};
use crate::translate::form::Terms;
use crate::translate::web::{self, Form};
use crate::translate::{Binding, Found, Services};
use std::sync::Arc;

/// A request, as its client sent it.
pub(in crate::http) struct Sought<'a> {
    pub(in crate::http) head: &'a RequestHead,
    pub(in crate::http) text: &'a [u8],
    /// The path in its normal form, as targets get it.
    pub(in crate::http) path: &'a [u8],
    /// Whether it is a call of gRPC.
    pub(in crate::http) is_call: bool,
    pub(in crate::http) has_body: bool,
    pub(in crate::http) websocket: bool,
}

/// What a request becomes.
pub(in crate::http) enum Chosen<'t> {
    /// What it is.
    Nothing,
    /// It is refused.
    Refused(Refusal),
    /// A call of gRPC, of what was asked for by REST.
    Rest {
        services: &'t Arc<Services>,
        binding: &'t Arc<Binding>,
        segments: Vec<&'t [u8]>,
        stream: StreamForm,
        most: usize,
    },
    /// A request of REST, of a call of gRPC.
    Call { services: &'t Arc<Services>, binding: &'t Arc<Binding>, most: usize },
    /// A call of gRPC, of one of gRPC-Web.
    Web { form: Form, format: &'t [u8], most: usize },
    /// Another body.
    Form { terms: Terms, to_json: bool, answers: bool, most: usize },
}

/// What a request becomes by the first translation that it is one for.
pub(in crate::http) fn choose<'t>(all: &'t [Arc<Translation>], sought: &Sought<'t>) -> Chosen<'t> {
    if sought.websocket {
        return Chosen::Nothing;
    }
    let content_type = sought.head.find(Name::ContentType).map_or(&b""[..], |field| field.value.of(sought.text));
    let verb = sought.head.method_text.of(sought.text);
    for translation in all {
        let most = translation.most;
        match &translation.what {
            What::GrpcWeb if let Some((form, format)) = web::of_type(content_type).filter(|_| verb == b"POST") => {
                return Chosen::Web { form, format, most };
            }
            What::RestToGrpc { services, refuses, stream }
                if !grpc::is_grpc(content_type) && web::of_type(content_type).is_none() =>
            {
                let refused = match services.find(verb, sought.path) {
                    Found::Binding(binding, segments) => {
                        return match unsuited(sought, binding, content_type) {
                            Some(refusal) => Chosen::Refused(refusal),
                            None => Chosen::Rest { services, binding, segments, stream: *stream, most },
                        };
                    }
                    Found::OtherVerbs(verbs) => {
                        let what = "This path has no such method.".to_owned();
                        Refusal { status: 405, word: "no-method", what, allow: Some(verbs.join(", ")), code: 12 }
                    }
                    Found::Nothing => {
                        let what = "No method is bound to this path.".to_owned();
                        Refusal { status: 404, word: "no-binding", what, allow: None, code: 12 }
                    }
                };
                if *refuses {
                    return Chosen::Refused(refused);
                }
            }
            What::GrpcToRest { services, refuses } if sought.is_call => match services.method(sought.path) {
                Some((method, Some(binding))) if !method.takes_stream && !method.gives_stream => {
                    return Chosen::Call { services, binding, most };
                }
                _ if *refuses => {
                    let what = "no such method is bound to a path".to_owned();
                    return Chosen::Refused(Refusal { status: 404, word: "no-binding", what, allow: None, code: 12 });
                }
                _ => {}
            },
            What::FormToJson(terms, answers) if sought.has_body && is_form(content_type) => {
                return form(sought, *terms, true, *answers, most);
            }
            What::JsonToForm(terms, answers) if sought.has_body && is_json(content_type) => {
                return form(sought, *terms, false, *answers, most);
            }
            _ => {}
        }
    }
    Chosen::Nothing
}

fn form<'t>(sought: &Sought<'_>, terms: Terms, to_json: bool, answers: bool, most: usize) -> Chosen<'t> {
    match is_coded(sought) {
        true => Chosen::Refused(coded()),
        false => Chosen::Form { terms, to_json, answers, most },
    }
}

/// Why a request is none that its binding could take.
fn unsuited(sought: &Sought<'_>, binding: &Binding, content_type: &[u8]) -> Option<Refusal> {
    if binding.method.takes_stream {
        let what = "This method takes several messages, which REST cannot send.".to_owned();
        return Some(Refusal { status: 501, word: "client-stream", what, allow: None, code: 12 });
    }
    if sought.has_body && !content_type.is_empty() && !is_json(content_type) {
        let what = "A body of type application/json is taken.".to_owned();
        return Some(Refusal { status: 415, word: "no-json", what, allow: None, code: 3 });
    }
    (sought.has_body && is_coded(sought)).then(coded)
}

fn coded() -> Refusal {
    let what = "A body without a content coding is taken.".to_owned();
    Refusal { status: 415, word: "coded-body", what, allow: None, code: 3 }
}

fn is_coded(sought: &Sought<'_>) -> bool {
    sought.head.values(sought.text, b"content-encoding").flat_map(codings).next().is_some()
}

/// Whether a content type is that of a form.
pub(super) fn is_form(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(FORM.as_bytes())
}

impl Chosen<'_> {
    /// What of the head that a target gets is known before the body is; `None`: nothing is changed, or nothing is known.
    pub(in crate::http) fn change(&self) -> Option<Change> {
        match self {
            Self::Nothing | Self::Refused(_) | Self::Call { .. } => None,
            Self::Rest { binding, .. } => Some(Change::to_call(&binding.method.path, None)),
            Self::Web { format, .. } => Some(Change::to_web_call(format)),
            Self::Form { to_json, .. } => Some(Change::to_body(if *to_json { JSON } else { FORM })),
        }
    }

    /// What a request becomes, in words; `None`: it stays what it is, or is refused.
    pub(in crate::http) fn told(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::Refused(_) => None,
            Self::Rest { binding, .. } => {
                let several = if binding.method.gives_stream { ", which gives several messages" } else { "" };
                let Binding { method, verb, template, .. } = &***binding;
                Some(format!("gRPC method {}{several}, by {verb} {template}", &method.path[1..]))
            }
            Self::Call { binding, .. } => Some(format!("REST: {} {}", binding.verb, binding.template)),
            Self::Web { form: Form::Binary, .. } => Some("gRPC, of gRPC-Web in bytes".to_owned()),
            Self::Web { form: Form::Text, .. } => Some("gRPC, of gRPC-Web in base64".to_owned()),
            Self::Form { to_json: true, .. } => Some("JSON, of a form".to_owned()),
            Self::Form { to_json: false, .. } => Some("a form, of JSON".to_owned()),
        }
    }
}
