//! The log's thread: it writes what workers log, so that nobody else waits for a disk, a pipe, a terminal or a server.
//!
//! For files it runs tokio-uring; where no ring can be made it falls back to plain writes on the same thread. Syslog servers
//! are sent to on plain tokio. A reader that is stuck, a disk that is full or a server that is away costs lines, which are
//! counted and told in the operational log once writing works again, and nothing else: queues are bounded, and the thread is
//! detached, so that the process can end without it.
//!
//! Output is whole lines. When a write to a file breaks off within a line, the rest of that line is written before anything
//! else; every other line of the batch is dropped whole. A connection that breaks off within one is never used again.

mod link;
mod losses;
mod output;
mod sender;
mod writer;

pub use link::{Link, Progress};

use super::counters::Counter;
use crossbeam::channel::{self, Receiver, Sender, TrySendError};
use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use writer::Writer;

/// Batches that may wait for the file thread; with what a batch holds, about 8 MiB.
const QUEUE_BATCHES: usize = 128;

/// Whole lines on their way to the file thread.
#[derive(Debug, Default)]
pub struct Batch {
    /// The lines, each with its line feed.
    pub bytes: Vec<u8>,
    /// How many they are.
    pub lines: u32,
    /// How many lines the sender had to drop since its last batch.
    pub lost_before: u32,
}

/// A worker's way to the file thread.
#[derive(Clone, Debug)]
pub struct Queue {
    batches: Sender<Batch>,
    spares: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
}

impl Queue {
    /// Hands over `batch`, or gives it back when the queue is full or the thread is gone. Never waits.
    pub fn send(&self, batch: Batch) -> Result<(), Batch> {
        let sent = self.batches.try_send(batch).map_err(|refused| match refused {
            TrySendError::Full(batch) | TrySendError::Disconnected(batch) => batch,
        });
        self.shared.wake.notify_one();
        sent
    }

    /// An empty batch, in a buffer that was used before if there is one.
    pub fn spare(&self) -> Batch {
        Batch { bytes: self.spares.try_recv().unwrap_or_default(), ..Batch::default() }
    }

    /// A queue of so many batches for somebody else than a file thread.
    pub fn open(batches: usize) -> (Self, Batches) {
        let shared = Arc::new(Shared::default());
        let (sender, queued) = channel::bounded(batches);
        (Self { batches: sender, spares: channel::never(), shared: shared.clone() }, Batches { queued, shared })
    }

    /// A queue whose other end is a test.
    #[cfg(test)]
    pub fn pair(capacity: usize) -> (Self, Receiver<Batch>) {
        let (batches, received) = channel::bounded(capacity);
        (Self { batches, spares: channel::never(), shared: Arc::default() }, received)
    }
}

/// The other end of a queue that is no file thread's.
#[derive(Clone, Debug)]
pub struct Batches {
    queued: Receiver<Batch>,
    shared: Arc<Shared>,
}

impl Batches {
    /// The next batch, if one has come.
    pub fn take(&self) -> Option<Batch> {
        self.queued.try_recv().ok()
    }

    /// Waits until some have come since this was last asked.
    pub async fn some(&self) {
        self.shared.wake.notified().await;
    }
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output, whatever it is.
    Stdout,
    /// A file, appended to and created with mode 0640; or a named pipe or device.
    File(PathBuf),
    /// A syslog server. Lines must come with their headers.
    Syslog(Server),
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A datagram for each line, cut to 8,192 bytes.
    Udp(SocketAddr),
    /// A connection on which each line is preceded by its length.
    Tcp(SocketAddr),
    /// A Unix socket: datagrams as with UDP, or a stream of lines.
    Unix(PathBuf),
}

/// What became of lines. The file thread is the only writer.
#[derive(Debug, Default)]
pub struct Lines {
    /// Lines written.
    pub written: Counter,
    /// Lines lost because writing failed.
    pub lost: Counter,
}

/// The thread, as the one who started it sees it.
#[derive(Debug)]
pub struct FileThread {
    queue: Queue,
    finished: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    wake: Notify,
    reopen: AtomicBool,
    closing: AtomicBool,
    lines: Lines,
}

