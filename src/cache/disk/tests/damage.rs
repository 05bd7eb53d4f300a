//! Whatever is done to the files, a read gives what was stored or nothing.

use super::segment::{Seal, Segment};
use super::*;
use std::io::ErrorKind;

const SIZE: u64 = 16 << 20;

/// What is in the small store: its keys, each with the only version of it that may be found.
const KEYS: [(u64, u64); 4] = [(1, 1), (2, 5), (3, 3), (4, 4)];

/// Reads all that a start finds, of which nothing may be there that was forgotten. Returns how many objects that were.
async fn read_all(folder: &Path) -> usize {
    let (found, forgotten) = read_each(folder).await;
    assert!(!forgotten, "what was forgotten stays so, also where it is that which is damaged");
    found
}

/// Reads all that a start finds. Returns how many objects that were, and whether what was forgotten is among them.
async fn read_each(folder: &Path) -> (usize, bool) {
    let shared = Arc::new(Shared::new(SIZE));
    let mut lock = Lock::open(folder).unwrap();
    // Somebody else's test may be between fork and exec, with a copy of what the last one has closed.
    wait_until("the folder is free", || lock.take().unwrap());
    let (_log, _) = recover::recover(folder, &shared, false).unwrap();
    shared.advance(State::Ready);
    let disk = Disk { shared, thread: crossbeam::channel::never() };
    let mut found = 0;
    for (number, version) in KEYS {
        if let Some((read, _)) = get(&disk, key(number)).await {
            assert_eq!(read, version, "no version that was replaced before");
            found += 1;
        }
    }
    let forgotten = get(&disk, key(9)).await.is_some();
    found += usize::from(forgotten);
    assert_eq!(disk.usage().objects, found as u64, "what was found damaged is not found again");
    (found, forgotten)
}

/// A store of some objects, sealed and as a kill would leave it, as bytes of its one segment.
fn small_store(name: &str) -> (Scratch, [Vec<u8>; 2]) {
    let (scratch, copy) = (Scratch::in_memory(name), Scratch::in_memory(&format!("{name}-copy")));
    let disk = open(scratch.path(), SIZE);
    put(&disk, key(9), 1, 30);
    disk.forget(key(9));
    for (number, version, length) in [(1, 1, 60), (2, 5, 100), (3, 3, 0), (4, 4, 33)] {
        put(&disk, key(number), version, length);
    }
    snapshot(scratch.path(), copy.path());
    close(&disk);
    let bytes = [scratch.path(), copy.path()].map(|folder| std::fs::read(Segment::path(folder, 1)).unwrap());
    assert_ne!(bytes[0], bytes[1]);
    (scratch, bytes)
}

fn is_quick() -> bool {
    std::env::var_os("RINGWAY_TEST_QUICK").is_some()
}

/// Each place of a small file, or some of them.
fn places(length: usize) -> impl Iterator<Item = usize> {
    let step = if is_quick() { 11 } else { 1 };
    (0..length).step_by(step)
}

#[test]
fn a_bit_that_changes_anywhere_costs_what_it_is_in() {
    on_worker(async {
        let (scratch, stores) = small_store("flip");
        for (bytes, is_sealed) in stores.into_iter().zip([true, false]) {
            for at in places(bytes.len()) {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                std::fs::write(Segment::path(scratch.path(), 1), &changed).unwrap();
                let found = read_all(scratch.path()).await;
                // All of it if it is the file's header, one object if it is in an object, all before it if it may have been a tombstone.
                let list = bytes.len() - if is_sealed { Seal::size(5) as usize } else { 0 };
                let may_cost_all = at < 64 || !is_sealed || (list..list + 8).contains(&at);
                assert!(found >= 3 || may_cost_all, "{found} with byte {at} changed, sealed: {is_sealed}");
            }
        }
    });
}

#[test]
fn a_file_that_ends_anywhere_has_what_was_before() {
    on_worker(async {
        let (scratch, stores) = small_store("cut");
        for bytes in &stores {
            let mut most = 0;
            for length in places(bytes.len()) {
                std::fs::write(Segment::path(scratch.path(), 1), &bytes[..length]).unwrap();
                let (found, _) = read_each(scratch.path()).await;
                // The tombstone takes one away again.
                assert!(found >= most || found == 0, "more is not less: {found} of {most} at {length}");
                most = found;
            }
            assert_eq!(most, 4);
        }
        std::fs::write(Segment::path(scratch.path(), 1), &stores[0]).unwrap();
        assert_eq!(read_all(scratch.path()).await, 4);
    });
}

#[test]
fn a_file_with_a_hole_or_with_another_s_blocks_gives_nothing_wrong() {
    on_worker(async {
        let (scratch, stores) = small_store("hole");
        let other = small_store("hole-other").1;
        for bytes in &stores {
            for at in places(bytes.len()) {
                let end = bytes.len().min(at + 64);
                for with in [&[0u8; 64][..end - at], &other[0][at.min(other[0].len() - 64)..][..end - at]] {
                    let mut changed = bytes.clone();
                    changed[at..end].copy_from_slice(with);
                    std::fs::write(Segment::path(scratch.path(), 1), &changed).unwrap();
                    read_all(scratch.path()).await;
                }
            }
        }
        // A whole segment of another store under this name.
        std::fs::write(Segment::path(scratch.path(), 1), &other[0]).unwrap();
        read_all(scratch.path()).await;
    });
}

