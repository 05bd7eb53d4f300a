//! One target checked over and over.

use super::finding::Finding;
use super::probe::{self, Probe};
use super::teller::Teller;
use super::{Checker, Schedule, Wanted};
use crate::observe::counters::{LastCheck, Peak};
use crate::observe::wall;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Who needs so much more than a check may take was not running meanwhile.
const ASLEEP: Duration = Duration::from_millis(500);

/// Checks a target until it is dropped.
pub(super) async fn check(
    wanted: Wanted,
    mut schedule: Schedule,
    mut checker: Checker,
    start: Instant,
    (lateness, teller): (&Peak, &Teller),
) {
    let spec = &wanted.spec;
    let first = if checker.is_up() { schedule.first() } else { schedule.first_soon() };
    let mut due = start.elapsed().saturating_add(first);
    // Once in a row: a process that is always late has to go by what it sees.
    let mut excused = false;
    loop {
        sleep_until(start + due).await;
        let begun = start.elapsed();
        lateness.record(nanos(begun.saturating_sub(due)), nanos(begun));
        if !excused && let Some(again) = schedule.again(due, begun) {
            (due, excused) = (again, true);
            continue;
        }
        let found = probe::run(spec).await;
        let now = start.elapsed();
        let took = now.saturating_sub(begun);
        // A program may have waited for its turn.
        let is_asleep = !matches!(spec.probe, Probe::Command(_)) && took > spec.timeout.saturating_add(ASLEEP);
        if !found.passed() && !excused && is_asleep {
            tracing::debug!(
                pool = spec.pool,
                target = spec.target,
                ?took,
                "a check that was slept through counts for nothing"
            );
            (due, excused) = (now.saturating_add(schedule.first()), true);
            continue;
        }
        excused = false;
        wanted.note(&found, took);
        wanted.judge(&found, &mut checker, (teller, now));
        due = schedule.next(due, now, checker.pace());
    }
}

impl Wanted {
    /// Counts and shows what was found.
    fn note(&self, found: &Finding, took: Duration) {
        let last =
            LastCheck { outcome: found.outcome, code: found.code, words: found.to_string(), took, at: wall::now() };
        self.of_pool.outcomes.checked(last.outcome);
        self.counters.note(last, self.beside);
        tracing::debug!(
            pool = self.spec.pool,
            target = self.spec.target,
            check = %found.outcome,
            reason = %found,
            ?took,
            "checked"
        );
    }

    /// Draws the consequences.
    fn judge(&self, found: &Finding, checker: &mut Checker, telling: (&Teller, Duration)) {
        let before = self.patient.passes();
        let mut why = None;
        // That an agent cannot be reached says nothing of the target that the target's own checks would not say.
        if !self.beside
            && let Some(up) = checker.on_result(found.passed())
        {
            self.patient.set_up(up);
            // One that has to prove itself has but to pass the first one.
            why = up.then(|| match u64::from(self.spec.rise).min(self.counters.passed.get()) {
                1 => "1 check passed".to_owned(),
                rise => format!("{rise} checks passed"),
            });
        }
        if let Some(reply) = &found.reply {
            let (said, now) = (self.patient.said(), self.patient.said().after(reply));
            if said != now {
                self.patient.hear(now);
                let (pool, target) = (&self.spec.pool, &self.spec.target);
                // A weight may be another one with each line.
                match (said.down, said.mode) == (now.down, now.mode) {
                    true => tracing::debug!(pool, target, said = %found, "an agent has its say: {now}"),
                    false => tracing::info!(pool, target, said = %found, "an agent has its say: {now}"),
                }
                why = Some(format!("agent: {found}"));
            }
        }
        let up = self.patient.passes();
        if up != before {
            self.tell(up, &why.unwrap_or_else(|| found.to_string()), found, telling);
        }
    }

    /// Tells of a change, of this target and of those that follow it.
    fn tell(&self, up: bool, reason: &str, found: &Finding, (teller, now): (&Teller, Duration)) {
        self.show(up);
        self.counters.changes.inc();
        let check = found.outcome.word();
        let say = |pool: &str, target: &str, reason: &str| match (teller.tells(pool, up, now), up) {
            (true, true) => tracing::info!(pool, target, reason, check, "target is up"),
            (true, false) => tracing::warn!(pool, target, reason, check, "target is down"),
            (false, _) => tracing::debug!(pool, target, reason, check, up, "target has changed"),
        };
        let (pool, target) = (&self.spec.pool, &self.spec.target);
        say(pool, target, reason);
        for follower in &self.followers {
            follower.counters.changes.inc();
            say(&follower.pool, &follower.target, &format!("it follows {pool}/{target}: {reason}"));
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
