//! Bans that hosts share: what is banned at one, by a rule or by an operator, is refused at the others within a second or two, and so is what is lifted.
//!
//! What always holds: each host refuses by what it has itself, so that nothing of this is on the way of a connection; while the server is away
//! each bans for itself, and what has changed by then is told when it is back. Of two changes of the same client the later one to reach the server
//! holds, but that rules shorten no ban. A server that has lost its data lifts none: hosts put back what they have.

use super::{Away, Call, Link, Script};
use crate::lane::bans::{Ban, Bans};
use crate::net;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two times that hosts tell each other.
const EVERY: Duration = Duration::from_millis(500);
/// Changes that are told or heard at a time.
const MOST: usize = 1000;
/// Clients that the log names of what was heard at a time.
const NAMED: usize = 10;

static SCRIPT: Script = Script::new(include_str!("bans.lua"));

/// What the server and this host agreed on last.
#[derive(Debug, Default)]
struct Book {
    /// The bans that stood.
    agreed: HashMap<IpNet, Arc<Ban>>,
    /// The last change of the server's that was heard.
    heard: i64,
    /// Whether something was ever agreed on with this server.
    is_begun: bool,
    /// The revision of the bans that was looked at last, if nothing was left to tell.
    looked: Option<u64>,
    /// What was lifted before the server began anew, and it was not told of: another host may put it back.
    lifted: Vec<IpNet>,
}

/// A change that is told.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    client: IpNet,
    what: &'static str,
    /// `None`: it was lifted.
    ban: Option<Arc<Ban>>,
}

/// What is told of a ban.
#[derive(Serialize)]
struct Text<'t> {
    left: i64,
    rule: &'t str,
    reason: &'t str,
}

/// What is heard of a client.
#[derive(Debug, Deserialize)]
struct Heard {
    /// In the server's milliseconds since 1970; -1: it has no end.
    ends: f64,
    rule: String,
    reason: String,
    lifted: bool,
}

impl Book {
    /// For a server that has begun anew: of what was agreed on, what was lifted since is to be told.
    fn anew(&self, bans: &Bans, now: Duration) -> Self {
        let told = self.changes(&bans.all(), now);
        let lifted = told.into_iter().filter(|told| told.ban.is_none()).map(|told| told.client);
        Self { lifted: lifted.chain(self.lifted.iter().copied()).take(MOST).collect(), ..Self::default() }
    }

    /// What has changed here since the last time: at most so many.
    fn changes(&self, all: &[(IpNet, Arc<Ban>)], now: Duration) -> Vec<Told> {
        let is_news = |(client, ban): &&(IpNet, Arc<Ban>)| self.agreed.get(client).is_none_or(|agreed| agreed != ban);
        let what = if self.is_begun { "ban" } else { "again" };
        let new =
            all.iter().filter(is_news).map(|(client, ban)| Told { client: *client, what, ban: Some(ban.clone()) });
        let stands: std::collections::HashSet<IpNet> = all.iter().map(|(client, _)| *client).collect();
        let lifted = self.agreed.iter().filter(|(client, ban)| !stands.contains(client) && !is_over(ban, now));
        let lifted = lifted.map(|(client, _)| Told { client: *client, what: "lift", ban: None });
        let before = self.lifted.iter().filter(|client| !stands.contains(client));
        let before = before.map(|client| Told { client: *client, what: "lift", ban: None });
        new.chain(lifted).chain(before).take(MOST).collect()
    }

    /// That these were told.
    fn told(&mut self, told: Vec<Told>) {
        self.lifted.clear();
        for Told { client, ban, .. } in told {
            match ban {
                Some(ban) => drop(self.agreed.insert(client, ban)),
                None => drop(self.agreed.remove(&client)),
            }
        }
    }

