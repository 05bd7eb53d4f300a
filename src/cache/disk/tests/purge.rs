//! What was forgotten or purged stays so.

use super::*;
use std::sync::mpsc::sync_channel;

const SIZE: u64 = 16 << 20;

fn done(receipt: Receipt) -> io::Result<()> {
    receipt.blocking_recv().unwrap()
}

#[test]
fn what_was_forgotten_stays_so_after_a_kill_and_what_came_after_is_there() {
    let (scratch, copy) = (Scratch::new("forget"), Scratch::new("forget-copy"));
    let disk = open(scratch.path(), SIZE);
    for number in 0..100 {
        put(&disk, key(number), 1, 30_000);
    }
    for number in 0..50 {
        assert!(disk.forget(key(number)) && !disk.forget(key(number)));
    }
    wait_until("tombstones are written", || disk.shared.forgotten.is_empty());
    put(&disk, key(3), 2, 100);
    snapshot(scratch.path(), copy.path());
    close(&disk);
    for folder in [scratch.path(), copy.path()] {
        let disk = open(folder, SIZE);
        let found: Vec<u64> = (0..100).filter(|number| disk.find(key(*number)).is_some()).collect();
        assert_eq!(found, std::iter::once(3).chain(50..100).collect::<Vec<_>>());
        assert_eq!(get_now(&disk, key(3)), Some((2, 100)));
    }
}

#[test]
fn what_is_being_written_when_it_is_forgotten_is_never_found() {
    let scratch = Scratch::new("forget-writing");
    let disk = open(scratch.path(), SIZE);
    for length in [100, 400_000] {
        let object = Object { key: key(1), stamp: 1, meta: Box::default(), head: Box::default(), length: None };
        let mut writer = disk.put(object).unwrap();
        writer.write(vec![1; length].into()).unwrap();
        disk.forget(key(1));
        writer.finish().unwrap();
    }
    put(&disk, key(2), 1, 10);
    assert!(disk.find(key(1)).is_none());
    assert_eq!(disk.usage().objects, 1);
}

#[test]
fn purges_stay_after_a_start_and_notes_come_back() {
    let (scratch, copy) = (Scratch::new("purge"), Scratch::new("purge-copy"));
    let disk = open(scratch.path(), SIZE);
    assert_eq!(disk.oldest(), u64::MAX, "nothing is there");
    for number in 0..10 {
        put(&disk, key(number), 10 + number, 1000);
    }
    assert_eq!(disk.oldest(), 10);
    let object = Object { key: key(50), stamp: 3, meta: Box::default(), head: Box::default(), length: None };
    let begun = disk.put(object).unwrap();
    assert_eq!(disk.oldest(), 3);
    drop(begun);
    assert_eq!(disk.oldest(), 10);
    done(disk.purge_all(13)).unwrap();
    assert_eq!((0..10).filter(|number| disk.find(key(*number)).is_some()).count(), 7);
    wait_until("what was purged takes no memory", || disk.usage().objects == 7);
    done(disk.purge(key(5), 20)).unwrap();
    done(disk.note(21, b"tag a".as_slice().into())).unwrap();
    assert!(done(disk.note(22, vec![0; LONGEST_NOTE + 1].into())).is_err());
    // What was asked for before it is not stored after it.
    try_put(&disk, key(20), 12, 10).unwrap();
    put(&disk, key(21), 30, 10);
    snapshot(scratch.path(), copy.path());
    close(&disk);
    assert!(done(disk.purge_all(99)).is_err(), "nobody writes it down any more");
    for folder in [scratch.path(), copy.path()] {
        let (found, recovered) = sync_channel(1);
        let disk = open_with(folder, SIZE, move |recovered| found.send(recovered).unwrap());
        let recovered = recovered.recv().unwrap();
        let note = Note { stamp: 21, bytes: b"tag a".as_slice().into() };
        assert_eq!((recovered.notes, recovered.newest), (vec![note], 30));
        let found: Vec<u64> = (0..30).filter(|number| disk.find(key(*number)).is_some()).collect();
        assert_eq!(found, [3, 4, 6, 7, 8, 9, 21]);
    }
}

