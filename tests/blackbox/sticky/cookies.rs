//! The cookie that Ringway sets: who gets it, whom it leads to, and when it does not count.

use super::{config, echoes, named, set, start, with_cookie};
use crate::reload::{reload, rewrite};
use crate::support::client::request;
use crate::support::proxy::Setup;
use crate::support::tls::listener;
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, eventually, h2};
use crate::tls::Edge;
use crate::upgrade::{ask, websocket};
use http::Method;

#[test]
fn a_client_stays_with_its_target_which_never_sees_the_cookie() {
    let targets = echoes(3);
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let first = with_cookie(&mut proxy.client(), "a=1; b=\"2\"");
    let value = set(&first).expect("a cookie is set");
    assert_eq!(
        first.head.lines("set-cookie"),
        [format!("RWSRV={value}; Path=/; HttpOnly; SameSite=Lax")],
        "and no more than that"
    );
    assert_eq!(first.field("cache-control").as_deref(), Some("private"));
    assert!(value.len() == 12 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{value}");
    let target = named(&targets, &first.target());
    assert_eq!(target.last().field("cookie").as_deref(), Some("a=1; b=\"2\""));
    for n in 0..8 {
        let response = with_cookie(&mut proxy.client(), &format!("a=1; RWSRV={value}; b={n}"));
        assert_eq!(response.target(), first.target());
        assert_eq!((set(&response), response.field("cache-control")), (None, None), "nothing is said twice");
        assert_eq!(target.last().field("cookie"), Some(format!("a=1; b={n}")));
    }
    with_cookie(&mut proxy.client(), &format!("RWSRV={value}"));
    assert_eq!(target.last().head.lines("cookie"), [""; 0], "no line is left where nothing else was in it");
    let others: Vec<String> = (0..3).map(|_| proxy.get("/").target()).collect();
    assert!(others.iter().any(|other| *other != first.target()), "who comes without it goes where its turn is");
    proxy.settles("ringway_pool_sticky_total", &[("result", "kept")], 9.0);
    proxy.settles("ringway_pool_sticky_total", &[("result", "new")], 4.0);
    proxy.settles("ringway_target_sticky_total", &[("target", &target.to_string())], 9.0);
}

#[test]
fn the_cookie_counts_over_reloads_restarts_and_hosts() {
    let targets = echoes(3);
    let one = start(&targets, "cookie = \"RWSRV\"");
    let first = one.get("/");
    let value = set(&first).unwrap();
    rewrite(&one, |text| text.replace("round-robin", "least-conn"));
    reload(&one, "applied");
    let mut turned: Vec<&Target> = targets.iter().collect();
    turned.rotate_left(1);
    let other = Proxy::start(http_with("", &turned, "sticky = { cookie = \"RWSRV\" }"));
    for proxy in [&one, &other] {
        for _ in 0..4 {
            let response = with_cookie(&mut proxy.client(), &format!("RWSRV={value}"));
            assert_eq!((response.target(), set(&response)), (first.target(), None));
        }
    }
}

#[test]
fn hosts_that_share_a_secret_know_each_others_cookies_and_others_do_not() {
    let targets = echoes(3);
    let host = |secret: &str| {
        let setup = Setup::new(config(&targets, "cookie = \"RWSRV\", secret_file = \"secret\""));
        std::fs::write(setup.directory().join("secret"), secret).unwrap();
        setup.start()
    };
    let (one, same, another) = (host("0123456789abcdef"), host(" 0123456789abcdef\n"), host("another secret of us"));
    let (open, first) = (start(&targets, "cookie = \"RWSRV\""), one.get("/"));
    let value = format!("RWSRV={}", set(&first).unwrap());
    for _ in 0..3 {
        assert_eq!(with_cookie(&mut same.client(), &value).target(), first.target());
    }
    for stranger in [&another, &open] {
        let response = with_cookie(&mut stranger.client(), &value);
        assert!(set(&response).is_some_and(|set| !value.ends_with(&set)), "it names no target there");
    }
}

#[test]
fn a_client_whose_target_is_gone_belongs_to_another_one_from_then_on() {
    let targets = echoes(2);
    let proxy = Proxy::start(config(&targets, "cookie = \"RWSRV\"") + "\n[access_log]\nformat = \"haproxy\"\n");
    let first = proxy.get("/");
    named(&targets, &first.target()).kill();
    let moved = with_cookie(&mut proxy.client(), &format!("RWSRV={}", set(&first).unwrap()));
    assert_eq!(moved.status, 200);
    assert_ne!(moved.target(), first.target());
    let value = set(&moved).expect("it is told where it belongs now");
    let again = with_cookie(&mut proxy.client(), &format!("RWSRV={value}"));
    assert_eq!((again.target(), set(&again)), (moved.target(), None));
    with_cookie(&mut proxy.client(), "RWSRV=10.0.0.1:80");
    for letters in ["--NI", "--DI", "--VN", "--II"] {
        proxy.out.wait(&[&format!(" - - {letters} ")]);
    }
    for (result, count) in [("new", 1.0), ("moved", 1.0), ("kept", 1.0), ("unknown", 1.0)] {
        proxy.settles("ringway_pool_sticky_total", &[("result", result)], count);
    }
}

#[test]
fn a_strict_pool_sends_a_client_nowhere_else() {
    let targets = echoes(2);
    let health = "balance = \"round-robin\"\nhealth = { type = \"tcp\", interval = \"100ms\", fall = 1, rise = 1 }\n";
    let pool = format!("{health}sticky = {{ cookie = \"RWSRV\", strict = true }}\n");
    let proxy = Proxy::start(http_with("", &targets, &pool) + "[access_log]\n");
    let first = proxy.get("/");
    let target = named(&targets, &first.target());
    let value = format!("RWSRV={}", set(&first).unwrap());
    target.kill();
    proxy.settles("ringway_target_up", &[("target", &target.to_string())], 0.0);
    let refused = with_cookie(&mut proxy.client(), &value);
    assert_eq!((refused.status, set(&refused)), (503, None));
    let line = proxy.out.wait(&["\"reason\":\"sticky-target\""]);
    assert!(line.contains("\"termination\":\"SCD-\""), "{line}");
    proxy.settles("ringway_pool_sticky_total", &[("result", "refused")], 1.0);
    proxy.settles("ringway_pool_errors_total", &[("kind", "sticky-target")], 1.0);
    assert_eq!(proxy.get("/").status, 200, "who belongs nowhere goes where it can");
}

#[test]
fn a_target_that_drains_keeps_its_users_and_gets_no_others() {
    let targets = echoes(2);
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let first = proxy.get("/");
    let value = format!("RWSRV={}", set(&first).unwrap());
    let drained = named(&targets, &first.target());
    let mut open = proxy.client();
    assert_eq!(with_cookie(&mut open, &value).target(), first.target());
    rewrite(&proxy, |text| {
        text.replace(&format!("\"{drained}\""), &format!("{{ address = \"{drained}\", weight = 0 }}"))
    });
    reload(&proxy, "applied");
    for _ in 0..6 {
        assert_ne!(proxy.get("/").target(), first.target(), "nobody new comes");
        let response = with_cookie(&mut proxy.client(), &value);
        assert_eq!((response.target(), set(&response)), (first.target(), None), "who belongs there stays");
    }
    assert_eq!(with_cookie(&mut open, &value).target(), first.target());
}

#[test]
fn a_user_of_a_backup_stays_there() {
    let mut targets = echoes(2);
    let (primary, backup) = (targets[0].to_string(), targets[1].to_string());
    let pool = config(&targets, "cookie = \"RWSRV\"")
        .replace(&format!("\"{backup}\""), &format!("{{ address = \"{backup}\", backup = true }}"));
    let proxy = Proxy::start(pool);
    targets[0].kill();
    let first = proxy.get("/");
    assert_eq!(first.target(), "t1");
    targets[0].revive();
    assert_eq!(targets[0].to_string(), primary);
    eventually("the primary works again", || proxy.get("/").target() == "t0");
    assert_eq!(with_cookie(&mut proxy.client(), &format!("RWSRV={}", set(&first).unwrap())).target(), "t1");
}

#[test]
fn no_cache_that_is_shared_gets_to_keep_a_cookie() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let said = format!("Cache-Control: {}", seen.field("x-say").unwrap_or_default());
            peer.reply(200, &[&said], b"x");
        }
    });
    let proxy = start(std::slice::from_ref(&target), "cookie = \"RWSRV\"");
    let mut client = proxy.client();
    let mut says = |said: &str| client.ask("GET", "/", &[&format!("X-Say: {said}")]).field("cache-control").unwrap();
    assert_eq!(says("public, max-age=60"), "public, max-age=60, private");
    assert_eq!(says("max-age=60, private=\"x\""), "max-age=60, private=\"x\", private");
    assert_eq!(says("max-age=60, Private"), "max-age=60, Private");
    assert_eq!(says("no-store"), "no-store");
}

