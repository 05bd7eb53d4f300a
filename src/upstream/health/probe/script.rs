//! Steps of saying something and expecting something.

use super::super::finding::Finding;
use super::super::pattern::Pattern;
use super::conversation::Conversation;
use crate::observe::reason::Outcome;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Says this. What has come until now is forgotten.
    Send(Vec<u8>),
    /// Waits until this comes. What has come up to its end is taken.
    Expect(Pattern),
    /// Fails if this comes. It is decided once `least` bytes have come, a whole line where `None`, or the target has closed; all that has come is
    /// taken.
    ExpectNot {
        /// What must not come.
        pattern: Pattern,
        /// The bytes that must have come.
        least: Option<usize>,
    },
}

/// Takes all steps.
pub(super) async fn ask(steps: &[Step], mut talk: Conversation) -> Result<Finding, Finding> {
    let mut found = Ok(());
    for (at, step) in steps.iter().enumerate() {
        found = take(step, &mut talk)
            .await
            .map_err(|failed| Finding { words: format!("step {}: {}", at + 1, failed.words), ..failed });
        if found.is_err() {
            break;
        }
    }
    // Who did not answer in time had its time.
    if !matches!(&found, Err(failed) if failed.outcome.is_timeout()) {
        talk.part().await;
    }
    found.map(|()| Finding::new(Outcome::Answered, ""))
}

async fn take(step: &Step, talk: &mut Conversation) -> Result<(), Finding> {
    match step {
        Step::Send(bytes) => {
            talk.heard.clear();
            talk.say(bytes).await
        }
        Step::Expect(pattern) => loop {
            if let Some(end) = pattern.end_in(&talk.heard) {
                talk.heard.drain(..end);
                return Ok(());
            }
            if talk.ended {
                return Err(Finding::bad(format!("closed, and `{pattern}` has not come")));
            }
            talk.listen().await?;
        },
        Step::ExpectNot { pattern, least } => loop {
            if pattern.is_in(&talk.heard) {
                return Err(Finding::bad(format!("`{pattern}` has come")));
            }
            let heard = talk.heard.len();
            let whole = match least {
                Some(least) => heard >= *least,
                None => heard >= pattern.least() && talk.heard.contains(&b'\n'),
            };
            if whole || talk.ended && heard > 0 {
                talk.heard.clear();
                return Ok(());
            }
            if talk.ended {
                return Err(Finding::bad("closed without an answer"));
            }
            talk.listen().await?;
        },
    }
}