#[test]
fn without_its_journal_of_purges_nothing_is_trusted() {
    let scratch = Scratch::new("journal");
    for damage in [
        |path: &Path| std::fs::remove_file(path).unwrap(),
        |path: &Path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[10] ^= 1;
            std::fs::write(path, bytes).unwrap();
        },
    ] {
        let disk = open(scratch.path(), SIZE);
        put(&disk, key(1), 5, 1000);
        done(disk.note(3, b"first".as_slice().into())).unwrap();
        done(disk.note(4, b"second".as_slice().into())).unwrap();
        close(&disk);
        damage(&scratch.path().join("notes"));
        let disk = open(scratch.path(), SIZE);
        assert!(disk.find(key(1)).is_none());
        close(&disk);
        let disk = open(scratch.path(), SIZE);
        assert!(disk.find(key(1)).is_none());
    }
}

#[test]
fn purging_all_gives_room_back() {
    let scratch = Scratch::new("purge-room");
    let disk = open(scratch.path(), SIZE);
    for number in 0..50 {
        put(&disk, key(number), 1, 200_000);
    }
    let before = on_disk(scratch.path());
    done(disk.purge_all(2)).unwrap();
    wait_until("room is given back", || on_disk(scratch.path()) < before / 4);
    put(&disk, key(1), 2, 200_000);
    assert_eq!(get_now(&disk, key(1)), Some((2, 200_000)));
}

#[test]
fn what_is_forgotten_before_it_is_known_what_is_stored_stays_so() {
    let scratch = Scratch::new("forget-early");
    let disk = open(scratch.path(), SIZE);
    (0..10).for_each(|number| put(&disk, key(number), 1, 100));
    // Another process waits for the folder, and purges meanwhile.
    let options = Options { folder: scratch.path().into(), size: SIZE, ring: false, ready: None, renew: None };
    let next = Disk::open(options).unwrap();
    next.forget(key(1));
    let receipt = next.purge(key(2), 7);
    let noted = next.note(8, b"tag".as_slice().into());
    assert_eq!(next.state(), State::Waiting);
    close(&disk);
    wait_until("it has the folder", || next.state() == State::Ready);
    done(receipt).unwrap();
    done(noted).unwrap();
    let found = |disk: &Disk| (0..10).filter(|number| disk.find(key(*number)).is_some()).collect::<Vec<u64>>();
    assert_eq!(found(&next), [0, 3, 4, 5, 6, 7, 8, 9]);
    close(&next);
    assert_eq!(found(&open(scratch.path(), SIZE)), [0, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_tombstone_that_a_failed_write_has_lost_is_written_again() {
    let scratch = Scratch::new("buried");
    let shared = Arc::new(shared::Shared::new(64 << 20));
    let mut notes = notes::Notes::open(scratch.path(), 64 << 10).unwrap();
    notes.repair().unwrap();
    let mut log = log::Log::new(scratch.path().to_owned(), shared.clone(), notes, false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for key in [7, 8] {
            let record = record::Record::tombstone(key);
            log.reserve(record.size()).await.unwrap();
            log.append(&record, []).unwrap();
            if key == 7 {
                log.flush().await.unwrap();
            }
        }
        log.fail(&io::Error::other("no room"));
    });
    assert_eq!((shared.forgotten.pop(), shared.forgotten.pop()), (Some(8), None), "the other one is on the disk");
}

#[test]
fn a_segment_that_cannot_be_removed_stays_the_oldest() {
    let scratch = Scratch::new("stays");
    let shared = Arc::new(shared::Shared::new(64 << 20));
    let mut notes = notes::Notes::open(scratch.path(), 64 << 10).unwrap();
    notes.repair().unwrap();
    let mut log = log::Log::new(scratch.path().to_owned(), shared, notes, false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(log.reserve(record::Record::tombstone(1).size())).unwrap();
    log.fail(&io::Error::other("it is sealed by that"));
    let path = segment::Segment::path(scratch.path(), log.sealed[0].segment.id);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(log.remove_oldest().is_err());
    assert_eq!(log.sealed.len(), 1);
    std::fs::remove_dir(&path).unwrap();
    log.remove_oldest().unwrap();
    assert_eq!(log.sealed.len(), 0, "somebody else has removed it");
}
