//! A client's first message, read without a session: what it asks for, whatever version of TLS it speaks.
//!
//! What always holds: no more than [`LONGEST`] bytes are looked at; what cannot be read in one way only is no first message.

/// The longest first message that is read, bytes.
const LONGEST_MESSAGE: usize = 16 << 10;
/// The most bytes that are worth to be read: a first message, and the heads of its records.
pub const LONGEST: usize = LONGEST_MESSAGE + (2 << 10);

/// What a client begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// No first message of TLS.
    Other,
    /// The beginning of one, as far as it has come.
    Partial,
    /// A whole one.
    Whole(Hello),
}

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The name (RFC 6066 §3), as it stands there.
    pub name: Option<Box<str>>,
    /// The protocols that it offers, its first choice first (RFC 7301).
    pub protocols: Vec<Box<[u8]>>,
}

/// The type of a record with messages of the handshake (RFC 8446 §5.1), and the longest that it may be.
const HANDSHAKE: u8 = 22;
const LONGEST_RECORD: usize = 1 << 14;
/// The first message among them (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: usize = 0;
const ALPN: usize = 16;

/// Reads what a client begins with.
pub fn read(bytes: &[u8]) -> Read {
    match message(&bytes[..bytes.len().min(LONGEST)]) {
        Err(verdict) => verdict,
        Ok(message) => parse(&message).map_or(Read::Other, Read::Whole),
    }
}

/// The body of the first message, out of its records.
fn message(bytes: &[u8]) -> Result<Vec<u8>, Read> {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        let expected = [HANDSHAKE, 3];
        if rest.iter().zip(expected).any(|(byte, own)| *byte != own) {
            return Err(Read::Other);
        }
        let Some((&[_, _, _, high, low], behind)) = rest.split_first_chunk() else { return Err(partial(bytes)) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > LONGEST_RECORD {
            return Err(Read::Other);
        }
        let (fragment, behind) = behind.split_at(length.min(behind.len()));
        message.extend_from_slice(fragment);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(Read::Other);
        }
        if let Some(&[_, high, middle, low]) = message.first_chunk() {
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            if length > LONGEST_MESSAGE {
                return Err(Read::Other);
            }
            if message.len() >= 4 + length {
                message.truncate(4 + length);
                message.drain(..4);
                return Ok(message);
            }
        }
        if fragment.len() < length {
            return Err(partial(bytes));
        }
        rest = behind;
    }
}

/// More may come, unless there is too much already.
fn partial(bytes: &[u8]) -> Read {
    if bytes.len() < LONGEST { Read::Partial } else { Read::Other }
}

/// Reads the body (RFC 8446 §4.1.2, and the same before version 1.3).
fn parse(body: &[u8]) -> Option<Hello> {
    let mut hello = Hello::default();
    let mut body = Reader(body);
    // Version and random.
    body.take(2 + 32)?;
    let session = body.list(1)?;
    let suites = body.list(2)?;
    let compressions = body.list(1)?;
    if session.len() > 32 || suites.is_empty() || suites.len() % 2 != 0 || compressions.is_empty() {
        return None;
    }
    if body.0.is_empty() {
        // As those did who knew of no extensions.
        return Some(hello);
    }
    let mut extensions = Reader(body.list(2)?);
    let (mut named, mut offered) = (false, false);
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let value = extensions.list(2)?;
        match kind {
            SERVER_NAME if !std::mem::replace(&mut named, true) => hello.name = name(value)?,
            ALPN if !std::mem::replace(&mut offered, true) => hello.protocols = protocols(value)?,
            SERVER_NAME | ALPN => return None,
            _ => {}
        }
    }
    body.0.is_empty().then_some(hello)
}

/// The name of a host in a list of names. What is no text is no name that anybody could have.
fn name(value: &[u8]) -> Option<Option<Box<str>>> {
    let mut value = Reader(value);
    let mut names = Reader(value.list(2)?);
    let mut found = None;
    if !value.0.is_empty() || names.0.is_empty() {
        return None;
    }
    while !names.0.is_empty() {
        let kind = names.number(1)?;
        let name = names.list(2)?;
        if kind == 0 && found.replace(name).is_some() {
            return None;
        }
    }
    let printable = |name: &&[u8]| name.iter().all(u8::is_ascii_graphic);
    let text = found.filter(printable).and_then(|name| std::str::from_utf8(name).ok());
    Some(text.filter(|name| !name.is_empty()).map(Into::into))
}

