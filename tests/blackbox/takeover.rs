//! A new process takes over from the one that runs: nobody is refused, cut off or left waiting.

use crate::support::client::{self, Client};
use crate::support::h2::{Ended, Frames, GET, HEADERS, PING};
use crate::support::load::Load;
use crate::support::proxy::{Proxy, Setup, ringway};
use crate::support::target::Target;
use crate::support::toml::{http, http_with};
use crate::support::wire::Broken;
use crate::support::{PATIENCE, eventually, rounds, within};
use crate::upgrade::accept;
use std::time::{Duration, Instant};

/// Whether a process runs.
fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A websocket server that sends back each frame of up to 125 bytes, without its mask.
fn websocket() -> Target {
    Target::with("ws", |peer| {
        let Some(seen) = peer.request() else { return };
        let Some(key) = seen.field("sec-websocket-key") else { return };
        peer.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            accept(&key)
        ));
        loop {
            let Ok(head) = peer.exact(6) else { return };
            let length = usize::from(head[1] & 0x7f);
            let Ok(body) = peer.exact(length) else { return };
            let plain: Vec<u8> = body.iter().zip(head[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            if peer.try_send([&[head[0], length as u8][..], &plain].concat()).is_err() {
                return;
            }
        }
    })
}

fn say(client: &mut Client, text: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    client.send([&[0x81, 0x80 | text.len() as u8][..], &mask, &masked.collect::<Vec<_>>()].concat());
    client.exact(2 + text.len()).unwrap()[2..].to_vec()
}

#[test]
fn who_came_before_is_served_to_the_end_and_who_comes_after_by_the_new_process() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http(&[&target]));
    let (mut idle, mut busy) = (proxy.client(), proxy.client());
    assert_eq!((idle.get("/").status, busy.get("/").status), (200, 200));
    let old = proxy.pid();
    proxy.upgrade();
    assert_ne!(proxy.pid(), old);
    assert_eq!(proxy.get("/").status, 200);
    let last = busy.get("/");
    assert_eq!((last.status, last.field("connection").as_deref()), (200, Some("close")));
    assert!(lives(old), "who waits is not closed first");
    assert_eq!(idle.get("/").status, 200);
    assert!(within(PATIENCE, || !lives(old)), "it ends with its last connection");
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(proxy.metric("ringway_config_plan_number", &[]), 2.0, "the admin listener is the new process's");
}

#[test]
fn no_request_is_lost_to_upgrades_under_load() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http_with("", &[&target], "[upgrade]\nmax_old = 100\n"));
    let load = Load::start(&proxy.web(), 8, Duration::from_millis(1));
    for _ in 0..rounds(20, 4) {
        let before = load.done();
        proxy.upgrade();
        load.more(200);
        assert!(load.done() > before);
    }
    load.stop().assert_clean();
}

#[test]
fn a_new_process_that_cannot_start_leaves_the_old_as_it_was() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").status, 200);
    let path = proxy.config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("targets", "target")).unwrap();
    proxy.signal(libc::SIGUSR2);
    proxy.log.wait(&["the upgrade failed", "target"]);
    let answer = kept.get("/");
    assert_eq!((answer.status, answer.field("connection")), (200, None));
    assert_eq!(proxy.get("/").status, 200);
    proxy.settles("ringway_upgrades_total", &[("result", "failed")], 1.0);
}

