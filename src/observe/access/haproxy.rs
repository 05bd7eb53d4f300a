//! HAProxy's log lines without the syslog prefix ("HTTP log format" and "TCP log format" in its manual):
//!
//! ```text
//! option httplog  %ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq "%r"
//! option tcplog   %ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq
//! ```
//!
//! Times are whole milliseconds in UTC, -1 for a point that was not reached. Captured cookies show as `-`; headers that lines are to
//! show stand before the request as captured ones do, `{a|b} {c}`.

use super::stamp::Stamp;
use super::{Http, Record, Shown, client_ip, escape, number};

/// Writes `record` without the line feed.
pub fn write(record: &Record<'_>, shown: &mut Shown<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
    endpoints(record, stamp, out);
    let times = &record.times;
    match &record.http {
        Some(http) => {
            let spans = [times.request_head, times.queue, times.connect, times.first_byte, Some(times.total)];
            durations(&spans, out);
            out.push(b' ');
            match http.status {
                0 => out.extend_from_slice(b"-1"),
                status => number(u64::from(status), out),
            }
            out.push(b' ');
            number(record.bytes_out, out);
            out.extend_from_slice(b" - - ");
            out.extend_from_slice(&record.letters());
        }
        None => {
            durations(&[times.queue, times.connect, Some(times.total)], out);
            out.push(b' ');
            number(record.bytes_out, out);
            out.push(b' ');
            out.extend_from_slice(&record.letters()[..2]);
        }
    }
    load(record, out);
    if let Some(http) = &record.http {
        captured(shown.headers, |name, out| capture(shown.request(record, name), out), out);
        captured(shown.response_headers, |name, out| capture(shown.response(record, name), out), out);
        request(http, out);
    }
}

/// Captured headers in their braces; nothing if none is to be captured.
fn captured(names: &[String], mut write: impl FnMut(&str, &mut Vec<u8>), out: &mut Vec<u8>) {
    for (at, name) in names.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b" {" } else { b"|" });
        write(name, out);
    }
    if !names.is_empty() {
        out.push(b'}');
    }
}

fn capture(value: Option<&[u8]>, out: &mut Vec<u8>) {
    escape::haproxy_capture(value.unwrap_or_default(), out);
}

fn endpoints(record: &Record<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
    match record.client {
        Some(client) => {
            client_ip(record.client, out);
            out.push(b':');
            number(u64::from(client.port()), out);
        }
        // As HAProxy shows a client on a Unix socket, whose "port" is the socket's number.
        None => out.extend_from_slice(b"unix:1"),
    }
    out.extend_from_slice(b" [");
    stamp.haproxy(out);
    out.extend_from_slice(b"] ");
    escape::field(record.listener.as_bytes(), out);
    if record.tls.as_ref().is_some_and(|tls| !tls.version.is_empty()) {
        out.push(b'~');
    }
    out.push(b' ');
    let pool = if record.pool.is_empty() { record.listener } else { record.pool };
    escape::field(pool.as_bytes(), out);
    out.push(b'/');
    let target = if record.target.is_empty() { "<NOSRV>" } else { record.target };
    escape::field(target.as_bytes(), out);
    out.push(b' ');
}

fn durations(spans: &[Option<u64>], out: &mut Vec<u8>) {
    for (i, span) in spans.iter().enumerate() {
        if i > 0 {
            out.push(b'/');
        }
        match span {
            Some(ns) => number(ns / 1_000_000, out),
            None => out.extend_from_slice(b"-1"),
        }
    }
}

fn load(record: &Record<'_>, out: &mut Vec<u8>) {
    let load = &record.load;
    let retries = u64::from(record.tries.saturating_sub(1));
    out.push(b' ');
    for count in [load.process, load.listener, load.pool, load.target] {
        number(count, out);
        out.push(b'/');
    }
    number(retries, out);
    out.push(b' ');
    number(u64::from(load.places.target), out);
    out.push(b'/');
    number(u64::from(load.places.pool), out);
}

fn request(http: &Http<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b" \"");
    if http.method.is_empty() {
        out.extend_from_slice(b"<BADREQ>");
    } else {
        escape::haproxy(http.method, out);
        out.push(b' ');
        escape::haproxy(http.target, out);
        out.push(b' ');
        out.extend_from_slice(http.version.name());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Fields, hostile, http, line, lines_of, tcp};
    use super::super::{Format, Http, Load, Places, Record, Settings, Times};

    #[test]
    fn an_exchange_is_a_line_of_option_httplog() {
        let expected = "10.0.1.2:33317 [25/Nov/2026:04:26:03.045] web static/10.0.0.1:8080 10/0/30/69/109 200 2750 - - ---- 4/3/2/1/0 0/0 \"GET /index.html?q=1 HTTP/1.1\"\n";
        assert_eq!(line(Format::Haproxy, &http()), expected);
    }

    #[test]
    fn a_connection_is_a_line_of_option_tcplog() {
        let expected =
            "10.0.1.2:33317 [25/Nov/2026:04:26:03.045] web static/10.0.0.1:8080 0/30/109 2750 SD 4/3/2/1/2 0/0\n";
        assert_eq!(line(Format::Haproxy, &tcp()), expected);
    }

    #[test]
    fn who_waited_shows_its_places() {
        let load = Load { places: Places { target: 7, pool: 12 }, ..http().load };
        assert!(line(Format::Haproxy, &Record { load, ..http() }).contains(" 4/3/2/1/0 7/12 \"GET "));
    }

    #[test]
    fn what_was_not_reached_shows_as_minus_one() {
        let times = Times { total: 5_000_000, ..Times::default() };
        let record = Record { http: Some(Http::default()), pool: "", target: "", tries: 0, times, ..http() };
        let line = line(Format::Haproxy, &record);
        assert!(line.contains(" web web/<NOSRV> -1/-1/-1/-1/5 -1 2750 "), "{line}");
        assert!(line.ends_with(" \"<BADREQ>\"\n"), "{line}");
    }

    #[test]
    fn hostile_bytes_do_not_change_the_number_of_fields() {
        let line = line(Format::Haproxy, &hostile());
        let head = line.split('"').next().unwrap();
        assert_eq!(head.split_ascii_whitespace().count(), 12, "{line}");
        assert_eq!(line.matches('"').count(), 2);
        assert!(head.contains(" we#0Ab#20x we#0Ab#20x/<NOSRV> "), "{line}");
    }

    #[test]
    fn headers_stand_in_braces_that_no_value_leaves() {
        let fields = Fields { request: &[("a", "1|2} {"), ("b", "3")], response: &[] };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings =
            Settings { headers: names(&["a", "b"]), response_headers: names(&["c"]), ..Settings::new(Format::Haproxy) };
        let line = lines_of(settings, &Record { headers: Some(&fields), ..http() });
        assert!(line.contains(" 0/0 {1#7C2#7D #7B|3} {} \"GET "), "{line}");
    }
}
