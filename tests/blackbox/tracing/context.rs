//! W3C Trace Context: which traces are continued, what targets are told, and who may have a trace sampled.

use crate::support::collector::{Collector, hex, parts, shown};
use crate::support::h2;
use crate::support::toml::{http, http_with};
use crate::support::{Proxy, Target, eventually};
use serde_json::Value;
use std::thread;
use std::time::Duration;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const STATE: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";

fn parent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{SPAN}-{flags}")
}

#[test]
fn a_valid_trace_is_continued_and_any_other_is_replaced() {
    let (target, collector) = (Target::echo("a"), Collector::start());
    let proxy = Proxy::start(http(&[&target]) + &collector.config(""));
    let mut client = proxy.client();
    let good = [
        parent("01"),
        parent("00"),
        parent("ff"),
        format!("TraceParent: 00-{TRACE}-{SPAN}-01"),
        format!("traceparent: cc-{TRACE}-{SPAN}-01-what-the-future-will-be"),
    ];
    let bad = [
        String::from("X-None: 1"),
        format!("traceparent: ff-{TRACE}-{SPAN}-01"),
        format!("traceparent: 00-{TRACE}-{SPAN}-01-more"),
        format!("traceparent: 00-{}-{SPAN}-01", "0".repeat(32)),
        format!("traceparent: 00-{TRACE}-{}-01", "0".repeat(16)),
        format!("traceparent: 00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("traceparent: 00-{TRACE}-{SPAN}"),
        "traceparent:".into(),
        format!("{}\r\n{}", parent("01"), parent("01")),
        format!("{}\r\ntraceparent: 00-{}1-{SPAN}-01", parent("01"), &TRACE[1..]),
        format!("Connection: traceparent\r\n{}", parent("01")),
    ];
    let lines = good.iter().map(|line| (line, true)).chain(bad.iter().map(|line| (line, false)));
    let asked: Vec<_> = lines
        .enumerate()
        .map(|(number, (line, valid))| {
            let path = format!("/{number}");
            client.ask("GET", &path, &[line, "tracestate: a=1", &format!("TraceState: {STATE}")]);
            (path, line, valid, target.last())
        })
        .collect();
    for (path, line, valid, seen) in asked {
        let told = seen.head.lines("traceparent");
        let [told] = told[..] else { panic!("{line}: {told:?}") };
        let (trace, span, flags) = parts(told);
        let (server, inner) = collector.exchange(&path);
        assert_eq!(trace == TRACE, valid, "{line}: {told}");
        assert_eq!((hex(&server.trace_id), hex(&inner[0].span_id)), (trace, span), "{line}");
        assert_eq!(hex(&server.parent_span_id), if valid { SPAN } else { "" }, "{line}");
        let states = if valid { vec!["a=1", STATE] } else { vec![] };
        assert_eq!(seen.head.lines("tracestate"), states, "{line}");
        assert_eq!(server.trace_state, states.join(","), "{line}");
        // Of the flags only those of Level 2 go on; that a trace of ours is random is true.
        let known = ["03", "01", "03"];
        assert!(known.contains(&flags.as_str()) && (valid || flags == "03"), "{line}: {flags}");
    }
}

#[test]
fn without_tracing_a_trace_passes_as_it_is() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    proxy.client().ask("GET", "/", &["Traceparent: anything", "traceparent: twice", "tracestate: x"]);
    let head = target.last().head;
    assert_eq!((head.lines("traceparent"), head.lines("tracestate")), (vec!["anything", "twice"], vec!["x"]));
    assert!(!proxy.metrics().contains("ringway_trace_spans_total"));
}

