//! The rules of a route, in the order in which they are asked.

use super::condition::{Condition, Error};
use super::rate_limit::{RateLimit, decide_all};
use super::{Asked, Challenges, Denial, Halt, Phase, Planned, Plans, Question, Rule, Who, reading};
use smallvec::SmallVec;
use std::sync::Arc;

/// The rules of a route.
#[derive(Debug)]
pub struct Chain {
    steps: Box<[Put]>,
    /// What whoever is nobody may prove themselves with.
    challenges: Challenges,
    /// Whether a condition asks for the path.
    names_path: bool,
}

/// What is put to a request at once.
#[derive(Debug)]
enum Put {
    /// A rule.
    One(Link),
    /// Limits, all or none of which count it.
    Limits(Box<[Limit]>),
    /// Limits, and those of the plans that who asks has.
    OfPlans(OfPlans),
}

/// What whoever has a plan is put to.
#[derive(Debug)]
struct OfPlans {
    /// Those of the route that count with them.
    limits: Box<[Limit]>,
    plans: Arc<Plans>,
    /// The places of the rules that the route names itself, which are not put to a request twice.
    own: Box<[usize]>,
}

/// A rule of a route.
#[derive(Debug)]
pub enum Step {
    /// One that decides by itself.
    Link(Link),
    /// One that counts.
    Limit(Limit),
}

/// A limit of a route.
#[derive(Debug)]
pub struct Limit {
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// For which requests it is there; `None`: for all.
    pub when: Option<Arc<Condition>>,
    /// The limit.
    pub limit: Arc<RateLimit>,
}

/// A rule of a route.
#[derive(Debug)]
pub struct Link {
    /// Its place among all rules.
    pub index: usize,
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// For which requests it is there; `None`: for all.
    pub when: Option<Arc<Condition>>,
    /// The rule.
    pub rule: Arc<dyn Rule>,
}

/// What a rule has said of a request.
#[derive(Debug)]
pub struct Note<'a> {
    /// The place of the rule among all.
    pub rule: usize,
    /// Whether it lets through what it would refuse.
    pub shadow: bool,
    /// What it would refuse, and why.
    pub denial: Option<&'a Denial>,
    /// Why its condition could not say whether it is there, so that it is; else it says no more yet.
    pub unclear: Option<(&'a Condition, Error)>,
    /// Whether it has yet to see the body.
    pub awaits: bool,
}

/// A request that goes no further.
#[derive(Debug)]
pub struct Refused {
    /// The place of the rule that says so among all rules.
    pub rule: usize,
    /// Why.
    pub denial: Denial,
}

/// Where a chain stops.
#[derive(Debug)]
pub enum Stop {
    /// The request goes no further.
    Refused(Refused),
    /// A rule needs to know something. With the answer the chain goes on at this rule, by its position in it.
    Asks(usize, Box<Question>),
}

impl Chain {
    /// Those rules, in the order in which the route names them, and limits for those who have `plans`.
    pub fn new(mut steps: Vec<Step>, mut plans: Option<Arc<Plans>>) -> Self {
        steps.sort_by_key(Step::phase);
        let (mut puts, mut challenges) = (Vec::new(), Challenges::new());
        let own: Box<[usize]> = steps.iter().map(Step::index).collect();
        let of_plans = plans.iter().flat_map(|plans| plans.all()).any(Planned::names_path);
        let names_path = of_plans || steps.iter().any(Step::names_path);
        for (phase, of_phase) in grouped(steps) {
            let mut limits = Vec::new();
            if phase > Phase::Limit
                && let Some(plans) = plans.take()
            {
                let limits = Box::default();
                puts.push(Put::OfPlans(OfPlans { limits, plans, own: own.clone() }));
            }
            for step in of_phase {
                match step {
                    Step::Link(link) => {
                        challenges.extend(link.rule.challenges());
                        puts.push(Put::One(link));
                    }
                    // What counts for nobody else is counted by itself.
                    Step::Limit(limit) if limit.shadow => puts.push(Put::Limits(Box::new([limit]))),
                    Step::Limit(limit) => limits.push(limit),
                }
            }
            debug_assert!(limits.is_empty() || matches!(phase, Phase::EarlyLimit | Phase::Limit));
            match plans.take_if(|_| phase == Phase::Limit) {
                Some(plans) => puts.push(Put::OfPlans(OfPlans { limits: limits.into(), plans, own: own.clone() })),
                None if limits.is_empty() => {}
                None => puts.push(Put::Limits(limits.into())),
            }
        }
        puts.extend(plans.map(|plans| Put::OfPlans(OfPlans { limits: Box::default(), plans, own })));
        Self { steps: puts.into(), challenges, names_path }
    }