impl FileThread {
    /// Opens `destination` and starts the thread, with a ring if `ring` says so and the kernel allows it.
    ///
    /// # Errors
    /// The destination cannot be opened (the message names it), or no thread can be started.
    pub fn start(destination: Destination, ring: bool) -> io::Result<Self> {
        if let Destination::Syslog(server) = destination {
            return Self::spawn("ringway-syslog", move |queued, spent, shared| {
                sender::run(server, queued, spent, shared);
            });
        }
        let output = destination.open()?;
        Self::start_on(output, destination, ring)
    }

    /// A way to this thread for one more worker.
    pub fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// What became of lines.
    pub fn lines(&self) -> &Lines {
        &self.queue.shared.lines
    }

    /// Opens the file again by its name, after it was rotated away. If that fails the old one stays.
    pub fn reopen(&self) {
        self.queue.shared.reopen.store(true, Ordering::Release);
        self.queue.shared.wake.notify_one();
    }

    /// Writes what is queued and ends the thread, waiting for at most `limit`. False if there was not enough time; the
    /// rest is lost. Workers must have flushed before.
    pub fn shutdown(&self, limit: Duration) -> bool {
        self.queue.shared.closing.store(true, Ordering::Release);
        self.queue.shared.wake.notify_one();
        // The thread holds the other end and sends nothing: its end shows as a closed channel.
        self.finished.recv_timeout(limit) == Err(channel::RecvTimeoutError::Disconnected)
    }

    fn start_on(output: File, destination: Destination, ring: bool) -> io::Result<Self> {
        Self::spawn("ringway-files", move |queued, spent, shared| {
            writer::run(ring, |ring| Writer::new(output, ring, destination, queued, spent, shared));
        })
    }

