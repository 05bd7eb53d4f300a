//! What clients see in place of errors, and while a route is in maintenance. Protects http-errorfiles and http-error.

use crate::support::client::{fetch, request};
use crate::support::proxy::Setup;
use crate::support::toml::{http_with, pool};
use crate::support::{Client, Target, eventually, h2, target};
use http::Method;
use std::time::Duration;

const HTML: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const JSON: &str = "Accept: application/json";

/// A setup with pages in its folder, still without a configuration.
fn pages(files: &[(&str, &str)]) -> Setup {
    let setup = Setup::new("");
    std::fs::create_dir(setup.directory().join("errors")).unwrap();
    for (name, text) in files {
        std::fs::write(setup.directory().join(name), text).unwrap();
    }
    setup
}

#[test]
fn an_error_of_ours_looks_as_the_page_for_its_status_and_is_logged_as_before() {
    let setup = pages(&[
        ("errors/404.html", "<h1>Nothing here</h1><!-- {request.id} {other} -->"),
        ("errors/5xx.html", "<h1>{status}</h1>"),
        ("errors/5xx.json", "{\"title\": \"no luck\", \"status\": {status}, \"id\": \"{request.id}\"}"),
        ("errors/413.txt", "too much"),
        ("errors/502.json", "{\"error\": \"gone\"}"),
    ]);
    let proxy = setup
        .with(format!(
            "[access_log]\npath = \"stdout\"\n[limits]\nrequest_body = \"10B\"\n\
             [listeners.web]\nlisten = [\"127.0.0.1:0\"]\nerror_pages = {{ \"404\" = \"errors/404.html\", 413 = \"errors/413.txt\" }}\n\
             [defaults.route.error_pages]\n\"5xx\" = {{ file = \"errors/5xx.html\", json = \"errors/5xx.json\" }}\n\
             [routes.down]\npaths = [\"/down/\"]\npool = \"down\"\n\
             [routes.own]\npaths = [\"/own/\"]\npool = \"down\"\nerror_pages = {{ 502 = {{ json = \"errors/502.json\", status = 200 }} }}\n{}",
            pool("down", &[target::refused()], "")
        ))
        .start();
    let mut client = proxy.client();
    let response = client.ask("GET", "/none", &[HTML]);
    let text = response.text();
    assert_eq!((response.status, response.field("content-type").as_deref()), (404, Some("text/html; charset=utf-8")));
    assert_eq!(response.field("cache-control").as_deref(), Some("no-store"));
    let id =
        text.strip_prefix("<h1>Nothing here</h1><!-- ").and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    assert!(id.len() == 16 && text.ends_with(" {other} -->"), "{text}");
    let line = proxy.out.wait(&[&id]);
    assert!(line.contains("\"no-route\""), "{line}");
    let head = client.ask("HEAD", "/none", &[HTML]);
    assert_eq!((head.status, head.field("content-length")), (404, response.field("content-length")));
    let response = client.ask("GET", "/down/", &[HTML]);
    assert_eq!((response.status, response.text().as_str()), (502, "<h1>502</h1>"));
    assert_eq!(response.field("vary").as_deref(), Some("Accept"));
    let response = client.ask("GET", "/down/", &[JSON]);
    assert_eq!((response.status, response.field("content-type").as_deref()), (502, Some("application/problem+json")));
    assert!(response.text().starts_with("{\"title\": \"no luck\", \"status\": 502, \"id\": \""), "{}", response.text());
    let response = client.ask("GET", "/own/", &[HTML]);
    assert_eq!((response.status, response.text().as_str()), (200, "{\"error\": \"gone\"}"), "its own page goes first");
    let response = fetch(&proxy.web(), "POST", "/down/", &["Content-Length: 11"]);
    assert_eq!((response.status, response.text().as_str()), (413, "too much"));
    let answer = h2::Client::to(&proxy.web()).ask(h2::request(Method::GET, "/down/"), b"").unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (502, &b"<h1>502</h1>"[..]));
    // A page says nothing to a call of gRPC.
    let mut call = h2::request(Method::POST, "/down/x");
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let answer = h2::Client::to(&proxy.web()).ask(call, b"").unwrap();
    assert_eq!((answer.status.as_u16(), answer.fields["grpc-status"].to_str().unwrap()), (200, "14"));
    assert!(proxy.metric("ringway_refused_total", &[("reason", "no-route")]) >= 2.0);
}

