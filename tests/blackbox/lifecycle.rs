//! Start, stop, sockets and workers that die: the process keeps its promises about connections.

use crate::support::client::{Client, get, request};
use crate::support::hurt::{Frozen, file_limit, soft_file_limit};
use crate::support::load::Load;
use crate::support::proxy::{Directory, Setup, value};
use crate::support::toml::{http, http_with, tcp};
use crate::support::wire::Broken;
use crate::support::{GLANCE, Proxy, Target, eventually, rounds, within};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn port_zero_is_chosen_and_printed() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]", &[&target], ""));
    let all = proxy.all("web");
    assert_eq!(all.len(), 2, "{all:?}");
    for address in all {
        assert!(!address.ends_with(":0"));
        assert_eq!(get(&address, "/").target(), "a");
    }
}

#[test]
fn workers_have_names_and_their_number_is_as_configured() {
    let target = Target::echo("a");
    let proxy = Setup::new(http(&[&target])).workers(3).start();
    let mut workers: Vec<String> = proxy.threads().into_iter().filter(|name| name.starts_with("ringway-w")).collect();
    workers.sort();
    assert_eq!(workers, ["ringway-w0", "ringway-w1", "ringway-w2"]);
}

#[test]
fn a_second_process_on_the_same_port_is_an_error() {
    let target = Target::echo("a");
    let first = Proxy::start(http(&[&target]));
    let address = first.web();
    let mut second = Setup::new(http_with(&format!("listen = [\"{address}\"]"), &[&target], "")).spawn();
    assert_eq!(second.exit().code(), Some(1));
    second.log.wait(&[&address]);
    for _ in 0..20 {
        assert_eq!(first.get("/").status, 200);
    }
}

#[test]
fn a_port_that_another_program_holds_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let target = Target::echo("a");
    let mut proxy = Setup::new(http_with(&format!("listen = [\"{address}\"]"), &[&target], "")).spawn();
    assert_eq!(proxy.exit().code(), Some(1));
    proxy.log.wait(&[&address]);
}

#[test]
fn a_port_is_free_again_right_after_a_stop() {
    let target = Target::echo("a");
    let mut first = Proxy::start(http(&[&target]));
    let address = first.web();
    let mut client = first.client();
    client.get("/");
    first.signal(libc::SIGTERM);
    first.exit();
    let second = Proxy::start(http_with(&format!("listen = [\"{address}\"]"), &[&target], ""));
    assert_eq!(second.get("/").status, 200);
}

#[test]
fn ipv6_serves_and_leaves_the_same_port_to_ipv4() {
    let target = Target::echo("a");
    // The port that it picks may be some other test's over IPv4.
    let free = |port: &str| std::net::TcpListener::bind(format!("0.0.0.0:{port}")).is_ok();
    let (_v6, port) = (0..20)
        .find_map(|_| {
            let proxy = Proxy::start(http_with("listen = [\"[::]:0\"]", &[&target], ""));
            let port = proxy.web().rsplit_once(':').unwrap().1.to_owned();
            free(&port).then_some((proxy, port))
        })
        .expect("[::] leaves the port to IPv4");
    let mut client = Client::to(&format!("[::1]:{port}"));
    assert_eq!(client.get("/").status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("::1"));
    assert!(Client::try_to(&format!("127.0.0.1:{port}")).is_err(), "V6ONLY: [::] is IPv6 alone");
    let v4 = Proxy::start(http_with(&format!("listen = [\"0.0.0.0:{port}\"]"), &[&target], ""));
    assert_eq!(get(&format!("127.0.0.1:{port}"), "/").status, 200);
    drop(v4);
}

#[test]
fn a_unix_socket_serves_and_a_stale_one_is_taken_over() {
    let target = Target::echo("a");
    let directory = Directory::new();
    let address = format!("unix:{}/web.sock", directory.path().display());
    let config = http_with(&format!("listen = [\"{address}\"]"), &[&target], "");
    for _ in 0..2 {
        let proxy = Proxy::start(config.clone());
        for _ in 0..4 {
            assert_eq!(get(&address, "/").status, 200);
        }
        let mut second = Setup::new(config.clone()).spawn();
        assert_eq!(second.exit().code(), Some(1), "a live one is not taken over");
        assert_eq!(get(&address, "/").status, 200);
        drop(proxy);
    }
}

#[test]
fn a_stopped_process_leaves_no_unix_socket_behind() {
    let target = Target::echo("a");
    let directory = Directory::new();
    let path = directory.path().join("web.sock");
    let config = http_with(&format!("listen = [\"unix:{}\"]", path.display()), &[&target], "");
    let mut proxy = Proxy::start(config);
    assert!(path.exists());
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn sigterm_and_sigint_let_live_exchanges_finish_and_exit_0() {
    let ends_well = |signal| {
        let target = Target::slow("a", Duration::from_secs(4));
        let mut proxy = Proxy::start(http(&[&target]));
        let mut busy = proxy.client();
        busy.send(request("GET", "/busy", &[]));
        target.wait_for(1);
        let mut idle = proxy.client();
        proxy.signal(signal);
        let address = proxy.web();
        let begun = Instant::now();
        eventually("it stops accepting", || Client::try_to(&address).is_err());
        assert!(begun.elapsed() < Duration::from_secs(3), "new clients are refused while live exchanges end");
        let response = busy.response();
        assert_eq!((response.status, response.text().as_str()), (200, "a"));
        assert!(response.head.names("connection", "close"), "the client learns that it was the last");
        assert_eq!(busy.ending(), Broken::Closed);
        assert_ne!(idle.ending(), Broken::TimedOut);
        assert_eq!(proxy.exit().code(), Some(0));
    };
    thread::scope(|scope| {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            scope.spawn(move || ends_well(signal));
        }
    });
}