    /// Has the bans be as the server says. Returns whom it banned and whom it lifted.
    fn hear(
        &mut self,
        bans: &Bans,
        heard: Vec<(IpNet, Heard)>,
        server: f64,
        now: Duration,
    ) -> (Vec<IpNet>, Vec<IpNet>) {
        let (mut banned, mut lifted) = (Vec::new(), Vec::new());
        let all: HashMap<IpNet, Arc<Ban>> = bans.all().into_iter().collect();
        for (client, heard) in heard {
            let known = all.get(&client);
            if heard.lifted {
                self.agreed.remove(&client);
                if known.is_some() && bans.remove(&client) {
                    lifted.push(client);
                }
                continue;
            }
            let left = (heard.ends >= 0.0).then(|| Duration::from_secs_f64((heard.ends - server).max(0.0) / 1000.0));
            let until = left.map(|left| now.saturating_add(left));
            let rule = Some(heard.rule).filter(|rule| !rule.is_empty()).map(Arc::from);
            let ban = Ban { until, rule, reason: heard.reason.into() };
            // What this host has told comes back: its end is a few milliseconds off.
            let is_own = known.is_some_and(|known| is_alike(known, &ban));
            let ban = match known.filter(|_| is_own) {
                Some(known) => known.clone(),
                None if is_over(&ban, now) || !bans.add(client, ban.clone()) => continue,
                None => {
                    banned.push(client);
                    Arc::new(ban)
                }
            };
            self.agreed.insert(client, ban);
        }
        (banned, lifted)
    }
}

fn is_over(ban: &Ban, now: Duration) -> bool {
    ban.until.is_some_and(|until| until <= now)
}

fn is_alike(one: &Ban, other: &Ban) -> bool {
    let near = match (one.until, other.until) {
        (None, None) => true,
        (Some(one), Some(other)) => one.abs_diff(other) < Duration::from_secs(2),
        _ => false,
    };
    near && one.rule == other.rule && one.reason == other.reason
}

/// Keeps bans as those of the other hosts, for as long as the process lives.
pub async fn share(link: Link, bans: Arc<Bans>) {
    let (mut book, mut place) = (Book::default(), (String::new(), String::new()));
    loop {
        tokio::time::sleep(EVERY).await;
        let standing = link.standing();
        if !link.is_up() {
            continue;
        }
        // What was agreed on with another server, or before it lost its data, counts for nothing.
        let (server, at) = (format!("{} {}", standing.place, link.key("")), standing.epoch.clone());
        if place.0 != server {
            book = Book::default();
        } else if place.1 != at {
            book = book.anew(&bans, net::coarse_now());
        }
        place = (server, at);
        while let Ok(true) = turn(&link, &bans, &mut book).await {}
    }
}

