//! An explanation as a person reads it: the way of the request from the top, then the routes that did not take it, the
//! nearest first.

use super::explanation::{Explanation, RouteSeen, RuleSeen};
use super::files::Files;
use super::onward::{Onward, Queue, Retries, Target};
use super::parts::Aggregate;
use super::passage::Passed;
use super::request::shown;
use crate::observe::status::reason_phrase;

/// How many routes are shown that did not take a request; `--json` has all.
const ROUTES: usize = 20;
/// How many bytes of a fixed answer's body are shown.
const BODY: usize = 60;
/// The column in which values begin.
const COLUMN: usize = 11;
/// The width that lines keep to, where what stands in them is no single word.
const WIDTH: usize = 110;

/// Renders an explanation, with colours or without.
pub fn render(explanation: &Explanation, colour: bool) -> String {
    let mut page = Page { out: String::new(), colour };
    page.request(explanation);
    page.way(explanation);
    page.rules(explanation);
    if let Some(files) = &explanation.files {
        page.files(files, explanation.forward.is_some());
    }
    match (&explanation.forward, &explanation.passthrough) {
        (Some(forward), _) => page.forward(forward),
        (None, Some(passed)) => page.passed(passed),
        (None, None) if explanation.files.is_some() => {}
        (None, None) if let Some(aggregate) = &explanation.aggregate => page.aggregate(aggregate),
        (None, None) => page.answer(explanation),
    }
    for (place, note) in explanation.notes.iter().enumerate() {
        page.prose(if place == 0 { "note" } else { "" }, note);
    }
    page.others(&explanation.routes);
    page.out
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Green,
    Red,
}

struct Page {
    out: String,
    colour: bool,
}

