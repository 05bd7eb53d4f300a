//! Routes that are made of others: one for each stage, of the description of an API one for each operation, and those of its page.
//!
//! What always holds: such a route is what it was made of says, but for what a stage or an operation says otherwise, and has a name of its own.

use super::Apis;
use crate::config::model::{Config, Deprecated, DeprecatedOperations, Respond, Route};
use crate::config::template::Template;
use crate::config::{Fault, KeyPath};
use crate::gateway::openapi::{Api, Operation, portal};
use crate::plan::compile::fault;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// A configuration with all of its routes.
pub(in crate::plan) struct Unfolded<'c> {
    pub(in crate::plan) config: Cow<'c, Config>,
    /// The names of what routes were made of, by their own.
    origins: BTreeMap<String, String>,
}

/// The longest name.
const LONGEST: usize = 64;

impl<'c> Unfolded<'c> {
    /// Makes the routes that descriptions say. What is at fault is added to `faults`.
    pub(in crate::plan) fn new(config: &'c Config, apis: &Apis, faults: &mut Vec<Fault>) -> Self {
        let mut unfolded = Self { config: Cow::Borrowed(config), origins: BTreeMap::new() };
        unfolded.stage(config);
        let is_made = |(_, route): &(&String, &Route)| route.portal.is_some() || route.from_openapi.is_some();
        let made_of: Vec<(String, Route)> =
            unfolded.config.routes.iter().filter(is_made).map(|(name, route)| (name.clone(), route.clone())).collect();
        for (name, route) in &made_of {
            if let Some(api) = &route.portal {
                unfolded.config.to_mut().routes.remove(name);
                if let Some(api) = apis.of(api) {
                    unfolded.add_portal(name, route, api);
                }
                continue;
            }
            let Some(api) = &route.from_openapi else { continue };
            unfolded.config.to_mut().routes.remove(name);
            // What is wrong with it has been told.
            let Some(api) = apis.of(api) else { continue };
            if api.paths().all(|(_, operations)| operations.is_empty()) {
                let what = "the description of its API has no operation, so that it takes no request";
                faults.push(fault(&["routes", unfolded.origin(name), "from_openapi"], what, None));
            }
            unfolded.add(name, route, api);
        }
        unfolded
    }

    /// Makes the routes that are served as stages.
    fn stage(&mut self, config: &Config) {
        for (name, route) in config.routes.iter().filter(|(_, route)| !route.stages.is_empty()) {
            self.config.to_mut().routes.remove(name);
            // One that is not there has been told of.
            for (stage, of) in route.stages.iter().filter_map(|stage| config.stages.get_key_value(stage)) {
                let own = format!("{name}@{stage}");
                self.origins.insert(own.clone(), name.clone());
                self.config.to_mut().routes.insert(own, of.of(route));
            }
        }
    }

    /// What a route was made of: a name of the configuration.
    pub(in crate::plan) fn origin<'a>(&'a self, name: &'a str) -> &'a str {
        self.origins.get(name).map_or(name, String::as_str)
    }

    /// A fault of two routes that tie, told of the routes as they are written, where one or both were made of others.
    pub(in crate::plan) fn as_written(&self, written: &Config, mut fault: Fault) -> Fault {
        let Some((also, label)) = fault.also.take() else { return fault };
        for name in [&also, &fault.at].into_iter().filter_map(|at| at.keys().get(1)) {
            let origin = self.origin(name);
            fault.help = fault.help.map(|help| help.replace(&format!("{name:?}"), &format!("{origin:?}")));
        }
        let (first, one) = self.place(written, &also);
        let (second, other) = self.place(written, &fault.at);
        if first.keys().get(1) == second.keys().get(1)
            && let (Some(one), Some(other)) = (one, other)
            && one != other
        {
            let help = format!("tell stages `{one}` and `{other}` apart by their `hosts`, `listeners` or `prefix`");
            fault.help = Some(help);
        }
        fault.also = (first != second).then_some((first, label));
        Fault { at: second, ..fault }
    }

