//! Asking a running Ringway by its admin API: where it is, what it says, and what is wrong if it says nothing.

use crate::config;
use crate::control::admin::view::Problem;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Which Ringway is asked.
#[derive(Args)]
pub struct Asked {
    /// Its configuration: it says where the admin socket is.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/ringway/ringway.toml")]
    config: PathBuf,
    /// Where it is, instead: "unix:/run/ringway/admin.sock", "http://127.0.0.1:9901".
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// A file with the token, for TCP.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// The way to a Ringway.
pub struct Line {
    way: Way,
    token: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Socket(PathBuf),
    Tcp(String),
}

/// An answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    text: Bytes,
}

/// Why there is no good answer: for the user.
#[derive(Debug)]
pub struct Trouble(pub String);

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A reload may wait for addresses and for certificates.
const PATIENCE: Duration = Duration::from_secs(90);

impl Asked {
    /// Its configuration.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Finds the way.
    pub fn line(&self) -> Result<Line, Trouble> {
        let (way, token_file) = match &self.admin {
            Some(url) => (read_way(url)?, None),
            None => self.configured()?,
        };
        let file = self.token_file.clone().or(token_file.filter(|_| matches!(way, Way::Tcp(_))));
        let read = |file: PathBuf| match std::fs::read_to_string(&file) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(format!("cannot read the token in `{}`: {error}", file.display())),
        };
        Ok(Line { way, token: file.map(read).transpose()? })
    }

    /// Where the configuration says. One with a fault is looked at by its lines: it is then that somebody wants to know what runs.
    fn configured(&self) -> Result<(Way, Option<PathBuf>), Trouble> {
        let admin = match config::load(&self.config, &|name| std::env::var(name).ok()) {
            Ok(loaded) => loaded.config.admin.unwrap_or_default(),
            Err(report) => match std::fs::read_to_string(&self.config) {
                Ok(text) => glean(&text, self.config.parent().unwrap_or(Path::new(""))),
                Err(_) => {
                    return Err(Trouble(format!("{report}\n  help: name the configuration with -c, or use --admin")));
                }
            },
        };
        match (admin.socket, admin.listen) {
            (Some(socket), _) => Ok((Way::Socket(socket), None)),
            (None, Some(listen)) => Ok((Way::Tcp(listen.to_string()), admin.token_file)),
            (None, None) => Err(Trouble(format!(
                "`{}` has no [admin] with a socket: add socket = \"/run/ringway/admin.sock\", or use --admin",
                self.config.display()
            ))),
        }
    }
}

/// What a configuration with faults says of its admin listener.
fn glean(text: &str, folder: &Path) -> config::model::Admin {
    let mut admin = config::model::Admin::default();
    let mut here = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            here = line.starts_with("[admin]");
        } else if let Some((key, value)) = line.split_once('=').filter(|_| here) {
            let value = value.trim().trim_start_matches(['"', '\'']);
            let value = value.split(['"', '\'']).next().unwrap_or_default();
            match key.trim() {
                "socket" => admin.socket = Some(folder.join(value)),
                "listen" => admin.listen = value.parse().ok(),
                "token_file" => admin.token_file = Some(folder.join(value)),
                _ => {}
            }
        }
    }
    admin
}

fn read_way(url: &str) -> Result<Way, Trouble> {
    if let Some(path) = url.strip_prefix("unix:") {
        return Ok(Way::Socket(path.trim_start_matches("//").into()));
    }
    if url.starts_with('/') {
        return Ok(Way::Socket(url.into()));
    }
    if url.starts_with("https:") {
        return Err(Trouble(
            "the admin listener speaks no TLS: write \"http://…\", over a way that nobody listens to".into(),
        ));
    }
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    if address.contains('/') || !address.contains(':') {
        return Err(Trouble(format!("`{url}` is no address: write \"http://127.0.0.1:9901\" or \"unix:/path\"")));
    }
    Ok(Way::Tcp(address.to_owned()))
}

