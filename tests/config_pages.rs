//! What a user is told about what routes do, files that they send and pages in place of errors, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

#[test]
fn files_are_a_routes_own_way_to_answer() {
    for (route, expected) in [
        (
            "paths = ['/']",
            "1:9 route `r` does nothing; give it one of `pool`, `split`, `aggregate`, `files`, `respond`, `redirect`, `portal`",
        ),
        (
            "pool = 'site'\nrespond = { status = 200 }",
            "3:1 route `r` has both `pool` and `respond`; a route has exactly one of `pool`, `split`, `aggregate`, `files`, `respond`, `redirect`, `portal`",
        ),
        ("files = {}", "2:1 `routes.r.files` has no `root`; `root`: the folder"),
        (
            "files = { root = '/x' }\nrespond = { status = 200 }",
            "3:1 route `r` has both `files` and `respond`; a route has exactly one of `pool`, `split`, `aggregate`, `files`, `respond`, `redirect`, `portal`",
        ),
        (
            "files = { root = '/x' }\nhost = 'target'",
            "3:8 `host` means nothing without a pool; remove it: this route asks no target",
        ),
        (
            "files = { root = '/x', fallback = '/index.html' }\npool = 'site'",
            "2:35 what is not found goes either to `fallback` or to `pool`; remove one of them",
        ),
        (
            "files = { root = '/x', index = ['a/b'] }",
            "2:33 `a/b` is not the name of a file; write index = [\"index.html\"]",
        ),
        (
            "files = { root = '/x', types = { '.foo' = 'text/x-foo' } }",
            "2:43 `.foo` is not the end of a name; write it without a dot: types = { wasm = \"application/wasm\" }",
        ),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &format!("[routes.r]\n{route}\n{REST}"))]).faults());
        assert_eq!(told, [expected], "\n{route}");
    }
    let good = "[routes.r]\nfiles = { root = '/x' }\nstrip_prefix = '/a'\npaths = ['/a/']\n[routes.s]\nfiles = { root = 'x' }\npool = 'site'\npaths = ['/b/']\n";
    let loaded = load(&format!("{good}{REST}"));
    assert!(loaded.config.routes["s"].files.as_ref().unwrap().root.is_absolute());
}

#[test]
fn pages_are_files_that_can_be_sent() {
    for (route, expected) in [
        (
            "error_pages = { '404' = {} }",
            "2:17 nothing is said in place of 404; write the path of a file, or { json = \"errors/404.json\" }",
        ),
        (
            "error_pages = { '200' = 'x.html' }",
            "2:17 `200` is not a status of errors: only answers from 400 on are errors; write \"404\", \"502-504\" or \"5xx\"",
        ),
        (
            "error_pages = { reset = 'x.html' }",
            "2:17 `reset` is not a status of errors: it is no status; write \"404\", \"502-504\" or \"5xx\"",
        ),
    ] {
        let text = format!("[routes.r]\n{route}\npool = 'site'\n{REST}");
        let told = brief(&Folder::with(&[("ring.toml", &text)]).faults());
        assert_eq!(told, [expected], "\n{route}");
    }
    let warned = load(&format!("[routes.r]\npool = 'site'\nmaintenance = {{ status = 503 }}\n{REST}"));
    assert!(warned.warnings.to_string().contains("nothing switches this maintenance on"), "{}", warned.warnings);
}
