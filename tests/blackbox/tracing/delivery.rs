//! Collectors that are dead, slow, choosy or lying: traffic does not notice, memory is bounded, and all spans are counted.

use crate::support::collector::{Collector, accept};
use crate::support::proxy::{Proxy, Setup};
use crate::support::secure::{Secure, Speaks};
use crate::support::target::{Deaf, refused};
use crate::support::tls::{Authority, Kind};
use crate::support::toml::http;
use crate::support::{Target, eventually, load, rounds};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use std::fmt::Display;
use std::time::{Duration, Instant};

const TROUBLE: &str = "spans are not delivered";

fn tracing(to: impl Display, lines: &str) -> String {
    format!("\n[tracing]\notlp = \"http://{to}\"\nsample = \"100%\"\n{lines}\n")
}

fn counted(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_trace_spans_total", &[("result", result)])
}

fn troubles(proxy: &Proxy) -> usize {
    proxy.log.all().iter().filter(|line| line.contains(TROUBLE)).count()
}

#[test]
fn a_dead_collector_costs_spans_one_line_and_no_request() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http(&[&target]) + &tracing(refused(), ""));
    let requests = rounds(2000, 500);
    let count = load::run(&proxy.web(), 4, requests, |n| format!("/{n}"));
    count.assert_clean();
    assert!(count.longest < Duration::from_secs(5), "{:?}", count.longest);
    eventually("the spans are given up", || counted(&proxy, "failed") > 0.0);
    assert_eq!((counted(&proxy, "sent"), troubles(&proxy)), (0.0, 1), "{:#?}", proxy.log);
    assert_eq!(proxy.get("/after").status, 200);
    let begun = Instant::now();
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_collector_that_hangs_costs_spans_and_no_memory_without_bound() {
    let target = Target::echo("a");
    let (mute, deaf) = (Target::mute("mute"), Deaf::start());
    for to in [mute.to_string(), deaf.address.to_string()] {
        let mut proxy = Proxy::start(http(&[&target]) + &tracing(to, ""));
        load::run(&proxy.web(), 4, 200, |n| format!("/{n}")).assert_clean();
        let before = proxy.resident();
        let path = format!("/{}", "p".repeat(1000));
        let requests = rounds(20_000, 8_000);
        load::run(&proxy.web(), 8, requests, |_| path.clone()).assert_clean();
        eventually("what does not fit is dropped", || counted(&proxy, "dropped") > 0.0);
        let grown = proxy.resident().saturating_sub(before);
        assert!(grown < 48 << 20, "grown by {grown}");
        let begun = Instant::now();
        proxy.signal(libc::SIGTERM);
        assert_eq!(proxy.exit().code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(10), "a stop does not wait for it");
        proxy.log.wait(&["the last spans are lost"]);
    }
}

#[test]
fn a_slow_collector_gets_all_spans_and_holds_up_nobody() {
    let target = Target::echo("a");
    let collector = Collector::with(|_, peer| {
        std::thread::sleep(Duration::from_millis(700));
        accept(peer)
    });
    let proxy = Proxy::start(http(&[&target]) + &collector.config(""));
    let count = load::run(&proxy.web(), 4, 1000, |n| format!("/{n}"));
    count.assert_clean();
    assert!(count.longest < Duration::from_secs(2), "{:?}", count.longest);
    eventually("all come", || collector.spans().iter().filter(|span| span.kind == 2).count() == 1000);
    assert_eq!(troubles(&proxy), 0);
}

#[test]
fn what_a_collector_could_not_take_is_sent_again_when_it_asks_for_it() {
    for status in [429, 502, 503, 504] {
        let target = Target::echo("a");
        let collector = Collector::with(move |number, peer| match number {
            0 => peer.reply(status, &["Retry-After: 1"], b"busy").is_none(),
            _ => accept(peer),
        });
        let proxy = Proxy::start(http(&[&target]) + &collector.config(""));
        proxy.get("/x");
        let refused_at = {
            collector.target.wait_for(1);
            Instant::now()
        };
        collector.target.wait_for(2);
        assert!(refused_at.elapsed() >= Duration::from_millis(900), "{status}: it asked for a second");
        collector.exchange("/x");
        eventually("they are counted", || counted(&proxy, "sent") == 3.0);
        assert_eq!(counted(&proxy, "failed"), 0.0);
        proxy.log.wait(&["spans are delivered again"]);
        assert_eq!(troubles(&proxy), 1);
    }
}

#[test]
fn what_a_collector_does_not_want_is_counted_and_not_sent_again() {
    let target = Target::echo("a");
    let collector = Collector::with(|number, peer| match number % 2 {
        0 => peer.reply(400, &[], b"no").is_none(),
        _ => {
            let why = "quota\nover".to_owned();
            let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: why };
            let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
            peer.reply(200, &[], &body).is_some()
        }
    });
    let proxy = Proxy::start(http(&[&target]) + &collector.config(""));
    let mut client = proxy.client();
    client.get("/first");
    collector.target.wait_for(1);
    eventually("all are rejected", || counted(&proxy, "rejected") == 3.0);
    client.get("/second");
    eventually("of two spans, two are", || counted(&proxy, "rejected") == 5.0);
    client.get("/third");
    eventually("and so on", || counted(&proxy, "rejected") == 7.0);
    assert_eq!((collector.target.requests(), counted(&proxy, "sent"), troubles(&proxy)), (3, 0.0, 1));
    assert!(proxy.log.contains(&[TROUBLE, "status 400"]));
}

