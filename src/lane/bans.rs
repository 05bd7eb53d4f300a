//! Clients that are refused, as operators and rules say: one set for all workers, which control alone changes.
//!
//! What always holds: a worker that asks takes no lock, and pays one load while nobody is banned; a ban whose time is over counts no
//! more, whether or not it has been swept away. Rules leave room for operators, and shorten no ban.

use super::feed::Feed;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The clients that are refused.
#[derive(Debug, Default)]
pub struct Bans {
    /// How many there are: what is asked first.
    len: AtomicUsize,
    /// One more with each change.
    revision: AtomicU64,
    /// How many are by rules.
    by_rules: AtomicUsize,
    /// What rules want.
    feed: Feed,
    set: ArcSwap<Set>,
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Until when, since the boot of the host; `None`: until it is taken back.
    pub until: Option<Duration>,
    /// The rule that says so; `None`: an operator.
    pub rule: Option<Arc<str>>,
    /// Why, for those who come after.
    pub reason: Arc<str>,
}

/// Replaced as a whole, and in parts: a change copies one shard.
#[derive(Clone, Debug)]
struct Set {
    shards: [Shard; SHARDS],
    /// The lengths of prefixes that ranges have, and how many have each: of IPv4, of IPv6.
    lengths: [Vec<(u8, usize)>; 2],
    /// How many are by rules.
    by_rules: usize,
}

type Shard = Arc<HashMap<IpNet, Arc<Ban>>>;

impl Default for Set {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Arc::default()), lengths: Default::default(), by_rules: 0 }
    }
}

const SHARDS: usize = 64;
/// Bans at a time.
const MOST: usize = 100_000;
/// How many of them rules may have: the others are left to operators.
const MOST_BY_RULES: usize = 90_000;
/// The version of the text form.
const VERSION: u32 = 1;

