//! A client's first message of TLS, looked at and left to be received.

use crate::net::{Lease, Stream};
use crate::tls::hello::{self, LONGEST, Read};
use std::io;

/// What a client begins with.
pub(super) enum Opening {
    /// A whole first message.
    Hello(hello::Hello),
    /// Something else, or what cannot be understood.
    Other,
    /// The beginning of a first message, and no more for good.
    Torn,
    /// Nothing in time.
    Nothing,
    /// Nothing, and no more for good.
    Left,
}

/// Looks at what a client begins with, until the stream's deadline: fails with `TimedOut` where it has begun and not ended.
pub(super) async fn look(stream: &Stream) -> io::Result<Opening> {
    let mut shown = Lease::new();
    let mut seen = 0;
    loop {
        let count = match stream.peek_beyond(seen, &mut shown).await {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::TimedOut && seen == 0 => return Ok(Opening::Nothing),
            Err(error) => return Err(error),
        };
        if count <= seen {
            return Ok(if seen == 0 { Opening::Left } else { Opening::Torn });
        }
        match hello::read(&shown) {
            Read::Whole(hello) => return Ok(Opening::Hello(hello)),
            Read::Other => return Ok(Opening::Other),
            Read::Partial => seen = count,
        }
        if shown.room() == 0 {
            shown = Lease::with_room(LONGEST);
        }
    }
}