    /// The places of the rules among all, in the order in which they are asked.
    pub fn indexes(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().flat_map(|put| -> SmallVec<[usize; 4]> {
            match put {
                Put::One(link) => SmallVec::from_iter([link.index]),
                Put::Limits(limits) => limits.iter().map(Limit::index).collect(),
                Put::OfPlans(of) => {
                    of.limits.iter().map(Limit::index).chain(of.plans.all().flat_map(Planned::indexes)).collect()
                }
            }
        })
    }

    /// The place among all of the rule that asks something, by the position in the chain where that stops.
    pub fn asking(&self, at: usize) -> Option<usize> {
        match self.steps.get(at)? {
            Put::One(link) => Some(link.index),
            Put::Limits(_) | Put::OfPlans(_) => None,
        }
    }

    /// Whether a condition asks for the path, so that it matters which way targets read that.
    pub fn names_path(&self) -> bool {
        self.names_path
    }

    /// Asks one rule after the other, beginning at a position. `note` is told what each has said. One whose condition does not hold is
    /// not there; where the condition cannot say, it is.
    ///
    /// # Errors
    /// The first that refuses, or that needs to know something.
    pub fn decide(
        &self,
        from: usize,
        asked: &Asked<'_>,
        who: &mut Who,
        mut note: impl FnMut(Note<'_>),
    ) -> Result<(), Stop> {
        for (at, put) in self.steps.iter().enumerate().skip(from) {
            match put {
                Put::One(link) => self.ask(link, at, asked, who, &mut note)?,
                Put::Limits(limits) => count(limits, asked, who, &mut note).map_err(Stop::Refused)?,
                Put::OfPlans(of) => self.ask_plans(of, at, asked, who, &mut note)?,
            }
        }
        Ok(())
    }

    /// Puts a request to what the plans of who asks have, and to the limits of the route that count with that.
    #[inline(never)]
    fn ask_plans(
        &self,
        of: &OfPlans,
        at: usize,
        asked: &Asked<'_>,
        who: &mut Who,
        note: &mut impl FnMut(Note<'_>),
    ) -> Result<(), Stop> {
        let OfPlans { limits, plans, own } = of;
        let Some(consumer) = who.consumer.clone() else {
            return count(limits, asked, who, note).map_err(Stop::Refused);
        };
        let (mut enforced, mut tried) = (SmallVec::<[&Limit; 8]>::from_iter(limits), SmallVec::<[&Limit; 2]>::new());
        let mut seen = SmallVec::<[usize; 8]>::from_slice(own);
        let mut is_new = |rule: usize| {
            !seen.contains(&rule) && {
                seen.push(rule);
                true
            }
        };
        for plan in plans.of(&consumer) {
            for link in plan.links.iter().filter(|link| is_new(link.index)) {
                self.ask(link, at, asked, who, note)?;
            }
            for limit in plan.limits.iter().filter(|limit| is_new(limit.index())) {
                if limit.shadow { tried.push(limit) } else { enforced.push(limit) }
            }
        }
        count(enforced, asked, who, note).map_err(Stop::Refused)?;
        // What counts for nobody else is counted by itself.
        tried.into_iter().try_for_each(|limit| count([limit], asked, who, note)).map_err(Stop::Refused)
    }

    fn ask(
        &self,
        link: &Link,
        at: usize,
        asked: &Asked<'_>,
        who: &mut Who,
        note: &mut impl FnMut(Note<'_>),
    ) -> Result<(), Stop> {
        let denied = match is_there(link.index, link.when.as_deref(), asked, who, note) {
            Ok(false) => return Ok(()),
            Err(denial) => Some(denial),
            Ok(true) => match link.rule.decide(asked, who) {
                Ok(()) => None,
                Err(Halt::Denied(denial)) => Some(denial),
                Err(Halt::Ask(question)) => return Err(Stop::Asks(at, question)),
            },
        };
        let is_keyed = who.keyed.as_ref().is_some_and(|keyed| keyed.rule == link.index);
        let awaits = is_keyed || who.bodies.iter().any(|awaited| awaited.rule == link.index);
        note(Note { rule: link.index, shadow: link.shadow, denial: denied.as_ref(), unclear: None, awaits });
        match denied.filter(|_| !link.shadow) {
            None => Ok(()),
            Some(mut denial) => {
                // RFC 9110 §15.5.2: there is one with each.
                if denial.status == 401 && denial.challenges.is_empty() {
                    denial.challenges = self.challenges.clone();
                }
                Err(Stop::Refused(Refused { rule: link.index, denial }))
            }
        }
    }
}

/// Whether a rule is there for a request.
///
/// # Errors
/// It is by one reading of the path, and is not by another.
fn is_there(
    rule: usize,
    when: Option<&Condition>,
    asked: &Asked<'_>,
    who: &Who,
    note: &mut impl FnMut(Note<'_>),
) -> Result<bool, Denial> {
    let Some(when) = when else { return Ok(true) };
    Ok(reading::holds(when, asked, who)?.unwrap_or_else(|error| {
        note(Note { rule, shadow: false, denial: None, unclear: Some((when, error)), awaits: false });
        true
    }))
}

/// Puts a request to limits at once. Those that did not deny what another denied say nothing.
fn count<'l>(
    limits: impl IntoIterator<Item = &'l Limit>,
    asked: &Asked<'_>,
    who: &mut Who,
    note: &mut impl FnMut(Note<'_>),
) -> Result<(), Refused> {
    let mut shadow = true;
    let mut all: SmallVec<[&RateLimit; 4]> = SmallVec::new();
    for limit in limits {
        shadow &= limit.shadow;
        match is_there(limit.index(), limit.when.as_deref(), asked, who, note) {
            Ok(true) => all.push(&limit.limit),
            Ok(false) => {}
            Err(denial) => {
                let rule = limit.index();
                note(Note { rule, shadow: limit.shadow, denial: Some(&denial), unclear: None, awaits: false });
                if !limit.shadow {
                    return Err(Refused { rule, denial });
                }
            }
        }
    }
    if all.is_empty() {
        return Ok(());
    }
    let told = who.limits.len();
    let decided = decide_all(&all, asked, who);
    if shadow {
        who.limits.truncate(told);
    }
    match decided {
        Ok(()) => {
            all.iter()
                .for_each(|limit| note(Note { rule: limit.index, shadow, denial: None, unclear: None, awaits: false }));
            Ok(())
        }
        Err((at, denial)) => {
            let rule = all[at].index;
            note(Note { rule, shadow, denial: Some(&denial), unclear: None, awaits: false });
            if shadow { Ok(()) } else { Err(Refused { rule, denial }) }
        }
    }
}

/// Neighbours of a phase together.
fn grouped(steps: Vec<Step>) -> Vec<(Phase, Vec<Step>)> {
    let mut groups: Vec<(Phase, Vec<Step>)> = Vec::new();
    for step in steps {
        let phase = step.phase();
        match groups.last_mut() {
            Some((of, group)) if *of == phase => group.push(step),
            _ => groups.push((phase, vec![step])),
        }
    }
    groups
}

impl Link {
    fn names_path(&self) -> bool {
        self.rule.names_path() || self.when.as_deref().is_some_and(Condition::names_path)
    }
}

impl Planned {
    fn indexes(&self) -> impl Iterator<Item = usize> {
        self.links.iter().map(|link| link.index).chain(self.limits.iter().map(Limit::index))
    }

    fn names_path(&self) -> bool {
        self.links.iter().any(Link::names_path) || self.limits.iter().any(Limit::names_path)
    }
}

impl Limit {
    fn index(&self) -> usize {
        self.limit.index
    }

    fn names_path(&self) -> bool {
        self.when.as_deref().is_some_and(Condition::names_path)
    }
}

impl Step {
    /// Its place among all rules.
    fn index(&self) -> usize {
        match self {
            Self::Link(link) => link.index,
            Self::Limit(limit) => limit.index(),
        }
    }

    /// Whether a condition of it asks for the path.
    fn names_path(&self) -> bool {
        match self {
            Self::Link(link) => link.names_path(),
            Self::Limit(limit) => limit.names_path(),
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Link(link) => link.rule.phase(),
            Self::Limit(limit) if limit.limit.late => Phase::Limit,
            Self::Limit(_) => Phase::EarlyLimit,
        }
    }
}
