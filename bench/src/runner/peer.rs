//! The proxies that are compared: each with its fair, tuned configuration from bench/peers/.

pub mod known;
pub mod many;
pub mod setup;
#[cfg(test)]
mod tests;
pub mod version;

use super::load::{LoadSpec, Tool};
use super::scenario::Protocol;
use crate::plain;
use crate::process::{self, Place, Process};
use anyhow::{Context, Result, bail};
use known::{KNOWN, Known};
pub use setup::Setup;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use version::version;

/// The core that the proxy has for itself.
pub const PROXY_CORE: usize = 0;
/// The core of backend and load.
pub const LOAD_CORE: usize = 1;

/// What Ringway is called in tables.
pub const OURS: &str = "ringway";

/// How long a peer may take until it serves.
const READY: Duration = Duration::from_secs(10);

/// A proxy that can be started.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name in tables.
    pub name: &'static str,
    /// Its binary.
    pub program: String,
    /// What it says its version is, and the TLS library that it uses where that can be told.
    pub version: String,
    known: &'static Known,
}

/// A peer that serves.
#[derive(Debug)]
pub struct Running {
    /// Its name in tables.
    pub name: &'static str,
    /// Its process, the parent if it has several.
    pub process: Process,
    /// Its HTTP listener.
    pub http: SocketAddr,
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// Its TCP listener, if it can have one.
    pub tcp: Option<SocketAddr>,
    /// Where it tells of itself, if it is Ringway.
    pub admin: Option<SocketAddr>,
    /// The process of the TCP listener, where one process cannot have both.
    tcp_process: Option<Process>,
}

/// The peers called `only` ("all" is every one), else the usual ones, whose binaries are there; Ringway first. The
/// variables of [`known::KNOWN`] in the environment name other builds.
pub fn find(only: &[String]) -> Vec<Peer> {
    for name in only.iter().filter(|name| *name != "all" && KNOWN.iter().all(|known| known.name != **name)) {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        eprintln!("no peer {name:?}; there are {}, all", names.join(", "));
    }
    let wanted = |known: &&'static Known| match only {
        [] => known.usual,
        names => names.iter().any(|name| name == known.name || name == "all"),
    };
    let mut peers = Vec::new();
    for known in KNOWN.iter().filter(wanted) {
        let program = std::env::var(known.variable).unwrap_or_else(|_| known.program.to_owned());
        match version::describe(known.name, &program) {
            Ok(version) => peers.push(Peer { name: known.name, program, version, known }),
            Err(error) => eprintln!("{} is left out: {error:#}", known.name),
        }
    }
    peers
}

/// Where `cargo build --release` puts Ringway.
pub fn built_ringway() -> String {
    known::RINGWAY.to_owned()
}

impl Peer {
    /// Whether it can do what is asked: `protocol` under `load`, or many connections that mostly idle where there is no load.
    pub fn fits(&self, protocol: Protocol, load: Option<&LoadSpec>, setup: &Setup) -> bool {
        match self.name {
            _ if protocol == Protocol::Udp => known::WITH_UDP.contains(&self.name),
            known::FLOOR => load.is_some_and(|load| setup.is_plain() && floor_takes(protocol, load)),
            known::BARE => setup.extra.is_some(),
            known::STACK => setup.extra == Some(known::GATEWAY) && protocol == Protocol::Http,
            _ if setup.tls && self.known.tls.is_empty() => false,
            _ if setup.extra.is_some_and(|extra| self.known.extras.iter().all(|(name, _)| *name != extra)) => false,
            known::MAPPED => setup.routes > 0 && protocol == Protocol::Http,
            known::MULTIPLEXED => setup.h2c.is_some() && protocol == Protocol::Http,
            _ => protocol == Protocol::Http || self.known.tcp,
        }
    }

    /// Starts it in front of the backend as `setup` says, and waits until it serves.
    pub fn start(&self, setup: &Setup) -> Result<Running> {
        let log = setup.directory.join(format!("{}.log", self.name));
        let started = if self.name == known::FLOOR { self.start_floor(setup, &log) } else { self.spawn(setup, &log) };
        let ready = started.and_then(|running| {
            plain::wait_for(running.http, running.tls, "/128", READY)?;
            running.tcp.map_or(Ok(()), |tcp| plain::wait_for(tcp, false, "/128", READY))?;
            Ok(running)
        });
        ready
            .with_context(|| format!("{}: {}", self.name, std::fs::read_to_string(&log).unwrap_or_default().trim_end()))
    }

