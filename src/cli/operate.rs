//! `ringway reload`, `upgrade`, `conns`, `ban`, `unban`, `log-level`: short orders to a running Ringway.

use super::ask::{Asked, Trouble, encoded};
use super::status::{all, say};
use super::table::{Table, Tone, colour, span, tinted};
use crate::control::admin::view::{self, Page};
use clap::Args;
use hyper::Method;
use std::io;
use std::process::ExitCode;

/// How to reload.
#[derive(Args)]
pub struct Reload {
    #[command(flatten)]
    asked: Asked,
    /// Try it out first by this share of connections, such as "5%".
    #[arg(long, value_name = "SHARE", requires = "span")]
    share: Option<String>,
    /// For how long, such as "10m".
    #[arg(long = "for", value_name = "SPAN", requires = "share")]
    span: Option<String>,
}

/// How to upgrade.
#[derive(Args)]
pub struct Upgrade {
    #[command(flatten)]
    asked: Asked,
}

/// Which connections and sessions of datagrams.
#[derive(Args)]
pub struct Conns {
    #[command(flatten)]
    asked: Asked,
    /// Those that came in by this listener.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Those of this address or range.
    #[arg(long, value_name = "IP")]
    client: Option<String>,
    /// Those for which this target was asked last.
    #[arg(long, value_name = "ADDRESS")]
    target: Option<String>,
    /// How many are shown at most.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// End them, instead of showing them.
    #[arg(long)]
    close: bool,
}

/// Whom to refuse.
#[derive(Args)]
pub struct Ban {
    #[command(flatten)]
    asked: Asked,
    /// An address or a range; without it all bans are listed.
    client: Option<String>,
    /// For how long, such as "10m"; else until it is taken back, or the process ends.
    #[arg(long = "for", value_name = "SPAN", requires = "client")]
    span: Option<String>,
    /// Why, for those who come after.
    #[arg(long, value_name = "TEXT", default_value = "", requires = "client")]
    reason: String,
    /// End its open connections, too.
    #[arg(long, requires = "client")]
    close: bool,
}

/// Whom to refuse no more.
#[derive(Args)]
pub struct Unban {
    #[command(flatten)]
    asked: Asked,
    /// The address or range, as it was banned.
    client: String,
}

/// What the log tells.
#[derive(Args)]
pub struct LogLevel {
    #[command(flatten)]
    asked: Asked,
    /// A level ("debug"), or several by module ("ringway::upstream=debug,info"); without it the present one is shown.
    filter: Option<String>,
}

/// Reloads, and says what has changed: exit code 1 if it failed.
pub fn reload(arguments: &Reload) -> Result<ExitCode, Trouble> {
    let new = view::NewReload { share: arguments.share.clone(), span: arguments.span.clone() };
    let answer = arguments.asked.line()?.ask(Method::POST, "/v1/reload", Some(&new))?;
    let Ok(view::Reload { result, plan, changes, deferred, diagnostics, .. }) = answer.read() else {
        return Err(answer.trouble());
    };
    if result == "failed" {
        eprintln!("{}\n", diagnostics.trim_end());
        return Err(Trouble(format!("the reload failed: nothing is changed, plan {plan} stays in force")));
    }
    let shown = colour(&io::stdout());
    for change in &changes {
        let text = change.to_string();
        let tone = match text.as_bytes().first() {
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            _ => Tone::Warn,
        };
        say(&format!("{}\n", tinted(&text, tone, shown)));
    }
    for key in &deferred {
        say(&format!("! {key} takes effect with the next upgrade or start\n"));
    }
    if !diagnostics.is_empty() {
        eprintln!("{}\n", diagnostics.trim_end());
    }
    say(&match result.as_str() {
        "applied" => format!("plan {plan} is in force\n"),
        "trying" => "it is tried out now; `ringway status` says what becomes of it\n".to_owned(),
        _ => format!("nothing to change: plan {plan} stays in force\n"),
    });
    Ok(ExitCode::SUCCESS)
}

/// Has a new process take over: exit code 1 if it could not start.
pub fn upgrade(arguments: &Upgrade) -> Result<ExitCode, Trouble> {
    let answer = arguments.asked.line()?.ask(Method::POST, "/v1/upgrade", None::<&()>)?;
    let Ok(view::Upgrade { pid }) = answer.read() else { return Err(answer.trouble()) };
    say(&format!("process {pid} has taken over; the one before serves its connections to their end\n"));
    Ok(ExitCode::SUCCESS)
}

