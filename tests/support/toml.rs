//! Configurations: one listener "web" in front of one pool "site"; what is special is added as lines of TOML.

use std::fmt::Display;

/// An http listener in front of these targets.
pub fn http<A: Display>(targets: &[A]) -> String {
    http_with("", targets, "")
}

/// The same with further keys for the listener and, last, for the pool; whole tables may follow the pool's keys.
pub fn http_with<A: Display>(listener: &str, targets: &[A], pool: &str) -> String {
    balancer("http", listener, targets, pool)
}

/// A tcp listener in front of these targets.
pub fn tcp<A: Display>(targets: &[A]) -> String {
    tcp_with("", targets, "")
}

/// The same with further keys, as [`http_with`].
pub fn tcp_with<A: Display>(listener: &str, targets: &[A], pool: &str) -> String {
    balancer("tcp", listener, targets, pool)
}

/// A udp listener in front of these targets, with further keys as [`http_with`].
pub fn udp_with<A: Display>(listener: &str, targets: &[A], pool: &str) -> String {
    balancer("udp", listener, targets, pool)
}

/// One more pool.
pub fn pool<A: Display>(name: &str, targets: &[A], lines: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|t| format!("\"{t}\"")).collect();
    format!("\n[pools.{name}]\ntargets = [{}]\n{lines}\n", targets.join(", "))
}

fn balancer<A: Display>(protocol: &str, listener: &str, targets: &[A], lines: &str) -> String {
    let listen = if listener.contains("listen =") { "" } else { "listen = [\"127.0.0.1:0\"]" };
    format!("[listeners.web]\n{listen}\nprotocol = \"{protocol}\"\npool = \"site\"\n{listener}\n")
        + &pool("site", targets, lines)
}
