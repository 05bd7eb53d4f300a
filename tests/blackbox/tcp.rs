//! TCP balancing.

use crate::support::target::{Deaf, Leave, refused};
use crate::support::toml::{tcp, tcp_with};
use crate::support::wire::Broken;
use crate::support::{Client, GLANCE, Proxy, Target, assert_same, eventually, pattern, rounds};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn bytes_pass_both_ways_at_once_and_unchanged() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp(&[&target]));
    let mut client = proxy.client();
    let sent = pattern(8 << 20);
    let copy = sent.clone();
    let mut writer = client.socket.try_clone().unwrap();
    let writing = thread::spawn(move || {
        std::io::Write::write_all(&mut writer, &copy).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    assert_same(&client.to_end().unwrap(), &sent);
    writing.join().unwrap();
}

#[test]
fn a_clients_half_close_reaches_the_target_and_its_answer_still_comes() {
    let target = Target::with("a", |peer| {
        let got = peer.to_end().unwrap();
        peer.send(format!("{} bytes", got.len()));
    });
    let proxy = Proxy::start(tcp(&[&target]));
    let mut client = proxy.client();
    client.send(pattern(100_000));
    assert!(client.quiet(GLANCE), "the target answers only after the end");
    client.finish_sending();
    assert_eq!(client.to_end().unwrap(), b"100000 bytes");
}

#[test]
fn a_targets_half_close_reaches_the_client_which_can_go_on_sending() {
    let target = Target::with("a", |peer| {
        peer.send("bye");
        peer.finish_sending();
        let rest = peer.to_end().unwrap_or_default();
        assert_same(&rest, &pattern(200_000));
        // A second connection tells the test that all came.
        peer.finish_sending();
    });
    let proxy = Proxy::start(tcp(&[&target]));
    let mut client = proxy.client();
    assert_eq!(client.to_end().unwrap(), b"bye");
    for part in pattern(200_000).chunks(50_000) {
        client.send(part);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(target.open(), 1, "the connection still lives");
    client.finish_sending();
    eventually("the target has read to the end", || target.open() == 0);
}

#[test]
fn a_refused_connect_goes_to_the_next_target() {
    let good = Target::greets("good");
    let proxy = Proxy::start(tcp_with("", &[refused(), good.address], "balance = \"round-robin\""));
    for _ in 0..6 {
        assert_eq!(proxy.client().exact(4).unwrap(), b"good");
    }
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "connect")]) >= 1.0);
    assert!(proxy.metric("ringway_pool_retries_total", &[]) >= 1.0);
}

#[test]
fn a_connect_timeout_goes_to_the_next_target() {
    let (deaf, good) = (Deaf::start(), Target::greets("good"));
    let lines = "balance = \"round-robin\"\ntimeouts = { connect = \"200ms\" }";
    let proxy = Proxy::start(tcp_with("", &[deaf.address, good.address], lines));
    for _ in 0..4 {
        assert_eq!(proxy.client().exact(4).unwrap(), b"good");
    }
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "connect-timeout")]) >= 1.0);
}

#[test]
fn a_client_is_let_go_when_no_target_can_be_reached() {
    let proxy = Proxy::start(tcp(&[refused()]));
    let begun = Instant::now();
    // It may be let go before connecting has returned.
    if let Ok(mut client) = Client::try_to(&proxy.web()) {
        assert_ne!(client.ending(), Broken::TimedOut);
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_silent_tunnel_ends_and_a_talking_one_lives() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp_with("", &[&target], "timeouts = { tunnel = \"1s\" }"));
    let (mut silent, mut talking) = (proxy.client(), proxy.client());
    silent.send("x");
    assert_eq!(silent.exact(1).unwrap(), b"x");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        talking.send("y");
        assert_eq!(talking.exact(1).unwrap(), b"y");
        thread::sleep(Duration::from_millis(100));
    }
    assert_ne!(silent.ending(), Broken::TimedOut);
    talking.send("z");
    assert_eq!(talking.exact(1).unwrap(), b"z");
    eventually("the silent tunnel's target side ends too", || target.open() == 1);
}

#[test]
fn traffic_in_one_direction_keeps_a_tunnel_alive() {
    let target = Target::with("a", |peer| {
        for _ in 0..15 {
            peer.send("t");
            thread::sleep(Duration::from_millis(150));
        }
    });
    let proxy = Proxy::start(tcp_with("", &[&target], "timeouts = { tunnel = \"1s\" }"));
    assert_eq!(proxy.client().to_end().unwrap(), b"ttttttttttttttt");
}

#[test]
fn a_reset_reaches_the_other_side() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp(&[&target]));
    let mut client = proxy.client();
    client.send("x");
    client.exact(1).unwrap();
    client.reset();
    eventually("the target's side of a reset client ends", || target.open() == 0);

    let resetting = Target::with("b", |peer| {
        let _ = peer.exact(1);
        peer.leave(Leave::Reset);
    });
    let proxy = Proxy::start(tcp(&[&resetting]));
    let mut client = proxy.client();
    client.send("x");
    assert!(matches!(client.ending(), Broken::Reset | Broken::Closed));
}

