//! Peers are left out of what they cannot do, and those that are on this machine start with every setup.

use super::*;
use crate::backend;
use std::net::SocketAddr;

fn load(tool: Tool, path: &str) -> LoadSpec {
    LoadSpec { tool, tls: false, path: path.into(), connections: 8, keys: 0, fields: Vec::new() }
}

fn peer(name: &str) -> Peer {
    let known = KNOWN.iter().find(|known| known.name == name).unwrap();
    Peer { name: known.name, program: known.program.into(), version: String::new(), known }
}

/// A backend's addresses for HTTP/1.1 and HTTP/2.
fn backend() -> (SocketAddr, SocketAddr) {
    let (address, h2c) = (plain::free_address().unwrap(), plain::free_address().unwrap());
    let args = backend::Args {
        http: address,
        h2c: Some(h2c),
        echo: None,
        every_loopback: true,
        name: "b".into(),
        journal: None,
    };
    std::thread::spawn(move || backend::run(args));
    plain::wait_for(address, false, "/health", Duration::from_secs(5)).unwrap();
    (address, h2c)
}

#[test]
fn a_peer_is_left_out_of_what_it_cannot_do() {
    let plain = Setup::plain(([127, 0, 0, 1], 80).into(), Path::new("/"));
    let routed = Setup { routes: 9, ..plain.clone() };
    let wrk = load(Tool::Wrk { script: None }, "/128");
    let (http, tcp) = (Protocol::Http, Protocol::Tcp);
    assert!(peer("caddy").fits(http, Some(&wrk), &plain) && !peer("caddy").fits(tcp, Some(&wrk), &plain));
    assert!(!peer("apache").fits(tcp, Some(&wrk), &plain) && peer("apache").fits(http, None, &routed));
    assert!(!peer("haproxy-map").fits(http, Some(&wrk), &plain) && peer("haproxy-map").fits(http, None, &routed));
    let floor = peer("floor");
    assert!(floor.fits(http, Some(&wrk), &plain) && floor.fits(tcp, Some(&load(Tool::Bulk, "/1m")), &plain));
    assert!(!floor.fits(http, Some(&wrk), &routed) && !floor.fits(http, None, &plain));
    assert!(!floor.fits(http, Some(&load(Tool::Bulk, "/1m")), &plain));
    let upload = Tool::Wrk { script: Some("upload.lua".into()) };
    assert!(!floor.fits(http, Some(&load(upload, "/128")), &plain));
    let (tls, pooled) = (Setup { tls: true, ..plain.clone() }, Setup { h2c: Some(plain.target), ..plain.clone() });
    assert!(peer("nginx").fits(http, Some(&wrk), &tls) && !peer("caddy").fits(http, Some(&wrk), &tls));
    assert!(!floor.fits(http, Some(&wrk), &tls) && !floor.fits(http, Some(&wrk), &pooled));
    let multiplexed = peer("haproxy-h2");
    assert!(multiplexed.fits(http, Some(&wrk), &pooled) && !multiplexed.fits(http, Some(&wrk), &plain));
}

#[test]
fn every_peer_here_serves_all_that_it_can() {
    let directory = std::env::temp_dir().join(format!("ringway-bench-peers-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (target, h2c) = backend();
    let plain = Setup::plain(target, &directory);
    let many = Setup { routes: 20, targets: 3, ..plain.clone() };
    let (tls, pooled) = (Setup { tls: true, ..plain.clone() }, Setup { h2c: Some(h2c), ..plain.clone() });
    for peer in find(&["all".into()]) {
        for setup in [&plain, &many, &tls, &pooled] {
            if (setup.tls || setup.h2c.is_some()) && !peer.fits(Protocol::Http, None, setup) {
                continue;
            }
            let running = peer.start(setup).unwrap();
            if setup.routes > 0 {
                let path = format!("{}4k", Setup::route(setup.routes));
                assert_eq!(plain::get(running.http, &path).unwrap().len(), 4096, "{}", peer.name);
            }
            assert!(running.cpu_time() > Duration::ZERO, "{}", peer.name);
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
