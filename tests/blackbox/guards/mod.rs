//! Who may connect, from where, and with which options of sockets.

mod access;
mod limits;
mod sockets;
mod transparent;
mod vanished;

use crate::support::wire::Wire;
use crate::support::{Client, Proxy};

/// Whether a client of a tcp listener in front of a mirror is served, and the connection if it is.
fn served(mut client: Client) -> Option<Client> {
    let sent = client.try_send("hello").is_ok();
    (sent && client.exact(5).is_ok_and(|got| got == b"hello")).then_some(client)
}

/// From an address of this machine's to "web".
fn comes(from: &str, proxy: &Proxy) -> Option<Client> {
    comes_to(from, &proxy.web())
}

/// From an address of this machine's.
fn comes_to(from: &str, address: &str) -> Option<Client> {
    // It may be reset before the client has seen that it stands.
    let wire = Wire::connect(address, Some(format!("{from}:0").parse().unwrap())).ok()?;
    served(Client::over(wire))
}
