//! Who may connect to a listener, by address.

pub use crate::gateway::limits::{Clients as Table, Held};

use crate::config::model::{self, OnRefuse};
use crate::gateway::limits::{Full, Pace};
use crate::gateway::{Door, Ranges};
use crate::net::Peer;
use crate::observe::reason::Reason;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Who may connect to a listener. Clients of a Unix socket have no address, and always may.
#[derive(Debug)]
pub struct Guard {
    /// Goes before all else.
    deny: Ranges,
    /// `None`: everybody.
    allow: Option<Ranges>,
    /// Rules that are asked behind them.
    doors: Box<[Door]>,
    limits: Option<Limits>,
    /// Proxies that say whose connection it is: their own addresses are not looked at.
    announcers: Vec<IpNet>,
    /// Whether who is refused is not told.
    pub silent: bool,
}

/// What a client may have and make.
#[derive(Debug)]
pub struct Limits {
    connections: Option<u32>,
    pace: Option<Pace>,
    except: Ranges,
    counted: Counted,
}

/// What is counted of clients: plans that follow each other share it.
#[derive(Clone, Debug)]
struct Counted {
    table: Arc<Table>,
    /// Bits that make a client, of IPv4 and of IPv6.
    prefixes: [u8; 2],
}

impl Guard {
    /// Whether the address of who connects counts, and not what a header is going to say.
    pub fn judges(&self, peer: Peer) -> bool {
        !peer.local && !self.announces(peer.ip)
    }

    /// Why a client may not come in whatever it does; `None`: it may.
    pub fn bars(&self, client: IpAddr) -> Option<Barred> {
        match &self.allow {
            _ if self.deny.contains(client) => Some(Barred::Denied),
            Some(allow) if !allow.contains(client) => Some(Barred::NotAllowed),
            _ => None,
        }
    }

    /// Asks the rules whether a client may come in at `now`. `note` is told what each has said: its place among all rules, whether it is in
    /// shadow mode, and whether it refuses. Fails with the first that refuses.
    pub fn ask(&self, client: IpAddr, now: Duration, mut note: impl FnMut(usize, bool, bool)) -> Result<(), Turned> {
        for Door { index, shadow, keeper } in &self.doors {
            let said = keeper.admit(client, now);
            note(*index, *shadow, said.is_err());
            if let Err(denial) = said
                && !shadow
            {
                return Err(Turned { reason: denial.reason, word: denial.word, rule: Some(*index) });
            }
        }
        Ok(())
    }

    /// Lets a client in at `now`, and counts it for as long as what is returned lives, where that is limited. Fails with why it may
    /// not come in. `note` is told what rules have said.
    pub fn admit(
        &self,
        client: IpAddr,
        now: Duration,
        note: impl FnMut(usize, bool, bool),
    ) -> Result<Option<Held>, Turned> {
        if self.bars(client).is_some() {
            return Err(Reason::Denied.into());
        }
        self.ask(client, now, note)?;
        let Some(limits) = self.limits_of(client) else { return Ok(None) };
        let Counted { table, .. } = &limits.counted;
        table.enter(limits.counted.key(client), limits.connections, limits.pace, now).map_err(|full| match full {
            Full::Connections => Reason::ClientConnections.into(),
            Full::Rate => Reason::ConnectionRate.into(),
        })
    }

    /// Whether an address is that of a proxy that says whose connection it is.
    pub fn announces(&self, ip: IpAddr) -> bool {
        self.announcers.iter().any(|net| net.contains(&ip))
    }

    /// The limits that are for a client.
    pub fn limits_of(&self, client: IpAddr) -> Option<&Limits> {
        self.limits.as_ref().filter(|limits| !limits.except.contains(client))
    }

    /// Where clients are counted, if they are, for another process: what makes a client there goes before it.
    pub fn counts(&self) -> Option<(String, Arc<Table>)> {
        let Counted { table, prefixes: [v4, v6] } = &self.limits.as_ref()?.counted;
        Some((format!("{v4}/{v6}"), table.clone()))
    }

    /// Where clients are counted, if they are.
    pub fn table(&self) -> Option<&Table> {
        self.limits.as_ref().map(|limits| &*limits.counted.table)
    }
}

/// Why a client may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turned {
    /// The kind of refusal.
    pub reason: Reason,
    /// The same in a word of its own.
    pub word: &'static str,
    /// The place of the rule that says so among all rules, if one does.
    pub rule: Option<usize>,
}

impl From<Reason> for Turned {
    fn from(reason: Reason) -> Self {
        Self { reason, word: reason.word(), rule: None }
    }
}

/// Why a client may not come in whatever it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// It is in `deny`.
    Denied,
    /// It is not in `allow`.
    NotAllowed,
}

impl Counted {
    fn key(&self, client: IpAddr) -> u64 {
        let shift = |bits: u8, all: u32| all - u32::from(bits).min(all);
        let (kind, net) = match client.to_canonical() {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(shift(self.prefixes[0], 32)).unwrap_or(0);
                (4, Ipv4Addr::from(u32::from(ip) & mask).to_ipv6_mapped())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(shift(self.prefixes[1], 128)).unwrap_or(0);
                (6, Ipv6Addr::from(u128::from(ip) & mask))
            }
        };
        xxh3_64_with_seed(&net.octets(), self.table.seed() ^ kind)
    }
}

