//! A frontend as listeners, with what they share: times, headers about the client, pages.
//!
//! May depend on the makers of routes and of streams.

mod routes;
mod streams;

use super::binds::{self, Group};
use super::proxy::Proxy;
use super::{Work, known, limits, steps, time};
use crate::import::condition::{Cond, Fact};
use crate::import::draft::Table;
use crate::import::report::Ledger;

/// Makes the listeners and routes of a frontend, and says what of a section has no place.
pub(super) fn front(work: &mut Work<'_>, proxy: &Proxy) {
    known::options(&mut work.ledger, proxy);
    without_place(&mut work.ledger, proxy);
    if !proxy.http {
        streams::without_http(&mut work.ledger, proxy);
    }
    if proxy.line("disabled").is_some() {
        proxy
            .lines("bind")
            .iter()
            .for_each(|line| work.ledger.differs(line.id, "the section is disabled: nothing is listened on"));
        return;
    }
    if !proxy.fronts {
        return;
    }
    if proxy.is_page() {
        return page(work, proxy);
    }
    match proxy.http {
        true => http(work, proxy),
        false => streams::listeners(work, proxy),
    }
}

fn http(work: &mut Work<'_>, proxy: &Proxy) {
    let program = routes::Program::read(work, proxy);
    let groups = binds::groups(work, proxy, program.mentions(&|fact| matches!(fact, Fact::Port(_))));
    let mixed = groups.iter().any(|group| group.tls) && groups.iter().any(|group| !group.tls);
    let mut made: Vec<(String, Vec<(String, Table)>)> = Vec::new();
    for group in &groups {
        let wanted = if mixed && group.tls { format!("{}-tls", proxy.name) } else { proxy.name.clone() };
        let called = work.draft.name("listeners", &wanted);
        let mut table = listener(work, proxy, group);
        program.forwarded(work, proxy, &mut table);
        errors(&mut work.ledger, proxy, &mut table);
        work.draft.add("listeners", &called, table, Vec::new());
        made.push((called, program.routes(work, proxy, group)));
    }
    program.finish(work);
    // The same routes on several listeners are written once.
    while !made.is_empty() {
        let (first, routes) = made.remove(0);
        let (same, others): (Vec<_>, Vec<_>) = made.into_iter().partition(|(_, others)| *others == routes);
        made = others;
        let listeners: Vec<String> = [first].into_iter().chain(same.into_iter().map(|(name, _)| name)).collect();
        for (wanted, table) in routes {
            let name = work.draft.name("routes", &wanted);
            let mut route = Table::new().with("listeners", listeners.clone());
            route.0.extend(table.0);
            work.draft.add("routes", &name, route, Vec::new());
        }
    }
}

/// What listeners of both kinds have.
fn listener(work: &mut Work<'_>, proxy: &Proxy, group: &Group) -> Table {
    let mut table = group.table.clone();
    limits::connections(work, proxy, &mut table);
    let ledger = &mut work.ledger;
    if let Some(line) = proxy.line("backlog") {
        match line.word(1).parse::<i64>() {
            Ok(backlog) => {
                table.below(&["tcp"]).set("backlog", backlog.clamp(1, 1_000_000));
                ledger.carried(line.id);
            }
            Err(_) => ledger.unsupported(line.id, "it is no number"),
        }
    }
    if proxy.option("tcpka").or(proxy.option("clitcpka")).is_some() {
        table.below(&["tcp"]).set("keepalive", Table::new());
    }
    if let Some(line) = proxy.line("maxconn") {
        ledger.differs(line.id, "`runtime.max_connections` bounds all listeners together; `max_in_flight` of targets and pools, what they are given");
    }
    if proxy.http {
        times(ledger, proxy, &mut table);
    }
    table
}

fn times(ledger: &mut Ledger, proxy: &Proxy, table: &mut Table) {
    let mut times = Table::new();
    let mut put = |ledger: &mut Ledger, key: &str, said: Option<(usize, u64)>, most: u64| {
        let Some((id, said)) = said else { return };
        let (kept, note) = time::within(said, 10, most);
        times.set(key, time::duration(kept));
        note.into_iter().for_each(|note| ledger.differs(id, note));
    };
    const HOUR: u64 = 3_600_000;
    let client = proxy.timeout("client");
    let head = proxy.timeout("http-request");
    put(ledger, "request_head", head.or(client.map(|(id, time)| (id, time.min(HOUR)))), HOUR);
    put(ledger, "client_body", client, 24 * HOUR);
    put(ledger, "write_stall", client, 24 * HOUR);
    put(ledger, "idle", proxy.timeout("http-keep-alive").or(head).or(client), 24 * HOUR);
    if !times.is_empty() {
        table.set("timeouts", times);
    }
}

