//! `[tests.NAME]`: what `ringway check` says of a configuration that does not do what is expected of it.

use crate::support::proxy::{Directory, Proxy, ringway};
use crate::support::{Target, toml};

/// `ringway check` of a text: exit code, stdout, stderr.
fn check(text: &str) -> (Option<i32>, String, String) {
    let directory = Directory::new();
    let file = directory.write("r.toml", text);
    ringway(&["check", "-c", &file])
}

const CONFIG: &str = r#"
[listeners.web]
listen = ["127.0.0.1:8080"]
pool = "site"
[listeners.db]
listen = ["127.0.0.1:5432"]
protocol = "tcp"
pool = "site"
[routes.api]
hosts = ["api.test"]
paths = ["/v1/"]
pool = "api"
strip_prefix = "/v1"
[routes.gone]
paths = ["/old/"]
respond = { status = 410 }
[routes.moved]
paths = ["/blog/"]
redirect = { host = "blog.test" }
[pools.site]
targets = ["127.0.0.1:1"]
[pools.api]
targets = ["127.0.0.1:2"]
"#;

fn test(url: &str, expect: &str) -> String {
    format!("{CONFIG}[tests.it]\nrequest = {{ url = \"{url}\" }}\nexpect = {{ {expect} }}\n")
}

#[test]
fn what_is_as_expected_passes() {
    let all = [
        ("http://api.test/v1/x?y", "route = \"api\", pool = \"api\", target_path = \"/x\""),
        ("http://api.test/x", "route = false, pool = \"site\", target_path = \"/x\""),
        ("http://a.test/old/", "route = true, status = 410"),
        ("http://a.test/blog/x", "status = 302, location = \"http://blog.test/blog/x\""),
        ("http://a.test/%2e%2e/%2F", "status = 400"),
        ("http://a.test:8080/", "route = false"),
    ];
    let tests = all
        .iter()
        .enumerate()
        .map(|(n, (url, expect))| format!("[tests.t{n}]\nrequest = {{ url = \"{url}\" }}\nexpect = {{ {expect} }}\n"));
    let (code, out, err) = check(&(CONFIG.to_owned() + &tests.collect::<String>()));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.ends_with("\n6 tests passed\n"), "{out}");
    let more = "[tests.it]\nrequest = { method = \"PUT\", url = \"http://a.test/\", headers = { host = \"api.test\" }, \
        client = \"10.0.0.1\", listener = \"web\" }\nexpect = { route = false }\n";
    let (code, out, err) = check(&(CONFIG.to_owned() + more));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.ends_with("\n1 test passed\n"), "{out}");
}

#[test]
fn what_is_not_as_expected_is_told_with_what_came_and_why() {
    for (url, expect, told) in [
        ("http://api.test/v1/", "route = \"gone\"", "expects route `gone`, but route `api` takes the request"),
        ("http://api.test/", "route = \"api\"", "expects route `api`, but no route takes the request"),
        ("http://api.test/", "route = true", "expects a route, but no route takes the request"),
        ("http://a.test/old/", "route = false", "expects no route, but route `gone` takes the request"),
        ("http://a.test/old/", "pool = \"api\"", "expects pool `api`, but the answer is 410"),
        ("http://a.test/", "pool = \"api\"", "expects pool `api`, but the request is forwarded to pool `site`"),
        ("http://a.test/old/", "status = 404", "expects status 404, but the answer is 410"),
        ("http://a.test/", "status = 200", "expects status 200, but the request is forwarded to pool `site`"),
        ("http://a.test/%2F", "status = 404", "but the request is refused with 400 (path-encoded-slash)"),
        (
            "http://a.test/blog/",
            "location = \"http://b.test/\"",
            "expects location http://b.test/, but the client is sent to http://blog.test/blog/ with 302",
        ),
        ("http://api.test/v1/x", "target_path = \"/v1/x\"", "expects target path /v1/x, but the target gets path /x"),
    ] {
        let (code, out, err) = check(&test(url, expect));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        let key = expect.split(' ').next().unwrap();
        for part in [told, "r.toml:26:", &format!("    GET {url}"), "    listener   web", "1 test failed, 0 passed"] {
            assert!(err.contains(part), "{key}: {part} is missing in\n{err}");
        }
    }
    let (_, _, err) = check(&test("http://a.test/", "status = 200"));
    assert!(err.contains("what a target answers is not known here"), "{err}");
    let two = test("http://a.test/", "pool = \"site\"")
        + "[tests.other]\nrequest = { url = \"http://a.test/\" }\nexpect = { route = \"api\" }\n";
    let (code, _, err) = check(&two);
    assert_eq!(code, Some(1));
    assert!(err.contains("`other`") && !err.contains("`it`") && err.ends_with("1 test failed, 1 passed\n"), "{err}");
}

#[test]
fn a_test_that_is_wrong_is_a_fault_of_the_configuration() {
    for (url, expect, parts) in [
        ("http://a.test/", "route = \"apis\"", &["no route is named `apis`", "did you mean `api`?"][..]),
        ("http://a.test/", "pool = \"sit\"", &["no pool is named `sit`", "did you mean `site`?"]),
        ("http://a.test/", "statsu = 1", &["unknown key `statsu`", "did you mean `status`?"]),
        ("http://a.test/", "status = 1000", &["1000 is out of range for `status`"]),
        ("http://a.test/", "route = 1", &["`route` must be true or false or a string"]),
        ("http://a.test/", "target_path = \"x\"", &["\"x\" is no path of a request"]),
        ("http://a.test/", "", &["test `it` expects nothing", "`target_path`"]),
        ("a.test", "status = 404", &["\"a.test\" is not a URL: it has no scheme", "https://a.test"]),
        ("http://a.test:81/", "status = 404", &["listens on port 81", "`web` (127.0.0.1:8080)"]),
        ("https://a.test/", "status = 404", &["no listener ends TLS", "listener = \"web\" in a test"]),
    ] {
        let (code, out, err) = check(&test(url, expect));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        parts.iter().chain(&["r.toml:2"]).for_each(|part| assert!(err.contains(part), "{part} is missing in\n{err}"));
    }
    for (request, part) in [
        ("listener = \"web\"", "`tests.it.request` has no `url`"),
        ("url = \"http://a.test/\", listener = \"webb\"", "did you mean `web`?"),
        ("url = \"http://a.test/\", listener = \"db\"", "`db` is a tcp listener: requests need HTTP"),
        ("url = \"http://a.test/\", method = \"get\"", "methods are case-sensitive"),
        ("url = \"http://a.test/\", client = \"me\"", "\"me\" is not a client's address"),
        ("url = \"http://a.test/\", headers = { \"a b\" = \"c\" }", "`a b` is not a header's name"),
    ] {
        let text = format!("{CONFIG}[tests.it]\nrequest = {{ {request} }}\nexpect = {{ status = 404 }}\n");
        let (code, _, err) = check(&text);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(part), "{part} is missing in\n{err}");
    }
    let (code, _, err) = check(&format!("{CONFIG}[tests.it]\nrequest = {{ url = \"http://a.test/\" }}\n"));
    assert_eq!(code, Some(2));
    assert!(err.contains("`tests.it` has no `expect`"), "{err}");
}

#[test]
fn a_running_proxy_does_not_run_them() {
    let target = Target::echo("a");
    let failing = "\n[tests.it]\nrequest = { url = \"http://a.test:1/\" }\nexpect = { status = 404 }\n";
    let proxy = Proxy::start(toml::http(&[&target]) + failing);
    assert_eq!(proxy.get("/").status, 200);
}