/// Who may connect to a listener, if not everybody may. What was counted under the plan before counts on.
pub(super) fn compile(listener: &model::Listener, doors: Box<[Door]>, before: Option<&Guard>) -> Option<Box<Guard>> {
    let limits = listener.limits.as_ref().map(|limits| {
        let prefixes = [limits.ipv4_prefix, limits.ipv6_prefix];
        let counted = before.and_then(|before| before.limits.as_ref()).map(|limits| &limits.counted);
        let counted = counted.filter(|old| old.prefixes == prefixes && old.table.size() == limits.size);
        Limits {
            connections: limits.connections,
            pace: limits.rate.map(|rate| Pace::of_open(rate.interval(), limits.burst.unwrap_or(rate.per_second()))),
            except: Ranges::new(&limits.except),
            counted: counted.cloned().unwrap_or_else(|| Counted { table: Arc::new(Table::new(limits.size)), prefixes }),
        }
    });
    let (allow, deny) = (Ranges::new(&listener.allow), Ranges::new(&listener.deny));
    if limits.is_none() && allow.is_empty() && deny.is_empty() && doors.is_empty() {
        return None;
    }
    Some(Box::new(Guard {
        deny,
        allow: (!allow.is_empty()).then_some(allow),
        doors,
        limits,
        announcers: listener.proxy_protocol.as_ref().map(|headers| headers.from.clone()).unwrap_or_default(),
        silent: listener.on_refuse == OnRefuse::Silent,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{ClientLimits, Listener};

    const NOW: Duration = Duration::from_secs(100);

    fn guard(listener: Listener) -> Guard {
        *compile(&listener, Box::default(), None).unwrap()
    }

    fn limited(ipv4_prefix: u8, ipv6_prefix: u8) -> Guard {
        let limits = ClientLimits { connections: Some(1), ipv4_prefix, ipv6_prefix, ..ClientLimits::default() };
        guard(Listener { limits: Some(limits), ..Listener::default() })
    }

    #[test]
    fn deny_goes_before_allow_and_who_is_not_allowed_is_denied() {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
        let barred = |guard: &Guard, ip: &str| guard.bars(ip.parse().unwrap());
        let both =
            guard(Listener { allow: nets(&["10.0.0.0/8"]), deny: nets(&["10.1.0.0/16"]), ..Listener::default() });
        assert_eq!(barred(&both, "10.2.0.1"), None);
        assert_eq!(barred(&both, "10.1.0.1"), Some(Barred::Denied));
        assert_eq!(barred(&both, "11.0.0.1"), Some(Barred::NotAllowed));
        assert_eq!(barred(&both, "2001:db8::1"), Some(Barred::NotAllowed));
        let deny = guard(Listener { deny: nets(&["10.1.0.0/16"]), ..Listener::default() });
        assert_eq!((barred(&deny, "11.0.0.1"), barred(&deny, "::ffff:10.1.0.1")), (None, Some(Barred::Denied)));
        assert!(compile(&Listener::default(), Box::default(), None).is_none(), "what is not configured is not there");
    }

    #[test]
    fn a_client_is_a_network_of_its_prefix() {
        let share = |guard: &Guard, first: &str, second: &str| {
            let _held = guard.admit(first.parse().unwrap(), NOW, |_, _, _| {}).unwrap().unwrap();
            guard.admit(second.parse().unwrap(), NOW, |_, _, _| {}).is_err()
        };
        let guard = limited(24, 64);
        assert!(share(&guard, "192.0.2.1", "192.0.2.254") && !share(&guard, "192.0.2.1", "192.0.3.1"));
        assert!(share(&guard, "192.0.2.1", "::ffff:192.0.2.1"));
        assert!(share(&guard, "2001:db8::1", "2001:db8::2:3:4:5") && !share(&guard, "2001:db8::1", "2001:db8:0:1::1"));
        let guard = limited(32, 128);
        assert!(!share(&guard, "192.0.2.1", "192.0.2.2") && !share(&guard, "2001:db8::1", "2001:db8::2"));
        assert!(share(&guard, "2001:db8::1", "2001:db8::1"));
    }

    #[test]
    fn a_reload_counts_on_with_other_limits_and_anew_with_other_clients() {
        let listener = |connections, ipv4_prefix| Listener {
            limits: Some(ClientLimits { connections: Some(connections), ipv4_prefix, ..ClientLimits::default() }),
            ..Listener::default()
        };
        let first = guard(listener(1, 32));
        let client = "192.0.2.1".parse().unwrap();
        let _held = first.admit(client, NOW, |_, _, _| {}).unwrap();
        let second = compile(&listener(2, 32), Box::default(), Some(&first)).unwrap();
        let _more = second.admit(client, NOW, |_, _, _| {}).unwrap();
        assert_eq!(second.admit(client, NOW, |_, _, _| {}).unwrap_err(), Reason::ClientConnections.into());
        let third = compile(&listener(2, 24), Box::default(), Some(&second)).unwrap();
        assert!(third.admit(client, NOW, |_, _, _| {}).is_ok());
    }
}
