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
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Between two times that hosts tell each other.
const EVERY: Duration = Duration::from_millis(500);
/// Changes that are told or heard at a time.
const MOST: usize = 1000;
/// What was lifted, and is kept until it is told.
const MOST_LIFTED: usize = 100_000;
/// The longest that a ban is told or heard to hold, in milliseconds: it is added to times, and no number of another host's is too large for that.
const LONGEST: u64 = 1 << 50;
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
    lifted: HashSet<IpNet>,
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
        Self { lifted: self.untold(bans, now).take(MOST_LIFTED).collect(), ..Self::default() }
    }

    /// What does not stand any more, and the server is not told of.
    fn untold(&self, bans: &Bans, now: Duration) -> impl Iterator<Item = IpNet> {
        let lifted = self.agreed.iter().filter(move |(_, ban)| !is_over(ban, now)).map(|(client, _)| *client);
        let before = self.lifted.iter().filter(|client| !self.agreed.contains_key(client)).copied();
        lifted.chain(before).filter(|client| bans.get(client).is_none())
    }

    /// What has changed here since the last time: at most so many. What was lifted comes first, as others may put it back.
    fn changes(&self, bans: &Bans, now: Duration) -> Vec<Told> {
        let lifted = self.untold(bans, now).map(|client| Told { client, what: "lift", ban: None });
        let mut told: Vec<Told> = lifted.take(MOST).collect();
        let what = if self.is_begun { "ban" } else { "again" };
        let is_news = |client: &IpNet, ban: &Arc<Ban>| self.agreed.get(client).is_none_or(|agreed| agreed != ban);
        let new = bans.some(MOST - told.len(), is_news);
        told.extend(new.into_iter().map(|(client, ban)| Told { client, what, ban: Some(ban) }));
        told
    }

    /// That these were told.
    fn told(&mut self, told: Vec<Told>) {
        for Told { client, ban, .. } in told {
            self.lifted.remove(&client);
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
        let nothing_is_left = self.looked == Some(bans.revision());
        let mut changes: Vec<(IpNet, Option<Arc<Ban>>)> = Vec::new();
        for (client, heard) in heard {
            let known = bans.get(&client);
            if heard.lifted {
                self.agreed.remove(&client);
                self.lifted.remove(&client);
                changes.extend(known.map(|_| (client, None)));
                continue;
            }
            let left = ((heard.ends - server).max(0.0) as u64).min(LONGEST);
            let until = (heard.ends >= 0.0).then(|| now.saturating_add(Duration::from_millis(left)));
            let rule = Some(heard.rule).filter(|rule| !rule.is_empty()).map(Arc::from);
            let ban = Ban { until, rule, reason: heard.reason.into() };
            match known {
                // What this host has told comes back: its end is a few milliseconds off.
                Some(known) if is_alike(&known, &ban) => drop(self.agreed.insert(client, known)),
                _ if is_over(&ban, now) => {}
                // It was lifted here, which the server is told next.
                None if self.lifted.contains(&client) => {}
                None if self.agreed.get(&client).is_some_and(|agreed| is_alike(agreed, &ban)) => {}
                _ => changes.push((client, Some(Arc::new(ban)))),
            }
        }
        let (mut banned, mut lifted) = (Vec::new(), Vec::new());
        let changed = bans.change_all(&changes);
        for ((client, ban), _) in changes.into_iter().zip(changed).filter(|(_, is_changed)| *is_changed) {
            match ban {
                Some(ban) => {
                    self.agreed.insert(client, ban);
                    banned.push(client);
                }
                None => lifted.push(client),
            }
        }
        if nothing_is_left {
            // What is new by this is agreed on.
            self.looked = Some(bans.revision());
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
        false => book.changes(bans, now),
    };
    let mut call = Call::new(&SCRIPT).key(link.key("bans")).key(link.key("bans:until"));
    call = call.key(link.key("bans:changes")).key(link.key("bans:number")).arg(book.heard).arg(MOST);
    for Told { client, what, ban } in &told {
        let left = ban.as_ref().and_then(|ban| ban.left(now));
        let left = left.map_or(-1, |left| i64::try_from(left.as_millis()).unwrap_or(i64::MAX).min(LONGEST as i64));
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
    let read = |(client, text): (String, String)| {
        Some((client.parse::<IpNet>().ok()?.trunc(), serde_json::from_str(&text).ok()?))
    };
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
        let told = book.changes(&bans, NOW);
        assert_eq!(told.iter().map(|told| told.what).collect::<Vec<_>>(), ["again", "again"]);
        book.told(told);
        book.is_begun = true;
        assert!(book.changes(&bans, NOW).is_empty());
        bans.add(net("10.0.0.2/32"), ban(Some(300), Some("r")));
        bans.remove(&net("10.0.0.1/32"));
        let told = book.changes(&bans, NOW);
        assert_eq!(told.iter().map(|told| told.what).collect::<Vec<_>>(), ["lift", "ban"]);
        book.told(told);
        bans.sweep(Duration::from_secs(301));
        assert!(book.changes(&bans, Duration::from_secs(301)).is_empty(), "what is over is over everywhere");
    }

    #[test]
    fn what_is_heard_holds_and_is_not_told_again() {
        let (bans, mut book) = (Bans::default(), Book { is_begun: true, ..Book::default() });
        let said = vec![(net("10.0.0.1/32"), heard(-1.0, false)), (net("10.0.0.2/32"), heard(61_000.0, false))];
        let (banned, lifted) = book.hear(&bans, said, 1000.0, NOW);
        assert_eq!((banned.len(), lifted.len(), bans.len()), (2, 0, 2));
        assert_eq!(bans.all()[1].1.until, Some(Duration::from_secs(160)));
        assert!(book.changes(&bans, NOW).is_empty());
        // It comes again, a little off: nothing changes.
        let revision = bans.revision();
        book.hear(&bans, vec![(net("10.0.0.2/32"), heard(61_100.0, false))], 1000.0, NOW);
        assert_eq!(bans.revision(), revision);
        book.looked = Some(bans.revision());
        let (_, lifted) = book.hear(&bans, vec![(net("10.0.0.1/32"), heard(0.0, true))], 1000.0, NOW);
        assert_eq!(book.looked, Some(bans.revision()), "nobody looks through all bans for what came from the others");
        assert_eq!((lifted.len(), bans.len()), (1, 1));
        assert!(book.changes(&bans, NOW).is_empty());
    }

    #[test]
    fn a_server_that_has_lost_its_data_is_told_all_again() {
        let (bans, mut book) = (Bans::default(), Book { is_begun: true, ..Book::default() });
        bans.add(net("10.0.0.0/8"), ban(None, None));
        let told = book.changes(&bans, NOW);
        book.told(told);
        bans.add(net("10.0.0.9/32"), ban(None, None));
        let told = book.changes(&bans, NOW);
        book.told(told);
        bans.remove(&net("10.0.0.9/32"));
        book = book.anew(&bans, NOW);
        let told = book.changes(&bans, NOW);
        assert_eq!(told.iter().map(|told| told.what).collect::<Vec<_>>(), ["lift", "again"]);
    }

    #[test]
    fn no_end_is_too_far_off() {
        let (bans, mut book) = (Bans::default(), Book { is_begun: true, ..Book::default() });
        book.hear(&bans, vec![(net("10.0.0.1/32"), heard(1e300, false))], 1000.0, NOW);
        book.hear(&bans, vec![(net("10.0.0.2/32"), heard(5000.0, false))], f64::NAN, NOW);
        assert_eq!(bans.len(), 1, "what cannot be reckoned with is over");
        let until = bans.get(&net("10.0.0.1/32")).unwrap().until.unwrap();
        assert_eq!(until, NOW + Duration::from_millis(LONGEST));
        assert!(bans.to_text(NOW).is_ok(), "another process can be told");
    }

    #[test]
    fn what_was_lifted_is_told_though_much_is_to_be_put_back() {
        let (bans, mut book) = (Bans::default(), Book { is_begun: true, ..Book::default() });
        let client = |n: u32| IpNet::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(n)));
        let all: Vec<_> = (0..3000).map(|n| (client(n), Some(Arc::new(ban(None, None))))).collect();
        bans.change_all(&all);
        for _ in 0..3 {
            let told = book.changes(&bans, NOW);
            book.told(told);
        }
        let gone: Vec<_> = (0..1200).map(|n| (client(n), None)).collect();
        bans.change_all(&gone);
        book = book.anew(&bans, NOW);
        // Another host puts back what is not told yet.
        let told = book.changes(&bans, NOW);
        book.told(told);
        let back = (0..1200).map(|n| (client(n), heard(-1.0, !book.lifted.contains(&client(n))))).collect();
        book.hear(&bans, back, 1000.0, NOW);
        let (mut lifts, mut bans_told) = (1000, 0);
        loop {
            let told = book.changes(&bans, NOW);
            if told.is_empty() {
                break;
            }
            lifts += told.iter().filter(|told| told.ban.is_none()).count();
            bans_told += told.iter().filter(|told| told.ban.is_some()).count();
            book.told(told);
        }
        assert_eq!((lifts, bans_told, bans.len()), (1200, 1800, 1800));
    }

    #[test]
    fn what_is_lifted_while_its_ban_is_on_the_way_stays_so() {
        let (bans, mut book) = (Bans::default(), Book { is_begun: true, ..Book::default() });
        bans.add(net("10.0.0.1/32"), ban(None, None));
        let told = book.changes(&bans, NOW);
        bans.remove(&net("10.0.0.1/32"));
        book.told(told);
        book.hear(&bans, vec![(net("10.0.0.1/32"), heard(-1.0, false))], 1000.0, NOW);
        assert!(bans.is_empty());
        assert_eq!(book.changes(&bans, NOW).len(), 1, "it is told");
    }
}
