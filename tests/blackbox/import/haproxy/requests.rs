//! HTTP beyond the first things: TLS to servers, PROXY headers, caches, users, lists, variables, weights, queues.

use super::{Case, ask, echo, target};
use crate::support::nameserver::Nameserver;
use crate::support::secure::{Secure, Speaks};
use crate::support::target::Target;
use crate::support::tls::{Authority, Kind};
use crate::support::{eventually, free_port};
use std::time::Duration;

#[test]
fn websockets_have_servers_of_their_own() {
    let (www, ws) = (echo("www"), echo("ws"));
    let imported = Case::new("haproxy/17-websocket.cfg")
        .bind(":80")
        .swap("10.17.0.1:8080", &www)
        .swap("10.17.0.2:8081", &ws)
        .run();
    let at = imported.proxy.at("public");
    assert_eq!(target(&at, "/"), "www");
    assert_eq!(ask(&at, "GET", "/", "ws.site.test", &[]).target(), "ws");
    eventually("it is checked", || !ws.requests_for("/health").is_empty());
    let check = ws.requests_for("/health").remove(0);
    assert_eq!((check.method.as_str(), check.field("host").as_deref()), ("HEAD", Some("ws.site.test")));
    assert!(
        imported.toml.contains(r#"expect = "200-300, 302-399""#) && imported.toml.contains(r#"interval = "500ms""#),
        "{}",
        imported.toml
    );
    assert!(imported.toml.contains("tunnel = \"1h\""));
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn servers_prove_who_they_are_where_they_had_to() {
    let (authority, stranger) = (Authority::new("Inside"), Authority::new("Elsewhere"));
    let strict = Secure::echo("strict", &Speaks::with(&authority.server(&["strict.test"], Kind::Ecdsa)));
    let lax = Secure::echo("lax", &Speaks::with(&stranger.server(&["other.test"], Kind::Ecdsa)));
    let case = Case::new("haproxy/19-tls-to-servers.cfg").bind("*:80");
    let folder = case.folder().to_str().unwrap().to_owned();
    let imported = case
        .file("internal.pem", authority.pem())
        .swap("/etc/haproxy/ca", folder)
        .swap("10.19.0.1:443", &strict)
        .swap("10.19.0.2:443", &lax)
        .run();
    let at = imported.proxy.at("in");
    assert_eq!(target(&at, "/"), "strict");
    assert_eq!(target(&at, "/lax"), "lax");
    assert!(imported.toml.contains("# Whoever is on the way to these targets"), "{}", imported.toml);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn who_is_passed_on_is_who_counts() {
    let app = echo("app");
    let imported = Case::new("haproxy/20-proxy-protocol.cfg").bind("*:80").swap("10.20.0.1:80", &app).run();
    let at = imported.proxy.at("behind");
    let through = |client: &str| {
        let mut through = crate::support::Client::to(&at);
        through.send(format!("PROXY TCP4 {client} 192.0.2.1 5000 80\r\n"));
        through.get("/").status
    };
    assert_eq!((through("203.0.113.9"), through("198.51.100.9")), (200, 403));
    assert_eq!(app.last().field("x-forwarded-for").as_deref(), Some("203.0.113.9"));
    assert_eq!(imported.line("accept-proxy").verdict, "differs");
}

#[test]
fn text_is_compressed_and_what_may_be_kept_is_kept() {
    let files = Target::with("files", |peer| {
        while peer.request().is_some() {
            let body = "text that is long enough to be worth it. ".repeat(100);
            let fields = ["Content-Type: text/plain", "Cache-Control: public, max-age=60"];
            if peer.reply(200, &fields, body.as_bytes()).is_none() {
                return;
            }
        }
    });
    let imported = Case::new("haproxy/21-compression-cache.cfg").bind("*:80").swap("10.21.0.1:80", &files).run();
    let at = imported.proxy.at("files");
    let response = ask(&at, "GET", "/a", "site.test", &["Accept-Encoding: br, gzip"]);
    assert_eq!(response.field("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(files.last().field("accept-encoding"), None, "`offload`");
    for path in ["/kept/a", "/kept/a", "/a"] {
        ask(&at, "GET", path, "site.test", &[]);
    }
    assert_eq!((files.requests_for("/kept/a").len(), files.requests_for("/a").len()), (1, 2));
    assert!(imported.toml.contains("[caches.pages]\nmemory = \"64MiB\""), "{}", imported.toml);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn a_monitor_hears_when_nobody_is_left() {
    let app = echo("app");
    let imported = Case::new("haproxy/22-monitor.cfg").bind("*:80").swap("10.22.0.1:80", &app).run();
    let at = imported.proxy.at("edge");
    let alive = || ask(&at, "GET", "/alive", "site.test", &[]).status;
    assert_eq!((alive(), target(&at, "/")), (200, "app".to_owned()));
    app.kill();
    eventually("it is told", || alive() == 503);
    let unsupported = imported.unsupported();
    assert!(unsupported.contains(&"errorfile 503 /etc/haproxy/errors/503.http"), "{unsupported:?}");
    assert!(unsupported.contains(&"stats auth …") && !format!("{:?}", imported.report).contains("very-secret"));
    assert_eq!(unsupported.len(), 6);
}

#[test]
fn the_back_office_asks_for_a_password() {
    let office = echo("office");
    // As `htpasswd -nbB ann secret` writes it.
    let users = format!("ann:{}\n", bcrypt::hash("secret", 4).unwrap());
    let imported = Case::new("haproxy/23-basic-auth.cfg")
        .file("staff.htpasswd", users)
        .bind("*:80")
        .swap("10.23.0.1:80", &office)
        .run();
    let at = imported.proxy.at("office");
    let asked = ask(&at, "GET", "/admin", "site.test", &[]);
    assert_eq!(asked.status, 401);
    assert!(asked.field("www-authenticate").is_some_and(|with| with.contains("realm=\"Office\"")));
    // ann:secret
    let let_in = ask(&at, "GET", "/admin", "site.test", &["Authorization: Basic YW5uOnNlY3JldA=="]);
    assert_eq!((let_in.status, target(&at, "/").as_str()), (200, "office"));
    assert_eq!(imported.unsupported().len(), 4, "the list of users, which is made anew");
    assert!(imported.line("auth realm").notes.contains("make `staff.htpasswd`"));
    let all = format!("{:?}{}", imported.report, imported.toml);
    assert!(!all.contains("plain-secret") && !all.contains("JlKBx9za"), "passwords are not shown");
}

#[test]
fn servers_that_a_name_server_knows_are_found() {
    let app = echo("app");
    let names = Nameserver::start();
    names.addresses("tasks.app.test", 60, &[app.address.ip()]);
    let imported = Case::new("haproxy/24-discovery.cfg")
        .bind("*:80")
        .swap("127.0.0.11:53", names.address)
        .swap("tasks.app.test:8080", format!("tasks.app.test:{}", app.address.port()))
        .run();
    let at = imported.proxy.at("apps");
    eventually("it is found", || ask(&at, "GET", "/", "site.test", &[]).status == 200);
    assert!(imported.toml.contains("max_targets = 5"), "{}", imported.toml);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn who_shows_a_certificate_comes_in() {
    let authority = Authority::new("Test");
    let app = echo("app");
    let made = authority.server(&["site.test"], Kind::Ecdsa);
    let case = Case::new("haproxy/25-client-certificates.cfg");
    let imported = case
        .file("server.pem", format!("{}{}", made.cert, made.key))
        .file("clients.pem", authority.pem())
        .bind("*:443")
        .swap("10.25.0.1:80", &app)
        .run();
    let at = imported.proxy.at("partners");
    let dial = authority.dial().alpn(&["http/1.1"]);
    assert_eq!(dial.to(&at, "site.test").get("/").status, 401);
    let ann = dial.clone().showing(&authority.client("ann", 7));
    assert_eq!(ann.to(&at, "site.test").get("/").status, 200);
    assert_eq!(app.last().field("x-partner").as_deref(), Some("yes"));
    let bob = dial.clone().showing(&authority.client("bob", 8));
    assert_eq!(bob.to(&at, "site.test").get("/").status, 200);
    assert_eq!(app.last().field("x-partner"), None);
    assert_eq!(imported.unsupported(), ["http-request set-header X-SSL-Client-CN %[ssl_c_s_dn(cn)]"]);
}

#[test]
fn lists_are_read_from_their_files() {
    let site = echo("site");
    let imported = Case::new("haproxy/26-lists.cfg")
        .file("lists/blocked.txt", "# who was rude\n127.0.0.9\n192.0.2.0/24\n")
        .file("lists/bots.txt", "EvilBot\nscraper\n")
        .bind("*:80")
        .swap("10.26.0.1:80", &site)
        .run();
    let at = imported.proxy.at("lists");
    assert_eq!(target(&at, "/"), "site");
    let mut blocked = crate::support::Client::from("127.0.0.9", &at);
    assert_eq!(blocked.get("/").status, 403);
    let bot = ask(&at, "GET", "/", "site.test", &["User-Agent: an evilbot/1.0"]);
    assert_eq!((bot.status, bot.field("x-reason").as_deref()), (403, Some("bot")));
    let before = std::time::Instant::now();
    assert_eq!(ask(&at, "GET", "/wp-login.php", "site.test", &[]).status, 403);
    assert!(before.elapsed() >= Duration::from_millis(300), "it waits");
    assert!(imported.toml.contains(r#"deny = ["198.51.100.0/24"]"#));
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn variables_stand_for_what_they_were_set_to() {
    let all = ["free", "paid", "mobile"].map(echo);
    let mut case = Case::new("haproxy/27-variables.cfg").bind("*:80");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.27.0.{}:80", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("vars");
    let goes = |fields: &[&str]| ask(&at, "GET", "/", "Site.test", fields).target();
    assert_eq!((goes(&[]), goes(&["X-Plan: gold"])), ("free".into(), "paid".into()));
    assert_eq!(goes(&["X-Plan: gold", "User-Agent: some iPhone"]), "mobile");
    assert_eq!(all[0].last().field("x-host").as_deref(), Some("Site.test"));
    assert!(imported.line("X-Host").notes.contains("in the case that it came in"));
    assert_eq!(imported.unsupported(), ["use_backend %[var(txn.host)]_site if { var(txn.host) -m end .brand.test }"]);
}

#[test]
fn strong_servers_do_more() {
    let all = ["big", "small", "off", "last"].map(echo);
    let mut case = Case::new("haproxy/28-weights.cfg").bind("*:80");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.28.0.{}:80", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("strong");
    (0..12).for_each(|_| assert_eq!(ask(&at, "GET", "/", "site.test", &[]).status, 200));
    let count = |one: &Target| one.requests_for("/").len();
    let [big, small, off, last] = all.each_ref().map(count);
    assert!(big > small && small > 0 && (off, last) == (0, 0), "{big} {small} {off} {last}");
    all[0].kill();
    all[1].kill();
    eventually("the backup works", || ask(&at, "GET", "/", "site.test", &[]).target() == "last");
    assert!(
        imported.toml.contains(r#"retry = { attempts = 2, on = ["connect", "reset", "503"] }"#),
        "{}",
        imported.toml
    );
    assert!(imported.line("server off").notes.contains("weight of 0"));
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn the_environment_is_asked_when_the_file_is_read() {
    let one = echo("one");
    let case = Case::new("haproxy/29-environment.cfg");
    let case = case.env("RING_ONE", &one.to_string()).env("RING_REGION", "north");
    let imported = case.run();
    let at = imported.proxy.at("env");
    assert_eq!(target(&at, "/"), "one");
    assert_eq!(one.last().field("x-region").as_deref(), Some("north"));
    assert!(
        imported.toml.contains("${LISTEN_ON:-127.0.0.1}:0") && imported.toml.contains("\"${RING_ONE}\""),
        "{}",
        imported.toml
    );
    assert_eq!(imported.unsupported(), ["setenv REGION …", "presetenv SITE …"]);
}

#[test]
fn the_port_that_was_dialled_decides() {
    let (one, two) = (echo("one"), echo("two"));
    let [a, b, c] = [free_port(), free_port(), free_port()];
    let imported = Case::new("haproxy/31-ports.cfg")
        .swap("*:8001,*:8002", format!("127.0.0.1:{a},127.0.0.1:{b}"))
        .swap("*:8003", format!("127.0.0.1:{c}"))
        .swap("dst_port 8002", format!("dst_port {b}"))
        .swap("dst_port 8003", format!("dst_port {c}"))
        .swap("10.31.0.1:80", &one)
        .swap("10.31.0.2:80", &two)
        .run();
    let at = |port: u16| format!("127.0.0.1:{port}");
    assert_eq!((target(&at(a), "/"), target(&at(b), "/")), ("one".into(), "two".into()));
    assert_eq!((one.last().field("x-port"), two.last().field("x-port").as_deref()), (None, Some("second")));
    assert_eq!(ask(&at(c), "GET", "/", "site.test", &[]).status, 302);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn what_there_is_no_such_thing_for_is_named_and_the_rest_works() {
    let (works, chance) = (echo("works"), echo("chance"));
    let imported = Case::new("haproxy/32-unsupported.cfg")
        .bind("*:80")
        .swap("10.32.0.1:80", &works)
        .swap("10.32.0.2:80", &chance)
        .run();
    let at = imported.proxy.at("all");
    assert_eq!(target(&at, "/"), "works");
    assert!(works.last().field("x-request-id").is_some_and(|id| !id.is_empty()));
    let unsupported = imported.unsupported();
    for line in [
        "lua-load /etc/haproxy/bot.lua",
        "no-such-keyword on",
        "command dataplaneapi -f /etc/dataplane.yml",
        "mailer smtp1 10.32.0.9:25",
        "email-alert mailers alerts",
        "option accept-invalid-http-request",
        "bind quic4@:443 ssl crt site.pem alpn h3",
        "filter spoe engine waf config /etc/haproxy/waf.conf",
        "http-request lua.challenge",
        "http-request deny if { lua.bot -m bool }",
        "http-response set-header X-Type html if { res.hdr(content-type) -m beg text/html }",
        "use_backend nowhere if { path /nowhere }",
        "use_backend by_chance if { rand(100) lt 10 }",
        "use-server one if { path /one }",
    ] {
        assert!(unsupported.contains(&line), "{line} is not in {unsupported:#?}");
    }
    assert!(imported.line("lua.bot").opens && imported.line("lua.challenge").opens);
    assert!(imported.line("option http-buffer-request").notes.contains("buffer.request"));
    assert!(imported.line("server two").notes.contains("in the pool already"));
}

#[test]
fn the_same_goes_to_the_same_server() {
    let all = ["one", "two"].map(echo);
    let imported = Case::new("haproxy/33-hashes.cfg")
        .bind("*:80")
        .swap("10.33.0.1:80", &all[0])
        .swap("10.33.0.2:80", &all[1])
        .run();
    let at = imported.proxy.at("hashes");
    let goes = |path: &str, field: &str| ask(&at, "GET", path, "site.test", &[field]).target();
    let spread = |goes: &dyn Fn(usize) -> String| {
        let all: Vec<String> = (0..24)
            .map(|n| {
                let to = goes(n);
                assert_eq!(goes(n), to);
                to
            })
            .collect();
        assert!(all.contains(&"one".to_owned()) && all.contains(&"two".to_owned()), "{all:?}");
    };
    spread(&|n| goes(&format!("/page/{n}"), "X-A: 1"));
    spread(&|n| goes("/header", &format!("X-Tenant: {n}")));
    spread(&|n| goes(&format!("/user?id={n}"), "X-A: 1"));
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn who_waits_for_too_long_is_told_so() {
    let slow = Target::slow("slow", Duration::from_secs(2));
    let imported = Case::new("haproxy/34-queue.cfg")
        .file("errors/busy.html", "<p>busy</p>")
        .bind("*:80")
        .swap("10.34.0.1:80", &slow)
        .run();
    let at = imported.proxy.at("narrow");
    let mut first = crate::support::Client::to(&at);
    first.send("GET /first HTTP/1.1\r\nHost: site.test\r\n\r\n");
    slow.wait_for(1);
    let second = ask(&at, "GET", "/second", "site.test", &[]);
    assert_eq!((second.status, second.text().as_str()), (503, "<p>busy</p>"));
    assert_eq!(first.response().status, 200);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn calls_of_grpc_go_elsewhere_than_pages() {
    let authority = Authority::new("Test");
    let pages = echo("pages");
    let made = authority.server(&["site.test"], Kind::Ecdsa);
    let imported = Case::new("haproxy/35-grpc.cfg")
        .file("site.pem", format!("{}{}", made.cert, made.key))
        .bind("*:443")
        .swap("10.35.0.2:80", &pages)
        .run();
    let at = imported.proxy.at("mixed");
    let mut client = authority.dial().alpn(&["http/1.1"]).to(&at, "site.test");
    let page = client.get("/");
    assert_eq!((page.target().as_str(), page.field("alt-svc").as_deref()), ("pages", Some("h3=\":443\"; ma=900")));
    let call = client.ask("GET", "/", &["Content-Type: application/grpc"]);
    assert!(call.target() != "pages", "nobody is there who would answer: {}", call.status);
    assert!(imported.toml.contains("protocol = \"h2\""), "{}", imported.toml);
    assert!(imported.line("alt-svc").notes.contains("HTTP/3"));
}

#[test]
fn everybody_is_sent_where_they_were_sent() {
    let here = echo("here");
    let imported = Case::new("haproxy/36-redirects.cfg").bind("*:80").swap("10.36.0.1:80", &here).run();
    let at = imported.proxy.at("moves");
    let sent = |path: &str, host: &str, fields: &[&str]| {
        let response = ask(&at, "GET", path, host, fields);
        (response.status, response.field("location").unwrap_or_default())
    };
    let to = |status: u16, location: &str| (status, location.to_owned());
    assert_eq!(sent("/a?b", "www.moves.test", &[]), to(301, "https://moves.test/a?b"));
    assert_eq!(sent("/account", "moves.test", &[]), to(302, "/login?from=/account"));
    assert_eq!(sent("/account", "moves.test", &["Cookie: session=1"]), to(200, ""));
    assert_eq!(sent("/old/x?a", "moves.test", &[]), to(302, "/new/old/x"));
    assert_eq!(sent("/a.zip?b", "moves.test", &[]), to(307, "https://cdn.moves.test/a.zip?b"));
    let logout = ask(&at, "GET", "/logout", "moves.test", &[]);
    assert_eq!((logout.status, logout.field("set-cookie").as_deref()), (303, Some("session=; Path=/; Max-Age=0")));
    assert_eq!(ask(&at, "GET", "/empty", "moves.test", &[]).status, 204);
    let down = ask(&at, "GET", "/down", "moves.test", &[]);
    assert_eq!(
        (down.status, down.text().as_str(), down.field("retry-after").as_deref()),
        (503, "{\"down\": true}", Some("60"))
    );
    assert_eq!(sent("/x", "moves.test", &["X-Block: 1"]).0, 403);
    assert_eq!(sent("/open", "moves.test", &["X-Block: 1"]).0, 200, "`allow` ends the rules");
    ask(&at, "GET", "/a/1?q", "moves.test", &[]);
    assert_eq!(here.last().path, "/b/1?q");
    ask(&at, "GET", "/a/x1", "moves.test", &[]);
    assert_eq!(here.last().path, "/c/x1", "one after the other");
    ask(&at, "GET", "/v7/k", "moves.test", &[]);
    assert_eq!(here.last().path, "/k");
    assert_eq!(imported.unsupported(), [""; 0]);
}
