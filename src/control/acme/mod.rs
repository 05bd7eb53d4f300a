//! Certificates from ACME authorities: one task for each listener that has them, which asks for a certificate when there is
//! none, renews it in time, and tries again after failures.
//!
//! What always holds: nothing waits for these tasks; one order is under way at a time, so that an account is made once
//! and an answer belongs to one challenge; what is in service stays there until its successor is on disk.

mod account;
mod client;
mod hook;
mod order;

use super::present::Present;
use crate::control::chain;
use crate::observe::counters::CertificateFiles;
use crate::observe::wall;
use crate::tls::acme::{self, Answers, Backoff, Blame, Held, Spec};
use futures_util::FutureExt;
use order::Issued;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

/// The keepers of certificates, one for each listener that has an authority.
#[derive(Default)]
pub(super) struct Keepers {
    /// Whoever has it may ask an authority.
    turn: Arc<Mutex<()>>,
    running: Vec<(Arc<Spec>, JoinHandle<()>)>,
}

impl Keepers {
    /// Keeps the certificates of what runs now from now on; those that are wanted as they were are kept on. `look` makes a new
    /// one be taken up; `again` has whoever waits after a failure try at once.
    pub(super) fn set(&mut self, present: &Present, look: &Arc<Notify>, again: &Arc<Notify>) {
        let mut before = std::mem::take(&mut self.running);
        for spec in &present.plan.acme {
            if let Some(place) = before.iter().position(|(running, _)| running == spec) {
                self.running.push(before.swap_remove(place));
                continue;
            }
            let Some(listener) = present.plan.listener(&spec.listener) else { continue };
            let keeper = Keeper {
                spec: spec.clone(),
                names: spec.names.join(", "),
                answers: present.plan.answers.clone(),
                counted: present.control.certificates(listener.index).clone(),
                look: look.clone(),
                again: again.clone(),
                turn: self.turn.clone(),
            };
            let task = tokio::spawn(async move {
                // Only a panic, which is told, ends a keeper; its certificate must be renewed all the same.
                while AssertUnwindSafe(keeper.clone().run()).catch_unwind().await.is_err() {
                    tokio::time::sleep(NAP).await;
                }
            });
            self.running.push((spec.clone(), task));
        }
        before.into_iter().for_each(|(_, task)| task.abort());
    }

    /// Keeps none: another process does.
    pub(super) fn stop(&mut self) {
        self.running.drain(..).for_each(|(_, task)| task.abort());
    }
}

/// Why there is no certificate.
#[derive(Debug)]
struct Failure {
    blame: Blame,
    /// What went wrong.
    what: String,
    /// The authority does not know the account.
    stranger: bool,
}

#[derive(Clone)]
struct Keeper {
    spec: Arc<Spec>,
    names: String,
    answers: Arc<Answers>,
    counted: Arc<CertificateFiles>,
    look: Arc<Notify>,
    again: Arc<Notify>,
    /// Whoever has it may ask an authority.
    turn: Arc<Mutex<()>>,
}

/// A longer sleep looks at the clock again, which may have been set.
const NAP: Duration = Duration::from_secs(3600);

