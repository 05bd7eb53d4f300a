//! epoll, edge-triggered: a descriptor is added once, and sends are tried at once.

use super::Happening;
use crate::net::watch::{Event, Watch};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(super) struct Epoll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    happened: Vec<Happening>,
}

/// Events taken at a time.
const EVENTS: usize = 1024;

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS), happened: Vec::new() })
    }

    pub(super) fn watch(&self, watch: &Watch) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, watch, EventData::new_u64(watch.slot().into()), flags)?)
    }

    pub(super) fn forget(&self, watch: &Watch, watched: [bool; 2]) {
        if watched != [false; 2] {
            // Closing is not enough where others hold the same socket. It cannot fail for what was added.
            let _ = epoll::delete(&self.epoll, watch);
        }
    }

    pub(super) fn wait(&mut self, limit: Option<Duration>) -> io::Result<Vec<Happening>> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut happened = std::mem::take(&mut self.happened);
        for event in &self.events {
            let (slot, flags) = (event.data.u64() as u32, event.flags);
            let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            if ended || flags.contains(EventFlags::IN) {
                happened.push(Happening::Descriptor(slot, Event::Readable { ended }, false));
            }
            if ended || flags.contains(EventFlags::OUT) {
                happened.push(Happening::Descriptor(slot, Event::Writable, false));
            }
        }
        Ok(happened)
    }

    pub(super) fn take_back(&mut self, happened: Vec<Happening>) {
        self.happened = happened;
    }
}
