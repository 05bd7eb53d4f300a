//! haproxy.cfg: its sections read, and what they mean in Ringway's words.
//!
//! A frontend becomes listeners, and its rules in their order become routes with falling priority; a backend becomes a pool, and its rules
//! go with the routes that lead to it.
//! May depend on the rest of `import`.

mod acl;
mod answer;
mod back;
mod binds;
mod checks;
mod edits;
mod format;
mod front;
mod global;
mod header;
mod known;
mod legacy;
mod limits;
mod maps;
mod proxy;
mod sample;
mod server;
mod silent;
mod steps;
mod sticky;
mod time;
mod words;

pub(super) use edits::editable;

use super::draft::Draft;
use super::report::{Ledger, LineId, Report};
use super::{Around, Wrong};
use proxy::Proxy;
use std::collections::{BTreeMap, BTreeSet};

/// A line with its words.
#[derive(Clone, Debug)]
struct Line {
    pub id: LineId,
    pub words: Vec<String>,
}

impl Line {
    fn word(&self, place: usize) -> &str {
        self.words.get(place).map_or("", String::as_str)
    }

    fn rest(&self, from: usize) -> &[String] {
        self.words.get(from..).unwrap_or_default()
    }
}

/// A section with its lines.
#[derive(Clone, Debug)]
struct Section {
    pub kind: String,
    pub name: String,
    pub head: Line,
    pub lines: Vec<Line>,
    /// The lines of the `defaults` that it goes by.
    pub inherited: Vec<Line>,
}

/// All that a translation is made with and of.
struct Work<'a> {
    pub ledger: Ledger,
    pub draft: Draft,
    pub around: &'a dyn Around,
    /// Backends and listens by their names; a frontend may be called like one.
    pub proxies: BTreeMap<String, Proxy>,
    /// Names of pools by the backends that became them.
    pub pools: BTreeMap<String, String>,
    /// Name servers by the `resolvers` that name them.
    pub resolvers: BTreeMap<String, Vec<String>>,
    /// The caches that there are, by their names.
    pub caches: BTreeMap<String, String>,
    /// Stick tables by the sections that have them.
    pub tables: BTreeMap<String, limits::Counted>,
    pub globals: global::Globals,
    /// Backends that something leads to.
    pub used: BTreeSet<String>,
}

/// Translates a file.
pub(super) fn import(name: &str, text: &str, around: &dyn Around) -> Result<(Draft, Report), Wrong> {
    let mut ledger = Ledger::default();
    let sections = read(name, text, &mut ledger)?;
    let mut work = Work {
        ledger,
        draft: Draft::default(),
        around,
        proxies: BTreeMap::new(),
        pools: BTreeMap::new(),
        resolvers: BTreeMap::new(),
        caches: BTreeMap::new(),
        tables: BTreeMap::new(),
        globals: global::Globals::default(),
        used: BTreeSet::new(),
    };
    for section in &sections {
        match section.kind.as_str() {
            "global" => global::global(&mut work, section),
            "resolvers" => global::resolvers(&mut work, section),
            "cache" => global::cache(&mut work, section),
            "frontend" | "backend" | "listen" => {}
            "defaults" => work.ledger.carried(section.head.id),
            other => known::section(&mut work.ledger, other, section),
        }
    }
    let mut all = Vec::new();
    for section in sections.iter().filter(|section| ["frontend", "backend", "listen"].contains(&section.kind.as_str()))
    {
        let proxy = Proxy::read(&mut work.ledger, section);
        if let Some(counted) = limits::table(&mut work.ledger, &proxy) {
            work.tables.insert(proxy.name.clone(), counted);
        }
        if proxy.backs {
            work.proxies.insert(proxy.name.clone(), proxy.clone());
        }
        all.push(proxy);
    }
    global::logs(&mut work, &all);
    for proxy in &all {
        back::pool(&mut work, proxy);
    }
    for proxy in &all {
        front::front(&mut work, proxy);
    }
    for line in sections.iter().flat_map(|section| &section.lines) {
        if !work.ledger.has_verdict(line.id) && line.word(0) == "acl" {
            work.ledger.differs(line.id, "nothing that is carried over asks for it");
        }
    }
    sections.iter().for_each(|section| silent::section(&mut work, section));
    for line in sections.iter().filter(|section| section.kind == "defaults").flat_map(|section| &section.lines) {
        if !work.ledger.has_verdict(line.id) {
            work.ledger.differs(line.id, "no section of this file goes by it");
        }
    }
    Ok((work.draft, work.ledger.close()))
}

const SECTIONS: [&str; 22] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "resolvers",
    "cache",
    "peers",
    "program",
    "userlist",
    "mailers",
    "ring",
    "log-forward",
    "log-profile",
    "http-errors",
    "fcgi-app",
    "crt-store",
    "traces",
    "acme",
    "healthcheck",
    "dynamic-update",
    "aggregations",
];

