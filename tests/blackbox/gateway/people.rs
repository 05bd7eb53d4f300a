//! Consumers of a file that is followed, and those that operators make and remove.

use super::faults;
use crate::admin::{Desk, Operator, desk, setup, start};
use crate::reload::{reload, rewrite};
use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::toml::http;
use crate::support::{Target, eventually, h2};
use http::{HeaderValue, Method};
use serde_json::json;

/// A route `/v1/` for those who are known by a key, of whom `acme` is in the configuration.
fn config(target: &Target) -> String {
    http(&[target])
        + "[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"key\"]\n\
           [routes.gold]\npaths = [\"/gold/\"]\npool = \"site\"\nrules = [\"key\", \"gold\"]\n\
           [rules.key]\ntype = \"api-key\"\nheader = \"X-Key\"\n\
           [rules.gold]\ntype = \"groups\"\nallow = [\"gold\"]\n\
           [consumers.acme]\ngroups = [\"gold\"]\nkeys = [\"key-of-acme\"]\n"
}

/// The key of `[runtime]` that names a file of consumers.
fn named(file: &str) -> String {
    format!("consumers_file = \"{file}\"")
}

fn ask(proxy: &Proxy, key: &str) -> u16 {
    proxy.client().ask("GET", "/v1/x", &[&format!("X-Key: {key}")]).status
}

/// Replaces a file as a whole, as who manages configurations does.
fn replace(folder: &Directory, text: &str) {
    let new = folder.write("consumers.new", text);
    std::fs::rename(new, folder.path().join("consumers.toml")).unwrap();
}

fn changes(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_consumers_file_changes_total", &[("result", result)])
}

#[test]
fn a_file_of_consumers_is_followed_and_one_that_is_wrong_changes_nothing() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let file = folder.write("consumers.toml", "[consumers.ann]\ngroups = [\"gold\"]\nkeys = [\"key-of-ann\"]\n");
    let proxy = Setup::new(config(&target)).runtime(&named(&file)).start();
    assert_eq!(["key-of-acme", "key-of-ann", "key-of-bob"].map(|key| ask(&proxy, key)), [200, 200, 401]);
    assert_eq!(proxy.client().ask("GET", "/gold/", &["X-Key: key-of-ann"]).status, 200);
    // Two keys for a while.
    replace(
        &folder,
        "[consumers.ann]\nkeys = [\"key-of-ann\", \"new-key-of-ann\"]\n[consumers.bob]\nkeys = [\"key-of-bob\"]\n",
    );
    eventually("the change is taken up", || ask(&proxy, "key-of-bob") == 200);
    assert_eq!(["key-of-ann", "new-key-of-ann", "key-of-acme"].map(|key| ask(&proxy, key)), [200, 200, 200]);
    assert_eq!(proxy.client().ask("GET", "/gold/", &["X-Key: key-of-ann"]).status, 403, "she is in no group any more");
    eventually("it is counted", || changes(&proxy, "applied") == 1.0);
    proxy.log.wait(&["consumers are changed", "consumers_file", "(1 consumers)", "(2 consumers)"]);
    for (number, (text, why)) in (1..).zip([
        ("[consumers.ann]\nkeys = [\"secret-of-ann\"\n", "consumers.toml:"),
        ("[consumers.ann]\nkeys = \"secret-of-ann\"\n", "array"),
        ("[consumers.eve]\nkeys = [\"key-of-acme\"]\n", "consumer `acme` has it as well"),
        ("[consumers.acme]\nkeys = [\"secret-of-ann\"]\n", "consumer `acme` is defined twice"),
        ("[pools.x]\ntargets = [\"127.0.0.1:1\"]\n", "`pools` has no place"),
    ]) {
        replace(&folder, text);
        eventually("it is told", || changes(&proxy, "failed") == f64::from(number));
        let line = proxy.log.wait(&["those that were known stay so", why]);
        assert!(!line.contains("secret-of-ann"), "{line}");
        assert_eq!(["key-of-ann", "key-of-bob", "key-of-acme"].map(|key| ask(&proxy, key)), [200, 200, 200], "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    proxy.log.wait(&["those that were known stay so", "there is no such file"]);
    assert_eq!(ask(&proxy, "key-of-bob"), 200);
    replace(&folder, "[consumers.bob]\nkeys = [\"key-of-bob\"]\n");
    eventually("who is not in it any more is nobody", || ask(&proxy, "key-of-ann") == 401);
    assert_eq!(["key-of-bob", "key-of-acme"].map(|key| ask(&proxy, key)), [200, 200]);
    assert!(!proxy.log.contains(&["key-of-"]), "no key is in the log");
}

#[test]
fn a_reload_reads_the_file_and_a_start_refuses_one_that_is_wrong() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let file = folder.write("consumers.toml", "[consumers.ann]\nkeys = [\"key-of-ann\"]\n");
    let text = config(&target) + "[rules.guest]\ntype = \"anonymous\"\nconsumer = \"ann\"\n";
    let text = text.replace("rules = [\"key\"]", "rules = [\"key\", \"guest\"]");
    let proxy = Setup::new(text).runtime(&named(&file)).start();
    let other = folder.write("others.toml", "[consumers.ann]\nkeys = [\"key-of-other-ann\"]\n");
    rewrite(&proxy, |text| text.replace(&file, &other));
    reload(&proxy, "applied");
    assert_eq!(["key-of-ann", "key-of-other-ann"].map(|key| ask(&proxy, key)), [401, 200]);
    folder.write("others.toml", "[consumers.bob]\nkeys = [\"key-of-bob\"]\n");
    rewrite(&proxy, |text| text.to_owned());
    reload(&proxy, "failed");
    proxy.log.wait(&["the reload failed", "no consumer is named `ann`"]);
    assert_eq!(ask(&proxy, "key-of-other-ann"), 200);
    let checked = format!("[runtime]\n{}\n{}", named(&other), config(&target));
    let told = faults(&checked, "others.toml", "none.toml");
    assert!(told.contains("none.toml") && told.contains("there is no such file"), "{told}");
    folder.write("others.toml", "[consumers.acme]\n");
    let path = folder.write("ringway.toml", &checked);
    let (code, out, err) = ringway(&["check", "-c", &path]);
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(err.contains("consumer `acme` is defined twice"), "{err}");
}

