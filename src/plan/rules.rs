//! The rules of routes, and who is known to them.

use super::compile::{fault, key_path};
use super::edits::Edit;
use super::files::Files;
use crate::config::model::{self, Config, RuleKind, RuleMode};
use crate::config::template::Template;
use crate::config::{Fault, network};
use crate::gateway::cors::{Cors, Spec};
use crate::gateway::{Address, ApiKey, Chain, Consumer, Consumers, Groups, Key, Link, Rule};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What routes may have rules of.
pub(super) struct Rules<'a> {
    config: &'a Config,
    consumers: Arc<Consumers>,
    /// Those of type ip, by name: a list is kept once, however many routes go by it.
    addresses: BTreeMap<&'a str, Arc<Address>>,
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

impl<'a> Rules<'a> {
    pub(super) fn compile(config: &'a Config, files: &Files) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let consumers = consumers(config, files).unwrap_or_else(|found| {
            faults.extend(found);
            Consumers::new()
        });
        let mut addresses = BTreeMap::new();
        for (name, rule) in &config.rules {
            if let RuleKind::Ip(of) = &rule.kind {
                addresses.insert(name.as_str(), Arc::new(address(name, of, files, &mut faults)));
            }
        }
        match faults.is_empty() {
            true => Ok(Self { config, consumers: Arc::new(consumers), addresses }),
            false => Err(faults),
        }
    }

    /// Those of a route; `None`: it has none.
    pub(super) fn of(&self, name: &str, route: &model::Route) -> Result<Option<Arc<Chain>>, Vec<Fault>> {
        let (mut links, mut faults) = (Vec::new(), Vec::new());
        for (place, named) in route.rules.iter().enumerate() {
            let known = self.config.rules.iter().enumerate().find(|(_, (name, _))| *name == named);
            let Some((index, (_, rule))) = known else {
                let at = ["routes", name, "rules", &place.to_string()];
                faults.push(fault(&at, format!("no rule is named `{named}`"), None));
                continue;
            };
            if rule.mode != RuleMode::Off {
                let shadow = rule.mode == RuleMode::Shadow;
                links.extend(self.rule(named, &rule.kind, route).map(|rule| Link { index, shadow, rule }));
            }
        }
        match faults.is_empty() {
            true => Ok((!links.is_empty()).then(|| Arc::new(Chain::new(links)))),
            false => Err(faults),
        }
    }

    /// One that is asked; `None`: it has its say elsewhere.
    fn rule(&self, name: &str, kind: &RuleKind, route: &model::Route) -> Option<Arc<dyn Rule>> {
        Some(match kind {
            RuleKind::ApiKey(of) => Arc::new(self.api_key(of)),
            RuleKind::Cors(_) => return None,
            RuleKind::Groups(of) => Arc::new(Groups::new(&of.allow, self.challenge(route))),
            // It was compiled before all routes.
            RuleKind::Ip(_) => self.addresses.get(name).cloned().unwrap_or_default(),
        })
    }

    fn api_key(&self, of: &model::ApiKey) -> ApiKey {
        ApiKey::new(&of.header, &of.realm, self.consumers.clone())
    }

    /// What whoever is nobody is to prove themselves with.
    fn challenge(&self, route: &model::Route) -> Arc<str> {
        let rules = route.rules.iter().filter_map(|name| self.config.rules.get(name));
        let mut keys = rules.filter_map(|rule| match &rule.kind {
            RuleKind::ApiKey(of) if rule.mode != RuleMode::Off => Some(self.api_key(of).challenge().clone()),
            _ => None,
        });
        keys.next().unwrap_or_else(|| "Key".into())
    }
}

/// What a route's rules change in requests: what clients prove themselves with goes no further, and targets are told who they are.
pub(super) fn edits(config: &Config, route: &model::Route) -> Vec<Edit> {
    let rules = route.rules.iter().filter_map(|name| config.rules.get(name)).filter(|rule| rule.mode != RuleMode::Off);
    let headers: Vec<&str> = rules
        .filter_map(|rule| match &rule.kind {
            RuleKind::ApiKey(of) => Some(&*of.header),
            RuleKind::Cors(_) | RuleKind::Groups(_) | RuleKind::Ip(_) => None,
        })
        .collect();
    if headers.is_empty() {
        return Vec::new();
    }
    let removed = headers.into_iter().chain(TOLD).map(|name| Edit::Remove(name.into()));
    let told = [("X-Consumer-Username", "{consumer.name}"), ("X-Consumer-Groups", "{consumer.groups}")];
    // They are templates, as a test says.
    let told = told.into_iter().filter_map(|(name, text)| Some(Edit::Set(name.into(), text.parse::<Template>().ok()?)));
    removed.chain(told).collect()
}

