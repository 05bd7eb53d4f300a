//! Bodies that are larger than memory may hold, as nginx's proxy_request_buffering and proxy_max_temp_file_size have them: slow clients keep
//! no target waiting, and a disk that is full, gone or damaged costs nobody a wrong byte.

use super::buffers::{asks, bulky};
use crate::reload::reload;
use crate::support::client::request;
use crate::support::h2;
use crate::support::hurt::file_size_limit;
use crate::support::proxy::Setup;
use crate::support::target::Leave;
use crate::support::toml::pool;
use crate::support::{Client, Proxy, Target, assert_same, eventually, pattern};
use http::Method;
use std::fs;
use std::path::PathBuf;

const DRIVERS: [&str; 2] = ["auto", "epoll"];
const ON_DISK: &str = "ringway_worker_buffered_disk_bytes";
const FULL: &str = "ringway_worker_buffers_disk_full_total";
const ERRORS: &str = "ringway_worker_buffers_disk_errors_total";

/// One worker; all of a pool has one place, and nobody waits for it for long.
fn config(targets: &[&Target], limits: &str, buffer: &str) -> String {
    format!(
        "[limits]\n{limits}\n[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n\
         [routes.plain]\npaths = [\"/\"]\npool = \"site\"\n\
         [routes.held]\npaths = [\"/held/\"]\npool = \"site\"\nbuffer = {{ {buffer} }}\n"
    ) + &pool("site", targets, "max_in_flight = 1\nbalance = \"round-robin\"\ntimeouts.queue = \"100ms\"\n")
}

/// With a folder for files beside the configuration.
fn setup(config: String) -> Setup {
    let setup = Setup::new("").workers(1);
    let folder = setup.directory().join("temporary");
    fs::create_dir(&folder).unwrap();
    setup.runtime(&format!("temp_dir = \"{}\"", folder.display())).with(config)
}

fn start(targets: &[&Target], limits: &str, buffer: &str) -> Proxy {
    setup(config(targets, limits, buffer)).start()
}

fn folder(proxy: &Proxy) -> PathBuf {
    proxy.config_file().with_file_name("temporary")
}

fn settled(proxy: &Proxy) {
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
    proxy.settles(ON_DISK, &[], 0.0);
}

/// A client that has sent the first half of a body, in chunks.
fn begins(proxy: &Proxy, body: &[u8]) -> Client {
    let mut client = proxy.client();
    client.send(request("PUT", "/held/slow", &["Transfer-Encoding: chunked"]));
    chunk(&mut client, &body[..body.len() / 2]);
    client
}

fn chunk(client: &mut Client, bytes: &[u8]) {
    client.send(format!("{:x}\r\n", bytes.len()));
    client.send(bytes);
    client.send("\r\n");
}

fn ends(client: &mut Client, body: &[u8]) {
    chunk(client, &body[body.len() / 2..]);
    client.send("0\r\n\r\n");
}

#[test]
fn an_upload_beyond_memory_asks_no_target_until_it_is_whole() {
    let body = pattern(2_000_000);
    for driver in DRIVERS {
        let target = Target::echo("a");
        let held = "request = \"100KiB\", disk = \"8MiB\"";
        let proxy = setup(config(&[&target], "", held)).driver(driver).start();
        assert_eq!(proxy.get("/other").status, 200);
        let threads = proxy.threads();
        assert!(!threads.iter().any(|name| name == "ringway-files"), "without the key nothing is done: {threads:?}");
        let mut slow = begins(&proxy, &body);
        eventually("it is on the disk", || proxy.metric(ON_DISK, &[]) > 850_000.0);
        assert!(proxy.metric("ringway_worker_buffered_bytes", &[]) < 1e6);
        assert_eq!((proxy.get("/other").status, target.requests_for("/held/slow").len()), (200, 0), "{driver}");
        assert_eq!(fs::read_dir(folder(&proxy)).unwrap().count(), 0, "it has no name");
        ends(&mut slow, &body);
        assert_same(&slow.response().body, &body);
        let seen = target.last();
        assert_eq!(seen.field("content-length").as_deref(), Some("2000000"), "it is known by then");
        assert!(slow.alive(), "its connection goes on");
        assert_same(&proxy.client().post("/held/", &body).body, &body);
        let answer = h2::Client::to(&proxy.web()).ask(h2::request(Method::PUT, "/held/"), &body).unwrap();
        assert_same(&answer.body, &body);
        let gone = begins(&proxy, &body);
        eventually("it is on the disk", || proxy.metric(ON_DISK, &[]) > 850_000.0);
        gone.reset();
        settled(&proxy);
        assert_eq!((proxy.metric(FULL, &[]), proxy.metric(ERRORS, &[])), (0.0, 0.0), "{driver}");
    }
}

