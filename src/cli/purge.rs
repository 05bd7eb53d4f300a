//! `ringway purge`: has caches forget answers, or take them for stale.

use super::ask::{Asked, Trouble, encoded};
use super::status::say;
use crate::control::admin::view::{NewPurge, Purged, PurgedCache};
use clap::Args;
use hyper::Method;
use std::process::ExitCode;

/// What is to be purged.
#[derive(Args)]
pub struct Purge {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    what: What,
    /// The cache; else all of them.
    #[arg(long, value_name = "NAME")]
    cache: Option<String>,
    /// Take it for stale, and not for gone: it is validated, or given on while it is fetched anew or the origin fails.
    #[arg(long)]
    soft: bool,
}

/// Exactly one of these.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// All that is stored for this URL: "https://www.example.com/a?b=c".
    url: Option<String>,
    /// All whose URL begins so.
    #[arg(long, value_name = "URL")]
    prefix: Option<String>,
    /// All that has this name in Surrogate-Key or Cache-Tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// All of this host, with its port if clients name one.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

/// Purges, and says what.
pub fn purge(arguments: &Purge) -> Result<ExitCode, Trouble> {
    let Purge { asked, what, cache, soft } = arguments;
    let What { url, prefix, tag, host, all } = what;
    let new = NewPurge {
        url: url.clone(),
        prefix: prefix.clone(),
        tag: tag.clone(),
        host: host.clone(),
        all: *all,
        soft: *soft,
    };
    let path = match cache {
        Some(cache) => format!("/v1/caches/{}/purge", encoded(cache)),
        None => "/v1/purge".to_owned(),
    };
    let Purged { caches } = asked.line()?.ask(Method::POST, &path, Some(&new))?.good()?;
    let done = if *soft { "stale from now on" } else { "purged" };
    for PurgedCache { cache, answers } in caches {
        say(&match answers {
            Some(1) => format!("{cache}: 1 answer is {done}\n"),
            Some(answers) => format!("{cache}: {answers} answers are {done}\n"),
            None => format!("{cache}: what it has of that is {done}\n"),
        });
    }
    Ok(ExitCode::SUCCESS)
}