impl Page {
    fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Green => "1;32",
            Ink::Red => "1;31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn row(&mut self, label: &str, value: &str) {
        let label = self.ink(Ink::Dim, &format!("{label:COLUMN$}"));
        self.line(&format!("{label}{value}"));
    }

    /// A value with what explains it, on lines of its own where that is long.
    fn explained(&mut self, label: &str, ink: Ink, value: &str, why: &str) {
        let (value, why) = (shown(value), shown(why));
        let inked = self.ink(ink, &value);
        if why.is_empty() {
            return self.row(label, &inked);
        }
        if COLUMN + value.chars().count() + 2 + why.chars().count() <= WIDTH {
            return self.row(label, &format!("{inked}  {}", self.ink(Ink::Dim, &why)));
        }
        self.row(label, &inked);
        for line in wrapped(&why) {
            self.row("", &self.ink(Ink::Dim, line));
        }
    }

    /// A text that may be long.
    fn prose(&mut self, label: &str, text: &str) {
        for (place, line) in wrapped(&shown(text)).into_iter().enumerate() {
            self.row(if place == 0 { label } else { "" }, line);
        }
    }

    fn request(&mut self, explanation: &Explanation) {
        let Explanation { entry, method, url, headers, protocol, .. } = explanation;
        if let Some(entry) = entry {
            self.line(&self.ink(Ink::Dim, &format!("log.entries[{entry}]")));
        }
        let version = if *protocol == "HTTP/2" { " (HTTP/2)" } else { "" };
        self.line(&self.ink(Ink::Bold, &shown(&format!("{method} {url}{version}"))));
        for header in headers {
            self.line(&format!("  {}", shown(&format!("{}: {}", header.name, header.value))));
        }
        self.line("");
    }

    fn way(&mut self, explanation: &Explanation) {
        let Explanation { listener, listener_why, peer, client, host, path, route, routed, routes, .. } = explanation;
        self.explained("listener", Ink::Bold, listener, listener_why);
        match client {
            Some(client) if client != peer => self.explained("client", Ink::Bold, client, &format!("by way of {peer}")),
            _ => self.row("client", peer),
        }
        if let Some(host) = host {
            self.row("host", &shown(host));
        }
        if let Some(path) = path {
            let why = if path.sent == path.normal { String::new() } else { format!("sent as {}", path.sent) };
            self.explained("path", Ink::Bold, &path.normal, &why);
        }
        let passed = explanation.passthrough.is_some();
        let taken = routes.iter().find(|seen| seen.standing == "taken");
        match (route, taken) {
            (Some(route), taken) => {
                self.explained("route", Ink::Green, route, taken.map_or("", |taken| &taken.why));
            }
            (None, _) if passed => {
                self.explained("route", Ink::Bold, "none", "what no route passes on goes to the listener's pool")
            }
            (None, _) if explanation.forward.is_some() && explanation.files.is_none() => {
                self.explained("route", Ink::Bold, "none", "what no route takes goes to the listener's pool");
            }
            (None, _) if !routed => {
                self.explained("route", Ink::Bold, "none", "it ends before routing");
            }
            (None, _) => self.explained("route", Ink::Bold, "none", ""),
        }
    }

    fn rules(&mut self, explanation: &Explanation) {
        let longest = explanation.rules.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
        for (place, RuleSeen { name, verdict, word }) in explanation.rules.iter().enumerate() {
            let (ink, told) = match *verdict {
                "refuses" => (Ink::Red, "refuses"),
                "would refuse" => (Ink::Red, "would refuse, but is in shadow mode"),
                "asks" => (Ink::Bold, "would ask somebody, which is not done here"),
                other => (Ink::Green, other),
            };
            let word = word.map_or(String::new(), |word| format!(": {word}"));
            let name = self.ink(ink, &format!("{name:longest$}"));
            self.row(
                if place == 0 { "rules" } else { "" },
                &format!("{name}  {}", self.ink(Ink::Dim, &format!("{told}{word}"))),
            );
        }
        if let Some(consumer) = &explanation.consumer {
            self.row("consumer", &shown(consumer));
        }
    }

    fn answer(&mut self, explanation: &Explanation) {
        let Explanation { status, reason, word, location, content_type, body, .. } = explanation;
        let line = status.map_or("closed".to_owned(), |status| format!("{status} {}", reason_phrase(status)));
        match (reason, word) {
            (Some(reason), Some(word)) if reason == word => self.explained("answer", Ink::Red, &line, reason),
            (Some(reason), word) => {
                self.explained("answer", Ink::Red, &line, &format!("{reason}: {}", word.unwrap_or_default()));
            }
            _ => self.explained("answer", Ink::Green, &line, ""),
        }
        if let Some(location) = location {
            self.row("location", &self.ink(Ink::Bold, &shown(location)));
        }
        if let (Some(content_type), Some(body)) = (content_type, body)
            && !body.is_empty()
        {
            let end = body.char_indices().nth(BODY).map_or(body.len(), |(end, _)| end);
            let more = if end < body.len() { "…" } else { "" };
            self.row("body", &shown(&format!("{:?}{more}, {content_type}", &body[..end])));
        }
    }

    fn files(&mut self, files: &Files, to_pool: bool) {
        self.explained("file", Ink::Green, &files.place(), "if it is there");
        for line in files.otherwise(to_pool) {
            self.row("", &shown(&line));
        }
        if let Some(value) = &files.cache_control {
            self.row("", &shown(&format!("+ Cache-Control: {value}")));
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) {
        for (place, part) in aggregate.parts.iter().enumerate() {
            let (asks, becomes) = part.told();
            self.explained(if place == 0 { "parts" } else { "" }, Ink::Green, &asks, &becomes);
        }
        self.row("timeouts", &format!("{} for all parts", aggregate.timeout));
    }

    fn passed(&mut self, passed: &Passed) {
        self.explained("pool", Ink::Green, &passed.pool, &format!("balance {}", passed.balance));
        self.targets(&passed.targets, None, false);
        self.announced(passed.send_proxy);
        self.row("sends", "what the client sends, unopened");
    }

    fn targets(&mut self, targets: &[Target], chosen: Option<&str>, belongs: bool) {
        let whole: u32 = targets.iter().filter(|target| !target.backup).map(|target| target.weight).sum();
        let longest = targets.iter().map(|target| target.address.len()).max().unwrap_or_default();
        for (place, each) in targets.iter().enumerate() {
            let label = if place == 0 { "targets" } else { "" };
            let found = chosen == Some(each.address.as_str());
            let mark = if found { self.ink(Ink::Green, "> ") } else { "  ".to_owned() };
            let name = format!("{:longest$}", each.address);
            let name = if found { self.ink(Ink::Green, &name) } else { name };
            let part = self.ink(Ink::Dim, &part(each, whole, found, belongs));
            self.row(label, &format!("{mark}{name}  {part}"));
        }
    }

    fn announced(&mut self, version: Option<&str>) {
        if let Some(version) = version {
            self.row(
                "announced",
                &format!("by a PROXY header ({version}) with the client's address and what it dialled"),
            );
        }
    }

    fn forward(&mut self, forward: &Onward) {
        let Onward { pool, balance, key, sticky, target, targets, timeouts, retries, .. } = forward;
        if let Some(cache) = &forward.cache {
            self.row("cache", &self.ink(Ink::Bold, &shown(&cache.store)));
            cache.sentences().iter().for_each(|sentence| self.prose("", sentence));
        }
        let how = match key {
            Some(key) => format!("balance {balance} by {key}"),
            None => format!("balance {balance}"),
        };
        self.explained("pool", Ink::Green, pool, &how);
        let belongs = sticky.as_ref().is_some_and(|sticky| sticky.target.is_some());
        if let Some(sticky) = sticky {
            self.explained("sticky", Ink::Bold, &sticky.by, &sticky.why);
        }
        self.targets(targets, target.as_deref(), belongs);
        if let Some(source) = &forward.discovery {
            let label = if targets.is_empty() { "targets" } else { "" };
            self.row(label, &format!("  found by {}", shown(source)));
        }
        self.announced(forward.send_proxy);
        self.row("sends", &self.ink(Ink::Bold, &shown(&forward.request_line)));
        self.row("", &shown(&format!("Host: {}", forward.target_host.as_deref().unwrap_or("the target's address"))));
        for (sign, lines) in [("+", &forward.adds), ("-", &forward.drops)] {
            for line in lines {
                self.row("", &shown(&format!("{sign} {line}")));
            }
        }
        if forward.websocket {
            self.row("", "a WebSocket, if the target agrees");
        }
        if let Some(queue) = &forward.queue {
            self.row("queue", &limits(queue));
        }
        let silence = if forward.websocket {
            format!("{} of silence in the tunnel", timeouts.tunnel)
        } else {
            format!("{} of silence within it", timeouts.response_idle)
        };
        let (connect, head) = (&timeouts.connect, &timeouts.response_head);
        self.row("timeouts", &format!("{connect} to connect, {head} to the head of the answer, {silence}"));
        self.retries(retries);
        if let Some(after) = &forward.hedge {
            self.row("hedge", &format!("a second target as well after {after} without an answer, if there is no body"));
        }
        if let Some(translated) = &forward.translated {
            self.row("becomes", translated);
        }
        if let Some(coding) = &forward.compress {
            self.row("compress", coding);
        }
        for (place, line) in forward.health.iter().enumerate() {
            self.prose(if place == 0 { "health" } else { "" }, line);
        }
    }

    fn retries(&mut self, retries: &Retries) {
        let after = |word: &String| match word.as_str() {
            "connect" => "a failed connect".to_owned(),
            "reset" => "a reset before the answer".to_owned(),
            "timeout" => "no answer in time".to_owned(),
            "bad-response" => "an answer that cannot be read".to_owned(),
            status => format!("an answer of {status}"),
        };
        let after: Vec<String> = retries.on.iter().map(after).collect();
        let tries = match (retries.attempts, &after[..]) {
            (0, _) | (_, []) => return self.row("retries", "none"),
            (1, after) => format!("one more try, after {}", after.join(" or ")),
            (more, after) => format!("{more} more tries, after {}", after.join(" or ")),
        };
        self.row("retries", &tries);
        if let Some(limit) = &retries.per_try {
            self.row("", &format!("{limit} for each try to the head of its answer"));
        }
        if let Some(backoff) = &retries.backoff {
            self.row("", &format!("{backoff} of waiting before a target is asked again"));
        }
        if let Some(budget) = &retries.budget {
            self.row("", &format!("at most {budget} of the route's requests"));
        }
    }

    fn others(&mut self, routes: &[RouteSeen]) {
        let mut others: Vec<&RouteSeen> = routes.iter().filter(|route| route.standing != "taken").collect();
        if others.is_empty() {
            return;
        }
        others.sort_by_key(|route| std::cmp::Reverse(route.nearness));
        let left = others.len().saturating_sub(ROUTES);
        others.truncate(ROUTES);
        let longest = others.iter().map(|route| route.name.len()).max().unwrap_or_default();
        self.line("");
        let title = if others.len() + left < routes.len() { "other routes" } else { "routes" };
        self.line(&self.ink(Ink::Dim, title));
        for route in others {
            let why = match route.standing {
                "refused" => format!("would take it, were its path not refused: {}", route.why),
                _ => route.why.clone(),
            };
            self.line(&format!("  {:longest$}  {}", route.name, shown(&why)));
        }
        if left > 0 {
            self.line(&format!("  … and {left} more, which --json tells"));
        }
    }
}