const ANN: &str = "/v1/consumers/ann";

#[test]
fn operators_make_replace_and_remove_consumers_whose_keys_nobody_sees() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let file = folder.write("consumers.toml", "[consumers.carl]\nkeys = [\"key-of-carl\"]\n");
    let Desk { operator, proxy } = desk(setup(&config(&target), "").runtime(&named(&file)).start());
    let put = |name: &str, keys: &[&str]| {
        let body = json!({"groups": ["gold"], "keys": keys, "certificates": ["cn:of ann"]}).to_string();
        let body = if name == "ann" { body } else { json!({"keys": keys}).to_string() };
        operator.told("PUT", &format!("/v1/consumers/{name}"), &body, 200)
    };
    let made = put("ann", &["key-of-ann"]);
    assert_eq!((&made["name"], &made["from"], &made["groups"]), (&json!("ann"), &json!("api"), &json!(["gold"])));
    assert_eq!(made["keys"][0].as_str().unwrap().len(), "sha256:".len() + 8);
    let by_h2 = |key: &str| {
        let mut request = h2::request(Method::GET, "/gold/");
        request.headers_mut().append("x-key", HeaderValue::from_str(key).unwrap());
        h2::Client::to(&proxy.web()).ask(request, b"").unwrap().status.as_u16()
    };
    assert_eq!((ask(&proxy, "key-of-ann"), by_h2("key-of-ann")), (200, 200));
    assert_eq!(target.last().field("x-consumer-username").as_deref(), Some("ann"));
    // The new key beside the old one, then alone; the same by its hash.
    put("ann", &["key-of-ann", "new-key-of-ann"]);
    assert_eq!(["key-of-ann", "new-key-of-ann"].map(|key| ask(&proxy, key)), [200, 200]);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"new-key-of-ann");
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    put("ann", &[&format!("sha256:{hash}")]);
    assert_eq!(["key-of-ann", "new-key-of-ann"].map(|key| ask(&proxy, key)), [401, 200]);
    // Those of the configuration and of the file are replaced and removed as well.
    put("acme", &["other-key-of-acme"]);
    assert_eq!(["key-of-acme", "other-key-of-acme"].map(|key| ask(&proxy, key)), [401, 200]);
    let from: Vec<_> = operator.get("/v1/consumers")["items"].as_array().unwrap().clone();
    let from: Vec<_> = from.iter().map(|of| (of["name"].as_str().unwrap(), of["from"].as_str().unwrap())).collect();
    assert_eq!(from, [("acme", "api"), ("ann", "api"), ("carl", "file")]);
    let mut kept_open = proxy.client();
    assert_eq!(kept_open.ask("GET", "/v1/x", &["X-Key: key-of-carl"]).status, 200);
    operator.told("DELETE", "/v1/consumers/carl", "", 204);
    assert_eq!(
        kept_open.ask("GET", "/v1/x", &["X-Key: key-of-carl"]).status,
        401,
        "at once, on a connection that is open too"
    );
    operator.wrong("DELETE", "/v1/consumers/carl", "", 404);
    operator.wrong("GET", "/v1/consumers/carl", "", 404);
    let seen = operator.ask("GET", "/v1/consumers", "").text()
        + &operator.ask("GET", "/v1/reloads", "").text()
        + &operator.ask("GET", "/v1/plan", "").text();
    assert!(!seen.contains("key-of-") && !seen.contains(&hash), "{seen}");
    assert!(!proxy.log.contains(&["key-of-"]) && !proxy.log.contains(&[&hash]));
}

