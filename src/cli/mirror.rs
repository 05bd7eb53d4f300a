//! `ringway mirror`: which routes another pool gets requests of as well, and how answers differ.

use super::ask::{Asked, Trouble, encoded};
use super::status::{all, say};
use super::table::{Cell, Table, Tone, colour};
use crate::control::admin::view;
use clap::{Args, Subcommand};
use hyper::Method;
use std::io;
use std::process::ExitCode;

/// What is to be done.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List routes of which another pool gets requests as well.
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Show where the answers of a route's mirror differ from those that clients got.
    Show {
        #[command(flatten)]
        asked: Asked,
        /// The route.
        route: String,
        /// Show the whole report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Begin the report of a route's mirror anew.
    Reset {
        #[command(flatten)]
        asked: Asked,
        /// The route.
        route: String,
    },
}

/// Does it.
pub fn mirror(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let at = |route: &str| format!("/v1/mirrors/{}", encoded(route));
    let colour = colour(&io::stdout());
    match &arguments.command {
        Command::List { asked } => {
            let mirrors: Vec<view::Mirror> = all(&asked.line()?, "/v1/mirrors")?;
            say(&list(&mirrors, colour));
        }
        Command::Show { asked, route, json } => {
            let mirror: view::Mirror = asked.line()?.ask(Method::GET, &at(route), None::<&()>)?.good()?;
            match json {
                true => say(&(serde_json::to_string_pretty(&mirror).unwrap_or_default() + "\n")),
                false => say(&show(&mirror, colour)),
            }
        }
        Command::Reset { asked, route } => {
            let answer = asked.line()?.ask(Method::DELETE, &at(route), None::<&()>)?;
            if answer.status != 204 {
                return Err(answer.trouble());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(mirrors: &[view::Mirror], colour: bool) -> String {
    let mut table = Table::new(&["ROUTE", "POOL", "ANSWERED", "FAILED", "LEFT OUT", "COMPARED", "DIFFERENT"]);
    for mirror in mirrors {
        let of = |words: &[&str]| words.iter().filter_map(|word| mirror.requests.get(*word)).sum::<u64>();
        let failed = of(&["failed", "timeout"]);
        let (compared, different) = match &mirror.report {
            None => (Cell::from("-"), Cell::from("-")),
            Some(report) => {
                let tone = if report.different > 0 { Tone::Warn } else { Tone::Plain };
                (report.compared.into(), Cell::new(report.different, tone))
            }
        };
        table.row([
            Cell::from(&mirror.route),
            Cell::from(&mirror.pool),
            of(&["answered"]).into(),
            Cell::new(failed, if failed > 0 { Tone::Warn } else { Tone::Plain }),
            of(&["busy", "too-large", "incomplete"]).into(),
            compared,
            different,
        ]);
    }
    table.text(colour)
}

fn show(mirror: &view::Mirror, colour: bool) -> String {
    let mut text = list(std::slice::from_ref(mirror), colour);
    let Some(report) = &mirror.report else {
        return text + "\nits answers are not compared: write `compare = {}` in `mirror` of the route\n";
    };
    if report.places.is_empty() {
        return text + "\nno difference\n";
    }
    let mut table = Table::new(&["WHAT", "WHERE", "COUNT", "CLIENT GOT", "MIRROR SAID"]);
    for place in &report.places {
        let said = [&place.main, &place.mirrored].map(Cell::from);
        let names = [Cell::from(&place.kind), Cell::from(&place.at), place.count.into()];
        table.row(names.into_iter().chain(said));
    }
    text += &format!("\n{}", table.text(colour));
    if report.elsewhere > 0 {
        text += &format!("and {} differences elsewhere\n", report.elsewhere);
    }
    for example in &report.examples {
        let differs: Vec<String> =
            example.differences.iter().map(|of| format!("{} {}", of.kind, of.at).trim_end().to_owned()).collect();
        text += &format!("{} {}: {}\n", example.method, example.path, differs.join(", "));
    }
    text
}