/// Tells and hears once. Returns whether there is more.
async fn turn(link: &Link, bans: &Bans, book: &mut Book) -> Result<bool, Away> {
    let (now, revision) = (net::coarse_now(), bans.revision());
    let told = match book.looked == Some(revision) && book.is_begun {
        true => Vec::new(),
        false => book.changes(&bans.all(), now),
    };
    let mut call = Call::new(&SCRIPT).key(link.key("bans")).key(link.key("bans:until"));
    call = call.key(link.key("bans:changes")).key(link.key("bans:number")).arg(book.heard).arg(MOST);
    for Told { client, what, ban } in &told {
        let left = ban.as_ref().and_then(|ban| ban.left(now));
        let left = left.map_or(-1, |left| i64::try_from(left.as_millis()).unwrap_or(i64::MAX).min(1 << 50));
        let (rule, reason) = ban.as_ref().map_or(("", ""), |ban| (ban.rule.as_deref().unwrap_or(""), &*ban.reason));
        let text = serde_json::to_string(&Text { left, rule, reason }).map_err(|error| Away(error.to_string()))?;
        call = call.arg(client.to_string()).arg(*what).arg(text);
    }
    let (reached, server, answer): (i64, f64, Vec<(String, String)>) = link.ask(call).await?;
    if reached < 0 {
        *book = book.anew(bans, now);
        return Ok(true);
    }
    let more = told.len() == MOST || answer.len() == MOST;
    if told.len() < MOST {
        book.looked = Some(revision);
    }
    // Whatever is said of them by now is heard right behind.
    book.told(told);
    let read = |(client, text): (String, String)| Some((client.parse().ok()?, serde_json::from_str(&text).ok()?));
    let (banned, lifted) = book.hear(bans, answer.into_iter().filter_map(read).collect(), server, now);
    (book.heard, book.is_begun) = (reached, true);
    for client in banned.iter().take(NAMED) {
        tracing::info!(%client, "banned, as another host has");
    }
    for client in lifted.iter().take(NAMED) {
        tracing::info!(%client, "no longer banned, as another host has it");
    }
    let rest = banned.len().saturating_sub(NAMED) + lifted.len().saturating_sub(NAMED);
    if rest > 0 {
        tracing::info!(clients = rest, "more were banned or lifted, as other hosts have");
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn ban(until: Option<u64>, rule: Option<&str>) -> Ban {
        Ban { until: until.map(Duration::from_secs), rule: rule.map(Arc::from), reason: "test".into() }
    }

    fn heard(ends: f64, lifted: bool) -> Heard {
        Heard { ends, rule: String::new(), reason: "test".to_owned(), lifted }
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn what_has_changed_is_told_once_and_what_is_over_is_not_lifted() {
        let (bans, mut book) = (Bans::default(), Book::default());
        bans.add(net("10.0.0.1/32"), ban(None, None));
        bans.add(net("10.0.0.2/32"), ban(Some(200), Some("r")));
        let told = book.changes(&bans.all(), NOW);
        assert_eq!(told.iter().map(|told| told.what).collect::<Vec<_>>(), ["again", "again"]);
        book.told(told);
        book.is_begun = true;
        assert!(book.changes(&bans.all(), NOW).is_empty());
        bans.add(net("10.0.0.2/32"), ban(Some(300), Some("r")));
        bans.remove(&net("10.0.0.1/32"));
        let told = book.changes(&bans.all(), NOW);
        assert_eq!(told.iter().map(|told| told.what).collect::<Vec<_>>(), ["ban", "lift"]);
        book.told(told);
        bans.sweep(Duration::from_secs(301));
        assert!(book.changes(&bans.all(), Duration::from_secs(301)).is_empty(), "what is over is over everywhere");
    }

    #[test]
    fn what_is_heard_holds_and_is_not_told_again() {
        let (bans, mut book) = (Bans::default(), Book { is_begun: true, ..Book::default() });
        let said = vec![(net("10.0.0.1/32"), heard(-1.0, false)), (net("10.0.0.2/32"), heard(61_000.0, false))];
        let (banned, lifted) = book.hear(&bans, said, 1000.0, NOW);
        assert_eq!((banned.len(), lifted.len(), bans.len()), (2, 0, 2));
        assert_eq!(bans.all()[1].1.until, Some(Duration::from_secs(160)));
        assert!(book.changes(&bans.all(), NOW).is_empty());
        // It comes again, a little off: nothing changes.
        let revision = bans.revision();
        book.hear(&bans, vec![(net("10.0.0.2/32"), heard(61_100.0, false))], 1000.0, NOW);
        assert_eq!(bans.revision(), revision);
        let (_, lifted) = book.hear(&bans, vec![(net("10.0.0.1/32"), heard(0.0, true))], 1000.0, NOW);
        assert_eq!((lifted.len(), bans.len()), (1, 1));
        assert!(book.changes(&bans.all(), NOW).is_empty());
    }

    #[test]
    fn a_server_that_has_lost_its_data_is_told_all_again() {
        let (bans, mut book) = (Bans::default(), Book { is_begun: true, ..Book::default() });
        bans.add(net("10.0.0.0/8"), ban(None, None));
        let told = book.changes(&bans.all(), NOW);
        book.told(told);
        bans.add(net("10.0.0.9/32"), ban(None, None));
        let told = book.changes(&bans.all(), NOW);
        book.told(told);
        bans.remove(&net("10.0.0.9/32"));
        book = book.anew(&bans, NOW);
        let told = book.changes(&bans.all(), NOW);
        assert_eq!(told.iter().map(|told| told.what).collect::<Vec<_>>(), ["again", "lift"]);
    }
}
