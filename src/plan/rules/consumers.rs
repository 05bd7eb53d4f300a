//! Who is known to rules.

use super::{People, listed};
use crate::config::Fault;
use crate::config::model::Config;
use crate::gateway::{Certificates, Consumer, Consumers, Key, Mark, PlansOfGroups};
use crate::plan::compile::fault;
use crate::plan::files::Files;
use std::collections::HashMap;
use std::sync::Arc;

/// Those of a configuration. What is at fault of them is added to `faults`.
pub(super) fn compile(config: &Config, files: &Files, faults: &mut Vec<Fault>) -> People {
    let (mut keys, mut names) = (Consumers::new(), HashMap::new());
    let mut certificates = Certificates::default();
    let mut plans = PlansOfGroups::default();
    for (place, plan) in (0..).zip(config.plans.values()) {
        plan.groups.iter().for_each(|group| plans.add(group, place));
    }
    for (name, of) in &config.consumers {
        let groups: Box<[Box<str>]> = of.groups.iter().map(|group| group.as_str().into()).collect();
        let consumer = Arc::new(Consumer { name: name.as_str().into(), plans: plans.of(&groups), groups });
        names.insert(name.as_str().into(), consumer.clone());
        for (place, text) in of.certificates.iter().enumerate() {
            let added = match Mark::written(text) {
                Ok(mark) => certificates
                    .add(mark, &consumer)
                    .map_err(|other| (format!("consumer `{other}` has `{text}` as well"), "give each its own")),
                Err(why) => {
                    Err((format!("`{text}`: {why}"), "write \"dns:client.example.com\" or \"sha256:FINGERPRINT\""))
                }
            };
            if let Err((what, help)) = added {
                let at = ["consumers", name, "certificates", &place.to_string()];
                faults.push(fault(&at, what, Some(help.to_owned())));
            }
        }
        // The line that a key stands in is not shown: it is a secret.
        let mut add = |at: &[&str], (what, number): (&str, usize), text: &str| {
            let line = format!("consumer `{name}`, {what} {number}: ");
            let added = match Key::written(text) {
                Ok(key) => keys.add(key, &consumer).map_err(|same| {
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
    People { keys: Arc::new(keys), certificates: Arc::new(certificates), names: Arc::new(names) }
}
