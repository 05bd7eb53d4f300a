//! nginx.conf.

use super::{Case, ask};
use crate::support::client::Response;
use crate::support::target::Target;
use crate::support::tls::{Authority, Kind};
use crate::support::{Client, eventually};

#[track_caller]
fn get(at: &str, path: &str, host: &str) -> Response {
    ask(at, "GET", path, host, &[])
}

/// Listens on any port wherever the file listens so; over TLS at an address of its own.
fn listen(case: Case, what: &str) -> Case {
    let (port, rest) = what.split_at(what.find([' ', ';']).unwrap());
    assert!(port.parse::<u16>().is_ok());
    let address = if rest.contains("ssl") { "127.0.0.2:0" } else { "127.0.0.1:0" };
    case.swap(&format!("listen {what}"), format!("listen {address}{rest}"))
}

#[test]
fn an_application_is_passed_on_to() {
    let all = ["one", "two", "spare"].map(Target::echo);
    let mut case = listen(Case::new("nginx/01-reverse-proxy.conf"), "80 default_server;")
        .swap("/var/log/nginx/access.log", "access.log");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.1.0.{}:8080", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("http-0");
    let response = ask(&at, "GET", "/a?b", "app.test", &["X-Secret: 1", "X-Forwarded-Proto: https"]);
    assert_eq!((response.status, response.field("x-frame-options").as_deref()), (200, Some("SAMEORIGIN")));
    let target = all.iter().find(|target| target.name() == response.target()).unwrap();
    let seen = target.last();
    assert_eq!((seen.path.as_str(), seen.field("host").as_deref()), ("/a?b", Some("app.test")));
    assert_eq!(seen.field("x-real-ip").as_deref(), Some("127.0.0.1"));
    assert_eq!((seen.field("x-forwarded-proto").as_deref(), seen.field("x-secret")), (Some("http"), None));
    let mut client = Client::to(&at);
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2000\r\n\r\n");
    assert_eq!(client.response().status, 413, "`client_max_body_size`");
    assert!(!all[2].seen().iter().any(|seen| seen.path == "/a?b"), "a backup");
    assert_eq!(imported.unsupported(), ["user www-data", "pid /run/nginx.pid"]);
}

