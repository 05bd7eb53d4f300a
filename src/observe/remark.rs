//! Exchanges that are worth a look: those that failed, were refused or took long.
//!
//! What always holds: noting one takes no lock and waits for nobody; whoever collects them may be slow or away, and then the ones
//! that find no room are counted and dropped, at no further cost. Nothing is kept that clients prove themselves with: of a request's
//! target the path alone.

use super::access::{Record, Times};
use super::reason::Cause;
use crossbeam::queue::ArrayQueue;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Remarks of a kind that wait to be collected, on a worker: as many as come in a second that anybody would read.
const ROOM: usize = 64;
/// Bytes of what clients have sent that are kept of a text.
const LONGEST: usize = 200;

/// Why an exchange is worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A target or Ringway failed it: it ended with 500 or above, or not as it should.
    Failed,
    /// It was refused, or the client left.
    Refused,
    /// It went well, and took long.
    Slow,
}

/// An exchange, or a connection, that is worth a look.
#[derive(Clone, Debug)]
pub struct Remark {
    /// Why.
    pub kind: Kind,
    /// When it began, ns since 1970.
    pub start_ns: u64,
    /// Who asked; `None` for a peer on a Unix socket.
    pub client: Option<IpAddr>,
    /// The listener's name.
    pub listener: String,
    /// The route's name; empty if none took it.
    pub route: String,
    /// The pool's name; empty if none was asked.
    pub pool: String,
    /// The target that was tried last; empty if none was.
    pub target: String,
    /// The request; `None` for a connection.
    pub request: Option<Request>,
    /// Tries sent to targets.
    pub tries: u32,
    /// The word for how it ended; empty if it ended well.
    pub reason: &'static str,
    /// How long it took.
    pub times: Times,
}

/// What there is of HTTP about a [`Remark`].
#[derive(Clone, Debug)]
pub struct Request {
    /// The id.
    pub id: String,
    /// The method.
    pub method: String,
    /// The host; empty if there was none.
    pub host: String,
    /// The path, without the query.
    pub path: String,
    /// The status sent; 0 if none was.
    pub status: u16,
    /// The consumer; empty where none is known.
    pub consumer: String,
    /// The rule that refused it; empty where none did.
    pub rule: String,
}

/// Remarks of one worker that wait to be collected. Any thread may note and collect.
#[derive(Debug, Default)]
pub struct Remarks {
    /// By [`Kind`]; made when the first one is noted.
    rooms: [OnceLock<ArrayQueue<Box<Remark>>>; Kind::ALL.len()],
    dropped: AtomicU64,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failed, Self::Refused, Self::Slow];

    /// Its word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Slow => "slow",
        }
    }

    /// Why an exchange of this record is worth a look, if it is.
    pub fn of(record: &Record<'_>, slow: u64) -> Option<Self> {
        let status = record.http.as_ref().map_or(0, |http| http.status);
        let clients = matches!(record.termination.cause, Cause::Client | Cause::ClientTimeout | Cause::Killed);
        let refused = (400..500).contains(&status) || clients;
        match () {
            () if status >= 500 || !record.reason.is_empty() && !refused => Some(Self::Failed),
            () if !record.reason.is_empty() => Some(Self::Refused),
            // A tunnel, or a connection, lasts for as long as both sides like.
            () if record.http.is_some() && status != 101 && record.times.total > slow => Some(Self::Slow),
            () => None,
        }
    }
}

