//! `[access_log]`

use crate::config::formats::{HeaderName, HostLabel, Name, QueryKey, SyslogName};
use crate::config::logs::{LogFormat, LogPath, LogStatus, SyslogTo};
use crate::config::units::{Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[access_log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLog {
    /// "stdout" or a file, reopened on SIGUSR1. Relative to the file that names it.
    pub path: LogPath,
    /// Sends the lines to a syslog server instead.
    pub syslog: Option<Syslog>,
    /// The form of a record: one that is known, or text with fields in braces.
    pub format: LogFormat,
    /// The share of exchanges that are recorded.
    pub sample: Share,
    /// What is recorded beyond the sample.
    pub keep: Vec<Keep>,
    /// What takes longer is slow.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "24h"))]
    pub slow: Span,
    /// Records these listeners alone.
    #[schemars(with = "Vec<Name>")]
    pub listeners: Vec<String>,
    /// Records these routes alone.
    #[schemars(with = "Vec<Name>")]
    pub routes: Vec<String>,
    /// Records all routes but these.
    #[schemars(with = "Vec<Name>")]
    pub except_routes: Vec<String>,
    /// Records exchanges with these statuses alone; "none" is an exchange that was sent none.
    pub status: Vec<LogStatus>,
    /// Request headers that a record shows.
    #[schemars(with = "Vec<HeaderName>")]
    pub headers: Vec<String>,
    /// Response headers that a record shows.
    #[schemars(with = "Vec<HeaderName>")]
    pub response_headers: Vec<String>,
    /// Values that no record shows.
    pub redact: Redact,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            path: LogPath::Stdout,
            syslog: None,
            format: LogFormat::Json,
            sample: Share(1.0),
            keep: Vec::new(),
            slow: Span::secs(1),
            listeners: Vec::new(),
            routes: Vec::new(),
            except_routes: Vec::new(),
            status: Vec::new(),
            headers: Vec::new(),
            response_headers: Vec::new(),
            redact: Redact::default(),
        }
    }
}

/// What is recorded beyond the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// A status from 500 on or none, or an end that was not normal.
    Errors,
    /// What took longer than `slow`.
    Slow,
}

/// `[access_log.redact]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// Headers whose values are not shown, beside those that never are.
    #[schemars(with = "Vec<HeaderName>")]
    pub headers: Vec<String>,
    /// Headers that are shown although they are among those that never are.
    #[schemars(with = "Vec<HeaderName>")]
    pub except_headers: Vec<String>,
    /// Keys of queries whose values are not shown, wherever a record has a URL.
    #[schemars(with = "Vec<QueryKey>")]
    pub query: Vec<String>,
}

/// The headers that carry what lets one in: not shown unless `except_headers` names them.
pub const SECRET_HEADERS: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "apikey", "x-auth-token"];

impl Redact {
    /// All headers whose values are not shown.
    pub fn all_headers(&self) -> Vec<String> {
        let secret = SECRET_HEADERS.iter().map(|name| (*name).to_owned());
        let shown = |name: &String| self.except_headers.contains(name);
        secret.filter(|name| !shown(name)).chain(self.headers.iter().cloned()).collect()
    }
}

/// `[access_log.syslog]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// The server: "udp://127.0.0.1:514", "tcp://127.0.0.1:514", or "unix:/dev/log".
    pub to: SyslogTo,
    /// The facility of the messages.
    #[serde(default)]
    pub facility: Facility,
    /// The name of the program that messages carry.
    #[serde(default = "app_name")]
    #[schemars(with = "SyslogName")]
    pub app_name: String,
    /// The name of the host that messages carry. Absent: the system's.
    #[serde(default)]
    #[schemars(with = "Option<HostLabel>")]
    pub hostname: Option<String>,
}

fn app_name() -> String {
    "ringway".into()
}

/// Facilities of syslog, with their numbers (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "a variant is called after its name")]
#[repr(u8)]
pub enum Facility {
    Kern = 0,
    User = 1,
    Mail = 2,
    Daemon = 3,
    Auth = 4,
    Syslog = 5,
    Lpr = 6,
    News = 7,
    Uucp = 8,
    Cron = 9,
    Authpriv = 10,
    Ftp = 11,
    #[default]
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}
