//! What the command line says of a configuration, and that a bad one changes nothing.

use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::toml::{http, http_with};
use crate::support::{Target, eventually};

/// `ringway check` of a text: exit code and what a user reads.
fn check(text: &str) -> (Option<i32>, String) {
    let directory = Directory::new();
    let file = directory.write("r.toml", text);
    let (code, out, err) = ringway(&["check", "-c", &file]);
    (code, out + &err)
}

const GOOD: &str = "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\npool = \"site\"\n\
                    [pools.site]\ntargets = [\"127.0.0.1:1\"]\n";

#[test]
fn a_listener_and_a_pool_are_enough() {
    let (code, text) = check(GOOD);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn every_fault_is_told_at_once_with_its_place_and_a_suggestion() {
    let (code, text) = check(
        "[runtime]\nworker = 2\n\
         [listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\npool = \"sit\"\n\
         [pools.site]\ntargets = []\nbalance = \"round-robbin\"\n\
         [listeners.two]\nlisten = [\"127.0.0.1:7\"]\nprotocol = \"http\"\npool = \"site\"\n\
         [listeners.three]\nlisten = [\"127.0.0.1:7\"]\nprotocol = \"http\"\npool = \"site\"\n\
         [listeners.three.timeouts]\nidle = \"5 parsecs\"\n",
    );
    assert_eq!(code, Some(2), "{text}");
    for part in ["r.toml:2:1", "`workers`", "r.toml:6:8", "site", "round-robin", "5 parsecs", "127.0.0.1:7", "^"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(text.contains("r.toml:8"), "the empty pool is missing in\n{text}");
}

#[test]
fn two_routes_that_tie_are_an_error() {
    let tie = "\n[routes.one]\nhosts = [\"a.test\"]\npaths = [\"/x/\"]\npool = \"site\"\n\
               [routes.two]\nhosts = [\"a.test\"]\npaths = [\"/x/\"]\npool = \"site\"\n";
    let (code, text) = check(&(GOOD.to_owned() + tie));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("one") && text.contains("two"), "{text}");
    let settled = tie.replace("[routes.two]\n", "[routes.two]\npriority = 1\n");
    assert_eq!(check(&(GOOD.to_owned() + &settled)).0, Some(0));
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_told_as_such() {
    let (code, _, err) = ringway(&["check", "-c", "/nowhere/ringway.toml"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("/nowhere/ringway.toml"), "{err}");
    let (code, text) = check("[listeners.web\nlisten = 1");
    assert_eq!(code, Some(2));
    assert!(text.contains("r.toml:1"), "{text}");
}

#[test]
fn run_refuses_a_bad_file_before_it_binds_anything() {
    let mut proxy = Setup::new(GOOD.replace("\"site\"", "\"other\"")).spawn();
    assert_eq!(proxy.exit().code(), Some(2));
    assert!(!proxy.log.contains(&["listening"]));
    eventually("it says what and where", || proxy.log.contains(&["ringway.toml:"]));
}

#[test]
fn check_binds_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, text) = check(&GOOD.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn files_are_included_relative_to_the_one_that_names_them() {
    let target = Target::echo("a");
    let directory = Directory::new();
    directory.write("conf.d/pools.toml", &format!("[pools.site]\ntargets = [\"{target}\"]\n"));
    directory.write("conf.d/routes.toml", "[routes.x]\npaths = [\"/x/\"]\npool = \"site\"\n");
    let main = "include = [\"conf.d/*.toml\"]\n[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\n";
    let file = directory.write("r.toml", main);
    let (code, out, err) = ringway(&["check", "-c", &file]);
    assert_eq!(code, Some(0), "{out}{err}");
    directory.write("conf.d/again.toml", "[pools.site]\ntargets = [\"127.0.0.1:1\"]\n");
    let (code, out, err) = ringway(&["check", "-c", &file]);
    assert_eq!(code, Some(2));
    let text = out + &err;
    assert!(text.contains("again.toml") && text.contains("pools.toml"), "a name defined twice names both\n{text}");
}

#[test]
fn the_environment_fills_in() {
    let target = Target::echo("a");
    let text = http_with("", &["${RINGWAY_TEST_TARGET}"], "timeouts = { connect = \"${RINGWAY_TEST_NONE:-1s}\" }")
        + "\n[routes.literal]\npaths = [\"/literal\"]\n\
           respond = { status = 200, body = \"$${HOME}\", content_type = \"text/plain\" }\n";
    let proxy = Setup::new(text.clone()).env("RINGWAY_TEST_TARGET", &target.to_string()).start();
    assert_eq!(proxy.get("/").target(), "a");
    assert_eq!(proxy.get("/literal").text(), "${HOME}");
    let (code, message) = check(&text);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("RINGWAY_TEST_TARGET"), "{message}");
}

#[test]
fn numbers_may_come_quoted() {
    let (code, text) = check(&(GOOD.to_owned() + "[limits]\nheaders = \"64\"\nrequest_head = \"16KiB\"\n"));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn defaults_apply_to_all_of_a_kind_and_the_thing_itself_overrides() {
    let target = Target::echo("a");
    let config = "[defaults.route]\nhost = \"inner.test\"\n".to_owned()
        + &http(&[&target])
        + "\n[routes.one]\npaths = [\"/one\"]\npool = \"site\"\n\
           [routes.two]\npaths = [\"/two\"]\npool = \"site\"\nhost = \"client\"\n";
    let proxy = Proxy::start(config);
    proxy.get("/one");
    assert_eq!(target.last().field("host").as_deref(), Some("inner.test"));
    proxy.get("/two");
    assert_eq!(target.last().field("host").as_deref(), Some("site.test"));
}

#[test]
fn the_example_is_good() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    let (code, out, err) = ringway(&["check", "-c", file]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn the_schema_is_json_that_names_the_sections() {
    let (code, out, err) = ringway(&["schema"]);
    assert_eq!(code, Some(0), "{err}");
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    for section in ["runtime", "listeners", "routes", "pools", "tests"] {
        assert!(schema["properties"].get(section).is_some(), "{section} is missing");
    }
}

#[test]
fn the_command_line_explains_itself() {
    let (code, out, _) = ringway(&["--help"]);
    assert_eq!(code, Some(0));
    for command in ["run", "check", "explain", "schema", "demo"] {
        assert!(out.contains(command), "{command} is missing in\n{out}");
    }
    let (code, _, err) = ringway(&["rum"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("run"), "{err}");
    assert!(ringway(&["--version"]).1.contains(env!("CARGO_PKG_VERSION")));
}
