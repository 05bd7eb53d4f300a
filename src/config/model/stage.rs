//! `[stages.NAME]`: what is particular to one of the stages that routes are served as, such as dev, staging and prod.

use super::Route;
use crate::config::formats::{HostPattern, Name, PlainPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[stages.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stage {
    /// The listeners that its routes are on, in place of their own. Empty: their own.
    #[schemars(with = "Vec<Name>")]
    pub listeners: Vec<String>,
    /// The hosts of its routes, in place of their own. Empty: their own.
    #[schemars(with = "Vec<HostPattern>")]
    pub hosts: Vec<String>,
    /// What stands before the paths of its routes, "/dev". Targets do not see it. Absent: nothing.
    #[schemars(with = "Option<PlainPath>")]
    pub prefix: Option<String>,
    /// Pools in place of those that its routes name: { api = "api-dev" }.
    #[schemars(with = "BTreeMap<String, Name>", extend("propertyNames" = { "format": "name" }))]
    pub pools: BTreeMap<String, String>,
}

impl Stage {
    /// The pool that its routes go to where they name this one.
    pub fn pool<'a>(&'a self, named: &'a String) -> &'a String {
        self.pools.get(named).unwrap_or(named)
    }

    /// What a route is at this stage. A path that is a regex keeps what it is unless it begins with `^/`.
    pub fn of(&self, route: &Route) -> Route {
        let mut staged = Route { stages: Vec::new(), ..route.clone() };
        if !self.listeners.is_empty() {
            staged.listeners.clone_from(&self.listeners);
        }
        if !self.hosts.is_empty() {
            staged.hosts.clone_from(&self.hosts);
        }
        if let Some(prefix) = self.prefix.as_deref().map(|prefix| prefix.trim_end_matches('/')) {
            staged.paths = route.paths.iter().map(|path| below(prefix, path)).collect();
            if staged.paths.is_empty() {
                staged.paths.push(format!("{prefix}/"));
            }
            let strips = route.pool.is_some() || !route.split.is_empty() || route.files.is_some();
            staged.strip_prefix =
                strips.then(|| format!("{prefix}{}", route.strip_prefix.as_deref().unwrap_or_default()));
        }
        let mirrored = staged.mirror.iter_mut().map(|mirror| &mut mirror.pool);
        let watched = staged.respond.iter_mut().flat_map(|respond| &mut respond.fail_if_down);
        let divided = staged.split.iter_mut().map(|part| &mut part.pool);
        let parts = staged.aggregate.iter_mut().flat_map(|aggregate| &mut aggregate.parts).map(|part| &mut part.pool);
        for pool in staged.pool.iter_mut().chain(divided).chain(parts).chain(mirrored).chain(watched) {
            *pool = self.pool(pool).clone();
        }
        staged
    }
}

/// A path pattern below a prefix.
fn below(prefix: &str, path: &str) -> String {
    if let Some(path) = path.strip_prefix('=') {
        return format!("={prefix}{path}");
    }
    match path.strip_prefix("~^/") {
        // What stands in a prefix is to be taken to the letter, and before each of the regex's alternatives.
        Some(rest) => format!("~^{}(?:/{rest})", regex::escape(prefix)),
        None if path.starts_with('~') => path.to_owned(),
        None => format!("{prefix}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_below_the_prefix_of_its_stage_and_targets_do_not_see_that() {
        let stage = Stage {
            prefix: Some("/dev.1/".to_owned()),
            hosts: vec!["dev.example.com".to_owned()],
            pools: BTreeMap::from([("api".to_owned(), "api-dev".to_owned())]),
            ..Stage::default()
        };
        let paths = ["/v1/", "=/x", "=/x/{id}", "~^/y[0-9]+$", "~^/a|/b", "~x"].map(str::to_owned).to_vec();
        let route = Route { paths, pool: Some("api".to_owned()), stages: vec!["dev".to_owned()], ..Route::default() };
        let staged = stage.of(&route);
        assert_eq!(
            staged.paths,
            ["/dev.1/v1/", "=/dev.1/x", "=/dev.1/x/{id}", r"~^/dev\.1(?:/y[0-9]+$)", r"~^/dev\.1(?:/a|/b)", "~x"]
        );
        assert_eq!((staged.strip_prefix.as_deref(), staged.pool.as_deref()), (Some("/dev.1"), Some("api-dev")));
        assert!(staged.hosts == ["dev.example.com"] && staged.stages.is_empty());
        let route = Route { strip_prefix: Some("/v1".to_owned()), ..route };
        assert_eq!(stage.of(&route).strip_prefix.as_deref(), Some("/dev.1/v1"));
        let route = Route { paths: Vec::new(), ..route };
        assert_eq!(stage.of(&route).paths, ["/dev.1/"]);
    }
}
