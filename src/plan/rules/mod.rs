//! The rules of routes, each compiled once, however many routes have it.
//!
//! What a type of rule becomes is said in a file of its own, by [`Compile`].

mod anonymous;
mod api_key;
mod ban;
mod bandwidth;
mod basic;
mod bearer;
mod cel;
mod combined;
mod concurrency;
mod consumers;
mod cors;
mod counting;
mod csrf;
mod forward_auth;
mod groups;
mod idempotency;
mod introspection;
mod ip;
mod issuers;
mod jwt;
mod lasting;
mod limit_key;
mod mtls;
mod oidc;
mod opa;
mod openapi;
mod quota;
mod rate_limit;
mod request_size;
mod server;
mod signature;
mod transform;
mod user_agent;

pub use idempotency::{KeptKeys, Keys};
pub(super) use issuers::Issuers;
pub use lasting::{KeptFlight, KeptFlow, KeptQuota, Lasting};
pub(super) use limit_key::count_key;
pub use transform::BodyEdit;
pub(super) use transform::{Transformed, bodies};

use super::Plan;
use super::alike::Alike;
use super::apis::Apis;
use super::compile::{fault, key_path};
use super::edits::{Edit, Edits};
use super::files::Files;
use crate::config::Fault;
use crate::config::model::{self, Config, RuleKind, RuleMode};
use crate::config::template::Template;
use crate::gateway::condition::Condition;
use crate::gateway::issuer::{Issuer, Wanted};
use crate::gateway::jwt::Pointer;
use crate::gateway::limits::Limiter;
use crate::gateway::{
    Aftermath, Certificates, Chain, Consumer, Consumers, Cors, Door, Doorkeeper, Limit, Link, Meter, Place, Planned,
    Plans, RateLimit, Rule, Step, Strikes, Tarpit, Told, ToldOf,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The rules that routes may have.
pub(super) struct Rules<'a> {
    known: HashMap<&'a str, Known>,
    /// What who has a plan is put to besides, and what they are told of that; `None`: there are no plans.
    plans: Option<(Arc<Plans>, Vec<ToldOf>)>,
    /// The chains of routes so far, by the rules that these name: routes that name the same share one, so that it stays in the caches of the cores.
    chains: RefCell<HashMap<Vec<String>, Option<Arc<Chain>>>>,
    /// The last few different edits of routes, which are shared likewise.
    edits: Alike<Edits>,
}

struct Known {
    /// Its place among all rules.
    index: usize,
    mode: RuleMode,
    /// For which requests it is there; `None`: for all.
    when: Option<Arc<Condition>>,
    does: Does,
}

/// A type of rule.
trait Compile {
    /// What a rule of this type becomes. What is at fault of it is added to `here`.
    fn compile(&self, here: &mut Here<'_>) -> Does;
}

/// What a rule becomes.
#[derive(Clone, Default)]
struct Does {
    /// It decides of requests.
    asked: Option<Arc<dyn Rule>>,
    /// It counts requests.
    limit: Option<Arc<RateLimit>>,
    /// What makes a key there.
    under: String,
    /// What clients are told of that.
    told: Option<ToldOf>,
    /// It says whose scripts may read answers.
    cors: Option<Arc<Cors>>,
    /// Bytes that it lets a body have.
    body: Option<u64>,
    /// It decides of connections.
    keeper: Option<Arc<dyn Doorkeeper>>,
    /// It has clients banned that are refused.
    strikes: Option<Arc<Strikes>>,
    /// It keeps clients waiting that are refused.
    tarpit: Option<Arc<Tarpit>>,
    /// It changes requests and answers on their way.
    transform: Option<Arc<Transformed>>,
    /// It finds out who asks.
    identifies: bool,
    /// It takes clients for somebody without proof.
    is_guest: bool,
    /// What targets are told by it, in place of what clients say of that.
    edits: Vec<Edit>,
    /// What clients prove themselves with, which goes no further.
    credentials: Vec<Place>,
    /// Who issues the tokens that it takes, where their keys are fetched.
    issuer: Option<Arc<Issuer>>,
}

/// What a rule is compiled with.
struct Here<'r> {
    /// Its name.
    name: &'r str,
    /// Its place among all rules.
    index: usize,
    /// Whether it lets through what it would refuse.
    shadow: bool,
    config: &'r Config,
    people: &'r People,
    files: &'r Files,
    /// What is described of APIs.
    apis: &'r Apis,
    /// What plans share.
    lasting: &'r mut Lasting,
    /// What those before had.
    before: Option<&'r Lasting>,
    issuers: &'r mut Issuers,
    faults: &'r mut Vec<Fault>,
    /// Whether there is no plan before.
    is_first: bool,
    /// What was counted under the plan before.
    previous: &'r [Counted],
    /// Those that are compiled already.
    known: &'r HashMap<&'r str, Known>,
}

