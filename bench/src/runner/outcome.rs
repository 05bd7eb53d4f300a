//! What a scenario showed: medians per peer, Ringway's ratios to them, and whether the goals were met.

use super::crowd::Crowd;
use super::paced::{Paced, Sample};
use super::peer::OURS;
use super::round::Round;
use super::scenario::{Kind, Scenario};
use super::shelved::Reads;
use super::turns::{Asked, Turns};
use crate::ratio::Median;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A scenario's result.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What was run.
    pub scenario: Scenario,
    /// Each peer's figures, by name.
    pub peers: BTreeMap<String, Figures>,
    /// By peer: Ringway's cost divided by its, the median of the rounds' ratios. Of crowds: the ratio of the bytes.
    pub ratios: BTreeMap<String, Median>,
    /// The same at the fixed rate.
    pub paced_ratios: BTreeMap<String, Median>,
    /// What reloads and scrapes do to the worker's longest turn; of Ringway alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turns>,
    /// Each goal, and whether it was met.
    pub verdicts: Vec<Verdict>,
}

/// A peer's figures.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Units a second.
    pub rate: Option<Median>,
    /// CPU microseconds per unit by the process's own account.
    pub own: Option<Median>,
    /// CPU microseconds per unit by the busy time of the proxy's core.
    pub core: Option<Median>,
    /// At the fixed rate that all peers get.
    pub latency: Option<Paced>,
    /// System calls of the ring per unit; only of Ringway.
    pub enters: Option<f64>,
    /// Milliseconds of the worker's longest turn; only of Ringway.
    pub longest_turn: Option<f64>,
    /// Lines of the access log that were written, and lost; only of Ringway.
    pub log_lines: Option<(f64, f64)>,
    /// What its cache read from the disk; only of Ringway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
    /// Why the row is void.
    pub void: Option<String>,
    /// Bytes per connection of a crowd, process and kernel.
    pub bytes_each: Option<f64>,
    /// All rounds, in order.
    pub rounds: Vec<Round>,
    /// The crowd, in place of rounds.
    pub crowd: Option<Crowd>,
}

/// A goal and what came of it.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The peer whose cost divides Ringway's; none if the value itself counts.
    pub against: Option<String>,
    /// The largest good value.
    pub at_most: f64,
    /// The value; none if a row that it needs is void or missing.
    pub value: Option<f64>,
    /// Whether the value is that of the fixed rate, where nobody's core is full, because the row is void at saturation.
    pub at_fixed_rate: bool,
}

impl Verdict {
    /// Whether it was decided and missed.
    pub fn is_missed(&self) -> bool {
        self.value.is_some_and(|value| value > self.at_most)
    }
}

impl Outcome {
    /// Of a load: `rounds` holds each peer's, all of one length.
    pub fn of_load(scenario: &Scenario, rounds: BTreeMap<String, Vec<Round>>) -> Self {
        let ours = rounds.get(OURS).cloned().unwrap_or_default();
        let void = void(&ours).is_some();
        let others = rounds.iter().filter(|(name, rounds)| *name != OURS && !void && self::void(rounds).is_none());
        let ratios = others.filter_map(|(name, rounds)| Some((name.clone(), ratio(&ours, rounds)?))).collect();
        let peers = rounds.into_iter().map(|(name, rounds)| (name, Figures::of_load(rounds))).collect();
        Self::judged(scenario, peers, ratios)
    }

    /// Of a crowd.
    pub fn of_crowd(scenario: &Scenario, crowds: BTreeMap<String, Crowd>) -> Self {
        let ours = crowds.get(OURS).map(Crowd::bytes_each);
        let others = crowds.iter().filter(|(name, _)| *name != OURS);
        let ratio = |crowd: &Crowd| Median::of(vec![ours? / crowd.bytes_each()]);
        let ratios = others.filter_map(|(name, crowd)| Some((name.clone(), ratio(crowd)?))).collect();
        let figures =
            |crowd: Crowd| Figures { bytes_each: Some(crowd.bytes_each()), crowd: Some(crowd), ..Figures::default() };
        let peers = crowds.into_iter().map(|(name, crowd)| (name, figures(crowd))).collect();
        Self::judged(scenario, peers, ratios)
    }

