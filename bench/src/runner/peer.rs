//! The proxies that are compared: each with its fair, tuned configuration from bench/peers/.

use crate::plain;
use crate::process::Process;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The core that the proxy has for itself.
pub const PROXY_CORE: usize = 0;
/// The core of backend and load.
pub const LOAD_CORE: usize = 1;

/// HAProxy with kernel splicing of answers, which it does not do by default. Runs only when named.
const SPLICING: &str = "haproxy-splice";

/// A proxy that can be started.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name in tables.
    pub name: &'static str,
    /// Its binary.
    pub program: String,
    /// What it says its version is.
    pub version: String,
}

/// A peer that serves.
#[derive(Debug)]
pub struct Running {
    /// Its name in tables.
    pub name: &'static str,
    /// Its process.
    pub process: Process,
    /// Its HTTP listener.
    pub http: SocketAddr,
    /// Its TCP listener.
    pub tcp: SocketAddr,
}

/// The peers called `only`, else the usual ones, whose binaries are there; Ringway first. HAPROXY, NGINX and RINGWAY in the environment name other builds.
pub fn find(only: &[String]) -> Vec<Peer> {
    let known = [
        ("ringway", "RINGWAY", built_ringway(), "--version"),
        ("haproxy", "HAPROXY", "haproxy".into(), "-v"),
        (SPLICING, "HAPROXY", "haproxy".into(), "-v"),
        ("nginx", "NGINX", "nginx".into(), "-v"),
    ];
    let mut peers = Vec::new();
    for (name, variable, default, flag) in known {
        let program = std::env::var(variable).unwrap_or(default);
        let wanted = if only.is_empty() { name != SPLICING } else { only.iter().any(|wanted| wanted == name) };
        if !wanted {
            continue;
        }
        match version(&program, flag) {
            Ok(version) => peers.push(Peer { name, program, version }),
            Err(error) => eprintln!("{name} is left out: {error:#}"),
        }
    }
    peers
}

/// Where `cargo build --release` puts Ringway.
pub fn built_ringway() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/ringway").to_owned()
}

/// The first line that `program` says about its version.
pub fn version(program: &str, flag: &str) -> Result<String> {
    let output = Command::new(program).arg(flag).output().with_context(|| program.to_owned())?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
}

impl Peer {
    /// Starts it in front of the backend at `target`, with its files in `directory`, and waits until it serves.
    pub fn start(&self, target: SocketAddr, directory: &Path) -> Result<Running> {
        let (http, tcp, admin) = (plain::free_address()?, plain::free_address()?, plain::free_address()?);
        let file = match self.name {
            "ringway" => "ringway.toml",
            "nginx" => "nginx.conf",
            _ => "haproxy.cfg",
        };
        let port = |address: SocketAddr| address.port().to_string();
        // Debian's build has TCP as a module, others have it built in.
        let stream = if self.program == "nginx" { "load_module modules/ngx_stream_module.so;" } else { "" };
        let config = render(
            file,
            directory,
            &[
                ("http", &port(http)),
                ("tcp", &port(tcp)),
                ("admin", &port(admin)),
                ("target", &port(target)),
                ("stream", stream),
                ("pipes", if self.name == SPLICING { "maxpipes 64" } else { "" }),
                ("splice", if self.name == SPLICING { "option splice-response" } else { "" }),
                ("dir", &directory.to_string_lossy()),
            ],
        )?;
        let config = config.to_string_lossy().into_owned();
        let args: &[&str] = match self.name {
            "ringway" => &["run", "-c", &config],
            "nginx" => &["-c", &config],
            _ => &["-db", "-f", &config],
        };
        let log = directory.join(format!("{}.log", self.name));
        let process = Process::start(&self.program, args, Some(PROXY_CORE), &log)?;
        let ready = plain::wait_for(http, "/128", Duration::from_secs(10));
        ready.and_then(|()| plain::wait_for(tcp, "/128", Duration::from_secs(10))).with_context(|| {
            format!("{}: {}", self.name, std::fs::read_to_string(&log).unwrap_or_default().trim_end())
        })?;
        Ok(Running { name: self.name, process, http, tcp })
    }
}

/// Fills in `{{name}}` of the template bench/peers/`file`; where the result is.
pub fn render(file: &str, directory: &Path, values: &[(&str, &str)]) -> Result<PathBuf> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file);
    let mut text = std::fs::read_to_string(&template).with_context(|| template.display().to_string())?;
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    let path = directory.join(file);
    std::fs::write(&path, text)?;
    Ok(path)
}
