//! The PROXY protocol (haproxy.org, `doc/proxy-protocol.txt`): a header before anything else on a connection, by which a
//! proxy says whose connection it passes on. Bytes in, addresses out, and the other way round: no I/O.
//!
//! What always holds: what is read has a bound ([`LONGEST`]), whatever a header says of its own length; a header is
//! taken whole or not at all; addresses have one form, IPv4 in IPv6 being IPv4.

mod checksum;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{LONGEST, Malformed, Read, Told, read};
pub use write::{Announcement, Form, Header, Tls};

/// What every header of version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What every header of version 1 begins with.
const WORD: [u8; 6] = *b"PROXY ";

/// Types of what may follow the addresses (section 2.2).
mod kind {
    pub(super) const ALPN: u8 = 0x01;
    pub(super) const AUTHORITY: u8 = 0x02;
    pub(super) const CRC32C: u8 = 0x03;
    pub(super) const UNIQUE_ID: u8 = 0x05;
    pub(super) const SSL: u8 = 0x20;
    /// Within the value of [`SSL`].
    pub(super) const SSL_VERSION: u8 = 0x21;
    pub(super) const SSL_CN: u8 = 0x22;
    pub(super) const SSL_CIPHER: u8 = 0x23;
}
