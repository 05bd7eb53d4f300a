//! What was stored is read again, also after a start.

use super::*;

const SIZE: u64 = 16 << 20;

#[test]
fn what_was_stored_is_read_through_either_driver() {
    let scratch = Scratch::new("stored");
    let disk = open(scratch.path(), SIZE);
    let lengths = [0, 1, 300, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 4 * CHUNK, 4 * CHUNK + 1, 1_000_000];
    for (number, length) in lengths.into_iter().enumerate() {
        put(&disk, key(number as u64), 1, length);
    }
    for backend in backends() {
        enter(backend, 0, async {
            for (number, length) in lengths.into_iter().enumerate() {
                assert_eq!(get(&disk, key(number as u64)).await, Some((1, length)), "{backend:?}");
            }
            assert_eq!(get(&disk, key(99)).await, None);
        })
        .unwrap();
    }
    assert_eq!((disk.usage().objects, disk.usage().corrupt), (lengths.len() as u64, 0));
}

#[test]
fn a_start_finds_what_was_there_when_it_was_closed_and_when_it_was_killed() {
    let (scratch, copy) = (Scratch::new("start"), Scratch::new("start-copy"));
    let disk = open(scratch.path(), SIZE);
    for number in 0..200 {
        put(&disk, key(number), number + 1, 20_000 + number as usize);
    }
    put(&disk, key(7), 500, 200_000);
    snapshot(scratch.path(), copy.path());
    close(&disk);
    for folder in [scratch.path(), copy.path()] {
        for round in 0..3 {
            let (found, recovered) = std::sync::mpsc::sync_channel(1);
            let disk = open_with(folder, SIZE, move |recovered| found.send(recovered).unwrap());
            let recovered = recovered.recv().unwrap();
            assert_eq!((recovered.objects, recovered.newest), (200, 500 + round));
            on_worker(async {
                assert_eq!(get(&disk, key(7)).await, Some((500, 200_000)));
                for number in (1..200).filter(|number| *number != 7) {
                    assert_eq!(get(&disk, key(number)).await, Some((number + 1, 20_000 + number as usize)));
                }
            });
            // It is written on in any case.
            put(&disk, key(0), 501 + round, 10);
            close(&disk);
        }
    }
}

#[test]
fn another_head_keeps_the_content() {
    let scratch = Scratch::new("renew");
    let disk = open(scratch.path(), SIZE);
    for (number, length) in [(1, 500), (2, 300_000)] {
        put(&disk, key(number), 1, length);
        let location = disk.find(key(number)).unwrap();
        let head = format!("head of {:x} 1 {length}", key(number)).replace(" 1 ", " 9 ");
        disk.renew(&location, 9, 9u64.to_le_bytes().into(), head.clone().into_bytes().into()).unwrap();
        wait_until("it is renewed", || disk.find(key(number)).is_some_and(|found| found.stamp == 9));
        // What knows its old place changes nothing any more.
        disk.renew(&location, 5, Box::default(), Box::default()).unwrap();
    }
    put(&disk, key(3), 1, 10);
    close(&disk);
    let disk = open(scratch.path(), SIZE);
    on_worker(async {
        for (number, length) in [(1, 500), (2, 300_000)] {
            let stored = disk.read(disk.find(key(number)).unwrap()).await.unwrap();
            assert_eq!((stored.stamp(), stored.meta(), stored.length()), (9, 9u64.to_le_bytes().as_slice(), length));
            assert!(stored.head().starts_with(b"head of "));
            let expected = content(key(number), 1, length as usize);
            match stored.into_body() {
                Body::Whole(body) => assert!(*body == *expected),
                Body::Chunks(chunks) => assert!(*chunks.read(4).await.unwrap() == expected[4 * CHUNK..]),
            }
        }
    });
}

#[test]
fn what_breaks_off_or_is_not_what_it_was_said_to_be_is_not_stored() {
    let scratch = Scratch::new("refused");
    let disk = open(scratch.path(), SIZE);
    let object =
        |number, length| Object { key: key(number), stamp: 1, meta: Box::default(), head: Box::default(), length };
    let piece: Piece = vec![7; 100_000].into();
    // Dropped within a small and a large one.
    for pieces in [0, 1, 10] {
        let mut writer = disk.put(object(1, None)).unwrap();
        (0..pieces).for_each(|_| writer.write(piece.clone()).unwrap());
    }
    let mut short = disk.put(object(2, Some(100_001))).unwrap();
    short.write(piece.clone()).unwrap();
    assert_eq!(short.finish(), Err(Refused::Incomplete));
    let mut long = disk.put(object(3, Some(99_999))).unwrap();
    assert_eq!(long.write(piece.clone()), Err(Refused::Incomplete));
    assert_eq!(long.write(piece.clone()), Err(Refused::Incomplete));
    assert_eq!(disk.put(object(4, Some(SIZE / 4))).err(), Some(Refused::TooLarge));
    let refused = || {
        let mut endless = disk.put(object(5, None)).unwrap();
        let refused = (0..100).find_map(|_| endless.write(piece.clone()).err());
        std::thread::park_timeout(std::time::Duration::from_millis(u64::from(refused == Some(Refused::Busy))));
        refused
    };
    // On a busy machine the disk's thread may be behind for a while.
    let refused = std::iter::repeat_with(refused).take(1000).find(|refused| *refused != Some(Refused::Busy));
    assert_eq!(refused, Some(Some(Refused::TooLarge)));
    let long_head = disk.put(object(6, None)).unwrap();
    assert_eq!(long_head.finish_with(Box::default(), vec![0; LONGEST_HEAD + 1].into()), Err(Refused::TooLarge));
    put(&disk, key(7), 1, 100);
    assert_eq!((disk.usage().objects, disk.usage().stored), (1, 1));
    close(&disk);
    assert_eq!(disk.put(object(8, None)).err(), Some(Refused::NotReady));
    assert!(disk.find(key(7)).is_none() && !disk.forget(key(7)));
}

#[test]
fn content_that_looks_like_a_record_is_content() {
    let scratch = Scratch::new("forged");
    let copy = Scratch::new("forged-copy");
    let disk = open(scratch.path(), SIZE);
    put(&disk, key(1), 1, 100);
    // A client has the very bytes of a segment stored.
    let segment = std::fs::read(segment::Segment::path(scratch.path(), 1)).unwrap();
    let object = Object { key: key(2), stamp: 2, meta: Box::default(), head: Box::default(), length: None };
    let mut writer = disk.put(object).unwrap();
    writer.write(segment.repeat(3).into()).unwrap();
    writer.finish().unwrap();
    wait_until("it is stored", || disk.find(key(2)).is_some());
    disk.forget(key(1));
    put(&disk, key(3), 3, 10);
    wait_until("it is forgotten", || {
        snapshot(scratch.path(), copy.path());
        // Its header is damaged, so that the scan goes through its content.
        let path = segment::Segment::path(copy.path(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[segment.len() + 5] ^= 1;
        std::fs::write(path, bytes).unwrap();
        let again = open(copy.path(), SIZE);
        let found = [1, 2, 3].map(|number| again.find(key(number)).is_some());
        close(&again);
        found == [false, false, true]
    });
}
