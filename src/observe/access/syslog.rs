//! What goes before a line on its way to a syslog server (RFC 5424 §6): priority, time, host, name, process.

use super::Record;
use super::policy::Gist;
use super::stamp::Stamp;
use crate::observe::reason::Cause;

/// The part of a message that lines of a process have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    facility: u8,
    /// From the host to the structured data, with a space at either end.
    origin: Vec<u8>,
}

/// The byte order mark before a message in UTF-8 that is more than ASCII (RFC 5424 §6.4).
const MARK: &[u8] = "\u{feff}".as_bytes();

impl Header {
    /// A header of `facility` (0 to 23), as this host and program. What may not be in a header is left out of them.
    pub fn new(facility: u8, host: &str, name: &str, process: u32) -> Self {
        let printable = |text: &str, most: usize| {
            let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
            if text.is_empty() { "-".to_owned() } else { text }
        };
        let (host, name) = (printable(host, 255), printable(name, 48));
        Self { facility: facility.min(23), origin: format!(" {host} {name} {process} access - ").into_bytes() }
    }

    /// Appends the header of a line about `record` to `out`; `stamp` is moved to the record's end.
    pub(super) fn write(&self, record: &Record<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) {
        let priority = u64::from(self.facility) * 8 + severity(record);
        out.push(b'<');
        super::number(priority, out);
        out.extend_from_slice(b">1 ");
        stamp.set(record.start_ns.saturating_add(record.times.total));
        stamp.rfc3339(out);
        out.extend_from_slice(&self.origin);
    }
}

/// Puts the mark before the message that begins at `start` if it needs one.
pub(super) fn mark(start: usize, out: &mut Vec<u8>) {
    if !out[start..].is_ascii() {
        out.splice(start..start, MARK.iter().copied());
    }
}

/// 3 (error) if the answer was an error of the server's side or none, 4 (warning) if it ended otherwise than normally,
/// 6 (informational) else.
fn severity(record: &Record<'_>) -> u64 {
    let gist = Gist {
        listener: record.listener,
        route: record.route,
        status: record.http.as_ref().map(|http| http.status),
        total: record.times.total,
        failed: !record.reason.is_empty(),
    };
    let ours = matches!(
        record.termination.cause,
        Cause::Target | Cause::TargetTimeout | Cause::Resource | Cause::Internal | Cause::Down
    );
    match (gist.is_error(), gist.failed && !ours && gist.status.is_none_or(|status| status < 500)) {
        (false, _) => 6,
        (true, true) => 4,
        (true, false) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{http, tcp};
    use super::super::{Format, Http, Settings};
    use super::*;
    use crate::observe::reason::{Phase, Termination};

    fn line(record: &Record<'_>) -> String {
        let syslog = Some(Header::new(16, "lb 1", "ring\nway", 42));
        let policy = super::super::Policy::new(Settings { syslog, ..Settings::new(Format::Json) });
        let mut out = Vec::new();
        super::super::Formatter::new(policy.into()).write(record, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_a_message_of_its_time_and_place() {
        let line = line(&http());
        let expected = "<134>1 2026-11-25T04:26:03.154Z lb1 ringway 42 access - {\"time\":\"2026-11-25T04:26:03.045Z\"";
        assert!(line.starts_with(expected), "{line}");
    }

    #[test]
    fn what_went_wrong_has_a_higher_severity() {
        let with = |status, reason, cause| Record {
            http: Some(Http { status, ..http().http.unwrap_or_default() }),
            reason,
            termination: Termination { cause, phase: Phase::Data },
            ..http()
        };
        for (record, priority) in [
            (with(200, "", Cause::Done), "<134>"),
            (with(404, "", Cause::Done), "<134>"),
            (with(404, "no-route", Cause::Local), "<132>"),
            (with(0, "client-abort", Cause::Client), "<132>"),
            (with(502, "connect", Cause::Target), "<131>"),
            (with(500, "", Cause::Done), "<131>"),
            (with(200, "reset", Cause::Target), "<131>"),
            (tcp(), "<131>"),
        ] {
            assert!(line(&record).starts_with(priority), "{record:?}");
        }
    }

    #[test]
    fn only_a_message_beyond_ascii_has_the_mark() {
        assert!(!line(&http()).contains('\u{feff}'));
        let record = Record { http: Some(Http { user_agent: "né".as_bytes(), ..Http::default() }), ..http() };
        assert!(line(&record).contains(" access - \u{feff}{\"time\""));
    }
}
