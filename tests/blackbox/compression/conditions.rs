//! Conditional requests: an answer that was compressed has a weak tag, which the target must know again.

use super::{config, page};
use crate::support::h2;
use crate::support::{Proxy, Target};
use http::Method;

/// A target that knows its page by exactly this tag, compared byte by byte as many applications do.
fn exact(tag: &'static str) -> Target {
    Target::with("exact", move |peer| {
        while let Some(seen) = peer.request() {
            let etag = format!("ETag: {tag}");
            let sent = match seen.field("if-none-match").as_deref() == Some(tag) {
                true => peer.try_send(format!("HTTP/1.1 304 Not Modified\r\n{etag}\r\n\r\n")).ok(),
                false => peer.reply(200, &["Content-Type: text/html", &etag], &page(5000)),
            };
            if sent.is_none() {
                return;
            }
        }
    })
}

/// One that reads the list as RFC 9110 has it, but compares strongly.
fn strong(tag: &'static str) -> Target {
    Target::with("strong", move |peer| {
        while let Some(seen) = peer.request() {
            let list = seen.field("if-none-match").unwrap_or_default();
            let etag = format!("ETag: {tag}");
            let sent = match list.split(',').any(|member| member.trim() == tag) {
                true => peer.try_send(format!("HTTP/1.1 304 Not Modified\r\n{etag}\r\n\r\n")).ok(),
                false => peer.reply(200, &["Content-Type: text/html", &etag], &page(5000)),
            };
            if sent.is_none() {
                return;
            }
        }
    })
}

/// nginx_apache.md, complaint 16: a tag that is weakened, or gets a suffix, never finds its 304 again.
#[test]
fn a_weakened_tag_finds_its_304() {
    let target = exact("\"v1\"");
    let proxy = Proxy::start(config(&target, ""));
    for coding in ["gzip", "br", "zstd"] {
        let accepts = format!("Accept-Encoding: {coding}");
        let mut client = proxy.client();
        let first = client.ask("GET", "/", &[&accepts]);
        assert_eq!((first.status, first.field("content-encoding").as_deref()), (200, Some(coding)));
        let tag = first.field("etag").unwrap();
        assert_eq!(tag, "W/\"v1\"");
        for method in ["GET", "HEAD"] {
            let again = client.ask(method, "/", &[&accepts, &format!("If-None-Match: {tag}")]);
            assert_eq!((again.status, again.body.len()), (304, 0));
            assert_eq!(again.field("etag"), Some(tag.clone()), "the tag of what the client has");
            assert_eq!(again.field("vary").as_deref(), Some("Accept-Encoding"));
        }
        let plain = client.ask("GET", "/", &["If-None-Match: \"v1\""]);
        assert_eq!((plain.status, plain.field("etag").as_deref()), (304, Some("\"v1\"")));
        let other = client.ask("GET", "/", &[&accepts, "If-None-Match: W/\"v2\""]);
        assert_eq!(other.status, 200);
        assert!(client.alive());
    }
}

#[test]
fn a_weakened_tag_finds_its_304_over_http2() {
    let target = exact("\"v1\"");
    let proxy = Proxy::start(config(&target, ""));
    let client = h2::Client::to(&proxy.web());
    let ask = |fields: &[(&'static str, &str)]| {
        let mut request = h2::request(Method::GET, "/");
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        client.ask(request, b"").unwrap()
    };
    let first = ask(&[("accept-encoding", "gzip")]);
    let tag = first.fields["etag"].to_str().unwrap();
    assert_eq!((first.status.as_u16(), tag), (200, "W/\"v1\""));
    let again = ask(&[("accept-encoding", "gzip"), ("if-none-match", tag)]);
    assert_eq!((again.status.as_u16(), again.fields["etag"].to_str().unwrap()), (304, tag));
}

#[test]
fn tags_that_are_weak_at_the_target_stay_as_they_are() {
    let target = exact("W/\"v1\"");
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    let first = client.ask("GET", "/", &["Accept-Encoding: gzip"]);
    assert_eq!(first.field("etag").as_deref(), Some("W/\"v1\""));
    let again = client.ask("GET", "/", &["Accept-Encoding: gzip", "If-None-Match: W/\"v1\""]);
    assert_eq!((again.status, again.field("etag").as_deref()), (304, Some("W/\"v1\"")));
}

/// A process that has just started does not know yet what its targets' tags are like.
#[test]
fn a_tag_from_before_a_restart_is_known_again() {
    for tag in ["\"v1\"", "W/\"v1\""] {
        let target = strong(tag);
        let proxy = Proxy::start(config(&target, ""));
        let again = proxy.client().ask("GET", "/", &["Accept-Encoding: gzip", "If-None-Match: W/\"v0\", W/\"v1\""]);
        assert_eq!(again.status, 304, "{tag}: {:?}", target.last().field("if-none-match"));
    }
}

#[test]
fn an_update_on_condition_of_a_weakened_tag_succeeds() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let sent = match (seen.method.as_str(), seen.field("if-match").as_deref()) {
                ("PUT", Some("\"v1\"")) => peer.reply(201, &[], b"done"),
                ("PUT", _) => peer.reply(412, &[], b"no"),
                _ => peer.reply(200, &["Content-Type: text/html", "ETag: \"v1\""], &page(5000)),
            };
            if sent.is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(config(&target, ""));
    let mut client = proxy.client();
    let tag = client.ask("GET", "/", &["Accept-Encoding: gzip"]).field("etag").unwrap();
    assert_eq!(client.ask("PUT", "/", &[&format!("If-Match: {tag}"), "Content-Length: 0"]).status, 201);
    assert_eq!(client.ask("PUT", "/", &["If-Match: W/\"v2\"", "Content-Length: 0"]).status, 412);
}
