//! Servers that are asked about requests, compiled.

use super::Here;
use crate::config::model::{AuthServer, WhenAway};
use crate::gateway::Server;
use crate::tls;
use std::sync::Arc;

/// That of a rule; `None`: it cannot be asked, which is noted.
pub(super) fn server(of: &AuthServer, here: &mut Here<'_>) -> Option<Server> {
    let secure = of.url.starts_with("https://");
    match secure.then(|| tls::acme::client(of.ca.as_deref())).transpose() {
        Ok(tls) => Some(Server {
            url: of.url.as_str().into(),
            tls: tls.map(Arc::new),
            timeout: of.timeout.0,
            open: of.when_away == WhenAway::LetIn,
        }),
        Err(what) => {
            let key = if of.ca.is_some() { "ca" } else { "url" };
            here.fault(&[key], what, Some("name a PEM file of authorities: ca = \"ca.pem\"".to_owned()));
            None
        }
    }
}