#[test]
fn over_tls_it_goes_over_tls_alone() {
    let edge = Edge::new();
    let targets = echoes(1);
    let setup = edge.setup;
    let pool = "balance = \"round-robin\"\nsticky = { cookie = \"RWSRV\" }";
    let proxy = setup.with(http_with(&listener(&["site"], ""), &targets, pool)).start();
    let secure = edge.authority.dial().to(&proxy.web(), "site.test").get("/");
    assert!(secure.head.lines("set-cookie")[0].ends_with("; Secure"), "{:?}", secure.head);
    let proxy = Proxy::start(http_with("trusted_proxies = [\"127.0.0.0/8\"]", &targets, pool));
    for (said, is_secure) in [("https", true), ("http", false)] {
        let response = proxy.client().ask("GET", "/", &[&format!("X-Forwarded-Proto: {said}")]);
        assert_eq!(response.head.lines("set-cookie")[0].ends_with("; Secure"), is_secure, "{said}");
    }
    let proxy = Proxy::start(http_with("", &targets, pool));
    let response = proxy.client().ask("GET", "/", &["X-Forwarded-Proto: https"]);
    assert!(!response.head.lines("set-cookie")[0].ends_with("; Secure"), "anybody can say so");
}

#[test]
fn its_attributes_are_what_the_configuration_says() {
    let targets = echoes(1);
    let proxy = start(
        &targets,
        "cookie = \"RWSRV\", domain = \"site.test\", max_age = \"1h\", same_site = \"none\", http_only = false",
    );
    let line = proxy.get("/").field("set-cookie").unwrap();
    let (_, attributes) = line.split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; Domain=site.test; Max-Age=3600; SameSite=None; Secure");
}

