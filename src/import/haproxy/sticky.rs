//! What a client stays with its server by: cookies, stick tables.
//!
//! May depend on the ledger and the draft.

use super::proxy::Proxy;
use super::server::Server;
use super::{Line, sample, time};
use crate::import::draft::Table;
use crate::import::report::Ledger;
use crate::import::valid;

/// `sticky` of a pool; nothing where clients stay with nobody.
pub(super) fn sticky(ledger: &mut Ledger, proxy: &Proxy, servers: &[Server]) -> Option<Table> {
    let table = proxy.lines("stick");
    let by_nothing = |ledger: &mut Ledger| {
        if let Some(line) = proxy.line("stick-table").filter(|line| !table.is_empty() && !ledger.has_verdict(line.id)) {
            ledger.unsupported(line.id, "no `stick` that is carried over notes anything in it");
        }
    };
    if let Some(line) = proxy.line("cookie").filter(|_| proxy.http) {
        table
            .iter()
            .for_each(|line| ledger.unsupported(line.id, "clients stay with their targets by one thing: the cookie"));
        by_nothing(ledger);
        if let Some(line) = proxy.line("appsession") {
            ledger.unsupported(line.id, "clients stay with their targets by one thing: the cookie");
        }
        return cookie(ledger, line, servers);
    }
    if let Some(line) = proxy.line("cookie") {
        ledger.differs(line.id, "there are no cookies in TCP");
    }
    if let Some(line) = proxy.line("appsession").filter(|_| !proxy.http) {
        ledger.differs(line.id, "there are no cookies in TCP");
    } else if let Some(line) = proxy.line("appsession") {
        ledger.carried(line.id);
        return Some(Table::new().with("learn", Table::new().with("cookie", line.word(1))));
    }
    let mut found: Option<Table> = None;
    for line in table {
        let (mut made, later) = stick(line);
        if !proxy.http && made.as_ref().is_ok_and(|made| made.get("learn").is_some()) {
            made = Err("there are no cookies and headers in TCP".to_owned());
        }
        match (made, &mut found) {
            (Ok(made), None) => {
                ledger.carried(line.id);
                found = Some(made);
            }
            (Ok(made), Some(one)) if later || made == *one => {
                ledger.carried(line.id);
                if let Some(super::super::draft::Value::Table(learn)) = made.get("learn") {
                    for (key, value) in &learn.0 {
                        one.below(&["learn"]).set(key, value.clone());
                    }
                }
            }
            (Ok(_), Some(_)) => {
                ledger.unsupported(line.id, "clients stay with their targets by one thing: the first that is named")
            }
            (Err(why), _) => ledger.unsupported(line.id, why),
        }
        if line.words.iter().any(|word| word == "if" || word == "unless") {
            ledger.differs(line.id, "it counts for all, whatever the condition says");
        }
        if line.words.iter().any(|word| word == "table") {
            ledger.differs(line.id, "each pool has a table of its own");
        }
    }
    if found.is_none() {
        by_nothing(ledger);
    }
    let mut found = found?;
    if let Some(line) = proxy.line("stick-table") {
        let after =
            |name: &str| line.words.iter().position(|word| word == name).and_then(|place| line.words.get(place + 1));
        if let Some(expire) = after("expire").and_then(|text| time::milliseconds(text)) {
            found.set("expire", time::duration(expire.clamp(1000, 30 * 86_400_000)));
        }
        if let Some(size) = after("size").and_then(|text| time::bytes(text)) {
            found.set("size", i64::try_from(size).unwrap_or(i64::MAX).clamp(100, 4_000_000));
        }
        ledger.carried(line.id);
        if after("peers").is_some() {
            ledger.differs(line.id, "hosts do not tell each other who stays where");
        }
    }
    Some(found)
}

