//! Routes of which another pool gets requests as well, compiled.

use super::compile::fault;
use super::{Action, Bodies, Edits, Forward, Plan, Retry, Route};
use crate::config::pointer;
use crate::config::{Fault, model};
use crate::upstream::mirror::{self, Rules};
use std::sync::Arc;
use std::time::Duration;

/// How another pool gets requests of a route as well.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// What all workers and plans share.
    pub shared: Arc<mirror::Mirror>,
    /// The pool's name.
    pub pool: String,
    /// How copies are forwarded to it.
    pub forward: Arc<Forward>,
    /// The share of requests, in 2^-64.
    pub share: u64,
    /// The methods of requests.
    pub methods: MirrorMethods,
    /// Bytes of a body that are copied.
    pub body: usize,
    /// How long it has, from when the request is there as a whole.
    pub timeout: Duration,
    /// Copies under way at a time, of all workers.
    pub max_in_flight: u32,
    /// The line that says of a copy that it is one, with its end.
    pub mark: Box<[u8]>,
    /// The share of copies of which answers are compared, in 2^-64, and how; `None`: none are.
    pub compare: Option<(u64, Arc<Rules>)>,
}

/// Which requests are mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorMethods {
    /// Those that change nothing.
    Safe,
    /// Any.
    All,
    /// Those with one of these methods.
    List(Box<[Box<[u8]>]>),
}

/// The header of a copy: its value is the route's name.
pub const MIRRORED: &str = "Ringway-Mirrored";

impl Mirror {
    /// That of a route, if it has one, for requests that are forwarded as `main` says. `before`: what it was.
    pub(super) fn compile(
        (name, route): (&str, &model::Route),
        main: &Forward,
        pool_of: impl Fn(&str) -> Option<usize>,
        workers: usize,
        before: Option<&Self>,
    ) -> Result<Option<Arc<Self>>, Vec<Fault>> {
        let Some(written) = &route.mirror else { return Ok(None) };
        let Some(pool) = pool_of(&written.pool) else {
            let what = format!("no pool is named `{}`", written.pool);
            return Err(vec![fault(&["routes", name, "mirror", "pool"], what, None)]);
        };
        let once = model::Retry { attempts: 0, budget: None, ..model::Retry::default() };
        let forward = Forward {
            pool,
            retry: Retry::new(&once, workers, None),
            hedge: None,
            edits: main
                .edits
                .as_ref()
                .map(|edits| Arc::new(Edits { request: edits.request.clone(), response: Vec::new(), back: None })),
            // They are edited before they are copied. That answers would be edited shows in heads.
            bodies: main
                .bodies
                .as_ref()
                .map(|bodies| Arc::new(Bodies { request: Vec::new(), response: bodies.response.clone() })),
            buffer_request: None,
            buffer_response: None,
            buffer_disk: None,
            request_body: Some(u64::MAX),
            cache: None,
            split: None,
            mirror: None,
            ..main.clone()
        };
        Ok(Some(Arc::new(Self {
            shared: before.map(|before| before.shared.clone()).unwrap_or_default(),
            pool: written.pool.clone(),
            forward: Arc::new(forward),
            share: mirror::share(written.share.0),
            methods: match &written.methods {
                model::MirrorMethods::Safe => MirrorMethods::Safe,
                model::MirrorMethods::All => MirrorMethods::All,
                model::MirrorMethods::List(methods) => {
                    MirrorMethods::List(methods.iter().map(|method| method.as_bytes().into()).collect())
                }
            },
            body: usize::try_from(written.body.0).unwrap_or(usize::MAX),
            timeout: written.timeout.0,
            max_in_flight: written.max_in_flight,
            mark: format!("{MIRRORED}: {name}\r\n").into_bytes().into(),
            compare: written.compare.as_ref().map(|compare| (mirror::share(compare.share.0), Arc::new(rules(compare)))),
        })))
    }
}

fn rules(written: &model::Compare) -> Rules {
    Rules {
        body: usize::try_from(written.body.0).unwrap_or(usize::MAX),
        ignore_headers: written.ignore_headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
        // They were found to be paths when they were read.
        ignore_fields: written.ignore_fields.iter().filter_map(|path| pointer::steps(path).ok()).collect(),
        values: written.values,
        examples: written.examples,
    }
}

impl Plan {
    /// How another pool gets requests of the route of this name as well; `None`: none does.
    pub fn mirror(&self, name: &str) -> Option<&Arc<Mirror>> {
        let place = self.routes.binary_search_by(|route| route.name.as_str().cmp(name)).ok()?;
        self.routes[place].mirror()
    }
}

impl Route {
    /// How another pool gets its requests as well; `None`: none does.
    pub fn mirror(&self) -> Option<&Arc<Mirror>> {
        match &self.action {
            Action::Forward(forward) => forward.mirror.as_ref(),
            Action::Files(site) => site.otherwise.as_ref()?.mirror.as_ref(),
            _ => None,
        }
    }
}
