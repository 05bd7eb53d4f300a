//! A frontend, backend or listen with all that it goes by, sorted by keyword: what stands in it after what its `defaults` say.
//!
//! May depend on what is known of keywords.

use super::{Line, Section, known, time};
use crate::import::report::{Ledger, LineId};
use std::collections::BTreeMap;

/// A frontend, a backend, or both.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub head: LineId,
    pub name: String,
    pub fronts: bool,
    pub backs: bool,
    pub http: bool,
    /// Lines of keywords that add up, in their order.
    many: BTreeMap<&'static str, Vec<Line>>,
    /// Of keywords of which the last line counts, that line.
    single: BTreeMap<&'static str, Line>,
    /// `option NAME`, unless it was switched off.
    options: BTreeMap<String, Line>,
    /// `timeout NAME`, in milliseconds.
    timeouts: BTreeMap<String, (LineId, u64)>,
}

/// Keywords that add up.
const MANY: [&str; 33] = [
    "bind",
    "acl",
    "http-request",
    "http-response",
    "http-after-response",
    "tcp-request",
    "tcp-response",
    "redirect",
    "use_backend",
    "server",
    "server-template",
    "http-check",
    "tcp-check",
    "stick",
    "log",
    "stats",
    "compression",
    "errorfile",
    "capture",
    "use-server",
    "reqadd",
    "reqdel",
    "reqidel",
    "reqrep",
    "reqirep",
    "rspadd",
    "rspdel",
    "rspidel",
    "reqdeny",
    "reqideny",
    "block",
    "monitor",
    "http-error",
];

/// Whether lines of a keyword add up, so that none takes the place of another.
pub(super) fn adds_up(keyword: &str) -> bool {
    MANY.contains(&keyword) || keyword == "default-server"
}

/// Keywords of which the last line counts.
const SINGLE: [&str; 24] = [
    "balance",
    "cookie",
    "retries",
    "retry-on",
    "hash-type",
    "fullconn",
    "stick-table",
    "monitor-uri",
    "unique-id-header",
    "unique-id-format",
    "maxconn",
    "log-format",
    "default_backend",
    "default-server",
    "hash-balance-factor",
    "http-reuse",
    "source",
    "external-check",
    "appsession",
    "backlog",
    "disabled",
    "mode",
    "tarpit",
    "dynamic-cookie-key",
];

/// Old names of times.
const OLD_TIMES: [(&str, &str); 3] = [("contimeout", "connect"), ("clitimeout", "client"), ("srvtimeout", "server")];

impl Proxy {
    /// Sorts the lines of a section.
    pub fn read(ledger: &mut Ledger, section: &Section) -> Proxy {
        let mut proxy = Proxy {
            head: section.head.id,
            name: section.name.clone(),
            fronts: section.kind != "backend",
            backs: section.kind != "frontend",
            http: false,
            many: BTreeMap::new(),
            single: BTreeMap::new(),
            options: BTreeMap::new(),
            timeouts: BTreeMap::new(),
        };
        ledger.carried(section.head.id);
        // `listen NAME ADDRESS`, as it was written once.
        let head = &section.head;
        if proxy.fronts && !["", "from"].contains(&head.word(2)) {
            let words = ["bind".to_owned()].into_iter().chain(head.rest(2).iter().cloned()).collect();
            proxy.many.entry("bind").or_default().push(Line { id: head.id, words });
        }
        for line in section.inherited.iter().chain(&section.lines) {
            proxy.take(ledger, line);
        }
        proxy
    }

    fn take(&mut self, ledger: &mut Ledger, line: &Line) {
        let word = line.word(0);
        if let Some((_, name)) = OLD_TIMES.iter().find(|(old, _)| *old == word) {
            return self.time(ledger, line, name, line.word(1));
        }
        if let Some(word) = MANY.iter().find(|name| **name == word) {
            // What is said of the same status again counts alone.
            let lines = self.many.entry(word).or_default();
            if *word == "errorfile" {
                lines.retain(|old| old.word(1) != line.word(1));
            }
            lines.push(line.clone());
            return;
        }
        match word {
            "mode" => {
                self.http = line.word(1) == "http";
                match line.word(1) {
                    "http" | "tcp" => ledger.carried(line.id),
                    "health" => ledger.unsupported(line.id, "use a route with `respond`"),
                    other => ledger.unsupported(line.id, format!("there is no mode `{other}`")),
                }
            }
            "timeout" => self.time(ledger, line, line.word(1), line.word(2)),
            "option" => {
                self.options.insert(line.word(1).to_owned(), line.clone());
            }
            "no" if line.word(1) == "option" => {
                self.options.remove(line.word(2));
                known::switched_off(ledger, line);
            }
            "no" if line.word(1) == "log" => {
                self.many.remove("log");
                ledger.carried(line.id);
            }
            "default-server" => {
                // They add up, the last word counting.
                let words = line.rest(1).iter().cloned();
                match self.single.get_mut("default-server") {
                    Some(old) => old.words.extend(words),
                    None => {
                        self.single.insert("default-server", line.clone());
                    }
                }
                ledger.carried(line.id);
            }
            word => match SINGLE.iter().find(|name| **name == word) {
                Some(word) => {
                    self.single.insert(word, line.clone());
                }
                None => known::keyword(ledger, line),
            },
        }
    }

    fn time(&mut self, ledger: &mut Ledger, line: &Line, name: &str, value: &str) {
        let name = match name {
            "clitimeout" => "client",
            "srvtimeout" => "server",
            "contimeout" => "connect",
            other => other,
        };
        match time::milliseconds(value) {
            Some(time) => {
                ledger.carried(line.id);
                self.timeouts.insert(name.to_owned(), (line.id, time));
            }
            None => ledger.unsupported(line.id, format!("`{value}` is no time")),
        }
    }

    /// The lines of a keyword that adds up.
    pub fn lines(&self, keyword: &str) -> &[Line] {
        self.many.get(keyword).map_or(&[], Vec::as_slice)
    }

    /// The line of a keyword that counts once.
    pub fn line(&self, keyword: &str) -> Option<&Line> {
        self.single.get(keyword)
    }

    /// An option that is on.
    pub fn option(&self, name: &str) -> Option<&Line> {
        self.options.get(name)
    }

    /// All options that are on.
    pub fn options(&self) -> impl Iterator<Item = &Line> {
        self.options.values()
    }

    /// A time that is not endless.
    pub fn timeout(&self, name: &str) -> Option<(LineId, u64)> {
        self.timeouts.get(name).copied().filter(|(_, time)| *time > 0)
    }

    /// All times by their names.
    pub fn timeouts(&self) -> impl Iterator<Item = (&str, LineId)> {
        self.timeouts.iter().map(|(name, (id, _))| (name.as_str(), *id))
    }

    /// Whether it is there for the statistics page alone.
    pub fn is_page(&self) -> bool {
        let serves = ["server", "server-template", "use_backend"].iter().any(|word| !self.lines(word).is_empty());
        !serves && self.line("default_backend").is_none() && self.fronts && self.has_page()
    }

    /// Whether it has the statistics page or the exporter of metrics.
    pub fn has_page(&self) -> bool {
        let stats = |line: &Line| ["enable", "uri", "auth"].contains(&line.word(1));
        let service = |line: &Line| line.word(1) == "use-service";
        self.lines("stats").iter().any(stats) || self.lines("http-request").iter().any(service)
    }
}
