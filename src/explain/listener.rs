//! Which listener a URL leads to.

use super::request::Unclear;
use crate::config::url::Url;
use crate::config::{choice, nearest};
use crate::net::Address;
use crate::plan::{Http, Listener, Plan, Protocol};
use std::net::{IpAddr, SocketAddr};

/// A listener, and why it is this one.
pub(super) struct Chosen<'a> {
    pub(super) listener: &'a Listener,
    pub(super) http: &'a Http,
    /// The port that is dialled; 0 for a Unix socket.
    pub(super) port: u16,
    pub(super) why: String,
}

/// Finds the listener of that name, or else the one that the URL leads to.
pub(super) fn choose<'a>(plan: &'a Plan, url: &Url, named: Option<&str>) -> Result<Chosen<'a>, Unclear> {
    match named {
        Some(name) => by_name(plan, url, name),
        None => by_url(plan, url),
    }
}

fn by_name<'a>(plan: &'a Plan, url: &Url, name: &str) -> Result<Chosen<'a>, Unclear> {
    let Some(listener) = plan.listeners.iter().find(|listener| listener.name == name) else {
        let names: Vec<&str> = plan.listeners.iter().map(|listener| &*listener.name).collect();
        let help = match nearest(name, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => choice("listener", &names),
        };
        return Err(Unclear::new(format!("no listener is named `{name}`"), help));
    };
    let Some(door) = Door::of(listener) else { return Err(passes_bytes(plan, listener)) };
    let port = match listens_on(listener, url.dialled()) {
        true => url.dialled(),
        false => first_port(listener, url),
    };
    Ok(door.chosen(port, "as asked for".to_owned()))
}

fn by_url<'a>(plan: &'a Plan, url: &Url) -> Result<Chosen<'a>, Unclear> {
    let port = url.dialled();
    let all: Vec<Door<'a>> = plan.listeners.iter().filter_map(|listener| Door::of(listener)).collect();
    let fitting = kept(&all, |door| door.listener.tls.is_some() == url.secure);
    let manner = if url.secure { "ends TLS" } else { "speaks HTTP in clear" };
    match nearest_address(&kept(&fitting, |door| listens_on(door.listener, port)), url)[..] {
        [door] => return Ok(door.chosen(port, format!("it listens on port {port} and {manner}"))),
        [] => {}
        ref several => {
            let what = format!("{} listen on port {port}: the URL does not say which one is meant", list(several));
            return Err(Unclear::new(what, name_one(several)));
        }
    }
    if let Some(other) = plan.listeners.iter().find(|listener| !listener.is_udp() && listens_on(listener, port)) {
        if !matches!(other.protocol, Protocol::Http(_)) {
            return Err(passes_bytes(plan, other));
        }
        let (does, scheme) = if url.secure { ("speaks HTTP in clear", "http") } else { ("ends TLS", "https") };
        let what = format!("port {port} is listener `{}`, which {does}", other.name);
        return Err(Unclear::new(what, format!("write {scheme}://…, or --listener {}", other.name)));
    }
    if let ([door], Some(_)) = (&kept(&fitting, |door| listens_on(door.listener, 0))[..], url.port) {
        return Ok(door.chosen(port, format!("it {manner}, on a port that is picked at the start")));
    }
    if let ([door], None) = (&fitting[..], url.port) {
        let places = places(door.listener);
        let why = format!("it is the only one that {manner}; it listens on {places}, not on port {port}");
        return Ok(door.chosen(first_port(door.listener, url), why));
    }
    Err(match (&fitting[..], &all[..]) {
        (_, []) => Unclear::new("no listener speaks HTTP", None),
        ([], others) if url.secure => {
            let help = format!("if TLS ends in front of Ringway, say where requests come in: {}", name_one(others));
            Unclear::new("no listener ends TLS", help)
        }
        ([], others) => Unclear::new("no listener speaks HTTP in clear", name_one(others)),
        (fitting, _) => {
            let what = format!("no listener that {manner} listens on port {port}: there is {}", list(fitting));
            Unclear::new(what, name_one(fitting))
        }
    })
}

/// A listener that speaks HTTP.
#[derive(Clone, Copy)]
struct Door<'a> {
    listener: &'a Listener,
    http: &'a Http,
}

impl<'a> Door<'a> {
    fn of(listener: &'a Listener) -> Option<Self> {
        match &listener.protocol {
            Protocol::Http(http) => Some(Self { listener, http }),
            Protocol::Tcp { .. } | Protocol::Udp(_) => None,
        }
    }

    fn chosen(self, port: u16, why: String) -> Chosen<'a> {
        Chosen { listener: self.listener, http: self.http, port, why }
    }
}

fn kept<'a>(doors: &[Door<'a>], keep: impl Fn(&Door<'a>) -> bool) -> Vec<Door<'a>> {
    doors.iter().copied().filter(|door| keep(door)).collect()
}

fn passes_bytes(plan: &Plan, listener: &Listener) -> Unclear {
    let (speaks, passes, pool) = match &listener.protocol {
        Protocol::Tcp { pool } => ("tcp", "bytes", *pool),
        Protocol::Udp(udp) => ("udp", "datagrams", Some(udp.pool)),
        Protocol::Http(_) => ("http", "requests", None),
    };
    let pool = pool.and_then(|pool| plan.pools.get(pool)).map_or("", |pool| &pool.shared.name);
    let what = format!(
        "listener `{}` speaks {speaks}: it passes {passes} on to pool `{pool}`, whatever request they may hold",
        listener.name
    );
    Unclear::new(what, None)
}

fn addresses(listener: &Listener) -> impl Iterator<Item = SocketAddr> {
    listener.addresses.iter().filter_map(|address| match address {
        Address::Ip(address) => Some(*address),
        Address::Unix(_) => None,
    })
}

pub(super) fn listens_on(listener: &Listener, port: u16) -> bool {
    addresses(listener).any(|address| address.port() == port)
}

/// The port by which a request comes that names none of the listener's.
fn first_port(listener: &Listener, url: &Url) -> u16 {
    match addresses(listener).next().map(|address| address.port()) {
        Some(0) => url.dialled(),
        Some(port) => port,
        None => 0,
    }
}

/// Of several on a port, those whose address the URL names; if none does, those that listen on all addresses of its family.
fn nearest_address<'a>(all: &[Door<'a>], url: &Url) -> Vec<Door<'a>> {
    let Ok(ip) = url.host.trim_matches(['[', ']']).parse::<IpAddr>() else { return all.to_vec() };
    let fits = |wanted: &dyn Fn(IpAddr) -> bool| {
        let on = |address: SocketAddr| address.port() == url.dialled() && wanted(address.ip());
        kept(all, |door| addresses(door.listener).any(on))
    };
    let exact = fits(&|own| own == ip);
    let every = fits(&|own| own.is_unspecified() && own.is_ipv4() == ip.is_ipv4());
    [exact, every].into_iter().find(|found| !found.is_empty()).unwrap_or_else(|| all.to_vec())
}

fn places(listener: &Listener) -> String {
    let all: Vec<String> = listener.addresses.iter().map(ToString::to_string).collect();
    all.join(", ")
}

fn list(doors: &[Door<'_>]) -> String {
    let all: Vec<String> =
        doors.iter().map(|door| format!("`{}` ({})", door.listener.name, places(door.listener))).collect();
    all.join(", ")
}

fn name_one(doors: &[Door<'_>]) -> String {
    let first = doors.first().map_or("NAME", |door| &*door.listener.name);
    format!("--listener {first}, or listener = \"{first}\" in a test")
}
