//! It never takes more of the disk than it may, and keeps what is hit.

use super::*;

const SIZE: u64 = 16 << 20;

#[test]
fn it_stays_within_its_size_whatever_is_stored() {
    let scratch = Scratch::new("bound");
    let disk = open(scratch.path(), SIZE);
    let mut random = fastrand::Rng::with_seed(3);
    let (mut most, mut stored) = (0, 0);
    while stored < 5 * SIZE {
        let length = match random.u32(..10) {
            0 => random.usize(..1_800_000),
            1..4 => random.usize(..200_000),
            _ => random.usize(..3_000),
        };
        if try_put(&disk, key(random.u64(..2_000)), 1, length).is_ok() {
            stored += length as u64;
        }
        let used = on_disk(scratch.path());
        most = most.max(used);
        assert!(used <= SIZE, "{used} bytes on the disk");
    }
    put(&disk, key(5_000), 1, 10);
    let usage = disk.usage();
    assert!(most > SIZE / 10 * 6, "it uses what it may: {most}");
    assert!(usage.bytes <= SIZE && usage.evicted > 100, "{usage:?}");
    disk.resize(SIZE + (8 << 20));
    let found = on_worker(async {
        let mut found = 0;
        for number in (0..2_000).chain([5_000]) {
            found += u64::from(get(&disk, key(number)).await.is_some());
        }
        found
    });
    assert_eq!((found, disk.usage().corrupt), (disk.usage().objects, 0));
    assert!(found > 30);
}

#[test]
fn what_is_hit_outlives_what_is_not() {
    let scratch = Scratch::new("hit");
    let disk = open(scratch.path(), SIZE);
    let hot = [(1, 2_000), (2, 60_000), (3, 300_000)];
    for (number, length) in hot {
        put(&disk, key(number), 7, length);
    }
    put(&disk, key(4), 7, 2_000);
    for number in 0..1_000 {
        put(&disk, key(100 + number), 1, 60_000);
        if number % 50 == 0 {
            assert!(hot.iter().all(|(number, _)| disk.touch(key(*number))), "after {number}");
        }
    }
    for (number, length) in hot {
        assert_eq!(get_now(&disk, key(number)), Some((7, length)));
    }
    assert_eq!(get_now(&disk, key(4)), None);
    assert!(disk.usage().carried >= 6, "{:?}", disk.usage());
    close(&disk);
    let disk = open(scratch.path(), SIZE);
    for (number, length) in hot {
        assert_eq!(get_now(&disk, key(number)), Some((7, length)), "they are where they were carried to");
    }
}

#[test]
fn who_carries_on_is_asked_and_says_up_to_when_it_was_looked_at() {
    let scratch = Scratch::new("asked");
    let asked: Renew = Arc::new(|key: Key, stamp, meta: &[u8]| {
        assert_eq!(meta, stamp.to_le_bytes());
        (key != super::key(2)).then_some(stamp)
    });
    let options = Options { folder: scratch.path().into(), size: SIZE, ring: true, ready: None, renew: Some(asked) };
    let disk = Disk::open(options).unwrap();
    wait_until("it is ready", || disk.state() == State::Ready);
    put(&disk, key(1), 7, 2_000);
    put(&disk, key(2), 7, 2_000);
    for number in 0..400 {
        put(&disk, key(100 + number), 1, 60_000);
        disk.touch(key(1));
        disk.touch(key(2));
    }
    assert_eq!((get_now(&disk, key(1)), get_now(&disk, key(2))), (Some((7, 2_000)), None));
}

#[test]
fn a_smaller_size_takes_hold_at_once_and_at_a_start() {
    let scratch = Scratch::new("resize");
    let disk = open(scratch.path(), 4 * SIZE);
    for number in 0..200 {
        put(&disk, key(number), 1, 250_000);
    }
    assert!(on_disk(scratch.path()) > 2 * SIZE);
    disk.resize(2 * SIZE);
    wait_until("it has become smaller", || on_disk(scratch.path()) <= 2 * SIZE);
    close(&disk);
    let disk = open(scratch.path(), SIZE);
    wait_until("it has become smaller still", || on_disk(scratch.path()) <= SIZE);
    put(&disk, key(999), 1, 1_000_000);
    assert_eq!(get_now(&disk, key(999)), Some((1, 1_000_000)));
    assert!(get_now(&disk, key(199)).is_some(), "the newest are left");
}

/// A reader holds each segment: there is no room until one of them lets go, and no wrong byte meanwhile.
#[test]
fn readers_that_hold_all_of_it_keep_others_from_being_stored() {
    let scratch = Scratch::new("held");
    let disk = open(scratch.path(), SIZE);
    let mut held = Vec::new();
    for number in 0..400 {
        if try_put(&disk, key(number), 1, 60_000).is_ok() {
            let start = Instant::now();
            while disk.find(key(number)).is_none() && start.elapsed() < Duration::from_millis(100) {
                std::thread::yield_now();
            }
            held.extend(disk.find(key(number)));
        }
        assert!(on_disk(scratch.path()) <= SIZE);
        if disk.usage().write_errors > 0 {
            break;
        }
    }
    assert!(disk.usage().write_errors > 0);
    on_worker(async {
        for location in held.drain(..) {
            assert!(disk.read(location).await.is_ok(), "what is held stays readable");
        }
    });
    wait_until("there is room again", || {
        try_put(&disk, key(1_000), 1, 60_000).is_ok() && disk.find(key(1_000)).is_some()
    });
}

#[test]
fn a_disk_that_cannot_be_written_costs_objects_until_it_can_be() {
    let scratch = Scratch::new("failing");
    let disk = open(scratch.path(), SIZE);
    put(&disk, key(1), 1, 1_000);
    let hidden = scratch.path().with_extension("hidden");
    std::fs::rename(scratch.path(), &hidden).unwrap();
    wait_until("it is noticed", || {
        let refused = try_put(&disk, key(2), 1, 200_000);
        assert!(on_disk(&hidden) <= SIZE);
        refused == Err(Refused::Failing)
    });
    assert!(disk.usage().write_errors > 0);
    assert_eq!(get_now(&disk, key(1)), Some((1, 1_000)), "what is there is read all the same");
    std::fs::rename(&hidden, scratch.path()).unwrap();
    put(&disk, key(3), 1, 200_000);
    close(&disk);
    let disk = open(scratch.path(), SIZE);
    assert_eq!((get_now(&disk, key(1)), get_now(&disk, key(3))), (Some((1, 1_000)), Some((1, 200_000))));
}
