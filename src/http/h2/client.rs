//! HTTP/2 with targets: a connection carries as many exchanges as its target allows.

use super::session::{Limits, Role, Session};
use super::stream::{Held, Kind, Shared};
use super::wire::Wire;
use crate::net::{self, Handle};
use crate::tls::{Channel, Multiplexed};
use crate::upstream::Trunk;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// What a target may send on one stream before the client has taken it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same on all of them together: were it less, clients that take nothing would use it up, and others on the same
/// connection would get nothing either.
const CONNECTION_WINDOW: u32 = STREAMS as u32 * STREAM_WINDOW;
/// Streams on one connection before another one is opened, where the target allows more.
const STREAMS: usize = 100;
/// The longest head of an answer.
const HEAD: usize = 64 << 10;
/// A connection to a target.
struct Connected {
    session: Shared,
    scheme: &'static str,
    stream: Option<Handle>,
}

/// Held by the task that moves the bytes: whoever comes late finds the connection over.
struct Moved(Shared);

impl Drop for Moved {
    fn drop(&mut self) {
        if let Ok(mut session) = self.0.try_borrow_mut() {
            session.failed = true;
        }
    }
}

/// Begins to speak HTTP/2 on `link`, which `channel` makes of it; a task of its own moves the bytes until either side has
/// had enough. A target that owes an answer and says nothing for `silence` is asked whether it is there, and has as long
/// again to say so.
pub(in crate::http) fn start<L: 'static>(
    link: L,
    channel: fn(&L) -> Channel<'_>,
    scheme: &'static str,
    stall: Duration,
    silence: Duration,
) -> Rc<dyn Trunk> {
    let limits = Limits {
        streams: 0,
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        head: HEAD,
        websockets: false,
    };
    let session: Shared = Rc::new(RefCell::new(Session::new(Role::Client, limits)));
    let connected = Connected { session: session.clone(), scheme, stream: channel(&link).handle() };
    net::spawn("connection to a target", async move {
        let _moved = Moved(session.clone());
        let mut wire = Wire::new(channel(&link), session.clone(), stall);
        wire.set_limit(silence);
        drive(&session, &mut wire).await;
        wire.finish().await;
        channel(&link).finish().await;
    });
    Rc::new(connected)
}

async fn drive(session: &Shared, wire: &mut Wire<'_>) {
    poll_fn(|cx| {
        loop {
            session.borrow_mut().driven_by(cx);
            match wire.poll(cx).map(|error| error.kind()) {
                Poll::Pending => {}
                // A target of which nothing is asked may be silent.
                Poll::Ready(ErrorKind::TimedOut) => {
                    let owes = session.borrow().streams.len() > 0;
                    if owes {
                        wire.doubt();
                    }
                }
                Poll::Ready(_) => wire.break_off(),
            }
            if session.borrow().is_over() || wire.broken {
                return Poll::Ready(());
            }
            if !wire.has_work() {
                return Poll::Pending;
            }
        }
    })
    .await;
    // Whoever comes late finds it over.
    session.borrow_mut().failed = true;
}

impl Trunk for Connected {
    fn load(&self) -> Option<usize> {
        let session = self.session.borrow();
        let most = STREAMS.min(usize::try_from(session.peer_streams).unwrap_or(STREAMS));
        let takes_more = !session.failed && !session.closing && session.streams.len() < most;
        takes_more.then_some(session.streams.len())
    }

    fn is_over(&self) -> bool {
        let session = self.session.borrow();
        // One that allows no stream, as some do before they end, would be kept for nothing.
        session.failed || session.closing || session.peer_streams == 0 && session.streams.len() == 0
    }

    fn open(&self) -> io::Result<Box<dyn Multiplexed>> {
        let key = self.session.borrow_mut().begin().ok_or(ErrorKind::ConnectionReset)?;
        Ok(Box::new(Held::new(self.session.clone(), key, Kind::Request { scheme: self.scheme }, None)))
    }

    fn cut(&self) {
        // The stream is there for as long as its task has not said that it is over.
        if let Some(stream) = self.stream.filter(|_| !self.session.borrow().failed) {
            stream.cut();
        }
    }
}

impl Drop for Connected {
    /// Nobody begins anything on it any more.
    fn drop(&mut self) {
        self.session.borrow_mut().close();
    }
}
