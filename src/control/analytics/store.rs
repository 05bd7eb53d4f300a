//! The database of sums.
//!
//! What always holds: each sum stands in one row, that of its minute, its hour or its day, so that rows of all kinds add up to
//! the whole; rows move to a coarser kind within one transaction. Two processes may add at the same time.

use super::question::{Group, Question, Row};
use crate::config::model::Retention;
use crate::control::database::Layout;
use crate::observe::analytics::{Key, OTHER, Series, Sums};
use rusqlite::{Connection, Statement, Transaction, TransactionBehavior, params};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

/// Why something could not be done.
pub(super) type Failed = String;

/// Hours, or days, that are made in one go.
const AT_ONCE: usize = 24;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

const LAYOUT: Layout = Layout {
    name: "analytics.sqlite",
    what: "analytics",
    // "RWAN".
    application: 0x5257_414e,
    schema: 1,
    tables: "
    CREATE TABLE series (
        id INTEGER PRIMARY KEY, consumer TEXT NOT NULL, route TEXT NOT NULL, version TEXT NOT NULL, status INTEGER NOT NULL,
        UNIQUE (consumer, route, version, status)
    ) STRICT;
    -- step: seconds that a row is about, 60, 3600 or 86400; at: when they begin, in seconds since 1970; latencies: a histogram.
    CREATE TABLE sums (
        step INTEGER NOT NULL, at INTEGER NOT NULL, series INTEGER NOT NULL REFERENCES series, requests INTEGER NOT NULL,
        errors INTEGER NOT NULL, latency_us INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
        latencies BLOB NOT NULL, PRIMARY KEY (step, at, series)
    ) STRICT, WITHOUT ROWID;
",
};

/// The database, open.
pub(super) struct Store(Connection);

impl Store {
    /// That of a folder; an empty one where there is none yet.
    pub(super) fn open(folder: &Path) -> Result<Self, Failed> {
        LAYOUT.open(folder, |_| Ok(())).map(Self)
    }

    /// Adds sums, all or none.
    pub(super) fn write(&mut self, sums: &HashMap<Key, Sums>) -> Result<(), Failed> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut adding = Adding::within(&transaction)?;
            for (key, sums) in sums {
                let id = adding.id_of(&key.series)?;
                adding.add((MINUTE, i64::from(key.minute) * MINUTE, id), sums)?;
            }
            drop(adding);
            transaction.commit()
        };
        write(&mut self.0).map_err(|error: rusqlite::Error| error.to_string())
    }

    /// Makes hours of minutes, and days of hours, that are older than is kept, and deletes what is older than days. An hour or
    /// a day has at most `most` series. Returns whether there is more to do.
    pub(super) fn roll_up(&mut self, now: u64, retention: &Retention, most: usize) -> Result<bool, Failed> {
        let now = i64::try_from(now).unwrap_or(0);
        let before = |span: Duration| now.saturating_sub(i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
        let mut roll_up = || -> rusqlite::Result<bool> {
            let mut done = 0;
            for (from, to, end) in [(MINUTE, HOUR, retention.minutes), (HOUR, DAY, retention.hours)] {
                let end = before(end.0).div_euclid(to) * to;
                while done < AT_ONCE && roll_one(&mut self.0, from, to, end, most)? {
                    done += 1;
                }
            }
            let gone =
                self.0.execute("DELETE FROM sums WHERE step = ? AND at < ?", params![DAY, before(retention.days.0)])?;
            if done > 0 || gone > 0 {
                self.0.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM sums)", [])?;
            }
            Ok(done == AT_ONCE)
        };
        roll_up().map_err(|error| error.to_string())
    }

    /// What is asked for: at most `most` rows, else nothing.
    pub(super) fn read(&self, question: &Question, most: usize) -> Result<Option<Vec<Row>>, Failed> {
        let read = || -> rusqlite::Result<Option<Vec<Row>>> {
            let mut groups: BTreeMap<Group, (Sums, u64)> = BTreeMap::new();
            let mut found = self.0.prepare(
                "SELECT at, consumer, route, version, status, requests, errors, latency_us, bytes_in, bytes_out, latencies
                 FROM sums JOIN series ON series.id = sums.series WHERE step IN (60, 3600, 86400) AND at >= ? AND at < ?",
            )?;
            let mut rows = found.query(params![question.from.cast_signed(), question.to.cast_signed()])?;
            while let Some(row) = rows.next()? {
                let (at, status): (i64, u16) = (row.get(0)?, row.get(4)?);
                let text = |column: usize| row.get_ref(column).and_then(|value| Ok(value.as_str()?));
                if !question.wants(text(2)?) {
                    continue;
                }
                let group = question.group(at.cast_unsigned(), [text(1)?, text(2)?, text(3)?], status);
                if groups.len() >= most && !groups.contains_key(&group) {
                    return Ok(None);
                }
                let sums = sums_of(row, 5)?;
                let (own, last) = groups.entry(group).or_default();
                own.add(&sums);
                *last = at.cast_unsigned().max(*last);
            }
            Ok(Some(groups.into_iter().map(|(group, (sums, last))| Row { group, sums, last }).collect()))
        };
        read().map_err(|error| error.to_string())
    }
}