#[test]
fn a_cookie_that_is_too_old_counts_no_more() {
    let targets = echoes(3);
    let sticky = "cookie = \"RWSRV\", max_idle = \"10m\", max_life = \"1h\"";
    let proxy = Proxy::start(config(&targets, sticky) + "\n[access_log]\nformat = \"haproxy\"\n");
    let first = proxy.get("/");
    let value = set(&first).unwrap();
    let parts: Vec<&str> = value.split('.').collect();
    let [name, last, since] = parts[..] else { panic!("{value} has no dates") };
    let now: u64 = last.parse().unwrap();
    assert_eq!(last, since);
    let ask = |last: u64, since: u64| with_cookie(&mut proxy.client(), &format!("RWSRV={name}.{last}.{since}"));
    let fresh = ask(now, now - 1800);
    assert_eq!((fresh.target(), set(&fresh)), (first.target(), None));
    let stale = ask(now - 300, now - 1800);
    let renewed = set(&stale).expect("its date is old");
    assert_eq!(stale.target(), first.target());
    assert!(renewed.ends_with(&format!(".{}", now - 1800)) && renewed.starts_with(name), "{renewed}");
    for (last, since) in [(now - 700, now - 1800), (now, now - 4000)] {
        let value = set(&ask(last, since)).expect("a new one");
        let (last, since) = value.rsplit_once('.').unwrap();
        assert!(last.ends_with(since), "{value} begins anew");
    }
    for letters in ["--NI", "--VN", "--VU", "--EI", "--OI"] {
        proxy.out.wait(&[&format!(" - - {letters} ")]);
    }
}

