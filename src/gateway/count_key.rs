//! What requests are counted by.

use super::jwt::Pointer;
use super::limits::{Record, Table};
use super::{Asked, Place, Who};
use smallvec::SmallVec;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What requests are counted by. Where a request does not have it, they are counted by the client's address.
#[derive(Clone, Debug)]
pub struct CountKey {
    /// What it is.
    pub by: CountBy,
    /// Bits of an address that make a client, of IPv4 and of IPv6.
    pub prefixes: [u8; 2],
}

/// What requests are counted by.
#[derive(Clone, Debug)]
pub enum CountBy {
    /// The client's address.
    Client,
    /// The consumer.
    Consumer,
    /// The route.
    Route,
    /// What stands in a place of the request.
    Place(Place),
    /// A claim of the client's token.
    Claim(Pointer),
    /// A text made of several things.
    Text(Arc<dyn Text>),
}

/// A text made of what is known of a request.
pub trait Text: fmt::Debug + Send + Sync {
    /// Appends it.
    fn write(&self, asked: &Asked<'_>, who: &Who, out: &mut SmallVec<[u8; 128]>);
}

impl CountKey {
    /// The key of a request in a table.
    pub fn of<R: Record>(&self, table: &Table<R>, asked: &Asked<'_>, who: &Who) -> u64 {
        table.key(&self.text(asked, who))
    }

    /// The key of a request: one for each thing that it may be counted by.
    pub fn text(&self, asked: &Asked<'_>, who: &Who) -> SmallVec<[u8; 128]> {
        let mut key = SmallVec::<[u8; 128]>::new();
        // What stands for one thing never stands for another.
        match &self.by {
            CountBy::Client => {}
            CountBy::Consumer => {
                if let Some(consumer) = &who.consumer {
                    key.push(b'c');
                    key.extend_from_slice(consumer.name.as_bytes());
                }
            }
            CountBy::Route => {
                key.push(b'r');
                key.extend_from_slice(asked.route.as_bytes());
            }
            CountBy::Place(place) => {
                if let (_, Some(found)) = place.find(asked.request) {
                    key.push(b'p');
                    key.extend_from_slice(&found);
                }
            }
            CountBy::Claim(pointer) => {
                let claim = who.tokens.iter().find_map(|proven| proven.claims.text(pointer).ok().flatten());
                if let Some(claim) = claim {
                    key.push(b'j');
                    key.extend_from_slice(claim.as_bytes());
                }
            }
            CountBy::Text(text) => {
                key.push(b't');
                text.write(asked, who, &mut key);
            }
        }
        if key.is_empty() {
            key.extend_from_slice(&network(asked.client, self.prefixes));
        }
        key
    }
}

/// The network of a client, and which family it is of.
fn network(client: IpAddr, prefixes: [u8; 2]) -> [u8; 17] {
    let shift = |bits: u8, all: u32| all - u32::from(bits).min(all);
    let (family, net) = match client.to_canonical() {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(shift(prefixes[0], 32)).unwrap_or(0);
            (b'4', Ipv4Addr::from(u32::from(ip) & mask).to_ipv6_mapped())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(shift(prefixes[1], 128)).unwrap_or(0);
            (b'6', Ipv6Addr::from(u128::from(ip) & mask))
        }
    };
    let mut key = [family; 17];
    key[1..].copy_from_slice(&net.octets());
    key
}
