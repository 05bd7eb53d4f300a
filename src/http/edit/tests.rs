use super::*;
use crate::config::template::Template;
use crate::http::h1::{self, Limits, Scan};
use crate::http::head::RequestHead;
use crate::http::outcome::RequestId;

const REQUEST: &[u8] = b"GET /a%20b?q=1 HTTP/1.1\r\nHost: site.test:8080\r\nX-A: 1\r\nx-a: 2\r\nX_User: me\r\n\r\n";

fn of(name: &str) -> Box<str> {
    name.into()
}

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

/// Of a request over HTTP/1.1 in clear.
pub(super) fn facts<'a>(head: &'a RequestHead, text: &'a [u8], status: u16) -> Facts<'a> {
    Facts {
        client: "[::ffff:10.0.0.1]:4000".parse().unwrap(),
        listener: "web",
        route: "all",
        pool: "site",
        target: "10.0.0.9:80",
        id: RequestId::sample(),
        consumer: None,
        told: &[],
        limits: &[],
        tokens: &[],
        head,
        text,
        is_http2: false,
        scheme: "http",
        tls: None,
        status,
    }
}

/// What becomes of the request above, without its first line.
fn edited(edits: &[Edit]) -> String {
    let mut head = RequestHead::default();
    let limits = Limits { head: 4096, fields: 32 };
    assert!(h1::parse_request(REQUEST, &limits, &mut Scan::default(), &mut head).is_ok());
    let mut out = REQUEST.to_vec();
    written_request(edits, &facts(&head, REQUEST, 0), &mut out);
    String::from_utf8(out).unwrap().split_once("\r\n").unwrap().1.to_owned()
}

#[test]
fn each_edit_does_what_it_is_called() {
    let rest = "Host: site.test:8080\r\nX_User: me\r\n";
    for (edit, expected) in [
        (Edit::Remove(of("x-A")), format!("{rest}\r\n")),
        (Edit::Set(of("X-a"), template("3")), format!("{rest}X-a: 3\r\n\r\n")),
        (Edit::Set(of("x-a"), template("{tls.sni}")), format!("{rest}\r\n")),
    ] {
        assert_eq!(edited(&[edit]), expected);
    }
    let whole = "Host: site.test:8080\r\nX-A: 1\r\nx-a: 2\r\nX_User: me\r\n";
    for (edit, expected) in [
        (Edit::Add(of("x-a"), template("3")), format!("{whole}\r\n")),
        (Edit::Add(of("x-b"), template("3")), format!("{whole}x-b: 3\r\n\r\n")),
        (Edit::Append(of("X-A"), template("3")), format!("{whole}X-A: 3\r\n\r\n")),
        (Edit::Append(of("X-A"), template(" {tls.sni}".trim_start())), format!("{whole}\r\n")),
        (Edit::Rename(of("x-none"), of("x-a")), format!("{whole}\r\n")),
    ] {
        assert_eq!(edited(&[edit]), expected);
    }
    let renamed = edited(&[Edit::Rename(of("x-a"), of("x-c")), Edit::Append(of("x-c"), template("3"))]);
    assert_eq!(renamed, "Host: site.test:8080\r\nx-c: 1\r\nx-c: 2\r\nX_User: me\r\nx-c: 3\r\n\r\n");
}

#[test]
fn a_header_that_is_set_is_not_shadowed_by_another_spelling_of_its_name() {
    let set = edited(&[Edit::Set(of("X-User"), template("us"))]);
    assert_eq!(set, "Host: site.test:8080\r\nX-A: 1\r\nx-a: 2\r\nX-User: us\r\n\r\n");
}

#[test]
fn fields_are_filled_in_from_the_request() {
    let all = "{client.ip}|{client.port}|{listener}|{route}|{pool}|{target}|{request.method}|{request.uri}|{request.path}|\
               {request.query}|{request.protocol}|{request.scheme}|{request.host}|{status}|{tls.version}|\
               {request.headers.X-A}|{request.headers.none}";
    let head = edited(&[Edit::Set(of("x"), template(all))]);
    let expected =
        "10.0.0.1|4000|web|all|site|10.0.0.9:80|GET|/a%20b?q=1|/a%20b|q=1|HTTP/1.1|http|site.test:8080|||1, 2|";
    assert!(head.contains(&format!("\r\nx: {expected}\r\n")), "{head}");
}

#[test]
fn cookies_are_in_one_header() {
    let edits = [Edit::Append(of("cookie"), template("a=1")), Edit::Append(of("Cookie"), template("b=2"))];
    assert!(edited(&edits).contains("\r\ncookie: a=1; b=2\r\n"));
}

#[test]
fn what_an_answer_said_is_there_for_new_headers() {
    let answer = b"HTTP/1.1 200 OK\r\nX-Old: a\r\nx-old: b\r\n\r\n";
    let (_, mut fields) = lines(answer);
    let head = RequestHead::default();
    let edits = [Edit::Remove(of("x-old")), Edit::Set(of("x-new"), template("{response.headers.x-old} {status}"))];
    let mut text = answer.to_vec();
    apply::apply(&edits, &facts(&head, b"", 200), &mut fields, &mut text, false);
    let shown: Vec<_> = fields.iter().map(|field| (field.name.of(&text), field.value.of(&text))).collect();
    assert_eq!(shown, [(&b"x-new"[..], &b"a, b 200"[..])]);
}

#[test]
fn nothing_that_is_filled_in_ends_a_line() {
    // No head that is taken has such bytes; this is what holds if one had.
    let text = b"GET / HTTP/1.1\r\nX: a\r\nEvil: 1\0\r\n\r\n";
    let head = RequestHead { path: Span::new(16, 31), ..RequestHead::default() };
    let mut out = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    written_request(&[Edit::Set(of("y"), template("{request.path}"))], &facts(&head, text, 0), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "GET / HTTP/1.1\r\ny: X: aEvil: 1\r\n\r\n");
}
