use super::*;
use crate::gateway::limits::decide_all;
use crate::gateway::limits::several::Counts;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn at(text: &str) -> Duration {
    let time: jiff::Timestamp = text.parse().unwrap();
    Duration::from_secs(u64::try_from(time.as_second()).unwrap())
}

fn shown(minutes: u32) -> String {
    jiff::Timestamp::from_second(i64::from(minutes) * 60).unwrap().to_string()
}

fn daily(limit: u64) -> Quota {
    Quota::new(limit, Calendar::new(Period::Day, None).unwrap(), 64, None)
}

fn admitted(quota: &Quota, key: u64, now: Duration, asked: usize) -> usize {
    (0..asked).filter(|_| quota.decide(key, now).allowed).count()
}

const NOON: &str = "2026-11-28T12:00:00Z";

#[test]
fn periods_are_those_of_the_calendar_of_a_place() {
    for (period, zone, now, start, end) in [
        (Period::Minute, None, "2026-11-28T12:34:56Z", "2026-11-28T12:34:00Z", "2026-11-28T12:35:00Z"),
        (Period::Hour, None, "2026-11-28T12:34:56Z", "2026-11-28T12:00:00Z", "2026-11-28T13:00:00Z"),
        (Period::Hour, Some("Asia/Kolkata"), "2026-11-28T12:34:56Z", "2026-11-28T12:30:00Z", "2026-11-28T13:30:00Z"),
        (Period::Day, None, "2026-11-28T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"),
        (Period::Day, None, "2026-11-28T23:59:59Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"),
        (Period::Day, Some("Europe/Berlin"), "2026-11-28T23:30:00Z", "2026-11-28T23:00:00Z", "2026-11-29T23:00:00Z"),
        // The days on which clocks are changed have 23 and 25 hours.
        (Period::Day, Some("Europe/Berlin"), "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        (Period::Day, Some("Europe/Berlin"), "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        // There is no midnight on that day.
        (Period::Day, Some("Africa/Cairo"), "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
        (Period::Week, None, "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        (Period::Week, None, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
        (Period::Month, None, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Period::Month, None, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (
            Period::Month,
            Some("America/New_York"),
            "2026-12-01T04:59:59Z",
            "2026-11-01T04:00:00Z",
            "2026-12-01T05:00:00Z",
        ),
    ] {
        let calendar = Calendar::new(period, zone).unwrap();
        for _ in 0..2 {
            let window = calendar.window(at(now));
            assert_eq!((&*shown(window.start), &*shown(window.end)), (start, end), "{period:?} {zone:?} {now}");
        }
    }
    assert!(Calendar::new(Period::Day, Some("Europe/Atlantis")).unwrap_err().contains("Europe/Atlantis"));
    // A clock that is far off breaks nothing.
    for seconds in [0, 1, u64::MAX / 2, u64::MAX] {
        Calendar::new(Period::Month, None).unwrap().window(Duration::from_secs(seconds));
    }
}

#[test]
fn no_more_than_the_limit_in_a_period_and_all_of_it_in_the_next() {
    let quota = daily(5);
    let evening = at("2026-11-28T23:59:58Z");
    assert_eq!(admitted(&quota, 1, evening, 9), 5);
    let denied = quota.decide(1, evening);
    assert_eq!((denied.allowed, denied.remaining, denied.retry_after()), (false, 0, Some(2)));
    assert_eq!(admitted(&quota, 2, evening, 3), 3, "each key has its own");
    assert_eq!(quota.look(2, evening).remaining, 2);
    let morning = at("2026-11-29T00:00:00Z");
    assert_eq!(admitted(&quota, 1, morning, 9), 5);
    assert_eq!(quota.look(2, morning).remaining, 5);
}

#[test]
fn a_clock_that_is_put_back_gives_nobody_more_and_one_that_was_far_off_takes_nothing() {
    let quota = daily(5);
    assert_eq!(admitted(&quota, 1, at("2026-11-29T00:00:01Z"), 9), 5);
    assert_eq!(admitted(&quota, 1, at("2026-11-28T23:59:59Z"), 9), 0, "it counts on in the day that has begun");
    assert_eq!(admitted(&quota, 2, at("2027-11-28T12:00:00Z"), 9), 5);
    assert_eq!(admitted(&quota, 2, at(NOON), 9), 5, "what a clock said that was a year ahead is no news");
}

#[test]
fn threads_are_admitted_the_limit_exactly() {
    let quota = Quota::new(10_000, Calendar::new(Period::Month, None).unwrap(), 64, None);
    let threads = (0..4).map(|_| {
        let quota = quota.clone();
        thread::spawn(move || admitted(&quota, 7, at(NOON), 4000))
    });
    let threads: Vec<_> = threads.collect();
    let all: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(all, 10_000);
}

#[test]
fn what_one_of_several_denies_is_counted_by_none() {
    let (hour, day) = (Quota::new(3, Calendar::new(Period::Hour, None).unwrap(), 64, None), daily(5));
    let now = at(NOON);
    for _ in 0..3 {
        assert!(decide_all(&[(&day, 1), (&hour, 1)], now).iter().all(|decision| decision.allowed));
    }
    for _ in 0..4 {
        let said = decide_all(&[(&day, 1), (&hour, 1)], now);
        assert_eq!([said[0].allowed, said[1].allowed], [true, false]);
    }
    assert_eq!(day.look(1, now).remaining, 2);
    let next = at("2026-11-28T13:00:00Z");
    let said: Vec<bool> =
        (0..4).map(|_| decide_all(&[(&day, 1), (&hour, 1)], next).iter().all(|one| one.allowed)).collect();
    assert_eq!(said, [true, true, false, false]);
    assert_eq!(hour.look(1, next).remaining, 1, "the day's was used up, and the hour's is as it was");
}

#[test]
fn a_race_for_the_last_one_is_counted_by_none_for_who_loses_it() {
    let (one, two) = (daily(1000), daily(1500));
    let race = |first: bool| {
        let (one, two) = (one.clone(), two.clone());
        thread::spawn(move || {
            let asked = if first { [(&one, 1), (&two, 1)] } else { [(&two, 1), (&one, 1)] };
            (0..2000).filter(|_| decide_all(&asked, at(NOON)).iter().all(|one| one.allowed)).count()
        })
    };
    let threads = [race(true), race(false), race(true)];
    let all: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let used = |quota: &Quota| quota.limit() - quota.look(1, at(NOON)).remaining;
    assert!((990..=1000).contains(&all), "{all}");
    assert_eq!((used(&one), used(&two)), (u64::try_from(all).unwrap(), u64::try_from(all).unwrap()));
}

#[test]
fn plans_that_follow_each_other_count_on_by_the_new_limit() {
    let quota = daily(5);
    assert_eq!(admitted(&quota, 1, at(NOON), 4), 4);
    let more = Quota::new(7, Calendar::new(Period::Day, None).unwrap(), 64, Some(&quota));
    assert_eq!(admitted(&more, 1, at(NOON), 9), 3);
    assert_eq!(admitted(&quota, 1, at(NOON), 9), 0, "who goes by the old plan counts in the same place");
    let berlin = Quota::new(7, Calendar::new(Period::Day, Some("Europe/Berlin")).unwrap(), 64, Some(&more));
    assert_eq!(admitted(&berlin, 1, at(NOON), 9), 7);
}

/// What stands on a disk.
#[derive(Clone, Default)]
struct Disk(HashMap<(u32, u64), i64>);

/// A process that counts.
struct Process {
    quota: Quota,
    ledger: Ledger,
}

impl Process {
    fn start(limit: u64, disk: &Disk, now: Duration) -> Self {
        let mut process = Self { quota: daily(limit), ledger: Ledger::default() };
        process.read(disk, now);
        process
    }

    fn read(&mut self, disk: &Disk, now: Duration) {
        let window = self.quota.calendar().window(now);
        let found: Vec<(u64, u64)> = disk
            .0
            .iter()
            .filter(|((start, _), _)| *start == window.start)
            .map(|((_, key), used)| (*key, u64::try_from(*used).unwrap()))
            .collect();
        self.ledger.read(&self.quota, window, found, now);
    }

    fn write(&mut self, disk: &mut Disk, now: Duration, is_end: bool) {
        let draft = self.ledger.draft(&self.quota, now, is_end);
        let totals: Vec<u64> = draft
            .lines
            .iter()
            .map(|line| {
                let used = disk.0.entry((draft.window.start, line.key)).or_default();
                *used += line.more;
                u64::try_from(*used).unwrap()
            })
            .collect();
        self.ledger.written(&self.quota, &draft, totals, now);
    }
}

#[test]
fn who_ends_as_told_takes_up_exactly_where_it_was() {
    let (mut disk, now) = (Disk::default(), at(NOON));
    let mut first = Process::start(100, &disk, now);
    for asked in [10, 20, 0, 5] {
        assert_eq!(admitted(&first.quota, 1, now, asked), asked);
        first.write(&mut disk, now, false);
    }
    assert_eq!(admitted(&first.quota, 1, now, 3), 3);
    first.write(&mut disk, now, true);
    assert_eq!(disk.0.values().copied().collect::<Vec<_>>(), [38]);
    let mut second = Process::start(100, &disk, now);
    assert_eq!(admitted(&second.quota, 1, now, 1000), 62);
    second.write(&mut disk, now, false);
    second.write(&mut disk, now, false);
    assert_eq!(disk.0.values().copied().collect::<Vec<_>>(), [100]);
    assert_eq!(
        admitted(&Process::start(100, &disk, at("2026-11-29T00:00:00Z")).quota, 1, at("2026-11-29T00:00:00Z"), 200),
        100
    );
}

#[test]
fn who_is_killed_at_a_steady_pace_admits_no_more_than_its_limit() {
    for killed_after in 1..20 {
        let (mut disk, now) = (Disk::default(), at(NOON));
        let mut all = 0;
        let mut process = Process::start(100, &disk, now);
        for _ in 0..killed_after {
            all += admitted(&process.quota, 1, now, 7);
            process.write(&mut disk, now, false);
        }
        all += admitted(&process.quota, 1, now, 14);
        let after = Process::start(100, &disk, now);
        let rest = admitted(&after.quota, 1, now, 1000);
        assert!(all + rest <= 100, "{killed_after}: {all} and {rest}");
        assert!(all + rest >= 100 - 14, "{killed_after}: {all} and {rest}, what is lost is what was noted ahead");
    }
}

#[test]
fn a_key_that_rests_has_nothing_noted_ahead() {
    let (mut disk, now) = (Disk::default(), at(NOON));
    let mut process = Process::start(100, &disk, now);
    assert_eq!(admitted(&process.quota, 1, now, 10), 10);
    process.write(&mut disk, now, false);
    assert_eq!(disk.0.values().copied().collect::<Vec<_>>(), [30]);
    process.write(&mut disk, now, false);
    assert_eq!(disk.0.values().copied().collect::<Vec<_>>(), [10]);
    assert!(process.ledger.draft(&process.quota, now, false).lines.is_empty(), "what rests is not written");
}

#[test]
fn two_processes_learn_of_each_other_from_the_sum() {
    let (mut disk, now) = (Disk::default(), at(NOON));
    let mut old = Process::start(100, &disk, now);
    assert_eq!(admitted(&old.quota, 1, now, 20), 20);
    old.write(&mut disk, now, false);
    let mut new = Process::start(100, &disk, now);
    let (mut all, mut turns) = (20, 0);
    while turns < 50 {
        all += admitted(&old.quota, 1, now, 1) + admitted(&new.quota, 1, now, 2);
        old.write(&mut disk, now, false);
        new.write(&mut disk, now, false);
        old.read(&disk, now);
        new.read(&disk, now);
        turns += 1;
    }
    old.write(&mut disk, now, true);
    new.read(&disk, now);
    for _ in 0..4 {
        all += admitted(&new.quota, 1, now, 100);
        new.write(&mut disk, now, false);
    }
    assert!(all <= 102, "{all}: no more beyond it than came in between two looks");
    assert!(all >= 100, "{all}: what was noted ahead came back");
}

#[test]
fn what_another_process_had_noted_ahead_comes_back_to_this_one() {
    let (mut disk, now) = (Disk::default(), at(NOON));
    let mut old = Process::start(100, &disk, now);
    assert_eq!(admitted(&old.quota, 1, now, 20), 20);
    old.write(&mut disk, now, false);
    // As at an upgrade: the new one begins by what the old one has noted, forty of which nobody has used.
    let mut new = Process::start(100, &disk, now);
    assert_eq!(admitted(&new.quota, 1, now, 1), 1);
    old.write(&mut disk, now, true);
    new.read(&disk, now);
    assert_eq!(admitted(&new.quota, 1, now, 200), 79);
    new.write(&mut disk, now, true);
    assert_eq!(disk.0.values().copied().collect::<Vec<_>>(), [100]);
}

#[test]
fn a_disk_that_fails_for_a_while_gets_all_of_it_later() {
    let (mut disk, now) = (Disk::default(), at(NOON));
    let mut process = Process::start(100, &disk, now);
    for _ in 0..5 {
        assert_eq!(admitted(&process.quota, 1, now, 5), 5);
        drop(process.ledger.draft(&process.quota, now, false));
    }
    process.write(&mut disk, now, true);
    assert_eq!(disk.0.values().copied().collect::<Vec<_>>(), [25]);
}

#[test]
fn keys_that_give_way_count_on_from_what_was_written() {
    let (mut disk, now) = (Disk::default(), at(NOON));
    let mut process = Process {
        quota: Quota::new(100, Calendar::new(Period::Day, None).unwrap(), 8, None),
        ledger: Ledger::default(),
    };
    let table: Arc<_> = process.quota.table().clone();
    assert_eq!(admitted(&process.quota, 1, now, 50), 50);
    process.write(&mut disk, now, false);
    let mut other = 2;
    while process.quota.look(1, now).remaining < 100 {
        admitted(&process.quota, other, now, 60);
        other += 1;
    }
    assert!(table.evictions() > 0);
    process.write(&mut disk, now, false);
    assert_eq!(
        disk.0.iter().find(|((_, key), _)| *key == 1).unwrap().1,
        &50,
        "nothing is noted ahead for who is not here"
    );
    assert_eq!(admitted(&process.quota, 1, now, 1), 1);
    process.write(&mut disk, now, false);
    assert_eq!(process.quota.look(1, now).remaining, 49, "it has made 51");
}

#[test]
fn any_course_of_things_keeps_the_sum() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut disk, now, limit) = (Disk::default(), at(NOON), random.u64(1..200));
        let mut process = Process::start(limit, &disk, now);
        let mut all = [0u64; 3];
        for _ in 0..random.usize(1..60) {
            match random.u8(0..10) {
                0 => {
                    process.write(&mut disk, now, true);
                    process = Process::start(limit, &disk, now);
                }
                1..4 => process.write(&mut disk, now, false),
                4 => drop(process.ledger.draft(&process.quota, now, false)),
                5 => process.read(&disk, now),
                _ => {
                    let key = random.usize(0..3);
                    all[key] += admitted(&process.quota, key as u64, now, random.usize(0..40)) as u64;
                }
            }
        }
        process.write(&mut disk, now, true);
        for (key, all) in all.into_iter().enumerate() {
            let kept = disk.0.iter().find(|((_, other), _)| *other == key as u64).map_or(0, |(_, used)| *used);
            assert_eq!(u64::try_from(kept).unwrap(), all, "seed {seed}, key {key}");
            assert!(all <= limit, "seed {seed}");
        }
    }
}

#[test]
fn what_is_written_while_a_period_ends_is_of_that_period_alone() {
    let (mut disk, evening, morning) = (Disk::default(), at("2026-11-28T23:59:59Z"), at("2026-11-29T00:00:00Z"));
    let mut process = Process::start(100, &disk, evening);
    assert_eq!(admitted(&process.quota, 1, evening, 50), 50);
    process.write(&mut disk, evening, false);
    // A worker is in the next one already.
    assert_eq!(admitted(&process.quota, 1, morning, 1), 1);
    process.write(&mut disk, evening, false);
    process.read(&disk, evening);
    assert_eq!(process.quota.look(1, morning).remaining, 99);
    process.write(&mut disk, morning, true);
    let day = |time| process.quota.calendar().window(time).start;
    assert_eq!([disk.0[&(day(evening), 1)], disk.0[&(day(morning), 1)]], [50, 1]);
}
