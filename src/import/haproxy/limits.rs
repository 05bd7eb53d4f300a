//! Stick tables that count, and the rules that refuse by what they have counted: as rules of type rate-limit and concurrency, and as limits
//! of listeners.
//!
//! May depend on the readers of conditions and samples.

use super::acl::{self, Scope};
use super::edits::Edit;
use super::proxy::Proxy;
use super::steps::{Act, Step};
use super::{Work, sample, time};
use crate::import::condition::{Cond, Fact};
use crate::import::draft::Table;
use crate::import::report::{Ledger, LineId};
use std::collections::BTreeMap;

/// What a stick table counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// The time of each rate, in milliseconds.
    rates: BTreeMap<String, u64>,
    size: Option<u64>,
}

/// What requests are counted by.
#[derive(Clone, Debug)]
struct Track {
    index: String,
    line: LineId,
    key: Result<String, String>,
    cond: Cond,
    table: Option<String>,
}

/// All that requests of a section are counted by.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracks(Vec<Track>);

/// The stick table of a section.
pub(super) fn table(ledger: &mut Ledger, proxy: &Proxy) -> Option<Counted> {
    let line = proxy.line("stick-table")?;
    let mut counted = Counted::default();
    let mut words = line.rest(1).iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "size" => counted.size = words.next().and_then(|text| time::bytes(text)),
            "store" => {
                for piece in words.next().map(|list| sample::pieces(list)).unwrap_or_default() {
                    counted.rates.insert(piece.name, time::milliseconds(&piece.argument).unwrap_or(0));
                }
            }
            "peers" => {
                words.next();
                ledger.differs(line.id, "hosts do not tell each other what they have counted");
            }
            _ => {}
        }
    }
    if proxy.lines("stick").is_empty() && !counted.rates.is_empty() {
        ledger.carried(line.id);
    }
    Some(counted)
}

/// What the requests of a section are counted by.
pub(super) fn tracks(work: &mut Work<'_>, proxy: &Proxy, scope: &Scope<'_>) -> Tracks {
    let mut tracks = Vec::new();
    let http = proxy.lines("http-request").iter().map(|line| (line, 1));
    let tcp = proxy.lines("tcp-request").iter().map(|line| (line, 2));
    for (line, place) in tcp.chain(http) {
        let Some(index) = line.word(place).strip_prefix("track-sc") else { continue };
        let (words, cond) = acl::split(line.rest(place + 1));
        let cond = scope.condition(&mut work.ledger, line.id, cond);
        let key = words.first().map_or("", String::as_str);
        let table = words.iter().position(|word| word == "table").and_then(|place| words.get(place + 1)).cloned();
        let key = counted_by(key);
        match &key {
            Ok(_) => work.ledger.carried(line.id),
            Err(why) => work.ledger.unsupported(line.id, why.clone()),
        }
        tracks.push(Track { index: index.to_owned(), line: line.id, key, cond, table });
    }
    Tracks(tracks)
}

/// The key of a limit that a sample is.
fn counted_by(text: &str) -> Result<String, String> {
    let pieces = sample::pieces(text);
    let Some(first) = pieces.first() else { return Err("nothing is behind it".to_owned()) };
    let name = first.name.strip_prefix("req.").unwrap_or(&first.name);
    let argument = first.argument.split(',').next().unwrap_or_default().trim();
    Ok(match name {
        "src" => "client-ip".to_owned(),
        "hdr_ip" if argument.eq_ignore_ascii_case("x-forwarded-for") => "client-ip".to_owned(),
        "hdr" | "fhdr" if argument.eq_ignore_ascii_case("host") => "{request.host}".to_owned(),
        "hdr" | "fhdr" => format!("header:{}", argument.to_ascii_lowercase()),
        "cook" => format!("cookie:{argument}"),
        "url_param" | "urlp" => format!("query:{argument}"),
        "path" | "url" => "{request.path}".to_owned(),
        "base" | "base32" => "{request.host}{request.path}".to_owned(),
        "base32+src" | "url32+src" => "{client.ip} {request.host}{request.path}".to_owned(),
        _ => {
            return Err(format!(
                "requests are not counted by `{text}`: addresses, headers, cookies, parameters and paths are keys"
            ));
        }
    })
}

/// Whether a condition asks what was counted.
pub(super) fn is_counted(cond: &Cond) -> bool {
    cond.mentions(&|fact| matches!(fact, Fact::Counter(_)))
}

