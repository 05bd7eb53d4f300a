//! What is told of rules that make no sense.

use super::*;

const RULE: &str = "[rules.one]\ntype = \"transform\"\nrequest.body.set = { \"/a/b\" = \"x\" }\n";

#[test]
fn what_makes_no_sense_is_told_with_its_place() {
    let target = Target::echo("a");
    let text = config(&target, "[\"one\"]", "") + RULE;
    let line = "request.body.set = { \"/a/b\" = \"x\" }";
    for (from, to, said) in [
        ("\"/a/b\"", "\"a/b\"", "`a/b` is not a path into JSON: it begins with no `/`"),
        ("\"/a/b\"", "\"/a~b\"", "a `~` in a name is written ~0, and a `/` ~1"),
        ("\"x\"", "\"{request.pth}\"", "no field is named `request.pth`"),
        ("\"x\"", "\"{status}\"", "a request goes before it"),
        ("\"x\"", "[1, 2026-01-01]", "must be a value that JSON has"),
        (line, "request.body.remove = [\"\"]", "the whole body has no name"),
        (line, "request.body.rename = { \"\" = \"a\" }", "the whole body has no name"),
        (line, "request.body = { set = { \"/a\" = 1 }, add = { \"/a/b\" = 2 } }", "one lies in the other"),
        (line, "request.body = { set = { \"/a/*\" = 1 }, append = { \"/a/0\" = 2 } }", "are the same"),
        (line, "request.method = \"HEAD\"", "another kind of answer"),
        (line, "response.status = 204", "another body"),
        (line, "response.status = 600", "600 is out of range"),
        (line, "request.path = \"/x/{id}\"", "nothing captures `{id}`"),
        (line, "request.path = \"x\"", "a path begins with `/`"),
        (line, "request.headers.set = { \"content-length\" = \"1\" }", "it says how the body is framed"),
        (line, "mode = \"shadow\"\nrequest.method = \"PUT\"", "changes something or does nothing"),
        (line, "", "rule `one` changes nothing"),
        (line, "request.boddy.set = {}", "did you mean `body`?"),
        ("[\"one\"]", "[\"both\"]\n[rules.both]\ntype = \"all-of\"\nrules = [\"one\"]", "cannot be one of several"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(said), "{to}: {told}");
    }
}
