//! Requests and answers that become something else on their way, as a route says: REST and gRPC, gRPC-Web, forms.
//!
//! What always holds: rules have decided of a request as its client sent it, by its own path; a request that cannot be translated reaches
//! no target; what is held of it has a bound and counts as held. What a target is sent is sent as often as it is tried. An answer is
//! translated before anything else sees it, so that caches, edits and codings have what the client has.

mod answer;
mod call;
mod choose;
mod form;
mod head;
mod json;
mod text;
mod web;

pub(super) use choose::{Chosen, Sought, choose};
pub(super) use web::content_type;

use super::body::Body;
use super::buffer::{self, Held};
use super::exchange::Exchange;
use super::forward::Path;
use super::grpc;
use super::h1::{Framing, Incoming};
use super::head::Method;
use super::onward::{onward_path, stripped};
use super::reply::Reply;
use crate::gateway::Denial;
use crate::net::{Lease, breathe};
use crate::observe::reason::{Failure, Reason};
use crate::observe::status::reason_phrase;
use crate::plan::{self, StreamForm, Translation};
use crate::tls::Convert;
use crate::translate::{Asked, Binding, Frames, Services, Wrong, form as forms, push_frame, status, web as webs};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What a request has become.
#[derive(Debug)]
pub(super) struct Translated {
    /// What stands in its head in place of what its client sent.
    head: head::Change,
    /// What its answer becomes.
    back: Back,
}

/// What an answer becomes.
#[derive(Debug)]
enum Back {
    /// One message, or several where it says how, as JSON.
    Json { services: Arc<Services>, binding: Arc<Binding>, stream: Option<Stream>, most: usize },
    /// Content and trailers as gRPC-Web has them.
    Web(webs::Form),
    /// A message of gRPC.
    Message { services: Arc<Services>, binding: Arc<Binding>, most: usize },
    /// JSON or a form, from the other.
    Body { terms: forms::Terms, to_json: bool, most: usize, method: Method },
    /// What it is.
    Same,
}

/// How several messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// As lines.
    Lines,
    /// As events.
    Events,
}

/// Bytes that are worked on before others have their turn.
const PIECE: usize = 64 << 10;

/// An answer that cannot be translated, or that ends otherwise than well after it has begun.
#[derive(Debug)]
struct Untranslated {
    failure: Failure,
    word: &'static str,
}

impl fmt::Display for Untranslated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

impl std::error::Error for Untranslated {}

/// An answer that cannot be translated.
fn untranslated(word: &'static str) -> io::Error {
    io::Error::other(Untranslated { failure: Failure::Translation, word })
}

/// How a target has failed by an answer, if it is the answer's translation that says so.
#[cold]
pub(super) fn failure(error: &io::Error) -> Option<Failure> {
    let Untranslated { failure, word } = error.get_ref()?.downcast_ref()?;
    tracing::debug!(reason = word, %failure, "an answer cannot be translated, or ended with an error");
    Some(*failure)
}

