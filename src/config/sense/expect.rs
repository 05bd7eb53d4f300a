//! `[tests.NAME]`: what a test names must be there, and it must expect something.

use super::{Sense, api, stage};
use crate::config::model::{Config, Expect, ExpectRoute, Test};
use crate::config::sources::{Fault, KeyPath};

/// Looks at one test.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, test: &Test) {
    let at = KeyPath::from(["tests", name]);
    if let Some(listener) = &test.request.listener {
        sense.http_listener(&at.child("request").child("listener"), "requests need", listener);
    }
    let Expect { route, pool, status, location, target_path } = &test.expect;
    let at = at.child("expect");
    if let Some(ExpectRoute::Named(route)) = route.as_ref().filter(|route| !is_made(sense.config, route)) {
        sense.dangling(&at.child("route"), "route", "routes", route);
    }
    if let Some(pool) = pool {
        sense.dangling(&at.child("pool"), "pool", "pools", pool);
    }
    if let Some(path) = target_path.as_ref().filter(|path| !path.starts_with('/') || path.contains('?')) {
        let what = format!("\"{path}\" is no path of a request");
        sense.fault(
            Fault::new(at.child("target_path"), what).help("a path begins with `/`, and ends where the query begins"),
        );
    }
    let nothing = route.is_none() && pool.is_none() && status.is_none() && location.is_none() && target_path.is_none();
    if nothing && sense.outcome.is_sound(&at) && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at, format!("test `{name}` expects nothing"))
                .help("write at least one of `route`, `pool`, `status`, `location`, `target_path`"),
        );
    }
}

/// Whether it is a route that may be made of the description of an API, or for a stage.
fn is_made(config: &Config, route: &ExpectRoute) -> bool {
    matches!(route, ExpectRoute::Named(name) if api::may_make(config, name) || stage::is_made(config, name))
}
