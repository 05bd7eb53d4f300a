//! Reading a header of either version.

use super::checksum::crc32c;
use super::{SIGNATURE, WORD, kind};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is read, bytes: room for addresses and a few kilobytes of what else there is to say.
pub const LONGEST: usize = 8 << 10;
/// The longest line of version 1, its end included (section 2.1).
const LONGEST_LINE: usize = 107;
/// What precedes the addresses in version 2.
const FIXED: usize = 16;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// No header: they are for whoever serves the connection.
    Nothing,
    /// A header, or the beginning of what may be one, as far as it has come.
    Partial,
    /// A header of this many bytes, and what it tells.
    Whole(usize, Told),
}

/// What a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The proxy speaks for itself, or for somebody who has no IP address: those of the connection count.
    Nobody,
    /// Whose connection it is, and what that one dialled.
    Addresses {
        /// The client.
        source: SocketAddr,
        /// What it dialled.
        destination: SocketAddr,
    },
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A line of version 1 that is not what section 2.1 says.
    Line,
    /// A line of version 1 without an end.
    LongLine,
    /// A version beyond 2.
    Version,
    /// A command that is not known: what it asks for cannot be done.
    Command,
    /// An address family or transport that there is not.
    Family,
    /// Less room for addresses than their family takes.
    Addresses,
    /// Longer than [`LONGEST`].
    Length,
    /// What follows the addresses has lengths that do not fit, or that their types do not allow.
    Extensions,
    /// The checksum is that of other bytes.
    Checksum,
}

/// Reads what a connection begins with.
///
/// # Errors
/// Why these bytes are a header that is refused, as soon as that is seen.
pub fn read(bytes: &[u8]) -> Result<Read, Malformed> {
    if begins(bytes, &SIGNATURE) {
        return if bytes.len() < SIGNATURE.len() { Ok(Read::Partial) } else { read_binary(bytes) };
    }
    if begins(bytes, &WORD) {
        return if bytes.len() < WORD.len() { Ok(Read::Partial) } else { read_line(bytes) };
    }
    Ok(Read::Nothing)
}

/// Whether two byte strings are the same as far as both go.
fn begins(bytes: &[u8], word: &[u8]) -> bool {
    bytes.iter().zip(word).all(|(byte, own)| byte == own)
}

fn read_line(bytes: &[u8]) -> Result<Read, Malformed> {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', within) else {
        return if within.len() < LONGEST_LINE { Ok(Read::Partial) } else { Err(Malformed::LongLine) };
    };
    match &within[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if within.len() < LONGEST_LINE => return Ok(Read::Partial),
        [b'\r'] => return Err(Malformed::LongLine),
        _ => return Err(Malformed::Line),
    }
    let told = parse_line(&within[WORD.len()..end]).ok_or(Malformed::Line)?;
    Ok(Read::Whole(end + 2, told))
}

fn parse_line(line: &[u8]) -> Option<Told> {
    // Whatever follows it is to be ignored.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(Told::Nobody);
    }
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.split(' ');
    let family = words.next()?;
    let mut ip = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (ip()?, ip()?);
    let mut port = || words.next().and_then(port);
    let (from, to) = (port()?, port()?);
    words.next().is_none().then(|| addresses((source, from), (destination, to)))
}

/// A decimal number up to 65535, without signs or zeros before it.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    plain.then(|| word.parse().ok()).flatten()
}

fn addresses(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Told {
    let canonical = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
    Told::Addresses { source: canonical(source), destination: canonical(destination) }
}

fn read_binary(bytes: &[u8]) -> Result<Read, Malformed> {
    let Some(&command) = bytes.get(12) else { return Ok(Read::Partial) };
    if command >> 4 != 2 {
        return Err(Malformed::Version);
    }
    if command & 0xf > 1 {
        return Err(Malformed::Command);
    }
    let Some(&[family, high, low]) = bytes.get(13..FIXED).and_then(|three| three.first_chunk()) else {
        return Ok(Read::Partial);
    };
    let end = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if end > LONGEST {
        return Err(Malformed::Length);
    }
    let Some(header) = bytes.get(..end) else { return Ok(Read::Partial) };
    if command & 0xf == 0 {
        // The proxy's own connection, such as a check: all else is to be ignored, the family as well.
        return Ok(Read::Whole(end, Told::Nobody));
    }
    let (told, room) = match family {
        // What follows is of a form that nobody has laid down.
        0x00 => return Ok(Read::Whole(end, Told::Nobody)),
        0x11 | 0x12 => (block::<4>(&header[FIXED..]), 12),
        0x21 | 0x22 => (block::<16>(&header[FIXED..]), 36),
        // Paths of sockets on the proxy's host.
        0x31 | 0x32 => (Some(Told::Nobody), 216),
        _ => return Err(Malformed::Family),
    };
    let (Some(told), true) = (told, end - FIXED >= room) else { return Err(Malformed::Addresses) };
    check_extensions(header, FIXED + room)?;
    Ok(Read::Whole(end, told))
}

/// The addresses of `N` bytes each, and the ports behind them.
fn block<const N: usize>(bytes: &[u8]) -> Option<Told>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (from, rest) = rest.split_first_chunk::<2>()?;
    let (to, _) = rest.split_first_chunk::<2>()?;
    let port = |bytes: &[u8; 2]| u16::from_be_bytes(*bytes);
    Some(addresses((IpAddr::from(*source), port(from)), (IpAddr::from(*destination), port(to))))
}

/// Looks whether what stands in `header` from `at` on has the lengths that it should, and the checksum.
fn check_extensions(header: &[u8], at: usize) -> Result<(), Malformed> {
    let mut checksum = None;
    for extension in Extensions(&header[at..]) {
        let (kind, value) = extension.ok_or(Malformed::Extensions)?;
        let fits = match kind {
            kind::CRC32C => {
                let place = value.as_ptr().addr() - header.as_ptr().addr();
                value.len() == 4 && checksum.replace(place).is_none()
            }
            kind::AUTHORITY => value.len() <= 255,
            kind::UNIQUE_ID => value.len() <= 128,
            kind::SSL => value.get(5..).is_some_and(|parts| Extensions(parts).all(|part| part.is_some())),
            _ => true,
        };
        if !fits {
            return Err(Malformed::Extensions);
        }
    }
    let Some(place) = checksum else { return Ok(()) };
    let (before, own, after) = (&header[..place], &header[place..place + 4], &header[place + 4..]);
    if crc32c(&[before, &[0; 4], after]).to_be_bytes() == *own { Ok(()) } else { Err(Malformed::Checksum) }
}

/// Type and value of one after the other; `None` where one does not fit, and then nothing more.
struct Extensions<'a>(&'a [u8]);

impl<'a> Iterator for Extensions<'a> {
    type Item = Option<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let Some((&[kind, high, low], rest)) = rest.split_first_chunk() else { return Some(None) };
        let Some((value, rest)) = rest.split_at_checked(u16::from_be_bytes([high, low]).into()) else {
            return Some(None);
        };
        self.0 = rest;
        Some(Some((kind, value)))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "its line is not what version 1 says",
            Self::LongLine => "its line has no end within 107 bytes",
            Self::Version => "its version is neither 1 nor 2",
            Self::Command => "its command is neither LOCAL nor PROXY",
            Self::Family => "its address family is unknown",
            Self::Addresses => "it is too short for its addresses",
            Self::Length => "it is longer than 8 KiB",
            Self::Extensions => "the lengths of what follows its addresses do not fit",
            Self::Checksum => "its checksum is that of other bytes",
        })
    }
}