impl Keeper {
    async fn run(self) {
        let mut held = self.held().await;
        let rest = self.rest_of_a_refusal().await;
        let mut due =
            (SystemTime::now() + rest).max(held.as_ref().map_or(SystemTime::UNIX_EPOCH, |held| self.renewal(held)));
        let mut failed = !rest.is_zero();
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                () = pause(due) => {}
                () = self.again.notified(), if failed => {}
            }
            match self.attempt().await {
                Ok(new) => {
                    failed = false;
                    backoff.succeeded();
                    // A clock that is wrong must not make it be asked for over and over.
                    let quarter = u64::try_from(new.not_after.saturating_sub(new.not_before)).unwrap_or(0) / 4;
                    due = self.renewal(&new).max(SystemTime::now() + Duration::from_secs(quarter));
                    self.tell_of(&new, due);
                    held = Some(new);
                }
                Err(failure) => {
                    failed = true;
                    let wait = backoff.failed(failure.blame, fastrand::f64());
                    due = SystemTime::now() + wait;
                    self.tell_why(&failure, wait, held.as_ref()).await;
                }
            }
        }
    }

    /// The certificate that is kept, if it serves.
    async fn held(&self) -> Option<Held> {
        let Spec { listener, .. } = &*self.spec;
        let (names, ca) = (&self.names, self.spec.authority());
        let until = "until it comes, clients get the listener's other certificates, or the alert unrecognized_name";
        match self.block(acme::read).await {
            Ok(Some(held)) if held.serves(&self.spec) => return Some(held),
            Ok(Some(_)) => tracing::info!(
                listener,
                names,
                ca,
                "asking for a new certificate: the one there is lacks a name or has another kind of key"
            ),
            Ok(None) => tracing::warn!(listener, names, ca, "no certificate yet: asking for one; {until}"),
            Err(what) => tracing::error!(listener, names, ca, "asking for a new certificate: {what}; {until}"),
        }
        None
    }

    /// How long a refusal before the start still keeps us from asking.
    async fn rest_of_a_refusal(&self) -> Duration {
        let since = self.block(|spec| {
            let refused = std::fs::metadata(spec.refusal_file()).and_then(|data| data.modified());
            Ok(refused.ok().and_then(|at| at.elapsed().ok()))
        });
        let Ok(Some(since)) = since.await else { return Duration::ZERO };
        let left = Backoff::left(since);
        if !left.is_zero() {
            let (listener, file) = (&self.spec.listener, self.spec.refusal_file().display().to_string());
            tracing::warn!(listener, file, wait = ?left, "the authority refused a short while ago: waiting; SIGHUP asks at once");
        }
        left
    }

    fn renewal(&self, held: &Held) -> SystemTime {
        let at = acme::renewal(held.not_before, held.not_after, self.spec.renew_before);
        // Those that were issued together need not be renewed together.
        let spread = held.not_after.saturating_sub(held.not_before).max(0) / 50;
        let at = at.saturating_sub((spread as f64 * fastrand::f64()) as i64);
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0))
    }

    async fn attempt(&self) -> Result<Held, Failure> {
        let _turn = self.turn.lock().await;
        self.block(acme::prepare).await.map_err(Failure::ours)?;
        let issued = match self.order().await {
            Err(failure) if failure.stranger => {
                account::forget(&self.spec).await;
                return Err(failure);
            }
            other => other?,
        };
        let keep = move |spec: &Spec| acme::write_certificate(spec, &issued.key, &issued.chain);
        let held = self.block(keep).await.map_err(|what| Failure { blame: Blame::Spent, ..Failure::ours(what) })?;
        let _ = self.block(|spec| Ok(std::fs::remove_file(spec.refusal_file()))).await;
        Ok(held)
    }

    async fn order(&self) -> Result<Issued, Failure> {
        let account = account::open(&self.spec).await?;
        order::run(&self.spec, &self.answers, &account).await
    }

    fn tell_of(&self, new: &Held, due: SystemTime) {
        let counted = &self.counted;
        counted.issued.inc();
        counted.last_issued.set(wall::now());
        let (listener, names, ca) = (&self.spec.listener, &self.names, self.spec.authority());
        let hours = |seconds: u64| seconds / 3600;
        let lasts = hours(u64::try_from(new.not_after).unwrap_or(0).saturating_sub(wall::now()));
        let renewal = hours(due.duration_since(SystemTime::now()).unwrap_or_default().as_secs());
        tracing::info!(listener, names, ca, lasts_hours = lasts, renewal_in_hours = renewal, "certificate issued");
        self.look.notify_one();
    }

    async fn tell_why(&self, failure: &Failure, wait: Duration, held: Option<&Held>) {
        let counted = &self.counted;
        counted.refused.inc();
        counted.last_refused.set(wall::now());
        let (listener, names, ca) = (&self.spec.listener, &self.names, self.spec.authority());
        let (what, retry_in) = (&failure.what, Duration::from_secs(wait.as_secs()));
        let ends =
            held.map(|held| held.not_after).filter(|&ends| u64::try_from(ends).is_ok_and(|ends| ends > wall::now()));
        match ends {
            Some(_) => tracing::warn!(
                listener,
                names,
                ca,
                ?retry_in,
                "the certificate is not renewed, the old one stays in service: {what}"
            ),
            None => tracing::error!(listener, names, ca, ?retry_in, "no certificate: {what}"),
        }
        if failure.blame != Blame::Way {
            let what = what.clone();
            let _ = self.block(move |spec| acme::write_text(&spec.refusal_file(), &format!("{what}\n"))).await;
        }
    }

    /// Does what blocks or computes where it holds up nobody.
    async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spec) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        block(&self.spec, work).await
    }
}

