//! Sets of addresses.

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

/// A set of addresses: ranges that neither overlap nor touch, in their order, so that thousands cost a dozen comparisons.
#[derive(Debug, Default)]
pub struct Ranges {
    v4: Box<[(u128, u128)]>,
    v6: Box<[(u128, u128)]>,
}

impl Ranges {
    /// The addresses of all of `nets`. IPv4 addresses that are mapped into IPv6 (RFC 4291 §2.5.5.2) are those that they stand for.
    pub fn new(nets: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match unmapped(*net) {
                IpNet::V4(net) => v4.push((u32::from(net.network()).into(), u32::from(net.broadcast()).into())),
                IpNet::V6(net) => v6.push((u128::from(net.network()), u128::from(net.broadcast()))),
            }
        }
        Self { v4: merged(v4), v6: merged(v6) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ranges, ip) = match ip.to_canonical() {
            IpAddr::V4(ip) => (&self.v4, u32::from(ip).into()),
            IpAddr::V6(ip) => (&self.v6, u128::from(ip)),
        };
        let behind = ranges.partition_point(|&(first, _)| first <= ip);
        behind > 0 && ranges[behind - 1].1 >= ip
    }
}

fn unmapped(net: IpNet) -> IpNet {
    match net.addr().to_canonical() {
        IpAddr::V4(ip) if net.addr().is_ipv6() && net.prefix_len() >= 96 => {
            Ipv4Net::new(ip, net.prefix_len() - 96).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

fn merged(mut ranges: Vec<(u128, u128)>) -> Box<[(u128, u128)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(nets: &[&str]) -> Ranges {
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        Ranges::new(&nets)
    }

    #[test]
    fn an_address_is_found_in_its_family_also_where_it_is_mapped() {
        let set = ranges(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32", "::ffff:198.51.100.0/120"]);
        for (ip, is_in) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("::ffff:10.2.3.4", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("198.51.100.9", true),
            ("::ffff:198.51.101.0", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("::", false),
        ] {
            assert_eq!(set.contains(ip.parse().unwrap()), is_in, "{ip}");
        }
        assert_eq!(set.v4.len(), 3, "what lies in another one is not looked at");
        for all in [ranges(&["0.0.0.0/0"]), ranges(&["::ffff:0:0/96"])] {
            assert!(all.contains("203.0.113.1".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        }
        assert!(ranges(&["::/0", "255.255.255.255/32"]).contains("ffff::".parse().unwrap()));
        assert!(ranges(&[]).is_empty());
    }

    #[test]
    fn it_says_what_the_ranges_themselves_say() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let nets: Vec<IpNet> = (0..random.usize(0..8))
                .map(|_| IpNet::new(IpAddr::from([10, 0, 0, random.u8(..)]), random.u8(20..=32)).unwrap().trunc())
                .collect();
            let set = Ranges::new(&nets);
            for _ in 0..100 {
                let ip = IpAddr::from([10, 0, random.u8(0..4), random.u8(..)]);
                assert_eq!(set.contains(ip), nets.iter().any(|net| net.contains(&ip)), "{ip} in {nets:?}");
            }
        }
    }
}
