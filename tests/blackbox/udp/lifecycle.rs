//! Start, reload, upgrade and stop under datagrams.

use super::client;
use crate::reload::{reload, rewrite};
use crate::support::proxy::Setup;
use crate::support::toml::udp_with;
use crate::support::udp::{UdpClient, UdpTarget};
use crate::support::{GLANCE, Proxy, eventually, rounds, within};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Clients that ask one thing after the other and count what is not answered.
struct Asking {
    done: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Asking {
    /// Half of them keep their port, half take another for each question.
    fn start(to: &str, clients: usize) -> Self {
        let (done, lost, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::default());
        let threads = (0..clients).map(|number| {
            let (done, lost, over, to) = (done.clone(), lost.clone(), Arc::clone(&over), to.to_owned());
            thread::spawn(move || {
                let mut client = UdpClient::to(&to);
                for question in 0.. {
                    if AtomicBool::load(&over, Ordering::Relaxed) {
                        return;
                    }
                    if number % 2 == 0 {
                        client = UdpClient::to(&to);
                    }
                    let text = format!("{question} of {number}");
                    client.send(&text);
                    match client.within(Duration::from_secs(5)) {
                        Some(answer) if answer == format!("a {text}").as_bytes() => {
                            done.fetch_add(1, Ordering::Relaxed)
                        }
                        _ => lost.fetch_add(1, Ordering::Relaxed),
                    };
                    thread::sleep(Duration::from_millis(1));
                }
            })
        });
        let threads = threads.collect();
        Self { done, lost, over, threads }
    }

    fn more(&self, count: usize) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("they are answered", || self.done.load(Ordering::Relaxed) >= before + count);
    }

    #[track_caller]
    fn stop_clean(self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(self.lost.load(Ordering::Relaxed), 0, "of {}", self.done.load(Ordering::Relaxed));
    }
}

#[test]
fn no_query_is_lost_to_reloads() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("udp = { responses = 1 }", &[&target], ""));
    let asking = Asking::start(&proxy.web(), 4);
    for number in 0..rounds(10, 3) {
        asking.more(50);
        rewrite(&proxy, |text| {
            let lines = text.lines().filter(|line| !line.starts_with("udp ="));
            let text: Vec<&str> = lines.collect();
            text.join("\n").replace(
                "pool = \"site\"",
                &format!("pool = \"site\"\nudp = {{ responses = 1, idle = \"{}s\" }}", number + 5),
            )
        });
        reload(&proxy, "applied");
    }
    asking.more(50);
    asking.stop_clean();
}

#[test]
fn no_query_is_lost_to_upgrades_and_answers_of_the_old_process_still_come() {
    // What says so is answered a second later.
    let target = UdpTarget::with(|socket, from, bytes| {
        let answer = [b"a ", bytes].concat();
        let socket = socket.try_clone().unwrap();
        if bytes.starts_with(b"slow") {
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(1));
                let _ = socket.send_to(&answer, from);
            });
        } else {
            let _ = socket.send_to(&answer, from);
        }
    });
    let lines = "udp = { responses = 1, idle = \"10s\" }\n[upgrade]\nmax_old = 100\n";
    let mut proxy = Proxy::start(udp_with(lines, &[&target], ""));
    let asking = Asking::start(&proxy.web(), 4);
    for _ in 0..rounds(5, 2) {
        asking.more(50);
        let slow = client(&proxy);
        slow.send("slow");
        eventually("it arrives", || target.seen().iter().any(|(_, bytes)| bytes == b"slow"));
        let old = proxy.pid();
        proxy.upgrade();
        assert_eq!(slow.next(), b"a slow");
        assert!(within(Duration::from_secs(20), || {
            // SAFETY: takes numbers only; signal 0 only asks.
            !std::path::Path::new(&format!("/proc/{old}/fd/0")).exists()
        }));
        assert_eq!(slow.ask("fast"), "a fast", "the new process serves it, too");
    }
    asking.more(50);
    asking.stop_clean();
}

#[test]
fn a_listener_that_is_taken_away_leaves_its_port_to_others() {
    let (target, other) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let config = udp_with("", &[&target], "")
        + &format!(
            "[listeners.other]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"udp\"\npool = \"other\"\n[pools.other]\ntargets = [\"{other}\"]\n"
        );
    let proxy = Proxy::start(config);
    let (web, held) = (proxy.web(), client(&proxy));
    assert_eq!(held.ask("1"), "a 1");
    assert_eq!(UdpClient::to(&proxy.at("other")).ask("1"), "b 1");
    rewrite(&proxy, |text| {
        let start = text.find("[listeners.web]").unwrap();
        let end = text.find("[pools.site]").unwrap();
        format!("{}{}", &text[..start], &text[end..])
    });
    reload(&proxy, "applied");
    eventually("the port is free", || UdpSocket::bind(&web).is_ok());
    assert_eq!(UdpClient::to(&proxy.at("other")).ask("2"), "b 2");
}

#[test]
fn a_stop_waits_for_answers_that_are_owed_and_for_no_more() {
    let target = UdpTarget::with(|socket, from, bytes| {
        thread::sleep(Duration::from_millis(300));
        let _ = socket.send_to(bytes, from);
    });
    let mut proxy = Proxy::start(udp_with("", &[&target], ""));
    let client = client(&proxy);
    client.send("last words");
    eventually("it arrives", || target.count() == 1);
    proxy.signal(libc::SIGTERM);
    assert_eq!(client.next(), b"last words");
    assert!(proxy.exit_within(Duration::from_secs(15)).is_some(), "the session's two minutes are not waited for");
}

#[test]
fn a_second_process_on_the_same_port_is_an_error() {
    let target = UdpTarget::echo("a");
    let first = Proxy::start(udp_with("", &[&target], ""));
    let address = first.web();
    let mut second = Setup::new(udp_with(&format!("listen = [\"{address}\"]"), &[&target], "")).spawn();
    assert_eq!(second.exit().code(), Some(1));
    second.log.wait(&[&address]);
    (0..10).for_each(|_| assert_eq!(client(&first).ask("x"), "a x"));
}

#[test]
fn a_worker_that_stands_still_takes_nobodys_answers_with_it_for_long() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("", &[&target], ""));
    let frozen = crate::support::hurt::Frozen::thread(proxy.pid(), "ringway-w0");
    // Its siblings receive what is sent to it, once they see that it stands still.
    for number in 0..8 {
        assert!(client(&proxy).ask_patiently(&number.to_string()).starts_with("a "));
    }
    drop(frozen);
    thread::sleep(GLANCE);
    for number in 0..8 {
        assert!(client(&proxy).ask_patiently(&number.to_string()).starts_with("a "));
    }
}
