//! Many small objects: what they take in memory and how long a start takes. By default a few; with `RINGWAY_TEST_OBJECTS` as many
//! as that says, in a process of its own:
//!
//! ```text
//! RINGWAY_TEST_OBJECTS=1000000 cargo test --release --lib disk::tests::many -- --nocapture
//! ```

use super::*;

#[test]
fn many_small_objects_take_little_memory_and_are_there_soon_after_a_start() {
    let asked: Option<u64> = std::env::var("RINGWAY_TEST_OBJECTS").ok().map(|text| text.parse().unwrap());
    let objects = asked.unwrap_or(20_000);
    let size = (objects * 1024).max(64 << 20);
    let (scratch, copy) = (Scratch::new("many"), Scratch::new("many-copy"));
    let before = resident();
    let disk = open(scratch.path(), size);
    let start = Instant::now();
    for number in 0..objects {
        let head: Box<[u8]> = [b'h'; 300].into();
        let object =
            || Object { key: key(number), stamp: number, meta: [1; 40].into(), head: head.clone(), length: Some(128) };
        let store = || {
            let mut writer = disk.put(object())?;
            writer.write(content(key(number), number, 128).into())?;
            writer.finish()
        };
        while store() == Err(Refused::Busy) {
            std::thread::park_timeout(Duration::from_micros(500));
        }
    }
    wait_until("all are stored", || disk.usage().stored == objects);
    let wrote = start.elapsed();
    let each = resident().saturating_sub(before) / objects;
    println!("{objects} objects written in {wrote:?}, {each} bytes of memory each, {:?}", disk.usage());
    assert!(asked.is_none() || each <= 150, "{each} bytes of memory for each object");
    // As a kill leaves it.
    snapshot(scratch.path(), copy.path());
    close(&disk);
    for folder in [scratch.path(), copy.path()] {
        let (start, before) = (Instant::now(), resident());
        let disk = open(folder, size);
        on_worker(async {
            let stored = disk.read(disk.find(key(objects - 1)).unwrap()).await.unwrap();
            assert_eq!(stored.head(), [b'h'; 300]);
        });
        let took = start.elapsed();
        let each = resident().saturating_sub(before) / objects;
        println!("served again after {took:?}, {each} bytes of memory each");
        assert_eq!(disk.usage().objects, objects);
        assert!(took < Duration::from_secs(5), "{took:?}");
        on_worker(async {
            for number in (0..objects).step_by(97) {
                let stored = disk.read(disk.find(key(number)).unwrap()).await.unwrap();
                let Body::Whole(body) = stored.into_body() else { panic!("it is small") };
                assert!(*body == *content(key(number), number, 128));
            }
        });
        close(&disk);
    }
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