/// Who is known.
struct People {
    /// By their keys.
    keys: Arc<Consumers>,
    /// By their certificates.
    certificates: Arc<Certificates>,
    /// By their names.
    names: Arc<HashMap<Box<str>, Arc<Consumer>>>,
}

/// What a rule counts: plans that follow each other share it.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The rule's name.
    pub rule: String,
    /// What makes a key there.
    pub under: String,
    /// What counts.
    pub limiter: Limiter,
}

/// Headers that tell targets who asks: what clients send under these names says nothing, and goes no further.
const TOLD: [&str; 7] = [
    "X-Consumer-ID",
    "X-Consumer-Custom-ID",
    "X-Consumer-Username",
    "X-Consumer-Groups",
    "X-Authenticated-Groups",
    "X-Credential-Identifier",
    "X-Anonymous-Consumer",
];

/// What compiles a rule.
fn of(kind: &RuleKind) -> &dyn Compile {
    match kind {
        RuleKind::AllOf(of) => of,
        RuleKind::Anonymous(of) => of,
        RuleKind::AnyOf(of) => of,
        RuleKind::ApiKey(of) => of,
        RuleKind::Ban(of) => of,
        RuleKind::Bandwidth(of) => of,
        RuleKind::Basic(of) => of,
        RuleKind::Cel(of) => of,
        RuleKind::Concurrency(of) => of,
        RuleKind::Cors(of) => of,
        RuleKind::ForwardAuth(of) => of,
        RuleKind::Csrf(of) => of,
        RuleKind::Groups(of) => of,
        RuleKind::Idempotency(of) => &**of,
        RuleKind::Introspection(of) => &**of,
        RuleKind::Ip(of) => of,
        RuleKind::Jwt(of) => &**of,
        RuleKind::Mtls(of) => of,
        RuleKind::Oidc(of) => &**of,
        RuleKind::Opa(of) => of,
        RuleKind::OpenApi(of) => of,
        RuleKind::Quota(of) => of,
        RuleKind::RateLimit(of) => of,
        RuleKind::RequestSize(of) => of,
        RuleKind::Signature(of) => of,
        RuleKind::Tarpit(of) => of,
        RuleKind::UserAgent(of) => of,
        RuleKind::Transform(of) => &**of,
    }
}

