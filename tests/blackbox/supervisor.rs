//! What a supervisor such as systemd is told, and the sockets that it opens.

use crate::support::client;
use crate::support::proxy::Setup;
use crate::support::target::Target;
use crate::support::toml::http;
use crate::support::{PATIENCE, eventually};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// Hears what is said to a supervisor.
struct Ear(UnixDatagram, String);

impl Ear {
    fn at(path: &std::path::Path) -> Ear {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Ear(socket, String::new())
    }

    /// Waits until a line is heard.
    #[track_caller]
    fn hears(&mut self, line: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut room = [0; 4096];
        while !self.1.lines().any(|heard| heard == line) {
            assert!(Instant::now() < deadline, "{line} is not said: {}", self.1);
            if let Ok(count) = self.0.recv(&mut room) {
                self.1 += std::str::from_utf8(&room[..count]).unwrap();
                self.1.push('\n');
            }
        }
        self.1.clear();
    }
}

#[test]
fn a_supervisor_is_told_of_every_stage() {
    let target = Target::echo("a");
    let setup = Setup::new(http(&[&target]));
    let path = setup.directory().join("notify");
    let mut ear = Ear::at(&path);
    let mut proxy = setup.env("NOTIFY_SOCKET", path.to_str().unwrap()).env("WATCHDOG_USEC", "400000").start();
    ear.hears("READY=1");
    ear.hears("WATCHDOG=1");
    proxy.signal(libc::SIGHUP);
    ear.hears("RELOADING=1");
    ear.hears("READY=1");
    proxy.upgrade();
    ear.hears(&format!("MAINPID={}", proxy.pid()));
    ear.hears("WATCHDOG=1");
    proxy.signal(libc::SIGTERM);
    ear.hears("STOPPING=1");
}

#[test]
fn sockets_of_the_supervisor_are_listened_on_by_every_worker() {
    let target = Target::echo("a");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stray = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let config = http(&[&target]).replace("127.0.0.1:0", &address);
    let mut proxy = Setup::new(config.clone()).activated_by(socket.as_raw_fd()).start();
    drop(socket);
    proxy.log.wait(&["listening on a socket of the supervisor's", &address]);
    for _ in 0..10 {
        assert_eq!(client::get(&address, "/").status, 200);
    }
    proxy.upgrade();
    assert_eq!(client::get(&address, "/").status, 200);
    drop(proxy);
    eventually("nobody listens there any more", || std::net::TcpStream::connect(&address).is_err());
    let proxy = Setup::new(http(&[&target])).activated_by(stray.as_raw_fd()).start();
    proxy.log.wait(&["no listener has this address"]);
    assert_eq!(proxy.get("/").status, 200);
}
