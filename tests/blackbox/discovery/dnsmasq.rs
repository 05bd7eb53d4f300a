//! A real server: Debian's dnsmasq.

use super::{finding, has, start};
use crate::support::load::Load;
use crate::support::proxy::Directory;
use crate::support::{Target, eventually};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Dnsmasq {
    port: u16,
    folder: Directory,
    child: Child,
}

impl Dnsmasq {
    /// Knows `api.test` by these addresses, for a second at a time.
    fn start(targets: &[&Target]) -> Dnsmasq {
        // Another test may take the port before dnsmasq has it: then it ends, and gets another one.
        for _ in 0..10 {
            let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let folder = Directory::new();
            folder.write("hosts", &hosts(targets));
            let child = run(port, &folder);
            let mut server = Dnsmasq { port, folder, child };
            if server.answers() {
                return server;
            }
        }
        panic!("dnsmasq does not start (Debian's package dnsmasq-base)");
    }

    /// Whether it answers; false once it has ended.
    fn answers(&mut self) -> bool {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03api\x04test\x00\x00\x01\x00\x01";
        let begun = Instant::now();
        while begun.elapsed() < crate::support::PATIENCE && self.child.try_wait().unwrap().is_none() {
            let _ = socket.send_to(question, (Ipv4Addr::LOCALHOST, self.port));
            if socket.recv(&mut [0; 512]).is_ok() {
                return true;
            }
        }
        false
    }

    /// The record changes.
    fn tells(&self, targets: &[&Target]) {
        self.folder.write("hosts", &hosts(targets));
        self.signal(libc::SIGHUP);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the child is ours and not yet waited for, so that its pid is its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn again(&mut self) {
        self.child = run(self.port, &self.folder);
        assert!(self.answers());
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        self.stop();
    }
}

fn hosts(targets: &[&Target]) -> String {
    targets.iter().map(|target| format!("{} api.test\n", target.address.ip())).collect()
}

fn run(port: u16, folder: &Directory) -> Child {
    let hosts = folder.path().join("hosts");
    Command::new("dnsmasq")
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--local-ttl=1"])
        .args(["--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--local=/test/", "--pid-file="])
        .arg(format!("--port={port}"))
        .arg(format!("--addn-hosts={}", hosts.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Debian's package dnsmasq-base")
}

#[test]
fn a_record_that_changes_is_followed_and_a_server_that_stops_is_not_noticed() {
    let a = Target::echo("a");
    let (b, c) = (a.beside("b"), a.beside("c"));
    let mut server = Dnsmasq::start(&[&a, &b]);
    let dns = format!("[dns]\nservers = [\"127.0.0.1:{}\"]\ntimeout = \"300ms\"\n", server.port);
    let port = a.address.port();
    let proxy = start(finding(&format!("dns = \"api.test\", port = {port}"), "balance = \"round-robin\"\n") + &dns);
    let sorted = |targets: &[&Target]| {
        let mut all: Vec<String> = targets.iter().map(|target| format!("{target} 1")).collect();
        all.sort();
        all
    };
    has(&proxy, &sorted(&[&a, &b]));
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(2));
    load.more(50);
    server.tells(&[&b, &c]);
    let changed = Instant::now();
    has(&proxy, &sorted(&[&b, &c]));
    let took = changed.elapsed();
    // A second of TTL, and one between two changes; the rest is a busy machine.
    assert!(took < Duration::from_secs(5), "{took:?}");
    eventually("the new one is used", || c.requests() > 0);
    a.kill();
    load.more(50);
    server.stop();
    super::fails(&proxy, 2.0);
    load.more(100);
    assert!(b.requests() > 0 && super::targets(&proxy) == sorted(&[&b, &c]), "they stay");
    server.again();
    server.tells(&[&c]);
    has(&proxy, &sorted(&[&c]));
    load.more(20);
    load.stop().assert_clean();
}