#[test]
fn a_slow_reader_holds_back_its_sender_alone() {
    let flood = Target::with("a", |peer| {
        let block = pattern(1 << 20);
        for _ in 0..128 {
            if peer.try_send(&block).is_err() {
                return;
            }
        }
    });
    let proxy = Proxy::start(tcp(&[&flood]));
    let before = proxy.resident();
    let stuck: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
    let mut reader = proxy.client();
    assert_eq!(reader.to_end().unwrap().len(), 128 << 20);
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 24 << 20, "four stuck readers of 128 MiB made it grow by {grown} bytes");
    drop(stuck);
}

#[test]
fn buffers_go_back_after_a_burst() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp(&[&target]));
    let mut clients: Vec<Client> = (0..rounds(200, 60)).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send("x");
        client.exact(1).unwrap();
    }
    let before = proxy.resident();
    for client in &mut clients {
        let bytes = pattern(1 << 20);
        let mut writer = client.socket.try_clone().unwrap();
        let copy = bytes.clone();
        let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &copy).unwrap());
        assert_same(&client.exact(bytes.len()).unwrap(), &bytes);
        writing.join().unwrap();
    }
    let grown = proxy.resident().saturating_sub(before);
    // Were each to keep its bulk buffers, it would be a quarter of a megabyte per connection.
    assert!(grown < clients.len() * (64 << 10) + (8 << 20), "{} idle tunnels hold {grown} bytes", clients.len());
}

#[test]
fn many_connections_come_and_go_without_leaving_a_descriptor() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp(&[&target]));
    let before = proxy.descriptors();
    for n in 0..rounds(400, 100) {
        let mut client = proxy.client();
        client.send("x");
        client.exact(1).unwrap();
        if n % 3 == 0 { client.reset() } else { drop(client) }
    }
    eventually("all descriptors are given back", || proxy.descriptors() <= before + 4);
    eventually("the gauge is back at zero", || proxy.metric("ringway_connections_open", &[("listener", "web")]) == 0.0);
}

#[test]
fn unix_sockets_serve_at_both_ends() {
    let directory = crate::support::proxy::Directory::new();
    let front = format!("unix:{}/front.sock", directory.path().display());
    let back = directory.path().join("back.sock");
    let listener = std::os::unix::net::UnixListener::bind(&back).unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut reader, &mut stream);
                let _ = stream.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    let config = tcp_with(&format!("listen = [\"{front}\"]"), &[format!("unix:{}", back.display())], "");
    let proxy = Proxy::start(config);
    assert_eq!(proxy.web(), front);
    let bytes = pattern(500_000);
    let mut client = proxy.client();
    let (mut writer, copy) = (client.socket.try_clone().unwrap(), bytes.clone());
    let writing = thread::spawn(move || {
        std::io::Write::write_all(&mut writer, &copy).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    assert_same(&client.to_end().unwrap(), &bytes);
    writing.join().unwrap();
}

/// The names of the targets that `n` connections come to, one after the other; each is kept open.
fn greetings(proxy: &Proxy, n: usize) -> (Vec<String>, Vec<Client>) {
    let mut clients: Vec<Client> = (0..n).map(|_| proxy.client()).collect();
    let names = clients.iter_mut().map(|client| String::from_utf8(client.exact(2).unwrap()).unwrap()).collect();
    (names, clients)
}

#[test]
fn connections_are_spread_by_the_pools_policy() {
    for (balance, off) in [("round-robin", 2), ("least-conn", 2)] {
        let targets: Vec<Target> = (0..3).map(|n| Target::greets(&format!("t{n}"))).collect();
        let proxy = Proxy::start(tcp_with("", &targets, &format!("balance = \"{balance}\"")));
        let (names, clients) = greetings(&proxy, 30);
        for target in &targets {
            let got = names.iter().filter(|name| *name == target.name()).count();
            assert!(got.abs_diff(10) <= off, "{balance}: {names:?}");
        }
        drop(clients);
    }
}

/// Tunnels count as in flight: least-conn fills up the target that has lost its own.
#[test]
fn least_conn_counts_tunnels() {
    let targets = [Target::greets("t0"), Target::greets("t1")];
    let proxy = Proxy::start(tcp_with("", &targets, "balance = \"least-conn\""));
    let (names, clients) = greetings(&proxy, 20);
    let (gone, kept): (Vec<_>, Vec<_>) = names.iter().zip(clients).partition(|(name, _)| *name == "t0");
    drop(gone);
    eventually("t0 is idle", || targets[0].open() == 0);
    proxy.settles("ringway_target_in_flight", &[("target", &targets[0].to_string())], 0.0);
    let (names, _more) = greetings(&proxy, 8);
    assert!(names.iter().all(|name| name == "t0"), "{names:?}");
    drop(kept);
}

#[test]
fn a_client_address_sticks_to_its_target() {
    let targets: Vec<Target> = (0..4).map(|n| Target::greets(&format!("t{n}"))).collect();
    let proxy = Proxy::start(tcp_with("", &targets, "balance = \"hash\"\nkey = \"client-ip\""));
    let mut used = std::collections::BTreeSet::new();
    for host in 2..14 {
        let source = format!("127.0.0.{host}");
        let names: Vec<Vec<u8>> = (0..3).map(|_| Client::from(&source, &proxy.web()).exact(2).unwrap()).collect();
        assert!(names.iter().all(|name| *name == names[0]), "{source}: {names:?}");
        used.insert(names[0].clone());
    }
    assert!(used.len() >= 2);
}
