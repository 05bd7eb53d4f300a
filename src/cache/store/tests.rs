use super::body::{Body, Segment};
use super::purge::Purge;
use super::*;
use crate::cache::{Honour, Request, Response, Rules, Times, Vary};

const FIELDS: [(&str, &str); 1] = [("cache-control", "max-age=600, stale-while-revalidate=600")];

fn store() -> Store {
    Store::new("a".into(), 1 << 20)
}

/// An answer that was asked for at this stamp.
fn entry(stamp: u64, tags: &[u64]) -> Arc<Entry> {
    let (rules, asked) = (Rules::default(), [("", ""); 0]);
    let (request, response) = (Request::of(&asked, Honour::All), Response::of(200, &FIELDS, &rules));
    let times = Times { sent: 0, received: 0 };
    Arc::new(Entry {
        status: 200,
        head: b"HTTP/1.1 200 OK\r\n".as_slice().into(),
        freshness: Freshness::of(&request, &response, &rules, times),
        vary: Vary::default(),
        variant: (0, None),
        tags: tags.into(),
        key: b"\0\0\0\x0ahttp://a/x".as_slice().into(),
        host: 1,
        stamp: stamp.into(),
        received: (coarse_now(), 0),
        length: Some(4),
        body: Arc::new(Body::complete(vec![Segment::from(b"body".as_slice())])),
        parts: None,
        coded: Default::default(),
    })
}

fn put(store: &Store, key: Key, entry: &Arc<Entry>) -> bool {
    store.insert(key, store.forgotten(key), entry.clone(), |_| true)
}

#[test]
fn a_sweep_lets_go_of_what_was_purged_keeps_the_rest_and_has_nothing_to_remember_then() {
    let store = store();
    let (gone, stays) = (entry(store.purges.now(), &[7]), entry(store.purges.now(), &[8]));
    assert!(put(&store, 1, &gone) && put(&store, 2, &stays) && !store.is_to_be_swept());
    let full = store.used();
    store.purge(Purge::Tag(7), Force::Hard);
    assert!(store.purged(&gone) == Some(Purged::Hard) && store.purged(&stays).is_none() && store.is_to_be_swept());
    store.sweep();
    assert!(store.find(1).is_none() && store.find(2).is_some() && store.used() < full && !store.is_to_be_swept());
    assert_eq!((store.purges.remembered(), store.figures.purged.get()), (0, 1));
    assert!(store.purged(&stays).is_none() && store.purged(&gone) == Some(Purged::Hard));
}

#[test]
fn what_comes_in_over_a_sweep_is_purged_as_it_would_have_been() {
    let store = store();
    let asked = store.purges.ask();
    store.purge(Purge::Tag(7), Force::Hard);
    store.sweep();
    let (late, other) = (entry(asked, &[7]), entry(asked, &[8]));
    assert!(put(&store, 1, &late) && put(&store, 2, &other));
    store.purges.asked(asked);
    assert!(store.purged(&late) == Some(Purged::Hard) && store.purged(&other).is_none());
    store.sweep();
    assert!(store.find(1).is_none() && store.find(2).is_some());
    assert_eq!(store.purges.remembered(), 0);
}

#[test]
fn what_was_purged_softly_stays_stale_from_then_on() {
    let store = store();
    let held = entry(0, &[7]);
    assert!(put(&store, 1, &held));
    store.purge(Purge::All, Force::Soft);
    let purged = store.purged(&held);
    assert!(matches!(purged, Some(Purged::Soft(_))));
    store.sweep();
    store.purge(Purge::Tag(7), Force::Soft);
    assert_eq!(store.purged(&held), purged, "the first one counts");
    assert!(!store.freshness(&held, purged).is_fresh(0) && store.freshness(&held, None).is_fresh(0));
    assert!(store.may_serve_on_error(&held));
    store.purge(Purge::All, Force::Hard);
    assert!(store.purged(&held) == Some(Purged::Hard) && !store.may_serve_on_error(&held));
}

#[test]
fn what_was_asked_before_its_key_was_forgotten_or_made_stale_is_not_stored() {
    let store = store();
    for force in [Force::Hard, Force::Soft] {
        let forgotten = store.forgotten(5);
        store.purge_key(5, force);
        assert!(!store.insert(5, forgotten, entry(0, &[]), |_| true), "{force:?}");
        assert!(store.find(5).is_none());
    }
    assert!(put(&store, 5, &entry(0, &[])));
    assert_eq!((store.soften(5), store.forget(5), store.forget(5)), (1, 1, 0));
}

#[test]
fn nobody_waits_for_a_question_that_was_put_before_a_purge() {
    let store = store();
    let asked = (3, 1, b"\0\0\0\x0ahttp://a/x".as_slice());
    let purges = [Purge::All, Purge::Host(1), Purge::Prefix(b"http://a/".as_slice().into())];
    for purge in purges {
        let (flight, _) = store.take_off(3, asked);
        store.purge(Purge::Host(2), Force::Hard);
        store.purge(Purge::All, Force::Soft);
        assert!(Arc::ptr_eq(&flight, &store.take_off(3, asked).0), "others' purges, and soft ones");
        store.purge(purge.clone(), Force::Hard);
        let (next, new) = store.take_off(3, asked);
        assert!(new && !Arc::ptr_eq(&flight, &next), "{purge:?}");
        store.land(3, &flight);
        assert!(store.in_flight(3).is_some_and(|known| Arc::ptr_eq(&known, &next)), "it lands for itself alone");
    }
    let (flight, _) = store.take_off(9, asked);
    store.forget(3);
    assert!(!Arc::ptr_eq(&flight, &store.take_off(9, asked).0), "a variant of what is forgotten");
    let (flight, _) = store.take_off(3, asked);
    flight.conclude(Verdict::Shared(entry(store.purges.now(), &[7])));
    store.purge(Purge::Tag(7), Force::Hard);
    assert!(!Arc::ptr_eq(&flight, &store.take_off(3, asked).0), "its answer is purged by its tag");
}

#[test]
fn what_gives_way_is_counted() {
    let store = store();
    let big = |stamp| {
        let entry = entry(stamp, &[]);
        Entry { body: Arc::new(Body::complete(vec![vec![0; 100 << 10].into()])), ..Arc::into_inner(entry).unwrap() }
    };
    let stored = (0..40).filter(|key| put(&store, key << 7, &Arc::new(big(0))));
    assert_eq!(stored.count(), 40);
    assert!(store.figures.evicted.get() > 0);
    assert_eq!(store.figures.evicted.get() + store.objects(), 40);
}

#[test]
fn content_has_room_before_it_comes_and_gives_it_back() {
    let store = Arc::new(Store::new("c".to_owned(), 16 << 20));
    let largest = store.largest();
    let mut all = store.incoming(Some(largest)).expect("the largest object has room if it is alone");
    assert!(all.reach(largest / 2) && all.reach(largest) && store.used() == largest);
    assert!(store.incoming(Some(largest / 2)).is_none());
    assert!(store.incoming(Some(1000)).is_some_and(|mut small| small.reach(1000) && !small.reach(largest)));
    drop(all);
    assert!(store.used() == 0 && store.incoming(Some(largest)).is_some());
}
