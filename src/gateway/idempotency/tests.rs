//! Keys driven by hand, and by many threads at once.

use super::*;
use crate::net::Call;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

const TERMS: Terms = Terms {
    ttl: HOUR,
    wait: HOUR,
    max_body: 100,
    max_request_body: 100,
    retry: false,
    bounds: BOUNDS,
    shared: None,
    is_alone: true,
};
const HOUR: Duration = Duration::from_secs(3600);
const NOW: Duration = Duration::from_secs(1_000_000);
const BOUNDS: Bounds = Bounds { max_keys: 100, memory: 1000, forgets: true };

/// Who counts how often it is called.
#[derive(Debug, Default, Clone)]
struct Calls(Arc<AtomicUsize>);

impl Call for Calls {
    fn call(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn is_awaited(&self) -> bool {
        true
    }
}

/// Keys, and how many of them.
#[derive(Clone)]
struct Keys(Arc<Store<Calls>>, Bounds);

impl Deref for Keys {
    type Target = Arc<Store<Calls>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Keys {
    fn claim(&self, scope: Scope, print: Print, now: Duration) -> Claim<Calls> {
        self.0.claim(scope, print, &Terms { bounds: self.1, ..TERMS }, now)
    }
}

fn store(bounds: Bounds) -> Keys {
    Keys(Arc::default(), bounds)
}

fn scope(key: usize) -> Scope {
    let mut scope = Scope::default();
    scope[..8].copy_from_slice(&key.to_be_bytes());
    scope
}

fn claim(store: &Keys, key: usize, now: Duration) -> Claim<Calls> {
    store.claim(scope(key), [1; 32], now)
}

#[track_caller]
fn own(store: &Keys, key: usize, now: Duration) -> Run<Calls> {
    match claim(store, key, now) {
        Claim::Own(run) => {
            run.begin();
            run
        }
        other => panic!("{other:?}"),
    }
}

fn kept(body: &str) -> Arc<Kept> {
    Arc::new(Kept { head: Box::default(), has_content: true, body: body.as_bytes().into() })
}

/// An answer of `key` that is stored.
#[track_caller]
fn answer(store: &Keys, key: usize, body: &str, now: Duration) {
    let mut run = own(store, key, now);
    assert!(run.grow(body.len()));
    run.store(kept(body), now + HOUR);
}

#[track_caller]
fn replayed(store: &Keys, key: usize, now: Duration) -> String {
    match claim(store, key, now) {
        Claim::Replay(kept) => String::from_utf8(kept.body.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_given_again_until_its_time_has_passed() {
    let store = store(BOUNDS);
    answer(&store, 1, "once", NOW);
    assert_eq!(replayed(&store, 1, NOW), "once");
    assert_eq!(replayed(&store, 1, NOW + HOUR - Duration::from_nanos(1)), "once");
    assert!(matches!(store.claim(scope(1), [2; 32], NOW), Claim::Mismatch), "another request with that key");
    drop(own(&store, 1, NOW + HOUR));
    assert_eq!((store.keys(), store.bytes()), (0, 0));
}

#[test]
fn who_comes_meanwhile_waits_and_is_called_once() {
    let store = store(BOUNDS);
    let run = own(&store, 1, NOW);
    assert!(matches!(store.claim(scope(1), [2; 32], NOW), Claim::Mismatch), "even while it is under way");
    let calls = Calls::default();
    let Claim::Wait(flight) = claim(&store, 1, NOW) else { panic!("it is under way") };
    assert!(flight.wait(calls.clone()) && flight.wait(calls.clone()) && flight.ended().is_none());
    run.store(kept("a"), NOW + HOUR);
    assert_eq!(calls.0.load(Ordering::SeqCst), 2);
    assert_eq!(flight.ended(), Some(&Ended::Answered(kept("a"))));
    assert!(!flight.wait(calls), "it is over");
}

#[test]
fn what_came_to_no_answer_that_counts_leaves_its_key_free() {
    let store = store(BOUNDS);
    let mut run = own(&store, 1, NOW);
    assert!(run.grow(10));
    let Claim::Wait(flight) = claim(&store, 1, NOW) else { panic!("it is under way") };
    drop(run);
    assert_eq!((flight.ended(), store.keys(), store.bytes()), (Some(&Ended::Lost), 0, 0));
    let run = own(&store, 1, NOW);
    let Claim::Wait(flight) = claim(&store, 1, NOW) else { panic!("it is under way") };
    run.share(kept("503"));
    assert_eq!(flight.ended(), Some(&Ended::Answered(kept("503"))));
    drop(own(&store, 1, NOW));
}

#[test]
fn what_is_too_large_to_be_kept_is_not_carried_out_again() {
    let store = store(BOUNDS);
    own(&store, 1, NOW).spend(Unkept::TooLarge, NOW + HOUR);
    assert!(matches!(claim(&store, 1, NOW), Claim::Unkept(Unkept::TooLarge)));
    drop(own(&store, 1, NOW + HOUR));
}

#[test]
fn answers_give_way_and_their_keys_stay() {
    let store = store(BOUNDS);
    let body = "x".repeat(400);
    (0..3).for_each(|key| answer(&store, key, &body, NOW));
    assert!(matches!(claim(&store, 0, NOW), Claim::Unkept(Unkept::Memory)), "the oldest gave way");
    assert_eq!((replayed(&store, 1, NOW).len(), replayed(&store, 2, NOW).len()), (400, 400));
    assert_eq!((store.keys(), store.bytes()), (3, 800));
    let mut run = own(&store, 4, NOW);
    assert!(!run.grow(1001), "more than there is room for at all, so that nothing gives way");
    assert_eq!(store.figures.evicted_answers.load(Ordering::Relaxed), 1);
    assert!(run.grow(900));
    assert_eq!(store.figures.evicted_answers.load(Ordering::Relaxed), 3);
    drop(run);
    assert_eq!((store.keys(), store.bytes()), (3, 0));
}

#[test]
fn where_there_are_too_many_keys_the_oldest_is_forgotten_if_that_is_allowed() {
    let few = Bounds { max_keys: 3, ..BOUNDS };
    let store_of = |bounds| {
        let store = store(bounds);
        (0..3).for_each(|key| answer(&store, key, "x", NOW + Duration::from_secs(key as u64)));
        store
    };
    let store = store_of(few);
    drop(own(&store, 3, NOW));
    assert_eq!((replayed(&store, 1, NOW), store.figures.evicted_keys.load(Ordering::Relaxed)), ("x".to_owned(), 1));
    drop(own(&store, 0, NOW));
    let store = store_of(Bounds { forgets: false, ..few });
    assert!(matches!(claim(&store, 3, NOW), Claim::Full));
    assert_eq!(replayed(&store, 0, NOW), "x");
    drop(own(&store, 3, NOW + HOUR));
    assert_eq!(store.figures.evicted_keys.load(Ordering::Relaxed), 0, "their time had passed");
}

#[test]
fn what_is_under_way_never_gives_way() {
    let store = store(Bounds { max_keys: 2, ..BOUNDS });
    let runs = [own(&store, 1, NOW), own(&store, 2, NOW)];
    assert!(matches!(claim(&store, 3, NOW), Claim::Full));
    assert!(matches!(claim(&store, 1, NOW), Claim::Wait(_)));
    drop(runs);
    drop(own(&store, 3, NOW));
}

#[test]
fn in_shadow_mode_keys_are_seen_and_bind_nobody() {
    let store = store(BOUNDS);
    let look = |print, now| store.look(scope(1), [print; 32], &TERMS, now);
    assert_eq!([look(1, NOW), look(1, NOW), look(2, NOW)], [Seen::First, Seen::Again, Seen::Mismatch]);
    assert_eq!(look(2, NOW + HOUR), Seen::First);
    assert_eq!(store.keys(), 1);
    answer(&store, 1, "x", NOW + HOUR);
    assert_eq!((replayed(&store, 1, NOW + HOUR), store.keys()), ("x".to_owned(), 1));
}

#[test]
fn other_bounds_hold_from_the_next_request_on() {
    let mut store = store(BOUNDS);
    (0..10).for_each(|key| answer(&store, key, "x", NOW));
    store.1.max_keys = 5;
    drop(own(&store, 10, NOW));
    assert!(store.keys() <= 5);
}

#[test]
fn the_next_process_knows_what_was_carried_out() {
    let (before, after) = (store(BOUNDS), store(BOUNDS));
    answer(&before, 1, "one", NOW);
    own(&before, 2, NOW).spend(Unkept::TooLarge, NOW + HOUR);
    let running = own(&before, 3, NOW);
    before.look(scope(4), [1; 32], &TERMS, NOW);
    answer(&before, 5, "old", NOW - HOUR);
    assert_eq!(after.take_bytes(&before.to_bytes(NOW, 10), NOW), Some(3));
    assert_eq!((replayed(&after, 1, NOW), after.keys(), after.bytes()), ("one".to_owned(), 3, 3));
    assert!(matches!(after.claim(scope(1), [2; 32], NOW), Claim::Mismatch));
    assert!(matches!(claim(&after, 2, NOW), Claim::Unkept(Unkept::TooLarge)));
    assert!(matches!(claim(&after, 3, NOW), Claim::Unkept(Unkept::Elsewhere)), "its answer never comes here");
    drop((own(&after, 4, NOW), own(&after, 1, NOW + HOUR), running));
    let few = store(BOUNDS);
    assert_eq!(few.take_bytes(&before.to_bytes(NOW, 1), NOW), Some(1));
    assert_eq!(few.take_bytes(b"other", NOW), None);
    let bytes = before.to_bytes(NOW, 10);
    for end in 15..bytes.len() {
        // A part of it never makes it panic.
        let _ = store(BOUNDS).take_bytes(&bytes[..end], NOW);
    }
}

#[test]
fn old_keys_go_as_new_ones_come() {
    let store = store(Bounds { max_keys: 1_000_000, ..BOUNDS });
    for key in 0..10_000 {
        answer(&store, key, "", NOW + Duration::from_secs(key as u64));
    }
    assert!(store.keys() < 4_000, "an hour is remembered: {}", store.keys());
}

/// Never two at a time, and none after one that was answered.
#[test]
fn threads_that_race_for_a_key_carry_it_out_once() {
    const THREADS: usize = 4;
    for round in 0..200 {
        let (store, running) = (store(BOUNDS), Arc::new(AtomicUsize::new(0)));
        let (executed, barrier) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(THREADS)));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (store, running, executed, barrier) =
                    (store.clone(), running.clone(), executed.clone(), barrier.clone());
                thread::spawn(move || {
                    barrier.wait();
                    loop {
                        match claim(&store, 7, NOW) {
                            Claim::Own(run) => {
                                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                                let count = executed.fetch_add(1, Ordering::SeqCst);
                                running.fetch_sub(1, Ordering::SeqCst);
                                // The first one fails.
                                if count > 0 || round % 2 == 0 {
                                    run.store(kept("x"), NOW + HOUR);
                                }
                            }
                            Claim::Replay(_) => return,
                            Claim::Wait(flight) => {
                                while flight.ended().is_none() {
                                    thread::yield_now();
                                }
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(executed.load(Ordering::SeqCst), 1 + round % 2);
    }
}

#[test]
fn other_hosts_are_told_how_a_key_stands_and_not_how_it_did() {
    let store = store(BOUNDS);
    let terms = Terms { shared: Some("once".into()), ..TERMS };
    let own = |key| match store.0.claim(scope(key), [1; 32], &terms, NOW) {
        Claim::Own(mut run) => {
            run.claimed();
            run.begin();
            run
        }
        other => panic!("{other:?}"),
    };
    drop(own(0));
    own(1).store(kept("one"), NOW + HOUR);
    own(2).spend(Unkept::Broken, NOW + HOUR);
    drop(own(3));
    let running = own(3);
    let news = |key, news| Tiding { scope: scope(key), news, is_first: true };
    let expected = [
        news(0, News::Free),
        news(1, News::Done([1; 32], HOUR, Ok(kept("one")))),
        news(2, News::Done([1; 32], HOUR, Err(Unkept::Broken))),
        news(3, News::Running([1; 32])),
    ];
    assert_eq!(store.tidings(2, 1000, NOW), expected[..2]);
    assert_eq!(store.untold(), 2);
    store.untell(expected[..2].to_vec());
    assert_eq!(store.tidings(9, 1, NOW), expected[..2], "no more than little more than so many bytes");
    assert_eq!(store.tidings(9, 1000, NOW), expected[2..]);
    assert_eq!(store.told(NOW).len(), 3);
    drop(running);
    assert_eq!(store.tidings(9, 1000, NOW), [news(3, News::Free)]);
}

#[test]
fn of_what_other_hosts_have_carried_out_they_are_told_nothing() {
    let store = store(BOUNDS);
    let terms = Terms { shared: Some("once".into()), ..TERMS };
    let own = |key| match store.0.claim(scope(key), [1; 32], &terms, NOW) {
        Claim::Own(run) => run,
        other => panic!("{other:?}"),
    };
    own(0).adopt(Ok(kept("zero")), NOW + HOUR);
    own(1).adopt(Err(Unkept::Elsewhere), NOW + HOUR);
    drop(own(2));
    let large = own(3);
    let flight = large.flight().clone();
    large.adopt(Ok(kept(&"x".repeat(2000))), NOW + HOUR);
    assert!(matches!(flight.ended(), Some(Ended::Answered(_))), "it is given, and not stored");
    assert!(matches!(claim(&store, 0, NOW), Claim::Replay(_)));
    assert!(matches!(claim(&store, 1, NOW), Claim::Unkept(_)));
    assert_eq!((store.untold(), store.figures.freed.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(store.told(NOW), [scope(0)], "of what was under way there nobody knows more than others");
    let waiting = own(4);
    store.note(scope(4), store.1);
    assert_eq!((store.tidings(9, 9, NOW).len(), store.untold()), (0, 1), "it is not known yet who carries it out");
    let next = Arc::<Store<Calls>>::default();
    assert_eq!(next.take_bytes(&store.to_bytes(NOW, 9), NOW), Some(2), "nor is it told to the next process");
    drop(waiting);
    assert_eq!(store.tidings(9, 9, NOW)[0].news, News::Free);
}

#[test]
fn what_was_under_way_elsewhere_is_asked_for_again_and_else_counts_as_carried_out() {
    let store = store(BOUNDS);
    let terms = Terms { shared: Some("once".into()), ..TERMS };
    let ask = || match store.0.claim(scope(0), [1; 32], &terms, NOW) {
        Claim::Own(run) => run,
        other => panic!("{other:?}"),
    };
    ask().adopt(Err(Unkept::Elsewhere), NOW + HOUR);
    assert!(matches!(claim(&store, 0, NOW), Claim::Unkept(_)), "where nobody can be asked");
    assert!(matches!(store.0.claim(scope(0), [2; 32], &terms, NOW), Claim::Mismatch));
    // Who asks may leave.
    drop(ask());
    assert!(matches!(claim(&store, 0, NOW), Claim::Unkept(_)));
    ask().adopt(Ok(kept("now it is known")), NOW + HOUR);
    assert!(matches!(claim(&store, 0, NOW), Claim::Replay(_)));
    let store = self::store(BOUNDS);
    let Claim::Own(run) = store.0.claim(scope(0), [1; 32], &terms, NOW) else { panic!("it is the first") };
    run.adopt(Err(Unkept::Elsewhere), NOW + HOUR);
    let Claim::Own(run) = store.0.claim(scope(0), [1; 32], &terms, NOW) else { panic!("others may know") };
    assert!(run.resolve().is_none());
    assert!(matches!(store.0.claim(scope(0), [1; 32], &terms, NOW), Claim::Unkept(Unkept::Broken)));
    assert_eq!(store.tidings(9, 9, NOW)[0].news, News::Done([1; 32], HOUR, Err(Unkept::Broken)));
    assert_eq!(store.keys(), 1);
    // Unless it is known that it came to no answer.
    let store = self::store(BOUNDS);
    let Claim::Own(run) = store.0.claim(scope(0), [1; 32], &terms, NOW) else { panic!("it is the first") };
    run.adopt(Err(Unkept::Elsewhere), NOW + HOUR);
    let Claim::Own(mut run) = store.0.claim(scope(0), [1; 32], &terms, NOW) else { panic!("others may know") };
    run.freed();
    assert!(run.resolve().is_some());
    assert_eq!(store.keys(), 0);
}

#[test]
fn what_nobody_knows_the_end_of_stays_under_way_to_other_hosts() {
    let store = store(BOUNDS);
    let terms = Terms { shared: Some("once".into()), ..TERMS };
    let Claim::Own(mut run) = store.0.claim(scope(0), [1; 32], &terms, NOW) else { panic!("it is the first") };
    run.claimed();
    run.begin();
    run.abandon(NOW + HOUR);
    store.note(scope(0), store.1);
    assert_eq!(store.tidings(9, 9, NOW), [], "be it that they would be told again that it is");
    assert!(matches!(claim(&store, 0, NOW), Claim::Unkept(Unkept::Elsewhere)));
    own(&store, 1, NOW).abandon(NOW + HOUR);
    assert!(matches!(claim(&store, 1, NOW), Claim::Own(_)), "where there are no others its key is free");
}

#[test]
fn no_more_keys_wait_to_be_told_than_may_be_known() {
    const MOST: usize = 100_000;
    let store = store(Bounds { max_keys: MOST, ..BOUNDS });
    for key in 0..MOST + 15 {
        store.note(scope(key), store.1);
    }
    assert_eq!(store.untold(), MOST);
    assert_eq!(store.tidings(1, 1, NOW)[0].scope, scope(15), "the oldest are left out");
}
