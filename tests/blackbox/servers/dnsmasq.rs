//! Two servers of DNS, and all that may become of one of them.

use super::faults::Fault::{self, Cut, Frozen};
use crate::support::network::{Hurt, alone};
use crate::support::servers::{Kind, Server};
use crate::support::toml::udp_with;
use crate::support::udp::UdpClient;
use crate::support::{PATIENCE, Proxy, eventually, rounds, within};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The same question as clients have, by TCP (RFC 7766 §8): who is frozen is connected to, and does not answer.
const CHECK: &str = "health = { type = \"script\", interval = \"100ms\", timeout = \"500ms\", fall = 3, rise = 1, steps = [\
    { send_hex = \"0019 0001 0100 0001 0000 0000 0000 02 7570 04 74657374 00 0001 0001\" }, { expect = \"test\" }] }\n";

/// One question, asked again where no answer comes for `patience`: who has answered, by the last byte of the address that it gives, and how
/// often it was asked.
fn ask(proxy: &Proxy, patience: Duration) -> (u8, usize) {
    let client = UdpClient::to(&proxy.web());
    let question = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x04test\0\0\x01\0\x01";
    let since = Instant::now();
    for times in 1.. {
        client.send(question);
        if let Some(answer) = client.within(patience) {
            assert_eq!(answer[..2], question[..2], "the answer to this question");
            return (answer[answer.len() - 2], times);
        }
        assert!(since.elapsed() < PATIENCE, "no answer");
    }
    unreachable!("a number of tries has no end")
}

#[test]
fn dns_fails_over_whatever_becomes_of_a_server() {
    alone(|network| {
        let hosts = [network.host(), network.host()];
        let mut servers = hosts.each_ref().map(|host| Server::on(host, Kind::Dnsmasq));
        // The third byte of their addresses is what differs.
        let numbers = hosts.each_ref().map(|host| host.ip.octets()[2]);
        let lines = format!("balance = \"round-robin\"\n{CHECK}");
        let proxy = Proxy::start(udp_with("udp = { responses = 1, idle = \"5s\" }", &servers.each_ref(), &lines));
        for server in &servers {
            let passed = [("target", &*server.to_string())];
            eventually("it is checked", || proxy.metric("ringway_target_checks_passed_total", &passed) >= 1.0);
        }
        let is_up = |server: &Server| proxy.metric("ringway_target_up", &[("target", &server.to_string())]) == 1.0;
        let balanced = || {
            // Who was told that nobody receives there leaves it alone for a moment, on each worker.
            eventually("both have their part", || {
                (3..=5).contains(&(0..8).filter(|_| ask(&proxy, PATIENCE) == (numbers[0], 1)).count())
            });
        };
        let all: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| *fault != Cut(Hurt::Reset)).collect();
        for fault in [&[Frozen, Cut(Hurt::Dropped)], &all[..]][rounds(1, 0)] {
            balanced();
            fault.strikes(&mut servers[0]);
            let struck = Instant::now();
            let (over, asked) = (AtomicBool::new(false), Mutex::new(Vec::new()));
            let known = thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while !over.load(Ordering::Relaxed) {
                            let answer = ask(&proxy, Duration::from_millis(300));
                            asked.lock().unwrap().push((struck.elapsed(), answer));
                            thread::sleep(Duration::from_millis(10));
                        }
                    });
                }
                let known = within(PATIENCE, || !is_up(&servers[0])).then(|| struck.elapsed());
                over.store(true, Ordering::Relaxed);
                known
            });
            let known = known.expect("it is known to be down");
            let asked = asked.into_inner().unwrap();
            let longest = asked.iter().map(|(_, (_, times))| *times).max();
            eprintln!("{fault:?}: known after {known:?}, {} asked, {longest:?} times at most", asked.len());
            assert!(known < Duration::from_secs(6), "{fault:?} is known after {known:?}");
            assert!(asked.iter().all(|(_, (who, _))| numbers.contains(who)));
            // Everybody is answered at the first time of asking.
            for _ in 0..20 {
                assert_eq!(ask(&proxy, PATIENCE), (numbers[1], 1), "{fault:?}");
            }
            fault.is_over(&mut servers[0]);
            eventually("it is up again", || is_up(&servers[0]));
            balanced();
            assert!(is_up(&servers[1]) && !proxy.log.contains(&["WARN target is down", &servers[1].to_string()]));
        }
    });
}