impl Remarks {
    /// Notes an exchange if there is room. What it is made of is put together only then.
    pub fn note(&self, kind: Kind, record: &Record<'_>) {
        let room = self.rooms[kind as usize].get_or_init(|| ArrayQueue::new(ROOM));
        if room.is_full() || room.push(Box::new(Remark::of(kind, record))).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Takes what waits.
    pub fn collect(&self) -> impl Iterator<Item = Box<Remark>> {
        // No more than there is room for, should others come in the meantime.
        self.rooms.iter().filter_map(OnceLock::get).flat_map(|room| (0..ROOM).map_while(|_| room.pop()))
    }

    /// How many found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Remark {
    fn of(kind: Kind, record: &Record<'_>) -> Self {
        let request = record.http.as_ref().map(|http| {
            let path = http.target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
            Request {
                id: text(http.request_id),
                method: text(http.method),
                host: text(http.host),
                path: text(path),
                status: http.status,
                consumer: http.consumer.to_owned(),
                rule: http.denied_by.to_owned(),
            }
        });
        Self {
            kind,
            start_ns: record.start_ns,
            client: record.client.map(|client| client.ip().to_canonical()),
            listener: record.listener.to_owned(),
            route: record.route.to_owned(),
            pool: record.pool.to_owned(),
            target: record.target.to_owned(),
            request,
            tries: record.tries,
            reason: record.reason,
            times: record.times,
        }
    }
}

/// What was sent, bounded, with nothing in it that a terminal would heed.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes));
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if bytes.len() > LONGEST { clean + "…" } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::access::Http;
    use crate::observe::access::tests::http;
    use crate::observe::reason::{Phase, Termination};

    fn ended(status: u16, reason: &'static str, cause: Cause) -> Record<'static> {
        let record = http();
        let told = Http { status, ..record.http.clone().unwrap() };
        Record { http: Some(told), reason, termination: Termination { cause, phase: Phase::Headers }, ..record }
    }

    #[test]
    fn what_is_worth_a_look_is_told_by_whose_fault_it_was() {
        let of = |status, reason, cause| Kind::of(&ended(status, reason, cause), u64::MAX);
        assert_eq!(of(200, "", Cause::Done), None);
        assert_eq!(of(404, "", Cause::Done), None, "the target's own answer");
        assert_eq!(of(503, "", Cause::Done), Some(Kind::Failed));
        assert_eq!(of(502, "connect", Cause::Target), Some(Kind::Failed));
        assert_eq!(of(200, "reset", Cause::Target), Some(Kind::Failed), "an answer that broke off");
        assert_eq!(of(429, "rate-limit", Cause::Proxy), Some(Kind::Refused));
        assert_eq!(of(200, "client-abort", Cause::Client), Some(Kind::Refused));
        let slow = ended(200, "", Cause::Done);
        assert_eq!(Kind::of(&slow, slow.times.total - 1), Some(Kind::Slow));
        assert_eq!(Kind::of(&ended(101, "", Cause::Done), 0), None, "a tunnel");
        assert_eq!(Kind::of(&Record { http: None, reason: "", ..slow }, 0), None, "a connection");
    }

    #[test]
    fn a_flood_fills_its_own_room_and_is_counted() {
        let remarks = Remarks::default();
        (0..ROOM + 10).for_each(|_| remarks.note(Kind::Refused, &ended(404, "no-route", Cause::Local)));
        remarks.note(Kind::Failed, &ended(502, "connect", Cause::Target));
        assert_eq!(remarks.dropped(), 10);
        let kinds: Vec<Kind> = remarks.collect().map(|remark| remark.kind).collect();
        assert_eq!((kinds.len(), kinds[0]), (ROOM + 1, Kind::Failed));
        assert_eq!(remarks.collect().count(), 0);
    }

    #[test]
    fn what_clients_sent_is_bounded_and_queries_are_left_out() {
        let long = [b"/a\x1b[2J\xff".to_vec(), vec![b'b'; 900], b"?token=secret".to_vec()].concat();
        let mut record = ended(502, "connect", Cause::Target);
        for target in [&b"/page?token=secret"[..], &long] {
            record.http.as_mut().unwrap().target = target.to_vec().leak();
            let remark = Remark::of(Kind::Failed, &record);
            let path = remark.request.unwrap().path;
            assert!(!path.contains("secret") && !path.contains('\x1b') && path.len() <= LONGEST + 20, "{path}");
        }
    }
}
