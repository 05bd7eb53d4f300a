//! Writing bytes to an open file, with a ring or without.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;
use tokio_uring::buf::BoundedBuf;

/// How long to wait for a non-blocking output that takes no byte.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// An open output. Always written at its own position: a file is in append mode, a pipe has none, and what the shell
/// redirected stdout to may be shared.
pub enum Output {
    /// Through the ring of the current tokio-uring runtime.
    Ring(tokio_uring::fs::File),
    /// By blocking writes.
    Plain(File),
}

impl Output {
    /// As the offset of a ring's write it means the file's own position.
    const OWN_POSITION: u64 = u64::MAX;

    /// An output on `file`.
    pub fn new(file: File, ring: bool) -> Self {
        if ring { Self::Ring(tokio_uring::fs::File::from_std(file)) } else { Self::Plain(file) }
    }

    /// Whether it writes through a ring.
    pub fn is_ring(&self) -> bool {
        matches!(self, Self::Ring(_))
    }

    /// Writes all of `bytes` unless an error ends it, and says how many were written.
    pub async fn write_all(&self, mut bytes: Vec<u8>) -> (Vec<u8>, usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            let result;
            (bytes, result) = self.write(bytes, written).await;
            match result {
                Ok(0) => return (bytes, written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(FULL_PAUSE).await,
                Err(error) => return (bytes, written, Err(error)),
            }
        }
        (bytes, written, Ok(()))
    }

    async fn write(&self, bytes: Vec<u8>, from: usize) -> (Vec<u8>, io::Result<usize>) {
        match self {
            Self::Ring(file) => {
                let (result, slice) = file.write_at(bytes.slice(from..), Self::OWN_POSITION).submit().await;
                (slice.into_inner(), result)
            }
            Self::Plain(file) => {
                let mut file: &File = file;
                let result = file.write(&bytes[from..]);
                (bytes, result)
            }
        }
    }
}