#[test]
fn a_new_process_that_is_killed_leaves_the_old_to_go_on() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http(&[&target]));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").status, 200);
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(2));
    // Killed while it starts.
    proxy.signal(libc::SIGUSR2);
    let line = proxy.log.wait(&["a new process is started"]);
    let pid: i32 = crate::support::proxy::value(&line, "pid")
        .unwrap()
        .trim_matches(|c: char| !c.is_ascii_digit())
        .parse()
        .unwrap();
    // SAFETY: takes numbers only; the process is one that the proxy has just started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    proxy.log.wait(&["the upgrade failed"]);
    load.more(100);
    load.stop().assert_clean();
    // Killed when it has taken over.
    let old = proxy.pid();
    proxy.upgrade();
    // SAFETY: as above.
    unsafe { libc::kill(proxy.pid(), libc::SIGKILL) };
    proxy.log.wait(&["the new process has died"]);
    eventually("the old one accepts again", || {
        Client::try_to(&proxy.web()).is_ok_and(|mut client| {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client.response_to("GET").is_ok_and(|answer| answer.status == 200)
        })
    });
    assert!(lives(old));
    let answer = Client::to(&proxy.web()).get("/");
    assert_eq!((answer.status, answer.field("connection")), (200, None), "nobody is asked to leave any more");
}

#[test]
fn a_websocket_lives_on_in_the_old_process_and_is_told_when_its_time_is_over() {
    let target = websocket();
    let mut proxy = Proxy::start(http_with("", &[&target], "[upgrade]\ndrain = \"2s\"\n"));
    let mut client = proxy.client();
    let answer = client.ask(
        "GET",
        "/",
        &[
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ],
    );
    assert_eq!(answer.status, 101);
    assert_eq!(say(&mut client, "before"), b"before");
    let (old, begun) = (proxy.pid(), Instant::now());
    proxy.upgrade();
    assert_eq!(say(&mut client, "after"), b"after");
    let close = client.exact(4).unwrap();
    assert_eq!(close, [0x88, 2, 0x03, 0xe9], "1001, going away");
    assert_eq!(client.until_end().unwrap(), b"");
    assert!(begun.elapsed() >= Duration::from_millis(1400), "not before its time: {:?}", begun.elapsed());
    assert!(within(Duration::from_secs(3), || !lives(old)), "the bound holds");
}

#[test]
fn a_tcp_tunnel_outlives_upgrades_up_to_the_number_of_old_processes() {
    let target = Target::mirror("m");
    let config = format!(
        "[upgrade]\nmax_old = 1\n[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\npool = \"m\"\n[pools.m]\ntargets = [\"{}\"]\n",
        target.address
    );
    let mut proxy = Proxy::start(config);
    let talk = |client: &mut Client| {
        client.send("ping");
        client.exact(4).map(|bytes| bytes == b"ping")
    };
    let (first, mut oldest) = (proxy.pid(), proxy.client());
    assert_eq!(talk(&mut oldest), Ok(true));
    proxy.upgrade();
    let mut next = proxy.client();
    assert_eq!((talk(&mut oldest), talk(&mut next)), (Ok(true), Ok(true)));
    proxy.upgrade();
    assert!(within(PATIENCE, || !lives(first)), "the oldest ends");
    assert!(matches!(oldest.ending(), Broken::Reset | Broken::Closed), "and what it had");
    assert_eq!(talk(&mut next), Ok(true));
    proxy.log.wait(&["upgrade.max_old"]);
}

#[test]
fn listeners_may_change_with_an_upgrade() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let config = format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"a\"\n[listeners.gone]\nlisten = [\"127.0.0.1:0\"]\npool = \"a\"\n\
         [pools.a]\ntargets = [\"{}\"]\n[pools.b]\ntargets = [\"{}\"]\n",
        a.address, b.address
    );
    let mut proxy = Setup::new(config).workers(2).start();
    let (web, gone) = (proxy.at("web"), proxy.at("gone"));
    let path = proxy.config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace("[listeners.gone]", "[listeners.late]")
        .replace("pool = \"a\"\n[listeners", "pool = \"b\"\n[listeners");
    std::fs::write(&path, text.replace("workers = 2", "workers = 3")).unwrap();
    proxy.upgrade();
    // Whom the process before had already accepted is served as it was told to.
    eventually("the new process is the only one that accepts", || {
        (0..20).all(|_| client::get(&web, "/").target() == "b")
    });
    assert_eq!(client::get(&proxy.at("late"), "/").status, 200);
    eventually("nobody listens where nobody is meant to", || std::net::TcpStream::connect(&gone).is_err());
    assert!(proxy.threads().iter().any(|name| name == "ringway-w2"));
}

