//! TLS ended at the edge. Protects ssl/ssl_client_auth, ssl/ssl_alpn, ssl/tls12_resume_stateless, tls13_resume_stateless,
//! ssl/set_ssl_cert, ssl/tls12_ssl_crt-list_filters.

mod acme;
mod by_name;
mod clients;
mod data;
mod files;
mod names;
mod staple;
mod targets;
mod tickets;
mod tunnels;

use crate::support::Target;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::{Authority, Kind, Made, listener};
use crate::support::toml::http_with;
use std::fmt::Display;
use std::path::PathBuf;

/// A proxy with TLS on its listener "web" before `targets`.
pub struct Edge {
    pub authority: Authority,
    pub setup: Setup,
}

impl Edge {
    /// A certificate for site.test, called `site`, and whatever else `write` puts into the folder.
    pub fn new() -> Edge {
        let edge = Edge { authority: Authority::new("Test"), setup: Setup::new("") };
        edge.add("site", &["site.test"], Kind::Ecdsa);
        edge
    }

    pub fn add(&self, file: &str, names: &[&str], kind: Kind) -> Made {
        let made = self.authority.server(names, kind);
        made.write(self.setup.directory(), file);
        made
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.setup.directory().join(name), text).unwrap();
    }

    /// Starts with these certificates and further keys of `[listeners.web.tls]`.
    #[track_caller]
    fn start<A: Display>(self, targets: &[A], names: &[&str], more: &str) -> (Proxy, Authority) {
        let config = http_with(&listener(names, more), targets, "");
        (self.setup.with(config).start(), self.authority)
    }
}

/// A proxy that asks clients for certificates, of which that with the serial 9 is revoked.
pub struct Asking {
    pub proxy: Proxy,
    /// Who has made its own.
    pub authority: Authority,
    /// Who makes those of clients.
    pub clients: Authority,
    /// Where its files are: `revoked.pem` lists what is revoked.
    pub folder: PathBuf,
}

impl Asking {
    /// `mode` is that of `client_auth`.
    #[track_caller]
    pub fn start(mode: &str, target: &Target) -> Asking {
        let (edge, clients) = (Edge::new(), Authority::new("Clients"));
        edge.write("clients.pem", &clients.pem());
        edge.write("revoked.pem", &clients.revokes(&[9]));
        let folder = edge.setup.directory().to_owned();
        let asks = format!("client_auth = {{ mode = \"{mode}\", ca = \"clients.pem\", crl = \"revoked.pem\" }}");
        let (proxy, authority) = edge.start(&[target], &["site"], &asks);
        Asking { proxy, authority, clients, folder }
    }
}
