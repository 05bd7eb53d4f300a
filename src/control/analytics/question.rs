//! What can be asked of analytics, and rows of what is answered.

use crate::observe::analytics::Sums;
use std::collections::HashSet;
use std::str::FromStr;

/// By what sums are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By who asked.
    Consumer,
    /// By route.
    Route,
    /// By the version that routes say.
    Version,
    /// By status.
    Status,
}

/// How long the time is that a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day (UTC).
    Day,
}

/// Which sums are wanted.
#[derive(Clone, Debug)]
pub struct Question {
    /// From then on, in seconds since 1970.
    pub from: u64,
    /// Until then, without it.
    pub to: u64,
    /// What they are told apart by.
    pub by: Vec<By>,
    /// The time that a row is about; `None`: all of it.
    pub step: Option<Step>,
    /// The routes that are looked at; `None`: all of them.
    pub routes: Option<HashSet<String>>,
}

/// What a row is about. What was not asked for is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// When its time begins, in seconds since 1970.
    pub at: Option<u64>,
    /// Who asked; empty: nobody knows.
    pub consumer: Option<String>,
    /// The route; "(none)": none took it.
    pub route: Option<String>,
    /// The version; empty: the route says none.
    pub version: Option<String>,
    /// The status; 0: none was sent.
    pub status: Option<u16>,
}

/// A row of an answer.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is about.
    pub group: Group,
    /// Its sums.
    pub sums: Sums,
    /// When the last time begins that something was summed up for, in seconds since 1970.
    pub last: u64,
}

impl Question {
    /// Whether it looks at a route.
    pub(super) fn wants(&self, route: &str) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.contains(route))
    }

    /// Where something counts.
    pub(super) fn group(&self, at: u64, [consumer, route, version]: [&str; 3], status: u16) -> Group {
        let has = |by: By| self.by.contains(&by);
        let some = |by: By, text: &str| has(by).then(|| text.to_owned());
        let seconds = self.step.map(|step| match step {
            Step::Minute => 60,
            Step::Hour => 3600,
            Step::Day => 86_400,
        });
        Group {
            at: seconds.map(|seconds| at / seconds * seconds),
            consumer: some(By::Consumer, consumer),
            route: some(By::Route, route),
            version: some(By::Version, version),
            status: has(By::Status).then_some(status),
        }
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "consumer" => Ok(Self::Consumer),
            "route" => Ok(Self::Route),
            "version" => Ok(Self::Version),
            "status" => Ok(Self::Status),
            _ => {
                Err("`by` is made of \"consumer\", \"route\", \"version\" and \"status\", with commas between"
                    .to_owned())
            }
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "minute" => Ok(Self::Minute),
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            _ => Err("`step` is \"minute\", \"hour\" or \"day\"".to_owned()),
        }
    }
}