#[test]
fn a_collector_that_lies_does_no_harm() {
    let target = Target::echo("a");
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned() + &"5\r\nhello\r\n".repeat(50_000);
    for answer in [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\x0a\xff\xff\xff\xff\x0f".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nno more".to_vec(),
        endless.into_bytes(),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        [b"HTTP/1.1 503 No\r\nRetry-After: 99999999999999999999\r\nX: ", &[b'x'; 1_000_000][..]].concat(),
    ] {
        let liar = Target::says_and_closes("liar", answer);
        let mut proxy = Proxy::start(http(&[&target]) + &tracing(&liar, ""));
        proxy.get("/x");
        liar.wait_for(1);
        assert_eq!(proxy.get("/y").status, 200);
        eventually("the first are counted, or tried again", || {
            proxy.metric("ringway_trace_spans_total", &[]) > 0.0 || liar.requests() > 1
        });
        assert!(proxy.running() && troubles(&proxy) <= 1);
    }
}

#[test]
fn the_last_spans_are_sent_before_the_process_ends() {
    let (target, collector) = (Target::echo("a"), Collector::start());
    let mut proxy = Proxy::start(http(&[&target]) + &collector.config(""));
    load::run(&proxy.web(), 4, 100, |n| format!("/{n}")).assert_clean();
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
    assert_eq!(collector.spans().iter().filter(|span| span.kind == 2).count(), 100);
    assert!(!proxy.log.contains(&["the last spans are lost"]));
}

#[test]
fn a_collector_is_asked_over_tls_with_headers_that_nobody_else_sees() {
    let authority = Authority::new("Collectors");
    let made = authority.server(&["localhost"], Kind::Ecdsa);
    let collector = Secure::with("collector", &Speaks::with(&made), |peer| {
        while peer.request().is_some() {
            accept(peer);
        }
    });
    let ip = collector.target.address.ip().to_string();
    collector.now(&Speaks::with(&authority.server(&[&ip], Kind::Ecdsa)));
    let target = Target::echo("a");
    let setup = Setup::new("").env("TOKEN", "Bearer s3cret").env("RINGWAY_LOG", "debug");
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(setup.directory().join("more.headers"), "# tenant\nX-Tenant: shop-s3cret\n").unwrap();
    let lines = format!(
        "\n[tracing]\notlp = \"https://{collector}/otlp/traces\"\nsample = \"100%\"\nca = \"ca.pem\"\n\
         headers = {{ authorization = \"${{TOKEN}}\" }}\nheaders_file = \"more.headers\"\n"
    );
    let proxy = setup.with(http(&[&target]) + &lines).start();
    proxy.get("/x");
    let seen = collector.target.wait_for(1);
    assert_eq!(seen.path, "/otlp/traces");
    assert_eq!(seen.field("authorization").as_deref(), Some("Bearer s3cret"));
    assert_eq!(seen.field("x-tenant").as_deref(), Some("shop-s3cret"));
    eventually("they are counted", || counted(&proxy, "sent") == 3.0);
    assert!(!proxy.log.contains(&["s3cret"]), "{:#?}", proxy.log);

    let strange = Authority::new("Others");
    collector.now(&Speaks::with(&strange.server(&[&ip], Kind::Ecdsa)));
    collector.target.hang_up();
    proxy.get("/y");
    proxy.log.wait(&[TROUBLE]);
    assert_eq!(collector.target.requests(), 1, "a collector that proves nothing gets nothing");
}

#[test]
fn a_name_is_resolved_and_one_that_is_nobody_s_is_told_of() {
    let (target, collector) = (Target::echo("a"), Collector::start());
    let front = Proxy::start(http(&[&collector.target]));
    let (_, port) = front.web().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let proxy = Proxy::start(http(&[&target]) + &tracing(format!("localhost:{port}"), ""));
    proxy.get("/named");
    collector.exchange("/named");
    assert_eq!(troubles(&proxy), 0);

    let mut proxy = Proxy::start(http(&[&target]) + &tracing("collector.invalid:4318", ""));
    proxy.get("/x");
    proxy.log.wait(&[TROUBLE, "collector.invalid"]);
    assert_eq!(proxy.get("/y").status, 200);
    assert!(proxy.running());
}

#[test]
fn a_file_of_headers_that_cannot_be_used_is_a_fault() {
    for (text, what) in [(None, "cannot read"), (Some("nonsense s3cret"), "line 1"), (Some("Host: x"), "`host`")] {
        let setup = Setup::new("");
        if let Some(text) = text {
            std::fs::write(setup.directory().join("a.headers"), text).unwrap();
        }
        let config = "[listeners.web]\nlisten = [\":0\"]\npool = \"p\"\n[pools.p]\ntargets = [\"127.0.0.1:1\"]\n\
            [tracing]\nheaders_file = \"a.headers\"\n";
        let file = setup.directory().join("ringway.toml");
        std::fs::write(&file, config).unwrap();
        let (code, _, err) = crate::support::proxy::ringway(&["check", "-c", file.to_str().unwrap()]);
        assert!(code == Some(2) && err.contains(what) && err.contains("headers_file"), "{err}");
        assert!(!err.contains("s3cret"), "{err}");
    }
}