    fn spawn(
        name: &str,
        run: impl FnOnce(Receiver<Batch>, Sender<Vec<u8>>, Arc<Shared>) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (batches, queued) = channel::bounded(QUEUE_BATCHES);
        let (spent, spares) = channel::bounded(QUEUE_BATCHES);
        let (alive, finished) = channel::bounded::<()>(0);
        let queue = Queue { batches, spares, shared: shared.clone() };
        let thread = move || {
            let _alive = alive;
            run(queued, spent, shared);
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(thread)?;
        Ok(Self { queue, finished })
    }
}

impl Destination {
    fn open(&self) -> io::Result<File> {
        match self {
            Self::Stdout => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            Self::Syslog(_) => Err(io::ErrorKind::Unsupported.into()),
            Self::File(path) => {
                open(path).map_err(|error| io::Error::new(error.kind(), format!("cannot open the log {self}: {error}")))
            }
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Syslog(server) => server.fmt(f),
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Opening a named pipe would wait for its reader: with this flag it is an error instead.
    let is_pipe = std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo());
    let flags = if is_pipe { libc::O_NONBLOCK } else { 0 };
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn batch(text: &str) -> Batch {
        Batch { bytes: text.into(), lines: text.matches('\n').count() as u32, lost_before: 0 }
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ringway-file-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(10), "{what}");
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    #[test]
    fn lines_are_appended_and_the_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        for ring in [true, false] {
            let path = scratch("append");
            for text in ["a\nb\n", "c\n"] {
                let thread = FileThread::start(Destination::File(path.clone()), ring).unwrap();
                thread.queue().send(batch(text)).unwrap();
                assert!(thread.shutdown(Duration::from_secs(5)));
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn after_a_rotation_lines_go_to_the_new_file() {
        for ring in [true, false] {
            let (path, old) = (scratch("rotate"), scratch("rotated"));
            let thread = FileThread::start(Destination::File(path.clone()), ring).unwrap();
            thread.queue().send(batch("before\n")).unwrap();
            wait_until("the first line", || thread.lines().written.get() == 1);
            std::fs::rename(&path, &old).unwrap();
            thread.reopen();
            wait_until("a new file", || path.exists());
            thread.queue().send(batch("after\n")).unwrap();
            assert!(thread.shutdown(Duration::from_secs(5)));
            assert_eq!(std::fs::read_to_string(&old).unwrap(), "before\n");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
            std::fs::remove_file(&path).unwrap();
            std::fs::remove_file(&old).unwrap();
        }
    }

    #[test]
    fn a_full_disk_costs_lines_that_are_counted() {
        for ring in [true, false] {
            let thread = FileThread::start(Destination::File("/dev/full".into()), ring).unwrap();
            thread.queue().send(batch("a\nb\n")).unwrap();
            thread.queue().send(batch("c\n")).unwrap();
            wait_until("three lines lost", || thread.lines().lost.get() == 3);
            assert_eq!(thread.lines().written.get(), 0);
            assert!(thread.shutdown(Duration::from_secs(5)));
        }
    }

    /// A pipe that nobody reads: senders are refused at once, the end is in time, and what is read later is whole.
    #[test]
    fn a_stuck_reader_holds_up_nobody() {
        for ring in [true, false] {
            let (mut reader, writer) = io::pipe().unwrap();
            let output = File::from(std::os::fd::OwnedFd::from(writer));
            let thread = FileThread::start_on(output, Destination::Stdout, ring).unwrap();
            let line = format!("{}\n", "x".repeat(999));
            let (queue, mut refused) = (thread.queue(), 0);
            for _ in 0..2 * QUEUE_BATCHES {
                refused += queue.send(batch(&line.repeat(100))).err().map_or(0, |batch| batch.lines);
            }
            assert!(refused > 0);
            let start = std::time::Instant::now();
            assert!(!thread.shutdown(Duration::from_millis(50)));
            assert!(start.elapsed() < Duration::from_secs(2));
            let mut first = vec![0; 256 * 1024];
            let length = reader.read(&mut first).unwrap();
            let mut text = String::from_utf8(first[..length].to_vec()).unwrap();
            assert!(text.ends_with('\n'), "a pipe that is full ends with a whole line");
            reader.read_to_string(&mut text).unwrap();
            assert!(text.lines().all(|read| read.len() == 999));
            assert_eq!(text.lines().count() + refused as usize, 2 * QUEUE_BATCHES * 100);
        }
    }

    #[test]
    fn a_reader_that_died_costs_lines_only() {
        for ring in [true, false] {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            let output = File::from(std::os::fd::OwnedFd::from(writer));
            let thread = FileThread::start_on(output, Destination::Stdout, ring).unwrap();
            thread.queue().send(batch("a\n")).unwrap();
            wait_until("the line is lost", || thread.lines().lost.get() == 1);
            assert!(thread.shutdown(Duration::from_secs(5)));
        }
    }

    /// The reader of a named pipe leaves within a line; the next one goes on reading where it left.
    #[test]
    fn a_line_that_broke_off_is_finished_before_others() {
        for ring in [true, false] {
            let path = scratch("fifo");
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            let read_only = || OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
            let (mut first, mut text) = (read_only(), vec![0; 10_500]);
            let thread = FileThread::start(Destination::File(path.clone()), ring).unwrap();
            let line = format!("{}\n", "x".repeat(9_999));
            thread.queue().send(batch(&line.repeat(100))).unwrap();
            let mut length = 0;
            wait_until("a line and a half", || {
                length += first.read(&mut text[length..]).unwrap_or(0);
                length == text.len()
            });
            // Whoever waits for room in the pipe now finds that nobody reads.
            drop(first);
            wait_until("lines are lost", || thread.lines().lost.get() > 0);
            let mut second = read_only();
            thread.queue().send(batch(&line.repeat(5))).unwrap();
            let lines = thread.queue().shared;
            wait_until("all lines are settled", || {
                let _ = second.read_to_end(&mut text);
                lines.lines.written.get() + lines.lines.lost.get() == 105
            });
            assert!(thread.shutdown(Duration::from_secs(5)));
            second.read_to_end(&mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.ends_with('\n') && text.lines().all(|line| line.len() == 9_999));
            assert_eq!(text.lines().count() as u64, lines.lines.written.get());
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_named() {
        let error = FileThread::start(Destination::File("/nonexistent/x.log".into()), false).unwrap_err();
        assert!(error.to_string().starts_with("cannot open the log /nonexistent/x.log: "), "{error}");
    }
}