/// A counter that a condition asks for: its name, what it is of, its bound.
struct Asked {
    kind: String,
    index: Option<String>,
    table: Option<String>,
    bound: i64,
}

fn asked(text: &str) -> Option<Asked> {
    let (name, bound) = text.rsplit_once(' ')?;
    let piece = sample::pieces(name).into_iter().next()?;
    let mut arguments: Vec<&str> = piece.argument.split(',').filter(|argument| !argument.is_empty()).collect();
    let (index, kind) = match piece.name.strip_prefix("src_") {
        Some(kind) => (None, kind.to_owned()),
        None => {
            let rest = piece.name.strip_prefix("sc")?;
            let kind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = &rest[..rest.len() - kind.len()];
            let index = if digits.is_empty() && !arguments.is_empty() { arguments.remove(0) } else { digits };
            (Some(index.to_owned()), kind.strip_prefix('_')?.to_owned())
        }
    };
    let table = arguments.first().map(|&table| table.to_owned());
    Some(Asked { kind, index, table, bound: bound.parse().ok()? })
}

/// A rule that refuses by a counter.
#[expect(clippy::too_many_arguments, reason = "what a line says, in its parts")]
pub(super) fn deny(
    work: &mut Work<'_>,
    proxy: &Proxy,
    line: LineId,
    word: &str,
    rest: &[String],
    cond: Cond,
    tracks: &Tracks,
    steps: &mut Vec<Step>,
) {
    if !["deny", "tarpit", "reject", "silent-drop", "return"].contains(&word) {
        return work.ledger.unsupported(line, "what was counted has requests refused, and nothing else");
    }
    match rule(work, proxy, line, &cond, tracks) {
        Ok(rule) => {
            let status = rest
                .iter()
                .position(|word| word == "deny_status" || word == "status")
                .and_then(|place| rest.get(place + 1));
            if status.is_none_or(|status| status != "429") {
                work.ledger.differs(line, "who is refused gets 429");
            }
            steps.push(Step { line, cond: Cond::Const(true), act: Act::Edit(Edit::Rule(rule)) });
        }
        Err(why) => work.ledger.opens(line, why),
    }
}

fn rule(work: &mut Work<'_>, proxy: &Proxy, line: LineId, cond: &Cond, tracks: &Tracks) -> Result<String, String> {
    let (counters, others): (Vec<&Cond>, Vec<&Cond>) = cond.parts().into_iter().partition(|part| is_counted(part));
    let [Cond::Fact(Fact::Counter(text))] = counters.as_slice() else {
        return Err("of counters one is understood, beside other conditions that all have to hold".to_owned());
    };
    let Some(asked) = asked(text) else { return Err(format!("`{text}` is not understood")) };
    let (key, tracked, named) = match &asked.index {
        None => ("client-ip".to_owned(), Cond::Const(true), None),
        Some(index) => {
            let Some(track) = tracks.0.iter().find(|track| track.index == *index) else {
                return Err(format!("nothing of this section is tracked as `sc{index}`"));
            };
            work.ledger.carried(track.line);
            (track.key.clone()?, track.cond.clone(), track.table.clone())
        }
    };
    let name = asked.table.clone().or(named).unwrap_or_else(|| proxy.name.clone());
    let table = work.tables.get(&name).cloned().ok_or_else(|| format!("no stick table is named `{name}`"))?;
    let mut rule = match asked.kind.as_str() {
        "http_req_rate" | "sess_rate" | "conn_rate" => {
            let period = table.rates.get(&asked.kind).copied().filter(|period| *period > 0);
            let Some(period) = period else {
                return Err(format!("the table `{name}` does not store `{}`", asked.kind));
            };
            let (rule, exact) = rated(asked.bound, period)?;
            if !exact {
                let text =
                    format!("{} may come at once, and then evenly as many in {}", asked.bound, time::duration(period));
                work.ledger.differs(line, text);
            }
            work.ledger.differs(line, "what is refused does not count");
            if asked.kind != "http_req_rate" {
                work.ledger.differs(line, "requests are counted, and not connections");
            }
            rule
        }
        "conn_cur" => {
            work.ledger.differs(line, "requests under way are counted, and not connections");
            Table::new().with("type", "concurrency").with("max", asked.bound.clamp(1, 200_000))
        }
        "http_err_rate" | "http_err_cnt" => {
            return Err("a rule of type ban keeps out whom rules have refused often; answers of targets do not count"
                .to_owned());
        }
        other => return Err(format!("`{other}` is not counted: rates of requests and what is under way are")),
    };
    if key != "client-ip" {
        rule.set("key", key);
    }
    if let Some(size) = table.size {
        rule.set("size", i64::try_from(size).unwrap_or(i64::MAX).clamp(1000, 100_000_000));
    }
    if let Cond::Const(false) = tracked {
        return Err("nothing is counted".to_owned());
    }
    let rest = Cond::all(others.into_iter().cloned().chain([tracked]));
    if rest != Cond::Const(true) {
        rule.set("when", rest.in_cel()?);
    }
    let kind = rule.text("type").unwrap_or_default().to_owned();
    let name = work.draft.name("rules", &format!("{}-{kind}", proxy.name));
    work.draft.add("rules", &name, rule, Vec::new());
    Ok(name)
}