/// Translates a request as its route says, with its body. `None`: it stays what it is.
///
/// # Errors
/// What to say to its client instead; nothing if it has left.
pub(super) async fn request(
    exchange: &mut Exchange<'_>,
    rule: &plan::Forward,
    all: &[Arc<Translation>],
    path: Path,
    incoming: &Incoming,
    body: &mut Body,
) -> Result<Option<Box<Held>>, Option<Reply>> {
    let (seen, query) = exchange.target_path(rule, path);
    let sought = Sought {
        head: &exchange.heads.request,
        text: &exchange.text,
        path: &seen,
        is_call: exchange.grpc,
        has_body: !matches!(incoming.framing, Framing::None | Framing::Length(0)),
        websocket: incoming.websocket,
    };
    match choose(all, &sought) {
        Chosen::Nothing => Ok(None),
        Chosen::Refused(refusal) => Err(Some(refusal.into_reply())),
        Chosen::Rest { services, binding, segments, stream, most } => {
            let (services, binding) = (services.clone(), binding.clone());
            let segments: Vec<Vec<u8>> = segments.into_iter().map(<[u8]>::to_vec).collect();
            let stream = binding.method.gives_stream.then(|| form_of(stream, &sought));
            let (mut held, content) = buffer::whole(exchange, incoming, body, most).await?;
            let segments: Vec<&[u8]> = segments.iter().map(Vec::as_slice).collect();
            let message = services.message(&binding, &segments, query.as_deref(), &content).map_err(wrong)?;
            drop(content);
            let mut content = Lease::with_room(message.len() + 5);
            push_frame(0, &message, content.buffer());
            held.becomes(content, true, body);
            let limit = stream.is_none().then(|| exchange.call_limit(rule));
            let head = head::Change::to_call(&binding.method.path, limit);
            exchange.heads.translated =
                Some(Box::new(Translated { head, back: Back::Json { services, binding, stream, most } }));
            Ok(Some(held))
        }
        Chosen::Call { services, binding, most } => {
            let (services, binding) = (services.clone(), binding.clone());
            let whole = buffer::whole(exchange, incoming, body, most.saturating_add(5)).await;
            let (mut held, content) =
                whole.map_err(|reply| reply.map(|reply| reply.told_to_call(8, "the message is too large")))?;
            let asked = message_of(&content, most).and_then(|message| services.asked(&binding, &message));
            let Asked { path, query, body: json } = asked.map_err(|wrong| Some(refused_call(wrong)))?;
            let verb = binding.verb.clone();
            let has_body = json.is_some();
            let mut content = Lease::empty();
            if let Some(json) = json {
                content.buffer().extend_from_slice(&json);
            }
            held.becomes(content, false, body);
            if !has_body && !matches!(&*verb, "POST" | "PUT" | "PATCH") {
                held.incoming.framing = Framing::None;
            }
            let head = head::Change::to_rest(&verb, path, query, has_body);
            exchange.heads.translated =
                Some(Box::new(Translated { head, back: Back::Message { services, binding, most } }));
            Ok(Some(held))
        }
        Chosen::Web { form, format, most } => {
            let head = head::Change::to_web_call(format);
            exchange.grpc = true;
            exchange.web = Some(form);
            let held = match form {
                webs::Form::Binary => None,
                webs::Form::Text => {
                    let (mut held, content) = buffer::whole(exchange, incoming, body, most).await?;
                    let decoded = webs::decode(&content).ok_or_else(|| {
                        let what = "the body is no base64".to_owned();
                        Some(refused_call(Wrong { word: "bad-base64", what }))
                    })?;
                    let mut content = Lease::with_room(decoded.len());
                    content.buffer().extend_from_slice(&decoded);
                    held.becomes(content, true, body);
                    Some(held)
                }
            };
            let held = held.unwrap_or_else(|| buffer::unheld(exchange, incoming));
            exchange.heads.translated = Some(Box::new(Translated { head, back: Back::Web(form) }));
            Ok(Some(held))
        }
        Chosen::Form { terms, to_json, answers, most } => {
            let method = exchange.heads.request.method;
            let back = if answers { Back::Body { terms, to_json: !to_json, most, method } } else { Back::Same };
            let (mut held, content) = buffer::whole(exchange, incoming, body, most).await?;
            if content.len() > PIECE {
                breathe().await;
            }
            let made = if to_json { forms::to_json(&content, terms) } else { forms::of_json(&content, terms) };
            let made = made.map_err(wrong)?;
            let mut content = Lease::with_room(made.len());
            content.buffer().extend_from_slice(&made);
            held.becomes(content, incoming.accepts_trailers, body);
            let head = head::Change::to_body(if to_json { JSON } else { FORM });
            exchange.heads.translated = Some(Box::new(Translated { head, back }));
            Ok(Some(held))
        }
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// How a client gets several answers.
fn form_of(stream: StreamForm, sought: &Sought<'_>) -> Stream {
    let accepts = || {
        let wanted = b"text/event-stream";
        sought.head.values(sought.text, b"accept").any(|value| {
            value.split(|&byte| byte == b',').any(|range| {
                let name = range.split(|&byte| byte == b';').next().unwrap_or_default();
                name.trim_ascii().eq_ignore_ascii_case(wanted)
            })
        })
    };
    match stream {
        StreamForm::Sse => Stream::Events,
        StreamForm::Auto if accepts() => Stream::Events,
        StreamForm::Auto | StreamForm::JsonLines => Stream::Lines,
    }
}

/// The one message of a call.
fn message_of(mut content: &[u8], most: usize) -> Result<Vec<u8>, Wrong> {
    let wrong = |word: &'static str, what: &str| Wrong { word, what: what.to_owned() };
    let message =
        Frames::new(most).next(&mut content).map_err(|fault| wrong(fault.word(), "the message cannot be read"))?;
    match message {
        Some(message) if content.is_empty() => Ok(message),
        Some(_) => Err(wrong("several-messages", "one message is taken")),
        None => Err(wrong("bad-message", "the message is not whole")),
    }
}

fn wrong(wrong: Wrong) -> Option<Reply> {
    let Wrong { word, what } = wrong;
    Some(Refusal { status: 400, word, what, allow: None, code: 3 }.into_reply())
}

fn refused_call(wrong: Wrong) -> Reply {
    let Wrong { word, what } = wrong;
    Refusal { status: 400, word, what, allow: None, code: 3 }.into_reply()
}

/// A request that is not translated, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The status.
    pub(super) status: u16,
    /// What was wrong, as one word.
    pub(super) word: &'static str,
    /// The same for the client.
    pub(super) what: String,
    /// The methods that there are for its path.
    pub(super) allow: Option<String>,
    /// The status of gRPC that stands for it.
    pub(super) code: u32,
}

impl Refusal {
    pub(super) fn into_reply(self) -> Reply {
        let Self { status, word, what, allow, code } = self;
        let call = status::Status { code, message: what.clone(), details: Vec::new() };
        let problem = serde_json::json!({
            "title": reason_phrase(status),
            "status": status,
            "detail": what,
            "code": status::name(code),
            "grpc_status": code,
        });
        let lines = allow.map(|allow| format!("Allow: {allow}\r\n")).unwrap_or_default();
        let denial = Denial::new(status, Reason::Translation, word);
        Reply::denied(Denial { problem: Some(problem.to_string().into()), lines, ..denial })
            .told_to_call(code, &call.message)
    }
}

impl Translated {
    /// Puts into the head that a target gets what stands in it otherwise.
    pub(super) fn rewrite(&self, out: &mut Vec<u8>) {
        self.head.apply(out);
    }

    /// What makes of an answer what the client gets.
    pub(super) fn convert(&self) -> Box<dyn Convert> {
        answer::converter(&self.back)
    }

    /// Whether its answer says something when there is something to say.
    pub(super) fn streams(&self) -> bool {
        matches!(self.back, Back::Json { stream: Some(_), .. })
    }
}

impl Exchange<'_> {
    /// The path, in its normal form, and the query that targets get.
    fn target_path(&self, rule: &plan::Forward, path: Path) -> (Vec<u8>, Option<Vec<u8>>) {
        let head = &self.heads.request;
        let query = head.query.map(|query| query.of(&self.text).to_vec());
        let raw = head.path.of(&self.text);
        match &self.heads.rewritten {
            Some(rewritten) => (rewritten.path.clone(), rewritten.query.clone().or(query)),
            None => {
                let normal = if path.plain { raw } else { &self.heads.path };
                debug_assert!(onward_path(rule, path, raw, normal).is_none_or(|path| path.starts_with(b"/")));
                (stripped(rule, normal).to_vec(), query)
            }
        }
    }

    /// How long a call with one answer may take.
    fn call_limit(&self, rule: &plan::Forward) -> Duration {
        let limit = self.connection.era.pools[rule.pool].pool().timeouts.response_head;
        let limit = rule.retry.per_try.map_or(limit, |per_try| per_try.min(limit));
        grpc::deadline(&self.heads.request, &self.text).map_or(limit, |wanted| wanted.min(limit))
    }
}