#[test]
fn a_body_on_the_disk_is_sent_again_whole_and_outlives_reload_and_upgrade() {
    let body = pattern(1_000_000);
    let bad = Target::with("bad", |peer| {
        peer.request();
        peer.leave(Leave::Reset);
    });
    let good = Target::echo("good");
    let mut proxy = start(&[&bad, &good], "", "request = \"1KiB\", response = \"64KiB\", disk = \"8MiB\"");
    for _ in 0..4 {
        let mut client = proxy.client();
        client.send(request("PUT", "/held/", &["Content-Length: 1000000"]));
        client.send(&body);
        assert_same(&client.response().body, &body);
    }
    assert!(bad.requests() >= 1);
    let mut over_reload = begins(&proxy, &body);
    eventually("it is on the disk", || proxy.metric(ON_DISK, &[]) > 400_000.0);
    fs::write(proxy.config_file(), fs::read_to_string(proxy.config_file()).unwrap().replace("8MiB", "1MiB")).unwrap();
    reload(&proxy, "applied");
    ends(&mut over_reload, &body);
    assert_same(&over_reload.response().body, &body);
    settled(&proxy);
    let mut over_upgrade = begins(&proxy, &body);
    eventually("it is on the disk", || proxy.metric(ON_DISK, &[]) > 400_000.0);
    proxy.upgrade();
    ends(&mut over_upgrade, &body);
    assert_same(&over_upgrade.response().body, &body);
    settled(&proxy);
}

#[test]
fn a_download_beyond_memory_frees_its_target_before_its_client_is_done() {
    const LENGTH: usize = 6 << 20;
    // With no memory at all, everything goes over the disk.
    for (driver, limits) in DRIVERS.into_iter().zip(["", "buffers = \"0B\""]) {
        let target = bulky(LENGTH);
        let held = "response = \"64KiB\", disk = \"16MiB\"";
        let proxy = setup(config(&[&target], limits, held)).driver(driver).start();
        let mut slow = asks(&proxy, "/held/");
        eventually("all is here", || proxy.metric(ON_DISK, &[]) > 1e6);
        eventually("the target is free", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) == 0.0);
        assert!(proxy.metric("ringway_worker_buffered_bytes", &[]) < 2e6, "{driver}");
        assert_eq!(proxy.get("/other").status, 200);
        assert_eq!(fs::read_dir(folder(&proxy)).unwrap().count(), 0, "it has no name");
        assert_same(&slow.response().body, &pattern(LENGTH));
        assert!(slow.alive(), "its connection goes on");
        // A client of ours takes its time for as much.
        if driver == "auto" {
            assert_same(&h2::Client::to(&proxy.web()).get("/held/").body, &pattern(LENGTH));
        }
        let gone = asks(&proxy, "/held/");
        eventually("all is here", || proxy.metric(ON_DISK, &[]) > 1e6);
        gone.reset();
        settled(&proxy);
        assert_eq!((proxy.metric(FULL, &[]), proxy.metric(ERRORS, &[])), (0.0, 0.0), "{driver}");
    }
}

#[test]
fn a_small_place_on_the_disk_is_used_over_and_over() {
    const LENGTH: usize = 7 << 20;
    // In chunks, and of a prime number of bytes, so that no piece ends where the place does.
    let mut text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n".to_vec();
    for piece in pattern(LENGTH).chunks(70_001) {
        text.extend(format!("{:x}\r\n", piece.len()).bytes());
        text.extend(piece);
        text.extend(b"\r\n");
    }
    text.extend(b"0\r\nX-T: 1\r\n\r\n");
    let target = Target::says("chunked", text);
    let whole = pattern(LENGTH);
    for (limits, buffer) in [
        ("", "response = \"10KiB\", disk = \"300001B\""),
        ("buffers_disk = \"1000003B\"", "response = \"10KiB\", disk = \"16MiB\""),
        ("buffers = \"0B\"", "response = \"1MiB\", disk = \"500009B\""),
    ] {
        let proxy = start(&[&target], limits, buffer);
        let mut slow = asks(&proxy, "/held/");
        eventually("it is full", || proxy.metric(FULL, &[]) == 1.0);
        let on_disk = proxy.metric(ON_DISK, &[]);
        assert!((300_001.0..=1_000_003.0).contains(&on_disk), "{on_disk} bytes");
        let answer = slow.response();
        assert_same(&answer.body, &whole);
        assert_eq!(answer.trailers, [("x-t".to_owned(), "1".to_owned())]);
        settled(&proxy);
    }
}