impl<'a> Rules<'a> {
    /// Those of a configuration, and what of them outlives a plan; `issuers` are those of tokens that were known before. What is at fault of them
    /// is added to `faults`.
    pub(super) fn compile(
        config: &'a Config,
        files: &Files,
        apis: &Apis,
        (before, mut issuers): (Option<&Plan>, Issuers),
        faults: &mut Vec<Fault>,
    ) -> (Self, Lasting) {
        let previous = before.map_or(&[][..], |plan| &plan.counted);
        let before = before.map(|plan| &plan.lasting);
        let mut lasting = Lasting::new(config, before);
        let people = consumers::compile(config, files, faults);
        let mut known = HashMap::with_capacity(config.rules.len());
        let mut rest: Vec<_> = config.rules.iter().enumerate().collect();
        // Those of which others are made come first. A circle, which is a fault that has been told, comes to an end here.
        while !rest.is_empty() {
            let is_ready =
                |rule: &model::Rule| rule.kind.members().iter().all(|member| known.contains_key(member.as_str()));
            let (ready, waiting): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, (_, rule))| is_ready(rule));
            if ready.is_empty() {
                break;
            }
            for (index, (name, rule)) in ready {
                let here = &mut Here {
                    name,
                    index,
                    shadow: rule.mode == RuleMode::Shadow,
                    config,
                    people: &people,
                    files,
                    apis,
                    lasting: &mut lasting,
                    before,
                    issuers: &mut issuers,
                    faults,
                    is_first: before.is_none(),
                    previous,
                    known: &known,
                };
                let does = of(&rule.kind).compile(here);
                let when = rule.when.as_deref().and_then(|text| cel::when(here, &does, text));
                known.insert(name.as_str(), Known { index, mode: rule.mode, when, does });
            }
            rest = waiting;
        }
        // What is off counts nothing.
        let is_on = |rule: &str| config.rules.get(rule).is_some_and(|rule| rule.mode != RuleMode::Off);
        lasting.quotas.retain(|kept| is_on(&kept.rule));
        (Self::with(known, config), lasting)
    }

    fn with(known: HashMap<&'a str, Known>, config: &'a Config) -> Self {
        let rules = Self { known, plans: None, chains: RefCell::default(), edits: Alike::default() };
        if config.plans.is_empty() {
            return rules;
        }
        let planned = |plan: &'a model::LimitPlan| Planned {
            links: rules.named(&plan.rules).filter_map(Known::link).collect(),
            limits: rules.named(&plan.rules).filter_map(Known::limit).collect(),
        };
        let plans = Plans::new(config.plans.values().map(planned));
        let in_force =
            |plan: &'a model::LimitPlan| rules.named(&plan.rules).filter_map(Known::told).collect::<Vec<_>>();
        let told = config.plans.values().flat_map(in_force).collect();
        Self { plans: Some((Arc::new(plans), told)), ..rules }
    }

    /// Those of a route that are not off.
    fn on<'r>(&'r self, route: &'r model::Route) -> impl Iterator<Item = &'r Known> {
        self.named(&route.rules)
    }

    /// Those of these names that are not off.
    fn named<'r>(&'r self, names: &'r [String]) -> impl Iterator<Item = &'r Known> {
        names.iter().filter_map(|name| self.known.get(name.as_str())).filter(|rule| rule.mode != RuleMode::Off)
    }

    /// Bytes that a route's rules let a body have; `None`: any.
    pub(super) fn body(&self, route: &model::Route) -> Option<u64> {
        self.on(route).filter_map(|known| known.does.body).min()
    }

    /// What comes of refusals by the rules of these names; `None`: nothing does.
    pub(super) fn aftermath(&self, names: &[String]) -> Option<Box<Aftermath>> {
        let strikes: Vec<_> = self.named(names).filter_map(|known| known.does.strikes.clone()).collect();
        let tarpits: Vec<_> = self.named(names).filter_map(|known| known.does.tarpit.clone()).collect();
        let is_any = !strikes.is_empty() || !tarpits.is_empty();
        is_any.then(|| Box::new(Aftermath { strikes: strikes.into(), tarpits: tarpits.into() }))
    }

    /// What the rules of these names decide of connections.
    pub(super) fn doors(&self, names: &[String]) -> Box<[Door]> {
        let door = |known: &Known| {
            let (index, shadow) = (known.index, known.mode == RuleMode::Shadow);
            Some(Door { index, shadow, keeper: known.does.keeper.clone()? })
        };
        self.named(names).filter_map(door).collect()
    }

    /// Those that keep clients waiting.
    pub(super) fn tarpits(&self) -> Vec<Arc<Tarpit>> {
        let mut all: Vec<Arc<Tarpit>> = self.known.values().filter_map(|known| known.does.tarpit.clone()).collect();
        all.sort_by_key(|tarpit| tarpit.index);
        all
    }

    /// The places of those that ban clients, among all.
    pub(super) fn banning(&self) -> Vec<usize> {
        let all = self.known.values().filter_map(|known| known.does.strikes.as_ref());
        let mut all: Vec<usize> = all.map(|strikes| strikes.index).collect();
        all.sort_unstable();
        all
    }

    /// Those that a route's requests are put to; `None`: there is none.
    pub(super) fn chain(&self, name: &str, route: &model::Route) -> Result<Option<Arc<Chain>>, Vec<Fault>> {
        let unknown = route.rules.iter().enumerate().filter(|(_, named)| !self.known.contains_key(named.as_str()));
        let dangling = |(place, named): (usize, &String)| {
            fault(&["routes", name, "rules", &place.to_string()], format!("no rule is named `{named}`"), None)
        };
        let faults: Vec<Fault> = unknown.map(dangling).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        if let Some(chain) = self.chains.borrow().get(&route.rules) {
            return Ok(chain.clone());
        }
        let steps = |known: &Known| known.link().map(Step::Link).into_iter().chain(known.limit().map(Step::Limit));
        let steps: Vec<Step> = self.on(route).flat_map(steps).collect();
        let plans = self.plans_of(route).map(|(plans, _)| plans.clone());
        let chain = (!steps.is_empty()).then(|| Arc::new(Chain::new(steps, plans)));
        self.chains.borrow_mut().insert(route.rules.clone(), chain.clone());
        Ok(chain)
    }

    /// Those edits, or equal ones that another route has.
    pub(super) fn shared(&self, edits: Arc<Edits>) -> Arc<Edits> {
        self.edits.shared(edits, |one, other| {
            let plain = one.back.is_none() && other.back.is_none();
            plain && one.request == other.request && one.response == other.response
        })
    }

    /// The plans that a route's clients may have.
    fn plans_of(&self, route: &model::Route) -> Option<&(Arc<Plans>, Vec<ToldOf>)> {
        self.plans.as_ref().filter(|_| self.identify(route))
    }

    /// Whether rules of a route find out who asks.
    pub(super) fn identify(&self, route: &model::Route) -> bool {
        self.on(route).any(|known| known.does.identifies)
    }

    /// What a route's rules change in requests: what clients prove themselves with goes no further, and targets are told who they are.
    pub(super) fn edits(&self, route: &model::Route) -> Vec<Edit> {
        let mut own: Vec<Edit> = self.on(route).flat_map(|known| known.does.edits.iter().cloned()).collect();
        // What no client is to say goes first, so that no rule takes away what another has said.
        own.sort_by_key(|edit| !matches!(edit, Edit::Remove(_)));
        if !self.identify(route) {
            return own;
        }
        let credentials = self.on(route).flat_map(|known| &known.does.credentials).filter_map(|place| match place {
            Place::Header(name) => Some(Edit::Remove(name.clone())),
            Place::Cookie(name) => Some(Edit::RemoveCookie(name.clone())),
            // The query is no header.
            Place::Query(_) => None,
        });
        let removed = credentials.chain(TOLD.map(|name| Edit::Remove(name.into())));
        let told = [("X-Consumer-Username", "{consumer.name}"), ("X-Consumer-Groups", "{consumer.groups}")];
        // They are templates, as a test says.
        let set = |(name, text): (&str, &str)| Some(Edit::Set(name.into(), text.parse::<Template>().ok()?));
        removed.chain(told.into_iter().filter_map(set)).chain(own).collect()
    }

    /// Parameters of the query by which clients prove themselves, which go no further.
    pub(super) fn secret_parameters<'r>(&'r self, route: &'r model::Route) -> impl Iterator<Item = &'r str> {
        self.on(route).flat_map(|known| &known.does.credentials).filter_map(|place| match place {
            Place::Query(name) => Some(&**name),
            Place::Header(_) | Place::Cookie(_) => None,
        })
    }

    /// What a route's rules change in answers.
    pub(super) fn answer_edits(&self, route: &model::Route) -> Vec<Edit> {
        let of_plans = self.plans_of(route).into_iter().flat_map(|(_, told)| told.iter().cloned());
        let told = Told::new(self.on(route).filter_map(Known::told).chain(of_plans).collect());
        told.map(Edit::Limits).into_iter().chain(self.cors(route).map(Edit::Cors)).collect()
    }

    /// What all of them count.
    pub(super) fn counted(&self) -> Vec<Counted> {
        let counted = |(name, known): (&&str, &Known)| {
            // What quotas count is kept elsewhere.
            let of_limit = known.does.limit.as_ref().and_then(|limit| match &limit.meter {
                Meter::Rate(limiter) => Some(limiter),
                _ => None,
            });
            let limiter = of_limit.or(known.does.strikes.as_ref().and_then(|strikes| strikes.counts.as_ref()))?;
            Some(Counted { rule: (*name).to_owned(), under: known.does.under.clone(), limiter: limiter.clone() })
        };
        self.known.iter().filter_map(counted).collect()
    }

    /// The issuers of tokens whose keys are fetched, with the names of the rules that they are for.
    pub(super) fn issuers(&self) -> Vec<(String, Arc<Issuer>)> {
        let on = self.known.iter().filter(|(_, known)| known.mode != RuleMode::Off);
        let named = on.filter_map(|(name, known)| Some(((*name).to_owned(), known.does.issuer.clone()?)));
        let mut issuers: Vec<_> = named.collect();
        issuers.sort_by(|(one, _), (other, _)| one.cmp(other));
        issuers
    }

    /// What a route's rules change on the way, in the order in which it names them.
    pub(super) fn transforms(&self, route: &model::Route) -> Vec<Arc<Transformed>> {
        self.on(route).filter_map(|known| known.does.transform.clone()).collect()
    }

    /// Whose scripts may read a route's answers; `None`: no rule says so.
    pub(super) fn cors(&self, route: &model::Route) -> Option<Arc<Cors>> {
        self.on(route).find_map(|known| known.does.cors.clone())
    }
}

