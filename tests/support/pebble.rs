//! Pebble, Let's Encrypt's own test server (Debian's package pebble), with its random failures on: it refuses one good nonce
//! in five, waits before it looks, looks three times, and forgets some of what it saw. All names lead to 127.0.0.1.

use super::proxy::Directory;
use super::tls::{Authority, Dial, Kind};
use super::{eventually, free_port};
use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// An authority, which may not run yet.
pub struct Pebble {
    directory: Directory,
    /// Who vouches for Pebble's own name.
    web: Authority,
    ports: [u16; 4],
    running: Vec<Child>,
}

impl Pebble {
    pub fn new() -> Pebble {
        let pebble = Pebble {
            directory: Directory::new(),
            web: Authority::new("Web"),
            ports: std::array::from_fn(|_| free_port()),
            running: Vec::new(),
        };
        pebble.web.server(&["127.0.0.1"], Kind::Ecdsa).write(pebble.directory.path(), "pebble");
        pebble.directory.write("ca.pem", &pebble.web.pem());
        pebble
    }

    /// Starts it: it will look at names on these ports, and what it issues lasts for `lifetime` seconds.
    pub fn start(&mut self, http: u16, tls: u16, lifetime: u32) {
        self.stop();
        let [acme, management, dns, records] = self.ports;
        let file = |name: &str| self.directory.path().join(name).display().to_string();
        let config = format!(
            r#"{{ "pebble": {{ "listenAddress": "127.0.0.1:{acme}", "managementListenAddress": "127.0.0.1:{management}",
            "certificate": "{}", "privateKey": "{}", "httpPort": {http}, "tlsPort": {tls},
            "certificateValidityPeriod": {lifetime} }} }}"#,
            file("pebble.pem"),
            file("pebble.key"),
        );
        let config = self.directory.write("pebble.json", &config);
        let log = || Stdio::from(File::create(file("pebble.log")).unwrap());
        let run = |command: &mut Command, log: Stdio| {
            command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(log).spawn().expect("Debian's package pebble")
        };
        let dns = format!("127.0.0.1:{dns}");
        let names = run(
            Command::new("pebble-challtestsrv")
                .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "", "-dns01", &dns])
                .args(["-management", &format!("127.0.0.1:{records}")]),
            Stdio::null(),
        );
        let server = run(
            Command::new("pebble")
                .args(["-config", &config, "-strict", "-dnsserver", &dns])
                .env("PEBBLE_WFE_NONCEREJECT", "20")
                .env("PEBBLE_AUTHZREUSE", "50")
                .env("PEBBLE_VA_SLEEPTIME", "2"),
            log(),
        );
        self.running = vec![names, server];
        for port in [acme, management, records] {
            eventually("pebble listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
    }

    /// Ends it: it forgets all that it knew.
    pub fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The key `acme` of a listener that asks it.
    pub fn key(&self, names: &[&str], more: &str) -> String {
        let ca = self.directory.path().join("ca.pem");
        let [acme, ..] = self.ports;
        format!(
            "acme = {{ names = {names:?}, contact = \"ops@site.test\", directory = \"https://127.0.0.1:{acme}/dir\", ca = {ca:?}{more} }}"
        )
    }

    /// Where records of its DNS are set.
    pub fn records(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[3])
    }

    /// A client that trusts what it issues.
    pub fn dial(&self) -> Dial {
        let root = self.web.dial().to(&format!("127.0.0.1:{}", self.ports[1]), "127.0.0.1").get("/roots/0");
        assert_eq!(root.status, 200);
        Dial::trusting(&root.body)
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("pebble.log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("pebble's log:\n{}", self.log());
        }
    }
}
