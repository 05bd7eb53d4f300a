//! HTTP/2 with targets: a connection carries as many exchanges as its target allows.

use super::broken;
use super::head::{self, Content};
use super::incoming::Incoming;
use super::outgoing::{Opened, Opener};
use super::pipe::Pipe;
use super::stream::{Source, Stream};
use super::wire::Wire;
use crate::net::{self, Lease};
use crate::tls::{Channel, Multiplexed, Waiting};
use crate::upstream::Trunk;
use ::h2::client::{self, Connection, ResponseFuture, SendRequest};
use ::h2::{Reason, RecvStream};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a target may send on one stream before the client has taken it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same on all of them together.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What a request may have waiting in `h2`.
const STREAM_BUFFER: usize = 64 << 10;
/// Streams on one connection before another one is opened, where the target allows more.
const STREAMS: usize = 100;
/// The longest head of an answer.
const HEAD: u32 = 64 << 10;
/// How long a target may be silent while nothing is asked of it. What is asked has its own timeouts.
const SILENCE: Duration = Duration::from_secs(3600);

/// A connection to a target.
pub(in crate::http) struct Shared {
    sender: SendRequest<Bytes>,
    scheme: &'static str,
    load: Rc<Load>,
}

#[derive(Default)]
struct Load {
    /// Streams under way.
    streams: Cell<usize>,
    over: Cell<bool>,
}

/// Begins to speak HTTP/2 on `link`, which `channel` makes of it; a task of its own moves the bytes until either side has
/// had enough.
pub(in crate::http) async fn start<L: 'static>(
    link: L,
    channel: fn(&L) -> Channel<'_>,
    scheme: &'static str,
    stall: Duration,
) -> io::Result<Rc<dyn Trunk>> {
    let pipe = Pipe::default();
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD)
        .max_send_buffer_size(STREAM_BUFFER);
    // It only writes, and the pipe has room.
    let (sender, connection) = builder.handshake(pipe.clone()).await.map_err(|error| broken(&error))?;
    let load = Rc::<Load>::default();
    let shared = Shared { sender, scheme, load: load.clone() };
    net::spawn(async move {
        let mut wire = Wire::new(channel(&link), pipe, stall);
        wire.limit = SILENCE;
        drive(connection, &mut wire).await;
        load.over.set(true);
        wire.finish().await;
        channel(&link).finish().await;
    });
    Ok(Rc::new(shared))
}

async fn drive(connection: Connection<Pipe, Bytes>, wire: &mut Wire<'_>) {
    let mut connection = pin!(connection);
    poll_fn(|cx| {
        // What the streams have queued goes through `h2` first, what came goes there after it.
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match wire.poll(cx).map(|error| error.kind()) {
                Poll::Pending if wire.has_work() => {}
                Poll::Pending => return Poll::Pending,
                // A target that has nothing to do may be silent.
                Poll::Ready(ErrorKind::TimedOut) => {}
                // The streams are told by `h2`, when it has read the end.
                Poll::Ready(_) => {
                    wire.break_off();
                    let _ = connection.as_mut().poll(cx);
                    return Poll::Ready(());
                }
            }
        }
    })
    .await;
}

impl Trunk for Shared {
    fn load(&self) -> Option<usize> {
        let most = self.sender.current_max_send_streams().min(STREAMS);
        Some(self.load.streams.get()).filter(|&streams| !self.load.over.get() && streams < most)
    }

    fn is_over(&self) -> bool {
        self.load.over.get()
    }

    fn open(&self) -> Waiting<'_, io::Result<Box<dyn Multiplexed>>> {
        let mut sender = self.sender.clone();
        let place = Place::new(&self.load);
        Box::pin(async move {
            poll_fn(|cx| sender.poll_ready(cx)).await.map_err(|error| broken(&error))?;
            let answer = Rc::new(Answer::default());
            let ask = Ask { sender, scheme: self.scheme, answer: answer.clone() };
            let source = Asked { answer, _place: place };
            let stream: Box<dyn Multiplexed> = Box::new(Stream::new(None, source, ask, Reason::CANCEL));
            Ok(stream)
        })
    }
}

/// A stream's place among those of its connection.
struct Place(Rc<Load>);

impl Place {
    fn new(load: &Rc<Load>) -> Self {
        load.streams.set(load.streams.get() + 1);
        Self(load.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
    }
}

/// One exchange with a target, as far as its answer goes.
struct Asked {
    answer: Rc<Answer>,
    _place: Place,
}

/// What a request's head is sent with.
struct Ask {
    sender: SendRequest<Bytes>,
    scheme: &'static str,
    answer: Rc<Answer>,
}

/// The answer on its way.
#[derive(Default)]
struct Answer(RefCell<Stage>);

#[derive(Default)]
enum Stage {
    /// Nothing has been asked.
    #[default]
    Silent,
    /// The head has not come.
    Head(ResponseFuture, head::Asked),
    Body(Incoming),
}

impl Opener for Ask {
    fn open(&mut self, text: &[u8]) -> io::Result<Opened> {
        let Some((request, content, length, asked)) = head::read_request(text, self.scheme) else {
            return Err(io::Error::other("a request without a head"));
        };
        let sent = self.sender.send_request(request, content == Content::None);
        let (answer, stream) = sent.map_err(|error| broken(&error))?;
        self.answer.0.replace(Stage::Head(answer, asked));
        Ok(Opened::Open(length, stream, content))
    }

    fn reset(&mut self, _: Reason) {}

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Source for Asked {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<Lease>> {
        self.answer.poll(cx)
    }
}

impl Answer {
    /// The next text of the answer: interim heads, its head, its content; empty at the end.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<Lease>> {
        let mut stage = self.0.borrow_mut();
        match &mut *stage {
            Stage::Silent => Poll::Pending,
            Stage::Body(incoming) => incoming.poll(cx),
            Stage::Head(answer, asked) => {
                let mut text = Lease::new();
                if let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(cx) {
                    head::write_interim(&interim, text.buffer());
                    return Poll::Ready(Ok(text));
                }
                let (parts, body) = match Pin::new(answer).poll(cx) {
                    Poll::Ready(Ok(answer)) => answer.into_parts(),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(broken(&error))),
                    Poll::Pending => return Poll::Pending,
                };
                match head::write_response(&parts, body.is_end_stream(), asked, text.buffer()) {
                    Ok(chunked) => {
                        *stage = Stage::Body(Incoming::new(body, chunked));
                        Poll::Ready(Ok(text))
                    }
                    Err(head::Malformed) => {
                        drop::<RecvStream>(body);
                        Poll::Ready(Err(ErrorKind::InvalidData.into()))
                    }
                }
            }
        }
    }
}
