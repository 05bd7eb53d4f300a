//! Names that are looked up, and whom they are asked of: pure text.

use super::model::Address;
use super::patterns;
use super::units::Invalid;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The port of DNS.
const DNS: u16 = 53;

/// A name that has addresses.
pub fn dns_name(text: &str) -> Result<String, Invalid> {
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(Invalid::new("it is an address, which needs no lookup").help("write it into `targets`"));
    }
    if let Some((name, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
        return Err(Invalid::new("it has a port").help(format!("write dns = \"{name}\", port = {port}")));
    }
    patterns::host_name(text)
}

/// A name that has SRV records (RFC 2782).
pub fn service_name(text: &str) -> Result<String, Invalid> {
    let name = dns_name(text).map_err(|invalid| Invalid { help: None, ..invalid })?;
    match name.split('.').count() {
        1 => Err(Invalid::new("it has one label").help(format!("write \"_http._tcp.{name}\""))),
        _ => Ok(name),
    }
}

/// The address of a server of DNS, with its port.
pub fn dns_server(text: &str) -> Result<String, Invalid> {
    let bare = text.trim_matches(['[', ']']);
    let server = match (bare.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
        (Ok(ip), _) => SocketAddr::new(ip, DNS),
        (_, Ok(server)) => server,
        _ => return Err(Invalid::new("it is no IP address").help("write \"127.0.0.1\" or \"127.0.0.1:8600\"")),
    };
    match (server.port(), server.ip().is_unspecified() || server.ip().is_multicast()) {
        (0, _) => Err(Invalid::new("nothing can be reached on port 0")),
        (_, true) => Err(Invalid::new("it is no address of one host")),
        _ => Ok(server.to_string()),
    }
}

/// A target as it is written down. A name is looked up elsewhere.
pub fn target(text: &str, folder: &Path) -> Result<String, Invalid> {
    let address = Address::parse_target(text).map_err(|invalid| match named(text) {
        Some((name, port)) if invalid.what == "names are not resolved" => {
            Invalid::new("names are not resolved in `targets`")
                .help(format!("write discover = {{ dns = \"{name}\", port = {port} }} in place of it"))
        }
        _ => invalid,
    })?;
    address.based_on(folder).map(|address| address.to_string())
}

fn named(text: &str) -> Option<(String, u16)> {
    let (name, port) = text.rsplit_once(':')?;
    Some((dns_name(name).ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_and_servers_are_addresses() {
        assert_eq!(dns_name("Api.Service.local.").unwrap(), "api.service.local");
        assert_eq!(service_name("_http._tcp.api.local").unwrap(), "_http._tcp.api.local");
        for (text, what) in [
            ("10.0.0.1", "it is an address, which needs no lookup"),
            ("[::1]", "it is an address, which needs no lookup"),
            ("api.local:80", "it has a port"),
            ("", "it is empty"),
            ("a b", "a blank cannot be in a host name"),
        ] {
            assert_eq!(dns_name(text).unwrap_err().what, what, "{text}");
        }
        assert_eq!(service_name("api").unwrap_err().what, "it has one label");
        for (text, server) in [
            ("127.0.0.1", "127.0.0.1:53"),
            ("127.0.0.1:8600", "127.0.0.1:8600"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[fd00::1]:5353", "[fd00::1]:5353"),
        ] {
            assert_eq!(dns_server(text).unwrap(), server);
        }
        for text in ["dns.local", "0.0.0.0", "127.0.0.1:0", "127.0.0.1:x", ""] {
            assert!(dns_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_among_targets_leads_to_discover() {
        let wrong = target("api.local:8080", Path::new("")).unwrap_err();
        assert_eq!(wrong.help.unwrap(), "write discover = { dns = \"api.local\", port = 8080 } in place of it");
        assert_eq!(target("10.0.0.1:80", Path::new("")).unwrap(), "10.0.0.1:80");
    }
}
