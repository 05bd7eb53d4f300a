//! The operational log: `tracing` to standard error, one line per event.
//!
//! No thread that logs ever waits: lines go through a bounded queue to a thread of their own, which may be stuck on a
//! pipe that nobody reads. What does not fit is dropped, counted, and told once lines can be written again.

use crossbeam::channel::{self, Receiver, Sender};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload;

/// The variable that chooses what is logged: `debug`, or by module, `ringway::upstream=debug,warn`.
pub const VARIABLE: &str = "RINGWAY_LOG";

const QUEUE_LINES: usize = 1024;

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// What changes the filter while the process runs, once a log does.
static FILTER: OnceLock<Box<dyn Filter>> = OnceLock::new();

/// The filter of the running log, whatever it filters for.
trait Filter: Send + Sync {
    fn set(&self, filter: EnvFilter) -> Result<(), String>;
    fn text(&self) -> String;
}

impl<S> Filter for reload::Handle<EnvFilter, S> {
    fn set(&self, filter: EnvFilter) -> Result<(), String> {
        self.reload(filter).map_err(|error| format!("the log cannot be filtered anew: {error}"))
    }

    fn text(&self) -> String {
        self.with_current(EnvFilter::to_string).unwrap_or_default()
    }
}

/// Chooses what is logged from now on, in the form of [`VARIABLE`]. Fails with what is wrong with the text.
pub fn set_filter(text: &str) -> Result<(), String> {
    let filter = parse(text)?;
    FILTER.get().ok_or("there is no log to filter")?.set(filter)
}

/// What is logged now; nothing without a running log.
pub fn filter() -> String {
    FILTER.get().map(|filter| filter.text()).unwrap_or_default()
}

fn parse(text: &str) -> Result<EnvFilter, String> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let told = |what: &dyn std::fmt::Display| {
        format!("{what}; write a level such as \"debug\", or \"ringway::upstream=debug,info\"")
    };
    // A word alone is taken for a module's name, of which there is none but ours.
    let odd = text.split(',').map(str::trim).find(|part| {
        let level = part.parse::<LevelFilter>().is_ok();
        let module = part.split(['=', '[']).next().is_some_and(|module| module.contains("::") || part.contains('='));
        !level && !module
    });
    match odd.filter(|part| !part.is_empty()) {
        Some(part) => Err(told(&format_args!("`{part}` is no level"))),
        None => filter.parse(text).map_err(|error| told(&error)),
    }
}

/// Lines dropped since the process started.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The running log.
#[derive(Debug)]
pub struct Logger {
    queue: Sender<Entry>,
}

impl Logger {
    /// Sends every event of the process to standard error from now on; `info` and above unless [`VARIABLE`] says else.
    ///
    /// # Errors
    /// The variable holds no filter, another log is running already, or no thread can be started. The message says
    /// which and what to do.
    pub fn start() -> Result<Self, String> {
        let filter = match std::env::var(VARIABLE) {
            Ok(text) => parse(&text).map_err(|error| format!("{VARIABLE}: {error}"))?,
            Err(_) => parse("")?,
        };
        let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (queue, lines) = channel::bounded(QUEUE_LINES);
        let thread = std::thread::Builder::new().name("ringway-log".into());
        thread
            .spawn(move || write_lines(&lines, io::stderr()))
            .map_err(|error| format!("cannot start the log: {error}"))?;
        let lines = Lines { queue: queue.clone(), colours };
        let log = tracing_subscriber::fmt().compact().with_target(false).with_ansi(colours).with_env_filter(filter);
        let log = log.with_writer(lines).with_filter_reloading();
        let handle = Box::new(log.reload_handle());
        log.try_init().map_err(|error| format!("cannot start the log: {error}"))?;
        let _ = FILTER.set(handle);
        Ok(Self { queue })
    }

    /// Waits until all lines so far are written, for at most `limit`. False if there was not enough time.
    pub fn flush(&self, limit: Duration) -> bool {
        flush(&self.queue, limit)
    }
}

enum Entry {
    Line(Vec<u8>),
    /// Everything before it is written once this is dropped.
    Flush(#[expect(dead_code, reason = "its drop is the message")] Sender<()>),
}

fn flush(queue: &Sender<Entry>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let (mark, reached) = channel::bounded(0);
    queue.send_timeout(Entry::Flush(mark), limit).is_ok()
        && reached.recv_deadline(deadline) == Err(channel::RecvTimeoutError::Disconnected)
}

/// The thread's loop; it ends when nobody can log any more.
fn write_lines(entries: &Receiver<Entry>, mut output: impl Write) {
    let mut told = 0;
    for entry in entries {
        if let Entry::Line(line) = entry {
            // A log that cannot be written has nowhere to complain.
            let written = output.write_all(&line).is_ok();
            let dropped = dropped();
            if written && dropped > told && writeln!(output, "ringway: {} log lines lost", dropped - told).is_ok() {
                told = dropped;
            }
        }
    }
}

/// Makes a queue out of what `tracing` formats.
struct Lines {
    queue: Sender<Entry>,
    colours: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Lines {
    /// `tracing` formats an event first and writes it in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(one_line(event, self.colours))).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One event as one line: what an event quotes may hold control characters. ESC stays only where we colour ourselves;
/// `tracing` escapes it in values.
fn one_line(event: &[u8], colours: bool) -> Vec<u8> {
    let body = event.strip_suffix(b"\n").unwrap_or(event);
    let mut line = Vec::with_capacity(body.len() + 1);
    for byte in body {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            0x1b if colours => line.push(0x1b),
            byte if byte.is_ascii_control() => line.push(b' '),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A standard error that takes nothing until it is let go.
    struct Stuck(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.try_send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_standard_error_blocks_neither_logging_nor_the_end() {
        let (let_go, held) = channel::bounded::<()>(0);
        let (output, written) = channel::bounded(10_000);
        let (queue, entries) = channel::bounded(4);
        let thread = std::thread::spawn(move || write_lines(&entries, Stuck(held, output)));
        let lines = Lines { queue, colours: false };
        let before = dropped();
        for i in 0..50 {
            (&lines).write_all(format!("event {i}\n").as_bytes()).unwrap();
        }
        let lost = dropped() - before;
        assert!((45..=46).contains(&lost), "four wait in the queue, one may be with the thread: {lost}");
        assert!(!flush(&lines.queue, Duration::from_millis(20)));

        drop(let_go);
        assert!(flush(&lines.queue, Duration::from_secs(5)));
        drop(lines);
        thread.join().unwrap();
        let text: Vec<u8> = written.try_iter().flatten().collect();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("event 0\n"), "{text}");
        assert!(text.contains(" log lines lost\n"), "{text}");
    }

    #[test]
    fn an_event_cannot_forge_a_second_line() {
        assert_eq!(one_line(b"a\nINFO forged\r\x1b[2J\n", false), b"a\\nINFO forged  [2J\n");
        assert_eq!(one_line(b"\x1b[32mINFO\x1b[0m x\n", true), b"\x1b[32mINFO\x1b[0m x\n");
    }
}
