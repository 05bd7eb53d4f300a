//! A collector of traces that reads them with OpenTelemetry's own types and accepts only what makes sense.

use super::eventually;
use super::target::{Peer, Target};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// A running collector.
pub struct Collector {
    pub target: Target,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    resources: Vec<Vec<KeyValue>>,
}

impl Collector {
    /// Takes everything at once.
    pub fn start() -> Collector {
        Collector::with(|_, peer| accept(peer))
    }

    /// Does `answer` with the request of that number, counted from 0; what it says true to is kept.
    pub fn with(answer: impl Fn(usize, &mut Peer) -> bool + Send + Sync + 'static) -> Collector {
        let taken = Arc::new(Mutex::new(Taken::default()));
        let (keep, number) = (taken.clone(), Mutex::new(0));
        let target = Target::with("collector", move |peer| {
            while let Some(seen) = peer.request() {
                assert_eq!((seen.method.as_str(), seen.whole), ("POST", true));
                assert_eq!(seen.field("content-type").as_deref(), Some("application/x-protobuf"));
                let request = ExportTraceServiceRequest::decode(&*seen.body).expect("a request of OTLP");
                let this = std::mem::replace(&mut *number.lock().unwrap(), usize::MAX);
                *number.lock().unwrap() = this + 1;
                if answer(this, peer) {
                    let mut keep = keep.lock().unwrap();
                    for resource in request.resource_spans {
                        keep.resources.push(resource.resource.expect("a resource").attributes);
                        assert_eq!(resource.scope_spans[0].scope.as_ref().expect("a scope").name, "ringway");
                        keep.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
                    }
                }
            }
        });
        Collector { target, taken }
    }

    /// `[tracing]` with this collector, every trace, and further lines.
    pub fn config(&self, lines: &str) -> String {
        let sample = if lines.contains("sample =") { "" } else { "sample = \"100%\"" };
        format!("\n[tracing]\notlp = \"http://{}\"\n{sample}\n{lines}\n", self.target)
    }

    /// All spans so far; no two with the same id.
    pub fn spans(&self) -> Vec<Span> {
        let spans = self.taken.lock().unwrap().spans.clone();
        let ids: HashSet<_> = spans.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
        assert_eq!(ids.len(), spans.len(), "a span came twice");
        spans
    }

    /// The resource of the first request.
    pub fn resource(&self) -> Vec<KeyValue> {
        self.taken.lock().unwrap().resources[0].clone()
    }

    /// Waits for the spans of the one exchange for `path`: the server's, and those in it in the order of their times, all of
    /// them checked to lie within their parents.
    #[track_caller]
    pub fn exchange(&self, path: &str) -> (Span, Vec<Span>) {
        eventually(&format!("the spans of {path} come"), || !self.servers(path).is_empty());
        let [server] = self.servers(path).try_into().expect("one span for one exchange");
        let mut known = vec![server.clone()];
        loop {
            let of_known = |span: &Span| known.iter().position(|known| known.span_id == span.parent_span_id);
            let more: Vec<Span> = self
                .spans()
                .into_iter()
                .filter(|span| span.kind != 2 && span.trace_id == server.trace_id && !known.contains(span))
                .filter(|span| of_known(span).is_some())
                .collect();
            if more.is_empty() {
                break;
            }
            for span in &more {
                let parent = &known[of_known(span).unwrap()];
                assert!(span.start_time_unix_nano >= parent.start_time_unix_nano, "{span:?} begins before {parent:?}");
                assert!(span.end_time_unix_nano <= parent.end_time_unix_nano, "{span:?} ends after {parent:?}");
                assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            }
            known.extend(more);
        }
        let mut inner = known.split_off(1);
        inner.sort_by_key(|span| (span.start_time_unix_nano, span.kind != 3));
        (server, inner)
    }

    /// The servers' spans for `path`.
    pub fn servers(&self, path: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.kind == 2 && shown(&span.attributes, "url.path") == path).collect()
    }
}

/// Answers that all was taken.
pub fn accept(peer: &mut Peer) -> bool {
    let body = ExportTraceServiceResponse::default().encode_to_vec();
    peer.reply(200, &["Content-Type: application/x-protobuf"], &body).is_some()
}

/// The value of an attribute; empty if it is not there.
pub fn shown(attributes: &[KeyValue], key: &str) -> String {
    let found: Vec<_> = attributes.iter().filter(|attribute| attribute.key == key).collect();
    assert!(found.len() < 2, "{key} is there twice");
    match found.first().and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        other => panic!("{key}: {other:?}"),
    }
}

/// The parts of a `traceparent` of version 00: trace, span, flags.
#[track_caller]
pub fn parts(traceparent: &str) -> (String, String, String) {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!((lengths, parts[0]), (vec![2, 32, 16, 2], "00"), "{traceparent}");
    assert!(traceparent.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{traceparent}");
    (parts[1].into(), parts[2].into(), parts[3].into())
}

/// An id as text.
pub fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