/// A limit of so many in so long, and whether it is that and nothing else.
fn rated(bound: i64, period: u64) -> Result<(Table, bool), String> {
    let bound = bound.max(1);
    let count = u64::try_from(bound).unwrap_or(1);
    let rule = Table::new().with("type", "rate-limit");
    if let Some((_, unit)) =
        [(1000, "s"), (60_000, "m"), (3_600_000, "h"), (86_400_000, "d")].iter().find(|(length, _)| *length == period)
    {
        return Ok((rule.with("rate", format!("{bound}/{unit}")).with("algorithm", "sliding-window"), true));
    }
    let even =
        [(1000_u64, "s"), (60_000, "m"), (3_600_000, "h"), (86_400_000, "d")].into_iter().find_map(|(length, unit)| {
            let product = count.checked_mul(length)?;
            (product.is_multiple_of(period) && product >= period).then(|| (product / period, unit))
        });
    let (number, unit) = even.unwrap_or((count.saturating_mul(86_400_000).div_ceil(period), "d"));
    if number > u64::from(u32::MAX) {
        return Err("the rate is larger than can be counted".to_owned());
    }
    Ok((rule.with("rate", format!("{number}/{unit}")).with("burst", bound.min(100_000_000)), false))
}

/// What of connections is refused before anything is read of them: keys of the listener.
pub(super) fn connections(work: &mut Work<'_>, proxy: &Proxy, listener: &mut Table) {
    let acls = proxy.lines("acl").to_vec();
    let scope = Scope { acls: &acls, around: work.around, http: proxy.http, past: Default::default() };
    let mut accepted = Vec::new();
    for line in proxy.lines("tcp-request") {
        let id = line.id;
        let action = line.word(2);
        let (words, cond) = acl::split(line.rest(3));
        match line.word(1) {
            "inspect-delay" => work.ledger.carried(id),
            "connection" | "session" | "content" if action.starts_with("track-sc") => {
                let key = counted_by(words.first().map_or("", String::as_str));
                match key {
                    Ok(key) if key == "client-ip" => work.ledger.carried(id),
                    _ => work.ledger.unsupported(id, "connections are counted by the client's address"),
                }
            }
            "connection" | "session" | "content" if action == "accept" => {
                let cond = scope.condition(&mut work.ledger, id, cond);
                match cond {
                    Cond::Fact(Fact::Client(ranges)) if line.word(1) != "content" => {
                        accepted.extend(ranges);
                        work.ledger.differs(id, "its addresses are left out of `limits`, and not of `deny`");
                    }
                    _ => work.ledger.carried(id),
                }
            }
            "connection" | "session" | "content" if ["reject", "silent-drop"].contains(&action) => {
                let cond = scope.condition(&mut work.ledger, id, cond);
                if action == "silent-drop" {
                    listener.set("on_refuse", "silent");
                    work.ledger.differs(id, "all who are refused on this listener are so without an answer");
                }
                // Whoever was not accepted before.
                if cond == Cond::Const(true) && !accepted.is_empty() && line.word(1) != "content" {
                    match listener.get("allow") {
                        None => {
                            listener.set("allow", accepted.clone());
                            work.ledger.carried(id);
                        }
                        Some(_) => work.ledger.opens(id, "a listener has one list of who is let in: `allow`"),
                    }
                    continue;
                }
                match refuse(work, proxy, id, &cond, listener) {
                    Ok(()) => work.ledger.carried(id),
                    Err(why) => work.ledger.opens(id, why),
                }
            }
            "connection" if action == "expect-proxy" => {
                work.ledger.unsupported(id, "`proxy_protocol.from` of the listener says from whom headers are expected")
            }
            _ => work.ledger.unsupported(
                id,
                "of connections it is decided who may come: `allow`, `deny` and `limits` of the listener",
            ),
        }
    }
    if !accepted.is_empty() && listener.get("limits").is_some() {
        listener.below(&["limits"]).set("except", accepted);
    }
}

