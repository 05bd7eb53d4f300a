//! One JSON object per line. Keys that do not apply are left out.
//!
//! Written for every request, so without the machinery of formatting: keys are of a known length and come with their quotes.

use super::stamp::Stamp;
use super::{Record, Shown, escape, millis, number};

/// Writes `record` without the line feed.
pub fn write(record: &Record<'_>, shown: &mut Shown<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    stamp.rfc3339(out);
    if let Some(client) = record.client {
        out.extend_from_slice(b"\",\"client\":\"");
        super::client_ip(Some(client), out);
    }
    out.push(b'"');
    if let Some(port) = record.client.map(|client| client.port()).filter(|port| *port != 0) {
        integer(b",\"client_port\":", u64::from(port), out);
    }
    text(b",\"listener\":\"", record.listener.as_bytes(), out);
    text(b",\"route\":\"", record.route.as_bytes(), out);
    if let Some(http) = &record.http {
        text(b",\"version\":\"", http.version_label.as_bytes(), out);
    }
    text(b",\"pool\":\"", record.pool.as_bytes(), out);
    text(b",\"target\":\"", record.target.as_bytes(), out);
    if let Some(http) = &record.http {
        text(b",\"request_id\":\"", http.request_id, out);
        if let Some(ids) = &http.trace {
            text(b",\"trace_id\":\"", &ids.trace_hex(), out);
            text(b",\"span_id\":\"", &ids.span_hex(), out);
        }
        text(b",\"method\":\"", http.method, out);
        text(b",\"uri\":\"", http.target, out);
        out.extend_from_slice(b",\"protocol\":\"");
        out.extend_from_slice(http.version.name());
        out.push(b'"');
        text(b",\"host\":\"", http.host, out);
        if http.status != 0 {
            integer(b",\"status\":", u64::from(http.status), out);
        }
        integer(b",\"body_bytes_out\":", http.body_out, out);
        text(b",\"cache\":\"", http.cache.as_bytes(), out);
        text(b",\"idempotency\":\"", http.idempotency.as_bytes(), out);
        text(b",\"consumer\":\"", http.consumer.as_bytes(), out);
        text(b",\"denied_by\":\"", http.denied_by.as_bytes(), out);
        text(b",\"shadow_denied_by\":\"", http.shadow_denied_by.as_bytes(), out);
        text(b",\"held_by\":\"", http.held_by.as_bytes(), out);
        text(b",\"missing\":\"", http.missing.as_bytes(), out);
        text(b",\"user_agent\":\"", http.user_agent, out);
        text(b",\"referer\":\"", http.referer, out);
        headers(b",\"headers\":{", shown.headers, Shown::request, (shown, record), out);
        headers(b",\"response_headers\":{", shown.response_headers, Shown::response, (shown, record), out);
    } else if let Some((received, sent)) = record.datagrams {
        out.extend_from_slice(b",\"protocol\":\"UDP\"");
        integer(b",\"datagrams_in\":", received, out);
        integer(b",\"datagrams_out\":", sent, out);
    } else {
        out.extend_from_slice(b",\"protocol\":\"TCP\"");
    }
    if let Some(tls) = &record.tls {
        text(b",\"tls_version\":\"", tls.version.as_bytes(), out);
        text(b",\"tls_cipher\":\"", tls.cipher.as_bytes(), out);
        text(b",\"sni\":\"", tls.name.as_bytes(), out);
    }
    integer(b",\"bytes_in\":", record.bytes_in, out);
    integer(b",\"bytes_out\":", record.bytes_out, out);
    duration(b",\"request_head_ms\":", record.times.request_head, out);
    duration(b",\"queue_ms\":", record.times.queue, out);
    duration(b",\"connect_ms\":", record.times.connect, out);
    duration(b",\"first_byte_ms\":", record.times.first_byte, out);
    duration(b",\"total_ms\":", Some(record.times.total), out);
    place(b",\"target_queue\":", record.load.places.target, out);
    place(b",\"pool_queue\":", record.load.places.pool, out);
    integer(b",\"tries\":", u64::from(record.tries), out);
    text(b",\"reason\":\"", record.reason.as_bytes(), out);
    out.extend_from_slice(b",\"termination\":\"");
    let letters = record.letters();
    out.extend_from_slice(&letters[..2]);
    if record.http.is_some() {
        out.extend_from_slice(&letters[2..]);
    }
    out.extend_from_slice(b"\"}");
}

/// `key` has the comma before it, the colon after it and the quote that the value begins with.
#[inline(always)]
fn text<const N: usize>(key: &[u8; N], value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(key);
        escape::json(value, out);
        out.push(b'"');
    }
}

#[inline(always)]
fn integer<const N: usize>(key: &[u8; N], value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    number(value, out);
}

#[inline(always)]
fn duration<const N: usize>(key: &[u8; N], ns: Option<u64>, out: &mut Vec<u8>) {
    if ns.is_some() {
        out.extend_from_slice(key);
        millis(ns, out);
    }
}

/// A place in a line; nothing if it stood in none.
#[inline(always)]
fn place<const N: usize>(key: &[u8; N], place: u32, out: &mut Vec<u8>) {
    if place > 0 {
        integer(key, u64::from(place), out);
    }
}

