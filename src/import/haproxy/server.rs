//! A `server` line: where it is, and the words behind that.
//!
//! May depend on the ledger.

use super::Line;
use crate::import::emit::ENV;
use crate::import::report::{Ledger, LineId};
use crate::import::valid;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A server of a backend.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub line: LineId,
    pub name: String,
    pub at: At,
    words: BTreeMap<String, String>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum At {
    /// An address as the configuration writes it.
    Address(String),
    /// A name that is to be looked up, with a port.
    Name(String, u16),
    /// What is none of these, and why.
    Nowhere(String),
}

/// Words that have a value behind them.
const WITH_VALUE: [&str; 62] = [
    "addr",
    "agent-addr",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "ca-file",
    "check-alpn",
    "check-proto",
    "check-sni",
    "check-via",
    "ciphers",
    "ciphersuites",
    "cookie",
    "crl-file",
    "crt",
    "curves",
    "downinter",
    "error-limit",
    "fall",
    "fastinter",
    "guid",
    "hash-key",
    "id",
    "init-addr",
    "init-state",
    "inter",
    "interface",
    "log-proto",
    "max-reuse",
    "maxconn",
    "maxqueue",
    "minconn",
    "namespace",
    "npn",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "pool-conn-name",
    "pool-low-conn",
    "pool-max-conn",
    "pool-purge-delay",
    "port",
    "proto",
    "proxy-v2-options",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "rise",
    "shard",
    "sigalgs",
    "slowstart",
    "sni",
    "socks4",
    "source",
    "ssl-max-ver",
    "ssl-min-ver",
    "tcp-ut",
    "track",
];

/// More of them.
const WITH_VALUE_TOO: [&str; 6] = ["usesrc", "verify", "verifyhost", "weight", "ws", "cc"];

/// Words that say nothing that counts here.
const IDLE: [&str; 28] = [
    "enabled",
    "check",
    "no-check",
    "id",
    "guid",
    "init-addr",
    "resolve-net",
    "resolve-opts",
    "log-proto",
    "stick",
    "no-backup",
    "no-ssl",
    "no-sslv3",
    "no-tlsv10",
    "no-tlsv11",
    "ssl-max-ver",
    "no-send-proxy",
    "no-check-ssl",
    "no-agent-check",
    "ca-file",
    "no-tls-tickets",
    "max-reuse",
    "pool-low-conn",
    "pool-conn-name",
    "shard",
    "hash-key",
    "cc",
    "check-reuse-pool",
];

/// Words that something is made of.
const USED: [&str; 46] = [
    "addr",
    "agent-addr",
    "agent-check",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "backup",
    "check-send-proxy",
    "check-sni",
    "check-ssl",
    "cookie",
    "crt",
    "disabled",
    "downinter",
    "error-limit",
    "fall",
    "fastinter",
    "init-state",
    "inter",
    "interface",
    "maxconn",
    "maxqueue",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "pool-max-conn",
    "pool-purge-delay",
    "port",
    "proto",
    "resolve-prefer",
    "resolvers",
    "rise",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "slowstart",
    "sni",
    "source",
    "ssl",
    "ssl-min-ver",
    "tcp-ut",
    "tfo",
    "track",
];

impl Server {
    /// Reads `server NAME ADDRESS …`, after the words of `default-server`; `port` is that of servers that say none.
    pub fn read(ledger: &mut Ledger, line: &Line, defaults: &[String], port: Option<u16>) -> Server {
        ledger.carried(line.id);
        let mut server =
            Server { line: line.id, name: line.word(1).to_owned(), at: at(line.word(2), port), words: BTreeMap::new() };
        server.take(defaults);
        server.take(line.rest(3));
        server.judge(ledger);
        server
    }

    /// The servers that `server-template PREFIX COUNT NAME:PORT …` stands for, as one, and how many they are.
    pub fn template(ledger: &mut Ledger, line: &Line, defaults: &[String], port: Option<u16>) -> (Server, u32) {
        let words = [line.words.get(..2).unwrap_or_default(), line.rest(3)].concat();
        let server = Server::read(ledger, &Line { id: line.id, words }, defaults, port);
        let range = line.word(2);
        let count = match range.split_once('-') {
            Some((from, to)) => match (from.parse::<u32>(), to.parse::<u32>()) {
                (Ok(from), Ok(to)) => to.saturating_sub(from).saturating_add(1),
                _ => 1,
            },
            None => range.parse().unwrap_or(1),
        };
        (server, count.clamp(1, 10_000))
    }

