//! A client that verifies every byte, with any number of requests ahead on its connection.

use super::object::Object;
use crate::body::Body;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For each step of an answer.
const LIMIT: Duration = Duration::from_secs(15);
/// Whether it was the connection that failed, not the answer.
pub fn is_lost(error: &anyhow::Error) -> bool {
    let lost = [
        ErrorKind::BrokenPipe,
        ErrorKind::ConnectionAborted,
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::UnexpectedEof,
    ];
    error.downcast_ref::<Error>().is_some_and(|error| lost.contains(&error.kind()))
}

/// Status of an answer that the origin would have to be asked for.
const NOT_THERE: u16 = 504;

/// A connection.
pub struct Client {
    stream: TcpStream,
    host: String,
    input: Vec<u8>,
    at: usize,
    wire: String,
}

/// What is asked of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The answer may not be kept.
    Passing,
    /// It may, and may come from the cache.
    Any,
    /// It is to come from the cache, or not at all.
    Cached,
}

impl Client {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { stream, host: address.to_string(), input: Vec::new(), at: 0, wire: String::new() })
    }

    /// Asks for all of `objects` at once; how many there are, the others are not in the cache. Fails if an answer is not whole and right.
    pub fn get(&mut self, objects: &[Object], ask: Ask) -> Result<usize> {
        self.wire.clear();
        for object in objects {
            object.request(&self.host, ask != Ask::Passing, ask != Ask::Cached, &mut self.wire);
        }
        self.stream.write_all(self.wire.as_bytes())?;
        let mut there = 0;
        for object in objects {
            there += usize::from(self.answer(object, ask).with_context(|| format!("{object:?}"))?);
        }
        ensure!(self.at == self.input.len(), "bytes beyond the last answer");
        Ok(there)
    }

    fn answer(&mut self, object: &Object, ask: Ask) -> Result<bool> {
        let (status, mut body) = loop {
            match head(&self.input[self.at..])? {
                Some((length, status, body)) => {
                    self.at += length;
                    break (status, body);
                }
                None => self.more()?,
            }
        };
        let mut check = object.check(ask != Ask::Passing);
        loop {
            self.at += body.feed(&self.input[self.at..], |piece| check.feed(piece))?;
            if body.is_complete() {
                break;
            }
            self.more()?;
        }
        match status {
            200 => object.verify(&check).map(|()| true),
            NOT_THERE if ask == Ask::Cached => Ok(false),
            status => bail!("status {status}"),
        }
    }

    fn more(&mut self) -> Result<()> {
        self.input.drain(..self.at);
        self.at = 0;
        let old = self.input.len();
        self.input.resize(old + (64 << 10), 0);
        let count = self.stream.read(&mut self.input[old..])?;
        self.input.truncate(old + count);
        if count == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }
}

/// The length of a head, its status, and its body, nothing of which is read.
fn head(input: &[u8]) -> Result<Option<(usize, u16, Body)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(input)? else { return Ok(None) };
    let mut body = None;
    for header in parsed.headers.iter() {
        let framing = match header.name {
            name if name.eq_ignore_ascii_case("content-length") => {
                Body::Length(std::str::from_utf8(header.value)?.parse()?)
            }
            name if name.eq_ignore_ascii_case("transfer-encoding") => Body::chunked(),
            _ => continue,
        };
        ensure!(body.replace(framing).is_none(), "framed twice");
    }
    Ok(Some((length, parsed.code.context("no status")?, body.context("no end")?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Side, fill};
    use std::net::TcpListener;

    /// What the client says to `wire` as the answer to one request.
    fn judge(object: Object, ask: Ask, wire: &[u8]) -> Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::open(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        server.write_all(wire).unwrap();
        server.shutdown(std::net::Shutdown::Write).unwrap();
        client.get(&[object], ask)
    }

    #[test]
    fn an_answer_counts_if_it_is_whole_and_right() {
        let object = Object { size: 9, ..Object::small(7) };
        let mut wire = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec();
        let start = wire.len();
        wire.resize(start + 9, 0);
        fill(7, Side::Answer, 0, &mut wire[start..]);
        assert_eq!(judge(object, Ask::Any, &wire).unwrap(), 1);
        let cut = judge(object, Ask::Any, &wire[..wire.len() - 1]).unwrap_err();
        assert!(is_lost(&cut));
        let longer = judge(object, Ask::Any, &[&wire[..], b"x"].concat()).unwrap_err();
        *wire.last_mut().unwrap() ^= 1;
        let wrong = judge(object, Ask::Any, &wire).unwrap_err();
        let variant = judge(Object { variant: Some(1), ..object }, Ask::Any, &wire).unwrap_err();
        assert!(![longer, wrong, variant].iter().any(is_lost));
        let absent = b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(judge(object, Ask::Cached, absent).unwrap(), 0);
        assert!(judge(object, Ask::Any, absent).is_err());
    }
}