/// A text in lines that are not too long, broken between words.
fn wrapped(text: &str) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some((end, _)) = rest.char_indices().nth(WIDTH - COLUMN) {
        let Some(blank) = rest[..end].rfind(' ').or_else(|| rest.find(' ')) else { break };
        lines.push(&rest[..blank]);
        rest = &rest[blank + 1..];
    }
    lines.push(rest);
    lines
}

/// Where a request waits.
fn limits(queue: &Queue) -> String {
    let Queue { max_in_flight, length, timeout, priority_class } = queue;
    let pool = max_in_flight.map(|most| format!("{most} in flight in the pool; ")).unwrap_or_default();
    let class = if *priority_class == 0 { String::new() } else { format!(", in class {priority_class}") };
    match length {
        0 => format!("{pool}nobody waits"),
        _ => format!("{pool}up to {length} wait for {timeout}{class}"),
    }
}

/// A target's part of the work.
fn part(target: &Target, whole: u32, chosen: bool, belongs: bool) -> String {
    let part = match target {
        Target { weight: 0, .. } => "weight 0: takes no new work".to_owned(),
        Target { backup: true, .. } => "backup: only while none of the others is up".to_owned(),
        Target { weight, .. } if *weight == whole => String::new(),
        Target { weight, .. } => {
            format!("weight {weight} of {whole}")
        }
    };
    let limit = target.max_in_flight.map(|most| format!("at most {most} in flight")).unwrap_or_default();
    let hashed = match (chosen, belongs) {
        (false, _) => "",
        (true, true) => "where the client belongs, while it is up",
        (true, false) => "its key's target, while all are up",
    };
    let notes = [&part, &limit, hashed].into_iter().filter(|note| !note.is_empty());
    notes.map(AsRef::as_ref).collect::<Vec<&str>>().join("; ")
}
