//! Two servers on hosts of their own, and all that may become of one of them: new sessions go to the other within the time of the checks,
//! those that stood end where that is wanted, and it is used again once it is back.

use super::faults::Fault::{self, Cut, Frozen, Killed};
use crate::support::network::{Hurt, alone};
use crate::support::servers::{Kind, Server};
use crate::support::session::Session;
use crate::support::toml::tcp_with;
use crate::support::wire::Broken;
use crate::support::{PATIENCE, Proxy, eventually, rounds};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A session that was begun while one of the servers was ill.
#[derive(Debug)]
struct Begun {
    at: Instant,
    with: Result<String, Broken>,
}

struct Pair {
    kind: Kind,
    servers: [Server; 2],
    proxy: Proxy,
}

impl Pair {
    fn ip(&self, which: usize) -> String {
        self.servers[which].address.ip().to_string()
    }

    fn is_up(&self, which: usize) -> bool {
        self.proxy.metric("ringway_target_up", &[("target", &self.servers[which].to_string())]) == 1.0
    }

    fn session(&self) -> Result<(String, Session), Broken> {
        let mut session = Session::to(self.kind, &self.proxy.web())?;
        Ok((session.whose()?, session))
    }

    /// Eight sessions that stand, four with each server give or take one.
    fn balanced(&self) -> Vec<(String, Session)> {
        let sessions: Vec<_> = (0..8).map(|_| self.session().expect("a session")).collect();
        let first = sessions.iter().filter(|(with, _)| *with == self.ip(0)).count();
        assert!((3..=5).contains(&first), "{first} of 8 came to the first server");
        sessions
    }

    /// The first server fails, and is back.
    fn survives(&mut self, fault: Fault) {
        let (ill, well) = (self.ip(0), self.ip(1));
        let stood = self.balanced();
        fault.strikes(&mut self.servers[0]);
        let struck = Instant::now();
        let (known, begun) = self.until_it_is_known();
        let took = known - struck;
        eprintln!("{:?} {fault:?}: known after {took:?}", self.kind);
        // Three checks of half a second and an interval before each; the rest is a busy machine.
        assert!(took < Duration::from_secs(6), "{fault:?} is known after {took:?}");
        let line = self.proxy.log.last(&["WARN target is down", &ill]).expect("the log tells");
        assert!(fault.verdicts().iter().any(|verdict| line.contains(verdict)), "{fault:?}: {line}");
        for session in &begun {
            // Who began before it was known may have come to it, unless the failure shows by connecting.
            let may_fail = session.at < known && !fault.is_told_by_connecting();
            let came = session.with.as_ref().is_ok_and(|with| *with == well);
            // A check that has failed, or a link that takes little, may let one pass.
            let passed = session.at < known && session.with.as_ref().is_ok_and(|with| *with == ill);
            assert!(may_fail || came || passed, "{fault:?}: {session:?}, known at {known:?}");
        }
        let since = Instant::now();
        for (with, mut session) in stood {
            let lives = session.whose().is_ok();
            assert_eq!(lives, with == well, "{fault:?}: who stood with {with}");
        }
        assert!(since.elapsed() < Duration::from_secs(3), "nobody is left to wait: {:?}", since.elapsed());
        for _ in 0..4 {
            assert_eq!(self.asked_by_its_own_client(), well, "{fault:?}");
        }
        fault.is_over(&mut self.servers[0]);
        eventually("it is up again", || self.is_up(0));
        self.balanced();
        assert!(!self.proxy.log.contains(&["WARN target is down", &well]), "the other one was well all the time");
    }

    /// Sessions are begun until the first server is known to be down, and for a little longer: when it was known, and what became of them.
    fn until_it_is_known(&self) -> (Instant, Vec<Begun>) {
        let (over, begun) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let known = thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let at = Instant::now();
                        let with = self.session().map(|(with, _)| with);
                        begun.lock().unwrap().push(Begun { at, with });
                        thread::sleep(Duration::from_millis(20));
                    }
                });
            }
            let known = crate::support::within(PATIENCE, || !self.is_up(0)).then(Instant::now);
            thread::sleep(Duration::from_millis(100));
            over.store(true, Ordering::Relaxed);
            known
        });
        (known.expect("it is known to be down"), begun.into_inner().unwrap())
    }

    /// Which server the client comes to that belongs to this kind of server.
    fn asked_by_its_own_client(&self) -> String {
        let address: std::net::SocketAddr = self.proxy.web().parse().unwrap();
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let (program, words): (_, &[&str]) = match self.kind {
            Kind::Postgres => (
                "psql",
                &[
                    "-X",
                    "-A",
                    "-t",
                    "-h",
                    &ip,
                    "-p",
                    &port,
                    "-U",
                    "ringway",
                    "-c",
                    "SELECT host(inet_server_addr())",
                    "postgres",
                ],
            ),
            Kind::MariaDb => (
                "mariadb",
                &["--no-defaults", "-N", "-B", "-h", &ip, "-P", &port, "-u", "ringway", "-e", "SELECT @@bind_address"],
            ),
            Kind::Redis => ("redis-cli", &["-h", &ip, "-p", &port, "CONFIG", "GET", "bind"]),
            Kind::Dnsmasq => unreachable!("it has no sessions"),
        };
        let out = Command::new(program).args(words).stdin(Stdio::null()).output().expect(program);
        assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().split_whitespace().last().unwrap_or_default().to_owned()
    }
}

/// `faults` in the inner loop, and all that there are otherwise.
fn fails_over(kind: Kind, check: &str, faults: &[Fault]) {
    alone(|network| {
        let hosts = [network.host(), network.host()];
        let servers = thread::scope(|scope| {
            let starting = hosts.each_ref().map(|host| scope.spawn(|| Server::on(host, kind)));
            starting.map(|starting| starting.join().unwrap())
        });
        let lines = format!(
            "balance = \"round-robin\"\non_down = \"close\"\ntimeouts = {{ connect = \"500ms\" }}\n\
             health = {{ {check}, interval = \"100ms\", timeout = \"500ms\", fall = 3, rise = 1 }}\n"
        );
        let proxy = Proxy::start(tcp_with("", &servers.each_ref(), &lines));
        let mut pair = Pair { kind, servers, proxy };
        // The first check decides alone.
        for server in &pair.servers {
            let passed = [("target", &*server.to_string())];
            eventually("it is checked", || pair.proxy.metric("ringway_target_checks_passed_total", &passed) >= 1.0);
        }
        for fault in [faults, &Fault::ALL][rounds(1, 0)] {
            pair.survives(*fault);
        }
    });
}

#[test]
fn postgres_fails_over_whatever_becomes_of_it() {
    let check = "type = \"postgres\", user = \"ringway\", database = \"postgres\"";
    fails_over(Kind::Postgres, check, &[Frozen, Cut(Hurt::Reset)]);
}

#[test]
fn mariadb_fails_over_whatever_becomes_of_it() {
    fails_over(Kind::MariaDb, "type = \"mysql\", user = \"ringway\"", &[Killed, Cut(Hurt::Dropped)]);
}

#[test]
fn redis_fails_over_whatever_becomes_of_it() {
    let faults = [Cut(Hurt::Refused), Cut(Hurt::Unreachable), Cut(Hurt::Slow)];
    fails_over(Kind::Redis, "type = \"redis\"", &faults);
}