    fn take(&mut self, words: &[String]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let has_value = WITH_VALUE.contains(&word.as_str()) || WITH_VALUE_TOO.contains(&word.as_str());
            let value = if has_value { words.next().cloned().unwrap_or_default() } else { String::new() };
            if let Some(off) = word.strip_prefix("no-") {
                self.words.remove(off);
            }
            if word == "enabled" {
                self.words.remove("disabled");
            }
            self.words.insert(word.clone(), value);
        }
    }

    fn judge(&self, ledger: &mut Ledger) {
        for word in self.words.keys() {
            let word = word.as_str();
            let used = USED.contains(&word)
                || IDLE.contains(&word)
                || ["verify", "verifyhost", "weight", "ca-file", "minconn"].contains(&word);
            if used {
                continue;
            }
            let why = match word {
                "ciphers" | "ciphersuites" | "curves" | "sigalgs" | "force-tlsv12" | "force-tlsv13" | "no-tlsv12"
                | "no-tlsv13" | "no-ssl-reuse" => "which ciphers and versions are spoken is said by `tls.level` alone",
                "crl-file" => "revocation lists of targets are not looked at",
                "redir" => "clients are not sent to targets: use a route with `redirect`",
                "namespace" => "connections go out from the network namespace of the process",
                "socks4" | "check-via-socks4" => "targets are not reached through a proxy",
                "non-stick" => "which target a client stays with knows no exceptions",
                "ws" => "a WebSocket is asked for as the client does",
                "check-alpn" | "check-proto" => "`health.version` says what checks speak",
                "proxy-v2-options" => {
                    "version 2 tells of TLS, the name asked for and ALPN; `send_proxy = \"v2-crc32c\"` adds a checksum"
                }
                "usesrc" => continue,
                "allow-0rtt" => "there is no early data",
                other if other.starts_with("no-") => continue,
                other => {
                    ledger.differs(self.line, format!("`{other}` is not known, and left out"));
                    continue;
                }
            };
            ledger.differs(self.line, format!("`{word}`: {why}"));
        }
    }

    /// Whether it has a word.
    pub fn has(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// What stands behind a word.
    pub fn value(&self, word: &str) -> Option<&str> {
        self.words.get(word).map(String::as_str)
    }
}

fn at(address: &str, port: Option<u16>) -> At {
    let plain = ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))
        .unwrap_or(address);
    if let Some(path) = plain.strip_prefix("unix@") {
        return At::Address(format!("unix:{path}"));
    }
    if plain.starts_with('/') {
        return At::Address(format!("unix:{plain}"));
    }
    if plain.contains('@') {
        return At::Nowhere(format!("`{address}`: targets are reached by TCP or a Unix socket"));
    }
    if plain.starts_with(ENV.0) {
        return At::Address(plain.to_owned());
    }
    if let Ok(address) = plain.parse::<SocketAddr>() {
        return At::Address(address.to_string());
    }
    if let Ok(ip) = plain.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        return match port {
            Some(port) => At::Address(SocketAddr::new(ip, port).to_string()),
            None => At::Nowhere("it says no port, and more than one would do".to_owned()),
        };
    }
    let (host, said) = match plain.rsplit_once(':') {
        Some((host, said)) => (host, said),
        None => (plain, ""),
    };
    if said.contains(ENV.0) {
        return match host.parse::<std::net::IpAddr>() {
            Ok(_) => At::Address(plain.to_owned()),
            Err(_) => At::Nowhere(
                "its port comes from the environment, and its name is to be looked up: one of them has to stand there"
                    .to_owned(),
            ),
        };
    }
    // `+1000` would be an offset from the client's port.
    let said_port = said.parse::<u16>().ok().filter(|_| !said.starts_with('+'));
    let Some(port) = said_port.filter(|port| *port > 0).or(port.filter(|_| said.is_empty())) else {
        return At::Nowhere(format!("`{said}` is no port that stands for itself"));
    };
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => At::Address(SocketAddr::new(ip, port).to_string()),
        Err(_) if host == "localhost" => At::Address(format!("localhost:{port}")),
        Err(_) if host == "*" || host.is_empty() => At::Address(format!("127.0.0.1:{port}")),
        Err(_) if !host.contains(ENV.0) && !valid::host(host) => {
            At::Nowhere(format!("`{host}` is no address and no name"))
        }
        Err(_) => At::Name(host.to_owned(), port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_kinds_are_read() {
        let name = |host: &str, port| At::Name(host.to_owned(), port);
        let address = |text: &str| At::Address(text.to_owned());
        assert_eq!(at("10.0.0.1:80", None), address("10.0.0.1:80"));
        assert_eq!(at("ipv4@10.0.0.1", Some(3306)), address("10.0.0.1:3306"));
        assert_eq!(at("[fd00::1]:80", None), address("[fd00::1]:80"));
        assert_eq!(at("web.internal:8080", None), name("web.internal", 8080));
        assert_eq!(at("web.internal", Some(80)), name("web.internal", 80));
        assert_eq!(at("unix@/run/a.sock", None), address("unix:/run/a.sock"));
        assert!(matches!(at("web.internal", None), At::Nowhere(_)));
        assert!(matches!(at("10.0.0.1:+1000", Some(80)), At::Nowhere(_)));
    }

    #[test]
    fn words_of_the_default_server_come_first() {
        let mut ledger = Ledger::default();
        let id = ledger.open("x", 1, "server");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let line = Line { id, words: words("server a 10.0.0.1:80 inter 1s no-check") };
        let server = Server::read(&mut ledger, &line, &words("check inter 5s fall 2"), None);
        assert_eq!((server.value("inter"), server.value("fall"), server.has("check")), (Some("1s"), Some("2"), false));
    }
}