/// What adds to rows within a transaction.
struct Adding<'t> {
    id: Statement<'t>,
    there: Statement<'t>,
    put: Statement<'t>,
}

impl<'t> Adding<'t> {
    fn within(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: transaction.prepare(
                "INSERT INTO series (consumer, route, version, status) VALUES (?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET status = excluded.status RETURNING id",
            )?,
            there: transaction.prepare("SELECT latencies FROM sums WHERE step = ? AND at = ? AND series = ?")?,
            put: transaction.prepare(
                "INSERT INTO sums VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET
                     requests = requests + excluded.requests, errors = errors + excluded.errors,
                     latency_us = latency_us + excluded.latency_us, bytes_in = bytes_in + excluded.bytes_in,
                     bytes_out = bytes_out + excluded.bytes_out, latencies = excluded.latencies",
            )?,
        })
    }

    /// The number of a series, which it gets if it has none.
    fn id_of(&mut self, series: &Series) -> rusqlite::Result<i64> {
        let Series { consumer, route, version, status } = series;
        self.id.query_row(params![&**consumer, &**route, &**version, status], |row| row.get(0))
    }

    /// Adds to a row, which is made if there is none.
    fn add(&mut self, (step, at, series): (i64, i64, i64), sums: &Sums) -> rusqlite::Result<()> {
        let mut latencies = Sums { latencies: sums.latencies, ..Sums::default() };
        if let Some(row) = self.there.query(params![step, at, series])?.next()? {
            latencies.unpack(row.get_ref(0)?.as_blob()?);
        }
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.put.execute(params![
            step,
            at,
            series,
            number(sums.requests),
            number(sums.errors),
            number(sums.latency_us),
            number(sums.bytes_in),
            number(sums.bytes_out),
            latencies.pack()
        ])?;
        Ok(())
    }
}

/// The sums in a row, from this column on.
fn sums_of(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Sums> {
    let number = |column: usize| row.get::<_, i64>(first + column).map(|value| u64::try_from(value).unwrap_or(0));
    let mut sums = Sums {
        requests: number(0)?,
        errors: number(1)?,
        latency_us: number(2)?,
        bytes_in: number(3)?,
        bytes_out: number(4)?,
        ..Sums::default()
    };
    sums.unpack(row.get_ref(first + 5)?.as_blob()?);
    Ok(sums)
}

/// Moves the rows of the first period of `to` seconds that has some before `end` there. False: there are none.
fn roll_one(connection: &mut Connection, from: i64, to: i64, end: i64, most: usize) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let first = "SELECT min(at) FROM sums WHERE step = ? AND at < ?";
    let Some(first) = transaction.query_row(first, params![from, end], |row| row.get::<_, Option<i64>>(0))? else {
        return Ok(false);
    };
    let begins = first.div_euclid(to) * to;
    let mut moved: HashMap<i64, Sums> = HashMap::new();
    let mut others = None;
    let mut adding = Adding::within(&transaction)?;
    let mut found = transaction.prepare(
        "SELECT series, requests, errors, latency_us, bytes_in, bytes_out, latencies FROM sums
         WHERE step = ? AND at >= ? AND at < ?",
    )?;
    let mut rows = found.query(params![from, begins, begins + to])?;
    while let Some(row) = rows.next()? {
        let mut id: i64 = row.get(0)?;
        if moved.len() >= most && !moved.contains_key(&id) {
            id = match others {
                Some(id) => id,
                None => {
                    let all = Series { consumer: OTHER.into(), route: OTHER.into(), ..Series::default() };
                    *others.insert(adding.id_of(&all)?)
                }
            };
        }
        moved.entry(id).or_default().add(&sums_of(row, 1)?);
    }
    drop(rows);
    for (id, sums) in &moved {
        adding.add((to, begins, *id), sums)?;
    }
    drop((found, adding));
    transaction
        .execute("DELETE FROM sums WHERE step = ? AND at >= ? AND at < ?", params![from, begins, begins + to])?;
    transaction.commit()?;
    Ok(true)
}

#[cfg(test)]
mod tests;