#[test]
fn a_target_that_is_down_is_not_tried_by_the_new_process() {
    let (a, dead) = (Target::echo("a"), Target::echo("dead"));
    let health = "health = { type = \"tcp\", interval = \"1h\", timeout = \"1s\" }\n";
    let config = format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n[pools.site]\ntargets = [\"{}\", \"{}\"]\n{}",
        a.address,
        dead.address,
        health.replace("1h", "300ms")
    );
    let mut proxy = Proxy::start(config);
    dead.kill();
    proxy.settles("ringway_target_up", &[("target", &dead.address.to_string())], 0.0);
    let path = proxy.config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("300ms", "1h")).unwrap();
    proxy.upgrade();
    for _ in 0..20 {
        assert_eq!(proxy.get("/").target(), "a");
    }
    assert_eq!(proxy.metric("ringway_pool_retries_total", &[]), 0.0);
    assert_eq!(proxy.metric("ringway_target_up", &[("target", &dead.address.to_string())]), 0.0);
}

#[test]
fn an_operator_upgrades_by_a_command_and_learns_why_it_fails() {
    let target = Target::echo("a");
    let setup = Setup::new(String::new());
    let socket = setup.directory().join("admin.sock");
    let admin = format!("\n[admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}\"\n", socket.display());
    let mut proxy = setup.with(http(&[&target]) + &admin).start();
    let file = proxy.config_file();
    let command = ["upgrade", "-c", file.to_str().unwrap()];
    let (old, text) = (proxy.pid(), std::fs::read_to_string(&file).unwrap());
    let (code, out, err) = ringway(&command);
    assert_eq!(code, Some(0), "{out}{err}");
    proxy.follow();
    assert_ne!(proxy.pid(), old);
    assert_eq!(
        out,
        format!("process {} has taken over; the one before serves its connections to their end\n", proxy.pid())
    );
    assert_eq!(proxy.get("/").status, 200);
    std::fs::write(&file, text.replace("targets", "target")).unwrap();
    let (code, _, err) = ringway(&command);
    assert_eq!(code, Some(1));
    assert!(err.contains("`target`") && err.contains("targets"), "the fault is shown: {err}");
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn a_plan_is_tried_out_by_a_share_of_connections() {
    let (good, bad) = (Target::echo("good"), Target::says("bad", "HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n"));
    let better = Target::echo("better");
    let setup = Setup::new(String::new());
    let socket = setup.directory().join("admin.sock");
    let admin = format!("\n[admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}\"\n", socket.display());
    let proxy = setup.with(http(&[&good]) + &admin).start();
    let file = proxy.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let reload = |arguments: &[&str]| {
        let (code, out, err) = ringway(&[&["reload", "-c", file.to_str().unwrap()], arguments].concat());
        assert_eq!(code, Some(0), "{out}{err}");
    };
    let other = |target: &Target| text.replace(&good.address.to_string(), &target.address.to_string());
    // Who fails is taken back long before the time is over.
    std::fs::write(&file, other(&bad)).unwrap();
    reload(&["--share", "50%", "--for", "10m"]);
    eventually("it is rolled back", || {
        (0..20).for_each(|_| drop(proxy.get("/")));
        proxy.metric("ringway_config_reloads_total", &[("result", "rolled-back")]) == 1.0
    });
    assert!((0..40).all(|_| proxy.get("/").status == 200));
    // Who does as well is promoted when it is.
    std::fs::write(&file, other(&better)).unwrap();
    reload(&["--share", "50%", "--for", "2s"]);
    let seen: Vec<String> = (0..200).map(|_| proxy.get("/").target()).collect();
    assert!(seen.iter().any(|name| name == "good") && seen.iter().any(|name| name == "better"), "{seen:?}");
    proxy.settles("ringway_config_reloads_total", &[("result", "applied")], 1.0);
    assert!((0..40).all(|_| proxy.get("/").target() == "better"));
    // What is common to all connections cannot be tried by some.
    std::fs::write(&file, other(&better).replace("[listeners.web]", "[listeners.web]\nupgrades = []")).unwrap();
    let (code, _, err) = ringway(&["reload", "-c", file.to_str().unwrap(), "--share", "5%", "--for", "1s"]);
    assert!(code == Some(1) && err.contains("listeners.web.upgrades"), "{err}");
}

/// The old process has the sockets, too, for as long as it lives.
#[test]
fn a_listener_that_goes_after_an_upgrade_is_gone_and_can_come_back() {
    let target = Target::echo("a");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let more = format!("[listeners.more]\nlisten = [\"{free}\"]\npool = \"site\"\n");
    let mut proxy = Proxy::start(http(&[&target]).replace("[pools.site]", &format!("{more}[pools.site]")));
    let mut kept = proxy.client();
    assert_eq!((kept.get("/").status, client::get(&free, "/").status), (200, 200));
    let old = proxy.pid();
    proxy.upgrade();
    let path = proxy.config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&more));
    for (text, there) in [(text.replace(&more, ""), false), (text, true)] {
        let before = proxy.metric("ringway_config_reloads_total", &[("result", "applied")]);
        std::fs::write(&path, text).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.settles("ringway_config_reloads_total", &[("result", "applied")], before + 1.0);
        match there {
            true => assert_eq!(client::get(&free, "/").status, 200),
            false => eventually("it is refused", || std::net::TcpStream::connect(&free).is_err()),
        }
    }
    assert!(lives(old), "it has served all along");
    assert_eq!(kept.get("/").status, 200);
}

