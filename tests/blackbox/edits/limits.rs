//! How long bodies may be on a route. Protects the complaint that who sends too much sees a reset in place of the answer, and the
//! case "early refusal of an upload".

use crate::support::client::request;
use crate::support::h2;
use crate::support::toml::pool;
use crate::support::{Proxy, Target};
use http::Method;

fn start(target: &Target) -> Proxy {
    let routes = "[limits]\nrequest_body = \"8KiB\"\n[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n\
                  [routes.all]\npaths = [\"/\"]\npool = \"site\"\n\
                  [routes.small]\npaths = [\"/small/\"]\npool = \"site\"\nlimits.request_body = \"1KiB\"\n\
                  [routes.large]\npaths = [\"/large/\"]\npool = \"site\"\nlimits.request_body = \"1MiB\"\n\
                  [routes.any]\npaths = [\"/any/\"]\npool = \"site\"\nlimits.request_body = \"unlimited\"\n";
    Proxy::start(routes.to_owned() + &pool("site", &[target], ""))
}

#[test]
fn each_route_has_a_limit_of_its_own() {
    let target = Target::echo("a");
    let proxy = start(&target);
    for (path, most) in [("/", 8 << 10), ("/small/", 1 << 10), ("/large/", 1 << 20)] {
        assert_eq!(proxy.client().post(path, &vec![b'x'; most]).status, 200, "{path}");
        let asked = target.requests();
        let refused = proxy.client().post(path, &vec![b'x'; most + 1]);
        assert_eq!((refused.status, target.requests()), (413, asked), "{path}: no target has seen it");
        assert!(refused.text().contains("request id: "), "{path}");
    }
    assert_eq!(proxy.client().post("/any/", &vec![b'x'; (1 << 20) + 1]).status, 200);
    let mut client = proxy.client();
    client.send(request("POST", "/small/", &["Transfer-Encoding: chunked"]));
    client.send(format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(0x401)));
    assert_eq!(client.response().status, 413);
    proxy.settles("ringway_refused_total", &[("reason", "body-too-large")], 4.0);
}

#[test]
fn who_waits_for_100_is_refused_before_a_byte() {
    let target = Target::echo("a");
    let proxy = start(&target);
    let mut client = proxy.client();
    client.send(request("PUT", "/small/", &["Content-Length: 100000000", "Expect: 100-continue"]));
    let refused = client.response();
    assert_eq!((refused.status, &refused.interim[..], target.requests()), (413, &[][..], 0));
}

#[test]
fn who_is_still_sending_gets_the_answer_and_no_reset() {
    let target = Target::echo("a");
    let proxy = start(&target);
    let mut client = proxy.client();
    client.send(request("PUT", "/small/", &["Content-Length: 8000000"]));
    // More than all buffers on the way hold: it is read, or it would never be sent.
    client.send(vec![b'x'; 8_000_000]);
    let refused = client.response();
    assert_eq!(refused.status, 413);
    assert!(refused.head.names("connection", "close") && refused.text().starts_with("413 "));
    let client = h2::Client::to(&proxy.web());
    let answer = client.ask(h2::request(Method::PUT, "/small/"), &vec![b'x'; 400_000]).unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(client.ask(h2::request(Method::PUT, "/small/"), b"fits").unwrap().body, b"fits");
}
