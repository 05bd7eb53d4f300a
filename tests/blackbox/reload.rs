//! A new configuration for a process that runs: what changes, what goes on, and what a fault leaves as it was.

use crate::support::client::{self, Client};
use crate::support::load::Load;
use crate::support::proxy::{Proxy, Setup};
use crate::support::target::Target;
use crate::support::{PATIENCE, eventually, free_port, rounds};
use std::thread;
use std::time::{Duration, Instant};

/// The configuration lies where the proxy reads it again.
pub fn rewrite(proxy: &Proxy, change: impl Fn(&str) -> String) {
    let path = proxy.config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    // As editors do it: a reload that is under way must not find half a file.
    let draft = path.with_extension("draft");
    std::fs::write(&draft, change(&text)).unwrap();
    std::fs::rename(&draft, &path).unwrap();
}

/// Sends SIGHUP and waits until the reload has had its end.
#[track_caller]
pub fn reload(proxy: &Proxy, result: &str) {
    let before = proxy.metric("ringway_config_reloads_total", &[("result", result)]);
    proxy.signal(libc::SIGHUP);
    eventually(&format!("a reload is {result}"), || {
        proxy.metric("ringway_config_reloads_total", &[("result", result)]) > before
    });
}

fn two(a: &Target, b: &Target) -> String {
    format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n[pools.site]\ntargets = [\"{}\"]\n[pools.other]\ntargets = [\"{}\"]\n",
        a.address, b.address
    )
}

#[test]
fn a_connection_goes_by_the_new_plan_from_its_next_request_on() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Proxy::start(two(&a, &b));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").target(), "a");
    rewrite(&proxy, |text| text.replace("pool = \"site\"", "pool = \"other\""));
    reload(&proxy, "applied");
    assert_eq!(kept.get("/").target(), "b");
    assert!(kept.alive(), "a reload ends no connection");
    assert_eq!(proxy.metric("ringway_config_plan_number", &[]), 2.0);
    proxy.log.wait(&["plan 2 is in force", "~ listeners.web.pool: \"site\" → \"other\""]);
}

#[test]
fn a_configuration_with_a_fault_changes_nothing_and_says_why() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Proxy::start(two(&a, &b));
    rewrite(&proxy, |text| text.replace("pool = \"site\"", "pool = \"sight\""));
    reload(&proxy, "failed");
    assert_eq!(proxy.get("/").target(), "a");
    assert_eq!(proxy.metric("ringway_config_last_reload_successful", &[]), 0.0);
    proxy.log.wait(&["the reload failed", "`sight`", "site"]);
    rewrite(&proxy, |text| text.replace("sight", "site"));
    reload(&proxy, "unchanged");
    assert_eq!(proxy.metric("ringway_config_last_reload_successful", &[]), 1.0);
    assert_eq!(proxy.metric("ringway_config_plan_number", &[]), 1.0);
}

#[test]
fn an_address_that_cannot_be_had_changes_nothing() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(two(&a, &b));
    let address = taken.local_addr().unwrap();
    rewrite(&proxy, |text| {
        text.replace("pool = \"site\"", "pool = \"other\"")
            + &format!("[listeners.late]\nlisten = [\"{address}\"]\npool = \"site\"\n")
    });
    reload(&proxy, "failed");
    proxy.log.wait(&["the reload failed", &address.to_string(), "another process has it"]);
    assert_eq!(proxy.get("/").target(), "a");
}

#[test]
fn listeners_come_and_go_and_who_came_in_is_served_to_the_end() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Proxy::start(two(&a, &b));
    let late = "[listeners.late]\nlisten = [\"127.0.0.1:0\"]\npool = \"other\"\n";
    rewrite(&proxy, |text| text.to_owned() + late);
    reload(&proxy, "applied");
    let address = proxy.at("late");
    let mut kept = Client::to(&address);
    assert_eq!(kept.get("/").target(), "b");
    rewrite(&proxy, |text| text.replace(late, ""));
    reload(&proxy, "applied");
    let last = kept.get("/");
    assert_eq!((last.status, last.target()), (200, "b".to_owned()), "by the plan that had it");
    assert_eq!(last.field("connection").as_deref(), Some("close"));
    assert!(std::net::TcpStream::connect(&address).is_err(), "nobody new is let in");
    assert_eq!(proxy.get("/").status, 200);
}

