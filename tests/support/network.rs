//! Networks of the tests' own: hosts in namespaces of Linux, each at the end of a link that can be cut, throttled, or answer for them.
//!
//! A test that runs in [`alone`] is on a host of its own as well, and so is all that it starts. Nothing is left behind: namespaces have no
//! names, and go with the last process, thread and socket in them.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

/// The network of one test: its own host, which forwards between the others.
pub struct Network {
    hosts: RefCell<u8>,
}

/// Another host.
#[derive(Clone)]
pub struct Host {
    /// Its address.
    pub ip: Ipv4Addr,
    /// The address of the test's own host, as it sees it.
    pub gateway: Ipv4Addr,
    /// The interface of the test's own host that leads to it.
    pub link: String,
    namespace: Arc<File>,
}

/// What may become of a host, or of the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurt {
    /// All packets are lost, both ways.
    Dropped,
    /// Nobody listens there any more; connections that stand go on.
    Refused,
    /// Each connection is made, and reset by its first packet.
    Reset,
    /// A router in between knows no way.
    Unreachable,
    /// Its link takes 125 bytes a second.
    Slow,
}

/// Runs `test` in a network of its own. Whoever may not have one passes over it, and says so.
#[track_caller]
pub fn alone(test: impl FnOnce(&Network) + Send) {
    let run = || match enter_new() {
        Ok(_) => {
            ip(&["link set lo up"]);
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            test(&Network { hosts: RefCell::new(0) });
        }
        Err(error) => eprintln!("passed over: who runs the tests may have no network of its own: {error}"),
    };
    // The namespace is that of the thread, which must not run another test after this one.
    let done = thread::scope(|scope| scope.spawn(run).join());
    done.unwrap_or_else(|panic| resume_unwind(panic));
}

impl Network {
    /// One more host.
    #[track_caller]
    pub fn host(&self) -> Host {
        let number = {
            let mut hosts = self.hosts.borrow_mut();
            *hosts += 1;
            *hosts
        };
        let namespace = thread::spawn(enter_new).join().unwrap().unwrap();
        let host = Host {
            ip: Ipv4Addr::new(10, 7, number, 2),
            gateway: Ipv4Addr::new(10, 7, number, 1),
            link: format!("host{number}"),
            namespace: Arc::new(namespace),
        };
        let Host { ip: own, gateway, link, namespace } = &host;
        let there = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        ip(&[
            &format!("link add {link} type veth peer name eth0 netns {there}"),
            &format!("address add {gateway}/24 dev {link}"),
            &format!("link set {link} up"),
        ]);
        host.within(|| {
            ip(&[
                "link set lo up",
                &format!("address add {own}/24 dev eth0"),
                "link set eth0 up",
                &format!("route add default via {gateway}"),
            ]);
            // It tells everybody that it may not be reached, and not one a second.
            std::fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0").unwrap();
        });
        host
    }
}

impl Host {
    /// What `act` does there: the sockets that it opens and the programs that it starts stay there.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let act = || {
            enter(&self.namespace).unwrap();
            act()
        };
        let done = thread::scope(|scope| scope.spawn(act).join());
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Hurts it.
    pub fn hurt(&self, by: Hurt) {
        let (input, output) = match by {
            Hurt::Dropped => ("drop", "drop"),
            Hurt::Refused => ("meta l4proto udp reject\n tcp flags & (syn | ack) == syn reject with tcp reset", ""),
            Hurt::Reset => ("tcp flags & syn == 0 reject with tcp reset", ""),
            Hurt::Unreachable => ("reject with icmp type host-unreachable", ""),
            Hurt::Slow => {
                let words =
                    ["qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1kbit", "burst", "1600", "limit", "1mb"];
                return self.within(|| done(Command::new("tc").args(words), ""));
            }
        };
        let rules = format!(
            "table ip hurt {{\n\
             chain in {{ type filter hook input priority 0; iifname != eth0 accept\n {input}\n }}\n\
             chain out {{ type filter hook output priority 0; oifname != eth0 accept\n {output}\n }}\n}}\n"
        );
        self.filter(&rules);
    }

    /// All is as it was.
    pub fn heal(&self, from: Hurt) {
        match from {
            Hurt::Slow => self.within(|| done(Command::new("tc").args(["qdisc", "del", "dev", "eth0", "root"]), "")),
            _ => self.filter("delete table ip hurt"),
        }
    }

    fn filter(&self, rules: &str) {
        self.within(|| filter(rules));
    }
}

/// Rules of nftables for the host that the caller is on.
#[track_caller]
pub fn filter(rules: &str) {
    done(Command::new("nft").args(["-f", "-"]), rules);
}

/// Commands of `ip` for the host that the caller is on.
#[track_caller]
pub fn ip(lines: &[&str]) {
    done(Command::new("ip").args(["-batch", "-"]), &lines.join("\n"));
}

#[track_caller]
fn done(command: &mut Command, input: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{input}\n{words}");
}

/// Has the calling thread enter a new namespace.
fn enter_new() -> io::Result<File> {
    // SAFETY: it takes a number, and concerns the calling thread alone.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => File::open("/proc/thread-self/ns/net"),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the calling thread enter that one.
fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: it takes numbers only, and concerns the calling thread alone.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
