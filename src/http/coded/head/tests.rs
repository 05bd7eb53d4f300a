use super::*;
use crate::config::model;
use crate::http::h1::{Limits, Parsed, Question, Scan, parse_request, parse_response};
use crate::plan::Whose;

const LIMITS: Limits = Limits { head: 32 * 1024, fields: 128 };

/// A route's settings as the configuration has them.
fn rule(change: impl FnOnce(&mut model::Compress)) -> std::sync::Arc<Compress> {
    let mut compress = model::Compress::default();
    change(&mut compress);
    let route = model::Route {
        pool: Some("a".into()),
        compress: model::Compression::On(Box::new(compress)),
        ..model::Route::default()
    };
    let mut config = model::Config::default();
    let targets = serde_json::json!({ "targets": ["127.0.0.1:1"] });
    config.pools.insert("a".into(), serde_json::from_value(targets).unwrap());
    config.routes.insert("r".into(), route);
    let plan = crate::plan::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults:?}"));
    match &plan.routes[0].action {
        crate::plan::Action::Forward(forward) => forward.compress.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

struct Case {
    rule: std::sync::Arc<Compress>,
    request: Vec<u8>,
    response: Vec<u8>,
    secure: bool,
    busy: u64,
}

impl Case {
    /// GET with these lines, answered by a status with these lines, over TLS.
    fn new(asked: &str, status: u16, said: &str) -> Self {
        let lines = |lines: &str| {
            lines.split('|').filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect::<String>()
        };
        Self {
            rule: rule(|_| {}),
            request: format!("GET / HTTP/1.1\r\nHost: site.test\r\n{}\r\n", lines(asked)).into_bytes(),
            response: format!("HTTP/1.1 {status} OK\r\n{}\r\n", lines(said)).into_bytes(),
            secure: true,
            busy: 0,
        }
    }

    fn heads(&self) -> (RequestHead, ResponseHead) {
        let (mut request, mut response) = (RequestHead::default(), ResponseHead::default());
        assert!(parse_request(&self.request, &LIMITS, &mut Scan::default(), &mut request).is_ok());
        let read = parse_response(&self.response, &Question::default(), &LIMITS, &mut Scan::default(), &mut response);
        assert!(matches!(read, Ok(Parsed::Complete(_))), "{read:?}");
        (request, response)
    }

    fn verdict(&self) -> Verdict {
        let (request, response) = self.heads();
        let setting = Setting {
            rule: &self.rule,
            request: &request,
            asked: &self.request,
            secure: self.secure,
            certified: false,
            busy: self.busy,
        };
        let length = length(&response, &self.response, Method::Head, None);
        decide(&setting, &response, &self.response, length)
    }

    /// The lines of the head as it becomes.
    fn lines(&self) -> Vec<String> {
        let (_, mut head) = self.heads();
        let mut text = self.response.clone();
        if let Verdict::Recode(recoding) = self.verdict() {
            recoding.rewrite(&mut head, &mut text);
        }
        let line = |field: &Field| {
            let part = |span: Span| String::from_utf8_lossy(span.of(&text)).into_owned();
            format!("{}: {}", part(field.name), part(field.value))
        };
        head.fields.iter().map(line).collect()
    }
}

fn verdict(asked: &str, status: u16, said: &str) -> Verdict {
    Case::new(asked, status, said).verdict()
}

const HTML: &str = "Content-Type: text/html|Content-Length: 5000";
const GZIP: &str = "Accept-Encoding: gzip";
const ENCODED: Verdict =
    Verdict::Recode(Recoding::Encode { coding: Coding::Gzip, level: 4, lowered: false, needed: false });

fn left(why: Uncompressed) -> Verdict {
    Verdict::Leave(Some(why))
}

fn varied(why: Uncompressed) -> Verdict {
    Verdict::Recode(Recoding::Vary(Some(why)))
}

#[test]
fn only_what_client_status_type_and_cache_control_allow_is_compressed() {
    for (asked, status, said, is) in [
        (GZIP, 200, HTML, ENCODED),
        (GZIP, 404, HTML, ENCODED),
        (GZIP, 500, "Content-Type: application/problem+json", ENCODED),
        (GZIP, 200, "Content-Type: text/html", ENCODED),
        (GZIP, 200, "Content-Type: text/html|Content-Encoding: identity", ENCODED),
        ("", 200, HTML, varied(Uncompressed::NotAccepted)),
        ("Accept-Encoding: deflate", 200, HTML, varied(Uncompressed::NotAccepted)),
        (GZIP, 200, "Content-Type: image/png|Content-Length: 5000", left(Uncompressed::Type)),
        (GZIP, 200, "Content-Length: 5000", left(Uncompressed::Type)),
        (GZIP, 200, "Content-Type: text/event-stream", left(Uncompressed::Type)),
        (GZIP, 200, "Content-Type: text/html|Content-Length: 1023", varied(Uncompressed::Size)),
        (GZIP, 200, "Content-Type: text/html|Content-Length: 0", varied(Uncompressed::Size)),
        (GZIP, 200, "Content-Type: text/html|Content-Encoding: br", varied(Uncompressed::Encoded)),
        (
            GZIP,
            200,
            "Content-Type: text/html|Content-Encoding: gzip|Vary: accept-encoding",
            left(Uncompressed::Encoded),
        ),
        (GZIP, 200, "Content-Type: image/png|Content-Encoding: gzip", left(Uncompressed::Encoded)),
        (GZIP, 200, "Content-Type: text/html|Content-Encoding: compress", left(Uncompressed::Encoded)),
        (GZIP, 206, "Content-Type: text/html|Content-Range: bytes 0-4999/9000", varied(Uncompressed::Range)),
        (GZIP, 200, "Content-Type: text/html|Content-Range: bytes 0-4999/9000", left(Uncompressed::Range)),
        (GZIP, 200, "Content-Type: text/html|Cache-Control: public, No-Transform", left(Uncompressed::NoTransform)),
        ("Accept-Encoding: gzip|Cache-Control: no-transform", 200, HTML, left(Uncompressed::NoTransform)),
        (GZIP, 204, "Content-Type: text/html", Verdict::Leave(None)),
        (GZIP, 205, "Content-Type: text/html", Verdict::Leave(None)),
        ("", 200, "Content-Type: text/html|Vary: *", left(Uncompressed::NotAccepted)),
    ] {
        let is =
            if is == varied(Uncompressed::Encoded) { Verdict::Recode(Recoding::Decode(Coding::Brotli)) } else { is };
        assert_eq!(verdict(asked, status, said), is, "{asked} {status} {said}");
    }
}

#[test]
fn what_a_client_cannot_read_is_decoded_if_that_is_sound() {
    let encoded = "Content-Type: text/html|Content-Encoding: gzip";
    let decoded = Verdict::Recode(Recoding::Decode(Coding::Gzip));
    assert_eq!(verdict("", 200, encoded), decoded);
    assert_eq!(verdict("Accept-Encoding: br, gzip;q=0", 200, encoded), decoded);
    assert_eq!(verdict("Accept-Encoding: x-gzip", 200, encoded), varied(Uncompressed::Encoded));
    assert_eq!(verdict("", 200, "Content-Type: text/html|Content-Encoding: gzip, br"), left(Uncompressed::Encoded));
    let archive = "Content-Type: application/x-gzip|Content-Encoding: gzip";
    assert_eq!(verdict("", 200, archive), left(Uncompressed::Encoded), "the file is meant to be that");
    let case = Case { rule: rule(|rule| rule.decompress = false), ..Case::new("", 200, encoded) };
    assert_eq!(case.verdict(), left(Uncompressed::Encoded));
}

#[test]
fn a_client_that_takes_nothing_else_gets_a_coding_whatever_it_saves() {
    let asked = "Accept-Encoding: gzip, identity;q=0";
    for said in ["Content-Type: text/html|Content-Length: 10", "Content-Type: image/png|Content-Length: 5000"] {
        let verdict = verdict(asked, 200, said);
        assert!(matches!(verdict, Verdict::Recode(Recoding::Encode { needed: true, .. })), "{said}: {verdict:?}");
    }
    let case = Case {
        rule: rule(|rule| rule.skip_above = Some(crate::config::units::Share(0.9))),
        busy: 950,
        ..Case::new(asked, 200, HTML)
    };
    assert!(matches!(case.verdict(), Verdict::Recode(Recoding::Encode { level: 1, lowered: true, .. })));
}

#[test]
fn the_level_gives_way_under_load() {
    let case = |busy| Case {
        rule: rule(|rule| rule.skip_above = Some(crate::config::units::Share(0.95))),
        busy,
        ..Case::new(GZIP, 200, HTML)
    };
    assert_eq!(case(800).verdict(), ENCODED);
    assert!(matches!(case(900).verdict(), Verdict::Recode(Recoding::Encode { level: 1, lowered: true, .. })));
    assert_eq!(case(960).verdict(), varied(Uncompressed::Load));
}

/// The attack needs a page of another site that has a browser send requests with its credentials.
#[test]
fn what_another_site_asks_for_with_credentials_is_not_compressed() {
    let asked = |more: &str| format!("Accept-Encoding: gzip|{more}");
    for (more, told) in [
        ("", false),
        ("Cookie: a=b", false),
        ("Cookie: a=b|Sec-Fetch-Site: same-origin", false),
        ("Cookie: a=b|Sec-Fetch-Site: none", false),
        ("Cookie: a=b|Sec-Fetch-Site: cross-site", true),
        ("Authorization: Basic eDp5|Sec-Fetch-Site: cross-site", true),
        ("Authorization: Bearer x|Sec-Fetch-Site: cross-site", false),
        ("Sec-Fetch-Site: cross-site", false),
        ("Cookie: a=b|Referer: https://site.test/page", false),
        ("Cookie: a=b|Referer: https://evil.test/?site.test", true),
        ("Cookie: a=b|Origin: https://site.test.evil.test", true),
        ("Cookie: a=b|Origin: null", true),
        ("Cookie: a=b|Sec-Fetch-Site: same-origin|Referer: https://evil.test/", false),
    ] {
        let is = if told { varied(Uncompressed::Breach) } else { ENCODED };
        let asked = asked(more);
        assert_eq!(verdict(&asked, 200, HTML), is, "{more}");
        let in_clear = Case { secure: false, ..Case::new(&asked, 200, HTML) };
        assert_eq!(in_clear.verdict(), ENCODED, "{more}: in clear there is nothing to guess");
        let off = Case { rule: rule(|rule| rule.breach = Breach::Off), ..Case::new(&asked, 200, HTML) };
        assert_eq!(off.verdict(), ENCODED, "{more}");
    }
    let strict =
        Case { rule: rule(|rule| rule.breach = Breach::Credentials), ..Case::new(&asked("Cookie: a=b"), 200, HTML) };
    assert_eq!(strict.verdict(), varied(Uncompressed::Breach));
}

#[test]
fn a_head_says_what_the_answer_has_become() {
    let said = "Content-Type: text/html|ETag: \"v1\"|Content-Length: 5000|Accept-Ranges: bytes|Content-MD5: x|Repr-Digest: y|Content-Digest: z|Digest: w|Vary: Origin|X-End: 1";
    assert_eq!(
        Case::new(GZIP, 200, said).lines(),
        [
            "Content-Type: text/html",
            "ETag: W/\"v1\"",
            "Vary: Origin, Accept-Encoding",
            "X-End: 1",
            "Content-Encoding: gzip"
        ]
    );
    let plain = Case::new("", 200, "Content-Type: text/html|ETag: \"v1\"|Content-Length: 5000|Accept-Ranges: bytes");
    assert_eq!(
        plain.lines(),
        [
            "Content-Type: text/html",
            "ETag: \"v1\"",
            "Content-Length: 5000",
            "Accept-Ranges: bytes",
            "Vary: Accept-Encoding"
        ]
    );
    let decoded = Case::new(
        "",
        200,
        "Content-Type: text/html|Content-Encoding: gzip|ETag: W/\"v1\"|Content-Length: 5|Vary: Accept-Encoding",
    );
    assert_eq!(decoded.lines(), ["Content-Type: text/html", "ETag: W/\"v1\"", "Vary: Accept-Encoding"]);
    assert_eq!(
        Case::new(GZIP, 200, "Content-Type: text/html|ETag: v1").lines()[1],
        "Vary: Accept-Encoding",
        "no tag is no tag"
    );
}

#[test]
fn a_304_has_the_tag_that_the_client_has() {
    for (asked, lines) in [
        ("If-None-Match: W/\"v1\"", ["ETag: W/\"v1\"", "Vary: Accept-Encoding"]),
        ("If-None-Match: \"v1\"", ["ETag: \"v1\"", "Vary: Accept-Encoding"]),
        ("If-None-Match: W/\"v2\"", ["ETag: \"v1\"", "Vary: Accept-Encoding"]),
    ] {
        assert_eq!(Case::new(asked, 304, "ETag: \"v1\"").lines(), lines, "{asked}");
    }
    assert_eq!(Case::new(GZIP, 304, "ETag: \"v1\"|Content-Type: image/png").lines()[1..], ["Content-Type: image/png"]);
}

#[test]
fn the_targets_tags_are_learnt_from() {
    let case = Case::new(GZIP, 200, "Content-Type: text/html|ETag: \"v1\"");
    assert_eq!(case.rule.tags.whose(), Whose::Unknown);
    case.verdict();
    assert_eq!(case.rule.tags.whose(), Whose::Ours);
}
