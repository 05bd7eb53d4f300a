//! Options of sockets, seen from outside: by `ss`, by peers, and by the kernel's own tables.

use crate::support::proxy::Setup;
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Client, GLANCE, Proxy, Target, eventually};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

/// What `ss` says of the sockets of listening ports, or of connections, that have this address on our side.
fn ss(options: &str, local: &str) -> String {
    let out = Command::new("ss").args([options, "src", local]).output().expect("ss runs");
    String::from_utf8(out.stdout).unwrap()
}

#[track_caller]
fn shows(options: &str, local: &str, what: &str) {
    let mut last = String::new();
    eventually(&format!("ss {options} shows {what}"), || {
        last = ss(options, local);
        last.contains(what)
    });
}

/// A reload to the configuration with one text for another.
#[track_caller]
fn reload(proxy: &Proxy, from: &str, to: &str, plan: usize) {
    let file = proxy.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from));
    std::fs::write(&file, text.replace(from, to)).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.log.wait(&[&format!("plan {plan} is in force")]);
}

#[test]
fn silent_clients_are_asked_whether_they_are_there() {
    let target = Target::mirror("a");
    let asked = "tcp = { keepalive = { idle = \"50s\" }, user_timeout = \"20s\" }";
    let proxy = Proxy::start(tcp_with(asked, &[&target], ""));
    let mut first = proxy.client();
    first.send("x");
    first.exact(1).unwrap();
    shows("-tnoH", &proxy.web(), "timer:(keepalive,");
    assert!(ss("-tnoH", &proxy.web()).contains("keepalive,4") || ss("-tnoH", &proxy.web()).contains("keepalive,50"));
    // Who comes after a reload goes by what is said then.
    reload(&proxy, asked, "", 2);
    drop(first);
    eventually("the first is gone", || !ss("-tnoH", &proxy.web()).contains("timer:(keepalive,"));
    let mut second = proxy.client();
    second.send("x");
    second.exact(1).unwrap();
    std::thread::sleep(GLANCE / 3);
    assert!(!ss("-tnoH", &proxy.web()).contains("timer:(keepalive,"));
}

#[test]
fn targets_are_asked_whether_they_are_there() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp_with("", &[&target], "tcp = { keepalive = { idle = \"50s\" }, mss = 600 }"));
    let mut client = proxy.client();
    client.send("x");
    client.exact(1).unwrap();
    let out = Command::new("ss").args(["-tnoiH", "dst", &target.to_string()]).output().unwrap();
    let told = String::from_utf8(out.stdout).unwrap();
    assert!(told.contains("timer:(keepalive,"), "{told}");
    assert!(told.contains("mss:588") || told.contains("mss:600"), "{told}");
}

#[test]
fn a_queue_is_as_long_as_is_said_also_after_a_reload() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp_with("tcp = { backlog = 17 }", &[&target], ""));
    let lengths = || -> Vec<String> {
        let text = ss("-ltnH", &proxy.web());
        text.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect()
    };
    assert_eq!(lengths(), ["17", "17"], "one for each worker");
    reload(&proxy, "backlog = 17", "backlog = 33", 2);
    assert_eq!(lengths(), ["33", "33"]);
    assert_eq!(proxy.metric("ringway_connections_open", &[]), 0.0);
    let mut client = proxy.client();
    client.send("x");
    assert_eq!(client.exact(1).unwrap(), b"x");
}

#[test]
fn who_says_nothing_waits_where_accepting_is_deferred() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp_with("tcp = { defer_accept = true }", &[&target], ""));
    let accepted = || proxy.metric("ringway_connections_accepted_total", &[("listener", "web")]);
    let mut silent = proxy.client();
    std::thread::sleep(GLANCE / 2);
    assert_eq!(accepted(), 0.0);
    silent.send("x");
    assert_eq!(silent.exact(1).unwrap(), b"x");
    assert_eq!(accepted(), 1.0);
}

#[test]
fn who_knows_nothing_of_fast_open_is_served_where_it_is_asked_for() {
    let target = Target::mirror("a");
    let asked = "tcp = { fast_open = true }";
    let proxy = Proxy::start(tcp_with(asked, &[&target], asked));
    for _ in 0..3 {
        let mut client = proxy.client();
        client.send("hello");
        assert_eq!(client.exact(5).unwrap(), b"hello");
    }
}

#[test]
fn an_address_of_ipv6_takes_ipv4_where_it_may() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let target = Target::echo("a");
    let both = "listen = [\"[::]:0\"]\nv6only = false\ndeny = [\"127.0.0.9\"]";
    let proxy = Proxy::start(http_with(both, &[&target], ""));
    let port = proxy.web().rsplit_once(':').unwrap().1.to_owned();
    for (ip, shown) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
        assert_eq!(Client::to(&format!("{ip}:{port}")).get("/").status, 200);
        assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some(shown));
    }
    // The address that comes mapped is the one of IPv4.
    assert!(super::comes_to("127.0.0.9", &format!("127.0.0.1:{port}")).is_none());
    proxy.settles("ringway_refused_total", &[("reason", "denied")], 1.0);
    // It stays as it was bound.
    let file = proxy.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("v6only = false", "v6only = true")).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.log.wait(&["listeners.web.v6only takes effect with the next upgrade or start"]);
    assert_eq!(Client::to(&format!("127.0.0.1:{port}")).get("/").status, 200);
}

