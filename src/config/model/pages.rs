//! `error_pages` and `maintenance`: what clients see in place of an answer.

use crate::config::formats::{FilePath, Network};
use crate::config::units::Span;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is said in place of errors of a status: the path of a file, or a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "ErrorPageForm")]
#[schemars(with = "ErrorPageForm")]
pub struct ErrorPage {
    /// The file that is sent.
    pub file: Option<PathBuf>,
    /// The one that programs are sent.
    pub json: Option<PathBuf>,
    /// The status that it is sent with; `None`: that of the error.
    pub status: Option<u16>,
    /// Whether it takes the place of what targets say, too.
    pub intercept: bool,
}

/// A page as written: its file, or a table.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ErrorPageForm {
    Bare(#[schemars(with = "FilePath")] PathBuf),
    Table(ErrorPageTable),
}

/// A page with its properties.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ErrorPageTable {
    /// The file that is sent; its name says its media type.
    #[serde(default)]
    #[schemars(with = "Option<FilePath>")]
    file: Option<PathBuf>,
    /// A file of JSON for clients that would rather have that than HTML.
    #[serde(default)]
    #[schemars(with = "Option<FilePath>")]
    json: Option<PathBuf>,
    /// The status that it is sent with. Absent: that of the error.
    #[serde(default)]
    #[schemars(range(min = 200, max = 599))]
    status: Option<u16>,
    /// Whether it takes the place of answers of targets with such a status, too.
    #[serde(default)]
    intercept: bool,
}

impl From<ErrorPageForm> for ErrorPage {
    fn from(form: ErrorPageForm) -> Self {
        match form {
            ErrorPageForm::Bare(file) => Self { file: Some(file), json: None, status: None, intercept: false },
            ErrorPageForm::Table(ErrorPageTable { file, json, status, intercept }) => {
                Self { file, json, status, intercept }
            }
        }
    }
}

/// `[routes.NAME.maintenance]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Maintenance {
    /// Whether it is on, whatever `flag_file` says.
    pub enabled: bool,
    /// It is on while this file is there, which is looked at every second. Absent: `enabled` alone says so.
    #[schemars(with = "Option<FilePath>")]
    pub flag_file: Option<PathBuf>,
    /// The file that is sent. Absent: the page that `error_pages` has for the status, or a line of text.
    #[schemars(with = "Option<FilePath>")]
    pub file: Option<PathBuf>,
    /// A file of JSON for clients that would rather have that than HTML.
    #[schemars(with = "Option<FilePath>")]
    pub json: Option<PathBuf>,
    /// The status.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// After which time clients are told to come again. Absent: they are told nothing.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "30d"))]
    pub retry_after: Option<Span>,
    /// Address ranges of clients that see nothing of it.
    #[schemars(with = "Vec<Network>")]
    pub allow: Vec<IpNet>,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            enabled: false,
            flag_file: None,
            file: None,
            json: None,
            status: 503,
            retry_after: None,
            allow: Vec::new(),
        }
    }
}