#[test]
fn a_stop_under_load_breaks_no_answer() {
    let target = Target::slow("a", Duration::from_millis(5));
    let mut proxy = Proxy::start(http(&[&target]));
    let load = Load::start(&proxy.web(), 8, Duration::ZERO);
    load.more(100);
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
    let count = load.stop();
    // After the stop there is nobody to connect to; a kept connection may end before its next request is read. An
    // answer that has begun must be complete.
    for broken in count.broken.keys() {
        assert!(!broken.contains("Truncated") && !broken.contains("another"), "{count:?}");
    }
    assert!(count.answers.keys().all(|(status, _)| *status == 200), "{count:?}");
}

#[test]
fn a_stop_ends_tunnels_within_the_shutdown_time() {
    let target = Target::mirror("a");
    let config = tcp(&[&target]);
    let mut proxy = Setup::new(config).runtime("shutdown_timeout = \"1s\"").start();
    let mut client = proxy.client();
    client.send("x");
    client.exact(1).unwrap();
    let begun = Instant::now();
    proxy.signal(libc::SIGTERM);
    client.send("y");
    assert_eq!(client.exact(1).unwrap(), b"y", "it lives on for that long");
    assert_ne!(client.ending(), Broken::TimedOut);
    assert_eq!(proxy.exit().code(), Some(0));
    assert!(begun.elapsed() > Duration::from_millis(700) && begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_idle_process_stops_at_once() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http(&[&target]));
    let mut idle = proxy.client();
    idle.get("/");
    let begun = Instant::now();
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_second_signal_exits_at_once() {
    let target = Target::mute("a");
    let mut proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    target.wait_for(1);
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit_within(GLANCE).is_none(), "it waits for the exchange");
    let begun = Instant::now();
    proxy.signal(libc::SIGTERM);
    proxy.exit();
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn the_ready_page_says_no_while_it_stops() {
    let target = Target::mute("a");
    let mut proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    target.wait_for(1);
    let admin = proxy.admin();
    proxy.signal(libc::SIGTERM);
    eventually("not ready, or gone", || {
        let Ok(mut client) = Client::try_to(&admin) else { return true };
        let _ = client.try_send("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        client.response_to("GET").is_ok_and(|response| response.status == 503)
    });
    assert!(proxy.running());
}

/// Reaching the file limit pauses accepting, says so, and goes on after.
#[test]
fn the_file_limit_pauses_accepting_and_no_more() {
    let target = Target::echo("a");
    let config = http(&[&target]);
    let mut proxy = Setup::new(config).before(file_limit(400)).start();
    let mut served: Vec<Client> = Vec::new();
    let mut waiting: Vec<Client> = Vec::new();
    for _ in 0..400 {
        let mut client = proxy.client();
        client.send(request("GET", "/", &["Connection: keep-alive"]));
        match client.head(GLANCE) {
            Ok(head) => {
                client.exact(head.length().unwrap()).unwrap();
                served.push(client);
            }
            Err(Broken::TimedOut) => waiting.push(client),
            Err(broken) => panic!("refused instead of kept waiting: {broken:?}"),
        }
        if waiting.len() >= 5 {
            break;
        }
    }
    assert!(waiting.len() >= 5 && served.len() >= 20, "{} served, {} waiting", served.len(), waiting.len());
    assert!(proxy.running());
    eventually("it says that it pauses", || {
        proxy.log.find(|line| line.contains("accept") && (line.contains("limit") || line.contains("pause"))).is_some()
    });
    served.drain(..served.len() / 2);
    for mut client in waiting {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(proxy.get("/after").status, 200);
    assert!(served.iter_mut().all(|client| client.alive()), "who was served before still is");
}

/// The soft limit is raised to what the hard one allows.
#[test]
fn a_low_soft_limit_is_raised() {
    let target = Target::echo("a");
    let proxy = Setup::new(http(&[&target])).before(soft_file_limit(64)).start();
    let mut clients: Vec<Client> = (0..100).map(|_| proxy.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn max_connections_bounds_what_is_accepted() {
    let target = Target::echo("a");
    let proxy = Setup::new(http(&[&target])).runtime("max_connections = 10").start();
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut client = proxy.client();
        client.send(request("GET", "/", &[]));
        held.push((client.head(GLANCE).is_ok(), client));
    }
    let served = held.iter().filter(|(served, _)| *served).count();
    assert!((8..=10).contains(&served), "{served} served");
    held.retain(|(served, _)| !served);
    // Each leaves once it is served, whichever worker's queue it waits in.
    let waiting: Vec<_> =
        held.into_iter().map(|(_, client)| thread::spawn(move || served_in_the_end(client))).collect();
    assert!(waiting.into_iter().all(|client| client.join().unwrap()));
}

fn served_in_the_end(mut client: Client) -> bool {
    client.response_to("GET").is_ok_and(|response| response.status == 200)
}

/// How long a new connection waits for its answer.
fn wait_of(address: &str) -> Duration {
    let begun = Instant::now();
    let mut client = Client::to(address);
    client.send(request("GET", "/", &["Connection: close"]));
    client.socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match client.response_to("GET") {
        Ok(response) if response.status == 200 => begun.elapsed(),
        other => panic!("after {:?}: {other:?}", begun.elapsed()),
    }
}

/// Waits of connections made from now on, one every few milliseconds.
fn waits(address: &str, n: usize) -> Vec<Duration> {
    let handles: Vec<_> = (0..n)
        .map(|_| {
            thread::sleep(Duration::from_millis(10));
            let address = address.to_owned();
            thread::spawn(move || wait_of(&address))
        })
        .collect();
    handles.into_iter().map(|handle| handle.join().unwrap()).collect()
}

/// A worker's share of new connections goes to its siblings while it stands still.
#[test]
fn a_stuck_worker_makes_no_connection_wait_over_a_second() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for _ in 0..10 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let frozen = Frozen::thread(proxy.pid(), "ringway-w0");
    let longest = waits(&proxy.web(), rounds(200, 80)).into_iter().max().unwrap();
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    eventually("it says so", || {
        proxy.log.find(|line| line.contains("worker") && (line.contains("WARN") || line.contains("ERROR"))).is_some()
    });
    drop(frozen);
    let longest = waits(&proxy.web(), 40).into_iter().max().unwrap();
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    proxy.log.wait(&["WARN", "worker=0", "took="]);
    assert!(proxy.metric("ringway_worker_long_turns_total", &[("worker", "0")]) >= 1.0);
}

/// A dead worker is replaced, and nobody waits for that.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_killed_worker_makes_no_connection_wait_over_a_second_and_is_replaced() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http(&[&target]));
    for _ in 0..10 {
        assert_eq!(proxy.get("/").status, 200);
    }
    Frozen::thread(proxy.pid(), "ringway-w0").kill(proxy.pid());
    let longest = waits(&proxy.web(), rounds(200, 80)).into_iter().max().unwrap();
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let replaced = || proxy.threads().iter().filter(|name| name.starts_with("ringway-w")).count() >= 2;
    assert!(within(Duration::from_secs(20), replaced), "{:?}", proxy.threads());
    eventually("it says so", || {
        proxy.log.find(|line| line.contains("worker") && (line.contains("WARN") || line.contains("ERROR"))).is_some()
    });
    assert!(proxy.running());
    let longest = waits(&proxy.web(), 40).into_iter().max().unwrap();
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0), "a stop works after that too");
}

