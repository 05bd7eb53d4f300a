//! The database that outlives the process with what quotas have counted: `state.sqlite` in `runtime.state_dir`, readable by its owner alone.
//! Everything here blocks.
//!
//! What always holds: a number in it only changes by what somebody adds to it, so that several processes may keep their counts here at a
//! time; what is written at a time is there as a whole or not at all; a file that is damaged is set aside, not overwritten.

use crate::control::database::Layout;
use crate::gateway::quota::{Draft, Window};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::path::Path;

/// An open database.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    /// What the keys of all its counts are made with.
    seed: u64,
    /// What it looked like when it was last read.
    version: i64,
}

/// A quota, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    /// The name of the rule, and its place in it.
    pub(super) rule: String,
    /// What is counted there: under another heading it is something else.
    pub(super) under: String,
}

/// Why something could not be done.
pub(super) type Failed = String;

/// Counts of quotas that nobody has any more are kept for this many minutes: no period is longer.
const ABANDONED: u32 = 40 * 24 * 60;

const LAYOUT: Layout = Layout {
    name: "state.sqlite",
    what: "quotas",
    // "RWAY".
    application: 0x5257_4159,
    schema: 1,
    tables: "
    CREATE TABLE setting (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
    CREATE TABLE quota (id INTEGER PRIMARY KEY, rule TEXT NOT NULL, under TEXT NOT NULL, UNIQUE (rule, under)) STRICT;
    -- begins: minutes since 1970; key: a keyed hash; used: requests, and what is noted ahead of them.
    CREATE TABLE quota_use (
        quota INTEGER NOT NULL REFERENCES quota, begins INTEGER NOT NULL, key INTEGER NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (quota, begins, key)
    ) STRICT, WITHOUT ROWID;
",
};

impl Store {
    /// That of a folder; where there is none yet, one whose keys are made with `seed`.
    pub(super) fn open(folder: &Path, seed: u64) -> Result<Self, Failed> {
        let fill = |transaction: &Transaction<'_>| {
            transaction.execute("INSERT INTO setting VALUES ('seed', ?)", [seed.cast_signed()]).map(|_| ())
        };
        let connection = LAYOUT.open(folder, fill)?;
        let seed = connection.query_row("SELECT value FROM setting WHERE name = 'seed'", [], |row| row.get(0));
        let seed: i64 = seed.map_err(|error| format!("`{}`: {error}", folder.join(LAYOUT.name).display()))?;
        Ok(Self { connection, seed: seed.cast_unsigned(), version: 0 })
    }

    /// What the keys of its counts are made with.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Has what was kept so far count for nothing: its keys are not those of this process.
    pub(super) fn begin_anew(&mut self, seed: u64) -> Result<(), Failed> {
        let anew = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM quota_use", [])?;
            transaction.execute("UPDATE setting SET value = ? WHERE name = 'seed'", [seed.cast_signed()])?;
            transaction.commit()
        };
        anew(&mut self.connection).map_err(|error| error.to_string())?;
        self.seed = seed;
        Ok(())
    }

    /// Whether another process has written since this was last asked.
    pub(super) fn has_news(&mut self) -> Result<bool, Failed> {
        let version: Result<i64, _> = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        let version = version.map_err(|error| error.to_string())?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }

    /// What stands in a period of a quota: keys, at most so many, and their numbers, the greatest first.
    pub(super) fn read(&self, name: &Name, window: Window, most: usize) -> Result<Vec<(u64, u64)>, Failed> {
        let read = || {
            let mut found = self.connection.prepare(
                "SELECT key, used FROM quota_use JOIN quota ON quota.id = quota_use.quota
                 WHERE rule = ? AND under = ? AND begins = ? ORDER BY used DESC LIMIT ?",
            )?;
            let rows = found.query_map(params![name.rule, name.under, window.start, signed(most)], |row| {
                let (key, used): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok((key.cast_unsigned(), u64::try_from(used).unwrap_or(0)))
            })?;
            rows.collect::<Result<Vec<_>, rusqlite::Error>>()
        };
        read().map_err(|error| error.to_string())
    }

    /// Writes drafts, all or none. Returns what the numbers have come to, in the order of the drafts and their lines.
    pub(super) fn write<'d>(
        &mut self,
        drafts: impl Iterator<Item = (&'d Name, &'d Draft)>,
    ) -> Result<Vec<Vec<u64>>, Failed> {
        self.add(drafts).map_err(|error| error.to_string())
    }

    fn add<'d>(&mut self, drafts: impl Iterator<Item = (&'d Name, &'d Draft)>) -> rusqlite::Result<Vec<Vec<u64>>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut totals = Vec::new();
        {
            let mut quota = transaction.prepare(
                "INSERT INTO quota (rule, under) VALUES (?, ?) ON CONFLICT DO UPDATE SET rule = excluded.rule RETURNING id",
            )?;
            let mut line = transaction.prepare(
                "INSERT INTO quota_use VALUES (?1, ?2, ?3, max(?4, 0))
                 ON CONFLICT DO UPDATE SET used = max(used + ?4, 0) RETURNING used",
            )?;
            for (name, draft) in drafts {
                let id: i64 = quota.query_row([&name.rule, &name.under], |row| row.get(0))?;
                let written = draft.lines.iter().map(|one| {
                    let used: i64 = line
                        .query_row(params![id, draft.window.start, one.key.cast_signed(), one.more], |row| {
                            row.get(0)
                        })?;
                    Ok(u64::try_from(used).unwrap_or(0))
                });
                totals.push(written.collect::<rusqlite::Result<Vec<u64>>>()?);
            }
        }
        transaction.commit()?;
        Ok(totals)
    }

    /// Deletes, of a period of a quota, the keys that have used the least, where there are more than so many.
    pub(super) fn thin_out(&mut self, name: &Name, window: Window, most: usize) -> Result<(), Failed> {
        let thin_out = |connection: &Connection| {
            let id = "(SELECT id FROM quota WHERE rule = ?1 AND under = ?2)";
            let count = format!("SELECT count(*) FROM quota_use WHERE quota = {id} AND begins = ?3");
            let there: i64 =
                connection.query_row(&count, params![name.rule, name.under, window.start], |row| row.get(0))?;
            let beyond = there.saturating_sub(signed(most));
            if beyond <= 0 {
                return Ok(0);
            }
            let delete = format!(
                "DELETE FROM quota_use WHERE quota = {id} AND begins = ?3 AND key IN (
                     SELECT key FROM quota_use WHERE quota = {id} AND begins = ?3 ORDER BY used LIMIT ?4)"
            );
            connection.execute(&delete, params![name.rule, name.under, window.start, beyond])
        };
        thin_out(&self.connection).map(drop).map_err(|error: rusqlite::Error| error.to_string())
    }

    /// Deletes what is over of this quota: what is not of `window` or later.
    pub(super) fn forget_before(&mut self, name: &Name, window: Window) -> Result<(), Failed> {
        let forget = |connection: &Connection| {
            connection.execute(
                "DELETE FROM quota_use WHERE begins < ? AND quota = (SELECT id FROM quota WHERE rule = ? AND under = ?)",
                params![window.start, name.rule, name.under],
            )?;
            let abandoned = window.start.saturating_sub(ABANDONED);
            connection.execute("DELETE FROM quota_use WHERE begins < ?", [abandoned])?;
            connection.execute("DELETE FROM quota WHERE id NOT IN (SELECT quota FROM quota_use)", [])
        };
        forget(&self.connection).map(drop).map_err(|error| error.to_string())
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::limits::several::Counts;
    use crate::gateway::quota::{Calendar, Ledger, Period, Quota};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    const NOON: Duration = Duration::from_secs(1_795_867_200);

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("ringway-quotas-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn name() -> Name {
        Name { rule: "daily".to_owned(), under: "day".to_owned() }
    }

    fn quota() -> Quota {
        Quota::new(100, Calendar::new(Period::Day, None).unwrap(), 64, None)
    }

    fn write(store: &mut Store, ledger: &mut Ledger, quota: &Quota, is_end: bool) -> Result<(), Failed> {
        let draft = ledger.draft(quota, NOON, is_end);
        let totals = store.write([(&name(), &draft)].into_iter())?;
        ledger.written(quota, &draft, totals.into_iter().flatten(), NOON);
        Ok(())
    }

    #[test]
    fn what_is_written_is_found_again_under_the_same_seed_by_its_owner_alone() {
        let folder = folder("again");
        let mut store = Store::open(&folder, 7).unwrap();
        let (quota, mut ledger) = (quota(), Ledger::default());
        for key in [1, u64::MAX, 1] {
            assert!(quota.decide(key, NOON).allowed);
        }
        write(&mut store, &mut ledger, &quota, true).unwrap();
        let window = quota.calendar().window(NOON);
        assert_eq!(store.read(&name(), window, 9).unwrap(), [(1, 2), (u64::MAX, 1)]);
        drop(store);
        assert_eq!(fs::metadata(folder.join(LAYOUT.name)).unwrap().permissions().mode() & 0o777, 0o600);
        let mut store = Store::open(&folder, 8).unwrap();
        assert_eq!((store.seed(), store.read(&name(), window, 9).unwrap().len()), (7, 2));
        assert!(store.read(&Name { under: "week".to_owned(), ..name() }, window, 9).unwrap().is_empty());
        store.forget_before(&name(), Window { start: window.start + 1, ..window }).unwrap();
        assert!(store.read(&name(), window, 9).unwrap().is_empty());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn two_processes_add_to_the_same_number_and_learn_of_each_other() {
        let folder = folder("two");
        let (mut one, mut two) = (Store::open(&folder, 7).unwrap(), Store::open(&folder, 8).unwrap());
        let ((first, mut of_first), (second, mut of_second)) =
            ((quota(), Ledger::default()), (quota(), Ledger::default()));
        assert!((0..3).all(|_| first.decide(1, NOON).allowed));
        assert!((0..4).all(|_| second.decide(1, NOON).allowed));
        write(&mut one, &mut of_first, &first, true).unwrap();
        assert!(two.has_news().unwrap());
        write(&mut two, &mut of_second, &second, true).unwrap();
        assert_eq!(second.look(1, NOON).remaining, 93);
        assert!(one.has_news().unwrap());
        let window = first.calendar().window(NOON);
        of_first.read(&first, window, one.read(&name(), window, 9).unwrap(), NOON);
        assert_eq!(first.look(1, NOON).remaining, 93);
        assert!(!one.has_news().unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn damage_is_set_aside_and_a_newer_version_is_left_alone() {
        let folder = folder("damage");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(LAYOUT.name), "this is no database, however long it may be".repeat(100)).unwrap();
        let store = Store::open(&folder, 7).unwrap();
        assert_eq!(store.seed(), 7);
        assert!(folder.join("state.sqlite.damaged").exists());
        store.connection.pragma_update(None, "user_version", 2).unwrap();
        drop(store);
        assert!(Store::open(&folder, 7).unwrap_err().contains("version 2"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn who_finds_it_locked_or_its_disk_full_writes_all_of_it_later() {
        let folder = folder("full");
        let mut store = Store::open(&folder, 7).unwrap();
        store.connection.busy_timeout(Duration::from_millis(1)).unwrap();
        let (quota, mut ledger) = (quota(), Ledger::default());
        assert!((0..3).all(|_| quota.decide(1, NOON).allowed));
        let mut other = Connection::open(folder.join(LAYOUT.name)).unwrap();
        let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        assert!(write(&mut store, &mut ledger, &quota, false).unwrap_err().contains("locked"));
        drop(held);
        let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        store.connection.pragma_update(None, "max_page_count", pages).unwrap();
        let crowd = Quota::new(100, Calendar::new(Period::Day, None).unwrap(), 10_000, None);
        assert!((0..5000).all(|key| crowd.decide(key, NOON).allowed));
        let mut of_crowd = Ledger::default();
        assert!(write(&mut store, &mut of_crowd, &crowd, false).unwrap_err().contains("full"));
        store.connection.pragma_update(None, "max_page_count", 100_000).unwrap();
        write(&mut store, &mut of_crowd, &crowd, true).unwrap();
        write(&mut store, &mut ledger, &quota, true).unwrap();
        let found = store.read(&name(), quota.calendar().window(NOON), 10_000).unwrap();
        assert_eq!((found.len(), found[0]), (5000, (1, 4)));
        store.thin_out(&name(), quota.calendar().window(NOON), 100).unwrap();
        let found = store.read(&name(), quota.calendar().window(NOON), 10_000).unwrap();
        assert_eq!((found.len(), found[0]), (100, (1, 4)), "who has used the least is forgotten");
        fs::remove_dir_all(&folder).unwrap();
    }
}
