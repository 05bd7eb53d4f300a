//! Load generators: each is started on a core of its own and says at its end what it saw, in one form for all of them.
//!
//! A generator's numbers are about its requests alone. What they cost is the business of [`super::round`], and how many
//! answers there were within its window the backend's.

pub mod reading;

use crate::process::{Place, placed};
use crate::tls;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where `scripts/bench` puts oha.
const OHA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/oha");

/// What a load is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpec {
    /// Who makes it.
    pub tool: Tool,
    /// Whether it comes over TLS.
    pub tls: bool,
    /// What it asks for. For [`Tool::Strict`] what stands before its own paths, or "/".
    pub path: String,
    /// Its connections.
    pub connections: usize,
    /// How many numbers `{key}` in the path may be, at random; 0: none. For [`Tool::Bulk`].
    pub keys: usize,
    /// Header lines that it sends, as NAME: VALUE, in which `{key}` is the number, too. For [`Tool::Bulk`] and [`Tool::Wrk`].
    pub fields: Vec<String>,
}

/// See [`LoadSpec::tool`].
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Tool {
    /// wrk, with a script of bench/loads/ if its requests are to be other than plain GETs.
    Wrk {
        /// The script's file name, as in "pipeline.lua".
        script: Option<String>,
    },
    /// oha; OHA in the environment names another build.
    Oha,
    /// h2load.
    H2load {
        /// Streams at a time on each connection, over HTTP/2; without it HTTP/1.1 is spoken.
        streams: Option<usize>,
    },
    /// `bench bulk`, which does not copy the bodies that it receives: wrk's core would be full first.
    Bulk,
    /// `bench short`, which opens a connection for each request with fewer system calls than wrk.
    Short,
    /// `bench messages`: WebSocket messages of 128 bytes there and back.
    Messages,
    /// `bench datagrams`: questions of 28 bytes, each answered with itself.
    Datagrams,
    /// `bench strict` with plain GETs of 128 bytes, due at fixed times whether or not answers came.
    Strict {
        /// Requests a second.
        rate: f64,
        /// Whether each has a connection of its own.
        close: bool,
    },
}

/// What a load saw over all of its time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadReport {
    /// Good answers, if the generator counts them.
    pub answers: Option<u64>,
    /// What failed, if anything did. The measurement is no good then.
    pub errors: Option<String>,
    /// Microseconds within which half of the answers came, if the generator says so. Only [`Tool::Strict`] counts from
    /// when a request was due.
    pub p50: Option<f64>,
    /// The same of 99 %.
    pub p99: Option<f64>,
    /// The same of 99.9 %.
    pub p999: Option<f64>,
}

/// A load under way. It ends with its owner.
#[derive(Debug)]
pub struct Generator {
    tool: Tool,
    child: Option<Child>,
}

/// Starts the load `spec` on the listener at `address` for `seconds`, on the one core `core`.
pub fn start(spec: &LoadSpec, address: SocketAddr, core: usize, seconds: f64) -> Result<Generator> {
    let mut command = spec.command(address, core, seconds)?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().context("start the load")?;
    Ok(Generator { tool: spec.tool.clone(), child: Some(child) })
}

/// Waits for the load's end. Fails if the generator itself did; a failed request is one of [`LoadReport::errors`].
pub fn finish(mut generator: Generator) -> Result<LoadReport> {
    let output = generator.child.take().context("the load has ended already")?.wait_with_output()?;
    let (text, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // The strict client ends with an error if a request failed, and says which in its output.
    let told = matches!(generator.tool, Tool::Strict { .. }) && text.contains(" passed, ");
    ensure!(output.status.success() || told, "{}{}", text, complaint.trim_end());
    reading::read(&generator.tool, &text).with_context(|| format!("the load's report: {text}{complaint}"))
}

impl Tool {
    /// Whether it can come over TLS.
    pub fn speaks_tls(&self) -> bool {
        matches!(self, Self::Wrk { .. } | Self::H2load { .. } | Self::Bulk | Self::Short)
    }
}

impl Default for Tool {
    fn default() -> Self {
        Self::Wrk { script: None }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl LoadReport {
    /// Itself, if no request failed.
    pub fn clean(self) -> Result<Self> {
        match &self.errors {
            None => Ok(self),
            Some(errors) => anyhow::bail!("{errors}"),
        }
    }
}

impl LoadSpec {
    fn command(&self, address: SocketAddr, core: usize, seconds: f64) -> Result<Command> {
        let scheme = if self.tls { "https" } else { "http" };
        let (url, connections) = (format!("{scheme}://{address}{}", self.path), self.connections.to_string());
        // A load at a fixed rate has time to spare, and counts how long answers take.
        let place = if matches!(self.tool, Tool::Strict { .. }) { Place::Core(core) } else { Place::Patient(core) };
        let run = |program: &str, args: &[&str]| placed(program, args, place);
        let bench = std::env::current_exe()?.to_string_lossy().into_owned();
        let ours = |generator: &str| {
            let (address, seconds) = (address.to_string(), seconds.to_string());
            let mut command = run(&bench, &[generator, "--address", &address, "--path", &self.path]);
            command.args(["--duration", &seconds, "--connections", &connections]).args(self.tls.then_some("--tls"));
            command
        };
        Ok(match &self.tool {
            Tool::Wrk { script } => {
                let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("loads");
                let script = scripts.join(script.as_deref().unwrap_or("report.lua"));
                let (script, time) = (script.to_string_lossy(), format!("{}s", seconds.ceil()));
                let mut command =
                    run("wrk", &["-t1", "-c", &connections, "-d", &time, "--timeout", "10s", "-s", &script, &url]);
                command.args(self.fields.iter().flat_map(|field| ["-H", field]));
                command.env("LUA_PATH", format!("{}/?.lua", scripts.display()));
                command.env("OPENSSL_CONF", tls::OPENSSL_CONF);
                command
            }
            Tool::Oha => {
                let program = std::env::var("OHA").unwrap_or_else(|_| OHA.to_owned());
                let time = format!("{}ms", (seconds * 1000.0).ceil());
                // -w: what is under way at the end is waited for, where it would count as an error.
                run(&program, &["-z", &time, "-c", &connections, "-w", "--no-tui", "--output-format", "json", &url])
            }
            Tool::H2load { streams } => {
                let time = format!("{}ms", (seconds * 1000.0).ceil());
                let mut command = run("h2load", &["-t1", "-c", &connections, "-D", &time]);
                match streams {
                    Some(streams) => command.args(["-m", &streams.to_string()]),
                    None => command.arg("--h1"),
                };
                // It has its own defaults in place of libssl's.
                command.args(["--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519", &url]);
                command
            }
            Tool::Bulk => {
                let mut command = ours("bulk");
                command.args(["--keys", &self.keys.to_string()]);
                command.args(self.fields.iter().flat_map(|field| ["--field", field]));
                command
            }
            Tool::Short => ours("short"),
            Tool::Messages => ours("messages"),
            Tool::Datagrams => {
                let (address, seconds) = (address.to_string(), seconds.to_string());
                let mut command = run(&bench, &["datagrams", "--address", &address]);
                command.args(["--duration", &seconds, "--connections", &connections]);
                command
            }
            Tool::Strict { rate, close } => {
                let (rate, seconds) = (rate.to_string(), seconds.to_string());
                let mut command = run(&bench, &["strict", "--url", &url, "--rate", &rate, "--duration", &seconds]);
                command.args(["--connections", &connections, "--methods", "get", "--bodies", "0", "--chunked", "0"]);
                command.args(["--close", if *close { "1" } else { "0" }, "--sizes", "128"]);
                command
            }
        })
    }
}
