//! Holds ledger.lua, as a real server runs it, to what `ledger.rs` says. Debian has the server: `redis-server`.

use super::SCRIPT;
use super::call::{Call, Key, Reply, Report, Role, Terms};
use super::ledger::Ledger;
use crate::gateway::limits::shares::UNIT;
use fastrand::Rng;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server of our own, on a socket of its own.
struct Server {
    child: Child,
    folder: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Server {
    fn start() -> Self {
        let folder =
            std::env::temp_dir().join(format!("ringway-ledger-{}-{:x}", std::process::id(), fastrand::u32(..)));
        std::fs::create_dir(&folder).unwrap();
        let socket = folder.join("socket");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
        };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { child, folder, stream: BufReader::new(stream) }
    }

    fn ask(&mut self, words: &[String]) -> Vec<String> {
        let mut text = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        let head = self.line();
        let count = head.strip_prefix('*').unwrap_or_else(|| panic!("{head}")).parse().unwrap();
        (0..count).map(|_| self.word()).collect()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn word(&mut self) -> String {
        let head = self.line();
        let length: usize = head.strip_prefix('$').unwrap_or_else(|| panic!("{head}")).parse().unwrap();
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes.truncate(length);
        String::from_utf8(bytes).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a host was told last.
#[derive(Default)]
struct Known {
    number: u64,
    ledger: String,
    role: Role,
    known: u64,
    members: Vec<String>,
    shares: HashMap<Key, u32>,
}

#[test]
fn the_script_does_what_the_ledger_does() {
    let mut server = Server::start();
    let (mut done, mut divided) = (0, 0);
    for seed in 0..30 {
        let mut random = Rng::with_seed(seed);
        let terms = Terms { hosts: random.u32(1..5), forget: 10_000 };
        let (mut ledger, mut now, mut hosts) = (Ledger::default(), 1_700_000_000_000, HashMap::<String, Known>::new());
        for nth in 0..400 {
            now += if random.u8(0..100) == 0 { random.u64(0..4000) } else { random.u64(0..300) };
            let is_quiet = nth / 100 % 2 == 1;
            let id = format!("host-{}", random.u8(0..5));
            let host = hosts.entry(id.clone()).or_default();
            let call = call(&mut random, (terms, id), host, is_quiet);
            let mut words: Vec<String> = vec!["EVAL".into(), SCRIPT.into(), "1".into(), format!("test-{seed}")];
            words.extend(call.arguments(Some(now)));
            let said = server.ask(&words);
            let reply = Reply::parse(&said).unwrap_or_else(|| panic!("{said:?}"));
            assert_eq!(reply, ledger.hear(&call, now), "seed {seed}, call {nth}: {call:?} to {ledger:?}");
            match reply {
                Reply::Done(told) => {
                    (host.ledger, host.role, host.known, host.members) =
                        (told.ledger, told.role, told.known, told.members);
                    done += 1;
                    divided += told.told.iter().filter(|told| !told.gone && told.wish < told.share).count();
                    host.shares.extend(told.told.iter().map(|told| (told.key, told.wish)));
                }
                Reply::Join { ledger, .. } => host.ledger = ledger,
                Reply::Late => {}
            }
        }
    }
    assert!(done > 3000 && divided > 300, "{done} {divided}");
}

fn call(random: &mut Rng, (terms, id): (Terms, String), host: &mut Known, is_quiet: bool) -> Call {
    let rarely = |random: &mut Rng| random.u8(0..50) == 0;
    if !rarely(random) {
        host.number += 1;
    }
    let joins = host.role == Role::None || rarely(random);
    let keys = random.u64(0..5);
    let report = |key: u64| {
        let key = Key { rule: 3, key };
        let share = host.shares.get(&key).copied().unwrap_or(terms.even());
        let share = if random.u8(0..4) == 0 { random.u32(0..UNIT) } else { share };
        let asked = if is_quiet || random.bool() { 0 } else { random.u64(0..3_000_000) };
        let recovery = if random.bool() { 0 } else { random.u64(1..5000) };
        Report { key, share, debt: random.u32(0..2_000_000), asked, recovery }
    };
    let mut all: Vec<u64> = (0..6).collect();
    fastrand::Rng::with_seed(host.number).shuffle(&mut all);
    let reports = all.into_iter().take(keys as usize).map(report).collect();
    Call {
        terms,
        number: host.number,
        ledger: if rarely(random) { String::new() } else { host.ledger.clone() },
        name: format!("{:x}", random.u64(..)),
        joins,
        is_even: random.bool(),
        role: host.role,
        known: if rarely(random) { 0 } else { host.known },
        members: host.members.clone(),
        dead: if rarely(random) { vec!["host-3".into()] } else { Vec::new() },
        leaves: rarely(random),
        answered: if random.u8(..) == 0 { host.number } else { 0 },
        reports,
        id,
    }
}
