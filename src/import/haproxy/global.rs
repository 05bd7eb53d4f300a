//! The sections of the process: `global`, `resolvers`, `cache`, and where logs go.
//!
//! May depend on the ledger and the draft.

use super::proxy::Proxy;
use super::{Line, Section, Work, time};
use crate::import::draft::Table;

/// What `global` says that other sections go by.
#[derive(Clone, Debug, Default)]
pub(super) struct Globals {
    pub crt_base: Option<String>,
    pub ca_base: Option<String>,
    /// The least version of TLS for listeners.
    pub tls13: bool,
    /// Whether targets are not verified where nothing is said.
    pub unverified: bool,
    logs: Vec<Line>,
}

/// Reads `global`.
pub(super) fn global(work: &mut Work<'_>, section: &Section) {
    work.ledger.carried(section.head.id);
    for line in &section.lines {
        keyword(work, line);
    }
}

fn keyword(work: &mut Work<'_>, line: &Line) {
    let id = line.id;
    let ledger = &mut work.ledger;
    match line.word(0) {
        "log" => work.globals.logs.push(line.clone()),
        "maxconn" => match line.word(1).parse::<i64>() {
            Ok(most) if most > 0 => {
                work.draft.single("runtime").table.set("max_connections", most.min(100_000_000));
                ledger.carried(id);
            }
            _ => ledger.unsupported(id, "it is no number of connections"),
        },
        "nbthread" => match line.word(1).parse::<i64>() {
            Ok(threads @ 1..=1024) => {
                work.draft.single("runtime").table.set("workers", threads);
                ledger.carried(id);
            }
            _ => ledger.unsupported(id, "from 1 to 1024 workers are taken"),
        },
        "nbproc" => ledger.differs(id, "one process has a worker on each processor; `runtime.workers` says how many"),
        "crt-base" => {
            work.globals.crt_base = Some(line.word(1).to_owned());
            ledger.carried(id);
        }
        "ca-base" => {
            work.globals.ca_base = Some(line.word(1).to_owned());
            ledger.carried(id);
        }
        "ssl-default-bind-options" => {
            work.globals.tls13 = minimum(line.rest(1));
            ledger.carried(id);
            if line.words.iter().any(|word| word.contains("tls-tickets")) {
                ledger.differs(id, "tickets are given out unless `tls.tickets.lifetime` is \"0s\"");
            }
        }
        "ssl-server-verify" => {
            work.globals.unverified = line.word(1) == "none";
            ledger.carried(id);
        }
        "stats" => match line.word(1) {
            "socket" => {
                work.draft.single("admin").table.set("socket", "/run/ringway/admin.sock");
                ledger.differs(id, "the admin listener takes its place, by a socket of its own for this process's user alone; it speaks HTTP, and `ringway status`, `target` and others ask by it");
            }
            _ => ledger.differs(id, "it concerns the socket of statistics, whose place the admin listener takes"),
        },
        "daemon" | "quiet" => ledger.differs(id, "the process stays in the foreground, as systemd wants it"),
        "master-worker" => {
            ledger.differs(id, "reload by SIGHUP and upgrade by SIGUSR2 lose no connection without a master process")
        }
        "user" | "group" | "uid" | "gid" => {
            ledger.unsupported(
                id,
                "a user of its own is better than another program's: `runtime.user`, or `User=` in the unit of systemd",
            );
        }
        "chroot" | "pidfile" => {
            ledger.unsupported(id, "the unit of systemd says where it runs");
        }
        "lua-load" | "lua-load-per-thread" | "lua-prepend-path" => {
            ledger.unsupported(id, "Lua is not run: rules and conditions take its place");
        }
        "insecure-fork-wanted" | "external-check" | "insecure-setuid-wanted" => ledger.carried(id),
        "setenv" | "presetenv" | "resetenv" | "unsetenv" => {
            ledger.unsupported(id, "set the variable where Ringway is started: `${NAME}` in the file stands for it");
        }
        "ssl-default-bind-ciphers"
        | "ssl-default-bind-ciphersuites"
        | "ssl-default-server-ciphers"
        | "ssl-default-server-ciphersuites"
        | "ssl-default-bind-curves"
        | "ssl-default-server-curves"
        | "ssl-default-server-options"
        | "ssl-default-bind-sigalgs"
        | "ssl-dh-param-file"
        | "ssl-security-level" => {
            ledger.differs(id, "TLS 1.2 and 1.3 are spoken with AES-GCM and ChaCha20-Poly1305 and forward secrecy alone, which cannot be chosen otherwise than by `tls.level`");
        }
        "maxconnrate" | "maxsessrate" | "maxsslrate" | "maxsslconn" | "maxpipes" | "maxcompcpuusage"
        | "maxcomprate" | "maxzlibmem" => {
            ledger.unsupported(id, "there is no such limit for the process: listeners have `limits` by client, `limits.compression` bounds memory");
        }
        "hard-stop-after" => match time::milliseconds(line.word(1)) {
            Some(stop) => {
                work.draft.single("upgrade").table.set("drain", time::duration(stop.max(1)));
                ledger.differs(id, "it is how long an old process serves its last connections after an upgrade; `runtime.shutdown_timeout` is for the end");
            }
            None => ledger.unsupported(id, "it is no time"),
        },
        "server-state-file" | "server-state-base" => {
            ledger.differs(id, "a reload and an upgrade keep the state of targets by themselves")
        }
        "ulimit-n"
        | "fd-hard-limit"
        | "node"
        | "description"
        | "localpeer"
        | "cpu-map"
        | "thread-groups"
        | "cpu-policy"
        | "spread-checks"
        | "max-spread-checks"
        | "nopoll"
        | "noepoll"
        | "nosplice"
        | "busy-polling"
        | "zero-warning"
        | "strict-limits"
        | "numa-cpu-mapping"
        | "set-dumpable"
        | "log-send-hostname"
        | "ssl-mode-async"
        | "expose-experimental-directives"
        | "h1-accept-payload-with-any-method" => {
            ledger.differs(id, "nothing is to be said of it here");
        }
        "tune.maxrewrite" | "tune.bufsize" => {
            ledger.differs(id, "buffers grow and shrink by themselves; `limits.request_head` bounds heads");
        }
        word if word.starts_with("tune.") => ledger.differs(id, "there is nothing to tune here"),
        word => ledger.unsupported(id, format!("`{word}` is not known")),
    }
}

