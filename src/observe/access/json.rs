//! One JSON object per line. Keys that do not apply are left out.

use super::stamp::Stamp;
use super::{Record, escape, number};

/// A key with the comma before it and the colon after it.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

/// Writes `record` without the line feed.
pub fn write(record: &Record<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    stamp.rfc3339(out);
    out.push(b'"');
    if let Some(client) = record.client {
        out.extend_from_slice(key!("client"));
        out.push(b'"');
        super::client_ip(Some(client), out);
        out.push(b'"');
        integer(key!("client_port"), u64::from(client.port()), out);
    }
    text(key!("listener"), record.listener.as_bytes(), out);
    text(key!("route"), record.route.as_bytes(), out);
    text(key!("pool"), record.pool.as_bytes(), out);
    text(key!("target"), record.target.as_bytes(), out);
    if let Some(http) = &record.http {
        text(key!("request_id"), http.request_id, out);
        text(key!("method"), http.method, out);
        text(key!("uri"), http.target, out);
        text(key!("protocol"), http.version.name(), out);
        text(key!("host"), http.host, out);
        if http.status != 0 {
            integer(key!("status"), u64::from(http.status), out);
        }
        integer(key!("body_bytes_out"), http.body_out, out);
        text(key!("user_agent"), http.user_agent, out);
        text(key!("referer"), http.referer, out);
    } else {
        text(key!("protocol"), b"TCP", out);
    }
    if let Some(tls) = &record.tls {
        text(key!("tls_version"), tls.version.as_bytes(), out);
        text(key!("tls_cipher"), tls.cipher.as_bytes(), out);
        text(key!("sni"), tls.name.as_bytes(), out);
    }
    integer(key!("bytes_in"), record.bytes_in, out);
    integer(key!("bytes_out"), record.bytes_out, out);
    duration(key!("request_head_ms"), record.times.request_head, out);
    duration(key!("queue_ms"), record.times.queue, out);
    duration(key!("connect_ms"), record.times.connect, out);
    duration(key!("first_byte_ms"), record.times.first_byte, out);
    duration(key!("total_ms"), Some(record.times.total), out);
    integer(key!("tries"), u64::from(record.tries), out);
    text(key!("reason"), record.reason.as_bytes(), out);
    let letters = record.termination.letters();
    text(key!("termination"), if record.http.is_some() { &letters } else { &letters[..2] }, out);
    out.push(b'}');
}

fn text(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(key);
        out.push(b'"');
        escape::json(value, out);
        out.push(b'"');
    }
}

fn integer(key: &[u8], value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    number(value, out);
}

/// Milliseconds with three decimals.
fn duration(key: &[u8], ns: Option<u64>, out: &mut Vec<u8>) {
    if let Some(ns) = ns {
        let us = ns / 1_000;
        integer(key, us / 1_000, out);
        let digit = |n: u64| b'0' + (n % 10) as u8;
        out.extend_from_slice(&[b'.', digit(us / 100), digit(us / 10), digit(us)]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{hostile, http, line, tcp};
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
    fn hostile_bytes_cannot_add_a_key() {
        let value = read(&hostile());
        assert!(value["uri"].as_str().unwrap().starts_with("/\"\\\n\r\u{1b}[2J"));
        assert_eq!(value["listener"], "we\nb x");
    }
}
