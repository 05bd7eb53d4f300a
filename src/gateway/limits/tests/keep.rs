//! What the next process is told of clients.

use crate::gateway::limits::{Clients, Full, Pace};
use std::sync::Arc;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1000);
const HOUR: Duration = Duration::from_secs(3600);

fn enters(table: &Arc<Clients>, key: u64, now: Duration) -> bool {
    match table.enter(key, Some(2), Some(Pace::of_open(HOUR, 3)), now) {
        Ok(held) => held.is_some(),
        Err(full) => full != Full::Rate,
    }
}

#[test]
fn the_next_process_counts_on_how_often_clients_came_and_not_what_they_have() {
    let old = Arc::new(Clients::new(1000));
    for _ in 0..2 {
        let held = [7, 8].map(|key| old.enter(key, Some(2), Some(Pace::of_open(HOUR, 3)), NOW).unwrap());
        std::mem::forget(held);
    }
    let bytes = old.to_bytes(NOW, 10);
    assert_eq!(Clients::clients_of(&bytes), 2);
    let new = Arc::new(Clients::new(1000));
    assert_eq!(new.take_bytes(&bytes, NOW), Some(2));
    assert_eq!((new.seed(), new.len(NOW)), (old.seed(), 2));
    // A burst of three, of which two were made; and nobody has any open here.
    assert_eq!([7, 7, 8, 8, 9].map(|key| enters(&new, key, NOW)), [true, false, true, false, true]);
    let later = Arc::new(Clients::new(1000));
    assert_eq!(later.take_bytes(&bytes, NOW + 3 * HOUR), Some(0), "what is forgotten by then is not taken");
}

#[test]
fn as_many_go_as_may_and_nonsense_changes_nothing() {
    let old = Arc::new(Clients::new(1000));
    for key in 1..=50 {
        enters(&old, key, NOW + Duration::from_secs(key));
    }
    let bytes = old.to_bytes(NOW, 10);
    let new = Arc::new(Clients::new(1000));
    assert_eq!(new.take_bytes(&bytes, NOW), Some(10));
    let (seed, size) = (new.seed(), new.len(NOW));
    for wrong in [&b""[..], b"clients 1\n", b"clients 1\n1234567", b"clients 2\n12345678", &bytes[..bytes.len() - 1]] {
        assert_eq!(new.take_bytes(wrong, NOW), None);
    }
    assert_eq!((new.seed(), new.len(NOW)), (seed, size));
}

#[test]
fn the_form_is_what_other_versions_know() {
    let table = Arc::new(Clients::new(1000));
    enters(&table, 7, NOW);
    let due = (NOW + HOUR).as_micros() as u64 / 4;
    let known = [b"clients 1\n", &table.seed().to_le_bytes()[..], &7_u64.to_le_bytes(), &due.to_le_bytes()].concat();
    assert_eq!(table.to_bytes(NOW, 10), known);
}

#[test]
fn what_is_hashed_otherwise_than_others_do_is_not_taken() {
    let old = Arc::new(Clients::new(1000));
    enters(&old, 7, NOW);
    let bytes = old.to_bytes(NOW, 10);
    let new = Arc::new(Clients::new(1000));
    new.set_seed(old.seed() ^ 1);
    assert_eq!((new.take_bytes(&bytes, NOW), new.seed(), new.len(NOW)), (None, old.seed() ^ 1, 0));
    new.set_seed(old.seed());
    assert_eq!(new.take_bytes(&bytes, NOW), Some(1));
}