/// A client of HTTP/2 may send each cookie in a field of its own (RFC 9113 §8.2.3).
#[test]
fn over_h2_it_is_found_in_any_field_and_targets_get_one_line() {
    let targets = echoes(3);
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let first = proxy.get("/");
    let ours = format!("RWSRV={}", set(&first).unwrap());
    let client = h2::Client::to(&proxy.web());
    let target = named(&targets, &first.target());
    let crumbs: Vec<String> = (0..40).map(|n| format!("c{n}={n}")).collect();
    for fields in [vec![ours.clone()], vec!["a=1".into(), "b=\u{e9}".into(), ours.clone(), "c=2".into()], {
        let mut all = crumbs.clone();
        all.insert(20, ours.clone());
        all
    }] {
        let mut request = h2::request(Method::GET, "/");
        for field in &fields {
            request.headers_mut().append("cookie", http::HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        let answer = client.ask(request, b"").unwrap();
        assert_eq!(answer.fields["x-target"], first.target());
        assert!(!answer.fields.contains_key("set-cookie"));
        let rest: Vec<&str> = fields.iter().filter(|field| **field != ours).map(String::as_str).collect();
        let seen = target.last();
        match rest.is_empty() {
            true => assert_eq!(seen.field("cookie"), None),
            false => assert_eq!(seen.head.lines("cookie"), [rest.join("; ")]),
        }
    }
    let answer = client.get("/");
    assert!(answer.fields["set-cookie"].to_str().unwrap().starts_with("RWSRV="));
}

#[test]
fn a_websocket_is_told_where_it_belongs_too() {
    let targets = [websocket(), websocket()];
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let response = ask(&mut proxy.client());
    let value = set(&response).expect("the answer to the handshake sets it");
    assert_eq!((response.status, response.field("cache-control")), (101, None));
    let owner = targets.iter().find(|target| target.requests() > 0).unwrap();
    for _ in 0..3 {
        let mut client = proxy.client();
        let cookie = format!("Cookie: RWSRV={value}");
        client.send(request(
            "GET",
            "/chat",
            &[
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                &cookie,
            ],
        ));
        assert_eq!(set(&client.response()), None);
    }
    assert_eq!(owner.requests(), 4, "all of them went to one");
}

#[test]
fn explain_says_where_a_client_belongs() {
    let targets = echoes(2);
    let proxy = start(&targets, "cookie = \"RWSRV\"");
    let first = proxy.get("/");
    let target = named(&targets, &first.target()).to_string();
    let file = proxy.config_file();
    let explain = |cookie: &str| {
        let (url, header) = (format!("http://site.test:{}/", proxy.web().rsplit_once(':').unwrap().1), cookie);
        let mut arguments = vec!["explain", "-c", file.to_str().unwrap(), "-H", header, &url];
        if cookie.is_empty() {
            arguments.drain(3..5);
        }
        let (code, out, err) = crate::support::proxy::ringway(&arguments);
        assert_eq!(code, Some(0), "{err}");
        out
    };
    let out = explain("");
    assert!(out.contains("sticky     cookie RWSRV") && out.contains("the answer sets it"), "{out}");
    let out = explain(&format!("Cookie: RWSRV={}; a=1", set(&first).unwrap()));
    assert!(out.contains(&format!("> {target}")) && out.contains("where the client belongs"), "{out}");
    assert!(out.contains("+ Cookie: a=1") && out.contains("- Cookie: RWSRV="), "{out}");
    assert!(explain("Cookie: RWSRV=x").contains("what it comes with names no target"));
}

/// The configuration is the same, and yet a reload finds something to do.
#[test]
fn a_secret_that_has_changed_counts_from_the_next_reload_on() {
    let targets = echoes(3);
    let setup = Setup::new(config(&targets, "cookie = \"RWSRV\", secret_file = \"secret\""));
    let secret = setup.directory().join("secret");
    std::fs::write(&secret, "0123456789abcdef").unwrap();
    let proxy = setup.start();
    let reloads = |result: &str| proxy.metric("ringway_config_reloads_total", &[("result", result)]);
    let first = proxy.get("/");
    let value = format!("RWSRV={}", set(&first).unwrap());
    let is_known = || set(&with_cookie(&mut proxy.client(), &value)).is_none();
    std::fs::write(&secret, "another secret of us").unwrap();
    assert!(is_known(), "nothing is read without a reload");
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_config_reloads_total", &[("result", "applied")], 1.0);
    proxy.log.wait(&["~ pools.site.sticky.secret_file: (what the file had) → (what it has now)"]);
    assert!(!is_known(), "it was named by another secret");
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_config_reloads_total", &[("result", "unchanged")], 1.0);
    std::fs::write(&secret, "short").unwrap();
    proxy.signal(libc::SIGHUP);
    eventually("what cannot be used changes nothing", || reloads("failed") == 1.0);
    assert_eq!(proxy.get("/").status, 200);
    assert!(!proxy.log.contains(&["another secret"]));
}