fn protocols(value: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut value = Reader(value);
    let mut list = Reader(value.list(2)?);
    let mut protocols = Vec::new();
    while !list.0.is_empty() {
        protocols.push(list.list(1).filter(|protocol| !protocol.is_empty())?.into());
    }
    (value.0.is_empty() && !protocols.is_empty()).then_some(protocols)
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// What follows its own length, which has so many bytes.
    fn list(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bytes: usize, content: &[u8]) -> Vec<u8> {
        [&u32::try_from(content.len()).unwrap().to_be_bytes()[4 - bytes..], content].concat()
    }

    fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &list(2, value)].concat()
    }

    fn sni(name: &[u8]) -> Vec<u8> {
        extension(0, &list(2, &[&[0][..], &list(2, name)].concat()))
    }

    fn alpn(protocols: &[&str]) -> Vec<u8> {
        extension(16, &list(2, &protocols.iter().flat_map(|name| list(1, name.as_bytes())).collect::<Vec<u8>>()))
    }

    /// A first message with these extensions; `None`: from one who knows of none.
    fn hello(extensions: Option<&[u8]>) -> Vec<u8> {
        let start = [&[3, 1][..], &[7; 32], &list(1, &[9; 32]), &list(2, &[0, 47]), &list(1, &[0])].concat();
        let body = [start, extensions.map(|all| list(2, all)).unwrap_or_default()].concat();
        [&[CLIENT_HELLO][..], &list(3, &body)].concat()
    }

    fn records(message: &[u8], each: usize) -> Vec<u8> {
        message.chunks(each).flat_map(|part| [&[HANDSHAKE, 3, 1][..], &list(2, part)].concat()).collect()
    }

    fn whole(name: Option<&str>, protocols: &[&str]) -> Read {
        let protocols = protocols.iter().map(|name| name.as_bytes().into()).collect();
        Read::Whole(Hello { name: name.map(Into::into), protocols })
    }

    #[test]
    fn what_a_client_asks_for_is_read_from_any_number_of_records() {
        let unknown = extension(0x0a0a, &[1; 9000]);
        for (extensions, expected) in [
            (None, whole(None, &[])),
            (Some(vec![]), whole(None, &[])),
            (Some(sni(b"a.test")), whole(Some("a.test"), &[])),
            (Some([sni(b"A.test."), alpn(&["h2", "x"])].concat()), whole(Some("A.test."), &["h2", "x"])),
            (Some([unknown, alpn(&["h2"]), sni(b"a.test")].concat()), whole(Some("a.test"), &["h2"])),
            (Some(sni(b"a\0.test")), whole(None, &[])),
            (Some(sni(b"")), whole(None, &[])),
        ] {
            let message = hello(extensions.as_deref());
            for each in [message.len(), 1000, 37, 5] {
                let bytes = records(&message, each);
                if bytes.len() > LONGEST {
                    continue;
                }
                assert_eq!(read(&[&bytes[..], b"behind"].concat()), expected);
                for end in (0..bytes.len()).step_by(1 + bytes.len() / 200) {
                    assert_eq!(read(&bytes[..end]), Read::Partial, "{end} of {}", bytes.len());
                }
            }
        }
    }

    #[test]
    fn what_is_no_first_message_or_is_one_in_two_ways_is_left_alone() {
        let good = hello(Some(&sni(b"a.test")));
        let mut long = good.clone();
        long[1] = 1;
        for bytes in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"SSH-2.0".to_vec(),
            vec![HANDSHAKE, 2],
            vec![0x80, 46, 1, 3, 1],
            vec![HANDSHAKE, 3, 1, 0, 0],
            vec![HANDSHAKE, 3, 1, 0x40, 1],
            records(&[2, 0, 0, 0], 4),
            records(&long, 1000),
            records(&hello(Some(&[sni(b"a"), sni(b"b")].concat())), 1000),
            records(&hello(Some(&[alpn(&["a"]), alpn(&["b"])].concat())), 1000),
            records(&hello(Some(&alpn(&[""]))), 1000),
            records(&hello(Some(&extension(0, &list(2, &[0, 0, 1, b'a', 0, 0, 1, b'b'])))), 1000),
            records(&hello(Some(&extension(0, &[]))), 1000),
            records(&hello(Some(&[0, 0, 0, 9])), 1000),
            records(&[&[CLIENT_HELLO][..], &list(3, &[3, 1])].concat(), 1000),
            [records(&good[..20], 1000), vec![21, 3, 1, 0, 2, 1, 0]].concat(),
            records(&hello(Some(&extension(9, &[0; 16_000]))), 2),
        ] {
            assert_eq!(read(&bytes), Read::Other, "{:?}", &bytes[..bytes.len().min(60)]);
        }
    }

    #[test]
    fn what_is_said_of_all_is_not_contradicted_by_a_part() {
        let mut random = fastrand::Rng::with_seed(9);
        let seeds = [
            records(&hello(Some(&[sni(b"a.test"), alpn(&["h2", "http/1.1"])].concat())), 50),
            records(&hello(Some(&[alpn(&["h2"]), extension(43, &[2, 3, 4]), sni(b"b.test")].concat())), 1000),
            records(&hello(None), 7),
        ];
        let (mut whole, mut other) = (0, 0);
        for _ in 0..50_000 {
            let mut bytes = seeds[random.usize(..seeds.len())].clone();
            for _ in 0..random.usize(..3) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes[at] ^= 1 << random.u8(..8),
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, random.u8(..)),
                }
            }
            let result = read(&bytes);
            match read(&bytes[..random.usize(..=bytes.len())]) {
                Read::Partial => {}
                part => assert_eq!(part, result, "{bytes:?}"),
            }
            match result {
                Read::Whole(_) => whole += 1,
                Read::Other => other += 1,
                Read::Partial => {}
            }
        }
        assert!(whole > 5000 && other > 5000, "{whole} {other}");
    }
}
