//! What stands around a peer: the backend as its pool, and how many routes lead there.

use super::PROXY_CORE;
use super::known::Known;
use crate::process::Place;
use crate::runner::turns;
use crate::tls;
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// What a peer is to be configured for.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// The backend.
    pub target: SocketAddr,
    /// Where the peer's files go.
    pub directory: &'a Path,
    /// How many routes there are, by the path prefixes [`Setup::route`] of 1 up to this number, all to the one pool.
    /// Whatever the number, a request that no route takes goes to the pool too.
    pub routes: usize,
    /// How many pools share the routes and the targets among them, of Ringway alone; 0: there is one pool.
    pub pools: usize,
    /// How many targets the pool has; 0 is the backend's address alone. They are [`Setup::addresses`], so a backend
    /// for more than 0 must have been started with `--every-loopback`.
    pub targets: usize,
    /// Whether the peer speaks TLS on its HTTP listener, with a certificate that lies beside its configuration.
    pub tls: bool,
    /// The backend's address for HTTP/2 in clear. The pool of a peer that speaks it to targets is this alone, that of
    /// another one is as if there were none.
    pub h2c: Option<SocketAddr>,
    /// What the peer is to do beyond forwarding, by its name in [`Known::extras`].
    pub extra: Option<&'a str>,
    /// Where it runs.
    pub place: Place,
    /// How many connections clients will have at once, as far as is known. A peer with a thread for each needs it.
    pub connections: usize,
}

impl<'a> Setup<'a> {
    /// One target, no routes, and a few hundred connections.
    pub fn plain(target: SocketAddr, directory: &'a Path) -> Self {
        Self {
            target,
            directory,
            routes: 0,
            pools: 0,
            targets: 0,
            tls: false,
            h2c: None,
            extra: None,
            place: Place::Core(PROXY_CORE),
            connections: 256,
        }
    }

    /// Whether it is one target without routes, HTTP/1.1 in clear on both sides, and nothing beyond.
    pub fn is_plain(&self) -> bool {
        self.routes == 0 && self.targets == 0 && !self.tls && self.h2c.is_none() && self.extra.is_none()
    }

    /// The path prefix of route `number`, from 1. The backend does not mind it.
    pub fn route(number: usize) -> String {
        format!("/route-{number:04}/")
    }

    /// The targets of the pool: several are on loopback addresses of their own, all on the backend's port.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |number: usize| {
            let [_, _, high, low] = (number as u32).to_be_bytes();
            SocketAddr::from((Ipv4Addr::new(127, 1, high, low), self.target.port()))
        };
        match self.targets {
            0 => vec![self.target],
            count => (1..=count).map(address).collect(),
        }
    }

    /// How many threads suffice a peer that has one for each connection.
    pub fn threads(&self) -> usize {
        (self.connections + self.connections / 8).max(128)
    }

    /// The values that it has in the template of `known`.
    pub fn values(&self, known: &Known) -> Result<Vec<(&'static str, String)>> {
        let prefixes: Vec<String> = (1..=self.routes).map(Self::route).collect();
        let routes = prefixes
            .iter()
            .map(|path| known.route.replace("{{path}}", path).replace("{{name}}", path.trim_matches('/')));
        let routes: Vec<String> = routes.collect();
        let list = |addresses: Vec<SocketAddr>| {
            let targets = addresses.into_iter().enumerate().map(|(number, address)| {
                let name = format!("target-{}", number + 1);
                let text = known.target.replace("{{address}}", &address.to_string()).replace("{{name}}", &name);
                text.replace("{{host}}", &address.ip().to_string()).replace("{{port}}", &address.port().to_string())
            });
            targets.collect::<Vec<_>>().join(known.between)
        };
        let h2c = self.h2c.filter(|_| !known.h2_pool.is_empty());
        if self.tls {
            tls::write_certificate(&self.directory.join("site.pem"))?;
        }
        let map: String = prefixes.iter().map(|path| format!("{path} site\n")).collect();
        std::fs::write(self.directory.join("routes.map"), map)?;
        let named = |name: &str| known.extras.iter().find(|(extra, _)| *extra == name);
        let extra = self.extra.and_then(named).or_else(|| named("")).map_or(&[][..], |(_, values)| values);
        let balance = if self.targets > 0 { known.balance } else { "" };
        let own = || if self.pools > 0 { vec![self.target] } else { self.addresses() };
        let extra = extra.iter().map(|&(name, value)| (name, value.to_owned()));
        let plain = [
            (
                "routes",
                match self.pools {
                    0 => routes.join("\n"),
                    pools => turns::pools(pools, self.routes, &self.addresses()),
                },
            ),
            ("targets", list(h2c.map_or_else(own, |address| vec![address]))),
            ("tcp_targets", list(own())),
            ("h2_pool", if h2c.is_some() { known.h2_pool } else { "" }.to_owned()),
            ("tls", if self.tls { known.tls } else { "" }.to_owned()),
            ("balance", balance.to_owned()),
            ("pool", if self.targets > 0 { "balancer://site".to_owned() } else { format!("http://{}", self.target) }),
            ("target", self.target.port().to_string()),
            // Where there is none.
            ("extra", String::new()),
        ];
        Ok(extra.chain(plain).collect())
    }
}
