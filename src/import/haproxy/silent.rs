//! Why nothing was made of a line: because what it stands in has no effect, or because it is said again.
//!
//! What always holds: what HAProxy would have heeded is not called idle here.
//! May depend on the ledger and on what checks are called.

use super::{Line, Section, Work, checks};

/// Keywords that the word behind them tells apart.
const NAMED: [&str; 4] = ["option", "timeout", "errorfile", "no"];

/// Keywords that are about servers.
const OF_SERVERS: [&str; 15] = [
    "server",
    "server-template",
    "balance",
    "cookie",
    "appsession",
    "hash-type",
    "hash-balance-factor",
    "http-check",
    "tcp-check",
    "stick",
    "fullconn",
    "retries",
    "retry-on",
    "http-reuse",
    "source",
];

/// Gives their verdict to the lines of a section that nothing was made of.
pub(super) fn section(work: &mut Work<'_>, section: &Section) {
    if !["frontend", "backend", "listen"].contains(&section.kind.as_str()) {
        return;
    }
    let reason = idle(work, section);
    for (place, line) in section.lines.iter().enumerate() {
        if work.ledger.has_verdict(line.id) {
            continue;
        }
        if section.lines.iter().skip(place + 1).any(|later| says_again(line, later)) {
            work.ledger.differs(line.id, "it is said again below, and that counts");
        } else if let Some(why) = reason.or_else(|| misplaced(section, line)) {
            work.ledger.differs(line.id, why);
        }
    }
}

/// Why a section as a whole does nothing, if so.
fn idle(work: &Work<'_>, section: &Section) -> Option<&'static str> {
    let has = |word: &str| section.lines.iter().any(|line| line.word(0) == word);
    let listens = has("bind") || !["", "from"].contains(&section.head.word(2));
    let led = work.used.contains(&section.name);
    match section.kind.as_str() {
        _ if has("disabled") => Some("the section is disabled: it is left out"),
        "frontend" if !listens => Some("its section listens nowhere: it has no `bind`"),
        "listen" if !listens => Some("its section listens nowhere: it has no `bind`"),
        "backend" if !led => Some("nothing leads to its section"),
        "backend" | "listen" if !work.pools.contains_key(&section.name) => {
            Some("its section has no server that can be used: what goes there gets 503")
        }
        _ => None,
    }
}

/// Why a line means nothing where it stands, if so.
fn misplaced(section: &Section, line: &Line) -> Option<&'static str> {
    match (section.kind.as_str(), line.word(0)) {
        ("frontend", "compression") => Some("nothing goes from its section to servers"),
        ("frontend", word) if OF_SERVERS.contains(&word) => Some("a frontend has no servers: it belongs to a backend"),
        ("frontend", "option") if line.word(1) == "allbackups" || checks::OPTIONS.contains(&line.word(1)) => {
            Some("a frontend has no servers: it belongs to a backend")
        }
        (_, "stick-table") => Some("nothing that is carried over looks at it"),
        ("frontend" | "listen", "tcp-request") => Some("nothing goes on from its section"),
        ("backend" | "listen", word) if OF_SERVERS.contains(&word) => {
            Some("no route that is made leads to its section")
        }
        ("backend", "bind" | "use_backend" | "default_backend" | "monitor" | "monitor-uri" | "maxconn" | "backlog") => {
            Some("a backend listens nowhere and leads nowhere: it belongs to a frontend")
        }
        _ => None,
    }
}

/// Whether a later line takes the place of one.
fn says_again(line: &Line, later: &Line) -> bool {
    let named = NAMED.contains(&line.word(0));
    (named || !super::proxy::adds_up(line.word(0)))
        && line.word(0) == later.word(0)
        && (!named || line.word(1) == later.word(1))
}
