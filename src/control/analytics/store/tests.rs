use super::super::question::{By, Step};
use super::*;
use crate::config::units::Span;
use std::fs;
use std::path::PathBuf;

const NOON: u64 = 1_795_867_200;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ringway-analytics-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn sums(requests: u64) -> Sums {
    let mut sums =
        Sums { requests, errors: 1, latency_us: requests * 1000, bytes_in: 10, bytes_out: 20, ..Sums::default() };
    sums.latencies[7] = requests;
    sums
}

fn at(second: u64, consumer: &str) -> Key {
    let series = Series { consumer: consumer.into(), route: "r".into(), version: "v1".into(), status: 200 };
    Key { minute: u32::try_from(second / 60).unwrap(), series }
}

fn asked(by: &[By], step: Option<Step>) -> Question {
    Question { from: 0, to: NOON * 2, by: by.to_vec(), step, routes: None }
}

fn total(store: &Store) -> (u64, u64, usize) {
    let rows = store.read(&asked(&[], None), 10).unwrap().unwrap();
    (rows[0].sums.requests, rows[0].sums.latencies[7], rows.len())
}

#[test]
fn what_two_processes_write_adds_up_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("two");
    let (mut one, mut two) = (Store::open(&folder).unwrap(), Store::open(&folder).unwrap());
    one.write(&HashMap::from([(at(NOON, "a"), sums(3)), (at(NOON, "b"), sums(4))])).unwrap();
    two.write(&HashMap::from([(at(NOON, "a"), sums(5)), (at(NOON + 60, "a"), sums(6))])).unwrap();
    assert_eq!(total(&one), (18, 18, 1));
    let rows = one.read(&asked(&[By::Consumer], Some(Step::Minute)), 10).unwrap().unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.group.at, row.group.consumer.clone(), row.sums.requests)).collect();
    let of = |at: u64, consumer: &str, requests| (Some(at), Some(consumer.to_owned()), requests);
    assert_eq!(found, [of(NOON, "a", 8), of(NOON, "b", 4), of(NOON + 60, "a", 6)]);
    assert!(one.read(&asked(&[By::Consumer], Some(Step::Minute)), 2).unwrap().is_none(), "too many rows");
    assert_eq!(fs::metadata(folder.join(LAYOUT.name)).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn sums_stay_the_same_while_they_become_hours_and_days_until_they_are_deleted() {
    let folder = folder("roll");
    let mut store = Store::open(&folder).unwrap();
    let retention =
        Retention { minutes: Span::secs(7200), hours: Span::secs(2 * 86_400), days: Span::secs(8 * 86_400) };
    let mut all = HashMap::new();
    for minute in 0..600u64 {
        all.insert(at(NOON - minute * 60, "a"), sums(1));
        all.insert(at(NOON - minute * 60, "b"), sums(2));
    }
    store.write(&all).unwrap();
    let steps = |store: &Store| {
        let count = |step: i64| {
            store.0.query_row("SELECT count(*) FROM sums WHERE step = ?", [step], |row| row.get::<_, i64>(0)).unwrap()
        };
        (count(MINUTE), count(HOUR), count(DAY))
    };
    while store.roll_up(NOON, &retention, 100).unwrap() {}
    assert_eq!(total(&store), (1800, 1800, 1));
    assert_eq!(steps(&store).0, 2 * 121, "two hours and what is of the hour then");
    // What comes late is added to an hour that was made already.
    store.write(&HashMap::from([(at(NOON - 5 * 3600, "a"), sums(9))])).unwrap();
    while store.roll_up(NOON + 3 * 86_400, &retention, 100).unwrap() {}
    assert_eq!((total(&store).0, steps(&store).0, steps(&store).1), (1809, 0, 0));
    while store.roll_up(NOON + 30 * 86_400, &retention, 100).unwrap() {}
    assert_eq!(steps(&store), (0, 0, 0));
    let left: i64 = store.0.query_row("SELECT count(*) FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_hour_has_no_more_series_than_it_may_and_loses_no_request() {
    let folder = folder("crowd");
    let mut store = Store::open(&folder).unwrap();
    let crowd: HashMap<Key, Sums> = (0..500u64).map(|n| (at(NOON + n % 60 * 60, &format!("c{n}")), sums(1))).collect();
    store.write(&crowd).unwrap();
    let retention = Retention { minutes: Span::secs(3600), ..Retention::default() };
    while store.roll_up(NOON + 86_400, &retention, 100).unwrap() {}
    let rows = store.read(&asked(&[By::Consumer], None), 1000).unwrap().unwrap();
    assert_eq!(rows.len(), 101);
    assert_eq!(rows.iter().map(|row| row.sums.requests).sum::<u64>(), 500);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_full_disk_keeps_nothing_by_halves_and_damage_is_set_aside() {
    let folder = folder("full");
    let mut store = Store::open(&folder).unwrap();
    let pages: i64 = store.0.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.0.pragma_update(None, "max_page_count", pages).unwrap();
    let crowd: HashMap<Key, Sums> = (0..2000u64).map(|n| (at(NOON, &format!("c{n}")), sums(1))).collect();
    assert!(store.write(&crowd).unwrap_err().contains("full"));
    store.0.pragma_update(None, "max_page_count", 100_000).unwrap();
    assert!(store.read(&asked(&[], None), 10).unwrap().unwrap().is_empty());
    store.write(&crowd).unwrap();
    assert_eq!(total(&store).0, 2000);
    drop(store);
    fs::write(folder.join(LAYOUT.name), "this is no database, however long it may be".repeat(100)).unwrap();
    assert!(Store::open(&folder).is_ok() && folder.join("analytics.sqlite.damaged").exists());
    fs::remove_dir_all(&folder).unwrap();
}