    fn spawn(&self, setup: &Setup, log: &Path) -> Result<Running> {
        let (http, tcp, admin) = (plain::free_address()?, plain::free_address()?, plain::free_address()?);
        let port = |address: SocketAddr| address.port().to_string();
        let mut values = setup.values(self.known)?;
        values.extend(self.known.values.iter().map(|&(name, value)| (name, value.to_owned())));
        values.extend([("http", port(http)), ("tcp", port(tcp)), ("admin", port(admin))]);
        // Debian's build has TCP as a module, others have it built in.
        let stream = if self.program == "nginx" { "load_module modules/ngx_stream_module.so;" } else { "" };
        values.push(("stream", stream.to_owned()));
        values.push(("modules", known::apache_modules(&self.program)));
        if setup.extra == Some("many") {
            std::fs::write(setup.directory.join("keys"), many::keys())?;
            values.extend([("many", many::many()), ("alone", many::alone())]);
        }
        // Last, because other values have them in them.
        values.push(("threads", setup.threads().to_string()));
        values.push(("peers", concat!(env!("CARGO_MANIFEST_DIR"), "/peers").to_owned()));
        values.push(("dir", setup.directory.to_string_lossy().into_owned()));
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let config = render(self.known.file, setup.directory, &values)?.to_string_lossy().into_owned();

        let directory = setup.directory.to_string_lossy();
        let fill = |text: &str| text.replace("{{config}}", &config).replace("{{dir}}", &directory);
        // `env` becomes the program, so that the process is the same.
        let mut command: Vec<String> = self.known.environment.iter().map(|text| fill(text)).collect();
        command.push(self.program.clone());
        command.extend(self.known.arguments.iter().map(|text| fill(text)));
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let process = Process::start("env", &command, setup.place, log)?;
        Ok(Running {
            name: self.name,
            process,
            http,
            tls: setup.tls,
            tcp: self.known.tcp.then_some(tcp),
            admin: (self.known.file == "ringway.toml").then_some(admin),
            tcp_process: None,
        })
    }

    /// The floor speaks one protocol, so it is two processes, of which the one that is not asked sleeps.
    fn start_floor(&self, setup: &Setup, log: &Path) -> Result<Running> {
        let (http, tcp) = (plain::free_address()?, plain::free_address()?);
        let start = |address: SocketAddr, protocol: &str| {
            let (port, target) = (address.port().to_string(), setup.target.port().to_string());
            Process::start(&self.program, &[&port, &target, protocol], Place::Core(PROXY_CORE), log)
        };
        let (process, tcp_process) = (start(http, "http")?, Some(start(tcp, "tcp")?));
        Ok(Running { name: self.name, process, http, tls: false, tcp: Some(tcp), admin: None, tcp_process })
    }
}

impl Running {
    /// Its listener of `protocol`, if it has one.
    pub fn listener(&self, protocol: Protocol) -> Option<SocketAddr> {
        match protocol {
            Protocol::Http => Some(self.http),
            // Of the same number.
            Protocol::Tcp | Protocol::Udp => self.tcp,
        }
    }

    /// CPU time of all its processes, user and system.
    pub fn cpu_time(&self) -> Duration {
        let processes = std::iter::once(&self.process).chain(&self.tcp_process);
        processes.map(|process| process::cpu_time(process.id())).sum()
    }
}

/// What the floor was made for. Its HTTP side takes heads that arrive whole, one at a time and without a body, and takes
/// every piece that it receives of an answer for a whole one. How many connections it has had does not matter: a slot
/// that is never reused costs 24 bytes; the limit on open files bounds how many there are at once.
fn floor_takes(protocol: Protocol, load: &LoadSpec) -> bool {
    let raw = matches!(load.tool, Tool::Wrk { script: None } | Tool::Oha | Tool::H2load { streams: None } | Tool::Bulk);
    raw && (protocol == Protocol::Tcp || matches!(load.path.as_str(), "/" | "/128" | "/4k"))
}

/// Fills in `{{name}}` of the template bench/peers/`file`; where the result is. Fails if one has no value.
pub fn render(file: &str, directory: &Path, values: &[(&str, &str)]) -> Result<PathBuf> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file);
    let mut text = std::fs::read_to_string(&template).with_context(|| template.display().to_string())?;
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    if let Some((_, rest)) = text.split_once("{{") {
        bail!("{}: no value for {:?}", template.display(), rest.split("}}").next().unwrap_or_default());
    }
    let path = directory.join(file);
    std::fs::write(&path, text)?;
    Ok(path)
}