#[test]
fn connections_come_in_by_the_interface_alone() {
    let target = Target::echo("a");
    let on_lo = Proxy::start(http_with("interface = \"lo\"", &[&target], "interface = \"lo\""));
    assert_eq!(on_lo.get("/").status, 200);
    let mut none = Setup::new(http_with("interface = \"nosuch0\"", &[&target], "")).spawn();
    assert!(!none.exit().success());
    none.log.wait(&["cannot listen on", "No such device"]);
}

/// A target that answers each request with the address that it sees.
pub fn seer(at: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let seen = stream.peer_addr().unwrap().ip().to_string();
                let mut text = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut piece) {
                    text.extend_from_slice(&piece[..count]);
                    while let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
                        text.drain(..end + 4);
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{seen}", seen.len());
                        let _ = stream.write_all(answer.as_bytes());
                    }
                }
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

#[test]
fn targets_are_connected_to_from_the_addresses_that_are_said() {
    let seer = seer("127.0.0.1:0".parse().unwrap());
    let health = "health = { type = \"http\", path = \"/\", interval = \"100ms\" }";
    let pool = format!("source = [\"127.0.0.5\", \"127.0.0.6\", \"::1\"]\nkeepalive = {{ max_idle = 0 }}\n{health}");
    let proxy = Proxy::start(http_with("", &[seer], &pool));
    let seen: Vec<String> = (0..40).map(|_| proxy.get("/").text()).collect();
    assert!(seen.iter().all(|ip| ip == "127.0.0.5" || ip == "127.0.0.6"), "{seen:?}");
    assert!(seen.iter().any(|ip| ip == "127.0.0.5") && seen.iter().any(|ip| ip == "127.0.0.6"));
    // A reload has who comes next go from elsewhere.
    reload(&proxy, "\"127.0.0.5\", \"127.0.0.6\"", "\"127.0.0.7\"", 2);
    assert_eq!(proxy.get("/").text(), "127.0.0.7");
    assert_eq!(proxy.metric("ringway_target_up", &[]), 1.0);
}

#[test]
fn health_checks_come_from_the_same_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pool = "source = [\"127.0.0.5\"]\nhealth = { type = \"tcp\", interval = \"100ms\" }";
    let _proxy = Proxy::start(tcp_with("", &[listener.local_addr().unwrap()], pool));
    assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.5");
}

#[test]
fn a_source_that_this_host_lacks_is_a_warning_and_its_pool_fails() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("", &[&target], "source = [\"192.0.2.77\"]"));
    proxy.log.wait(&["WARN", "site", "192.0.2.77"]);
    assert!(matches!(proxy.get("/").status, 502 | 503));
    assert_eq!(target.connections(), 0);
}

#[test]
fn a_target_sees_the_address_of_its_client_and_no_other() {
    let seer = seer("127.0.0.1:0".parse().unwrap());
    let config = http_with("listen = [\"127.0.0.1:0\"]", &[seer], "source = \"client\"");
    let proxy = Proxy::start(config);
    for ip in ["127.0.0.21", "127.0.0.22", "127.0.0.21"] {
        // Two of them on one connection.
        let mut client = Client::from(ip, &proxy.web());
        assert_eq!((client.get("/").text(), client.get("/").text()), (ip.to_owned(), ip.to_owned()));
    }
    let proxy = Proxy::start(tcp_with("", &[seer], "source = \"client\""));
    let mut client = Client::from("127.0.0.23", &proxy.web());
    assert_eq!(client.get("/").text(), "127.0.0.23");
}

#[test]
fn a_transparent_listener_takes_what_is_for_others() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("listen = [\"192.0.2.1:0\"]\ntransparent = true", &[&target], ""));
    assert!(proxy.web().starts_with("192.0.2.1:"), "an address that this host does not have");
    let without = Setup::new(http_with("listen = [\"192.0.2.1:0\"]", &[&target], "")).spawn().exit();
    assert!(!without.success());
    let _ = TcpStream::connect(proxy.admin()).unwrap();
}

#[test]
fn what_needs_a_capability_is_refused_without_it() {
    let target = Target::echo("a");
    // As a user who has none. SAFETY: takes numbers only.
    let drop_all = || match unsafe { libc::setgid(65534) | libc::setuid(65534) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    for (listener, pool, told) in [
        ("", "source = \"client\"", "pool `site` cannot connect to its targets by `source`"),
        ("transparent = true", "", "cannot listen on"),
    ] {
        let setup = Setup::new(http_with(listener, &[&target], pool)).before(drop_all);
        open_to_all(setup.directory());
        let mut proxy = setup.spawn();
        assert!(!proxy.exit().success());
        proxy.log.wait(&[told, "CAP_NET_ADMIN"]);
    }
}

fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}
