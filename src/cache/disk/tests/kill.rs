//! A process that writes is killed, again and again: nothing wrong is ever served, what was purged stays so.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

const SIZE: u64 = 16 << 20;
const FOLDER: &str = "RINGWAY_TEST_DISK_FOLDER";
const KEYS: u64 = 300;

/// Not a test of its own: what the other one kills. It writes, forgets and renews for ever, and says which purges are done.
#[test]
fn a_process_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (found, recovered) = std::sync::mpsc::sync_channel(1);
    let disk = open_with(Path::new(&folder), SIZE, move |recovered| found.send(recovered).unwrap());
    let mut stamp = recovered.recv().unwrap().newest;
    let mut random = fastrand::Rng::new();
    let mut said = std::io::stdout();
    writeln!(said, "writes").unwrap();
    loop {
        stamp += 1;
        let number = random.u64(..KEYS);
        let length = match random.u32(..10) {
            0 => random.usize(..600_000),
            1..5 => random.usize(..90_000),
            _ => random.usize(..2_000),
        };
        match random.u32(..40) {
            0 => {
                disk.purge(key(number), stamp).blocking_recv().unwrap().unwrap();
                writeln!(said, "purged {number} {stamp}").unwrap();
            }
            1 => drop(disk.forget(key(number))),
            2 => {
                if let Some(location) = disk.find(key(number)) {
                    // The content of its version stays, so the head is what it was.
                    let stored = on_worker(disk.read(location.clone()));
                    if let Ok(stored) = stored {
                        let _ = disk.renew(&location, stored.stamp(), stored.meta().into(), stored.head().into());
                    }
                }
            }
            3 => drop(disk.touch(key(number))),
            4 if random.u32(..20) == 0 => {
                let all = stamp.saturating_sub(50);
                disk.purge_all(all).blocking_recv().unwrap().unwrap();
                writeln!(said, "all {all}").unwrap();
            }
            // Tried again, so that a purge of all that is older than fifty stamps leaves something.
            _ => {
                while try_put(&disk, key(number), stamp, length) == Err(Refused::Busy) {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
        }
    }
}

/// Starts the process. Its purges are by key; the last one is of all.
fn start(folder: &Path) -> (std::process::Child, JoinHandle<Vec<(u64, u64)>>) {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::a_process_to_be_killed"), "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    wait_until("it writes", || lines.next().unwrap().unwrap().contains("writes"));
    let purges = std::thread::spawn(move || {
        let mut purges = Vec::new();
        // A line that was cut off ends nowhere.
        while let Some(Ok(line)) = lines.next() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["purged", number, stamp] => purges.push((number.parse().unwrap(), stamp.parse().unwrap())),
                ["all", stamp] => purges.push((KEYS, stamp.parse().unwrap())),
                _ => {}
            }
        }
        purges
    });
    (child, purges)
}

#[test]
fn a_kill_while_it_writes_never_makes_it_serve_a_wrong_byte() {
    let scratch = Scratch::new("kill");
    let rounds = if std::env::var_os("RINGWAY_TEST_QUICK").is_some() { 6 } else { 25 };
    let mut random = fastrand::Rng::new();
    let mut purged = vec![0; KEYS as usize + 1];
    let mut found = 0;
    for round in 0..rounds {
        let (mut child, purges) = start(scratch.path());
        std::thread::park_timeout(Duration::from_millis(random.u64(1..120)));
        assert!(child.try_wait().unwrap().is_none(), "it writes until it is killed");
        child.kill().unwrap();
        child.wait().unwrap();
        for (number, stamp) in purges.join().unwrap() {
            purged[number as usize] = stamp.max(purged[number as usize]);
        }
        assert!(on_disk(scratch.path()) <= SIZE);
        let disk = open(scratch.path(), SIZE);
        on_worker(async {
            for number in 0..KEYS {
                if let Some((version, _)) = get(&disk, key(number)).await {
                    let floor = purged[number as usize].max(purged[KEYS as usize]);
                    assert!(version >= floor, "{number} of {version} came back, purged at {floor}");
                    found += 1;
                }
            }
        });
        assert_eq!(disk.usage().corrupt, 0, "a kill damages nothing that was found, in round {round}");
        close(&disk);
    }
    assert!(found > rounds, "something was found: {found}");
}
