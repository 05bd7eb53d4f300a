//! The "combined" format of Apache and NGINX:
//! `client - - [time] "request line" status body-bytes "referer" "user agent"`, and behind it each header that lines are to
//! show, in quotes.

use super::stamp::Stamp;
use super::{Http, Record, Shown, client_ip, escape, number};

/// Writes `record` without the line feed. A TCP connection has no request line and status 000.
pub fn write(record: &Record<'_>, shown: &mut Shown<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
    client_ip(record.client, out);
    out.extend_from_slice(b" - - [");
    stamp.common(out);
    out.extend_from_slice(b"] \"");
    let nothing = Http { body_out: record.bytes_out, ..Http::default() };
    let http = record.http.as_ref().unwrap_or(&nothing);
    if http.method.is_empty() {
        out.push(b'-');
    } else {
        escape::combined(http.method, out);
        out.push(b' ');
        escape::combined(http.target, out);
        out.push(b' ');
        out.extend_from_slice(http.version.name());
    }
    out.extend_from_slice(b"\" ");
    match http.status {
        0 => out.extend_from_slice(b"000"),
        status => number(u64::from(status), out),
    }
    out.push(b' ');
    number(http.body_out, out);
    for value in [http.referer, http.user_agent] {
        out.push(b' ');
        quoted(value, out);
    }
    for name in shown.headers {
        out.push(b' ');
        quoted(shown.request(record, name).unwrap_or_default(), out);
    }
    for name in shown.response_headers {
        out.push(b' ');
        quoted(shown.response(record, name).unwrap_or_default(), out);
    }
}

fn quoted(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape::combined(if value.is_empty() { b"-" } else { value }, out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{Fields, hostile, http, line, lines_of, tcp};
    use super::super::{Record, Settings};

    #[test]
    fn an_exchange_looks_as_parsers_expect() {
        let expected =
            "10.0.1.2 - - [25/Nov/2026:04:26:03 +0000] \"GET /index.html?q=1 HTTP/1.1\" 200 2500 \"-\" \"curl/8\"\n";
        assert_eq!(line(Format::Combined, &http()), expected);
    }

    #[test]
    fn a_connection_keeps_the_number_of_fields() {
        let expected = "10.0.1.2 - - [25/Nov/2026:04:26:03 +0000] \"-\" 000 2750 \"-\" \"-\"\n";
        assert_eq!(line(Format::Combined, &tcp()), expected);
    }

    #[test]
    fn a_quote_in_a_header_does_not_end_its_field() {
        assert_eq!(line(Format::Combined, &hostile()).matches('"').count(), 6);
    }

    #[test]
    fn each_header_that_is_asked_for_has_its_place() {
        let fields = Fields { request: &[("X-Tenant", "a\"b")], response: &[("x-cache", "hit")] };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = Settings {
            headers: names(&["x-none", "x-tenant"]),
            response_headers: names(&["x-cache"]),
            ..Settings::new(Format::Combined)
        };
        let line = lines_of(settings, &Record { headers: Some(&fields), ..http() });
        assert!(line.ends_with(" \"-\" \"curl/8\" \"-\" \"a\\x22b\" \"hit\"\n"), "{line}");
    }
}
