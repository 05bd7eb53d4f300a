//! Clients that are noted in a table: by address, and by what targets tell them.

use super::{config, echoes, named, start};
use crate::reload::{reload, rewrite};
use crate::support::client::{Client, Response};
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Proxy, Target, eventually};

/// Whom a client at `ip` comes to, over a connection of its own.
fn from(proxy: &Proxy, ip: &str) -> String {
    Client::from(ip, &proxy.web()).get("/").target()
}

fn clients() -> Vec<String> {
    (1..=12).map(|n| format!("127.0.9.{n}")).collect()
}

/// Clients by their addresses, with the targets that they belong to.
#[track_caller]
fn assert_stay(proxy: &Proxy, before: &[String]) {
    for (client, target) in clients().iter().zip(before) {
        assert_eq!(from(proxy, client), *target, "{client}");
    }
}

/// lb-services: over several connections and workers, a reload, and a new process.
#[test]
fn a_client_stays_by_its_address_over_workers_reloads_and_upgrades() {
    let targets = echoes(3);
    let mut proxy = start(&targets, "source = true");
    let before: Vec<String> = clients().iter().map(|client| from(&proxy, client)).collect();
    assert!((0..3).all(|n| before.contains(&format!("t{n}"))), "they are spread: {before:?}");
    for _ in 0..3 {
        assert_stay(&proxy, &before);
    }
    proxy.settles("ringway_target_sticky_entries", &[], 12.0);
    rewrite(&proxy, |text| {
        text.replace("round-robin", "random").replace("source = true", "source = true, size = 5000")
    });
    reload(&proxy, "applied");
    assert_stay(&proxy, &before);
    assert_eq!(proxy.metric("ringway_pool_sticky_size", &[]), 5000.0);
    proxy.upgrade();
    let kept = before.iter().filter(|target| *target == "t1").count() as f64;
    eventually("the new process counts those that it serves; the old one may serve some still", || {
        assert_stay(&proxy, &before);
        proxy.metric("ringway_target_sticky_total", &[("target", &targets[1].to_string())]) >= kept
    });
}

#[test]
fn as_many_bits_of_an_address_as_are_wanted_make_a_client() {
    let targets = echoes(4);
    let proxy = start(&targets, "source = true, ipv4_prefix = 24");
    let first = from(&proxy, "127.0.7.1");
    for n in 2..8 {
        assert_eq!(from(&proxy, &format!("127.0.7.{n}")), first);
    }
    proxy.settles("ringway_target_sticky_entries", &[], 1.0);
}

#[test]
fn whom_a_trusted_proxy_names_is_the_client() {
    let targets = echoes(3);
    let pool = "balance = \"round-robin\"\nsticky = { source = true }";
    let proxy = Proxy::start(http_with("trusted_proxies = [\"127.0.0.0/8\"]", &targets, pool));
    let ask = |client: &str| proxy.client().ask("GET", "/", &[&format!("X-Forwarded-For: {client}")]).target();
    let one = ask("192.0.2.1");
    assert_ne!(ask("192.0.2.2"), one);
    assert_eq!(ask("192.0.2.1"), one);
    assert_eq!(ask("2001:db8::1"), ask("2001:db8::2"), "a /64 is one client");
}

#[test]
fn clients_of_a_target_that_is_lost_share_another_one_and_do_not_wander_back() {
    let mut targets = echoes(2);
    let proxy = start(&targets, "source = true");
    let first = from(&proxy, "127.0.0.1");
    let at = targets.iter().position(|target| target.name() == first).unwrap();
    targets[at].kill();
    let moved = from(&proxy, "127.0.0.1");
    assert_ne!(moved, first);
    targets[at].revive();
    for _ in 0..4 {
        assert_eq!(from(&proxy, "127.0.0.1"), moved);
    }
    proxy.settles("ringway_pool_sticky_total", &[("result", "moved")], 1.0);
    proxy.settles("ringway_pool_sticky_total", &[("result", "kept")], 4.0);
}