/// To close a socket resets whoever waits in its queue, and the kernel lets them in until then.
#[test]
fn whoever_gets_in_at_a_listener_that_goes_is_served() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Proxy::start(two(&a, &b));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let late = format!("[listeners.late]\nlisten = [\"{free}\"]\npool = \"other\"\n");
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = || {
            let (mut served, mut lost) = (0, Vec::new());
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok(mut client) = Client::try_to(&free) else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                match client.response_to("GET") {
                    Ok(answer) if answer.status == 200 => served += 1,
                    other => lost.push(format!("{other:?}")),
                }
            }
            (served, lost)
        };
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        for _ in 0..rounds(20, 8) {
            rewrite(&proxy, |text| text.to_owned() + &late);
            reload(&proxy, "applied");
            thread::sleep(Duration::from_millis(60));
            rewrite(&proxy, |text| text.replace(&late, ""));
            reload(&proxy, "applied");
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        for client in clients {
            let (served, lost) = client.join().unwrap();
            assert!(served > 0 && lost.is_empty(), "{served} served, {lost:?}");
        }
    });
}

#[test]
fn a_listener_moves_from_one_address_to_all() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let port = free_port();
    let config = two(&a, &b).replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let proxy = Proxy::start(config);
    assert_eq!(proxy.get("/").status, 200);
    rewrite(&proxy, |text| text.replace(&format!("127.0.0.1:{port}"), &format!("0.0.0.0:{port}")));
    reload(&proxy, "applied");
    assert_eq!(client::get(&format!("127.0.0.2:{port}"), "/").status, 200);
    assert_eq!(client::get(&format!("127.0.0.1:{port}"), "/").status, 200);
}

#[test]
fn a_target_that_is_down_stays_down_and_its_checks_go_on() {
    let (a, mut dead) = (Target::echo("a"), Target::echo("dead"));
    let config = format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n[pools.site]\ntargets = [\"{}\", \"{}\"]\n\
         health = {{ type = \"tcp\", interval = \"200ms\", rise = 2, fall = 1 }}\n[routes.n0]\npaths = [\"=/n0\"]\nrespond = {{ status = 200 }}\n",
        a.address, dead.address
    );
    let proxy = Proxy::start(config);
    let label = dead.address.to_string();
    let up = |value| proxy.settles("ringway_target_up", &[("target", &label)], value);
    dead.kill();
    up(0.0);
    let sent = dead.requests();
    for n in 0..10 {
        rewrite(&proxy, |text| text.replace(&format!("[routes.n{n}]"), &format!("[routes.n{}]", n + 1)));
        reload(&proxy, "applied");
        for _ in 0..10 {
            assert_eq!(proxy.get("/").target(), "a");
        }
    }
    // Another way of checking is still about the same target.
    rewrite(&proxy, |text| text.replace("interval = \"200ms\"", "interval = \"300ms\""));
    reload(&proxy, "applied");
    assert_eq!(proxy.get("/").target(), "a");
    assert_eq!(dead.requests(), sent);
    assert_eq!(proxy.metric("ringway_pool_retries_total", &[]), 0.0, "nothing was tried in vain");
    dead.revive();
    up(1.0);
    dead.kill();
    up(0.0);
    rewrite(&proxy, |text| text.lines().filter(|line| !line.starts_with("health")).collect::<Vec<_>>().join("\n"));
    reload(&proxy, "applied");
    up(1.0);
}