/// Whether only TLS 1.3 is spoken. Older versions than 1.2 are not spoken in any case.
pub(super) fn minimum(words: &[String]) -> bool {
    let after = |name: &str| words.iter().position(|word| word == name).and_then(|place| words.get(place + 1));
    after("ssl-min-ver").is_some_and(|version| version == "TLSv1.3")
        || words.iter().any(|word| word == "no-tlsv12" || word == "force-tlsv13")
}

/// Reads a `resolvers` section.
pub(super) fn resolvers(work: &mut Work<'_>, section: &Section) {
    let ledger = &mut work.ledger;
    ledger.carried(section.head.id);
    let mut servers = Vec::new();
    for line in &section.lines {
        match line.word(0) {
            "nameserver" => {
                let address = line.word(2).trim_start_matches("udp@").trim_start_matches("tcp@");
                let address = address.strip_suffix(":53").unwrap_or(address);
                let valid =
                    address.parse::<std::net::IpAddr>().is_ok() || address.parse::<std::net::SocketAddr>().is_ok();
                match valid {
                    true => {
                        servers.push(address.to_owned());
                        ledger.carried(line.id);
                    }
                    false => ledger.unsupported(line.id, "a name server is an IP address"),
                }
            }
            "parse-resolv-conf" => ledger.carried(line.id),
            "hold" | "resolve_retries" | "timeout" | "accepted_payload_size" => {
                ledger.differs(line.id, "names are asked for again when their TTL is over; a source that fails changes nothing, and `hold` of `discover` says for how long it must be said that there is no target; `[dns]` has `timeout` and `attempts`");
            }
            _ => ledger.unsupported(line.id, "it is not known"),
        }
    }
    work.resolvers.insert(section.name.clone(), servers);
}