impl Known {
    /// What decides by itself; `None`: nothing.
    fn link(&self) -> Option<Link> {
        let (index, shadow, when) = (self.index, self.mode == RuleMode::Shadow, self.when.clone());
        Some(Link { index, shadow, when, rule: self.does.asked.clone()? })
    }

    /// What it counts; `None`: nothing.
    fn limit(&self) -> Option<Limit> {
        let (shadow, when) = (self.mode == RuleMode::Shadow, self.when.clone());
        Some(Limit { shadow, when, limit: self.does.limit.clone()? })
    }

    /// What clients are told of that.
    fn told(&self) -> Option<ToldOf> {
        self.does.told.clone().filter(|_| self.mode == RuleMode::Enforce)
    }
}

impl Here<'_> {
    /// Where a claim is, as one of its keys has it.
    fn pointer(&mut self, key: &[&str], text: &str) -> Option<Pointer> {
        Pointer::new(text).map_err(|why| self.fault(key, why, None)).ok()
    }

    /// The secret in the file that a key names: all of it but a line's end behind it.
    fn secret(&mut self, key: &str) -> Option<String> {
        let content = self.files.content(&key_path(&["rules", self.name, key])).map_err(str::to_owned);
        let text = content.and_then(|text| {
            let text = String::from_utf8(text.to_vec()).map_err(|_| "the file is no text".to_owned())?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
        });
        text.map_err(|why| self.fault(&[key], why, None)).ok()
    }

    /// How TLS is spoken with who is at a URL, whose certificate is checked by a file of authorities or what the system trusts. The
    /// first `None`: it cannot be; the second: not at all.
    fn client(&mut self, url: &str, ca: Option<&std::path::Path>) -> Option<Option<Arc<rustls::ClientConfig>>> {
        if !url.starts_with("https://") {
            return Some(None);
        }
        match crate::tls::acme::client(ca) {
            Ok(config) => Some(Some(Arc::new(config))),
            Err(why) => {
                let key: &[&str] = if ca.is_some() { &["ca"] } else { &[] };
                self.fault(key, why, None);
                None
            }
        }
    }

    /// The issuer of tokens that is asked so.
    fn issuer(&mut self, wanted: Wanted) -> Arc<Issuer> {
        self.issuers.of(wanted)
    }

    /// Notes a fault of one of its keys.
    fn fault(&mut self, key: &[&str], what: impl Into<String>, help: Option<String>) {
        let at: Vec<&str> = ["rules", self.name].into_iter().chain(key.iter().copied()).collect();
        self.faults.push(fault(&at, what.into(), help));
    }
}

