//! What most files are made of: balancing, conditions, TLS, cookies, limits, maps, headers, and the syntax of old.

use super::{Case, ask, echo, target};
use crate::support::eventually;
use crate::support::target::Target;
use crate::support::tls::{Authority, Kind};

#[test]
fn two_servers_take_turns_and_are_told_of_the_client() {
    let (one, two) = (echo("one"), echo("two"));
    let imported = Case::new("haproxy/01-http-basic.cfg")
        .bind("*:80")
        .swap("10.1.0.11:8080", &one)
        .swap("10.1.0.12:8080", &two)
        .run();
    let at = imported.proxy.at("shop");
    let mut seen: Vec<String> = (0..4).map(|_| target(&at, "/")).collect();
    seen.sort();
    assert_eq!(seen, ["one", "one", "two", "two"]);
    let told = one.requests_for("/").pop().unwrap();
    assert_eq!(told.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    eventually("checks come", || !one.requests_for("/healthz").is_empty());
    assert_eq!(
        imported.unsupported(),
        ["user haproxy", "group haproxy", "chroot /var/lib/haproxy", "pidfile /run/haproxy.pid"]
    );
    assert_eq!(imported.line("local1").verdict, "differs");
    assert_eq!(imported.line("maxconn 20000").verdict, "carried");
    assert!(imported.toml.contains("max_connections = 20000"));
}

/// An agent of Patroni, that says of its server whether it leads.
fn member(name: &str, leads: bool) -> (Target, Target) {
    let database = Target::greets(name);
    let agent = Target::with("agent", move |peer| {
        while let Some(seen) = peer.request() {
            let is_asked = (seen.path == "/leader") == leads;
            if peer.reply(if is_asked { 200 } else { 503 }, &[], b"").is_none() {
                return;
            }
        }
    });
    (database, agent)
}

#[test]
fn writes_go_to_the_leader_of_patroni_alone() {
    // All agents listen on one port, each at the address of its server.
    let (leader, agent) = member("leader", true);
    let replica = Target::greets("replica");
    let port = agent.address.port();
    let imported = Case::new("haproxy/02-patroni.cfg")
        .bind("*:7000")
        .bind("*:5000")
        .bind("*:5001")
        .swap("server pg2 10.2.0.2:5432 maxconn 100 check port 8008", "")
        .swap("10.2.0.1:5432", &leader)
        .swap("10.2.0.3:5432", &replica)
        .swap("check port 8008", format!("check port {port} addr {}", agent.address.ip()))
        .run();
    let at = imported.proxy.at("leader");
    eventually("the leader is up", || super::greeting(&at) == "leader");
    // To the agent that is asked here, nobody is a replica.
    eventually("no replica is up", || super::greeting(&imported.proxy.at("replicas")).is_empty());
    assert_eq!(imported.unsupported(), ["stats enable", "stats uri /"]);
    assert!(imported.toml.contains("[admin]\nlisten = \"127.0.0.1:0\""), "{}", imported.toml);
    assert!(imported.toml.contains("on_down = \"close\""));
}

#[test]
fn conditions_mean_what_they_meant() {
    let names = ["web", "api", "writers", "beta", "images", "lab"];
    let all: Vec<Target> = names.iter().map(|name| echo(name)).collect();
    let mut case = Case::new("haproxy/03-acls.cfg").bind(":8080");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.3.0.{}:80", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("main");
    let goes = |method: &str, path: &str, host: &str, fields: &[&str]| {
        let response = ask(&at, method, path, host, fields);
        if response.status == 200 { response.target() } else { response.status.to_string() }
    };
    let get = |path: &str| goes("GET", path, "www.test", &[]);
    assert_eq!(get("/"), "web");
    assert_eq!((get("/api/a"), get("/v2/"), get("/apis")), ("api".into(), "api".into(), "web".into()));
    assert_eq!(goes("GET", "/", "API.shop.test:8080", &[]), "api", "a host is one in any case, whatever the port");
    assert_eq!(goes("POST", "/api/a", "www.test", &["Content-Length: 0"]), "writers");
    assert_eq!(goes("POST", "/", "www.test", &["Content-Length: 0"]), "web");
    assert_eq!(goes("GET", "/", "www.test", &["X-Beta: 0"]), "beta");
    assert_eq!(goes("GET", "/", "www.test", &["Cookie: a=b; beta=1"]), "beta");
    assert_eq!(get("/x?channel=beta"), "beta");
    assert_eq!(goes("GET", "/api/a", "www.test", &["X-Beta: 1"]), "beta", "rules go in their order");
    assert_eq!((get("/a.PNG"), get("/a.png"), get("/a.jpeg")), ("web".into(), "images".into(), "images".into()));
    assert_eq!(goes("GET", "/a.png", "www.test", &["User-Agent: GoodBOT/1"]), "web");
    assert_eq!((get("/a.PHP"), get("/api/a.php")), ("410".into(), "api".into()));
    assert_eq!(
        (goes("PATCH", "/", "www.test", &["Content-Length: 0"]), goes("OPTIONS", "/", "www.test", &[])),
        ("403".into(), "web".into())
    );
    assert_eq!(imported.unsupported(), [""; 0]);
    assert!(imported.line("is_unused").notes.contains("nothing that is carried over asks for it"));
}

#[test]
fn clear_is_sent_to_tls_but_for_challenges() {
    let (site, acme) = (echo("site"), echo("acme"));
    let authority = Authority::new("Test");
    let made = authority.server(&["site.test"], Kind::Ecdsa);
    let case = Case::new("haproxy/04-https.cfg");
    let folder = case.folder().to_str().unwrap().to_owned();
    let imported = case
        .file("site.pem", format!("{}{}", made.cert, made.key))
        .bind("*:80")
        .bind("*:443")
        .swap("/etc/haproxy/certs", folder)
        .swap("127.0.0.1:8888", &acme)
        .swap("10.4.0.1:8080", &site)
        .run();
    let clear = imported.proxy.at("edge");
    let response = ask(&clear, "GET", "/a?b=c", "site.test", &[]);
    assert_eq!((response.status, response.field("location").as_deref()), (301, Some("https://site.test/a?b=c")));
    assert_eq!(target(&clear, "/.well-known/acme-challenge/x"), "acme");
    assert_eq!(acme.last().field("x-forwarded-proto").as_deref(), Some("http"));
    let mut client = authority.dial().to(&imported.proxy.at("edge-tls"), "site.test");
    let response = client.get("/");
    assert_eq!((response.status, response.target().as_str()), (200, "site"));
    assert_eq!(response.field("strict-transport-security").as_deref(), Some("max-age=31536000; includeSubDomains"));
    assert_eq!(site.requests_for("/").pop().unwrap().field("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(imported.unsupported(), [""; 0]);
    assert_eq!(imported.line("unless { ssl_fc }").verdict, "carried");
}

#[test]
fn a_client_stays_with_its_server_by_the_cookie() {
    let all = [echo("one"), echo("two"), echo("spare")];
    let imported = Case::new("haproxy/05-sticky-cookie.cfg")
        .bind("0.0.0.0:80")
        .swap("10.5.0.1:8080", &all[0])
        .swap("10.5.0.2:8080", &all[1])
        .swap("10.5.0.3:8080", &all[2])
        .run();
    let at = imported.proxy.at("www");
    let first = ask(&at, "GET", "/", "site.test", &[]);
    let set = first.field("set-cookie").expect("a cookie is set");
    assert!(set.starts_with("SRV=") && set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    for _ in 0..4 {
        let again = ask(&at, "GET", "/", "site.test", &[&cookie]);
        assert_eq!(again.target(), first.target());
    }
    let others: Vec<String> = (0..4).map(|_| target(&at, "/")).collect();
    assert!(
        others.contains(&"one".to_owned())
            && others.contains(&"two".to_owned())
            && !others.contains(&"spare".to_owned())
    );
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn who_comes_too_often_is_refused() {
    let app = echo("app");
    let imported = Case::new("haproxy/06-rate-limit.cfg").bind("*:80").swap("10.6.0.1:8000", &app).run();
    let at = imported.proxy.at("api");
    let status = |path: &str| ask(&at, "GET", path, "site.test", &[]).status;
    assert_eq!([status("/login"), status("/login"), status("/login")], [200, 200, 429], "of logins two a minute");
    let statuses: Vec<u16> = (0..12).map(|_| status("/")).collect();
    assert!(statuses.starts_with(&[200; 4]) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(imported.unsupported(), ["http-request deny if { sc_http_err_rate(0) gt 50 }"]);
    assert!(imported.line("http_err_rate").opens, "it kept something out");
}

#[test]
fn the_syntax_of_old_is_understood() {
    let old = echo("old");
    let imported = Case::new("haproxy/07-old-syntax.cfg")
        .swap("listen legacy 0.0.0.0:8080", "listen legacy 127.0.0.1:0")
        .swap("10.7.0.1:80", &old)
        .run();
    let at = imported.proxy.at("legacy");
    let response = ask(&at, "GET", "/static/a.css?v=1", "site.test", &["X-Debug: 1", "X-Other: 2"]);
    assert_eq!((response.status, response.field("x-served").as_deref()), (200, Some("here")));
    let seen = old.requests_for("/assets/a.css?v=1").pop().expect("the path is changed");
    assert_eq!(seen.field("x-through").as_deref(), Some("old gate"));
    assert_eq!((seen.field("x-debug"), seen.field("x-other").as_deref()), (None, Some("2")));
    let moved = ask(&at, "GET", "/shop/7?a=b", "site.test", &[]);
    assert_eq!((moved.status, moved.field("location").as_deref()), (301, Some("https://shop.old.test/shop/7?a=b")));
    let home = ask(&at, "GET", "/", "site.test", &[]);
    assert_eq!((home.status, home.field("location").as_deref()), (302, Some("/index.html")));
    assert_eq!(imported.unsupported(), [r"reqideny ^[^:]*\ /private"]);
    assert_eq!((imported.line("reqideny").line, imported.line("reqideny").opens), (26, true));
    assert_eq!(imported.line("contimeout 5000").verdict, "carried");
}

#[test]
fn tls_is_passed_on_by_the_name_that_is_asked_for() {
    use crate::support::secure::{Secure, Speaks};
    let authority = Authority::new("Test");
    let names = ["git.corp.test", "x.apps.corp.test", "h2.corp.test", "rest.test"];
    let target = |name: &str| {
        let made = authority.server(&names, Kind::Ecdsa);
        Secure::echo(name, &Speaks { alpn: &["h2", "http/1.1"], ..Speaks::with(&made) })
    };
    let all = ["git", "apps", "h2only", "rest"].map(target);
    let mut case = Case::new("haproxy/08-sni.cfg").bind("*:443");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.8.0.{}:443", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("tls-in");
    let goes = |name: &str| authority.dial().alpn(&["http/1.1"]).to(&at, name).get("/").target();
    assert_eq!(goes("git.corp.test"), "git");
    assert_eq!(goes("x.apps.corp.test"), "apps");
    assert_eq!(goes("rest.test"), "rest");
    assert_eq!(goes("h2.corp.test"), "rest", "this client offers no h2");
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn maps_on_hosts_and_paths_are_routes() {
    let all = ["shop", "blog", "docs", "other"].map(echo);
    let mut case = Case::new("haproxy/09-maps.cfg")
        .bind("*:80")
        .file(
            "maps/hosts.map",
            "# hosts\nshop.test be_shop\nwww.shop.test be_shop\nblog.test  be_blog\ngone.test be_gone\n",
        )
        .file("maps/paths.map", "/docs be_docs\n/docs/old be_blog\n");
    for (place, one) in all.iter().enumerate() {
        case = case.swap(&format!("10.9.0.{}:80", place + 1), one);
    }
    let imported = case.run();
    let at = imported.proxy.at("maps");
    let goes = |host: &str, path: &str| ask(&at, "GET", path, host, &[]).target();
    assert_eq!((goes("shop.test", "/"), goes("WWW.shop.test", "/")), ("shop".into(), "shop".into()));
    assert_eq!((goes("blog.test", "/"), goes("x.test", "/")), ("blog".into(), "other".into()));
    assert_eq!((goes("shop.test", "/docs/1"), goes("shop.test", "/docs/old/1")), ("docs".into(), "blog".into()));
    assert_eq!(imported.unsupported(), [""; 0]);
    assert!(imported.line("hosts.map").notes.contains("no backend is named `be_gone`"));
}

#[test]
fn headers_paths_and_answers_are_changed_on_the_way() {
    let (api, web) = (echo("api"), echo("web"));
    let imported =
        Case::new("haproxy/10-headers.cfg").bind("*:80").swap("10.10.0.1:80", &api).swap("10.10.0.2:80", &web).run();
    let at = imported.proxy.at("gate");
    let response =
        ask(&at, "GET", "/api/users?page=2", "gate.test", &["X-Internal: 1", "X-Key: secret-key", "X-Via: edge"]);
    assert_eq!(response.target(), "api");
    assert_eq!(response.field("x-frame-options").as_deref(), Some("DENY"));
    assert_eq!((response.field("x-extra").as_deref(), response.field("cache-control")), (Some("a{b}"), None));
    let seen = api.last();
    assert_eq!((seen.path.as_str(), seen.field("host").as_deref()), ("/v1/users?page=2", Some("api.internal")));
    assert_eq!(seen.field("x-client").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.field("x-request-path").as_deref(), Some("GET /api/users"));
    assert_eq!(seen.head.lines("x-via"), ["edge", "gate"]);
    assert_eq!((seen.field("x-internal"), seen.field("x-tier").as_deref()), (None, Some("gold")));
    ask(&at, "GET", "/page", "gate.test", &[]);
    assert_eq!((web.last().path.as_str(), web.last().field("x-tier")), ("/site/page", None));
    let ping = ask(&at, "GET", "/ping", "gate.test", &[]);
    assert_eq!(
        (ping.status, ping.text().as_str(), ping.field("content-type").as_deref()),
        (200, "pong", Some("text/plain"))
    );
    assert_eq!(ask(&at, "GET", "/internal/x", "gate.test", &[]).status, 404);
    let moved = ask(&at, "GET", "/a/b?c", "old.gate.test", &[]);
    assert_eq!((moved.status, moved.field("location").as_deref()), (308, Some("https://new.gate.test/a/b?c")));
    assert_eq!(imported.unsupported(), [""; 0]);
}
