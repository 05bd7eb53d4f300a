//! The rules of routes, and who is known to them.

use super::compile::{fault, key_path};
use super::edits::Edit;
use super::files::Files;
use crate::config::Fault;
use crate::config::model::{self, Config, RuleKind, RuleMode};
use crate::config::template::Template;
use crate::gateway::{ApiKey, Chain, Consumer, Consumers, Groups, Key, Link, Rule};
use std::sync::Arc;

/// What routes may have rules of.
pub(super) struct Rules<'a> {
    config: &'a Config,
    consumers: Arc<Consumers>,
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
        Ok(Self { config, consumers: Arc::new(consumers(config, files)?) })
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
                links.push(Link { index, shadow: rule.mode == RuleMode::Shadow, rule: self.rule(&rule.kind, route) });
            }
        }
        match faults.is_empty() {
            true => Ok((!links.is_empty()).then(|| Arc::new(Chain::new(links)))),
            false => Err(faults),
        }
    }

    fn rule(&self, kind: &RuleKind, route: &model::Route) -> Box<dyn Rule> {
        match kind {
            RuleKind::ApiKey(of) => Box::new(self.api_key(of)),
            RuleKind::Groups(of) => Box::new(Groups::new(&of.allow, self.challenge(route))),
        }
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
            RuleKind::Groups(_) => None,
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
            match files.content(&key_path(&at)).map(std::str::from_utf8) {
                Ok(Ok(text)) => {
                    let lines = text.lines().map(str::trim).enumerate();
                    for (line, key) in lines.filter(|(_, key)| !key.is_empty() && !key.starts_with('#')) {
                        add(&at, ("line", line + 1), key);
                    }
                }
                Ok(Err(_)) => faults.push(fault(&at, "the file is no text", None)),
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