impl Does {
    /// A rule that decides.
    fn asked(rule: impl Rule + 'static) -> Self {
        Self { asked: Some(Arc::new(rule)), ..Self::default() }
    }
}

/// The lines of the list that a key names, with their numbers, without those that are empty or begin with #.
fn listed<'f>(files: &'f Files, at: &[&str]) -> Result<Vec<(usize, &'f str)>, String> {
    let text = std::str::from_utf8(files.content(&key_path(at))?).map_err(|_| "the file is no text".to_owned())?;
    let lines = text.lines().map(str::trim).enumerate().map(|(place, line)| (place + 1, line));
    Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_who_asks_and_clients_say_nothing_of_it() {
        let config = Config {
            rules: [("key".to_owned(), rule(RuleMode::Shadow)), ("off".to_owned(), rule(RuleMode::Off))].into(),
            ..Config::default()
        };
        let (files, mut faults) = (Files::default(), Vec::new());
        let (rules, _) =
            Rules::compile(&config, &files, &Apis::default(), (None, Issuers::new(Vec::new())), &mut faults);
        let edits = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            rules.edits(&model::Route { rules: names, ..model::Route::default() })
        };
        assert!(edits(&[]).is_empty() && edits(&["off"]).is_empty());
        let shown: Vec<String> = edits(&["key"]).iter().map(Edit::to_string).collect();
        assert_eq!(shown.len(), TOLD.len() + 3, "{shown:?}");
        assert!(shown.contains(&"set X-Consumer-Username: {consumer.name}".to_owned()), "{shown:?}");
    }

    #[test]
    fn routes_with_the_same_rules_share_what_these_become() {
        let rules = [("key".to_owned(), rule(RuleMode::Enforce)), ("other".to_owned(), rule(RuleMode::Enforce))];
        let config = Config { rules: rules.into(), ..Config::default() };
        let (files, mut faults) = (Files::default(), Vec::new());
        let (rules, _) =
            Rules::compile(&config, &files, &Apis::default(), (None, Issuers::new(Vec::new())), &mut faults);
        let of = |name: &str| {
            let route = model::Route { rules: vec![name.to_owned()], ..model::Route::default() };
            let edits =
                Edits::compile(&route, rules.edits(&route), Vec::new(), &[], None).map(|edits| rules.shared(edits));
            (rules.chain("r", &route).unwrap().unwrap(), edits.unwrap())
        };
        let (one, two, other) = (of("key"), of("key"), of("other"));
        assert!(Arc::ptr_eq(&one.0, &two.0) && Arc::ptr_eq(&one.1, &two.1));
        assert!(!Arc::ptr_eq(&one.0, &other.0));
    }

    fn rule(mode: RuleMode) -> model::Rule {
        model::Rule { mode, when: None, kind: RuleKind::ApiKey(model::ApiKey::default()) }
    }
}