#[test]
fn what_nobody_asks_for_expires() {
    let targets = echoes(1);
    let proxy = start(&targets, "source = true, expire = \"1s\"");
    from(&proxy, "127.0.0.1");
    proxy.settles("ringway_target_sticky_entries", &[], 0.0);
}

#[test]
fn a_table_that_is_full_forgets_and_says_so() {
    let targets = echoes(1);
    let pool = "sticky = { source = true, size = 100 }";
    let proxy = Proxy::start(http_with("trusted_proxies = [\"127.0.0.0/8\"]", &targets, pool));
    let mut client = proxy.client();
    for n in 0..1000 {
        client.ask("GET", "/", &[&format!("X-Forwarded-For: 10.0.{}.{}", n / 250, n % 250)]);
    }
    let entries = proxy.metric("ringway_target_sticky_entries", &[]);
    let evictions = proxy.metric("ringway_pool_sticky_evictions_total", &[]);
    assert!((100.0..=160.0).contains(&entries) && entries + evictions == 1000.0, "{entries} and {evictions}");
}

/// An application with sessions, which it starts for whoever asks for `/login`.
fn application(name: &str) -> Target {
    let own = name.to_owned();
    Target::with(name, move |peer| {
        while let Some(seen) = peer.request() {
            let (cookie, header) =
                (format!("Set-Cookie: SID=s-{own}-{}; Path=/", seen.path.len()), format!("X-Session: h-{own}"));
            let fields: &[&str] = match &seen.path[..] {
                path if path.starts_with("/login") => &[&cookie],
                "/header" => &[&header],
                _ => &[],
            };
            peer.reply(200, fields, b"x");
        }
    })
}

