//! An OpenID provider that is certified as one (oidc-provider), and a browser that keeps cookies.

use super::client::{Client, Response};
use super::free_port;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running provider; dropping it ends it.
pub struct Provider {
    pub port: u16,
    process: Option<Child>,
}

/// A browser without scripts: it keeps what it is given, by host and port.
#[derive(Default)]
pub struct Browser {
    cookies: BTreeMap<(String, String), String>,
    /// Where it is.
    pub at: String,
}

fn packages() -> PathBuf {
    package("oidc-provider");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm")
}

/// The folder of an npm package, which is there.
pub fn package(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules").join(name);
    assert!(folder.exists(), "{name} is missing: run ./scripts/test once");
    folder
}

impl Provider {
    /// A place for one, which is not there yet.
    pub fn to_come() -> Provider {
        Provider { port: free_port(), process: None }
    }

    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it for a site, whose access tokens last so many seconds.
    pub fn start(&mut self, site: &str, seconds: u64) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/provider.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .arg(packages())
            .arg(self.port.to_string())
            .args([format!("{site}/oidc/callback"), format!("{site}/bye"), seconds.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        self.process = Some(process);
        assert!(out.lines().map_while(Result::ok).any(|line| line == "ready"), "the provider did not start");
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Host and port of a URL, and what is asked for there.
fn apart(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("no URL in clear: {url}"));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (host.to_owned(), if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

impl Browser {
    /// Asks for one thing, and goes nowhere else.
    pub fn ask(&mut self, method: &str, url: &str, fields: &[&str]) -> Response {
        let (host, path) = apart(url);
        let own = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let sent: Vec<String> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        let cookie = format!("Cookie: {}", sent.join("; "));
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        fields.iter().copied().chain((!sent.is_empty()).then_some(&*cookie)).for_each(|line| {
            text.push_str(line);
            text.push_str("\r\n");
        });
        let mut client = Client::to(&host);
        client.send(text + "\r\n");
        let answer = client.response_to(method).unwrap();
        for (name, value) in answer.head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
            let (cookie, text) = pair.split_once('=').unwrap_or_else(|| panic!("{name}: {value}"));
            let key = (host.clone(), cookie.trim().to_owned());
            let is_over = attributes.contains("Max-Age=0") || text.is_empty();
            if is_over { drop(self.cookies.remove(&key)) } else { drop(self.cookies.insert(key, text.to_owned())) }
        }
        self.at = url.to_owned();
        answer
    }

    /// Looks at a page, wherever it is sent.
    pub fn look(&mut self, url: &str) -> Response {
        self.look_until(url, |_| false)
    }

    /// The same, until it is sent to where `stop` says; there it does not go.
    pub fn look_until(&mut self, url: &str, stop: impl Fn(&str) -> bool) -> Response {
        let mut url = url.to_owned();
        for _ in 0..20 {
            let mut answer = self.ask("GET", &url, &["Accept: text/html"]);
            if answer.status == 200 && answer.text().contains("document.forms[0].submit()") {
                answer = self.ask("POST", &url, &["Accept: text/html", "Content-Length: 0"]);
            }
            let Some(to) = answer.field("location").filter(|_| (300..400).contains(&answer.status)) else {
                return answer;
            };
            url = if to.starts_with('/') { format!("http://{}{to}", apart(&url).0) } else { to };
            if stop(&url) {
                self.at = url;
                return answer;
            }
        }
        panic!("it is sent on and on: {url}");
    }

    /// Its cookies of a host and port, by name.
    pub fn cookies(&self, url: &str) -> BTreeMap<String, String> {
        let host = apart(url).0;
        let own = self.cookies.iter().filter(|((of, _), _)| *of == host);
        own.map(|((_, name), value)| (name.clone(), value.clone())).collect()
    }

    /// Keeps a cookie.
    pub fn keep(&mut self, url: &str, name: &str, value: &str) {
        self.cookies.insert((apart(url).0, name.to_owned()), value.to_owned());
    }
}
