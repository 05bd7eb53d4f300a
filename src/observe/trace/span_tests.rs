use super::super::context::{Context, Ids};
use super::*;
use crate::observe::access::tests::{START_NS, hostile, http};
use crate::observe::reason::{Phase, Termination};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use prost::Message;

const CONTEXT: Context = Context { ids: Ids { trace_id: 7, span_id: 8 }, parent: 9, sampled: true, random: false };

fn facts(tries: u32) -> Facts {
    let mut facts = Facts::default();
    facts.begin(CONTEXT);
    (0..tries).for_each(|n| facts.try_begins(n as usize, 100 + u64::from(n)));
    facts
}

fn spans(record: &Record<'_>, facts: &Facts, started: Instant) -> Vec<Span> {
    let names = ["10.0.0.1:8080", "[fd00::1]:81", "unix:/run/app.sock"];
    let target = |at: usize| names[at];
    let mut out = Vec::new();
    let written = exchange(record, facts, started, &target).write(&mut out);
    let read = ScopeSpans::decode(&*out).expect("what is written can be read by OpenTelemetry's own types");
    assert_eq!(read.spans.len(), written as usize);
    read.spans
}

fn exchange<'a>(
    record: &'a Record<'a>,
    facts: &'a Facts,
    started: Instant,
    target: &'a dyn Fn(usize) -> &'a str,
) -> Exchange<'a> {
    let peer = "10.0.1.2:33317".parse().unwrap();
    let (path, state) = (b"/index.html", b"a=b");
    Exchange { record, facts, started, part: "", routed: true, path, scheme: "https", peer, state, target }
}

fn shown(span: &Span, key: &str) -> String {
    let found: Vec<_> = span.attributes.iter().filter(|attribute| attribute.key == key).collect();
    assert!(found.len() < 2, "{key} is there twice");
    match found.first().and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn a_span_says_what_the_conventions_ask_for() {
    let started = Instant::now();
    let mut facts = facts(1);
    facts.connecting(started + Duration::from_millis(2));
    facts.connected(Duration::from_millis(3));
    facts.sent(started + Duration::from_millis(5), false);
    facts.first_byte(Duration::from_millis(10));
    facts.answered(200);
    let [server, client, connect] = spans(&http(), &facts, started).try_into().unwrap();
    assert_eq!((server.name.as_str(), server.kind, server.trace_state.as_str()), ("GET api", 2, "a=b"));
    assert_eq!((server.parent_span_id.clone(), server.flags), (9u64.to_be_bytes().to_vec(), 0x301));
    assert_eq!(server.end_time_unix_nano - server.start_time_unix_nano, 109_000_000);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/index.html"),
        ("url.scheme", "https"),
        ("url.query", ""),
        ("server.address", "example.com"),
        ("client.address", "10.0.1.2"),
        ("network.peer.port", "33317"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "curl/8"),
        ("http.response.status_code", "200"),
        ("http.route", "api"),
        ("ringway.listener", "web"),
        ("ringway.pool", "static"),
        ("ringway.request_id", "01hq"),
        ("error.type", ""),
    ] {
        assert_eq!(shown(&server, key), value, "{key}");
    }
    assert_eq!(server.status, None);
    assert_eq!((client.name.as_str(), client.kind, &client.parent_span_id), ("GET", 3, &server.span_id));
    assert_eq!(client.start_time_unix_nano, START_NS + 2_000_000);
    assert_eq!(client.end_time_unix_nano, server.end_time_unix_nano);
    assert_eq!((&*client.events[0].name, client.events[0].time_unix_nano), ("first_byte", START_NS + 15_000_000));
    assert_eq!((shown(&client, "server.address"), shown(&client, "server.port")), ("10.0.0.1".into(), "8080".into()));
    assert_eq!((connect.name.as_str(), connect.kind, &connect.parent_span_id), ("connect", 1, &client.span_id));
    assert_eq!(connect.end_time_unix_nano, START_NS + 5_000_000);
    assert!(connect.span_id.iter().any(|byte| *byte != 0));
}

