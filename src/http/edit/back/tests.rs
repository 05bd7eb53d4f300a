use super::*;
use crate::http::h1;

/// Behind `strip_prefix = "/v1"` and TLS, with the client's own Host.
fn place<'a>(is_target: &'a dyn Fn(Option<&[u8]>, u16) -> bool) -> Place<'a> {
    Place {
        client_prefix: b"/v1",
        target_prefix: b"",
        maps_paths: true,
        scheme: b"https",
        authority: b"www.test",
        target_scheme: b"http",
        knows_client: true,
        host: None,
        is_target,
    }
}

fn is_target(host: Option<&[u8]>, port: u16) -> bool {
    host.is_none_or(|host| host == b"10.0.0.1") && (port == 8080 || port == 0)
}

/// What a line of an answer becomes.
fn line(place: &Place<'_>, line: &str) -> String {
    let mut text = format!("HTTP/1.1 302 Found\r\n{line}\r\n\r\n").into_bytes();
    let mut head = crate::http::head::ResponseHead::default();
    let limits = h1::Limits { head: 4096, fields: 16 };
    let question = h1::Question { method: crate::http::head::Method::Get, websocket: false };
    assert!(h1::parse_response(&text, &question, &limits, &mut h1::Scan::default(), &mut head).is_ok());
    put_back(place, &mut head.fields, &mut text);
    let field = head.fields[0];
    format!("{}: {}", field.name.of(&text).escape_ascii(), String::from_utf8_lossy(field.value.of(&text)))
}

#[track_caller]
fn all(place: &Place<'_>, cases: &[(&str, &str)]) {
    for (sent, expected) in cases {
        let expected = if expected.is_empty() { sent } else { expected };
        assert_eq!(line(place, sent), *expected, "{sent}");
    }
}

#[test]
fn what_a_target_says_of_its_own_places_becomes_the_clients() {
    all(
        &place(&is_target),
        &[
            ("Location: /users/7?a=/b#c", "Location: /v1/users/7?a=/b#c"),
            ("Location: /", "Location: /v1/"),
            ("location: http://www.test/users", "location: https://www.test/v1/users"),
            ("Location: HTTP://WWW.test:80/users", "Location: https://www.test/v1/users"),
            ("Location: http://www.test:8080/users", "Location: https://www.test/v1/users"),
            ("Location: http://10.0.0.1:8080/users", "Location: https://www.test/v1/users"),
            ("Location: http://www.test", "Location: https://www.test/v1/"),
            ("Location: http://www.test?q", "Location: https://www.test/v1/?q"),
            ("Location: //www.test/a", "Location: //www.test/v1/a"),
            ("Content-Location: /a.html", "Content-Location: /v1/a.html"),
            ("Refresh: 5; url=/a", "Refresh: 5; url=/v1/a"),
            ("Refresh: 5; URL='/a'", "Refresh: 5; URL='/v1/a'"),
            (
                "Link: </a.css>; rel=preload; title=\"a, <b\", <http://o.test/x>, </b>",
                "Link: </v1/a.css>; rel=preload; title=\"a, <b\", <http://o.test/x>, </v1/b>",
            ),
        ],
    );
}

#[test]
fn what_is_elsewhere_or_relative_or_the_clients_already_stays() {
    all(
        &place(&is_target),
        &[
            ("Location: http://other.test/users", ""),
            ("Location: https://other.test/www.test/", ""),
            ("Location: http://www.test.evil.test/", ""),
            ("Location: http://www.test@evil.test/", ""),
            ("Location: http://evil.test\\www.test/", ""),
            ("Location: //evil.test/", ""),
            ("Location: /\\evil.test/", ""),
            ("Location: http://www.test:9999/", ""),
            ("Location: http://10.0.0.1:9999/", ""),
            ("Location: ftp://www.test/", ""),
            ("Location: users/7", ""),
            ("Location: ?page=2", ""),
            ("Location: #top", ""),
            ("Location: /v1/users", ""),
            ("Location: /v1", ""),
            ("Location: https://www.test/v1/users", ""),
            ("Location: /v10", "Location: /v1/v10"),
            ("Refresh: 5", ""),
            ("Link: <a.css>; rel=preload", ""),
            ("X-Location: /a", ""),
        ],
    );
}

#[test]
fn who_sends_clients_to_tls_means_it() {
    let place = Place { scheme: b"http", client_prefix: b"", ..place(&is_target) };
    all(
        &place,
        &[("Location: https://www.test/a", ""), ("Location: http://10.0.0.1:8080/a", "Location: http://www.test/a")],
    );
}

#[test]
fn a_target_that_is_told_another_host_is_known_by_that() {
    let host = Some(&b"app.internal:8080"[..]);
    let place =
        Place { knows_client: false, host, target_prefix: b"/app", authority: b"www.test:8443", ..place(&is_target) };
    all(
        &place,
        &[
            ("Location: http://app.internal:8080/app/x", "Location: https://www.test:8443/v1/x"),
            ("Location: http://app.internal:8080/app", "Location: https://www.test:8443/v1"),
            ("Location: http://app.internal:8080/other", "Location: https://www.test:8443/other"),
            ("Location: http://app.internal/app/x", ""),
            ("Location: https://www.test:8443/x", ""),
            ("Location: /app/x", "Location: /v1/x"),
            ("Location: /application/x", ""),
            ("Set-Cookie: a=1; Domain=app.internal", "Set-Cookie: a=1; Domain=www.test"),
            ("Set-Cookie: a=1; domain=.Internal; Secure", "Set-Cookie: a=1; Secure"),
            ("Set-Cookie: a=1; Domain=other.internal", ""),
            ("Set-Cookie: a=1; Domain=www.test", ""),
            ("Set-Cookie: a=1; Domain=test", ""),
            ("Set-Cookie: a=1; Path=/app; Domain=app.internal", "Set-Cookie: a=1; Path=/v1; Domain=www.test"),
            ("Set-Cookie: a=1; Path=/", ""),
        ],
    );
}

#[test]
fn cookies_are_for_the_clients_part_of_the_site() {
    all(
        &place(&is_target),
        &[
            ("Set-Cookie: a=Path=/x; HttpOnly; path=/x;Secure", "Set-Cookie: a=Path=/x; HttpOnly; Path=/v1/x;Secure"),
            ("Set-Cookie: a=1; Path=/", "Set-Cookie: a=1; Path=/v1"),
            ("Set-Cookie: a=1; Path=/v1/x", ""),
            ("Set-Cookie: a=1; Path=x", ""),
            ("Set-Cookie: a=1", ""),
            ("Set-Cookie: __Host-a=1; Secure; Path=/", ""),
            ("Set-Cookie: a=1; Domain=10.0.0.1", "Set-Cookie: a=1; Domain=www.test"),
        ],
    );
}

#[test]
fn what_a_regex_made_of_a_path_is_not_undone() {
    let place = Place { maps_paths: false, ..place(&is_target) };
    all(
        &place,
        &[
            ("Location: /users", ""),
            ("Location: http://www.test/users", "Location: https://www.test/users"),
            ("Set-Cookie: a=1; Path=/", ""),
        ],
    );
}
