//! A channel of which what comes in becomes something else before it is read.
//!
//! What always holds: what has come in is made into what is read at once and in its order, so that a future that is dropped loses nothing;
//! no more comes in while there is something to read.

use super::channel::Channel;
use crate::net::Lease;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};

/// What is made of bytes.
pub trait Convert {
    /// Makes of `text` what is read, at the end of `out`.
    ///
    /// # Errors
    /// Nothing can be made of it: whoever reads gets the error, once all that was made before has been read.
    fn convert(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<()>;

    /// Nothing more comes in. What is left to be read is written at the end of `out`.
    ///
    /// # Errors
    /// It should not have ended.
    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()>;

    /// What comes in has broken off. What whoever reads should know before they get the error is written at the end of `out`.
    fn broken(&mut self, out: &mut Vec<u8>);
}

/// A channel of which what comes in becomes something else.
pub struct Converted<'a> {
    pub(super) channel: Channel<'a>,
    by: RefCell<Box<dyn Convert>>,
    /// What can be read.
    ready: RefCell<Lease>,
    failed: RefCell<Option<io::Error>>,
    ended: Cell<bool>,
}

impl<'a> Converted<'a> {
    /// `channel`, of which what comes in goes through `by`.
    pub fn new(channel: Channel<'a>, by: Box<dyn Convert>) -> Self {
        let (by, ready) = (RefCell::new(by), RefCell::new(Lease::empty()));
        Self { channel, by, ready, failed: RefCell::new(None), ended: Cell::new(false) }
    }

    /// Whether there is something to read, be it the end.
    ///
    /// # Errors
    /// What has come in could not be made into anything.
    fn is_ready(&self) -> io::Result<bool> {
        if !self.ready.borrow().is_empty() {
            return Ok(true);
        }
        match self.failed.take() {
            Some(error) => {
                self.ended.set(true);
                Err(error)
            }
            None => Ok(self.ended.get()),
        }
    }

    fn take_in(&self, text: &[u8]) {
        let (mut by, mut ready) = (self.by.borrow_mut(), self.ready.borrow_mut());
        let made = match text.is_empty() {
            true => {
                self.ended.set(true);
                by.finish(ready.buffer())
            }
            false => by.convert(text, ready.buffer()),
        };
        self.failed.replace(made.err());
    }

    pub(super) async fn wait(&self) -> io::Result<()> {
        while !self.is_ready()? {
            match self.channel.recv().await {
                Ok(received) => self.take_in(&received),
                // Whoever waits may go on to wait.
                Err(error) if error.kind() == ErrorKind::TimedOut => return Err(error),
                Err(error) => {
                    self.by.borrow_mut().broken(self.ready.borrow_mut().buffer());
                    self.failed.replace(Some(error));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn recv(&self) -> io::Result<Lease> {
        self.wait().await?;
        Ok(self.ready.take())
    }

    pub(super) fn recv_now(&self, lease: &mut Lease) -> io::Result<Option<usize>> {
        if !self.is_ready()? {
            let mut received = Lease::new();
            if self.channel.recv_now(&mut received)?.is_none() {
                return Ok(None);
            }
            self.take_in(&received);
            if !self.is_ready()? {
                return Ok(None);
            }
        }
        let ready = self.ready.take();
        lease.reserve(ready.len());
        lease.buffer().extend_from_slice(&ready);
        Ok(Some(ready.len()))
    }
}
