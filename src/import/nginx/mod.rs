//! nginx.conf: its servers and locations as listeners and routes, its upstreams as pools.
//!
//! A server is found by its name, the longest prefix or the first regex decides within it: so priorities say, which go first by how exact
//! the name is, and then by nginx's order of locations.
//! May depend on the rest of `import`.

mod known;
mod listeners;
mod location;
mod server;
mod stream;
mod text;
mod tree;
mod upstream;

use super::draft::Draft;
use super::report::{Ledger, Report};
use super::{Around, Wrong};
use std::collections::BTreeMap;
use tree::Directive;

/// All that a translation is made with and of.
struct Work<'a> {
    ledger: Ledger,
    draft: Draft,
    around: &'a dyn Around,
    upstreams: BTreeMap<String, upstream::Upstream>,
    /// `limit_req_zone` and `limit_conn_zone`: what is counted by, and the rate.
    zones: BTreeMap<String, (String, String)>,
    caches: BTreeMap<String, String>,
    /// Variables that `map` makes, by their names.
    maps: BTreeMap<String, Directive>,
}

/// Translates a file.
pub(super) fn import(name: &str, text: &str, around: &dyn Around) -> Result<(Draft, Report), Wrong> {
    let mut ledger = Ledger::default();
    let tree = tree::read(name, text, &mut ledger, around)?;
    let mut work = Work {
        ledger,
        draft: Draft::default(),
        around,
        upstreams: BTreeMap::new(),
        zones: BTreeMap::new(),
        caches: BTreeMap::new(),
        maps: BTreeMap::new(),
    };
    let mut serves = false;
    for directive in &tree {
        match directive.name.as_str() {
            "http" => {
                serves = true;
                work.ledger.carried(directive.id);
                server::http(&mut work, directive.inner());
            }
            "stream" => {
                serves = true;
                work.ledger.carried(directive.id);
                stream::stream(&mut work, directive.inner());
            }
            "server" | "upstream" => {
                // A file of conf.d, which `http` includes.
                serves = true;
            }
            _ => known::main(&mut work, directive),
        }
    }
    if tree.iter().any(|directive| directive.name == "server") {
        server::http(
            &mut work,
            &tree.iter().filter(|directive| !known::is_main(directive)).cloned().collect::<Vec<_>>(),
        );
    }
    if !serves {
        return Err(Wrong { line: 0, what: "it has no server: nothing would be served".to_owned() });
    }
    known::rest(&mut work, &tree);
    Ok((work.draft, work.ledger.close()))
}