/// Whose scripts may read a route's answers; `None`: no rule says so.
pub(super) fn cors(config: &Config, route: &model::Route) -> Option<Arc<Cors>> {
    route.rules.iter().find_map(|named| {
        let (index, (_, rule)) = config.rules.iter().enumerate().find(|(_, (name, _))| *name == named)?;
        let RuleKind::Cors(of) = &rule.kind else { return None };
        let spec = Spec {
            origins: &of.origins,
            methods: &of.methods,
            headers: &of.headers,
            expose: &of.expose_headers,
            credentials: of.credentials,
            max_age: of.max_age.0.as_secs(),
        };
        (rule.mode != RuleMode::Off).then(|| Arc::new(Cors::new(index, spec)))
    })
}

fn address(name: &str, of: &model::Ip, files: &Files, faults: &mut Vec<Fault>) -> Address {
    let mut all = |nets: &[IpNet], key: &str, count: usize| {
        let mut all = nets.to_vec();
        for place in 0..count {
            let at = ["rules", name, key, &place.to_string()];
            match listed(files, &at) {
                Ok(lines) => lines.iter().for_each(|(line, text)| match network(text) {
                    Ok(net) => all.push(net),
                    Err(why) => faults.push(fault(&at, format!("line {line}: {}", why.what), why.help)),
                }),
                Err(why) => faults.push(fault(&at, why, None)),
            }
        }
        all
    };
    let allow = all(&of.allow, "allow_files", of.allow_files.len());
    let deny = all(&of.deny, "deny_files", of.deny_files.len());
    // A list that has nobody in it lets nobody in.
    let is_list = !(of.allow.is_empty() && of.allow_files.is_empty());
    Address::new(is_list.then_some(&allow), &deny)
}

/// The lines of the list that a key names, with their numbers, without those that are empty or begin with #.
fn listed<'f>(files: &'f Files, at: &[&str]) -> Result<Vec<(usize, &'f str)>, String> {
    let text = std::str::from_utf8(files.content(&key_path(at))?).map_err(|_| "the file is no text".to_owned())?;
    let lines = text.lines().map(str::trim).enumerate().map(|(place, line)| (place + 1, line));
    Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect())
}

fn consumers(config: &Config, files: &Files) -> Result<Consumers, Vec<Fault>> {
    let (mut consumers, mut faults) = (Consumers::new(), Vec::new());
    for (name, of) in &config.consumers {
        let groups = of.groups.iter().map(|group| group.as_str().into()).collect();
        let consumer = Arc::new(Consumer { name: name.as_str().into(), groups });
        // The line that a key stands in is not shown: it is a secret.
        let mut add = |at: &[&str], (what, number): (&str, usize), text: &str| {
            let line = format!("{what} {number}: ");
            let added = match Key::written(text) {
                Ok(key) => consumers.add(key, &consumer).map_err(|same| {
                    (format!("{line}consumer `{}` has it as well", same.0), "give each consumer a key of its own")
                }),
                Err(why) => Err((format!("{line}{why}"), "make one by: openssl rand -hex 24")),
            };
            if let Err((what, help)) = added {
                faults.push(fault(at, what, Some(help.to_owned())));
            }
        };
        for (place, key) in of.keys.iter().enumerate() {
            add(&["consumers", name], ("key", place + 1), &key.0);
        }
        if of.keys_file.is_some() {
            let at = ["consumers", name, "keys_file"];
            match listed(files, &at) {
                Ok(lines) => lines.iter().for_each(|(line, key)| add(&at, ("line", *line), key)),
                Err(why) => faults.push(fault(&at, why, None)),
            }
        }
    }
    if faults.is_empty() { Ok(consumers) } else { Err(faults) }
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
        let edits = |rules: &[&str]| {
            let rules = rules.iter().map(|&name| name.to_owned()).collect();
            edits(&config, &model::Route { rules, ..model::Route::default() })
        };
        assert!(edits(&[]).is_empty() && edits(&["off"]).is_empty());
        let shown: Vec<String> = edits(&["key"]).iter().map(Edit::to_string).collect();
        assert_eq!(shown.len(), TOLD.len() + 3, "{shown:?}");
        assert!(shown.contains(&"set X-Consumer-Username: {consumer.name}".to_owned()), "{shown:?}");
    }

    fn rule(mode: RuleMode) -> model::Rule {
        model::Rule { mode, kind: RuleKind::ApiKey(model::ApiKey::default()) }
    }
}
