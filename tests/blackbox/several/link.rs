//! The way to the server: who is there, what becomes of requests while it is not, who may come in, and by which way.

use super::{host, is_away, is_up, know_each_other, redis, store, told};
use crate::reload::{reload, rewrite};
use crate::support::client;
use crate::support::load::Load;
use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::servers::{Kind as Which, Server, lend};
use crate::support::tls::{Authority, Kind};
use crate::support::toml::http;
use crate::support::{PATIENCE, Target, eventually, free_port, within};
use std::time::{Duration, Instant};

const AWAY: &str = "redis is away: each host goes on with its last share";

#[test]
fn hosts_hear_of_each_other_and_of_who_leaves() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, mut two) = (host(&target, &server, ""), host(&target, &server, ""));
    know_each_other(&[&one, &two]);
    let (first, second) = (told(&one), told(&two));
    assert_ne!(first["id"], second["id"]);
    assert_eq!((&first["state"], &first["expected"]), (&"up".into(), &2.into()));
    assert_eq!(first["place"], format!("redis://{server}"));
    assert_eq!(one.metric("ringway_store_up", &[]), 1.0);
    assert_eq!(one.metric("ringway_store_hosts", &[]), 2.0);
    assert_eq!(one.metric("ringway_store_failures_total", &[]), 0.0);
    assert!(one.metric("ringway_store_calls_total", &[]) > 0.0);
    one.log.wait(&["redis is there"]);
    let (_, shown, _) = ringway(&["status", "--admin", &one.admin()]);
    let (name, id) = (first["hosts"][0]["name"].as_str().unwrap(), |told: &serde_json::Value| {
        told["id"].as_str().unwrap().to_owned()
    });
    assert!(shown.contains("2 of 2 hosts: "), "{shown}");
    assert!(shown.contains(&format!("{name} {} (this one)", id(&first))) && shown.contains(&id(&second)), "{shown}");
    two.signal(libc::SIGTERM);
    two.exit();
    know_each_other(&[&one]);
    let keys: Vec<String> = redis(&server, &["KEYS", "*"]);
    assert!(keys.iter().all(|key| key.starts_with("ringway:")), "{keys:?}");
    let (_, shown, _) = ringway(&["status", "--admin", &one.admin()]);
    let line = format!("store redis://{server}  up for ");
    assert!(shown.contains(&line) && shown.contains("1 of 2 hosts"), "{shown}");
}

/// The slowest of some requests.
fn slowest(proxy: &Proxy) -> Duration {
    let ask = |_| {
        let begun = Instant::now();
        assert_eq!(client::get(&proxy.web(), "/").status, 200);
        begun.elapsed()
    };
    (0..20).map(ask).max().unwrap()
}

#[test]
fn no_request_fails_or_waits_while_the_server_is_killed_and_frozen_and_it_is_told_once() {
    let (mut server, target) = (Server::redis(&[]), Target::echo("a"));
    let proxy = host(&target, &server, "");
    is_up(&proxy);
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(1));
    load.more(100);
    server.kill();
    is_away(&proxy);
    assert_eq!(proxy.metric("ringway_store_up", &[]), 0.0);
    let (_, shown, _) = ringway(&["status", "--admin", &proxy.admin()]);
    assert!(shown.contains("hosts when it was up"), "{shown}");
    let headline = proxy.ask_admin("GET", "/v1/headline").text();
    assert!(headline.contains("Redis is away"), "{headline}");
    load.more(100);
    server.revive();
    is_up(&proxy);
    proxy.log.wait(&["redis is back"]);
    server.freeze();
    is_away(&proxy);
    assert!(told(&proxy)["trouble"].as_str().unwrap().contains("within"), "{}", told(&proxy));
    assert!(slowest(&proxy) < Duration::from_millis(250), "a request waits for nobody");
    load.more(100);
    server.thaw();
    is_up(&proxy);
    load.more(100);
    load.stop().assert_clean();
    assert_eq!((proxy.log.count(&[AWAY]), proxy.log.count(&["redis is back"])), (2, 2), "{:#?}", proxy.log);
    assert!(proxy.metric("ringway_store_failures_total", &[]) > 0.0);
}

#[test]
fn a_host_starts_without_the_server_and_finds_it_when_it_comes() {
    let (mut server, target) = (Server::redis(&[]), Target::echo("a"));
    server.kill();
    let proxy = host(&target, &server, "");
    is_away(&proxy);
    assert_eq!(proxy.get("/").status, 200);
    server.revive();
    is_up(&proxy);
    assert_eq!(told(&proxy)["trouble"], serde_json::Value::Null);
}

