//! `ringway explain`: says what would become of a request, and why. Sends nothing and binds nothing.

use super::ask::{Asked, Trouble};
use crate::config::{self, Loaded, client_address};
use crate::control::admin::view::{Explained, NewExplanation};
use crate::explain::{self, Request, Unclear, har, text};
use crate::plan::{self, Plan};
use clap::Args;
use hyper::Method;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is asked, in curl's words where it has them.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// The process that runs by the configuration says what it would do, by its admin socket: it knows more than the file, such as the keys
    /// of issuers.
    #[arg(long, conflicts_with = "har")]
    live: bool,
    /// The listener that the request comes to; else the one that the URL leads to.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The method.
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    request: String,
    /// A header: 'Name: value'. 'Name;' has no value; 'Host:' sends none.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Who connects: an IP address, with a port or without.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", value_parser = client)]
    client: SocketAddr,
    /// It comes by HTTP/2.
    #[arg(long)]
    http2: bool,
    /// The name that the TLS handshake asks for; else that of the URL.
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// A protocol that the TLS handshake offers by ALPN; may be given several times. Else that of the request.
    #[arg(long, value_name = "PROTOCOL")]
    alpn: Vec<String>,
    /// A HAR file: each of its requests is explained.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "headers", "request", "http2"])]
    har: Option<PathBuf>,
    /// One JSON object a line for each request.
    #[arg(long)]
    json: bool,
    /// Where the request goes. Its path is sent as it stands.
    #[arg(value_name = "URL", required_unless_present = "har")]
    url: Option<String>,
}

fn client(text: &str) -> Result<SocketAddr, String> {
    client_address(text).map_err(|invalid| invalid.what)
}

/// Explains, and gives 0; or says what is wrong with the configuration or the request, and gives 2.
pub fn explain(arguments: &Arguments) -> ExitCode {
    if arguments.live {
        return super::ask::end(live(arguments));
    }
    let environment = |name: &str| std::env::var(name).ok();
    let mut loaded = match config::load(arguments.asked.config(), &environment) {
        Ok(loaded) => loaded,
        Err(report) => return fault(&report.render(colour(&io::stderr()))),
    };
    let plan = match plan::compile(&loaded.config, 1) {
        Ok(plan) => plan,
        Err(faults) => return fault(&loaded.sources.report(&faults).render(colour(&io::stderr()))),
    };
    loaded.warn(plan.warnings());
    match told(arguments, &loaded, &plan) {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Has the running process explain.
fn live(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let asked = NewExplanation {
        url: arguments.url.clone().unwrap_or_default(),
        method: Some(arguments.request.clone()),
        headers: arguments.headers.clone(),
        client: Some(arguments.client.to_string()),
        listener: arguments.listener.clone(),
        http2: arguments.http2,
        sni: arguments.sni.clone(),
        alpn: arguments.alpn.clone(),
    };
    let explained: Explained = arguments.asked.line()?.ask(Method::POST, "/v1/explain", Some(&asked))?.good()?;
    let text = if arguments.json { format!("{}\n", explained.explanation) } else { explained.text };
    // Whoever has read enough has closed the pipe.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn told(arguments: &Arguments, loaded: &Loaded, plan: &Plan) -> io::Result<ExitCode> {
    if !loaded.warnings.is_empty() && !arguments.json {
        writeln!(io::stderr(), "{}\n", loaded.warnings.render(colour(&io::stderr())))?;
    }
    let base = Request {
        method: arguments.request.clone(),
        client: arguments.client,
        listener: arguments.listener.clone(),
        http2: arguments.http2,
        sni: arguments.sni.clone(),
        alpn: arguments.alpn.clone(),
        ..Request::get(arguments.url.clone().unwrap_or_default())
    };
    let mut teller = Teller { plan, json: arguments.json, colour: colour(&io::stdout()), first: true };
    if let Some(path) = &arguments.har {
        return teller.entries(path, &base);
    }
    let asked = base.with_headers(&arguments.headers).and_then(|request| explain::explain(plan, &request));
    match asked {
        Ok(explanation) => {
            teller.tell(&explanation)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(unclear) => Ok(refuse(&sentence(&unclear))),
    }
}

struct Teller<'a> {
    plan: &'a Plan,
    json: bool,
    colour: bool,
    first: bool,
}

impl Teller<'_> {
    fn tell(&mut self, explanation: &explain::Explanation) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return writeln!(out, "{}", serde_json::to_string(explanation)?);
        }
        if !std::mem::take(&mut self.first) {
            writeln!(out)?;
        }
        out.write_all(text::render(explanation, self.colour).as_bytes())
    }

    fn entries(&mut self, path: &Path, base: &Request) -> io::Result<ExitCode> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return Ok(refuse(&format!("cannot read `{shown}`: {error}"))),
        };
        let entries = match har::read(&text, base) {
            Ok(entries) => entries,
            Err(unclear) => return Ok(refuse(&format!("`{shown}`: {}", sentence(&unclear)))),
        };
        let mut code = ExitCode::SUCCESS;
        for (entry, request) in entries {
            match request.and_then(|request| explain::explain(self.plan, &request)) {
                Ok(explanation) => self.tell(&explain::Explanation { entry: Some(entry), ..explanation })?,
                Err(unclear) => code = refuse(&format!("`{shown}`, log.entries[{entry}]: {}", sentence(&unclear))),
            }
        }
        Ok(code)
    }
}

fn sentence(unclear: &Unclear) -> String {
    match &unclear.help {
        Some(help) => format!("{}\nhelp: {help}", unclear.what),
        None => unclear.what.clone(),
    }
}

fn refuse(what: &str) -> ExitCode {
    fault(&format!("error: {what}"))
}

fn fault(drawn: &str) -> ExitCode {
    eprintln!("{drawn}");
    ExitCode::from(2)
}

/// Whether a stream shows colours.
pub(super) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