#[test]
fn an_upload_that_is_longer_than_its_place_on_the_disk_streams() {
    let body = pattern(1_000_000);
    let target = Target::echo("a");
    let proxy = start(&[&target], "buffers_disk = \"300KiB\"", "request = \"10KiB\", disk = \"16MiB\"");
    let mut slow = begins(&proxy, &body);
    eventually("it goes on as it comes", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) > 0.0);
    assert_eq!(proxy.metric(FULL, &[]), 1.0);
    ends(&mut slow, &body);
    assert_same(&slow.response().body, &body);
    let mut announced = proxy.client();
    announced.send(request("PUT", "/held/", &["Content-Length: 1000000"]));
    announced.send(&body[..1000]);
    eventually("it goes on as it comes", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) > 0.0);
    announced.send(&body[1000..]);
    assert_same(&announced.response().body, &body);
    assert_eq!((proxy.metric(FULL, &[]), proxy.metric("ringway_worker_buffers_full_total", &[])), (2.0, 2.0));
    settled(&proxy);
}

#[test]
fn a_disk_that_is_full_or_gone_costs_no_client_anything() {
    const LENGTH: usize = 7 << 20;
    let body = pattern(1_000_000);
    let two = |target: &Target, held: &str| {
        let config = config(&[target], "", held);
        let gone = Setup::new(config.clone()).workers(1).runtime("temp_dir = \"/nowhere/at/all\"");
        [setup(config).before(file_size_limit(300_000)), gone].map(Setup::start)
    };
    let target = Target::echo("a");
    for proxy in two(&target, "request = \"10KiB\", disk = \"16MiB\"") {
        let mut slow = begins(&proxy, &body);
        eventually("it goes on as it comes", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) > 0.0);
        ends(&mut slow, &body);
        assert_same(&slow.response().body, &body);
        assert_same(&proxy.client().post("/held/", &body).body, &body);
        assert_eq!((proxy.metric(ERRORS, &[]), proxy.metric(FULL, &[])), (2.0, 0.0));
        assert_eq!(proxy.log.count(&["the disk fails bodies that are to be buffered"]), 1, "it is told once");
        settled(&proxy);
    }
    let target = bulky(LENGTH);
    for proxy in two(&target, "response = \"64KiB\", disk = \"16MiB\"") {
        let mut slow = asks(&proxy, "/held/");
        eventually("the disk fails", || proxy.metric(ERRORS, &[]) == 1.0);
        assert_same(&slow.response().body, &pattern(LENGTH));
        settled(&proxy);
    }
}

/// Empties the file without a name that the process has open, once what is held of a body is `all` and nothing is being written.
fn damage(proxy: &Proxy, all: impl Fn(f64) -> bool) {
    let (open, folder) = (format!("/proc/{}/fd", proxy.pid()), folder(proxy));
    let find = || {
        let mut open = fs::read_dir(&open).unwrap().flatten().map(|entry| entry.path());
        open.find(|path| fs::read_link(path).is_ok_and(|to| to.starts_with(&folder)))
    };
    eventually("nothing more is written", || {
        let on_disk = proxy.metric(ON_DISK, &[]);
        let is_written = find().is_some_and(|file| fs::metadata(file).is_ok_and(|found| found.len() as f64 == on_disk));
        is_written && all(on_disk + proxy.metric("ringway_worker_buffered_bytes", &[]))
    });
    fs::File::options().write(true).open(find().unwrap()).unwrap().set_len(0).unwrap();
}

#[test]
fn what_cannot_be_read_again_is_an_error_and_never_a_wrong_byte() {
    const LENGTH: usize = 8 << 20;
    let body = pattern(1_000_000);
    let target = Target::echo("a");
    let held = "request = \"10KiB\", response = \"64KiB\", disk = \"16MiB\"";
    let proxy = start(&[&target], "", held);
    let mut slow = proxy.client();
    slow.send(request("PUT", "/held/", &["Content-Length: 1000000"]));
    slow.send(&body[..999_990]);
    damage(&proxy, |held| held == 999_990.0);
    slow.send(&body[999_990..]);
    assert_eq!(slow.response().status, 500);
    assert!(target.seen().iter().all(|seen| !seen.whole), "no target took it for whole");
    settled(&proxy);
    proxy.settles("ringway_refused_total", &[("reason", "buffer")], 1.0);
    let target = bulky(LENGTH);
    let proxy = start(&[&target], "", held);
    let mut slow = asks(&proxy, "/held/");
    let of_pool = |name: &str| proxy.metric(name, &[("pool", "site")]);
    // Before it is asked it is free, too.
    eventually("the target was asked", || of_pool("ringway_pool_requests_total") == 1.0);
    eventually("the target is free", || of_pool("ringway_pool_in_flight") == 0.0);
    damage(&proxy, |held| held > 1e6);
    assert!(slow.response_to("GET").is_err(), "no whole answer came");
    settled(&proxy);
    proxy.settles("ringway_refused_total", &[("reason", "buffer")], 1.0);
    assert_eq!(proxy.metric(ERRORS, &[]), 1.0);
}
