//! What a user is told about answers that are put together, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::plan;

/// A route with these parts.
fn route(paths: &str, parts: &str) -> String {
    format!("[routes.r]\npaths = [{paths}]\naggregate.parts = [{parts}]\n{REST}")
}

#[test]
fn what_makes_no_sense_of_parts_is_told_where_it_stands() {
    let many = (0..17).map(|n| format!("{{ name = 'p{n}', pool = 'site' }}")).collect::<Vec<_>>().join(", ");
    for (parts, expected) in [
        (
            "",
            "there is nothing to put together; write parts = [{ name = \"user\", pool = \"users\", path = \"/users/{id}\" }, …]",
        ),
        (&*many, "17 parts are more than there may be; one request asks 16 pools at most"),
        ("{ name = 'a', pool = 'sites' }", "no pool is named `sites`; did you mean `site`?"),
        ("{ name = 'a' }", "`routes.r.aggregate.parts[0]` has no `pool`"),
        (
            "{ name = 'a', pool = 'site' }, { name = 'a', pool = 'site' }",
            "part `a` is there twice; give it a name of its own",
        ),
        ("{ name = 'a', pool = 'site' }, { name = 'b', pool = 'site', into = 'a' }", "two parts become the member `a`"),
        ("{ name = 'a', pool = 'site', default = '{]' }", "it is no JSON: "),
        (
            "{ name = 'a', pool = 'site', merge = true, default = '[]' }",
            "what is merged is an object; write default = '{}'",
        ),
        (
            "{ name = 'a', pool = 'site', merge = true, into = 'b' }",
            "its members become members of the whole, and so does it itself",
        ),
        (
            "{ name = 'a', pool = 'site', required = false, pass_status = '404' }",
            "it means nothing of a part that may be missing",
        ),
        ("{ name = 'a', pool = 'site', path = 'users' }", "a path begins with `/`; write \"/users\""),
        ("{ name = 'a', pool = 'site', path = '/u?x=1' }", "`?` ends a path; write the query as `query.set`"),
        ("{ name = 'a', pool = 'site', path = '/{status}' }", "is filled in from an answer"),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &route("'=/w/{id}'", parts))]).faults());
        assert!(told.len() == 1 && told[0].contains(expected), "\n{parts}\n{told:#?}\n{expected}");
    }
}

#[test]
fn what_means_nothing_beside_parts_is_refused() {
    for (line, expected) in [
        (
            "strip_prefix = '/w'",
            "`strip_prefix` means nothing beside `aggregate`; remove it: each part says which path it asks for",
        ),
        (
            "cache = 'kept'",
            "`cache` means nothing beside `aggregate`; remove it: let clients keep it by `cache_control`",
        ),
        ("mirror = { pool = 'site' }", "`mirror` means nothing beside `aggregate`"),
        ("buffer.response = '1MiB'", "`buffer` means nothing beside `aggregate`"),
        ("rewrite.add_prefix = '/x'", "`rewrite` means nothing beside `aggregate`"),
        ("methods = ['GET', 'POST']", "POST gets 405 here: parts are asked by GET"),
        ("pool = 'site'", "route `r` has both `pool` and `aggregate`"),
        ("respond = { status = 200 }", "route `r` has both `aggregate` and `respond`"),
        ("listeners = ['raw']", "`raw` is a tcp listener: routes need HTTP"),
    ] {
        let text = format!(
            "[routes.r]\n{line}\npaths = ['/w/']\naggregate.parts = [{{ name = 'a', pool = 'site' }}]\n{REST}\
             [listeners.raw]\nlisten = ['127.0.0.1:81']\nprotocol = 'tcp'\npool = 'site'\n[caches.kept]\nmemory = '1MiB'\n"
        );
        let told = brief(&Folder::with(&[("ring.toml", &text)]).faults());
        assert!(told.len() == 1 && told[0].contains(expected), "\n{line}\n{told:#?}");
    }
}

#[test]
fn what_a_part_takes_of_the_path_all_paths_of_the_route_have() {
    for (paths, expected) in [
        ("'/w/'", "no path of the route has `{id}`; write paths = [\"=/v1/{id}\"], or double braces that stay"),
        ("'=/w/{other}'", "no path of the route has `{id}`"),
        ("'=/w/{id}', '=/w'", "the path `=/w` of the route has no `{id}`; give that path a route of its own"),
    ] {
        let text = route(paths, "{ name = 'a', pool = 'site', path = '/u/{id}' }");
        let loaded = load(&text);
        let faults = plan::compile(&loaded.config, 1).unwrap_err();
        let told: Vec<String> = faults
            .iter()
            .map(|fault| format!("{}; {}", fault.what, fault.help.as_deref().unwrap_or_default()))
            .collect();
        assert!(told.len() == 1 && told[0].contains(expected), "\n{paths}\n{told:#?}");
    }
    for paths in ["'=/w/{id}', '=/x/{y}/{id}'", "'~^/w/(?<id>[0-9]+)$'"] {
        let loaded = load(&route(paths, "{ name = 'a', pool = 'site', path = '/u/{id}', query.set = { q = '{id}' } }"));
        assert!(plan::compile(&loaded.config, 1).is_ok(), "{paths}");
    }
}