fn errors(ledger: &mut Ledger, proxy: &Proxy, table: &mut Table) {
    for line in proxy.lines("http-error") {
        let after =
            |name: &str| line.words.iter().position(|word| word == name).and_then(|place| line.words.get(place + 1));
        match (after("status"), after("file")) {
            (Some(status), Some(file)) if status.parse::<u16>().is_ok_and(|status| (400..600).contains(&status)) => {
                table.below(&["error_pages"]).set(status, file.clone());
                ledger.carried(line.id);
            }
            _ => ledger.unsupported(line.id, "give a page in `error_pages`: a status and a file"),
        }
    }
}

/// A section that is there for the statistics page alone: the admin listener takes its place.
fn page(work: &mut Work<'_>, proxy: &Proxy) {
    for line in proxy.lines("bind") {
        let port = line.word(1).rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let Some(port) = port.filter(|_| work.draft.single("admin").table.get("listen").is_none()) else {
            work.ledger.unsupported(line.id, "the admin listener has one address");
            continue;
        };
        work.draft.single("admin").table.set("listen", format!("127.0.0.1:{port}"));
        work.ledger
            .differs(line.id, "the admin listener is there, for this host alone; `admin.token_file` lets others ask");
    }
    let _ = steps::read(work, proxy, Default::default());
    for word in ["acl", "default_backend", "maxconn", "http-request", "tcp-request"] {
        for line in proxy.lines(word) {
            if !work.ledger.has_verdict(line.id) {
                work.ledger
                    .differs(line.id, "it belongs to the page of statistics, whose place the admin listener takes");
            }
        }
    }
    if let Some(line) = proxy.line("maxconn") {
        work.ledger.differs(line.id, "it belongs to the page of statistics, whose place the admin listener takes");
    }
}

/// Lines that nothing in Ringway stands for.
fn without_place(ledger: &mut Ledger, proxy: &Proxy) {
    for line in proxy.lines("stats") {
        match line.word(1) {
            "auth" | "admin" | "http-request" => ledger.unsupported(line.id, "the admin listener asks for a token (`admin.token_file`), and takes changes by it; `ringway status` and `/metrics` show what is"),
            _ => ledger.unsupported(line.id, "the admin listener takes the place of the page of statistics: `ringway status`, `/metrics`, `/v1/…`"),
        }
    }
    for line in proxy.lines("errorfile") {
        ledger.unsupported(
            line.id,
            "its file begins with a head of HTTP: cut that off, and name the rest in `error_pages`",
        );
    }
    for line in proxy.lines("use-server") {
        ledger.unsupported(
            line.id,
            "which target is taken is no matter of conditions: make a pool of it, and a route that leads there",
        );
    }
    for line in proxy.lines("tcp-response") {
        ledger.unsupported(line.id, "of what targets send on connections nothing is looked at");
    }
    if let Some(line) = proxy.line("dynamic-cookie-key") {
        ledger.differs(line.id, "`sticky.secret_file` keeps addresses from being guessed");
    }
    if let Some(line) = proxy.line("tarpit") {
        ledger.unsupported(line.id, "write it as `http-request tarpit`");
    }
    if let Some(line) = proxy.line("external-check") {
        ledger.carried(line.id);
    }
    if let Some(line) = proxy.line("disabled") {
        ledger.differs(line.id, "the section is left out");
    }
    for (name, id) in proxy.timeouts() {
        match name {
            "client-fin" | "server-fin" => {
                ledger.differs(id, "a side that has said its last is waited for as long as for anything else")
            }
            "client-hs" | "tarpit" | "client" | "server" | "connect" | "queue" | "check" | "tunnel"
            | "http-request" | "http-keep-alive" => {}
            other => ledger.unsupported(id, format!("there is no time for `{other}`")),
        }
    }
    for keyword in ["retries", "retry-on"] {
        if let Some(line) = proxy.line(keyword).filter(|_| !proxy.http) {
            ledger.differs(line.id, "a connect that fails is tried on the next target, once for each");
        }
    }
    for keyword in
        ["cookie", "balance", "hash-type", "stick-table", "http-reuse", "fullconn", "source", "hash-balance-factor"]
    {
        let concerns = !proxy.lines("server").is_empty() || !proxy.backs || keyword == "stick-table";
        if let Some(line) = proxy.line(keyword).filter(|line| !concerns && !ledger.has_verdict(line.id)) {
            ledger.differs(line.id, "it concerns no server");
        }
    }
}

/// What is known of a condition on connections of a group.
fn known_of(group: &Group) -> impl Fn(&Cond) -> Option<bool> {
    move |cond| match cond {
        Cond::Fact(Fact::Tls) => Some(group.tls),
        Cond::Fact(Fact::Port(asked)) => {
            let ports = group.ports.as_ref()?;
            if ports.iter().all(|port| asked.contains(port)) {
                Some(true)
            } else if ports.iter().any(|port| asked.contains(port)) {
                None
            } else {
                Some(false)
            }
        }
        _ => None,
    }
}