/// Who may have a trace recorded: a stranger must not be able to fill the collector.
#[test]
fn the_sampled_flag_counts_from_those_who_are_trusted() {
    let trusting = "trusted_proxies = [\"127.0.0.0/8\"]";
    let cases = [
        ("", "sample = \"0%\"", "01", true, false),
        ("", "sample = \"100%\"", "00", true, true),
        (trusting, "sample = \"0%\"", "01", true, true),
        (trusting, "sample = \"100%\"", "00", true, false),
        ("", "sample = \"0%\"\ntrust = \"all\"", "01", true, true),
        (trusting, "sample = \"0%\"\ntrust = \"none\"", "01", false, false),
        (trusting, "sample = \"100%\"\ntrust = \"none\"", "00", false, true),
    ];
    let check = |(listener, lines, flag, continued, sampled): (&str, &str, &str, bool, bool)| {
        let (target, collector) = (Target::echo("a"), Collector::start());
        let proxy = Proxy::start(http_with(listener, &[&target], "") + &collector.config(lines));
        proxy.client().ask("GET", "/x", &[&parent(flag), "tracestate: a=1"]);
        let (trace, _, flags) = parts(&target.last().field("traceparent").unwrap());
        let case = format!("{listener} {lines} {flag}");
        assert_eq!(trace == TRACE, continued, "{case}");
        assert_eq!(target.last().field("tracestate").is_some(), continued, "{case}");
        assert_eq!(u8::from_str_radix(&flags, 16).unwrap() & 1 == 1, sampled, "{case}");
        if sampled {
            collector.exchange("/x");
        } else {
            thread::sleep(Duration::from_millis(1500));
            assert!(collector.spans().is_empty(), "{case}");
        }
    };
    // At once: who is not sampled is waited for.
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
}

/// Two Ringways, one behind the other, HTTP/2 between them: one trace, each span within the one that caused it.
#[test]
fn a_trace_leads_through_every_hop_and_protocol() {
    let (target, collector) = (Target::echo("a"), Collector::start());
    let second = Proxy::start(
        http(&[&target]) + &collector.config("service_name = \"second\"\ntrust = \"all\"\nsample = \"0%\""),
    );
    let first = Proxy::start(http_with("", &[second.web()], "protocol = \"h2\"") + &collector.config(""));
    h2::Client::to(&first.web()).get("/through");
    let told = target.last().field("traceparent").unwrap();
    eventually("both hops' spans come", || collector.servers("/through").len() == 2);
    let servers = collector.servers("/through");
    let outer = servers.iter().find(|span| span.parent_span_id.is_empty()).expect("one begins the trace");
    let inner = servers.iter().find(|span| !span.parent_span_id.is_empty()).expect("one continues it");
    let spans = collector.spans();
    let between = spans.iter().find(|span| span.span_id == inner.parent_span_id).expect("its parent is there");
    assert_eq!((between.kind, &between.parent_span_id), (3, &outer.span_id));
    assert_eq!(shown(&between.attributes, "network.protocol.version"), "2");
    assert_eq!(shown(&outer.attributes, "network.protocol.version"), "2");
    assert_eq!(shown(&inner.attributes, "network.protocol.version"), "2");
    let last = spans.iter().find(|span| span.kind == 3 && span.parent_span_id == inner.span_id).unwrap();
    let (trace, span, _) = parts(&told);
    assert_eq!((hex(&outer.trace_id), hex(&last.span_id)), (trace, span));
    assert!(spans.iter().all(|span| span.trace_id == outer.trace_id));
}

#[test]
fn a_line_of_the_log_leads_to_its_trace() {
    let (target, collector) = (Target::echo("a"), Collector::start());
    let log = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";
    let proxy = Proxy::start(http(&[&target]) + log + &collector.config(""));
    proxy.get("/logged");
    let (server, _) = collector.exchange("/logged");
    let line: Value = serde_json::from_str(&proxy.out.wait(&["/logged"])).unwrap();
    assert_eq!((&line["trace_id"], &line["span_id"]), (&hex(&server.trace_id).into(), &hex(&server.span_id).into()));
    assert_eq!(line["request_id"], shown(&server.attributes, "ringway.request_id"));
}
