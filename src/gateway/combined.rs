//! Several rules as one.

use super::{Asked, Challenges, Denial, Halt, Phase, Rule, Who};
use std::sync::Arc;

/// A rule of type any-of: the first of its rules that lets a request through is the one that counts.
///
/// A rule that takes clients for somebody without proof (a guest) is asked only if they have sent nothing that another looked for: who
/// fails to prove who they are is not nobody.
#[derive(Debug)]
pub struct AnyOf {
    proving: Box<[Arc<dyn Rule>]>,
    guest: Option<Arc<dyn Rule>>,
}

/// A rule of type all-of: each of its rules has to let a request through.
#[derive(Debug)]
pub struct AllOf(Box<[Arc<dyn Rule>]>);

impl AnyOf {
    /// One of these rules, in their order; `guest` where clients have sent nothing.
    pub fn new(proving: Vec<Arc<dyn Rule>>, guest: Option<Arc<dyn Rule>>) -> Self {
        Self { proving: proving.into(), guest }
    }
}

impl AllOf {
    /// These rules, in their order.
    pub fn new(rules: Vec<Arc<dyn Rule>>) -> Self {
        Self(rules.into())
    }
}

impl Rule for AnyOf {
    fn phase(&self) -> Phase {
        latest(&self.proving)
    }

    fn names_path(&self) -> bool {
        self.proving.iter().any(|rule| rule.names_path())
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let before = who.clone();
        let mut worst: Option<Denial> = None;
        for rule in &self.proving {
            match rule.decide(asked, who) {
                Ok(()) => return Ok(()),
                Err(Halt::Ask(question)) => return Err(Halt::Ask(question)),
                Err(Halt::Denied(denial)) => {
                    who.becomes(before.clone());
                    // What was sent and is wrong says more than that nothing else was sent.
                    if worst.as_ref().is_none_or(|worst| worst.absent && !denial.absent) {
                        worst = Some(denial);
                    }
                }
            }
        }
        match (&self.guest, worst) {
            (Some(guest), None) => guest.decide(asked, who),
            (Some(guest), Some(denial)) if denial.absent => guest.decide(asked, who),
            (_, Some(mut denial)) => {
                if denial.status == 401 {
                    denial.challenges = self.challenges();
                }
                Err(denial.into())
            }
            (None, None) => Err(Denial::forbidden("no-rule").into()),
        }
    }

    fn challenges(&self) -> Challenges {
        self.proving.iter().flat_map(|rule| rule.challenges()).collect()
    }
}

impl Rule for AllOf {
    fn phase(&self) -> Phase {
        latest(&self.0)
    }

    fn names_path(&self) -> bool {
        self.0.iter().any(|rule| rule.names_path())
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        self.0.iter().try_for_each(|rule| rule.decide(asked, who))
    }

    fn challenges(&self) -> Challenges {
        self.0.iter().flat_map(|rule| rule.challenges()).collect()
    }
}

/// When rules are asked together. One that finds out who asks has to come before those that decide by it.
fn latest(rules: &[Arc<dyn Rule>]) -> Phase {
    let phases = || rules.iter().map(|rule| rule.phase());
    match phases().any(|phase| phase == Phase::Identity) {
        true => Phase::Identity,
        false => phases().max().unwrap_or(Phase::Early),
    }
}