/// What a `stick` line asks for, and whether it says more of what another one began.
fn stick(line: &Line) -> (Result<Table, String>, bool) {
    let pieces = sample::pieces(line.word(2));
    let Some(first) = pieces.first() else { return (Err("nothing is behind it".to_owned()), false) };
    let learn = |key: &str| Table::new().with("learn", Table::new().with(key, first.argument.clone()));
    let stores = line.word(1) != "on";
    let made = match first.name.as_str() {
        "src" => Ok(Table::new().with("source", true)),
        "cook" | "cookie" | "req.cook" | "res.cook" | "set-cookie" | "scook" => Ok(learn("cookie")),
        "res.hdr" | "shdr" => Ok(learn("header")),
        "url_param" | "urlp" if stores => Ok(learn("query")),
        "url_param" | "urlp" | "hdr" | "req.hdr" => {
            Err("what only the client says leads to a target by `balance = \"hash\"` with `key`".to_owned())
        }
        other => Err(format!(
            "clients do not stay with their targets by `{other}`: `source`, cookies and headers of answers are understood"
        )),
    };
    (made, stores)
}

fn cookie(ledger: &mut Ledger, line: &Line, servers: &[Server]) -> Option<Table> {
    let words = line.rest(2);
    let has = |name: &str| words.iter().any(|word| word == name);
    let all = |name: &'static str| {
        words.iter().enumerate().filter(move |(_, word)| *word == name).filter_map(|(place, _)| words.get(place + 1))
    };
    if !valid::token(line.word(1)) {
        ledger.unsupported(line.id, "it is no name of a cookie: `sticky.cookie` says one");
        return None;
    }
    let named = servers.iter().any(|server| server.has("cookie"));
    if !named && !has("dynamic") {
        ledger.differs(line.id, "no server has a value for it: clients stay with nobody");
        return None;
    }
    let mut sticky = Table::new().with("cookie", line.word(1));
    let mode = ["rewrite", "prefix"].into_iter().find(|mode| has(mode));
    if let Some(mode) = mode {
        sticky.set("mode", mode);
    }
    for (word, key) in [("maxidle", "max_idle"), ("maxlife", "max_life")] {
        if let Some(time) =
            all(if word == "maxidle" { "maxidle" } else { "maxlife" }).next().and_then(|text| time::milliseconds(text))
        {
            sticky.set(key, time::duration(time.clamp(1000, 400 * 86_400_000)));
        }
    }
    // What lives no longer than it may be idle ends by its life.
    let lives = |word| all(word).next().and_then(|text| time::milliseconds(text));
    if matches!((lives("maxidle"), lives("maxlife")), (Some(idle), Some(life)) if idle > life) {
        sticky.remove("max_idle");
    }
    let domains: Vec<&String> = all("domain").collect();
    if let Some(domain) = domains.first() {
        sticky.set("domain", domain.trim_start_matches('.'));
    }
    if domains.len() > 1 {
        ledger.differs(line.id, "it is set for one domain");
    }
    if has("preserve") {
        sticky.set("preserve", true);
    }
    if has("secure") {
        sticky.set("secure", true);
    }
    for attribute in all("attr") {
        match attribute.to_ascii_lowercase().strip_prefix("samesite=") {
            Some(site @ ("lax" | "strict" | "none")) => sticky.set("same_site", site),
            _ => sticky.push("attributes", attribute.clone()),
        }
    }
    ledger.differs(line.id, "its value is a hash of the target's address, so that each client chooses anew once; it is `HttpOnly` and `SameSite=Lax` unless `http_only` and `same_site` say otherwise");
    if mode.is_none() && !has("indirect") {
        ledger.differs(line.id, "targets do not see it");
    }
    if mode.is_none() && !has("insert") {
        ledger.differs(line.id, "Ringway sets it: HAProxy would have looked at what targets set");
    }
    for server in servers.iter().filter(|server| server.has("cookie")) {
        ledger.differs(server.line, "`cookie`: the value is a hash of the target's address");
    }
    Some(sticky)
}