/// Reads a `cache` section.
pub(super) fn cache(work: &mut Work<'_>, section: &Section) {
    let ledger = &mut work.ledger;
    ledger.carried(section.head.id);
    let mut table = Table::new();
    for line in &section.lines {
        match (line.word(0), line.word(1).parse::<u64>()) {
            ("total-max-size", Ok(mebibytes)) if mebibytes > 0 => {
                table.set("memory", format!("{}MiB", mebibytes.min(1 << 20)));
                ledger.carried(line.id);
            }
            ("max-object-size", _) => ledger.differs(line.id, "an answer takes a sixteenth of the memory at most"),
            ("max-age", _) => ledger.differs(
                line.id,
                "answers are kept as long as they say themselves: `cache.ttl` of a route says otherwise",
            ),
            ("process-vary" | "max-secondary-entries", _) => ledger.carried(line.id),
            _ => ledger.unsupported(line.id, "it is not known"),
        }
    }
    let name = work.draft.name("caches", &section.name);
    work.draft.add("caches", &name, table, Vec::new());
    work.caches.insert(section.name.clone(), name);
}

/// Says where the access log goes: one place, the first that is named for traffic.
pub(super) fn logs(work: &mut Work<'_>, all: &[Proxy]) {
    let mut lines = work.globals.logs.clone();
    let mut formats = Vec::new();
    let mut used = false;
    for proxy in all {
        for line in proxy.lines("log") {
            if line.word(1) == "global" {
                used = true;
                work.ledger.carried(line.id);
            } else if !lines.iter().any(|other| other.id == line.id) {
                used = true;
                lines.push(line.clone());
            }
        }
        formats.extend(proxy.line("log-format").cloned());
    }
    for line in &formats {
        work.ledger.differs(line.id, "records have HAProxy's own form (`access_log.format`), which takes a template with fields in braces as well");
    }
    let mut is_said = false;
    for line in &lines {
        let id = line.id;
        let traffic = !matches!(level(line), "notice" | "warning" | "err" | "crit" | "alert" | "emerg");
        let Some(place) = place(line).filter(|_| used && traffic && !is_said) else {
            match (used, traffic) {
                (false, _) => work.ledger.differs(id, "no section logs to it: there is no access log"),
                (_, false) => work.ledger.differs(id, "what is told of the process goes to standard error"),
                _ if is_said => work
                    .ledger
                    .unsupported(id, "the access log has one place, which is named already: let syslog pass it on"),
                _ => work.ledger.unsupported(id, "its place is not known: an IP address, a socket or stdout are"),
            }
            continue;
        };
        is_said = true;
        let log = &mut work.draft.single("access_log").table;
        log.set("format", "haproxy");
        match place {
            Place::Stdout => log.set("path", "stdout"),
            Place::Syslog(to) => {
                let mut syslog = Table::new().with("to", to);
                let facility = line.words.iter().skip(2).find(|word| FACILITIES.contains(&word.as_str()));
                if let Some(facility) = facility {
                    syslog.set("facility", facility.clone());
                }
                log.set("syslog", syslog);
            }
        }
        work.ledger.carried(id);
    }
}

const FACILITIES: [&str; 20] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "local0",
    "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

enum Place {
    Stdout,
    Syslog(String),
}

fn place(line: &Line) -> Option<Place> {
    let to = line.word(1);
    if to == "stdout" || to == "fd@1" || to == "stderr" || to == "fd@2" {
        return Some(Place::Stdout);
    }
    if to.starts_with('/') {
        return Some(Place::Syslog(format!("unix:{to}")));
    }
    let (scheme, address) = match to.strip_prefix("tcp@") {
        Some(rest) => ("tcp", rest),
        None => ("udp", to.trim_start_matches("udp@").trim_start_matches("ipv4@")),
    };
    let address = address.replace("localhost", "127.0.0.1");
    if let Ok(address) = address.parse::<std::net::SocketAddr>() {
        return Some(Place::Syslog(format!("{scheme}://{address}")));
    }
    let address: std::net::IpAddr = address.parse().ok()?;
    Some(Place::Syslog(format!("{scheme}://{}", std::net::SocketAddr::new(address, 514))))
}

/// The least level that is sent there: what stands behind the facility.
fn level(line: &Line) -> &str {
    let place = line.words.iter().position(|word| FACILITIES.contains(&word.as_str()));
    place.and_then(|place| line.words.get(place + 1)).map_or("", String::as_str)
}