async fn block<T: Send + 'static>(
    spec: &Arc<Spec>,
    work: impl FnOnce(&Spec) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let spec = spec.clone();
    match tokio::task::spawn_blocking(move || work(&spec)).await {
        Ok(result) => result,
        Err(_) => Err("a panic: please report it".to_owned()),
    }
}

/// Sleeps until the clock on the wall says so.
async fn pause(until: SystemTime) {
    while let Ok(left) = until.duration_since(SystemTime::now())
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(NAP)).await;
    }
}

impl Failure {
    /// Something on this machine, or on the way.
    fn ours(what: impl Into<String>) -> Self {
        Self { blame: Blame::Way, what: what.into(), stranger: false }
    }
}

impl From<instant_acme::Error> for Failure {
    fn from(error: instant_acme::Error) -> Self {
        let instant_acme::Error::Api(problem) = &error else {
            return Self::ours(format!("the authority cannot be asked: {}", chain(&error)));
        };
        let kind = problem.r#type.as_deref().unwrap_or_default().rsplit(':').next().unwrap_or_default();
        let blame = match kind {
            "badNonce" | "serverInternal" | "accountDoesNotExist" => Blame::Way,
            "rateLimited" => Blame::Limited,
            _ if problem.status.is_some_and(|status| status >= 500) => Blame::Way,
            _ => Blame::Refused,
        };
        let what = format!("the authority answers: {}", said(problem));
        Self { blame, what, stranger: kind == "accountDoesNotExist" }
    }
}

/// What an authority said, in one line.
fn said(problem: &instant_acme::Problem) -> String {
    let text = problem.to_string();
    text.strip_prefix("API error: ").unwrap_or(&text).replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_blamed_on_whom_it_is_due_to() {
        let problem = |kind: &str, status: u16| {
            let text = format!(
                r#"{{ "type": "urn:ietf:params:acme:error:{kind}", "status": {status}, "detail": "two\nlines" }}"#
            );
            Failure::from(instant_acme::Error::Api(serde_json::from_str(&text).unwrap()))
        };
        for (kind, status, blame) in [
            ("badNonce", 400, Blame::Way),
            ("serverInternal", 500, Blame::Way),
            ("malformed", 503, Blame::Way),
            ("rateLimited", 429, Blame::Limited),
            ("rejectedIdentifier", 400, Blame::Refused),
            ("unauthorized", 403, Blame::Refused),
        ] {
            let failure = problem(kind, status);
            assert!(failure.blame == blame && !failure.stranger, "{kind}: {failure:?}");
            assert_eq!(failure.what, format!("the authority answers: two lines (urn:ietf:params:acme:error:{kind})"));
        }
        assert!(problem("accountDoesNotExist", 400).stranger);
        let way = Failure::from(instant_acme::Error::Other("no answer".into()));
        assert_eq!((way.blame, &*way.what), (Blame::Way, "the authority cannot be asked: no answer"));
    }
}