    /// Of a worker's longest turns. The limit is for what each thing that is asked adds to them, and for the worker's time that it
    /// takes, which neighbours on the machine do not change.
    pub fn of_turns(scenario: &Scenario, turns: Vec<Turns>) -> Self {
        let mut outcome = Self::judged(scenario, BTreeMap::new(), BTreeMap::new());
        outcome.verdicts.clear();
        let values: [fn(&Turns) -> Option<f64>; 2] =
            [|turns| Some(turns.longest?.value), |turns| Some(turns.cpu?.value / 1000.0)];
        let still = turns.iter().find(|turns| turns.asked == Asked::Nothing);
        let asked = turns.iter().filter(|turns| turns.asked != Asked::Nothing);
        for (asked, value) in asked.flat_map(|asked| values.map(|value| (asked, value))) {
            let value = value(asked).zip(still.and_then(value)).map(|(asked, still)| asked - still);
            let at_most = scenario.limit.unwrap_or(f64::INFINITY);
            outcome.verdicts.push(Verdict { against: None, at_most, value, at_fixed_rate: true });
        }
        Self { turns, ..outcome }
    }

    /// Adds what the peers showed at `rate`, round by round. It decides the goals that saturation left open.
    pub fn add_paced(&mut self, rate: f64, samples: &BTreeMap<&str, Vec<Sample>>) {
        for (name, samples) in samples {
            self.peers.entry((*name).to_owned()).or_default().latency = Some(Paced::of(rate, samples));
        }
        let Some(ours) = samples.get(OURS) else { return };
        let ratio = |theirs: &[Sample]| Median::of(ours.iter().zip(theirs).map(|(a, b)| a.own / b.own).collect());
        let others = samples.iter().filter(|(name, _)| **name != OURS);
        self.paced_ratios = others.filter_map(|(name, theirs)| Some(((*name).to_owned(), ratio(theirs)?))).collect();
        for verdict in &mut self.verdicts {
            let paced = verdict.against.as_ref().and_then(|peer| self.paced_ratios.get(peer));
            if verdict.value.is_none()
                && let Some(paced) = paced
            {
                (verdict.value, verdict.at_fixed_rate) = (Some(paced.value), true);
            }
        }
    }

    /// Adds how many lines Ringway's access log has, none of which may be lost.
    pub fn add_log_lines(&mut self, lines: Option<(f64, f64)>) {
        let Some((_, lost)) = lines else { return };
        self.peers.entry(OURS.to_owned()).or_default().log_lines = lines;
        self.verdicts.push(Verdict { against: None, at_most: 0.0, value: Some(lost), at_fixed_rate: false });
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.scenario.name
    }

    /// Whether a goal was missed.
    pub fn is_missed(&self) -> bool {
        self.verdicts.iter().any(Verdict::is_missed)
    }

    fn judged(scenario: &Scenario, peers: BTreeMap<String, Figures>, ratios: BTreeMap<String, Median>) -> Self {
        let mut verdicts: Vec<Verdict> = Vec::new();
        for (peer, &at_most) in &scenario.goals {
            let value = ratios.get(peer).map(|ratio| ratio.value);
            verdicts.push(Verdict { against: Some(peer.clone()), at_most, value, at_fixed_rate: false });
        }
        if let Some(at_most) = scenario.limit {
            let crowd = peers.get(OURS).and_then(|figures| figures.crowd.as_ref());
            let value = crowd.map(|crowd| match scenario.kind {
                Kind::Hold => crowd.failed as f64,
                _ => crowd.bytes_each(),
            });
            verdicts.push(Verdict { against: None, at_most, value, at_fixed_rate: false });
        }
        Self { scenario: scenario.clone(), peers, ratios, paced_ratios: BTreeMap::new(), turns: Vec::new(), verdicts }
    }

    /// The peers' names, Ringway first.
    fn names(&self) -> impl Iterator<Item = &String> {
        let ours = self.peers.keys().filter(|name| *name == OURS);
        ours.chain(self.peers.keys().filter(|name| *name != OURS))
    }
}

fn void(rounds: &[Round]) -> Option<String> {
    let counted = rounds.iter().filter(|round| round.void.is_none()).count();
    rounds.iter().find_map(|round| round.void.clone()).filter(|_| counted * 2 <= rounds.len())
}

fn ratio(ours: &[Round], theirs: &[Round]) -> Option<Median> {
    let pairs = ours.iter().zip(theirs).filter(|(a, b)| a.void.is_none() && b.void.is_none());
    Median::of(pairs.map(|(a, b)| a.own / b.own).collect())
}

