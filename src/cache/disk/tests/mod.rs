//! The disk tier as a whole, on folders of its own.

mod bound;
mod damage;
mod handover;
mod kill;
mod many;
mod purge;
mod stored;

use super::*;
use crate::net::{Backend, Driver, enter, probe};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A folder of a test's own.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        Self::below(&std::env::temp_dir(), name)
    }

    /// One in memory, where there is such a thing: for many small changes, which a journal would make slow.
    pub fn in_memory(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory, name) } else { Self::new(name) }
    }

    fn below(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("ringway-disk-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What was dropped before may still be sealing its last segment.
        let start = Instant::now();
        while std::fs::remove_dir_all(&self.0).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
            && start.elapsed() < Duration::from_secs(2)
        {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

/// A disk tier that is ready.
fn open(folder: &Path, size: u64) -> Disk {
    open_with(folder, size, |_| {})
}

fn open_with(folder: &Path, size: u64, ready: impl FnOnce(Recovered) + Send + 'static) -> Disk {
    let options = Options { folder: folder.to_owned(), size, ring: true, ready: Some(Box::new(ready)), renew: None };
    let disk = Disk::open(options).unwrap();
    wait_until("it is ready", || disk.state() == State::Ready);
    disk
}

fn close(disk: &Disk) {
    disk.close();
    assert!(disk.wait_closed(Duration::from_secs(20)), "it ends: {disk:?}");
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_micros(200));
    }
}

/// Content that says whose it is at every place.
fn content(key: Key, version: u64, length: usize) -> Vec<u8> {
    let mut state = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ version.wrapping_mul(0xd134_2543_de82_ef95);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Puts an object whose version is its stamp, in pieces of some size.
fn try_put(disk: &Disk, key: Key, version: u64, length: usize) -> Result<(), Refused> {
    let (meta, head) = (version.to_le_bytes().into(), format!("head of {key:x} {version} {length}").into_bytes());
    let object = Object { key, stamp: version, meta, head: head.into(), length: Some(length as u64) };
    let mut writer = disk.put(object)?;
    for piece in content(key, version, length).chunks(50_000) {
        writer.write(piece.into())?;
    }
    writer.finish()
}

/// As [`try_put`], and waits until it is found.
fn put(disk: &Disk, key: Key, version: u64, length: usize) {
    wait_until("there is room in the queue", || try_put(disk, key, version, length).is_ok());
    wait_until("it is stored", || disk.find(key).is_some_and(|found| found.stamp == version));
}

/// Reads an object and checks that it is one that was put: its version and length.
async fn get(disk: &Disk, key: Key) -> Option<(u64, usize)> {
    let location = disk.find(key)?;
    let stamp = location.stamp;
    let stored = disk.read(location).await.ok()?;
    let version = u64::from_le_bytes(stored.meta().try_into().unwrap());
    let length = usize::try_from(stored.length()).unwrap();
    let head = format!("head of {key:x} {version} {length}");
    assert_eq!(std::str::from_utf8(stored.head()), Ok(&*head), "the head is the one of the key");
    assert_eq!((stored.stamp(), version), (stamp, stamp));
    let expected = content(key, version, length);
    match stored.into_body() {
        Body::Whole(body) => assert!(*body == *expected, "the content of {key:x} is what was stored"),
        Body::Chunks(chunks) => {
            assert_eq!(chunks.count() as usize, length.div_ceil(CHUNK));
            for (number, part) in expected.chunks(CHUNK).enumerate() {
                let chunk = chunks.read(number as u64).await.ok()?;
                assert!(*chunk == *part, "chunk {number} of {key:x} is what was stored");
            }
        }
    }
    Some((version, length))
}

fn backends() -> Vec<Backend> {
    let (best, _) = probe(Driver::Auto).unwrap();
    if best == Backend::Epoll { vec![best] } else { vec![best, Backend::Epoll] }
}

/// Runs on a worker without a ring, which many tests at a time may not get.
fn on_worker<T>(work: impl Future<Output = T>) -> T {
    enter(Backend::Epoll, 0, work).unwrap()
}

fn get_now(disk: &Disk, key: Key) -> Option<(u64, usize)> {
    on_worker(get(disk, key))
}

/// A key that looks like a hash.
fn key(number: u64) -> Key {
    let mixed = |seed: u64| {
        (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    Key::from(mixed(1)) << 64 | Key::from(mixed(2))
}

/// Bytes that the files in a folder take on the disk.
fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(folder).unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().map_or(0, |meta| meta.blocks() * 512));
    sizes.sum()
}

/// Copies a folder as it is now, as a kill would leave it.
fn snapshot(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
