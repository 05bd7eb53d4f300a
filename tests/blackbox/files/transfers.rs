//! Files on their way: large ones, slow clients, files that change meanwhile.

use super::Site;
use crate::support::client::request;
use crate::support::{Client, eventually, h2, pattern};
use std::os::unix::fs::FileExt;
use std::time::Duration;

#[test]
fn a_large_file_arrives_whole_by_either_protocol_on_either_driver() {
    for driver in ["auto", "epoll"] {
        let site = Site::new("");
        let content = pattern(3_000_000);
        site.write("large", &content);
        let proxy = site.setup.driver(driver).start();
        let mut client = proxy.client();
        for _ in 0..2 {
            assert!(client.get("/large").body == content, "{driver}");
        }
        let part = client.ask("GET", "/large", &["Range: bytes=1000001-2500000"]);
        assert!(part.status == 206 && part.body == content[1_000_001..=2_500_000], "{driver}");
        let answer = h2::Client::to(&proxy.web()).get("/large");
        assert!(answer.body == content, "{driver}");
        proxy.settles("ringway_route_requests_total", &[("route", "site"), ("code_class", "2xx")], 4.0);
    }
}

#[test]
fn bytes_beyond_four_gigabytes_are_where_they_should_be() {
    let site = Site::new("");
    let path = site.write("sparse", "");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(5 << 30).unwrap();
    file.write_all_at(b"here", (4 << 30) + 10).unwrap();
    file.write_all_at(b"end", (5 << 30) - 3).unwrap();
    let proxy = site.setup.start();
    let mut client = proxy.client();
    for (range, said, text) in [
        ("4294967306-4294967309", "bytes 4294967306-4294967309/5368709120", "here"),
        ("-3", "bytes 5368709117-5368709119/5368709120", "end"),
    ] {
        let response = client.ask("GET", "/sparse", &[&format!("Range: bytes={range}")]);
        assert_eq!((response.status, response.text().as_str()), (206, text));
        assert_eq!(response.field("content-range").as_deref(), Some(said));
    }
    assert_eq!(client.ask("HEAD", "/sparse", &[]).field("content-length").as_deref(), Some("5368709120"));
}

#[test]
fn slow_clients_of_large_files_cost_little_memory() {
    let site = Site::new("");
    let path = site.write("sparse", "");
    std::fs::File::options().write(true).open(path).unwrap().set_len(1 << 30).unwrap();
    let proxy = site.setup.start();
    let before = proxy.resident();
    let mut clients: Vec<Client> = (0..50).map(|_| Client::to(&proxy.web())).collect();
    for client in &mut clients {
        client.send(request("GET", "/sparse", &[]));
        client.head(Duration::from_secs(20)).unwrap();
    }
    eventually("all of them are being served", || {
        proxy.metric("ringway_connections_open", &[("listener", "web")]) >= 50.0
    });
    std::thread::sleep(Duration::from_millis(200));
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for 50 clients of 1 GiB each");
}

#[test]
fn a_file_that_becomes_shorter_is_cut_and_never_looks_complete() {
    let site = Site::new("");
    let path = site.write("shrinks", vec![b'x'; 64 << 20]);
    let proxy = site.setup.start();
    let mut client = proxy.client();
    client.send(request("GET", "/shrinks", &[]));
    let head = client.head(Duration::from_secs(20)).unwrap();
    assert_eq!(head.length(), Some(64 << 20));
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    assert!(client.exact(64 << 20).is_err());
    proxy.log.wait(&["not sent to its end"]);
    proxy.settles("ringway_refused_total", &[("reason", "file")], 1.0);
    // By HTTP/2 it is a reset of the stream.
    std::fs::write(&path, vec![b'x'; 64 << 20]).unwrap();
    let many = h2::Client::to(&proxy.web());
    let cut = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    });
    let answer = many.ask(h2::request(http::Method::GET, "/shrinks"), b"");
    cut.join().unwrap();
    // One that was faster than the cut, or began after it, is whole.
    if let Ok(answer) = answer {
        assert_eq!(answer.fields["content-length"].to_str().unwrap(), answer.body.len().to_string());
    }
}

#[test]
fn a_file_that_is_replaced_or_removed_is_sent_as_it_was() {
    let site = Site::new("");
    let path = site.write("gone", vec![b'x'; 64 << 20]);
    let proxy = site.setup.start();
    let mut client = proxy.client();
    client.send(request("GET", "/gone", &[]));
    client.head(Duration::from_secs(20)).unwrap();
    std::fs::remove_file(&path).unwrap();
    let body = client.exact(64 << 20).unwrap();
    assert!(body.iter().all(|&byte| byte == b'x'));
    assert_eq!(client.get("/gone").status, 404, "the connection goes on");
    let log = proxy.log.all();
    assert!(!log.iter().any(|line| line.contains("not sent to its end")), "{log:?}");
}
