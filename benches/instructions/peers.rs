//! The client and the targets: one process beside the measured one.
//!
//! What always holds: a peer speaks only while the proxy sleeps, so that every wait of the proxy is a real one. Without that
//! an answer is sometimes there before the proxy asks for it, and the counts differ from run to run by a per cent.

use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::parent_id;
use std::thread;

/// How many targets there are: with more than one the policy has a choice to make.
pub const TARGETS: usize = 2;
/// As the benchmarks' backend answers.
const ANSWER_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 128\r\n\r\n";

/// Prints the targets' ports, reads the proxy's, and sends `requests` to it, one after the other on one connection.
pub fn run(requests: usize) {
    let proxy = parent_id();
    let answer = [ANSWER_HEAD, &[b'x'; 128]].concat();
    for _ in 0..TARGETS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let answer = answer.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer_all(proxy, stream.unwrap(), &answer);
            }
        });
    }
    let mut port = String::new();
    std::io::stdin().lock().read_line(&mut port).unwrap();
    let port: u16 = port.trim().parse().unwrap();
    // As wrk asks.
    let request = format!("GET /128 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    for _ in 0..requests {
        await_sleep(proxy);
        stream.write_all(request.as_bytes()).unwrap();
        read_until(&mut stream, &mut buffer, |bytes| bytes.ends_with(&[b'x'; 128]));
        assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&buffer));
    }
}

fn answer_all(proxy: u32, mut stream: TcpStream, answer: &[u8]) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    while read_until(&mut stream, &mut buffer, |bytes| bytes.ends_with(b"\r\n\r\n")) {
        await_sleep(proxy);
        stream.write_all(answer).unwrap();
    }
}

/// Waits until the process sleeps: the only call that puts the proxy to sleep is the one that waits for events.
fn await_sleep(process: u32) {
    let path = format!("/proc/{process}/stat");
    loop {
        let stat = std::fs::read_to_string(&path).unwrap();
        // `pid (name) state …`, and a name may hold anything.
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')) {
            return;
        }
        thread::yield_now();
    }
}

/// Reads one message, of which `is_whole` knows the end. Returns whether there was one.
fn read_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, is_whole: impl Fn(&[u8]) -> bool) -> bool {
    buffer.clear();
    let mut piece = [0; 4096];
    while !is_whole(buffer) {
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => buffer.extend_from_slice(&piece[..count]),
            _ => return false,
        }
    }
    true
}
