//! What has come on a stream and was not asked for yet, and how long is waited for more.

use crate::net::{self, Lease};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The receiving end of a stream.
#[derive(Default)]
pub(super) struct Inbox {
    held: RefCell<Option<Lease>>,
    due: Cell<Option<Duration>>,
    timer: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    /// Nobody reads any more.
    closed: Cell<bool>,
}

impl Inbox {
    pub(super) fn set_deadline(&self, after: Option<Duration>) {
        self.due.set(after.map(|after| net::coarse_now().saturating_add(after)));
        self.timer.replace(None);
    }

    /// From now on there is nothing but the end.
    pub(super) fn close(&self) {
        self.closed.set(true);
    }

    /// Waits until something is held, which `more` brings.
    pub(super) fn poll_wait(
        &self,
        cx: &mut Context<'_>,
        more: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<Lease>>,
    ) -> Poll<io::Result<()>> {
        if self.closed.get() || self.held.borrow().is_some() {
            return Poll::Ready(Ok(()));
        }
        match more(cx) {
            Poll::Ready(Ok(text)) => {
                self.held.replace(Some(text));
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_due(cx).map(Err),
        }
    }

    /// What is held; nothing is the end.
    pub(super) fn take(&self) -> Option<Lease> {
        if self.closed.get() { Some(Lease::empty()) } else { self.held.borrow_mut().take() }
    }

    /// Waits for the deadline.
    pub(super) fn poll_due(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(due) = self.due.get() else { return Poll::Pending };
        let now = net::coarse_now();
        if now >= due {
            return Poll::Ready(ErrorKind::TimedOut.into());
        }
        let mut timer = self.timer.borrow_mut();
        let timer = timer.get_or_insert_with(|| Box::pin(net::sleep(due - now)));
        timer.as_mut().poll(cx).map(|()| ErrorKind::TimedOut.into())
    }
}
