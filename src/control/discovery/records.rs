//! From SRV records to targets (RFC 2782). Pure.

use super::found::Usual;
use crate::config::model::{Address, Target};
use std::net::{IpAddr, SocketAddr};

/// An SRV record whose name was looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Lower ones go before higher ones.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The addresses of its name.
    pub addresses: Vec<IpAddr>,
}

/// The largest weight of a target.
const HEAVIEST: u64 = 256;

/// The targets that records stand for. Those of the lowest priority value do the work, all others are backups. What records do not
/// say is as `usual`.
pub fn targets(services: &[Service], usual: Usual) -> Vec<Target> {
    let lowest = services.iter().filter(|service| !service.addresses.is_empty()).map(|service| service.priority).min();
    let mut targets = Vec::new();
    for service in services {
        let level = services.iter().filter(|other| other.priority == service.priority);
        let weight = share(service.weight, level.map(|other| other.weight));
        let backup = usual.backup || Some(service.priority) != lowest;
        let own = Usual { weight, backup, ..usual };
        let target = |&ip| own.target(Address::Ip(SocketAddr::new(ip, service.port)));
        targets.extend(service.addresses.iter().map(target));
    }
    targets
}

/// The weight of a target whose record has `weight` among `all` of its priority. If all have 0, all get the same; 0 beside others
/// gets next to nothing, but is not shut out.
fn share(weight: u16, all: impl Iterator<Item = u16> + Clone) -> u32 {
    let heaviest = u64::from(all.clone().max().unwrap_or(0));
    if heaviest == 0 {
        return 1;
    }
    let weight = u64::from(weight);
    let common = all.clone().fold(0, |common, weight| divisor(common, u64::from(weight)));
    let has_zero = all.clone().any(|weight| weight == 0);
    let scaled = match heaviest / common <= HEAVIEST && !has_zero {
        true => weight / common,
        false => weight * HEAVIEST / heaviest,
    };
    u32::try_from(scaled.max(1)).unwrap_or(1)
}

/// The greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(all: &[u16]) -> Vec<u32> {
        all.iter().map(|&weight| share(weight, all.iter().copied())).collect()
    }

    #[test]
    fn weights_are_shares_and_nobody_is_shut_out() {
        for (records, targets) in [
            (&[0, 0, 0][..], &[1, 1, 1][..]),
            (&[10, 10], &[1, 1]),
            (&[0, 10], &[1, 256]),
            (&[10, 20, 30], &[1, 2, 3]),
            (&[100, 65_535], &[1, 256]),
            (&[1, 256], &[1, 256]),
            (&[50_000], &[1]),
            (&[0, 1, 1], &[1, 256, 256]),
        ] {
            assert_eq!(weights(records), targets, "{records:?}");
        }
    }

    #[test]
    fn higher_priorities_are_backups_of_the_lowest_that_has_an_address() {
        let service = |priority, port, addresses: &[&str]| Service {
            priority,
            weight: 0,
            port,
            addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        };
        let all = [
            service(20, 81, &["10.0.0.2"]),
            service(10, 80, &["10.0.0.1", "fd00::1"]),
            service(10, 81, &["10.0.0.1"]),
            service(5, 80, &[]),
        ];
        let told = targets(&all, Usual::default());
        let told: Vec<String> =
            told.iter().map(|target| format!("{} {} {}", target.address, target.weight, target.backup)).collect();
        assert_eq!(told, ["10.0.0.2:81 1 true", "10.0.0.1:80 1 false", "[fd00::1]:80 1 false", "10.0.0.1:81 1 false"]);
        assert!(targets(&[], Usual::default()).is_empty());
        let told = targets(&all, Usual { weight: 9, backup: true, max_in_flight: Some(4) });
        assert!(told.iter().all(|target| (target.weight, target.backup, target.max_in_flight) == (1, true, Some(4))));
    }
}
