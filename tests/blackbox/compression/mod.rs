//! Answers that are compressed on their way, or decompressed: for whom, what their heads say, and when their bytes come.

mod codings;
mod conditions;
mod decoding;
mod limits;
mod stored;
mod streams;

use crate::support::client::{Client, Response};
use crate::support::toml::http;
use crate::support::wire::Broken;
use crate::support::{Proxy, Target};
use std::io::{Read, Write};

/// One route for all, with these keys of `compress`.
fn config(target: &Target, keys: &str) -> String {
    http(&[target]) + &format!("\n[routes.all]\npool = \"site\"\ncompress = {{ {keys} }}\n")
}

/// A page that compresses well.
fn page(length: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for row in 0.. {
        if text.len() >= length {
            break;
        }
        text.extend_from_slice(format!("<tr class=\"row\"><td>{row}</td><td>{:x}</td></tr>\n", row * 7919).as_bytes());
    }
    text.truncate(length);
    text
}

/// A target that answers every request with a page of `length` bytes and these fields.
fn pages(length: usize, fields: &'static [&'static str]) -> Target {
    Target::with("pages", move |peer| {
        while let Some(seen) = peer.request() {
            let body = page(length);
            let sent = match seen.method.as_str() {
                "HEAD" => {
                    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
                    peer.try_send(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {length}\r\n\r\n")).ok()
                }
                _ => peer.reply(200, fields, &body),
            };
            if sent.is_none() {
                return;
            }
        }
    })
}

/// What bytes in a coding stand for.
#[track_caller]
fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
        "zstd" => {
            out.reserve(64 << 20);
            zstd_safe::decompress(&mut out, bytes).map_err(|code| std::io::Error::other(format!("zstd: {code}")))
        }
        other => panic!("no coding {other:?}"),
    };
    read.unwrap_or_else(|error| panic!("{coding}: {error}"));
    out
}

/// Bytes in a coding.
fn encoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 18);
            encoder.write_all(bytes).unwrap();
            encoder.into_inner()
        }
        _ => {
            let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
            zstd_safe::compress(&mut out, bytes, 3).unwrap();
            out
        }
    }
}

/// The content of an answer, without its coding.
#[track_caller]
fn content(response: &Response) -> Vec<u8> {
    match response.field("content-encoding") {
        Some(coding) => decoded(&coding, &response.body),
        None => response.body.clone(),
    }
}

/// The answer to a GET must not look complete: it is cut, or an error where nothing of it has gone out.
#[track_caller]
fn is_broken(client: &mut Client, what: &str) {
    match client.response_to("GET") {
        Ok(response) => assert_eq!(response.status, 502, "{what}"),
        Err(broken) => assert!(matches!(broken, Broken::Truncated | Broken::Reset), "{what}: {broken:?}"),
    }
}

/// GET of `/` with this `Accept-Encoding`.
#[track_caller]
fn accepting(proxy: &Proxy, codings: &str) -> Response {
    proxy.client().ask("GET", "/", &[&format!("Accept-Encoding: {codings}")])
}