impl Figures {
    fn of_load(rounds: Vec<Round>) -> Self {
        let median = |value: fn(&Round) -> f64| {
            let counted = rounds.iter().filter(|round| round.void.is_none());
            Median::of(counted.map(value).collect())
        };
        Self {
            rate: median(|round| round.rate),
            own: median(|round| round.own),
            core: median(|round| round.core),
            void: void(&rounds),
            rounds,
            ..Self::default()
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.scenario.title, self.scenario.name)?;
        match self.scenario.kind {
            Kind::Load => self.load_table(f)?,
            Kind::Idle | Kind::Slow | Kind::Hold => self.crowd_table(f)?,
            Kind::Turns => self.turns_table(f)?,
        }
        for Verdict { against, at_most, value, at_fixed_rate } in &self.verdicts {
            let mut of = against.as_ref().map(|peer| format!(" of {peer}'s")).unwrap_or_default();
            if *at_fixed_rate {
                of += ", at the fixed rate";
            }
            let said = match value {
                None => "not decided".into(),
                Some(value) if value > at_most => format!("MISSED with {value:.3}"),
                Some(value) => format!("met with {value:.3}"),
            };
            writeln!(f, "  goal: at most {at_most}{of}: {said}")?;
        }
        Ok(())
    }
}

impl Outcome {
    fn load_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.scenario.unit.short();
        let heads = [format!("{unit}/s"), format!("own µs/{unit}"), format!("core µs/{unit}")];
        let [rate, own, core] = &heads;
        writeln!(f, "  {:<14} {rate:>9} {own:>11} {core:>11}  {:<20} cores", "", "Ringway ÷ it (own)")?;
        let one = |median: Option<Median>| median.map_or("-".into(), |median| format!("{:.1}", median.value));
        for name in self.names() {
            let peer = &self.peers[name];
            let busy = |share: fn(&Round) -> f64| {
                Median::of(peer.rounds.iter().map(share).collect()).map_or(0.0, |median| median.value * 100.0)
            };
            let ratio = self.ratios.get(name).map(|m| format!("{:.3} [{:.3}, {:.3}]", m.value, m.low, m.high));
            let (rate, own, core, ratio) = (one(peer.rate), one(peer.own), one(peer.core), ratio.unwrap_or_default());
            let (proxy, load) = (busy(|round| round.proxy_busy), busy(|round| round.load_busy));
            write!(f, "  {name:<14} {rate:>9} {own:>11} {core:>11}  {ratio:<20} ")?;
            writeln!(f, "proxy {proxy:.0} %, load {load:.0} %")?;
            if let Some(void) = &peer.void {
                writeln!(f, "  {name:<14} VOID: {void}")?;
            }
        }
        if self.peers.values().any(|peer| peer.latency.is_some()) {
            self.latency_table(f)?;
        }
        let Some(ours) = self.peers.get(OURS) else { return Ok(()) };
        if let Some(enters) = ours.enters {
            writeln!(f, "  enters of the ring per {unit}: {enters:.3}")?;
        }
        if let Some((written, lost)) = ours.log_lines {
            writeln!(f, "  lines of the access log: {written:.0} written, {lost:.0} lost")?;
        }
        if let Some(reads) = &ours.reads {
            writeln!(f, "  hits: {:.0}, of which read from the disk: {:.1} %", reads.hits, reads.share() * 100.0)?;
        }
        if let Some(turn) = ours.longest_turn {
            writeln!(f, "  longest turn of the worker's loop: {turn:.1} ms")?;
        }
        Ok(())
    }

    fn latency_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.scenario.unit.short();
        let rate = self.peers.values().find_map(|peer| peer.latency.as_ref()).map_or(0.0, |paced| paced.rate);
        writeln!(f, "  at {rate:.0} {unit}/s for all:")?;
        let [own, core] = [format!("own µs/{unit}"), format!("core µs/{unit}")];
        let [p50, p99, p999] = ["p50 µs", "p99 µs", "p99.9 µs"];
        writeln!(f, "  {:<14} {own:>11} {core:>11} {p50:>9} {p99:>9} {p999:>9}  Ringway ÷ it (own)", "")?;
        let one = |median: Option<Median>| median.map_or("-".into(), |median| format!("{:.1}", median.value));
        for name in self.names() {
            let Some(paced) = &self.peers[name].latency else { continue };
            let [p50, p99, p999] = [one(paced.p50), one(paced.p99), one(paced.p999)];
            let ratio = self.paced_ratios.get(name).map(|m| format!("{:.3} [{:.3}, {:.3}]", m.value, m.low, m.high));
            let (own, core, ratio) = (one(paced.own), one(paced.core), ratio.unwrap_or_default());
            writeln!(f, "  {name:<14} {own:>11} {core:>11} {p50:>9} {p99:>9} {p999:>9}  {ratio}")?;
        }
        Ok(())
    }

    fn turns_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [longest, most, cpu, p999] = ["longest turn ms", "most", "worker µs/100 ms", "p99.9 µs"];
        write!(f, "  {:<10} {longest:>22} {most:>8} {cpu:>22} {p999:>9}", "asked")?;
        writeln!(f, " {:>6} {:>12}", "times", "over 100 ms")?;
        for Turns { asked, longest, cpu, p999, rounds } in &self.turns {
            let name = format!("{asked:?}").to_lowercase();
            let longest = longest.map_or("-".into(), |m| format!("{:.2} [{:.2}, {:.2}]", m.value, m.low, m.high));
            let cpu = cpu.map_or("-".into(), |m| format!("{:.0} [{:.0}, {:.0}]", m.value, m.low, m.high));
            let p999 = p999.map_or("-".into(), |median| format!("{:.0}", median.value));
            let most = rounds.iter().map(|round| round.longest).fold(0.0, f64::max);
            let times: usize = rounds.iter().map(|round| round.asked).sum();
            let long: f64 = rounds.iter().map(|round| round.long).sum();
            writeln!(f, "  {name:<10} {longest:>22} {most:>8.2} {cpu:>22} {p999:>9} {times:>6} {long:>12}")?;
        }
        Ok(())
    }

    fn crowd_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["bytes/conn", "process", "kernel", "requests", "failed"];
        let [all, process, kernel, requests, failed] = heads;
        write!(f, "  {:<14} {all:>10} {process:>9} {kernel:>9} {requests:>9} {failed:>7}", "")?;
        writeln!(f, "  Ringway ÷ it")?;
        for name in self.names() {
            let Some(crowd) = &self.peers[name].crowd else { continue };
            let Crowd { process, kernel, requests, failed, .. } = crowd;
            write!(
                f,
                "  {name:<14} {:>10.0} {process:>9.0} {kernel:>9.0} {requests:>9} {failed:>7}",
                crowd.bytes_each()
            )?;
            match self.ratios.get(name) {
                Some(ratio) => writeln!(f, "  {:.3}", ratio.value)?,
                None => writeln!(f)?,
            }
            if let Some(failure) = &crowd.first_failure {
                writeln!(f, "  {name:<14} first failure: {failure}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(own: f64, void: bool) -> Round {
        let void = void.then(|| "full".to_owned());
        Round { rate: 1.0, own, core: own, proxy_busy: 1.0, load_busy: 0.5, void }
    }

    fn scenario() -> Scenario {
        let text = "title = 't'\nkind = 'load'\nprotocol = 'http'\nconnections = 1\nunit = 'request'\ngoals = { a = 0.5, b = 0.5 }";
        toml::from_str(text).unwrap()
    }

    #[test]
    fn ratios_are_of_pairs_and_decide_goals() {
        let ours = [1.0, 2.0, 9.0].map(|own| round(own, false)).to_vec();
        let rounds = [("ringway", ours), ("a", vec![round(2.0, false), round(4.0, false), round(18.0, false)])];
        let rounds = rounds.map(|(name, rounds)| (name.to_owned(), rounds)).into_iter().collect();
        let outcome = Outcome::of_load(&scenario(), rounds);
        assert_eq!(outcome.ratios["a"].value, 0.5);
        let verdicts: Vec<_> = outcome.verdicts.iter().map(|verdict| verdict.value).collect();
        assert_eq!((verdicts, outcome.is_missed()), (vec![Some(0.5), None], false));
    }

    #[test]
    fn the_fixed_rate_decides_what_saturation_cannot() {
        let rounds = [("ringway", vec![round(9.0, true)]), ("a", vec![round(1.0, false)])];
        let rounds = rounds.map(|(name, rounds)| (name.to_owned(), rounds)).into_iter().collect();
        let mut outcome = Outcome::of_load(&scenario(), rounds);
        let sample = |own| vec![Sample { own, ..Sample::default() }; 5];
        outcome.add_paced(1.0, &[("ringway", sample(4.0)), ("a", sample(10.0))].into_iter().collect());
        let verdict = &outcome.verdicts[0];
        assert_eq!((verdict.value, verdict.at_fixed_rate, outcome.is_missed()), (Some(0.4), true, false));
    }

    #[test]
    fn a_void_row_decides_nothing() {
        let rounds = [("ringway", vec![round(9.0, true), round(9.0, false)]), ("a", vec![round(1.0, false); 2])];
        let rounds = rounds.map(|(name, rounds)| (name.to_owned(), rounds)).into_iter().collect();
        let outcome = Outcome::of_load(&scenario(), rounds);
        assert!(outcome.peers["ringway"].void.is_some() && outcome.ratios.is_empty() && !outcome.is_missed());
    }
}