#[test]
fn what_makes_no_sense_of_a_consumer_is_refused_and_changes_nothing() {
    let target = Target::echo("a");
    let Desk { operator, proxy } = start(&config(&target));
    for (name, body, status, what) in [
        ("ann", json!({"keys": ["short"]}), 422, "key 1: it is shorter than 8 bytes"),
        ("ann", json!({"keys": ["key-of-acme"]}), 422, "consumer `acme` has it as well"),
        ("ann", json!({"keys": "key-of-ann"}), 422, "`keys` has to be an array of strings at line"),
        ("ann", json!({"keys": ["key-of-ann", 7]}), 422, "`keys` has to be an array of strings at line"),
        ("ann", json!({"certificates": ["ann"]}), 422, "certificate `ann`: it begins with none of"),
        ("ann", json!({"groups": ["no group"]}), 422, "`no group` is no name"),
        ("ann", json!({"key": "key-of-ann"}), 422, "unknown field `key`"),
        ("a%20b", json!({}), 422, "`a b` is no name"),
    ] {
        let told = operator.wrong("PUT", &format!("/v1/consumers/{name}"), &body.to_string(), status);
        assert!(told.contains(what), "{body}: {told}");
    }
    assert_eq!(operator.get("/v1/consumers")["items"].as_array().unwrap().len(), 1);
    let tag = operator.ask("GET", "/v1/consumers", "").field("etag").unwrap();
    let with = |tag: &str| Operator::at(operator.at.clone()).with(format!("If-Match: {tag}"));
    with("\"other\"").wrong("PUT", ANN, "{\"keys\":[\"key-of-ann\"]}", 412);
    with(&tag).told("PUT", ANN, "{\"keys\":[\"key-of-ann\"]}", 200);
    with(&tag).wrong("DELETE", ANN, "", 412);
    assert_eq!(["key-of-ann", "key-of-acme"].map(|key| ask(&proxy, key)), [200, 200]);
}

#[test]
fn what_operators_change_of_consumers_outlives_reload_upgrade_and_restart() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let text = config(&target) + "[access_log]\n";
    let start = || {
        let setup = Setup::new("");
        let socket =
            format!("[admin]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}/admin.sock\"\n", setup.directory().display());
        desk(setup.with(socket + &text).runtime(&format!("state_dir = \"{}\"", state.path().display())).start())
    };
    let Desk { operator, mut proxy } = start();
    operator.told("PUT", ANN, "{\"keys\":[\"key-of-ann\"]}", 200);
    operator.told("DELETE", "/v1/consumers/acme", "", 204);
    let keys = ["key-of-ann", "key-of-acme"];
    rewrite(&proxy, |text| text.replace("[access_log]", "[access_log]\nformat = \"combined\""));
    reload(&proxy, "applied");
    assert_eq!(keys.map(|key| ask(&proxy, key)), [200, 401], "a reload does not bring back who was removed");
    proxy.upgrade();
    assert_eq!(keys.map(|key| ask(&proxy, key)), [200, 401]);
    operator.told("PUT", "/v1/consumers/bob", "{\"keys\":[\"key-of-bob\"]}", 200);
    drop(proxy);
    let kept = std::fs::read_to_string(state.path().join("consumers.json")).unwrap();
    assert!(kept.contains("sha256:") && !kept.contains("key-of-"), "{kept}");
    let Desk { proxy, .. } = start();
    assert_eq!(keys.map(|key| ask(&proxy, key)), [200, 401]);
    assert_eq!(ask(&proxy, "key-of-bob"), 200);
}
