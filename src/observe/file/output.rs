//! Writing bytes to an open file, with a ring or without.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;
use tokio_uring::buf::BoundedBuf;

/// How long to wait for a non-blocking output that takes no byte.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// What a pipe takes whole or not at all (pipe(7)).
const PIPE_BUF: usize = libc::PIPE_BUF;
/// As the offset of a ring's write it means the file's own position.
const OWN_POSITION: u64 = u64::MAX;

/// An open output. Always written at its own position: a file is in append mode, a pipe has none, and what the shell
/// redirected stdout to may be shared.
pub struct Output {
    file: Through,
    is_pipe: bool,
}

enum Through {
    Ring(tokio_uring::fs::File),
    Plain(File),
}

impl Output {
    /// An output on `file`, written through the ring of the current tokio-uring runtime or by blocking writes.
    pub fn new(file: File, ring: bool) -> Self {
        let is_pipe = file.metadata().is_ok_and(|meta| meta.file_type().is_fifo());
        let file = if ring { Through::Ring(tokio_uring::fs::File::from_std(file)) } else { Through::Plain(file) };
        Self { file, is_pipe }
    }

    /// Whether it writes through a ring.
    pub fn is_ring(&self) -> bool {
        matches!(self.file, Through::Ring(_))
    }

    /// Writes all of `bytes` unless an error ends it, and says how many were written.
    ///
    /// A pipe gets whole lines at a time, as far as they fit into what it takes at once: one that nobody reads ends
    /// with a whole line even if the process is killed.
    pub async fn write_all(&self, mut bytes: Vec<u8>) -> (Vec<u8>, usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            let end = if self.is_pipe { written + whole_lines(&bytes[written..]) } else { bytes.len() };
            let result;
            (bytes, result) = self.write(bytes, written, end).await;
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

    async fn write(&self, bytes: Vec<u8>, from: usize, end: usize) -> (Vec<u8>, io::Result<usize>) {
        match &self.file {
            Through::Ring(file) => {
                let (result, slice) = file.write_at(bytes.slice(from..end), OWN_POSITION).submit().await;
                (slice.into_inner(), result)
            }
            Through::Plain(file) => {
                let mut file: &File = file;
                let result = file.write(&bytes[from..end]);
                (bytes, result)
            }
        }
    }
}

/// How many of `bytes` are lines that fit into [`PIPE_BUF`] together; if the first does not, its own length.
fn whole_lines(bytes: &[u8]) -> usize {
    let fit = &bytes[..bytes.len().min(PIPE_BUF)];
    let end = memchr::memrchr(b'\n', fit).or_else(|| memchr::memchr(b'\n', bytes));
    end.map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_packed_into_what_a_pipe_takes_at_once() {
        let line = |length: usize| [vec![b'x'; length - 1], vec![b'\n']].concat();
        assert_eq!(whole_lines(&line(1_000).repeat(10)), 4_000);
        assert_eq!(whole_lines(&line(PIPE_BUF)), PIPE_BUF);
        assert_eq!(whole_lines(&[line(10_000), line(10)].concat()), 10_000);
        assert_eq!(whole_lines(b"rest of a line"), 14);
    }
}
