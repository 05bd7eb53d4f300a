//! DNS, with a real server behind.

use super::client;
use crate::support::toml::udp_with;
use crate::support::udp::UdpClient;
use crate::support::{PATIENCE, Proxy, eventually, rounds, within};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// dnsmasq, which knows `NAME.test` by one address. It ends when it is dropped.
struct Dnsmasq {
    address: String,
    child: Child,
}

impl Dnsmasq {
    #[track_caller]
    fn start(last: u8) -> Self {
        for _ in 0..3 {
            let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let child = Command::new("dnsmasq")
                .args(["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces"])
                .args(["--user=", "--group=", "--pid-file=", "--listen-address=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--address=/test/10.0.0.{last}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("dnsmasq, of Debian's dnsmasq-base");
            let server = Self { address: format!("127.0.0.1:{port}"), child };
            let asked = UdpClient::to(&server.address);
            // Where another program has taken the port meanwhile, it never comes up.
            let up = within(PATIENCE / 3, || {
                asked.send(query(1, "up.test"));
                asked.within(Duration::from_millis(100)).is_some()
            });
            if up {
                return server;
            }
        }
        panic!("no dnsmasq has come up");
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A question for the IPv4 address of a name (RFC 1035 §4.1).
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

#[test]
fn two_servers_share_the_queries_and_none_is_lost_when_one_is_killed() {
    let (one, mut two) = (Dnsmasq::start(1), Dnsmasq::start(2));
    let lines = "udp = { responses = 1, idle = \"5s\" }";
    let proxy = Proxy::start(udp_with(lines, &[&one.address, &two.address], "balance = \"round-robin\""));
    let mut seen = [0, 0];
    let mut ask = |id: u16, patient: bool| {
        let client = client(&proxy);
        let asked = query(id, &format!("n{id}.test"));
        for _ in 0..if patient { 20 } else { 1 } {
            client.send(&asked);
            let answer = client.within(Duration::from_secs(if patient { 1 } else { 20 }));
            if let Some(answer) = answer {
                assert_eq!(answer[..2], id.to_be_bytes(), "the answer to this question");
                assert!(answer.windows(asked.len() - 12).any(|part| part == &asked[12..]));
                seen[usize::from(answer[answer.len() - 1] - 1)] += 1;
                return;
            }
        }
        panic!("no answer to {id}");
    };
    let count = rounds(400, 100) as u16;
    (0..count).for_each(|id| ask(id, false));
    two.child.kill().unwrap();
    two.child.wait().unwrap();
    (count..count + 50).for_each(|id| ask(id, true));
    assert!(seen[1] == usize::from(count) / 2 && seen[0] >= seen[1] + 50, "{seen:?}");
    eventually("all have ended", || proxy.metric("ringway_udp_sessions", &[]) == 0.0);
}