/// Under load: what was in the dead worker's hands may break, nothing else does.
#[test]
#[cfg(target_arch = "x86_64")]
fn load_goes_on_while_a_worker_is_killed() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let load = Load::start(&proxy.web(), 8, Duration::from_millis(5));
    load.more(200);
    Frozen::thread(proxy.pid(), "ringway-w1").kill(proxy.pid());
    load.more(400);
    let count = load.stop();
    let broken: usize = count.broken.values().sum();
    assert!(broken <= 8, "more than the connections of the dead worker broke: {count:?}");
}

#[test]
fn start_says_what_it_listens_on_in_a_form_that_scripts_can_read() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let line = proxy.log.wait(&["listening", "listener="]);
    assert_eq!(value(&line, "listener").as_deref(), Some("web"));
    assert!(value(&line, "address").unwrap().parse::<std::net::SocketAddr>().is_ok(), "{line}");
    assert!(proxy.admin().parse::<std::net::SocketAddr>().is_ok());
}

#[test]
fn the_demo_runs_and_stops() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .arg("demo")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let (lines, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let mut answered = None;
    while answered.is_none() {
        let Ok(line) = heard.recv_timeout(crate::support::PATIENCE) else { break };
        if let Some(at) = line.find("http://").filter(|_| line.contains("curl")) {
            let url = line[at + 7..].split_whitespace().next().unwrap().trim_end_matches(['"', '\'']);
            let (address, path) = url.split_once('/').unwrap_or((url, ""));
            let address = address.replace("localhost", "127.0.0.1");
            // It may print what to ask a moment before it listens.
            within(crate::support::PATIENCE, || Client::try_to(&address).is_ok());
            answered = Some(get(&address, &format!("/{path}")).status);
        }
    }
    // SAFETY: the child is ours and not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let mut code = None;
    eventually("the demo ends", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    let _ = child.kill();
    assert_eq!(answered, Some(200), "what it prints to curl answers");
    assert_eq!(code.unwrap().code(), Some(0));
}
