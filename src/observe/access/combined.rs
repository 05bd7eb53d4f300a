//! The "combined" format of Apache and NGINX:
//! `client - - [time] "request line" status body-bytes "referer" "user agent"`.

use super::stamp::Stamp;
use super::{Http, Record, client_ip, escape, number};

/// Writes `record` without the line feed. A TCP connection has no request line and status 000.
pub fn write(record: &Record<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
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
        out.extend_from_slice(b" \"");
        escape::combined(if value.is_empty() { b"-" } else { value }, out);
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{hostile, http, line, tcp};

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
}
