//! A worker's sessions of datagrams, for operators who look at them or end them: each address that datagrams come in at is a room.
//!
//! What always holds: a place in a room is none in another one, nor one of the register, which is the room before all others.

use super::register::{Choice, Guest, GuestId};
use slab::Slab;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// The sessions of one address.
pub trait Sessions {
    /// Some of those that are meant, from this place on, and where to go on. Places are within 32 bits.
    fn page(&self, choice: &Choice, from: usize) -> (Vec<Guest>, Option<usize>);

    /// Ends some of those that are meant, from this place on. Returns how many, and where to go on.
    fn cut_all(&self, choice: &Choice, from: usize) -> (usize, Option<usize>);

    /// Ends one. False: it is not there any more.
    fn cut(&self, id: GuestId) -> bool;
}

/// The rooms of a worker.
#[derive(Default)]
pub(super) struct Rooms(RefCell<Slab<Weak<dyn Sessions>>>);

/// Bits of a place within its room.
const BITS: u32 = 32;

impl Rooms {
    /// One room more, for as long as its sessions are there.
    pub(super) fn add(&self, sessions: Weak<dyn Sessions>) {
        let mut rooms = self.0.borrow_mut();
        rooms.retain(|_, room| room.strong_count() > 0);
        rooms.insert(sessions);
    }

    fn room(&self, room: usize) -> Option<Rc<dyn Sessions>> {
        self.0.borrow().get(room.checked_sub(1)?)?.upgrade()
    }

    /// The first place of the room behind the one that `place` is in, or of the one behind that, if there is one.
    fn behind(&self, place: usize) -> Option<usize> {
        let rooms = self.0.borrow();
        (room_of(place)..rooms.capacity()).find(|&room| rooms.contains(room)).map(|room| (room + 1) << BITS)
    }

    /// Looks by `look` at the room that a place is in: by `first` if that is the register.
    pub(super) fn visit<T: Default>(
        &self,
        from: usize,
        first: impl FnOnce(usize) -> (T, Option<usize>),
        look: impl FnOnce(&dyn Sessions, usize) -> (T, Option<usize>),
    ) -> (T, Option<usize>) {
        let room = room_of(from);
        let within = from & ((1 << BITS) - 1);
        let (found, next) = match self.room(room) {
            _ if room == 0 => first(within),
            Some(sessions) => look(&*sessions, within),
            None => (T::default(), None),
        };
        (found, next.map(|next| room << BITS | next).or_else(|| self.behind(from)))
    }

    /// The same for one entry.
    pub(super) fn with<T>(
        &self,
        id: GuestId,
        first: impl FnOnce(GuestId) -> T,
        look: impl FnOnce(&dyn Sessions, GuestId) -> T,
    ) -> Option<T> {
        let place = usize::try_from(id.place).ok()?;
        let within = GuestId { place: id.place & ((1 << BITS) - 1), ..id };
        match room_of(place) {
            0 => Some(first(within)),
            room => self.room(room).map(|sessions| look(&*sessions, within)),
        }
    }
}

/// Guests of a room by what they are known by in the whole worker.
pub(super) fn name(from: usize, guests: &mut [Guest]) {
    let room = (room_of(from) as u64) << BITS;
    guests.iter_mut().for_each(|guest| guest.id.place |= room);
}

fn room_of(place: usize) -> usize {
    place >> BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Speech;

    /// As many sessions as it says, of which a page shows two.
    struct Few(u64);

    impl Sessions for Few {
        fn page(&self, _: &Choice, from: usize) -> (Vec<Guest>, Option<usize>) {
            let end = (from as u64 + 2).min(self.0);
            let guest = |place| Guest {
                id: GuestId { place, since: 1, serial: 0 },
                listener: String::new(),
                client: [127, 0, 0, 1].into(),
                port: 1,
                age: 0,
                speech: Speech::Datagrams,
                target: 0,
                passed: None,
            };
            ((from as u64..end).map(guest).collect(), (end < self.0).then_some(end as usize))
        }

        fn cut_all(&self, _: &Choice, _: usize) -> (usize, Option<usize>) {
            (1, None)
        }

        fn cut(&self, id: GuestId) -> bool {
            id.place < self.0
        }
    }

    fn places(rooms: &Rooms) -> Vec<u64> {
        let (mut at, mut places) = (Some(0), Vec::new());
        while let Some(from) = at {
            let look = |sessions: &dyn Sessions, from| sessions.page(&Choice::default(), from);
            let (mut guests, next) = rooms.visit(from, |_| Default::default(), look);
            name(from, &mut guests);
            places.extend(guests.iter().map(|guest| guest.id.place));
            at = next;
        }
        places
    }

    #[test]
    fn each_session_of_each_room_is_found_once_and_by_its_own_place() {
        let rooms = Rooms::default();
        assert!(places(&rooms).is_empty());
        let all: Vec<Rc<dyn Sessions>> = vec![Rc::new(Few(5)), Rc::new(Few(0)), Rc::new(Few(2))];
        all.iter().for_each(|sessions| rooms.add(Rc::downgrade(sessions)));
        let (first, third) = (1_u64 << 32, 3_u64 << 32);
        let expected = [first, first + 1, first + 2, first + 3, first + 4, third, third + 1];
        assert_eq!(places(&rooms), expected);
        let cut = |place| rooms.with(GuestId { place, since: 1, serial: 0 }, |_| false, |room, id| room.cut(id));
        assert_eq!(
            [cut(first + 4), cut(first + 5), cut(third + 1), cut(third + 2)].map(|cut| cut == Some(true)),
            [true, false, true, false]
        );
        assert_eq!((cut(4 << 32), cut(7)), (None, Some(false)));
    }

    #[test]
    fn who_is_gone_makes_room() {
        let rooms = Rooms::default();
        for _ in 0..100 {
            let sessions: Rc<dyn Sessions> = Rc::new(Few(1));
            rooms.add(Rc::downgrade(&sessions));
            assert_eq!(places(&rooms).len(), 1);
        }
        assert!(rooms.0.borrow().capacity() < 10 && places(&rooms).is_empty());
    }
}
