//! Heads as the cache's rules read them, and as they are stored.

use crate::cache::Fields;
use crate::http::head::Field;

/// The fields of a head with the text that they are in.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) fields: &'a [Field],
    pub(super) text: &'a [u8],
}

impl Fields for View<'_> {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name.of(self.text), field.value.of(self.text)))
    }
}

/// Writes the first line of an answer.
pub(super) fn write_status(status: u16, reason: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Writes the line of a field.
pub(super) fn push_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
