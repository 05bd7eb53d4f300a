//! What comes of refusals: who is refused too often is banned, and who is refused may be kept waiting.
//!
//! What always holds: it is looked at nothing but who was refused, by what and why. A request that is let through costs nothing here.

use super::limits::Limiter;
use super::ranges::Ranges;
use crate::observe::reason::Reason;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What comes of the refusals of a route or a listener.
#[derive(Debug, Default)]
pub struct Aftermath {
    /// Who is banned for them.
    pub strikes: Box<[Arc<Strikes>]>,
    /// Who is kept waiting.
    pub tarpits: Box<[Arc<Tarpit>]>,
}

/// A request or a connection that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The place of the rule that refused it among all rules; `None`: something else did.
    pub rule: Option<usize>,
    /// Why.
    pub reason: Reason,
    /// The status; `None`: it is a connection.
    pub status: Option<u16>,
}

/// Which refusals are meant.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Those by rules at these places; empty: by any.
    rules: Box<[usize]>,
    /// Those for these reasons; empty: see [`Self::has`].
    reasons: Box<[Reason]>,
}

impl Which {
    /// Those by these rules and for these reasons.
    pub fn new(rules: Vec<usize>, reasons: Vec<Reason>) -> Self {
        Self { rules: rules.into(), reasons: reasons.into() }
    }

    /// Whether a refusal is meant. Without a reason it is if a rule refuses; and where no rule is named either, only with 401, 403 or 429, or
    /// without an answer. Who is banned already is not meant.
    pub fn has(&self, refusal: &Refusal) -> bool {
        let by_rule = refusal.rule.is_some_and(|rule| self.rules.is_empty() || self.rules.contains(&rule));
        match (self.rules.is_empty(), self.reasons.is_empty()) {
            _ if refusal.reason == Reason::Banned => false,
            (true, true) => by_rule && matches!(refusal.status, None | Some(401 | 403 | 429)),
            (false, true) => by_rule,
            (no_rule, false) => (no_rule || by_rule) && self.reasons.contains(&refusal.reason),
        }
    }
}

/// A rule of type ban: counts the refusals of clients.
#[derive(Debug)]
pub struct Strikes {
    /// Its place among all rules.
    pub index: usize,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it bans nobody, and tells whom it would.
    pub shadow: bool,
    /// For how long it bans.
    pub span: Duration,
    /// Why, for those who come after.
    pub reason: Arc<str>,
    /// Which refusals count.
    pub which: Which,
    /// Who is never banned.
    pub except: Ranges,
    /// How many refusals are not enough, within what time; `None`: the first one is enough.
    pub counts: Option<Limiter>,
}

impl Strikes {
    /// Counts a refusal of a client at `now`. Returns who is to be banned for it, if that is enough; then it counts anew.
    pub fn count(&self, client: IpAddr, refusal: &Refusal, now: Duration) -> Option<IpNet> {
        if !self.which.has(refusal) || self.except.contains(client) {
            return None;
        }
        let net = network(client);
        if let Some(counts) = &self.counts {
            let key = match net {
                IpNet::V4(net) => counts.table().key(&net.network().octets()),
                IpNet::V6(net) => counts.table().key(&net.network().octets()),
            };
            if counts.decide(key, now).allowed {
                return None;
            }
            counts.forget(key, now);
        }
        Some(net)
    }
}

/// What an address stands for: who has one of IPv6 has a network of them.
fn network(client: IpAddr) -> IpNet {
    let client = client.to_canonical();
    let length = if client.is_ipv6() { 64 } else { 32 };
    IpNet::new(client, length).map_or(client.into(), |net| net.trunc())
}

/// A rule of type tarpit: keeps those waiting who are refused.
#[derive(Debug)]
pub struct Tarpit {
    /// Its place among all rules.
    pub index: usize,
    /// Whether it keeps nobody waiting, and counts whom it would.
    pub shadow: bool,
    /// For how long.
    pub delay: Duration,
    /// After which refusals.
    pub which: Which,
    /// How many at a time.
    pub most: u32,
    /// How many there are, under all plans.
    pub held: Arc<AtomicU32>,
}

/// Somebody who is kept waiting for as long as this lives.
#[derive(Debug)]
pub struct Stay(Arc<AtomicU32>);

impl Tarpit {
    /// Whether it is for a refusal.
    pub fn is_for(&self, refusal: &Refusal) -> bool {
        self.which.has(refusal)
    }

