//! What a user is told about edits of what passes, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

/// The rest of a route that is otherwise whole, and what is told of it.
#[track_caller]
fn told(lines: &str, expected: &str) {
    let text = format!("[routes.a]\npaths = ['/a/']\npool = 'site'\n{lines}{REST}");
    let told = brief(&Folder::with(&[("ring.toml", &text)]).faults());
    assert_eq!(told, [expected], "\n{lines}");
}

#[test]
fn no_edit_touches_what_frames_a_message() {
    for (lines, expected) in [
        (
            "request.headers.set = { Host = 'a' }",
            "4:25 `Host` is not a header that can be edited: it says where a request goes; write `host` on the route",
        ),
        (
            "response.headers.remove = ['content-LENGTH']",
            "4:28 'content-LENGTH' is not a header that can be edited: it says how the body is framed; leave it out: Ringway answers for it",
        ),
        (
            "request.headers.rename = { x-a = 'transfer-encoding' }",
            "4:34 'transfer-encoding' is not a header that can be edited: it says how the body is framed; leave it out: Ringway answers for it",
        ),
        (
            "request.headers.append = { Connection = 'close' }",
            "4:28 `Connection` is not a header that can be edited: it is for one connection, not for a message; leave it out: Ringway answers for it",
        ),
        (
            "response.headers.set = { Sec-WebSocket-Accept = '' }",
            "4:26 `Sec-WebSocket-Accept` is not a header that can be edited: it is part of a WebSocket's handshake; leave it out: Ringway answers for it",
        ),
    ] {
        told(lines, expected);
    }
}

#[test]
fn values_are_templates_of_known_fields() {
    for (lines, expected) in [
        (
            "request.headers.set = { a = '{request.hots}' }",
            "4:29 '{request.hots}' is not a value: no field is named `request.hots`; did you mean `request.host`?",
        ),
        (
            "request.headers.set = { a = \"b\\r\\nc: d\" }",
            "4:29 \"b\\r\\nc: d\" is not a value: the control character 0x0d cannot be in a header; write text with fields: \"{client.ip}\"",
        ),
        (
            "request.headers.add = { a = '{response.headers.b}' }",
            "4:29 `{response.headers.b}` is filled in from an answer, and a request goes before it; write it in `response`, or take something of the request",
        ),
        (
            "response.headers.set = { a = '1', A = '2' }",
            "4:30 `a` is given twice: names of headers are the same in any case; remove one of them",
        ),
        (
            "response.headers = { set = { a = '1' }, remove = ['A'] }",
            "4:51 `A` is removed, and edited as well; remove one of them: `set` puts its own in place of all there are",
        ),
    ] {
        told(lines, expected);
    }
}

#[test]
fn requests_are_edited_for_targets_alone() {
    let text =
        format!("[routes.a]\npaths = ['/a']\nrespond = {{ status = 200 }}\nrequest.headers.remove = ['a']{REST}");
    let told = brief(&Folder::with(&[("ring.toml", &text)]).faults());
    assert_eq!(told, ["4:1 `request` means nothing without a pool; remove it: this route asks no target"]);
}

#[test]
fn defaults_hold_for_each_header_that_a_route_does_not_name() {
    let defaults =
        "[defaults.route.response.headers]\nset = { A = '1', b = '1' }\nremove = ['c', 'd']\nadd = { e = '1' }\n";
    let route = "[routes.a]\npaths = ['/a/']\npool = 'a'\nresponse.headers = { append = { a = '2', D = '2' }, remove = ['e', 'f'] }";
    let pool = "\n[pools.a]\ntargets = ['127.0.0.1:2']";
    let loaded = load(&format!("{defaults}{route}{pool}{REST}"));
    let headers = &loaded.config.routes["a"].response.headers;
    let names = |map: &std::collections::BTreeMap<String, _>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&headers.set), ["b"]);
    assert_eq!(names(&headers.append), ["D", "a"]);
    assert_eq!(names(&headers.add), [""; 0]);
    assert_eq!(headers.remove, ["e", "f", "c"]);
}

#[test]
fn security_headers_are_a_switch_a_word_or_a_table() {
    for (lines, expected) in [
        ("security_headers = 'lax'", "4:20 'lax' is no value of `security_headers`; write \"strict\""),
        ("security_headers = 1", "4:20 `security_headers` must be true or false, a string or a table, not a number"),
        (
            "security_headers.frame_option = 'DENY'",
            "4:18 unknown key `frame_option` in `routes.a.security_headers`; did you mean `frame_options`?",
        ),
        (
            "limits.request_body = 'any'",
            "4:23 'any' is not a size: a number is missing; write a size (\"10MiB\") or \"unlimited\"",
        ),
    ] {
        told(lines, expected);
    }
}

#[test]
fn rewrites_take_what_is_captured_and_make_paths() {
    for (lines, expected) in [
        (
            "rewrite = { path = '/a/{1}' }",
            "4:20 nothing captures `{1}`: there is no `match`; add match = \"^/…(…)\", or double braces that stay",
        ),
        (
            "rewrite = { match = '^/(?<id>.*)$', path = '/a/{name}' }",
            "4:44 `match` captures no `{name}`; its names are id",
        ),
        (
            "rewrite = { match = '^/(.*)$', query.set = { a = '{2}' } }",
            "4:50 `match` captures no `{2}`; it captures {1} to {1}",
        ),
        (
            "rewrite = { match = '^/a' }",
            "4:21 `match` means nothing without `path` or `query`; add path = \"/users/{1}\", or remove it",
        ),
        (
            "rewrite = { match = '(', path = '/' }",
            "4:21 '(' is not a regex: the regex is wrong: unclosed group; write \"^/users/(?<id>[0-9]+)$\"",
        ),
        ("rewrite = { path = 'a' }", "4:20 a path begins with `/`; write \"/a\""),
        ("rewrite = { path = '/a?b' }", "4:20 `?` ends a path; write the query as `query.set`"),
        ("rewrite = { path = '/a/../b' }", "4:20 it has a dot segment; leave it out"),
        (
            "rewrite = { path = '/{status}' }",
            "4:20 `/{status}` is filled in from an answer, and a request goes before it; take something of the request",
        ),
        ("rewrite = { scheme = 'ftp' }", "4:22 'ftp' is no value of `scheme`; write \"http\" or \"https\""),
    ] {
        told(lines, expected);
    }
}

#[test]
fn a_disk_takes_what_memory_has_no_room_for() {
    told(
        "buffer.disk = '64MiB'",
        "4:15 nothing is buffered: `disk` takes what memory has no more room for; say what memory holds: request = \"1MiB\" for uploads, response = \"1MiB\" for downloads",
    );
    let text = format!(
        "[limits]\nbuffers_disk = '1GiB'\n[routes.a]\npaths = ['/a/']\npool = 'site'\nbuffer = {{ request = '1MiB', disk = '2GiB' }}{REST}"
    );
    let warnings = load(&text).warnings.to_string();
    let expected = "warning: one body may take 2GiB of the disk, and all together no more than 1GiB\n";
    assert!(warnings.starts_with(expected), "{warnings}");
}
