//! Where requests are logged.

use super::crew::LogTo;
use crate::config::model::{AccessLog, LogFormat, LogPath};
use crate::net;
use crate::observe::access::Format;
use crate::observe::file::{Destination, FileThread};
use std::sync::Arc;
use std::time::Duration;

/// What becomes of the log under a plan that follows.
pub(super) enum Opened {
    /// It goes on.
    AsBefore,
    /// It goes there from now on, if anywhere.
    Anew(Option<LogTo>, Option<Arc<FileThread>>),
}

/// How long the last lines of exchanges that began under the plan before are waited for.
const STRAGGLERS: Duration = Duration::from_secs(2);
/// How long it may take to write them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Opens a log. Fails with a message for the user.
pub(super) fn open(
    log: Option<&AccessLog>,
    backend: net::Backend,
) -> Result<(Option<LogTo>, Option<Arc<FileThread>>), String> {
    let Some(log) = log else { return Ok((None, None)) };
    let destination = match &log.path {
        LogPath::Stdout => Destination::Stdout,
        LogPath::File(path) => Destination::File(path.clone()),
    };
    let file = FileThread::start(destination, backend != net::Backend::Epoll)
        .map_err(|error| format!("the access log cannot be opened: {error}"))?;
    let format = match log.format {
        LogFormat::Json => Format::Json,
        LogFormat::Combined => Format::Combined,
        LogFormat::Haproxy => Format::Haproxy,
    };
    let to = LogTo { format, sample: log.sample.0, queue: file.queue() };
    Ok((Some(to), Some(Arc::new(file))))
}

/// Opens the log of a plan that follows, where it is another one.
pub(super) fn follow(
    before: &Option<AccessLog>,
    next: &Option<AccessLog>,
    backend: net::Backend,
) -> Result<Opened, String> {
    if before == next {
        return Ok(Opened::AsBefore);
    }
    let (to, file) = open(next.as_ref(), backend)?;
    Ok(Opened::Anew(to, file))
}

/// Ends a log that no plan has any more, once what began under its own has had time to end.
pub(super) fn end_later(file: Arc<FileThread>) {
    tokio::spawn(async move {
        tokio::time::sleep(STRAGGLERS).await;
        let _ = tokio::task::spawn_blocking(move || file.shutdown(LAST_LINES)).await;
    });
}