    /// Keeps somebody waiting, if there is room.
    pub fn enter(&self) -> Option<Stay> {
        let more = |held: u32| (held < self.most).then_some(held + 1);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Stay(self.held.clone()))
    }

    /// How many are kept waiting.
    pub fn held(&self) -> u32 {
        self.held.load(Ordering::Relaxed)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Allowance;
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn refusal(rule: Option<usize>, reason: Reason, status: u16) -> Refusal {
        Refusal { rule, reason, status: Some(status) }
    }

    fn strikes(most: u32, which: Which) -> Strikes {
        let allowance = Allowance::window(most, Duration::from_secs(60));
        Strikes {
            index: 7,
            name: "b".into(),
            shadow: false,
            span: Duration::from_secs(600),
            reason: "test".into(),
            which,
            except: Ranges::new(&["192.0.2.0/28".parse().unwrap()]),
            counts: allowance.ok().map(|allowance| Limiter::new(allowance, 1000, None)),
        }
    }

    #[test]
    fn what_rules_refuse_counts_unless_something_else_is_named() {
        let (key, path) = (refusal(Some(1), Reason::Unauthenticated, 401), refusal(None, Reason::NoRoute, 404));
        let large = refusal(Some(2), Reason::BodyTooLarge, 413);
        let at_the_door = Refusal { status: None, ..refusal(Some(1), Reason::Denied, 0) };
        let banned = refusal(None, Reason::Banned, 403);
        let of = |rules: &[usize], reasons: &[Reason]| Which::new(rules.to_vec(), reasons.to_vec());
        for (which, expected) in [
            (of(&[], &[]), [true, false, false, true, false]),
            (of(&[1], &[]), [true, false, false, true, false]),
            (of(&[2], &[]), [false, false, true, false, false]),
            (of(&[], &[Reason::NoRoute, Reason::Banned]), [false, true, false, false, false]),
            (of(&[2], &[Reason::NoRoute, Reason::BodyTooLarge]), [false, false, true, false, false]),
        ] {
            assert_eq!(
                [key, path, large, at_the_door, banned].map(|refusal| which.has(&refusal)),
                expected,
                "{which:?}"
            );
        }
    }

    #[test]
    fn so_many_refusals_within_a_time_are_a_ban_and_then_it_counts_anew() {
        let strikes = strikes(2, Which::default());
        let refused = |client: &str, after: u64| {
            let now = NOW + Duration::from_secs(after);
            strikes.count(client.parse().unwrap(), &refusal(Some(1), Reason::Unauthenticated, 401), now)
        };
        let net = |net: &str| Some(net.parse::<IpNet>().unwrap());
        assert_eq!([refused("198.51.100.1", 0), refused("198.51.100.1", 1)], [None, None]);
        assert_eq!(refused("198.51.100.2", 1), None, "each by itself");
        assert_eq!(refused("::ffff:198.51.100.1", 2), net("198.51.100.1/32"));
        assert_eq!([refused("198.51.100.1", 3), refused("198.51.100.1", 4)], [None, None], "it counts anew");
        assert_eq!(refused("198.51.100.1", 5), net("198.51.100.1/32"));
        assert_eq!([refused("2001:db8::1", 0), refused("2001:db8::2", 0)], [None, None]);
        assert_eq!(refused("2001:db8::3:4:5:6", 0), net("2001:db8::/64"));
        assert_eq!((0..9).find_map(|_| refused("192.0.2.1", 0)), None, "who is excepted");
        assert_eq!([0, 100, 200, 300].map(|after| refused("198.51.100.9", after)), [None; 4], "now and then");
    }

    #[test]
    fn one_refusal_may_be_enough() {
        let strikes = strikes(0, Which::new(vec![], vec![Reason::NoRoute]));
        assert!(strikes.count([198, 51, 100, 1].into(), &refusal(None, Reason::NoRoute, 404), NOW).is_some());
        assert!(strikes.count([198, 51, 100, 1].into(), &refusal(Some(1), Reason::Denied, 403), NOW).is_none());
    }

    #[test]
    fn so_many_are_kept_waiting_and_no_more_under_all_plans() {
        let held = Arc::default();
        let tarpit = |held: &Arc<AtomicU32>| Tarpit {
            index: 0,
            shadow: false,
            delay: Duration::from_secs(1),
            which: Which::default(),
            most: 2,
            held: held.clone(),
        };
        let (first, second) = (tarpit(&held), tarpit(&held));
        let (_one, two) = (first.enter().unwrap(), first.enter().unwrap());
        assert!(second.enter().is_none() && second.held() == 2);
        drop(two);
        assert!(second.enter().is_some() && first.held() == 1);
    }
}
