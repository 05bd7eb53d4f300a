//! A crowd at one cold object, on two workers.

use super::config;
use crate::support::client::request;
use crate::support::hurt::soft_file_limit;
use crate::support::proxy::Setup;
use crate::support::{Target, rounds};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const BODY: &str = "cold";

/// Raises this process' own soft limit of open files, as far as it goes.
fn raise_own_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives the calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(65_536);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    limit.rlim_cur
}

#[test]
fn a_crowd_at_a_cold_object_costs_the_origin_one_request_and_nobody_waits_longer() {
    let crowd = rounds(9000, 900).min(raise_own_limit() as usize - 500);
    let target = Target::with("cold", |peer| {
        while peer.request().is_some() {
            std::thread::sleep(Duration::from_millis(500));
            let head =
                format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
            if peer.try_send(head).is_err() {
                return;
            }
        }
    });
    let proxy = Setup::new(config(&target, "")).before(soft_file_limit(raise_own_limit().min(20_000))).start();
    let address = proxy.web();
    let mut clients: Vec<TcpStream> = (0..crowd).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let text = request("GET", "/a", &[]);
    let begun = Instant::now();
    for client in &mut clients {
        client.write_all(text.as_bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
    }
    let asked = begun.elapsed();
    let mut answers: Vec<Vec<u8>> = vec![Vec::new(); crowd];
    let (mut waiting, mut last): (Vec<usize>, _) = ((0..crowd).collect(), Duration::ZERO);
    let mut polled: Vec<libc::pollfd> = clients
        .iter()
        .map(|client| libc::pollfd { fd: client.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    while !waiting.is_empty() {
        assert!(begun.elapsed() < crate::support::PATIENCE, "{} of {crowd} still wait", waiting.len());
        // SAFETY: the array outlives the call.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, 1000) };
        let now = begun.elapsed();
        for place in polled.iter_mut().filter(|one| one.revents != 0) {
            place.events = 0;
            place.fd = -place.fd;
            last = now;
        }
        waiting.retain(|&n| polled[n].fd >= 0);
    }
    for (client, answer) in clients.iter_mut().zip(&mut answers) {
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        let mut buffer = [0; 1024];
        while !answer.ends_with(BODY.as_bytes()) {
            match client.read(&mut buffer) {
                Ok(0) => panic!("it ended after {:?}", String::from_utf8_lossy(answer)),
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    }
    println!("{crowd} clients: all had asked after {asked:?}, the last first byte came after {last:?}");
    assert_eq!(target.requests(), 1);
    // What it takes to ask is not the proxy's; one that is built for debugging is several times slower.
    let most = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });
    assert!(last < most + asked, "{last:?}, asked within {asked:?}");
}
