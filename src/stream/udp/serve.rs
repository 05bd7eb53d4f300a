//! The tasks of a [`Post`]: receiving from clients, receiving from each socket to a target, keeping time, and the end.

use super::Post;
use super::links::Link;
use crate::lane::{Gate, Lane, Sessions};
use crate::net::{self, Datagram, Either, Signal, Slot, race};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// By which way clients' datagrams come in, and when that ends.
pub struct Entrance {
    /// Where they are served.
    pub lane: Rc<Lane>,
    /// The listener that the address has now.
    pub gate: Box<dyn Fn() -> Rc<Gate>>,
    /// Raised when somebody else receives from here.
    pub stop: Signal,
    /// Raised when nobody is let in any more.
    pub shut: Signal,
    /// Whether what comes after that is left to another process.
    pub leaves_queue: Box<dyn Fn() -> bool>,
}

/// Between two looks at what has ended.
const TICK: Duration = Duration::from_millis(100);
/// How long sessions may be silent once the listener or the process ends.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long to wait after a receive that failed.
const PAUSE: Duration = Duration::from_millis(20);
/// What is received at most of those who have come before the end, in batches.
const LAST: usize = 4096;

/// Passes on what clients send to a slot until that ends, and then serves the sessions that there are to their end. Fails if the
/// slot cannot be received from.
pub async fn serve(entrance: Entrance, slot: Slot) -> io::Result<()> {
    let Entrance { lane, gate, stop, shut, leaves_queue } = entrance;
    let socket = Datagram::new(&slot)?;
    drop(slot);
    let post = Rc::new(Post::new(lane.clone(), gate, socket));
    let shown: Rc<dyn Sessions> = post.clone();
    lane.shows(Rc::downgrade(&shown));
    drop(shown);
    let over = Over(Signal::default());
    net::spawn("time of datagrams", keep_time(post.clone(), over.0.clone()));
    {
        let mut ends = pin!(race(stop.raised(), shut.raised()));
        while let Either::Left(ready) = race(post.socket.ready(), ends.as_mut()).await {
            ready?;
            if let Err(error) = post.receive() {
                tracing::warn!(%error, "datagrams cannot be received for a moment");
                net::sleep(PAUSE).await;
            }
        }
    }
    let _busy = lane.enter();
    if stop.is_raised() || leaves_queue() {
        hand_over(&lane, &post).await
    } else {
        end(&lane, &post).await
    }
    Ok(())
}

/// Somebody else receives what clients send: what targets still answer reaches them from here.
async fn hand_over(lane: &Lane, post: &Post) {
    post.socket.ignore();
    while !post.sessions.borrow().is_empty() && !lane.is_cut() && !lane.ending.is_raised() {
        race(net::sleep(TICK), lane.ending.raised()).await;
    }
    post.close();
}

/// Serves those who have come, and nobody else, until they are silent.
async fn end(lane: &Lane, post: &Rc<Post>) {
    for _ in 0..LAST {
        if !post.receive().is_ok_and(|count| count > 0) {
            break;
        }
    }
    post.open.set(false);
    let until = net::coarse_now().saturating_add(lane.era().plan.runtime.shutdown_timeout);
    loop {
        post.sweep(GOODBYE);
        let told = lane.is_cut() || lane.ending.is_raised() || net::coarse_now() >= until;
        if told || post.sessions.borrow().is_empty() {
            break;
        }
        if let Either::Left(Ok(())) = race(post.socket.ready(), net::sleep(TICK)).await
            && post.receive().is_err()
        {
            net::sleep(PAUSE).await;
        }
    }
    post.close();
}

async fn keep_time(post: Rc<Post>, over: Signal) {
    while !over.is_raised() {
        net::sleep(TICK).await;
        post.sweep(Duration::MAX);
    }
}

impl Post {
    /// Passes on what comes from a target, for as long as the socket is there.
    pub(super) fn listen(self: &Rc<Self>, link: &Rc<Link>) {
        let (post, listening) = (self.clone(), Listening(link.clone()));
        net::spawn("datagrams of a target", async move {
            let link = &listening.0;
            while link.socket.ready().await.is_ok() && !link.closed.get() {
                post.answer(link);
            }
        });
    }
}

/// Raised when it is dropped, also by a panic.
struct Over(Signal);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// A socket that nobody receives from any more is of no use.
struct Listening(Rc<Link>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.close();
    }
}