#[test]
fn who_has_the_wrong_password_is_told_so_and_nobody_is_told_the_password() {
    let server = Server::redis(&["--requirepass", "open-sesame"]);
    let target = Target::echo("a");
    let setup = Setup::new("");
    let file = setup.directory().join("password");
    std::fs::write(&file, "shut-sesame\n").unwrap();
    let proxy = setup.with(http(&[&target]) + &store(&server, "password_file = \"password\"")).start();
    is_away(&proxy);
    assert!(told(&proxy)["trouble"].as_str().unwrap().contains("authentication failed"), "{}", told(&proxy));
    assert_eq!(proxy.get("/").status, 200);
    std::fs::write(&file, "open-sesame\n").unwrap();
    reload(&proxy, "applied");
    is_up(&proxy);
    let address = server.to_string();
    rewrite(&proxy, |text| {
        text.replace("password_file = \"password\"", "").replace(&address, &format!(":open-sesame@{address}"))
    });
    reload(&proxy, "applied");
    let calls = || proxy.metric("ringway_store_calls_total", &[]);
    let before = calls();
    eventually("it goes on with another connection", || calls() > before);
    is_up(&proxy);
    let plan = proxy.ask_admin("GET", "/v1/plan").text();
    assert!(plan.contains(&format!("redis://{address}")), "{plan}");
    let reloads = proxy.ask_admin("GET", "/v1/reloads").text();
    let said = format!("{plan}{reloads}{}{:#?}", told(&proxy), proxy.log);
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn a_reload_changes_the_server_and_does_without_one() {
    let (one, two, target) = (Server::redis(&[]), Server::redis(&[]), Target::echo("a"));
    let proxy = host(&target, &one, "");
    is_up(&proxy);
    rewrite(&proxy, |text| text.replace(&one.to_string(), &two.to_string()));
    reload(&proxy, "applied");
    eventually("it is at the other", || told(&proxy)["place"] == format!("redis://{two}"));
    is_up(&proxy);
    let clients = |server: &Server| {
        let list: String = redis(server, &["CLIENT", "LIST"]);
        list.lines().filter(|line| line.contains("cmd=eval")).count()
    };
    eventually("it has left the first", || (clients(&one), clients(&two)) == (0, 1));
    rewrite(&proxy, |text| text.split("[store.redis]").next().unwrap().to_owned() + "[access_log]\n");
    reload(&proxy, "applied");
    eventually("it has left both", || (clients(&one), clients(&two)) == (0, 0));
    assert_eq!(told(&proxy), serde_json::Value::Null);
    assert!(!proxy.metrics().contains("ringway_store_"));
}

#[test]
fn a_socket_and_tls_are_ways_to_the_server_and_a_stranger_is_none() {
    let (authority, folder, target) = (Authority::new("ca"), Directory::new(), Target::echo("a"));
    let keys = Directory::new();
    authority.server(&["localhost"], Kind::Ecdsa).write(keys.path(), "server");
    lend(keys.path());
    let at = |name: &str| keys.path().join(name).display().to_string();
    let socket = folder.path().join("r.sock").display().to_string();
    let (cert, key, port) = (at("server.pem"), at("server.key"), free_port().to_string());
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let options =
        ["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file"];
    let more = [&key, "--tls-auth-clients", "no", "--unixsocket", &socket, "--unixsocketperm", "777"];
    let _server = Server::with(Which::Redis, &[&options[..], &more].concat());
    let by = |keys: &str| Setup::new(http(&[&target]) + "\n[store.redis]\ntimeout = \"2s\"\n" + keys).start();
    is_up(&by(&format!("url = \"unix:{socket}?db=3\"")));
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let trusted = folder.path().join("ca.pem").display().to_string();
    is_up(&by(&format!("url = \"rediss://localhost:{port}\"\nca = \"{trusted}\"")));
    let stranger = Authority::new("stranger");
    std::fs::write(folder.path().join("ca.pem"), stranger.pem()).unwrap();
    let proxy = by(&format!("url = \"rediss://localhost:{port}\"\nca = \"{trusted}\""));
    assert!(within(PATIENCE, || told(&proxy)["trouble"].as_str().is_some_and(|why| why.contains("certificate"))));
}
