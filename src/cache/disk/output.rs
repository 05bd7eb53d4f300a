//! Writing to a segment, with a ring or without.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use tokio_uring::buf::BoundedBuf;

/// A file that is written.
pub(super) enum Output {
    Ring(tokio_uring::fs::File),
    Plain(File),
}

impl Output {
    /// An output on `file`, written through the ring of the current tokio-uring runtime or by blocking writes.
    pub fn new(file: File, ring: bool) -> Self {
        if ring { Self::Ring(tokio_uring::fs::File::from_std(file)) } else { Self::Plain(file) }
    }

    /// Writes all of `bytes` from `offset` on, and gives them back.
    pub async fn write(&self, mut bytes: Vec<u8>, offset: u64) -> (Vec<u8>, io::Result<()>) {
        let file = match self {
            Self::Plain(file) => {
                let result = file.write_all_at(&bytes, offset);
                return (bytes, result);
            }
            Self::Ring(file) => file,
        };
        let mut written = 0;
        while written < bytes.len() {
            let at = offset + written as u64;
            let (result, slice) = file.write_at(bytes.slice(written..), at).submit().await;
            bytes = slice.into_inner();
            match result {
                Ok(0) => return (bytes, Err(ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (bytes, Err(error)),
            }
        }
        (bytes, Ok(()))
    }
}