#[test]
fn each_try_has_a_span_that_says_how_it_went() {
    let started = Instant::now();
    let mut facts = facts(0);
    facts.try_begins(1, 100);
    facts.connecting(started);
    facts.failed("connect", || started + Duration::from_millis(1));
    facts.try_begins(2, 101);
    facts.sent(started + Duration::from_millis(1), true);
    facts.answered(404);
    let [_, first, connect, second] = spans(&http(), &facts, started).try_into().unwrap();
    assert_eq!((shown(&first, "error.type"), first.status.as_ref().unwrap().code), ("connect".into(), 2));
    assert_eq!((shown(&connect, "error.type"), connect.end_time_unix_nano), ("connect".into(), START_NS + 1_000_000));
    assert_eq!((shown(&first, "server.address"), shown(&first, "server.port")), ("fd00::1".into(), "81".into()));
    assert_eq!(shown(&first, "http.request.resend_count"), "");
    assert_eq!(shown(&second, "http.request.resend_count"), "1");
    assert_eq!((shown(&second, "server.address"), shown(&second, "server.port")), ("/run/app.sock".into(), "".into()));
    assert_eq!(shown(&second, "network.protocol.version"), "2");
    assert_eq!(shown(&second, "error.type"), "404", "to who asks, a 4xx is an error");
}

#[test]
fn no_span_is_outside_of_its_parent() {
    let started = Instant::now();
    let mut facts = facts(1);
    facts.connecting(started - Duration::from_secs(1));
    facts.connected(Duration::from_secs(9));
    facts.sent(started + Duration::from_secs(9), false);
    facts.first_byte(Duration::from_secs(9));
    for span in spans(&http(), &facts, started) {
        let times = [span.start_time_unix_nano, span.end_time_unix_nano];
        assert!(times[0] <= times[1] && times[0] >= START_NS && times[1] <= START_NS + 109_000_000, "{span:?}");
    }
}

#[test]
fn an_error_is_what_somebody_else_than_the_client_has_done() {
    let ended = |status: u16, reason: &'static str, cause: Cause| {
        let http = Http { status, ..http().http.unwrap() };
        Record { http: Some(http), reason, termination: Termination { cause, phase: Phase::Data }, ..self::http() }
    };
    let (facts, started) = (facts(0), Instant::now());
    for (status, reason, cause, always, shown_as) in [
        (200, "", Cause::Done, false, ""),
        (404, "no-route", Cause::Proxy, false, ""),
        (500, "", Cause::Done, true, "500"),
        (502, "connect", Cause::Target, true, "connect"),
        (200, "reset", Cause::Target, true, "reset"),
        (200, "client-abort", Cause::Client, false, "client-abort"),
        (0, "client-abort", Cause::Client, false, "client-abort"),
        (101, "tunnel-timeout", Cause::TargetTimeout, true, "tunnel-timeout"),
    ] {
        let record = ended(status, reason, cause);
        assert_eq!(exchange(&record, &facts, started, &|_| "").is_error(), always, "{status} {reason}");
        let server = &spans(&record, &facts, started)[0];
        assert_eq!(shown(server, "error.type"), shown_as, "{status} {reason}");
        assert_eq!(server.status.is_some(), !shown_as.is_empty(), "{status} {reason}");
        assert_eq!(shown(server, "ringway.reason"), reason);
    }
}

#[test]
fn hostile_bytes_make_no_span_unreadable() {
    let [server] = spans(&hostile(), &facts(0), Instant::now()).try_into().unwrap();
    assert_eq!((server.name.as_str(), shown(&server, "http.request.method")), ("HTTP", "_OTHER".into()));
    assert!(shown(&server, "user_agent.original").starts_with("/\"\\\n\r\u{1b}[2J"));
    let long = vec![b'a'; 100_000];
    let http = Http { user_agent: &long, ..http().http.unwrap() };
    let record = Record { http: Some(http), ..self::http() };
    assert_eq!(shown(&spans(&record, &facts(0), Instant::now())[0], "user_agent.original").len(), VALUE);
}

#[test]
fn an_authority_is_taken_apart() {
    for (authority, host, port) in [
        ("a.test", "a.test", 0),
        ("a.test:80", "a.test", 80),
        ("[::1]:443", "::1", 443),
        ("[::1]", "::1", 0),
        ("", "", 0),
        ("a:x", "a", 0),
    ] {
        assert_eq!(split(authority.as_bytes()), (host.as_bytes(), port), "{authority}");
    }
}
