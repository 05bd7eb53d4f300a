//! One process at a time, and one after the other.

use super::*;

const SIZE: u64 = 16 << 20;

#[test]
fn another_opening_waits_and_what_the_first_reads_stays_readable() {
    let scratch = Scratch::new("handover");
    let old = open(scratch.path(), SIZE);
    put(&old, key(1), 1, 1_000_000);
    let options = Options { folder: scratch.path().into(), size: SIZE, ring: true, ready: None, renew: None };
    let new = Disk::open(options).unwrap();
    let location = old.find(key(1)).unwrap();
    on_worker(async {
        let Body::Chunks(chunks) = old.read(location).await.unwrap().into_body() else { panic!("it is large") };
        assert_eq!(new.state(), State::Waiting);
        assert!(new.find(key(1)).is_none());
        assert_eq!(try_put(&new, key(2), 1, 10), Err(Refused::NotReady));
        old.close();
        assert!(old.find(key(1)).is_none());
        wait_until("the new one has the folder", || new.state() == State::Ready);
        assert_eq!(get(&new, key(1)).await, Some((1, 1_000_000)));
        // The new one fills the disk, and drops what the old one reads. It stays within its size with it.
        for number in 10..60 {
            put(&new, key(number), 1, 500_000);
            assert!(on_disk(scratch.path()) <= SIZE);
        }
        assert!(new.find(key(1)).is_none());
        let expected = content(key(1), 1, 1_000_000);
        for (number, part) in expected.chunks(CHUNK).enumerate() {
            assert!(*chunks.read(number as u64).await.unwrap() == *part);
        }
        let used = new.usage().bytes;
        drop(chunks);
        wait_until("its room is free again", || {
            new.resize(SIZE);
            new.usage().bytes < used
        });
    });
    assert!(old.wait_closed(Duration::from_secs(20)));
}

#[test]
fn one_that_waits_can_be_told_to_end() {
    let scratch = Scratch::new("waiting");
    let _old = open(scratch.path(), SIZE);
    let options = Options { folder: scratch.path().into(), size: SIZE, ring: false, ready: None, renew: None };
    let new = Disk::open(options).unwrap();
    close(&new);
    assert_eq!(new.state(), State::Closed);
}