/// Shows or ends connections.
pub fn conns(arguments: &Conns) -> Result<ExitCode, Trouble> {
    let line = arguments.asked.line()?;
    let mut query = String::new();
    let filters = [("listener", &arguments.listener), ("client", &arguments.client), ("target", &arguments.target)];
    for (name, value) in filters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        query += &format!("&{name}={}", encoded(value));
    }
    if arguments.close {
        let path = format!("/v1/connections?{}", query.trim_start_matches('&'));
        let view::Closed { closed, more } = line.ask(Method::DELETE, &path, None::<&()>)?.good()?;
        let more = if more { "; there are more: run it again" } else { "" };
        say(&format!("{closed} connection{} closed{more}\n", if closed == 1 { "" } else { "s" }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table =
        Table::new(&["ID", "CLIENT", "LISTENER", "PROTOCOL", "AGE", "WORKER", "TARGET", "DATAGRAMS", "BYTES"]);
    // What has passed is known of sessions of datagrams.
    let both = |[of_client, of_target]: [Option<u64>; 2]| match (of_client, of_target) {
        (Some(of_client), Some(of_target)) => format!("{of_client} in, {of_target} out"),
        _ => String::new(),
    };
    let (mut shown, mut after) = (0, String::new());
    while shown < arguments.limit {
        let limit = (arguments.limit - shown).min(1000);
        let part: Page<view::Connection> = line.get(&format!("/v1/connections?limit={limit}{query}{after}"))?;
        shown += part.items.len();
        for connection in part.items {
            let (datagrams, bytes) = (
                both([connection.datagrams_in, connection.datagrams_out]),
                both([connection.bytes_in, connection.bytes_out]),
            );
            let view::Connection { id, client, listener, worker, age, protocol, target, .. } = connection;
            let (age, target) = (span(age), target.unwrap_or_default());
            let row = [id, client, listener, protocol, age, worker.to_string(), target, datagrams, bytes];
            table.row(row.map(Into::into));
        }
        match part.next {
            Some(next) => after = format!("&after={}", encoded(&next)),
            None => break,
        }
    }
    say(&table.text(colour(&io::stdout())));
    Ok(ExitCode::SUCCESS)
}

/// Bans a client, or lists bans.
pub fn ban(arguments: &Ban) -> Result<ExitCode, Trouble> {
    let line = arguments.asked.line()?;
    let left = |left: Option<u64>| left.map_or("no end".to_owned(), span);
    let Some(client) = &arguments.client else {
        let mut table = Table::new(&["CLIENT", "LEFT", "BY", "REASON"]);
        for ban in all::<view::Ban>(&line, "/v1/bans")? {
            let by = ban.rule.map_or("operator".to_owned(), |rule| format!("rule {rule}"));
            table.row([ban.client, left(ban.left), by, ban.reason].map(Into::into));
        }
        say(&table.text(colour(&io::stdout())));
        return Ok(ExitCode::SUCCESS);
    };
    let (span, reason, close) = (arguments.span.clone(), arguments.reason.clone(), arguments.close);
    let new = view::NewBan { span, reason, close };
    let ban: view::Ban = line.ask(Method::PUT, &format!("/v1/bans/{}", encoded(client)), Some(&new))?.good()?;
    say(&format!("{} is banned: {}\n", ban.client, left(ban.left)));
    Ok(ExitCode::SUCCESS)
}

/// Takes a ban back.
pub fn unban(arguments: &Unban) -> Result<ExitCode, Trouble> {
    let Unban { asked, client } = arguments;
    let answer = asked.line()?.ask(Method::DELETE, &format!("/v1/bans/{}", encoded(client)), None::<&()>)?;
    if answer.status != 204 {
        return Err(answer.trouble());
    }
    say(&format!("{client} is no longer banned\n"));
    Ok(ExitCode::SUCCESS)
}

/// Shows or chooses what the log tells.
pub fn log_level(arguments: &LogLevel) -> Result<ExitCode, Trouble> {
    let line = arguments.asked.line()?;
    let level: view::LogLevel = match &arguments.filter {
        None => line.get("/v1/log-level")?,
        Some(filter) => {
            let level = view::LogLevel { filter: filter.clone() };
            line.ask(Method::PUT, "/v1/log-level", Some(&level))?.good()?
        }
    };
    say(&format!("{}\n", level.filter));
    Ok(ExitCode::SUCCESS)
}