/// An object of those headers that are there; nothing if none is.
fn headers<'a>(
    key: &[u8],
    names: &[String],
    find: for<'s> fn(&'s mut Shown<'a>, &Record<'_>, &str) -> Option<&'s [u8]>,
    (shown, record): (&mut Shown<'a>, &Record<'_>),
    out: &mut Vec<u8>,
) {
    let mut before: &[u8] = key;
    for name in names {
        if let Some(value) = find(shown, record, name) {
            out.extend_from_slice(before);
            out.push(b'"');
            escape::json(name.as_bytes(), out);
            out.extend_from_slice(b"\":\"");
            escape::json(value, out);
            out.push(b'"');
            before = b",";
        }
    }
    if before.len() == 1 {
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{Fields, hostile, http, line, lines_of, tcp};
    use super::super::{Record, Settings};
    use serde_json::{Value, json};

    fn read(record: &super::Record<'_>) -> Value {
        serde_json::from_str(&line(Format::Json, record)).unwrap()
    }

    #[test]
    fn an_exchange_is_an_object_with_units_in_its_keys() {
        let expected = json!({
            "time": "2026-11-25T04:26:03.045Z", "client": "10.0.1.2", "client_port": 33317, "listener": "web",
            "route": "api", "pool": "static", "target": "10.0.0.1:8080", "request_id": "01hq", "method": "GET",
            "uri": "/index.html?q=1", "protocol": "HTTP/1.1", "host": "example.com", "status": 200,
            "body_bytes_out": 2500, "user_agent": "curl/8", "bytes_in": 120, "bytes_out": 2750,
            "request_head_ms": 10.4, "queue_ms": 0.0, "connect_ms": 30.0, "first_byte_ms": 69.0, "total_ms": 109.0,
            "tries": 1, "termination": "----",
        });
        assert_eq!(read(&http()), expected);
    }

    #[test]
    fn who_waited_shows_its_places() {
        let load = super::super::Load { places: super::super::Places { target: 0, pool: 3 }, ..http().load };
        let value = read(&Record { load, ..http() });
        assert_eq!((&value["pool_queue"], value.get("target_queue")), (&json!(3), None));
    }

    #[test]
    fn a_connection_has_no_keys_of_http() {
        let value = read(&tcp());
        assert_eq!(value["protocol"], "TCP");
        assert_eq!(value["reason"], "reset");
        assert_eq!(value["termination"], "SD");
        assert!(value.get("status").is_none() && value.get("uri").is_none());
    }

    #[test]
    fn a_session_shows_its_version_cipher_and_name() {
        let tls = Some(super::super::Tls { version: "1.3", cipher: "TLS_AES_128_GCM_SHA256", name: "a.test" });
        let value = read(&super::Record { tls, ..http() });
        assert_eq!(value["tls_version"], "1.3");
        assert_eq!(value["tls_cipher"], "TLS_AES_128_GCM_SHA256");
        assert_eq!(value["sni"], "a.test");
    }

    #[test]
    fn what_a_cache_or_a_key_did_is_one_word() {
        let http = super::super::Http { cache: "stale", idempotency: "replayed", ..http().http.unwrap() };
        let value = read(&super::Record { http: Some(http), ..self::http() });
        assert_eq!((&value["cache"], &value["idempotency"]), (&"stale".into(), &"replayed".into()));
    }

    #[test]
    fn the_version_of_the_route_is_shown_where_it_has_one() {
        let http = super::super::Http { version_label: "v2", ..http().http.unwrap() };
        assert_eq!(read(&super::Record { http: Some(http), ..self::http() })["version"], "v2");
    }

    #[test]
    fn a_line_leads_to_its_trace() {
        let ids = crate::observe::trace::Ids { trace_id: 0xab, span_id: 0xcd };
        let http = super::super::Http { trace: Some(ids), ..http().http.unwrap() };
        let value = read(&super::Record { http: Some(http), ..self::http() });
        assert_eq!(
            (&value["trace_id"], &value["span_id"]),
            (&json!(format!("{:032x}", 0xab)), &json!("00000000000000cd"))
        );
    }

    #[test]
    fn hostile_bytes_cannot_add_a_key() {
        let value = read(&hostile());
        assert!(value["uri"].as_str().unwrap().starts_with("/\"\\\n\r\u{1b}[2J"));
        assert_eq!(value["listener"], "we\nb x");
    }

    #[test]
    fn headers_are_objects_of_what_is_there() {
        let fields =
            Fields { request: &[("X-Tenant", "a\"\x01"), ("cookie", "s3cret")], response: &[("x-cache", "hit")] };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = Settings {
            headers: names(&["x-none", "x-tenant", "cookie"]),
            response_headers: names(&["x-cache", "x-none"]),
            redact_headers: names(&["cookie"]),
            ..Settings::new(Format::Json)
        };
        let line = lines_of(settings.clone(), &Record { headers: Some(&fields), ..http() });
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["headers"], json!({ "x-tenant": "a\"\u{1}", "cookie": "[redacted]" }));
        assert_eq!(value["response_headers"], json!({ "x-cache": "hit" }));
        let value: Value = serde_json::from_str(&lines_of(settings, &http())).unwrap();
        assert!(value.get("headers").is_none() && value.get("response_headers").is_none());
    }
}