impl Ban {
    /// What is left of it at `now`; `None`: it has no end.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        self.until.map(|until| until.saturating_sub(now))
    }

    fn is_over(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Bans {
    /// Whether nobody is banned.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bans there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// How many of them are by rules.
    pub fn by_rules(&self) -> usize {
        self.by_rules.load(Ordering::Relaxed)
    }

    /// What rules want.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// One more with each change.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// Whether a client is banned at `now`.
    #[inline]
    pub fn holds(&self, client: IpAddr, now: Duration) -> bool {
        !self.is_empty() && self.set.load().holds(client.to_canonical(), now)
    }

    /// All bans, in the order of their addresses.
    pub fn all(&self) -> Vec<(IpNet, Arc<Ban>)> {
        let set = self.set.load();
        let mut all: Vec<(IpNet, Arc<Ban>)> =
            set.shards.iter().flat_map(|shard| shard.iter()).map(|(net, ban)| (*net, ban.clone())).collect();
        all.sort_unstable_by_key(|(net, _)| *net);
        all
    }

    /// Those bans that are wanted, at most so many, in no order.
    pub fn some(&self, most: usize, mut wanted: impl FnMut(&IpNet, &Arc<Ban>) -> bool) -> Vec<(IpNet, Arc<Ban>)> {
        let set = self.set.load();
        let all = set.shards.iter().flat_map(|shard| shard.iter()).filter(|(net, ban)| wanted(net, ban));
        all.take(most).map(|(net, ban)| (*net, ban.clone())).collect()
    }

    /// The ban of an address or a range itself.
    pub fn get(&self, net: &IpNet) -> Option<Arc<Ban>> {
        let net = net.trunc();
        self.set.load().shards[place(&net)].get(&net).cloned()
    }

    /// Bans each of these, changes its ban, or takes it back, all at once. Says of each whether that was done: there may be no room for a ban, and
    /// none to take back.
    pub fn change_all(&self, changes: &[(IpNet, Option<Arc<Ban>>)]) -> Vec<bool> {
        if changes.is_empty() {
            return Vec::new();
        }
        let mut set = Set::clone(&self.set.load());
        let mut len = self.len();
        let change = |(net, ban): &(IpNet, Option<Arc<Ban>>)| {
            let net = net.trunc();
            let is_known = set.shards[place(&net)].contains_key(&net);
            match ban {
                Some(_) if !is_known && len >= MOST => return false,
                Some(ban) => {
                    len += usize::from(!is_known);
                    set.insert(net, ban.clone());
                }
                None if !is_known => return false,
                None => {
                    len -= 1;
                    set.drop_all(&[net]);
                }
            }
            true
        };
        let changed: Vec<bool> = changes.iter().map(change).collect();
        if changed.contains(&true) {
            self.put(set);
        }
        changed
    }

    /// Bans an address or a range, or changes its ban. False: there is no room for more. For control alone, as all changes.
    pub fn add(&self, net: IpNet, ban: Ban) -> bool {
        let net = net.trunc();
        let mut set = Set::clone(&self.set.load());
        if !set.shards[place(&net)].contains_key(&net) && self.len() >= MOST {
            return false;
        }
        set.insert(net, ban);
        self.put(set);
        true
    }

    /// Bans what rules want to be banned, unless it is for longer already. Says of each whether it is banned now that was not before, and counts
    /// those that there is no room for.
    pub fn add_all(&self, wanted: &[(IpNet, Ban)]) -> Vec<bool> {
        let mut set = Set::clone(&self.set.load());
        let mut len = self.len();
        let mut add = |(net, ban): &(IpNet, Ban)| {
            let net = net.trunc();
            match set.shards[place(&net)].get(&net) {
                Some(known) if known.until.is_none() || known.until >= ban.until => return false,
                Some(_) => {}
                None if set.by_rules >= MOST_BY_RULES || len >= MOST => {
                    self.feed.lose(1);
                    return false;
                }
                None => len += 1,
            }
            set.insert(net, ban.clone());
            true
        };
        let added: Vec<bool> = wanted.iter().map(&mut add).collect();
        if added.contains(&true) {
            self.put(set);
        }
        added
    }

    /// Takes a ban back. False: there was none.
    pub fn remove(&self, net: &IpNet) -> bool {
        let net = net.trunc();
        let mut set = Set::clone(&self.set.load());
        if !set.shards[place(&net)].contains_key(&net) {
            return false;
        }
        set.drop_all(&[net]);
        self.put(set);
        true
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Duration) {
        if self.is_empty() {
            return;
        }
        let set = self.set.load_full();
        let over: Vec<IpNet> = set
            .shards
            .iter()
            .flat_map(|shard| shard.iter())
            .filter(|(_, ban)| ban.is_over(now))
            .map(|(net, _)| *net)
            .collect();
        if !over.is_empty() {
            let mut next = Set::clone(&set);
            next.drop_all(&over);
            self.put(next);
        }
    }

    fn put(&self, set: Set) {
        let len = set.shards.iter().map(|shard| shard.len()).sum();
        self.by_rules.store(set.by_rules, Ordering::Relaxed);
        self.set.store(Arc::new(set));
        self.len.store(len, Ordering::Relaxed);
        self.revision.fetch_add(1, Ordering::Relaxed);
    }
}

impl Set {
    fn holds(&self, client: IpAddr, now: Duration) -> bool {
        let kind = usize::from(client.is_ipv6());
        self.lengths[kind].iter().any(|&(length, _)| {
            let Ok(net) = IpNet::new(client, length) else { return false };
            let net = net.trunc();
            self.shards[place(&net)].get(&net).is_some_and(|ban| !ban.is_over(now))
        })
    }

    /// In place of what is said of the same. `net` has no bits behind its prefix.
    fn insert(&mut self, net: IpNet, ban: impl Into<Arc<Ban>>) {
        let ban = ban.into();
        self.by_rules += usize::from(ban.rule.is_some());
        match Arc::make_mut(&mut self.shards[place(&net)]).insert(net, ban) {
            Some(before) => self.by_rules -= usize::from(before.rule.is_some()),
            None => self.lengths[kind(&net)].count(net.prefix_len(), true),
        }
    }

    fn drop_all(&mut self, nets: &[IpNet]) {
        for net in nets {
            if let Some(ban) = Arc::make_mut(&mut self.shards[place(net)]).remove(net) {
                self.lengths[kind(net)].count(net.prefix_len(), false);
                self.by_rules -= usize::from(ban.rule.is_some());
            }
        }
    }
}

/// Counts how many ranges have a prefix of some length.
trait Count {
    fn count(&mut self, length: u8, more: bool);
}

impl Count for Vec<(u8, usize)> {
    fn count(&mut self, length: u8, more: bool) {
        match self.iter_mut().find(|(known, _)| *known == length) {
            Some((_, count)) if more => *count += 1,
            Some((_, count)) => *count = count.saturating_sub(1),
            None if more => self.push((length, 1)),
            None => {}
        }
        self.retain(|(_, count)| *count > 0);
    }
}

fn kind(net: &IpNet) -> usize {
    usize::from(matches!(net, IpNet::V6(_)))
}

fn place(net: &IpNet) -> usize {
    let hash = match net.addr() {
        IpAddr::V4(ip) => xxh3_64(&ip.octets()),
        IpAddr::V6(ip) => xxh3_64(&ip.octets()),
    };
    hash as usize % SHARDS
}

/// The text form: what is left of each, so that another process can go on with it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    #[serde(default)]
    ban: Vec<TextBan>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextBan {
    client: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    reason: String,
}

impl Bans {
    /// All bans as TOML, for the process that follows this one.
    pub fn to_text(&self, now: Duration) -> Result<String, String> {
        let millis = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64);
        let ban = self.all().into_iter().filter(|(_, ban)| !ban.is_over(now)).map(|(client, ban)| TextBan {
            client,
            left_ms: ban.left(now).map(millis),
            rule: ban.rule.as_deref().map(str::to_owned),
            reason: ban.reason.to_string(),
        });
        toml::to_string(&Text { version: VERSION, ban: ban.collect() }).map_err(|error| error.to_string())
    }

    /// Takes up what [`Self::to_text`] of another process has written. Fails with what is wrong with the text, having changed
    /// nothing.
    pub fn take_text(&self, text: &str, now: Duration) -> Result<(), String> {
        let Text { version, ban } = toml::from_str(text).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("it has version {version}, and this Ringway reads version {VERSION}"));
        }
        let mut set = Set::clone(&self.set.load());
        for TextBan { client, left_ms, rule, reason } in ban.into_iter().take(MOST) {
            let until = left_ms.map(|left| now.saturating_add(Duration::from_millis(left)));
            set.insert(client.trunc(), Ban { until, rule: rule.map(Arc::from), reason: reason.into() });
        }
        self.put(set);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(until: Option<u64>) -> Ban {
        Ban { until: until.map(Duration::from_secs), rule: None, reason: "test".into() }
    }

    const NOW: Duration = Duration::from_secs(100);

    fn holds(bans: &Bans, client: &str) -> bool {
        bans.holds(client.parse().unwrap(), NOW)
    }

    #[test]
    fn addresses_and_ranges_are_held_until_their_time_is_over() {
        let bans = Bans::default();
        assert!(!holds(&bans, "10.0.0.1"));
        for (net, until) in
            [("10.0.0.1/32", None), ("10.1.2.3/16", Some(200)), ("192.0.2.0/24", Some(100)), ("2001:db8::/32", None)]
        {
            assert!(bans.add(net.parse().unwrap(), ban(until)));
        }
        for (client, held) in [
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("192.0.2.1", false),
            ("2001:db8::7", true),
            ("::ffff:10.0.0.1", true),
            ("::1", false),
        ] {
            assert_eq!(holds(&bans, client), held, "{client}");
        }
        bans.sweep(NOW);
        assert_eq!(bans.len(), 3);
        assert!(bans.remove(&"10.1.0.0/16".parse().unwrap()) && !bans.remove(&"10.1.0.0/16".parse().unwrap()));
        assert!(!holds(&bans, "10.1.255.1") && holds(&bans, "10.0.0.1"));
        assert!(bans.set.load().lengths[0].iter().all(|&(length, _)| length == 32));
    }

    #[test]
    fn there_is_room_for_so_many_and_a_change_of_a_full_set_is_quick() {
        let bans = Bans::default();
        let mut text = "version = 1\n".to_owned();
        for n in 0..MOST as u32 {
            let client = std::net::Ipv4Addr::from(n);
            text += &format!("[[ban]]\nclient = \"{client}/32\"\nleft_ms = 1000\nreason = \"\"\n");
        }
        bans.take_text(&text, NOW).unwrap();
        assert_eq!(bans.len(), MOST);
        assert!(!bans.add("192.0.2.1/32".parse().unwrap(), ban(None)), "no more");
        assert!(bans.add("0.0.0.7/32".parse().unwrap(), ban(None)), "but another time for one of them");
        assert!(!holds(&bans, "192.0.2.1") && holds(&bans, "0.1.0.0"));
        bans.sweep(NOW + Duration::from_secs(2));
        assert_eq!(bans.len(), 1);
    }

    #[test]
    fn rules_shorten_no_ban_and_leave_room_for_operators() {
        let bans = Bans::default();
        let by_rule = |n: u32, until| {
            let net = IpNet::from(IpAddr::from(std::net::Ipv4Addr::from(n)));
            (net, Ban { rule: Some("r".into()), ..ban(until) })
        };
        assert!(
            bans.add("0.0.0.1/32".parse().unwrap(), ban(None))
                && bans.add("0.0.0.2/32".parse().unwrap(), ban(Some(200)))
        );
        assert_eq!(
            bans.add_all(&[by_rule(1, Some(900)), by_rule(2, Some(150)), by_rule(2, Some(300))]),
            [false, false, true]
        );
        assert_eq!((bans.len(), bans.by_rules(), bans.feed().lost()), (2, 1, 0));
        let many: Vec<_> = (2..200_000).map(|n| by_rule(n, Some(300))).collect();
        assert_eq!(
            bans.add_all(&many).iter().filter(|&&added| added).count(),
            MOST_BY_RULES - 1,
            "one is there already"
        );
        assert_eq!((bans.len(), bans.by_rules()), (MOST_BY_RULES + 1, MOST_BY_RULES));
        assert!(bans.feed().lost() > 100_000);
        let next = Bans::default();
        next.take_text(&bans.to_text(NOW).unwrap(), NOW).unwrap();
        assert_eq!((next.len(), next.by_rules()), (bans.len(), bans.by_rules()));
        bans.sweep(Duration::from_secs(301));
        assert_eq!((bans.len(), bans.by_rules()), (1, 0));
    }

    #[test]
    fn what_is_left_of_each_goes_over_to_another_process() {
        let bans = Bans::default();
        bans.add("10.0.0.0/8".parse().unwrap(), ban(Some(160)));
        bans.add("10.0.0.1/32".parse().unwrap(), ban(Some(50)));
        bans.add("::1/128".parse().unwrap(), ban(None));
        let next = Bans::default();
        next.take_text(&bans.to_text(NOW).unwrap(), Duration::from_secs(5)).unwrap();
        let all = next.all();
        assert_eq!(all.len(), 2, "what is over stays behind");
        assert_eq!((all[0].1.until, all[1].1.until), (Some(Duration::from_secs(65)), None));
        assert!(next.take_text("version = 9", NOW).is_err() && next.len() == 2);
    }
}