#[test]
fn connections_and_counts_outlive_a_reload() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Setup::new(two(&a, &b)).workers(1).start();
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let connects = |proxy: &Proxy| proxy.metric("ringway_target_connects_total", &[("target", &a.address.to_string())]);
    let before = connects(&proxy);
    rewrite(&proxy, |text| text.replace("[pools.site]", "[pools.site]\ntimeouts = { response_head = \"7s\" }"));
    reload(&proxy, "applied");
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 200);
    }
    assert_eq!(connects(&proxy), before, "idle connections to targets are used on");
    proxy.settles("ringway_pool_requests_total", &[("pool", "site")], 10.0);
    proxy.settles("ringway_http_request_duration_seconds_count", &[], 10.0);
}

#[test]
fn an_exchange_that_outlives_the_log_it_began_under_has_its_line() {
    let target = Target::slow("a", Duration::from_millis(3500));
    let setup = Setup::new(String::new());
    let (first, second) = (setup.directory().join("first.log"), setup.directory().join("second.log"));
    let log = format!("\n[access_log]\npath = \"{}\"\n", first.display());
    let proxy = setup.with(crate::support::toml::http(&[&target]) + &log).start();
    let mut client = proxy.client();
    client.send(client::request("GET", "/long", &[]));
    target.wait_for(1);
    rewrite(&proxy, |text| text.replace("first.log", "second.log"));
    reload(&proxy, "applied");
    assert_eq!(client.response().status, 200);
    let lines = || std::fs::read_to_string(&second).unwrap_or_default();
    eventually("its line is in the log that there is", || lines().contains("\"uri\":\"/long\""));
    assert_eq!(proxy.metric("ringway_access_log_lines_lost_total", &[]), 0.0);
}

#[test]
fn files_that_change_are_taken_up_where_that_is_asked_for() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let setup = Setup::new(two(&a, &b));
    let folder = setup.directory().join("conf.d");
    std::fs::create_dir(&folder).unwrap();
    let proxy = setup.runtime("watch = true").start();
    rewrite(&proxy, |text| {
        format!("include = [\"conf.d/*.toml\"]\n{}", text.replace("pool = \"site\"", "pool = \"other\""))
    });
    eventually("the change is taken up", || proxy.get("/").target() == "b");
    let route = "[routes.new]\npaths = [\"=/new\"]\nrespond = { status = 204 }\n";
    std::fs::write(folder.join("new.toml"), route).unwrap();
    eventually("a new file is", || proxy.get("/new").status == 204);
    std::fs::write(folder.join("new.toml"), route.replace("respond", "respnd")).unwrap();
    proxy.settles("ringway_config_reloads_total", &[("result", "failed")], 1.0);
    assert_eq!(proxy.get("/new").status, 204, "a fault changes nothing");
}

#[test]
fn no_request_is_lost_to_many_reloads_under_load() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Proxy::start(two(&a, &b));
    let load = Load::start(&proxy.web(), 8, Duration::from_millis(1));
    let descriptors = proxy.descriptors();
    let plans = || proxy.metric("ringway_config_plan_number", &[]);
    let (begun, mut n) = (Instant::now(), 0);
    // Signals that come while a reload is under way are served together: on a busy machine, many.
    while n < rounds(200, 40) || (plans() <= 3.0 && begun.elapsed() < PATIENCE) {
        n += 1;
        rewrite(&proxy, |text| match n % 2 {
            0 => text
                .replace("listen = [\"127.0.0.1:0\"]\npool = \"site\"", "listen = [\"127.0.0.1:0\"]\npool = \"other\""),
            _ => text
                .replace("listen = [\"127.0.0.1:0\"]\npool = \"other\"", "listen = [\"127.0.0.1:0\"]\npool = \"site\""),
        });
        proxy.signal(libc::SIGHUP);
        thread::sleep(Duration::from_millis(5));
    }
    // A single signal more may find what is applied just now.
    let unchanged = || proxy.metric("ringway_config_reloads_total", &[("result", "unchanged")]);
    let before = unchanged();
    eventually("all of it is in force", || {
        proxy.signal(libc::SIGHUP);
        unchanged() > before
    });
    load.stop().assert_clean();
    assert!(plans() > 3.0);
    eventually("descriptors are given back", || proxy.descriptors() <= descriptors + 20);
}