#[test]
fn an_old_process_does_not_come_back_when_the_one_after_it_has_handed_over_and_ends() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http(&[&target]));
    let mut kept = proxy.client();
    assert_eq!(kept.get("/").status, 200);
    let first = proxy.pid();
    proxy.upgrade();
    let second = proxy.pid();
    proxy.upgrade();
    assert!(within(PATIENCE, || !lives(second)), "it has no connections");
    assert!(lives(first));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(proxy.log.count(&["has died"]), 0);
    assert_eq!(kept.get("/").field("connection").as_deref(), Some("close"), "it serves whom it had to their end");
    assert!(within(PATIENCE, || !lives(first)), "and ends");
}

#[test]
fn the_address_is_free_once_the_new_process_ends_however_long_the_old_one_lives() {
    let target = websocket();
    let mut proxy = Proxy::start(http(&[&target]));
    let web = proxy.web();
    let mut client = proxy.client();
    let fields = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(client.ask("GET", "/", &[fields[0], fields[1], fields[2], key]).status, 101);
    let old = proxy.pid();
    proxy.upgrade();
    let new = proxy.pid();
    proxy.signal(libc::SIGTERM);
    assert!(within(PATIENCE, || !lives(new)));
    assert!(within(PATIENCE, || std::net::TcpListener::bind(&web).is_ok()), "nobody listens there");
    assert_eq!(say(&mut client, "still there"), b"still there");
    assert!(lives(old));
}

/// Many clients answer a ping first and then send the requests that they held already: the last stream is named after those.
#[test]
fn a_stream_that_comes_behind_the_answer_to_the_first_goaway_is_served() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(http(&[&target]));
    let mut frames = Frames::to(&proxy.web());
    frames.send(HEADERS, 0x5, 1, GET).unwrap();
    assert_eq!(frames.ending(1), Ended::Answer { good: true });
    proxy.upgrade();
    let ping = loop {
        match frames.next(PATIENCE) {
            Some((PING, 0, payload)) => break payload,
            Some(_) => {}
            None => panic!("no ping behind the first GOAWAY"),
        }
    };
    let both = [Frames::frame(PING, 1, 0, &ping), Frames::frame(HEADERS, 0x5, 3, GET)].concat();
    std::io::Write::write_all(&mut frames.0, &both).unwrap();
    assert_eq!(frames.ending(3), Ended::Answer { good: true });
    assert!(frames.ends());
}