fn session(response: &Response) -> String {
    let cookie = response.field("set-cookie").expect("a session");
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_session_leads_back_to_the_target_that_began_it() {
    let targets: Vec<Target> = (0..3).map(|n| application(&format!("t{n}"))).collect();
    let mut proxy = start(&targets, "learn = { cookie = \"SID\", header = \"X-Session\", query = \"sid\" }");
    let sessions: Vec<(String, String)> = (0..6)
        .map(|n| {
            let response = proxy.get(&format!("/login{}", "x".repeat(n)));
            (session(&response), response.target())
        })
        .collect();
    let assert_stay = |proxy: &Proxy| {
        for (session, target) in &sessions {
            let mut client = proxy.client();
            let found = client.ask("GET", "/", &[&format!("Cookie: a=1; {session}")]);
            assert_eq!(found.target(), *target, "{session} by cookie");
            let seen = named(&targets, target).last().field("cookie");
            assert_eq!(seen, Some(format!("a=1; {session}")), "it is the application's");
            let query = format!("/?a=b&{}", session.replace("SID=", "sid="));
            assert_eq!(client.get(&query).target(), *target, "{session} by query");
        }
    };
    assert_stay(&proxy);
    let header = proxy.get("/header");
    let value = header.field("x-session").unwrap();
    for _ in 0..3 {
        let found = proxy.client().ask("GET", "/", &[&format!("X-SESSION: {value}")]);
        assert_eq!(found.target(), header.target(), "by header");
    }
    proxy.upgrade();
    assert_stay(&proxy);
}

#[test]
fn a_session_that_nobody_knows_stays_with_whoever_answers_it() {
    let targets: Vec<Target> = (0..3).map(|n| application(&format!("t{n}"))).collect();
    let proxy = start(&targets, "learn = { cookie = \"SID\" }");
    let ask = || proxy.client().ask("GET", "/", &["Cookie: SID=from-before"]).target();
    let first = ask();
    for _ in 0..4 {
        assert_eq!(ask(), first);
    }
    assert_eq!(proxy.metric("ringway_pool_sticky_total", &[("result", "unknown")]), 1.0);
    let spread: Vec<String> = (0..3).map(|_| proxy.client().ask("GET", "/", &["Cookie: SID="]).target()).collect();
    assert!(spread.iter().any(|target| *target != spread[0]), "no session is no session: {spread:?}");
}

/// Whom a connection from `ip` comes to.
fn greeted(proxy: &Proxy, ip: &str) -> String {
    let mut client = Client::from(ip, &proxy.web());
    String::from_utf8(client.exact(2).expect("a greeting")).unwrap()
}

#[test]
fn connections_from_one_address_come_to_one_target() {
    let mut targets: Vec<Target> = (0..3).map(|n| Target::greets(&format!("t{n}"))).collect();
    let proxy = Proxy::start(tcp_with("", &targets, "balance = \"round-robin\"\nsticky = { source = true }"));
    let clients: Vec<String> = (1..=6).map(|n| format!("127.0.8.{n}")).collect();
    let before: Vec<String> = clients.iter().map(|client| greeted(&proxy, client)).collect();
    assert!(before.iter().any(|target| *target != before[0]), "{before:?}");
    for (client, target) in clients.iter().zip(&before) {
        assert_eq!(greeted(&proxy, client), *target);
    }
    proxy.settles("ringway_pool_sticky_total", &[("result", "kept")], 6.0);
    let at = targets.iter().position(|target| target.name() == before[0]).unwrap();
    targets[at].kill();
    let moved = greeted(&proxy, &clients[0]);
    assert_ne!(moved, before[0]);
    targets[at].revive();
    assert_eq!(greeted(&proxy, &clients[0]), moved);
}

#[test]
fn a_strict_pool_refuses_a_connection_that_belongs_elsewhere() {
    let targets: Vec<Target> = (0..2).map(|n| Target::greets(&format!("t{n}"))).collect();
    let health = "health = { type = \"tcp\", interval = \"100ms\", fall = 1, rise = 1 }\n";
    let proxy = Proxy::start(tcp_with("", &targets, &format!("{health}sticky = {{ source = true, strict = true }}\n")));
    let first = greeted(&proxy, "127.0.0.1");
    let target = named(&targets, &first);
    target.kill();
    proxy.settles("ringway_target_up", &[("target", &target.to_string())], 0.0);
    assert!(Client::is_refused(&proxy.web()), "it is reset");
    proxy.settles("ringway_pool_errors_total", &[("kind", "sticky-target")], 1.0);
}

#[test]
fn other_keys_begin_with_an_empty_table() {
    let targets = echoes(2);
    let proxy = Proxy::start(config(&targets, "source = true"));
    from(&proxy, "127.0.0.1");
    proxy.settles("ringway_target_sticky_entries", &[], 1.0);
    rewrite(&proxy, |text| text.replace("source = true", "source = true, ipv4_prefix = 16"));
    reload(&proxy, "applied");
    assert_eq!(proxy.metric("ringway_target_sticky_entries", &[]), 0.0);
}

/// lb-services: services with tables of their own, in which the same key may lead to different targets.
#[test]
fn pools_note_the_same_session_each_for_itself() {
    let (ours, others) = (echoes(3), echoes(3));
    let list: Vec<String> = others.iter().map(|target| format!("\"{target}\"")).collect();
    let other = format!(
        "balance = \"round-robin\"\nsticky = {{ learn = {{ cookie = \"SID\" }} }}\ntargets = [{}]",
        list.join(", ")
    );
    let config = config(&ours, "learn = { cookie = \"SID\" }")
        + &format!("\n[routes.other]\npaths = [\"/other/\"]\npool = \"other\"\n[pools.other]\n{other}\n");
    let proxy = Proxy::start(config);
    let ask = |path: &str, n: usize| proxy.client().ask("GET", path, &[&format!("Cookie: SID=s{n}")]).target();
    let places = |path: &str| -> Vec<String> { (0..6).map(|n| ask(path, n)).collect() };
    let here = places("/");
    let there = places("/other/");
    for _ in 0..2 {
        assert_eq!((places("/"), places("/other/")), (here.clone(), there.clone()));
    }
    assert_eq!(proxy.metric("ringway_pool_sticky_total", &[("pool", "site"), ("result", "kept")]), 12.0);
    assert_eq!(proxy.metric("ringway_target_sticky_entries", &[("pool", "other")]), 6.0);
}