#[test]
fn a_targets_error_stays_its_own_unless_a_page_intercepts_it() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let status: u16 = seen.path.trim_start_matches('/').parse().unwrap_or(200);
            if status == 502 {
                // Its content comes a little later than its head.
                let head = "HTTP/1.1 502 Bad\r\nWWW-Authenticate: Basic\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\n";
                peer.send(head);
                std::thread::sleep(Duration::from_millis(30));
                peer.send("late");
                continue;
            }
            let fields = ["WWW-Authenticate: Basic", "Retry-After: 7", "X-Internal: trace"];
            if peer.reply(status, &fields, b"stack trace").is_none() {
                return;
            }
        }
    });
    let setup = pages(&[("errors/page.html", "page")]);
    let lines = "error_pages = { \"404\" = \"errors/page.html\", \"5xx\" = { file = \"errors/page.html\", intercept = true }, \
                 401 = { file = \"errors/page.html\", intercept = true } }";
    let proxy = setup.with(http_with(lines, &[&target], "")).start();
    let mut client = proxy.client();
    for (path, status, text) in [
        ("/200", 200, "stack trace"),
        ("/404", 404, "stack trace"),
        ("/503", 503, "page"),
        ("/502", 502, "page"),
        ("/401", 401, "page"),
        ("/500", 500, "page"),
        ("/200", 200, "stack trace"),
    ] {
        let response = client.get(path);
        assert_eq!((response.status, response.text().as_str()), (status, text), "{path}");
        let replaced = text == "page";
        assert_eq!(response.field("x-internal").is_none(), replaced, "{path}");
        assert_eq!(response.field("retry-after").as_deref(), Some("7"), "{path}");
        assert_eq!(response.field("www-authenticate").as_deref(), Some("Basic"), "{path}");
    }
    assert_eq!(client.ask("HEAD", "/503", &[]).field("content-length").as_deref(), Some("4"));
    assert_eq!(target.connections(), 1, "what is replaced leaves its connection as good as before");
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[("pool", "site")]), 0.0);
}

#[test]
fn pages_are_read_with_the_configuration_and_taken_up_when_it_is_read_again() {
    let setup = pages(&[("errors/404.html", "one")]);
    let page = setup.directory().join("errors/404.html");
    let listener = "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nerror_pages = { \"404\" = \"errors/404.html\" }\n\
                    [routes.x]\npaths = [\"=/x\"]\nrespond = { status = 200 }\n";
    let proxy = setup.with(listener).start();
    assert_eq!(proxy.get("/none").text(), "one");
    std::fs::write(&page, "another one").unwrap();
    proxy.signal(libc::SIGHUP);
    eventually("it is taken up", || proxy.get("/none").text() == "another one");
    // One that is gone keeps what there is.
    std::fs::remove_file(&page).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.log.wait(&["errors/404.html", "cannot be read"]);
    assert_eq!(proxy.get("/none").text(), "another one");
}

#[test]
fn maintenance_is_switched_by_a_file_and_lets_in_who_may() {
    let target = Target::echo("app");
    let setup = pages(&[("errors/soon.html", "back soon"), ("errors/soon.json", "{\"title\": \"soon\"}")]);
    let flag = setup.directory().join("maintenance");
    let routes = "[defaults.route.maintenance]\nfile = \"errors/soon.html\"\njson = \"errors/soon.json\"\nretry_after = \"5m\"\n\
                  allow = [\"127.0.0.9\"]\n\
                  [routes.app]\npaths = [\"/app/\"]\npool = \"site\"\nmaintenance = { flag_file = \"maintenance\" }\n\
                  [routes.off]\npaths = [\"/off/\"]\nrespond = { status = 200 }\nmaintenance = { enabled = true, status = 500 }\n\
                  [routes.on]\npaths = [\"/on/\"]\npool = \"site\"\nmaintenance = { enabled = false }\n";
    let proxy = setup.with(http_with("", &[&target], "") + routes).start();
    let mut client = proxy.client();
    let response = client.get("/off/");
    assert_eq!((response.status, response.text().as_str()), (500, "back soon"));
    assert_eq!(client.get("/on/").target(), "app");
    assert_eq!(client.get("/app/").target(), "app");
    std::fs::write(&flag, "").unwrap();
    eventually("it begins", || proxy.get("/app/").status == 503);
    let response = client.ask("GET", "/app/x", &[HTML]);
    assert_eq!((response.text().as_str(), response.field("retry-after").as_deref()), ("back soon", Some("300")));
    assert_eq!(response.field("cache-control").as_deref(), Some("no-store"));
    let response = client.ask("GET", "/app/x", &[JSON]);
    assert_eq!((response.status, response.text().as_str()), (503, "{\"title\": \"soon\"}"));
    // A body that nobody reads does not become a request.
    let mut posting = proxy.client();
    posting.send(request("POST", "/app/", &["Content-Length: 5"]) + "hello");
    assert_eq!(posting.response().status, 503);
    assert_eq!(
        Client::from("127.0.0.9", &proxy.web()).get("/app/").target(),
        "app",
        "who is allowed sees nothing of it"
    );
    proxy.log.wait(&["maintenance begins", "app"]);
    assert!(proxy.metric("ringway_refused_total", &[("reason", "maintenance")]) >= 3.0);
    std::fs::remove_file(&flag).unwrap();
    eventually("it ends", || proxy.get("/app/").status == 200);
}