#[test]
fn clear_goes_to_tls_and_www_to_the_bare_name() {
    let site = Target::echo("site");
    let authority = Authority::new("Test");
    let case = Case::new("nginx/02-https.conf");
    authority.server(&["site.test", "www.site.test"], Kind::Ecdsa).write(case.folder(), "site");
    let imported = listen(listen(case, "80;"), "443 ssl;").swap("10.2.0.1:8080", &site).run();
    let clear = imported.proxy.at("http-0");
    let moved = get(&clear, "/a?b", "www.site.test");
    assert_eq!((moved.status, moved.field("location").as_deref()), (301, Some("https://www.site.test/a?b")));
    let secure = imported.proxy.at("https-0");
    let dial = authority.dial().alpn(&["http/1.1"]);
    let mut client = dial.to(&secure, "www.site.test");
    client.send("GET /x HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
    assert_eq!(client.response().field("location").as_deref(), Some("https://site.test/x"));
    let mut client = dial.to(&secure, "site.test");
    let page = client.get("/x");
    assert_eq!(
        (page.target().as_str(), page.field("strict-transport-security").as_deref()),
        ("site", Some("max-age=31536000"))
    );
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn the_location_that_nginx_would_take_is_taken() {
    let all = ["exact", "api", "assets", "php", "images", "app", "deep"].map(Target::echo);
    let mut case = listen(Case::new("nginx/03-locations.conf"), "8080;");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.3.0.{}:80", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("http-0");
    let goes = |path: &str| get(&at, path, "site.test").target();
    assert_eq!((goes("/exact"), goes("/app/x"), goes("/apple")), ("exact".into(), "app".into(), "app".into()));
    assert_eq!((goes("/app/deep/x"), goes("/app/x.php")), ("deep".into(), "php".into()));
    assert_eq!(
        (goes("/assets/a.php"), goes("/assets/a.png")),
        ("assets".into(), "assets".into()),
        "`^~` asks no regex"
    );
    assert_eq!((goes("/x.PNG"), goes("/x.PHP")), ("images".into(), String::new()));
    assert_eq!(goes("/api/users?id=1"), "api");
    assert_eq!(all[1].last().path, "/v1/users?id=1");
    assert_eq!(goes("/old/thing"), "app");
    assert_eq!(all[5].last().path, "/new/thing?from=old");
    let gone = get(&at, "/gone", "site.test");
    assert_eq!((gone.status, gone.text().as_str()), (410, "gone for good"));
    let moved = get(&at, "/moved/x", "site.test");
    assert_eq!((moved.status, moved.field("location").as_deref()), (302, Some("/app?was=/moved/x")));
    assert_eq!(get(&at, "/", "site.test").status, 404);
    goes("/app/host");
    assert_eq!(all[5].last().field("host").as_deref(), Some("site.test"));
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn files_are_sent_and_the_application_has_the_rest() {
    let app = Target::echo("app");
    let case = Case::new("nginx/04-static.conf");
    let folder = case.folder().to_str().unwrap().to_owned();
    let imported = listen(case, "80;")
        .file("www/public/index.html", "home")
        .file("www/public/404.html", "nothing")
        .file("www/public/spa/index.html", "spa")
        .file("www/downloads/a.bin", "bytes")
        .swap("root www/public", format!("root {folder}/www/public"))
        .swap("alias www/downloads/", format!("alias {folder}/www/downloads/"))
        .swap("10.4.0.1:80", &app)
        .run();
    let at = imported.proxy.at("http-0");
    let text = |path: &str| get(&at, path, "site.test").text();
    assert_eq!((text("/"), text("/elsewhere")), ("home".to_owned(), "app".to_owned()));
    assert_eq!(text("/spa/deep/link"), "spa");
    let file = get(&at, "/downloads/a.bin", "site.test");
    assert_eq!((file.text().as_str(), file.field("cache-control").as_deref()), ("bytes", Some("max-age=86400")));
    let missing = get(&at, "/downloads/none", "site.test");
    assert_eq!((missing.status, missing.text().as_str()), (404, "nothing"));
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn limits_and_lists_keep_out_whom_they_kept_out() {
    let app = Target::echo("app");
    let users = format!("ann:{}\n", bcrypt::hash("secret", 4).unwrap());
    let imported =
        listen(Case::new("nginx/05-limits.conf"), "80;").file("users.htpasswd", users).swap("10.5.0.1:80", &app).run();
    let at = imported.proxy.at("http-0");
    let status = |path: &str| get(&at, path, "site.test").status;
    assert_eq!([status("/login"), status("/login"), status("/login"), status("/login")], [200, 200, 200, 429]);
    assert_eq!((status("/admin"), status("/big"), status("/")), (403, 200, 200));
    assert_eq!(status("/staff"), 401);
    assert_eq!(ask(&at, "GET", "/staff", "site.test", &["Authorization: Basic YW5uOnNlY3JldA=="]).status, 200);
    assert_eq!(Client::from("127.0.0.9", &at).get("/").status, 403);
    assert_eq!(imported.unsupported(), [""; 0]);
    assert!(imported.line("limit_req zone=logins").notes.contains("429"));
}

#[test]
fn servers_are_found_by_their_names() {
    let all = ["exact", "below", "regex", "default"].map(Target::echo);
    let mut case = listen(Case::new("nginx/06-hosts.conf"), "80 default_server;");
    case = listen(case, "80;");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.6.0.{}:80", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("http-0");
    let goes = |host: &str| get(&at, "/", host).target();
    assert_eq!((goes("exact.test"), goes("a.b.exact.test")), ("exact".into(), "below".into()));
    assert_eq!((goes("v12.test"), goes("other.test")), ("regex".into(), "default".into()));
    assert_eq!(ask(&at, "GET", "/", "other.test", &["User-Agent: a BADBOT"]).status, 403);
    let moved = get(&at, "/a", "old.test");
    assert_eq!((moved.status, moved.field("location").as_deref()), (301, Some("http://exact.test/a")));
    assert_eq!(imported.unsupported(), ["stub_status"]);
    assert_eq!(imported.line("map $http_upgrade").verdict, "carried");
}

#[test]
fn streams_go_where_they_went() {
    use crate::support::secure::{Secure, Speaks};
    let database = Target::with("pg", |peer| {
        let _ = peer.fill(std::time::Duration::from_secs(30));
        let told = std::mem::take(&mut peer.buffer);
        let _ = peer.try_send(told);
    });
    let authority = Authority::new("Test");
    let made = authority.server(&["a.stream.test", "b.stream.test"], Kind::Ecdsa);
    let (first, second) = (Secure::echo("first", &Speaks::with(&made)), Secure::echo("second", &Speaks::with(&made)));
    let imported = Case::new("nginx/07-stream.conf")
        .swap("listen 5432;", "listen 127.0.0.1:0;")
        .swap("listen 443;", "listen 127.0.0.2:0;")
        .swap("listen 53 udp;", "listen 127.0.0.3:0 udp;")
        .swap("10.7.0.1:5432", &database)
        .swap("10.7.0.3:443", &first)
        .swap("10.7.0.4:443", &second)
        .run();
    let mut client = Client::to(&imported.proxy.at("tcp-0"));
    client.finish_sending();
    let told = String::from_utf8_lossy(&client.until_end().unwrap()).into_owned();
    assert!(told.starts_with("PROXY TCP4 127.0.0.1 "), "{told}");
    let at = imported.proxy.at("tcp-0-2");
    let goes = |name: &str| authority.dial().alpn(&["http/1.1"]).to(&at, name).get("/").target();
    assert_eq!((goes("a.stream.test"), goes("b.stream.test")), ("first".into(), "second".into()));
    assert!(imported.toml.contains(r#"udp = { idle = "3s", responses = 1 }"#), "{}", imported.toml);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn a_cache_keeps_and_a_server_decides() {
    let app = Target::with("app", |peer| {
        while let Some(seen) = peer.request() {
            if peer.reply(200, &["Cache-Control: max-age=60", "X-Powered-By: x"], seen.path.as_bytes()).is_none() {
                return;
            }
        }
    });
    let judge = Target::with("judge", |peer| {
        while let Some(seen) = peer.request() {
            let fine = seen.field("x-forwarded-uri").is_some_and(|uri| uri.ends_with("yes"));
            if peer.reply(if fine { 200 } else { 403 }, &[], b"").is_none() {
                return;
            }
        }
    });
    let case = Case::new("nginx/08-cache-and-more.conf");
    let folder = case.folder().to_str().unwrap().to_owned();
    let imported = listen(case, "80;")
        .swap("proxy_cache_path cache ", format!("proxy_cache_path {folder}/cache "))
        .swap("10.8.0.1:80", &app)
        .swap("10.8.0.2:80", &judge)
        .run();
    let at = imported.proxy.at("http-0");
    for _ in 0..3 {
        assert_eq!(get(&at, "/kept/a", "site.test").field("x-powered-by"), None);
    }
    assert_eq!(app.requests_for("/kept/a").len(), 1);
    assert_eq!((get(&at, "/asked/no", "site.test").status, get(&at, "/asked/yes", "site.test").status), (403, 200));
    assert_eq!(get(&at, "/php", "site.test").status, 502);
    assert!(imported.toml.contains("verify = false"), "nginx verifies nobody: {}", imported.toml);
    let unsupported = imported.unsupported();
    for line in [
        "load_module modules/ngx_http_js_module.so",
        "split_clients ${remote_addr} $variant",
        "fastcgi_pass unix:/run/php.sock",
        "sub_filter a b",
    ] {
        assert!(unsupported.contains(&line), "{line} is not in {unsupported:?}");
    }
    eventually("it is asked", || !judge.seen().is_empty());
}

#[test]
fn files_of_conf_d_and_what_they_include_are_read() {
    let all = ["one", "two"].map(Target::echo);
    let imported = listen(Case::new("nginx/09-conf.d.conf"), "80;")
        .file("parts/health.conf", "location = /health {\n    return 200 fine;\n}\n")
        .swap("10.9.0.1:80", &all[0])
        .swap("10.9.0.2:80", &all[1])
        .run_with_others();
    let at = imported.proxy.at("http-0");
    assert_eq!(get(&at, "/", "www.shop.test").target(), "one");
    assert_eq!(get(&at, "/health", "shop.test").text(), "fine");
    ask(&at, "GET", "/", "shop.test", &["X-Forwarded-For: 192.0.2.7"]);
    assert_eq!(all[0].last().field("x-client").as_deref(), Some("192.0.2.7"));
    assert!(imported.report.iter().any(|line| line.file.ends_with("parts/health.conf") && line.line == 2));
}
