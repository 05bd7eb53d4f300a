//! What keeps compression from being a danger: to secrets, to memory, to everybody else's time.

use super::{accepting, config, page, pages};
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, eventually};
use std::time::Duration;

const HTML: &[&str] = &["Content-Type: text/html"];

/// BREACH: another site has a browser ask, with its cookies, for what holds a guess beside a secret.
#[test]
fn what_another_site_has_asked_for_with_cookies_is_not_compressed() {
    let target = pages(20_000, HTML);
    let front = "trusted_proxies = [\"127.0.0.1/32\"]";
    let routes = "\n[routes.all]\npool = \"site\"\ncompress = true\n[routes.strict]\npaths = [\"/strict/\"]\npool = \"site\"\n\
        compress = { breach = \"credentials\" }\n[routes.open]\npaths = [\"/open/\"]\npool = \"site\"\ncompress = { breach = \"off\" }\n";
    let proxy = Proxy::start(http_with(front, &[&target], "") + routes);
    let cookie = "Cookie: session=secret";
    let (cross, own) = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin");
    for (path, fields, compressed) in [
        ("/", &[cookie, cross][..], false),
        ("/", &[cookie, own], true),
        ("/", &[cookie], true),
        ("/", &[cross], true),
        ("/strict/", &[cookie, own], false),
        ("/strict/", &[own], true),
        ("/open/", &[cookie, cross], true),
    ] {
        let fields = [&["Accept-Encoding: gzip", "X-Forwarded-Proto: https"], fields].concat();
        let response = proxy.client().ask("GET", path, &fields);
        assert_eq!(response.field("content-encoding").is_some(), compressed, "{path} {fields:?}");
        assert_eq!(response.field("vary").as_deref(), Some("Accept-Encoding"));
    }
    assert_eq!(proxy.metric("ringway_compression_skipped_total", &[("reason", "breach")]), 2.0);
}

#[test]
fn beyond_the_memory_that_there_is_for_it_answers_go_out_as_they_are() {
    let target = Target::with("a", |peer| {
        while peer.request().is_some() {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 200000\r\n\r\n";
            let _ = peer.try_send(head);
            std::thread::sleep(Duration::from_millis(50));
            if peer.try_send(page(200_000)).is_err() {
                return;
            }
        }
    });
    let limits = "\n[limits]\ncompression = \"16MiB\"\n";
    let proxy = Proxy::start(config(&target, "level = { br = 9, gzip = 4 }") + limits);
    let large = accepting(&proxy, "br");
    assert_eq!((large.field("content-encoding"), large.body.len()), (None, 200_000));
    assert_eq!(proxy.metric("ringway_compression_skipped_total", &[("reason", "memory")]), 1.0);
    assert_eq!(accepting(&proxy, "gzip").field("content-encoding").as_deref(), Some("gzip"));
    eventually("what a stream held is given back, or waits to be used again", || {
        proxy.metric("ringway_compression_held_bytes", &[]) < 4e6
    });
}

#[test]
fn a_busy_worker_goes_down_to_the_fastest_level_and_then_stops() {
    let target = pages(60_000, HTML);
    let proxy = Proxy::start(config(&target, "lower_above = \"0%\", codings = [\"gzip\"], level = { gzip = 9 }"));
    let mut client = proxy.client();
    let ask = |client: &mut crate::support::Client| client.ask("GET", "/", &["Accept-Encoding: gzip"]).body.len();
    let full = ask(&mut client);
    let mut lowered = 0;
    eventually("the level is lowered", || {
        lowered = ask(&mut client);
        proxy.metric("ringway_compression_lowered_total", &[]) > 0.0
    });
    eventually("it shows", || ask(&mut client) > full);
    let proxy = Proxy::start(config(&target, "skip_above = \"0%\""));
    let mut client = proxy.client();
    eventually("it stops", || client.ask("GET", "/", &["Accept-Encoding: gzip"]).field("content-encoding").is_none());
    assert!(proxy.metric("ringway_compression_skipped_total", &[("reason", "load")]) > 0.0);
    let _ = lowered;
}
