//! `ringway split`: how requests of routes are divided among pools, and other weights.

use super::ask::{Asked, Trouble, encoded};
use super::status::{all, say};
use super::table::{Cell, Table, Tone, colour};
use crate::control::admin::view::{self, Changed};
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
    /// List routes whose requests are divided among pools.
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Give pools other weights, at once and until they are reset.
    Set {
        #[command(flatten)]
        asked: Asked,
        /// The route.
        route: String,
        /// Pools with their weights, 0 to 1000: "blue=0 green=1". Who is not named keeps his.
        #[arg(required = true, value_name = "POOL=WEIGHT", value_parser = weight)]
        weights: Vec<(String, u32)>,
    },
    /// Divide the requests of a route as the configuration says.
    Reset {
        #[command(flatten)]
        asked: Asked,
        /// The route.
        route: String,
    },
}

fn weight(text: &str) -> Result<(String, u32), String> {
    let (pool, weight) = text.split_once('=').ok_or("write POOL=WEIGHT")?;
    Ok((pool.to_owned(), weight.parse().map_err(|_| "a weight is a number")?))
}

/// Does it.
pub fn split(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let at = |route: &str| format!("/v1/splits/{}", encoded(route));
    let answer = match &arguments.command {
        Command::List { asked } => {
            let splits: Vec<view::Split> = all(&asked.line()?, "/v1/splits")?;
            say(&table(&splits, colour(&io::stdout())));
            return Ok(ExitCode::SUCCESS);
        }
        Command::Set { asked, route, weights } => {
            let patch = view::PatchSplit { weights: weights.iter().cloned().collect() };
            asked.line()?.ask(Method::PATCH, &at(route), Some(&patch))?
        }
        Command::Reset { asked, route } => asked.line()?.ask(Method::DELETE, &at(route), None::<&()>)?,
    };
    let Changed { changes, .. } = answer.good()?;
    if changes.is_empty() {
        say("nothing to change\n");
    }
    for change in &changes {
        say(&format!("{change}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(splits: &[view::Split], colour: bool) -> String {
    let mut table = Table::new(&["ROUTE", "POOL", "WEIGHT", "REQUESTS", "ERRORS", ""]);
    for split in splits {
        for pool in &split.pools {
            let weight = match pool.weight {
                weight if weight.configured == weight.in_force => weight.configured.to_string(),
                weight => format!("{} ({})", weight.in_force, weight.configured),
            };
            let failing = pool.errors.saturating_mul(100) > pool.requests;
            let errors = Cell::new(pool.errors, if failing { Tone::Bad } else { Tone::Plain });
            let note = Cell::new(if pool.halted { "halted: gets nothing" } else { "" }, Tone::Warn);
            let names = [Cell::from(&split.route), Cell::from(&pool.pool)];
            table.row(names.into_iter().chain([weight.into(), pool.requests.into(), errors, note]));
        }
    }
    table.text(colour)
}
