//! Peers that are gone without a word: their packets are lost from some moment on, and nothing tells of it but what the sockets were told to
//! look for.

use crate::support::client::{Client, request};
use crate::support::network::{Host, Hurt, alone};
use crate::support::toml::{http_with, pool, tcp_with};
use crate::support::{Proxy, Target, eventually, rounds};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

/// A target on a host: it sends back what comes, or answers each piece of it with `answer`.
fn server_on(host: &Host, answer: Option<&'static str>) -> SocketAddr {
    let listener = host.within(|| TcpListener::bind((host.ip, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut room = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut room) {
                    if stream.write_all(answer.map_or(&room[..count], str::as_bytes)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Sends its word over and over.
fn chatters(name: &str) -> Target {
    Target::with(name, |peer| {
        while peer.try_send("word").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    })
}

/// A tcp listener of any address, one more than "web", in front of a pool of its own.
fn listener(name: &str, target: impl std::fmt::Display, keys: &str, of_pool: &str) -> String {
    format!("\n[listeners.{name}]\nlisten = [\"0.0.0.0:0\"]\nprotocol = \"tcp\"\npool = \"{name}\"\n{keys}\n")
        + &pool(name, &[target.to_string()], of_pool)
}

/// A connection from that host, by which something has come already.
fn client_on(host: &Host, proxy: &Proxy, name: &str) -> Client {
    let port = proxy.at(name).parse::<SocketAddr>().unwrap().port();
    let mut client = host.within(|| Client::to(&format!("{}:{port}", host.gateway)));
    client.send("word");
    assert_eq!(client.exact(4).unwrap(), b"word");
    client
}

/// Two listeners that clients far away come by, and two that lead far away: `web` and `far` have these lines of `tcp`, the others none.
fn beside_others(watched: &Target, other: &Target, far: SocketAddr, lines: &str) -> Proxy {
    let web = tcp_with("listen = [\"0.0.0.0:0\"]", &[watched], "");
    Proxy::start(
        web.replace("protocol", &format!("{lines}\nprotocol"))
            + &listener("other", other, "", "")
            + &listener("far", far, "", lines)
            + &listener("patient", far, "", ""),
    )
}

/// A client from here that has had an answer.
fn answered_by(proxy: &Proxy, name: &str) -> Client {
    let mut client = Client::to(&proxy.at(name).replace("0.0.0.0", "127.0.0.1"));
    client.send("word");
    assert_eq!(client.exact(4).unwrap(), b"word");
    client
}

#[test]
fn who_takes_nothing_any_more_is_given_up_after_the_user_timeout() {
    alone(|network| {
        let host = network.host();
        let (watched, other) = (chatters("watched"), chatters("other"));
        let timeout = "tcp = { user_timeout = \"500ms\" }";
        let far = server_on(&host, None);
        let proxy = beside_others(&watched, &other, far, timeout);
        let clients = ["web", "other"].map(|name| client_on(&host, &proxy, name));
        let mut near = ["far", "patient"].map(|name| answered_by(&proxy, name));
        assert_eq!((watched.open(), other.open()), (1, 1));
        host.hurt(Hurt::Dropped);
        let since = Instant::now();
        near.iter_mut().for_each(|client| client.send("more"));
        // By what targets send a client that is gone, and by what a client sends a target that is.
        eventually("the target hears of its client's end", || watched.open() == 0);
        near[0].ending();
        let took = since.elapsed();
        assert!(took > Duration::from_millis(400) && took < Duration::from_secs(10), "{took:?}");
        assert_eq!(other.open(), 1, "nobody has asked for that there");
        assert!(near[1].quiet(Duration::from_millis(100)), "nor there");
        drop(clients);
    });
}

#[test]
fn a_request_on_a_kept_connection_to_a_target_that_is_gone_goes_elsewhere() {
    alone(|network| {
        let hosts = [network.host(), network.host()];
        let answers =
            ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"];
        let servers = [0, 1].map(|n| server_on(&hosts[n], Some(answers[n])));
        let lines = "balance = \"round-robin\"\ntcp = { user_timeout = \"500ms\" }\nkeepalive = { idle = \"1m\" }\n\
             timeouts = { connect = \"500ms\" }\n";
        let proxy = Proxy::start(http_with("", &servers, lines));
        let mut client = proxy.client();
        let mut ask = || {
            client.send(request("GET", "/", &[]));
            let since = Instant::now();
            (client.response().text(), since.elapsed())
        };
        let mut first: Vec<String> = (0..2).map(|_| ask().0).collect();
        first.sort();
        assert_eq!(first, ["first", "second"], "a connection to each of them is kept");
        hosts[0].hurt(Hurt::Dropped);
        for _ in 0..4 {
            let (by, took) = ask();
            // Without it the request would wait for `response_head`, a minute.
            assert!(by == "second" && took < Duration::from_secs(10), "{by} {took:?}");
        }
    });
}

#[test]
fn who_is_silent_and_gone_is_found_by_keepalive() {
    alone(|network| {
        let host = network.host();
        let (watched, other) = (Target::mirror("watched"), Target::mirror("other"));
        let asked = format!("tcp = {{ keepalive = {{ idle = \"1s\", interval = \"1s\", count = {} }} }}", rounds(2, 1));
        let far = server_on(&host, None);
        let proxy = beside_others(&watched, &other, far, &asked);
        let clients = ["web", "other"].map(|name| client_on(&host, &proxy, name));
        let mut near = ["far", "patient"].map(|name| answered_by(&proxy, name));
        host.hurt(Hurt::Dropped);
        let since = Instant::now();
        eventually("the target hears of its client's end", || watched.open() == 0);
        near[0].ending();
        let took = since.elapsed();
        assert!(took > Duration::from_millis(900) && took < Duration::from_secs(15), "{took:?}");
        assert_eq!(other.open(), 1, "nobody has asked there");
        assert!(near[1].quiet(Duration::from_millis(100)), "nor there");
        drop(clients);
    });
}