impl Line {
    /// Asks, and takes a good answer apart.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.ask(Method::GET, path, None::<&()>)?.good()
    }

    /// Asks for a text.
    pub fn text(&self, path: &str) -> Result<String, Trouble> {
        let answer = self.ask(Method::GET, path, None::<&()>)?;
        match answer.status {
            200 => Ok(String::from_utf8_lossy(&answer.text).into_owned()),
            _ => Err(answer.trouble()),
        }
    }

    /// Asks, with a body or without.
    pub fn ask(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Answer, Trouble> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot ask: {error}"))?;
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| format!("cannot ask: {error}"))?;
        runtime.block_on(async {
            let asked = async {
                match &self.way {
                    Way::Socket(path_of) => {
                        let stream = UnixStream::connect(path_of).await.map_err(|error| self.unreached(&error))?;
                        self.send(stream, "localhost", method, path, body).await
                    }
                    Way::Tcp(address) => {
                        let stream = TcpStream::connect(address).await.map_err(|error| self.unreached(&error))?;
                        self.send(stream, address, method, path, body).await
                    }
                }
            };
            let late = |_| Trouble(format!("{self} does not answer: is the process stuck? Its log says more"));
            timeout(PATIENCE, asked).await.map_err(late)?
        })
    }

    async fn send<S>(
        &self,
        stream: S,
        host: &str,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| Trouble(format!("{self} has broken off: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(HOST, host).header(CONNECTION, "close");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())));
        let request = request.map_err(|error| format!("cannot ask for `{path}`: {error}"))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.map_err(broken)?.to_bytes();
        Ok(Answer { status, text })
    }

    fn unreached(&self, error: &std::io::Error) -> Trouble {
        Trouble(match (error.kind(), &self.way) {
            (ErrorKind::NotFound | ErrorKind::ConnectionRefused, _) => {
                format!("nobody listens on {self}: Ringway is not running, or listens elsewhere (-c, --admin)")
            }
            (ErrorKind::PermissionDenied, _) => {
                format!("no permission for {self}: it is for the user that Ringway runs as, and root")
            }
            _ => format!("cannot reach {self}: {error}"),
        })
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.way {
            Way::Socket(path) => path.display().fmt(f),
            Way::Tcp(address) => address.fmt(f),
        }
    }
}

impl Answer {
    /// What a good answer says; what is wrong otherwise.
    pub fn good<T: DeserializeOwned>(self) -> Result<T, Trouble> {
        match self.status {
            200..300 => self.read(),
            _ => Err(self.trouble()),
        }
    }

    /// What an answer says, good or not.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        let unread = |error| Trouble(format!("the answer cannot be read, is it another version of Ringway? {error}"));
        serde_json::from_slice(&self.text).map_err(unread)
    }

    /// What is wrong.
    pub fn trouble(&self) -> Trouble {
        let told = serde_json::from_slice::<Problem>(&self.text).map(|problem| problem.detail);
        let help = if self.status == 401 { ": name its file with --token-file" } else { "" };
        Trouble(told.unwrap_or_else(|_| format!("the answer is {}", self.status)) + help)
    }
}

/// A piece of a path, percent-encoded.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// The exit code of what was done, or of trouble that is told here.
pub fn end(done: Result<ExitCode, Trouble>) -> ExitCode {
    done.unwrap_or_else(|Trouble(text)| {
        eprintln!("ringway: {text}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_an_address_or_a_path() {
        for (url, way) in [
            ("unix:/run/x.sock", Way::Socket("/run/x.sock".into())),
            ("/run/x.sock", Way::Socket("/run/x.sock".into())),
            ("http://127.0.0.1:9901/", Way::Tcp("127.0.0.1:9901".into())),
            ("[::1]:9901", Way::Tcp("[::1]:9901".into())),
        ] {
            assert_eq!(read_way(url).ok(), Some(way), "{url}");
        }
        for url in ["https://a:1", "http://a", "a/b:1", ""] {
            assert!(read_way(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_configuration_with_faults_still_says_where_the_socket_is() {
        let text = "[listeners.web\nsocket = \"/no\"\n[admin]\nsocket = \"run/a.sock\" # here\nlisten = '127.0.0.1:9'\n[x]\nsocket = '/y'";
        let admin = glean(text, Path::new("/etc/r"));
        assert_eq!(admin.socket.as_deref(), Some(Path::new("/etc/r/run/a.sock")));
        assert_eq!(admin.listen, "127.0.0.1:9".parse().ok());
    }

    #[test]
    fn a_piece_of_a_path_holds_no_slash() {
        assert_eq!(encoded("unix:/run/a b"), "unix%3A%2Frun%2Fa%20b");
    }
}
