//! How it stands with the server, for those who ask.

use std::sync::Arc;

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where the server is, without a password; empty: none is configured.
    pub place: String,
    /// Whether it answers; `None`: it has not been asked yet.
    pub up: Option<bool>,
    /// Since when that is so, in seconds since 1970.
    pub since: u64,
    /// What was wrong last.
    pub trouble: Option<String>,
    /// How long the last answer took, in microseconds.
    pub latency: u64,
    /// Who shares, as the server has heard of them of late; this host is one of them.
    pub hosts: Arc<[Host]>,
    /// What the server was given when there was nothing in it: another one says that it has lost all.
    pub epoch: String,
}

/// A process of Ringway's that shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// What tells it from others.
    pub id: String,
    /// What its host is called.
    pub name: String,
}

impl Host {
    /// As it stands in the server.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.id, self.name)
    }

    /// From what stands there.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, name) = text.split_once(' ')?;
        Some(Self { id: id.to_owned(), name: name.to_owned() })
    }
}