fn read(name: &str, text: &str, ledger: &mut Ledger) -> Result<Vec<Section>, Wrong> {
    let mut sections: Vec<Section> = Vec::new();
    // Within `.if`: how many are open whose lines do not count.
    let mut branches: Vec<bool> = Vec::new();
    for (place, raw) in text.lines().enumerate() {
        let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let words = words::words(raw).map_err(|what| Wrong { line: number, what: what.to_owned() })?;
        let Some(first) = words.first().cloned() else { continue };
        let id = ledger.open(name, number, shown(raw, &words));
        if first.starts_with('.') {
            known::preprocessor(ledger, id, &first, &mut branches);
            continue;
        }
        if branches.contains(&false) {
            ledger.unsupported(id, "it is in a branch of `.if` that was not taken");
            continue;
        }
        let line = Line { id, words };
        if SECTIONS.contains(&line.word(0)) && !is_within(&sections, &line) {
            sections.push(begin(&sections, line, ledger));
            continue;
        }
        match sections.last_mut() {
            Some(section) => section.lines.push(line),
            None => {
                let what = format!("`{first}` stands before any section: is this a haproxy.cfg?");
                return Err(Wrong { line: number, what });
            }
        }
    }
    if !sections.iter().any(|section| ["frontend", "listen", "backend"].contains(&section.kind.as_str())) {
        return Err(Wrong {
            line: 0,
            what: "it has no frontend, listen or backend: nothing would be served".to_owned(),
        });
    }
    Ok(sections)
}

/// Whether a word that begins sections elsewhere is a keyword here.
fn is_within(sections: &[Section], line: &Line) -> bool {
    let within = sections.last().map_or("", |section| section.kind.as_str());
    matches!((line.word(0), within), ("acme" | "ring" | "program", "crt-store" | "traces"))
}

fn begin(sections: &[Section], line: Line, ledger: &mut Ledger) -> Section {
    let kind = line.word(0).to_owned();
    let mut name = line.word(1).to_owned();
    if kind == "defaults" && name == "from" {
        name = String::new();
    }
    let from = line.words.iter().position(|word| word == "from").and_then(|place| line.words.get(place + 1));
    let mut inherited = Vec::new();
    if ["frontend", "backend", "listen", "defaults"].contains(&kind.as_str()) {
        let mut all = sections.iter().rev().filter(|section| section.kind == "defaults");
        let base = match from {
            Some(from) => {
                let found = all.find(|section| section.name == *from);
                if found.is_none() {
                    ledger.differs(line.id, format!("no `defaults` is named `{from}`"));
                }
                found
            }
            // Of `defaults` themselves only those go by others that say so.
            None if kind == "defaults" => None,
            None => all.next(),
        };
        inherited = base.map(|base| [base.inherited.clone(), base.lines.clone()].concat()).unwrap_or_default();
    }
    Section { kind, name, head: line, lines: Vec::new(), inherited }
}

/// A line as the report shows it: as it stands, without what lets one in.
fn shown(raw: &str, words: &[String]) -> String {
    let keep = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["stats", "auth", ..] => 2,
        ["user", _, "password" | "insecure-password", ..] => 3,
        ["setenv" | "presetenv", ..] => 2,
        ["dynamic-cookie-key", ..] => 1,
        ["username" | "password", ..] => 1,
        // What a header says that lets one in.
        _ => match words.iter().position(|word| word.to_ascii_lowercase().contains("authorization")) {
            Some(place) => place + 1,
            None => return raw.trim().to_owned(),
        },
    };
    let kept: Vec<&str> = words.iter().take(keep).map(String::as_str).collect();
    if words.len() > keep { format!("{} …", kept.join(" ")) } else { kept.join(" ") }
}

/// Address ranges as the configuration writes them.
///
/// # Errors
/// Which one is none.
pub(super) fn networks(values: &[String]) -> Result<Vec<String>, String> {
    values.iter().map(|value| network(value).ok_or_else(|| format!("`{value}` is no address range"))).collect()
}

/// An address range without bits beyond its prefix.
pub(super) fn network(value: &str) -> Option<String> {
    if let Some((address, mask)) = value.split_once('/')
        && let (Ok(address), Ok(mask)) = (address.parse(), mask.parse())
    {
        return ipnet::Ipv4Net::with_netmask(address, mask).ok().map(|net| net.trunc().to_string());
    }
    match value.parse::<ipnet::IpNet>() {
        Ok(net) => Some(net.trunc().to_string()),
        Err(_) => value.parse::<std::net::IpAddr>().ok().map(|address| address.to_string()),
    }
}