    /// Where what a route was made of is written, and the stage that it is served as.
    fn place<'a>(&self, written: &'a Config, at: &KeyPath) -> (KeyPath, Option<&'a str>) {
        let [_, name] = at.keys() else { return (at.clone(), None) };
        if !at.is_within(&KeyPath::from(["routes"])) {
            return (at.clone(), None);
        }
        let origin = self.origin(name);
        let here = KeyPath::from(["routes", origin]);
        let stages = written.routes.get(origin).map(|route| &route.stages[..]).unwrap_or_default();
        let rest = name.strip_prefix(origin).and_then(|rest| rest.strip_prefix('@'));
        let is_it = |stage: &String| {
            let end = rest.and_then(|rest| rest.strip_prefix(stage.as_str()));
            end.is_some_and(|end| end.is_empty() || end.starts_with('.'))
        };
        let longest = stages.iter().enumerate().filter(|(_, stage)| is_it(stage)).max_by_key(|(_, stage)| stage.len());
        match longest {
            Some((index, stage)) => (here.child("stages").child(index), Some(stage)),
            None => (here, None),
        }
    }

    /// The routes that were made.
    pub(super) fn made(&self) -> BTreeMap<String, Route> {
        let made = |name: &String| Some((name.clone(), self.config.routes.get(name)?.clone()));
        self.origins.keys().filter_map(made).collect()
    }

    /// The page of an API, with its script, its style and its description.
    fn add_portal(&mut self, name: &str, route: &Route, api: &Api) {
        let folder = route.paths.first().map_or("/", String::as_str);
        let parts = [
            ("", "", answer(portal::page(api, folder), "text/html; charset=utf-8")),
            (".script", "portal.js", answer(portal::SCRIPT.to_owned(), "text/javascript; charset=utf-8")),
            (".style", "portal.css", answer(portal::STYLE.to_owned(), "text/css; charset=utf-8")),
            (".document", "openapi.json", answer(api.document().to_string(), "application/json")),
        ];
        for (end, file, respond) in parts {
            let mut made = Route {
                paths: vec![format!("={folder}{file}")],
                respond: Some(respond),
                portal: None,
                ..route.clone()
            };
            let set = &mut made.response.headers.set;
            for (header, text) in [("Content-Security-Policy", portal::POLICY), ("X-Content-Type-Options", "nosniff")] {
                // They are templates, as a test says.
                if let Ok(text) = text.parse::<Template>() {
                    set.entry(header.to_owned()).or_insert(text);
                }
            }
            let own = format!("{name}{end}");
            self.origins.insert(own.clone(), self.origin(name).to_owned());
            self.config.to_mut().routes.insert(own, made);
        }
    }

    fn add(&mut self, name: &str, route: &Route, api: &Api) {
        let mut taken: HashSet<String> = self.config.routes.keys().cloned().collect();
        for (template, operations) in api.paths() {
            for operation in operations {
                let own = unused(name, &operation_name(template, operation), &taken);
                taken.insert(own.clone());
                let mut methods = vec![operation.method.to_owned()];
                let has_head = operations.iter().any(|other| other.method == "HEAD");
                if operation.method == "GET" && !has_head {
                    methods.push("HEAD".to_owned());
                }
                let holds = |of: &&Deprecated| of.operations == DeprecatedOperations::All || operation.is_deprecated;
                let made = Route {
                    paths: vec![format!("={}{template}", api.base())],
                    methods,
                    from_openapi: None,
                    deprecated: route.deprecated.as_ref().filter(holds).cloned(),
                    ..route.clone()
                };
                self.origins.insert(own.clone(), self.origin(name).to_owned());
                self.config.to_mut().routes.insert(own, made);
            }
        }
    }
}

/// A fixed answer.
fn answer(body: String, content_type: &str) -> Respond {
    Respond { status: 200, body, content_type: content_type.to_owned(), fail_if_down: Vec::new() }
}

/// What an operation is called in the name of its route.
fn operation_name(template: &str, operation: &Operation) -> String {
    let written = match &operation.id {
        Some(id) => id.to_string(),
        None => format!("{}{template}", operation.method.to_ascii_lowercase()),
    };
    let mut name = String::with_capacity(written.len());
    for letter in written.chars() {
        match letter {
            '{' | '}' => {}
            _ if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.') => name.push(letter),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.trim_end_matches('-').to_owned()
}

/// A name that no route has, within the bounds of names.
fn unused(route: &str, operation: &str, taken: &HashSet<String>) -> String {
    let full = format!("{route}.{operation}");
    let cut = |end: &str| {
        let kept: String = full.chars().take(LONGEST - end.len()).collect();
        kept + end
    };
    let first = cut("");
    if !taken.contains(&first) {
        return first;
    }
    (2_u32..).map(|number| cut(&format!("-{number}"))).find(|name| !taken.contains(name)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pages_may_load_is_said_as_it_is() {
        let template: Template = portal::POLICY.parse().unwrap();
        assert_eq!(template.to_string(), portal::POLICY);
    }

    #[test]
    fn names_are_those_of_operations_and_each_is_another() {
        let mut taken = HashSet::new();
        let long = "o".repeat(100);
        for (operation, expected) in [
            ("list", "api.list".to_owned()),
            ("list", "api.list-2".to_owned()),
            (&long, format!("api.{}", "o".repeat(60))),
            (&long, format!("api.{}-2", "o".repeat(58))),
        ] {
            let name = unused("api", operation, &taken);
            assert_eq!(name, expected);
            taken.insert(name);
        }
    }
}
