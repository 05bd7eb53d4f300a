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
use std::collections::HashMap;
use std::sync::Arc;

/// The rules that routes may have, each compiled once, however many routes have it.
pub(super) struct Rules<'a>(HashMap<&'a str, Known<'a>>);

struct Known<'a> {
    /// Its place among all rules.
    index: usize,
    mode: RuleMode,
    does: Does<'a>,
}

enum Does<'a> {
    ApiKey(Arc<ApiKey>),
    Cors(Arc<Cors>),
    /// What it asks for depends on the route's other rules.
    Groups(&'a model::Groups),
    Ip(Arc<Address>),
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
    /// Those of a configuration. What is at fault of them is added to `faults`.
    pub(super) fn compile(config: &'a Config, files: &Files, faults: &mut Vec<Fault>) -> Self {
        let consumers = Arc::new(consumers(config, files, faults));
        let known = |(index, (name, rule)): (usize, (&'a String, &'a model::Rule))| {
            let does = match &rule.kind {
                RuleKind::ApiKey(of) => Does::ApiKey(Arc::new(ApiKey::new(&of.header, &of.realm, consumers.clone()))),
                RuleKind::Cors(of) => Does::Cors(Arc::new(cors(index, of))),
                RuleKind::Groups(of) => Does::Groups(of),
                RuleKind::Ip(of) => Does::Ip(Arc::new(address(name, of, files, faults))),
            };
            (name.as_str(), Known { index, mode: rule.mode, does })
        };
        Self(config.rules.iter().enumerate().map(known).collect())
    }

    /// Those of a route that are not off.
    fn on<'r>(&'r self, route: &'r model::Route) -> impl Iterator<Item = &'r Known<'a>> {
        route.rules.iter().filter_map(|name| self.0.get(name.as_str())).filter(|rule| rule.mode != RuleMode::Off)
    }

    /// Those that a route's requests are put to; `None`: there is none.
    pub(super) fn chain(&self, name: &str, route: &model::Route) -> Result<Option<Arc<Chain>>, Vec<Fault>> {
        let unknown = route.rules.iter().enumerate().filter(|(_, named)| !self.0.contains_key(named.as_str()));
        let dangling = |(place, named): (usize, &String)| {
            fault(&["routes", name, "rules", &place.to_string()], format!("no rule is named `{named}`"), None)
        };
        let faults: Vec<Fault> = unknown.map(dangling).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let link = |known: &Known<'_>| {
            let rule: Arc<dyn Rule> = match &known.does {
                Does::ApiKey(of) => of.clone(),
                Does::Cors(_) => return None,
                Does::Groups(of) => Arc::new(Groups::new(&of.allow, self.challenge(route))),
                Does::Ip(of) => of.clone(),
            };
            Some(Link { index: known.index, shadow: known.mode == RuleMode::Shadow, rule })
        };
        let links: Vec<Link> = self.on(route).filter_map(link).collect();
        Ok((!links.is_empty()).then(|| Arc::new(Chain::new(links))))
    }

    fn keys<'r>(&'r self, route: &'r model::Route) -> impl Iterator<Item = &'r ApiKey> {
        self.on(route).filter_map(|known| match &known.does {
            Does::ApiKey(of) => Some(&**of),
            Does::Cors(_) | Does::Groups(_) | Does::Ip(_) => None,
        })
    }

    /// What whoever is nobody is to prove themselves with.
    fn challenge(&self, route: &model::Route) -> Arc<str> {
        self.keys(route).next().map_or_else(|| "Key".into(), |key| key.challenge().clone())
    }

    /// What a route's rules change in requests: what clients prove themselves with goes no further, and targets are told who they are.
    pub(super) fn edits(&self, route: &model::Route) -> Vec<Edit> {
        let headers: Vec<&str> = self.keys(route).map(ApiKey::header).collect();
        if headers.is_empty() {
            return Vec::new();
        }
        let removed = headers.into_iter().chain(TOLD).map(|name| Edit::Remove(name.into()));
        let told = [("X-Consumer-Username", "{consumer.name}"), ("X-Consumer-Groups", "{consumer.groups}")];
        // They are templates, as a test says.
        let set = |(name, text): (&str, &str)| Some(Edit::Set(name.into(), text.parse::<Template>().ok()?));
        removed.chain(told.into_iter().filter_map(set)).collect()
    }

    /// Whose scripts may read a route's answers; `None`: no rule says so.
    pub(super) fn cors(&self, route: &model::Route) -> Option<Arc<Cors>> {
        self.on(route).find_map(|known| match &known.does {
            Does::Cors(of) => Some(of.clone()),
            Does::ApiKey(_) | Does::Groups(_) | Does::Ip(_) => None,
        })
    }
}

fn cors(index: usize, of: &model::Cors) -> Cors {
    let spec = Spec {
        origins: &of.origins,
        methods: &of.methods,
        headers: &of.headers,
        expose: &of.expose_headers,
        credentials: of.credentials,
        max_age: of.max_age.0.as_secs(),
    };
    Cors::new(index, spec)
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

fn consumers(config: &Config, files: &Files, faults: &mut Vec<Fault>) -> Consumers {
    let mut consumers = Consumers::new();
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
    consumers
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
        let rules = Rules::compile(&config, &files, &mut faults);
        let edits = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            rules.edits(&model::Route { rules: names, ..model::Route::default() })
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
