//! Sessions as operators see and end them.

use super::post::Post;
use super::session::{End, Session};
use super::table::Table;
use crate::lane::{AT_ONCE, Choice, Guest, GuestId, LOOKED_AT, Passed, Sessions, Speech, piece};
use crate::net;

impl Session {
    fn is_meant(&self, choice: &Choice) -> bool {
        choice.target.is_none_or(|target| target == piece(self.attempt.target().id))
            && choice.client.is_none_or(|net| net.contains(&self.key.client.ip().to_canonical()))
            && choice.listener.as_ref().is_none_or(|name| *name == self.terms.listener)
    }

    fn id(&self, place: u32) -> GuestId {
        GuestId { place: place.into(), since: self.since, serial: self.serial }
    }

    fn shown(&self, place: u32, now: u64) -> Guest {
        Guest {
            id: self.id(place),
            listener: self.terms.listener.clone(),
            client: self.key.client.ip().to_canonical(),
            port: self.key.client.port(),
            age: now.saturating_sub(self.since.into()),
            speech: Speech::Datagrams,
            target: piece(self.attempt.target().id),
            passed: Some(Passed { datagrams: [self.requests, self.answers], bytes: [self.sent, self.received] }),
        }
    }
}

impl Post {
    /// The places of some of those that are meant, from this one on, and where to go on.
    fn meant(
        sessions: &Table<super::session::Key, Session>,
        choice: &Choice,
        from: usize,
    ) -> (Vec<u32>, Option<usize>) {
        let end = from.saturating_add(LOOKED_AT).min(sessions.end());
        let mut meant = Vec::new();
        for place in from..end {
            // There are never more.
            let at = place as u32;
            if sessions.get(at).is_some_and(|session| session.is_meant(choice)) {
                meant.push(at);
                if meant.len() == AT_ONCE {
                    return (meant, Some(place + 1));
                }
            }
        }
        (meant, (end < sessions.end()).then_some(end))
    }
}

impl Sessions for Post {
    fn page(&self, choice: &Choice, from: usize) -> (Vec<Guest>, Option<usize>) {
        let (sessions, now) = (self.sessions.borrow(), net::coarse_now().as_secs());
        let (meant, next) = Self::meant(&sessions, choice, from);
        let shown = meant.into_iter().filter_map(|place| Some(sessions.get(place)?.shown(place, now)));
        (shown.collect(), next)
    }

    fn cut_all(&self, choice: &Choice, from: usize) -> (usize, Option<usize>) {
        let (mut sessions, now) = (self.sessions.borrow_mut(), net::coarse_now());
        let (meant, next) = Self::meant(&sessions, choice, from);
        meant.iter().for_each(|&place| self.end(&mut sessions, place, End::Operator, now));
        (meant.len(), next)
    }

    fn cut(&self, id: GuestId) -> bool {
        let Ok(place) = u32::try_from(id.place) else { return false };
        let mut sessions = self.sessions.borrow_mut();
        let is_it = sessions.get(place).is_some_and(|session| session.id(place) == id);
        if is_it {
            self.end(&mut sessions, place, End::Operator, net::coarse_now());
        }
        is_it
    }
}
