//! Where requests are logged, and what the workers' logs go by.

use super::crew::LogTo;
use crate::config::model::{AccessLog, Keep, LogFormat, LogPath, SyslogTo};
use crate::net;
use crate::observe::access::{Format, Header, Policy, Settings};
use crate::observe::file::{Destination, FileThread, Server};
use std::io::ErrorKind;
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

/// Opens a log. A syslog server is not asked: it may come later. Fails with a message for the user.
pub(super) fn open(
    log: Option<&AccessLog>,
    backend: net::Backend,
) -> Result<(Option<LogTo>, Option<Arc<FileThread>>), String> {
    let Some(log) = log else { return Ok((None, None)) };
    let destination = match (&log.syslog, &log.path) {
        (Some(syslog), _) => Destination::Syslog(match &syslog.to {
            SyslogTo::Udp(address) => Server::Udp(*address),
            SyslogTo::Tcp(address) => Server::Tcp(*address),
            SyslogTo::Unix(path) => Server::Unix(path.clone()),
        }),
        (None, LogPath::Stdout) => Destination::Stdout,
        (None, LogPath::File(path)) => Destination::File(path.clone()),
    };
    let file = FileThread::start(destination, backend != net::Backend::Epoll).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("the access log cannot be opened: {error}\n  help: {} must be able to write to it", net::whoami())
        }
        _ => format!("the access log cannot be opened: {error}"),
    })?;
    let to = LogTo { policy: Arc::new(Policy::new(settings(log))), queue: file.queue() };
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

fn settings(log: &AccessLog) -> Settings {
    let keeps = |what| log.keep.contains(&what);
    Settings {
        format: match &log.format {
            LogFormat::Json => Format::Json,
            LogFormat::Combined => Format::Combined,
            LogFormat::Haproxy => Format::Haproxy,
            LogFormat::Template(_, template) => Format::Template(template.clone()),
        },
        sample: log.sample.0,
        keep_errors: keeps(Keep::Errors),
        keep_slower: keeps(Keep::Slow).then(|| u64::try_from(log.slow.0.as_nanos()).unwrap_or(u64::MAX)),
        listeners: log.listeners.clone(),
        routes: log.routes.clone(),
        except_routes: log.except_routes.clone(),
        status: log.status.iter().flat_map(|status| status.ranges()).collect(),
        headers: log.headers.clone(),
        response_headers: log.response_headers.clone(),
        redact_headers: log.redact.all_headers(),
        redact_query: log.redact.query.clone(),
        syslog: log.syslog.as_ref().map(|syslog| {
            let host = syslog.hostname.clone().unwrap_or_else(host_name);
            Header::new(syslog.facility as u8, &host, &syslog.app_name, std::process::id())
        }),
    }
}

/// The host's own name; empty where the kernel does not say.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}