fn refuse(work: &mut Work<'_>, proxy: &Proxy, line: LineId, cond: &Cond, listener: &mut Table) -> Result<(), String> {
    match cond {
        Cond::Fact(Fact::Client(ranges)) => {
            ranges.iter().for_each(|range| listener.push("deny", range.clone()));
            Ok(())
        }
        Cond::Not(inner) => match inner.as_ref() {
            Cond::Fact(Fact::Client(ranges)) => match listener.get("allow") {
                Some(other) if *other != ranges.clone().into() => {
                    Err("a listener has one list of who is let in: `allow`".to_owned())
                }
                _ => {
                    listener.set("allow", ranges.clone());
                    Ok(())
                }
            },
            Cond::Fact(Fact::Opening) => {
                work.ledger.differs(line, "what is no TLS is refused by the listener's own way");
                Ok(())
            }
            _ => Err("it is no address range".to_owned()),
        },
        Cond::Fact(Fact::Counter(text)) => {
            let Some(asked) = asked(text) else { return Err(format!("`{text}` is not understood")) };
            match asked.kind.as_str() {
                "conn_cur" => {
                    listener.below(&["limits"]).set("connections", asked.bound.clamp(1, 100_000));
                    Ok(())
                }
                "conn_rate" | "sess_rate" => {
                    let name = asked.table.clone().unwrap_or_else(|| proxy.name.clone());
                    let tables = [name.as_str()].into_iter().chain(work.tables.keys().map(String::as_str));
                    let period = tables
                        .filter_map(|name| work.tables.get(name)?.rates.get(&asked.kind).copied())
                        .find(|period| *period > 0);
                    let Some(period) = period else { return Err(format!("no table stores `{}`", asked.kind)) };
                    let count = u64::try_from(asked.bound.max(1)).unwrap_or(1);
                    let (number, unit) = [(1000_u64, "s"), (60_000, "m"), (3_600_000, "h")]
                        .into_iter()
                        .find(|(length, _)| (count * length).is_multiple_of(period) && count * length >= period)
                        .map_or((1, "h"), |(length, unit)| (count * length / period, unit));
                    if number > u64::from(u32::MAX) {
                        return Err("the rate is larger than can be counted".to_owned());
                    }
                    let limits = listener.below(&["limits"]);
                    limits.set("rate", format!("{number}/{unit}"));
                    limits.set("burst", asked.bound.clamp(1, 100_000));
                    work.ledger.differs(line, "so many come at once, and then evenly; what is refused does not count");
                    Ok(())
                }
                other => Err(format!(
                    "`{other}` of connections is not counted: `limits` has those that are open, and their rate"
                )),
            }
        }
        Cond::Const(true) => Err("all would be refused".to_owned()),
        _ => Err("of connections it is decided by the client's address, and by how many it has".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_that_were_meant() {
        let of = |bound, period| {
            rated(bound, period).map(|(rule, exact)| (rule.text("rate").unwrap().to_owned(), exact)).unwrap()
        };
        assert_eq!(of(20, 10_000), ("2/s".to_owned(), false));
        assert_eq!(of(25, 10_000), ("150/m".to_owned(), false));
        assert_eq!(of(100, 60_000), ("100/m".to_owned(), true));
        assert_eq!(of(7, 7000), ("1/s".to_owned(), false));
        let counter = asked("sc_http_req_rate(1,st) 5").unwrap();
        assert_eq!((counter.index.as_deref(), counter.table.as_deref(), counter.bound), (Some("1"), Some("st"), 5));
        let counter = asked("sc0_conn_cur 5").unwrap();
        assert_eq!((counter.index.as_deref(), counter.kind.as_str()), (Some("0"), "conn_cur"));
        let counter = asked("src_conn_rate(t) 9").unwrap();
        assert_eq!((counter.index, counter.table.as_deref()), (None, Some("t")));
    }
}