#[test]
fn the_last_record_is_missed_at_each_start_if_it_is_damaged() {
    on_worker(async {
        let (scratch, copy) = (Scratch::in_memory("last"), Scratch::in_memory("last-copy"));
        let disk = open(scratch.path(), SIZE);
        put(&disk, key(1), 1, 60);
        put(&disk, key(9), 1, 30);
        let length = |folder: &Path| std::fs::metadata(Segment::path(folder, 1)).unwrap().len();
        let before = length(scratch.path());
        disk.forget(key(9));
        wait_until("the tombstone is written", || length(scratch.path()) > before);
        snapshot(scratch.path(), copy.path());
        close(&disk);
        let whole = std::fs::read(Segment::path(copy.path(), 1)).unwrap();
        for at in before as usize..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 32;
            std::fs::write(Segment::path(copy.path(), 1), &changed).unwrap();
            assert_eq!(read_all(copy.path()).await, 0, "byte {at}");
            // One that goes on with it, and is killed.
            let disk = open(copy.path(), SIZE);
            put(&disk, key(2), 5, 100);
            snapshot(copy.path(), scratch.path());
            close(&disk);
            assert_eq!(read_all(scratch.path()).await, 1, "byte {at}");
            assert_eq!(read_all(copy.path()).await, 1, "byte {at}");
        }
    });
}

#[test]
fn a_segment_that_is_lost_takes_all_older_ones_with_it() {
    let scratch = Scratch::in_memory("lost");
    type Damage = fn(&Path);
    let lost: [(&str, Damage); 4] = [
        ("damaged", |path| std::fs::write(path, [1; 4096]).unwrap()),
        ("empty", |path| std::fs::write(path, "").unwrap()),
        ("missing", |path| std::fs::remove_file(path).unwrap()),
        ("unreadable", |path| {
            // At its beginning nothing is mapped, which is an error of input and output.
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/proc/self/mem", path).unwrap();
        }),
    ];
    for (how, damage) in lost {
        let folder = scratch.path().join(how);
        let disk = open(&folder, SIZE);
        let mut stored = 0;
        while disk.usage().segments < 4 {
            put(&disk, key(stored), 1, 200_000);
            stored += 1;
        }
        close(&disk);
        damage(&Segment::path(&folder, 3));
        let disk = open(&folder, SIZE);
        for number in 0..stored {
            let is_newer = disk.find(key(number)).is_some_and(|found| found.place.segment >= 4);
            assert_eq!(get_now(&disk, key(number)).is_some(), is_newer, "{how}");
        }
        let mut left = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name());
        let is_older = |name: std::ffi::OsString| name.to_str().and_then(Segment::id_of).is_some_and(|id| id < 4);
        assert!(!left.any(is_older), "{how}: none of them comes back with the next start");
        assert!(disk.usage().objects > 0 && disk.usage().corrupt == 1, "{how}: {disk:?}");
        put(&disk, key(1000), 1, 200_000);
        close(&disk);
        let disk = open(&folder, SIZE);
        assert_eq!((get_now(&disk, key(1000)).is_some(), disk.usage().corrupt), (true, 0), "{how}");
    }
}

#[test]
fn large_objects_over_several_segments_bear_damage_anywhere() {
    on_worker(async {
        let scratch = Scratch::in_memory("large");
        let disk = open(scratch.path(), SIZE);
        for (number, version) in KEYS {
            put(&disk, key(number), version, 900_000 + number as usize);
        }
        close(&disk);
        let files: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(scratch.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        assert!(files.len() >= 4);
        let restore = || {
            // What a start has noted of damage goes as well.
            let all = std::fs::read_dir(scratch.path()).unwrap().map(|file| file.unwrap().path());
            all.filter(|path| path.extension().is_some()).for_each(|path| std::fs::remove_file(path).unwrap());
            files.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        };
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..if is_quick() { 8 } else { 40 } {
            restore();
            let (path, bytes) = &files[random.usize(..files.len())];
            let at = random.usize(..bytes.len());
            match round % 4 {
                0 => std::fs::remove_file(path).unwrap(),
                1 => std::fs::write(path, &bytes[..at]).unwrap(),
                _ => {
                    let mut changed = bytes.clone();
                    changed[at] ^= 16;
                    std::fs::write(path, changed).unwrap();
                }
            }
            read_all(scratch.path()).await;
        }
        restore();
        assert_eq!(read_all(scratch.path()).await, 4);
    });
}

#[test]
fn what_is_damaged_while_it_is_open_is_dropped_and_counted() {
    use std::os::unix::fs::FileExt;
    let scratch = Scratch::new("open");
    let disk = open(scratch.path(), SIZE);
    put(&disk, key(1), 1, 300_000);
    put(&disk, key(2), 1, 500);
    let file = std::fs::OpenOptions::new().write(true).open(Segment::path(scratch.path(), 1)).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(b"X", 70_000).unwrap();
    assert_eq!(get_now(&disk, key(1)), None);
    assert_eq!((disk.find(key(1)).is_some(), disk.usage().corrupt), (false, 1));
    file.set_len(length - 100).unwrap();
    let location = disk.find(key(2)).unwrap();
    assert_eq!(on_worker(disk.read(location)).err(), Some(Lost));
    assert_eq!((disk.usage().objects, disk.usage().corrupt), (0, 2));
    put(&disk, key(2), 2, 500);
    assert_eq!(get_now(&disk, key(2)), Some((2, 500)));
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let scratch = Scratch::new("unusable");
    let path = scratch.path().join("file");
    std::fs::write(&path, "").unwrap();
    let options = |size| Options { folder: path.clone(), size, ring: false, ready: None, renew: None };
    let error = Disk::open(options(SIZE)).unwrap_err();
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    assert_eq!(Disk::open(options(1 << 20)).unwrap_err().kind(), ErrorKind::InvalidInput);
}
