//! Answers that are stored as they came, and edited for each client on the way out.

use super::*;

const RULE: &str = r#"
[caches.c]
memory = "256MiB"
[rules.body]
type = "transform"
response.headers.set = { "x-by" = "{request.headers.x-name}" }
[rules.body.response.body]
remove = ["/secret", "/items/*/secret"]
set = { "/by" = "{request.headers.x-name}" }
"#;

fn origin(body: String) -> Target {
    Target::with("origin", move |peer| {
        while peer.request().is_some() {
            let fields = ["Content-Type: application/json", "Cache-Control: max-age=60", "ETag: \"t\""];
            if peer.reply(200, &fields, body.as_bytes()).is_none() {
                return;
            }
        }
    })
}

#[test]
fn each_client_gets_what_is_stored_edited_anew() {
    let target = origin("{\"secret\":1,\"a\":2}".to_owned());
    let proxy = start_with(&target, "[\"body\"]", RULE, "cache = { store = \"c\" }");
    let h2 = h2::Client::to(&proxy.web());
    for name in ["ann", "bob", "cid"] {
        let field = format!("X-Name: {name}");
        let wanted = format!("{{\"a\":2,\"by\":\"{name}\"}}");
        let answer = proxy.client().ask("GET", "/v1/x", &[&field, "Range: bytes=0-11"]);
        assert_eq!((answer.status, answer.text()), (200, wanted.clone()));
        assert_eq!(answer.field("content-length"), Some(wanted.len().to_string()));
        assert_eq!((answer.field("etag").as_deref(), answer.field("x-by").as_deref()), (Some("W/\"t\""), Some(name)));
        let answer = send2(&h2, Method::GET, "/v1/x", &[("x-name", name), ("range", "bytes=0-11")], "");
        assert_eq!((answer.status.as_u16(), String::from_utf8(answer.body).unwrap()), (200, wanted));
        let head = proxy.client().ask("HEAD", "/v1/x", &[&field]);
        assert_eq!((head.status, head.field("content-length")), (200, None));
        let same = proxy.client().ask("GET", "/v1/x", &["If-None-Match: W/\"t\""]);
        assert_eq!((same.status, same.field("etag").as_deref()), (304, Some("W/\"t\"")));
    }
    assert_eq!(target.requests(), 1);
}

#[test]
fn long_ones_and_compressed_ones_as_well() {
    let item = |secret: &str| format!("{{{secret}\"text\":\"{}\"}}", "y".repeat(990));
    let list = |secret: &str| format!("{{\"items\":[{}]", vec![item(secret); 2000].join(","));
    let target = origin(list("\"secret\":1,") + "}");
    for more in ["", ", compress"] {
        let compress = if more.is_empty() { "" } else { "compress = true\n" };
        let proxy = start_with(&target, "[\"body\"]", RULE, &format!("{compress}cache = {{ store = \"c\" }}"));
        for name in ["ann", "bob"] {
            let answer = proxy.client().ask("GET", "/v1/x", &[&format!("X-Name: {name}"), "Accept-Encoding: gzip"]);
            let mut text = Vec::new();
            match answer.field("content-encoding").as_deref() {
                Some("gzip") => {
                    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&answer.body[..]), &mut text).unwrap();
                }
                _ => text = answer.body,
            }
            assert!(text == (list("") + &format!(",\"by\":\"{name}\"}}")).into_bytes(), "{name}{more}");
        }
    }
    assert_eq!(target.requests(), 2);
}

#[test]
fn what_is_stored_and_cannot_be_edited_goes_to_nobody() {
    let target = origin("{\"secret\":1,}".to_owned());
    let proxy = start_with(&target, "[\"body\"]", RULE, "cache = { store = \"c\" }");
    for _ in 0..2 {
        assert_eq!(proxy.get("/v1/x").status, 502);
        assert_eq!(h2::Client::to(&proxy.web()).get("/v1/x").status.as_u16(), 502);
    }
}
