//! `[tests.NAME]`: what is expected of a configuration beside what it does.

use super::explanation::Explanation;
use super::request::Request;
use crate::config::model::{Config, Expect, ExpectRoute, Test};
use crate::config::{Fault, KeyPath};
use crate::plan::Plan;
use std::net::SocketAddr;

/// One test, after it was run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its name.
    pub name: String,
    /// What is not as expected, at the keys that expect it; nothing if the test has passed.
    pub failures: Vec<Fault>,
    /// What became of the request.
    pub explanation: Explanation,
}

/// Runs all tests of a configuration that `plan` was made of.
///
/// # Errors
/// Tests whose requests lead to no listener: faults of the configuration.
pub fn run(plan: &Plan, config: &Config) -> Result<Vec<Trial>, Vec<Fault>> {
    let (mut trials, mut faults) = (Vec::new(), Vec::new());
    for (name, test) in &config.tests {
        let at = KeyPath::from(["tests", name]);
        match super::explain(plan, &request(test)) {
            Ok(explanation) => {
                let failures = judge(name, &at.child("expect"), &test.expect, &explanation);
                trials.push(Trial { name: name.clone(), failures, explanation });
            }
            Err(unclear) => {
                let at = at.child("request").child("url");
                faults.push(Fault { at, also: None, what: unclear.what, help: unclear.help });
            }
        }
    }
    if faults.is_empty() { Ok(trials) } else { Err(faults) }
}

fn request(test: &Test) -> Request {
    let Test { request, .. } = test;
    let headers = request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Request {
        method: request.method.clone(),
        headers,
        client: request.client.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        listener: request.listener.clone(),
        ..Request::get(&request.url)
    }
}

fn judge(name: &str, at: &KeyPath, expect: &Expect, explanation: &Explanation) -> Vec<Fault> {
    let forward = explanation.forward.as_ref();
    let came = came(explanation);
    let mut failures = Vec::new();
    let mut fail = |key: &str, expected: String, found: &str, help: Option<&str>| {
        let what = format!("test `{name}` expects {expected}, but {found}");
        failures.push(Fault { at: at.child(key), also: None, what, help: help.map(str::to_owned) });
    };
    let taker = match &explanation.route {
        Some(route) => format!("route `{route}` takes the request"),
        None => "no route takes the request".to_owned(),
    };
    match (&expect.route, &explanation.route) {
        (Some(ExpectRoute::Named(wanted)), found) if found.as_ref() != Some(wanted) => {
            fail("route", format!("route `{wanted}`"), &taker, None);
        }
        (Some(ExpectRoute::Any(false)), Some(_)) => fail("route", "no route".to_owned(), &taker, None),
        (Some(ExpectRoute::Any(true)), None) => fail("route", "a route".to_owned(), &taker, None),
        _ => {}
    }
    let pool = forward.map(|found| &found.pool).or(explanation.passthrough.as_ref().map(|found| &found.pool));
    if let Some(wanted) = expect.pool.as_ref().filter(|wanted| pool != Some(*wanted)) {
        fail("pool", format!("pool `{wanted}`"), &came, None);
    }
    if let Some(wanted) = expect.status.filter(|wanted| explanation.status != Some(*wanted)) {
        let help = forward.map(|_| "what a target answers is not known here: expect `route`, `pool` or `target_path`");
        fail("status", format!("status {wanted}"), &came, help);
    }
    if let Some(wanted) = expect.location.as_ref().filter(|wanted| explanation.location.as_ref() != Some(*wanted)) {
        fail("location", format!("location {wanted}"), &came, None);
    }
    let path = forward.map(|found| &found.target_path);
    if let Some(wanted) = expect.target_path.as_ref().filter(|wanted| path != Some(*wanted)) {
        let found = path.map_or(came.clone(), |path| format!("the target gets path {path}"));
        fail("target_path", format!("target path {wanted}"), &found, None);
    }
    failures
}

/// What became of a request, as the end of a sentence.
fn came(explanation: &Explanation) -> String {
    let Explanation { status, word, location, forward, passthrough, .. } = explanation;
    if let Some(passed) = passthrough {
        return format!("TLS is passed on to pool `{}`", passed.pool);
    }
    let status = status.unwrap_or_default();
    if let Some(files) = &explanation.files {
        return format!("a file is looked for: {}", files.place());
    }
    if let Some(aggregate) = &explanation.aggregate {
        return format!("the answer is put together of {} parts", aggregate.parts.len());
    }
    match (forward, word, location) {
        (Some(forward), ..) => format!("the request is forwarded to pool `{}`", forward.pool),
        (_, Some(word), _) => format!("the request is refused with {status} ({word})"),
        (_, _, Some(location)) => format!("the client is sent to {location} with {status}"),
        _ => format!("the answer is {status}"),
    }
}
