//! The command line of operators.

use super::{desk, setup, start};
use crate::support::client::Client;
use crate::support::proxy::ringway;
use crate::support::target::{Target, refused};
use crate::support::toml::http;
use serde_json::Value;

#[test]
fn status_shows_it_on_a_screen_and_as_json() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let text = desk.runs(&["status"]);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("ringway ") && first.contains("  ready  plan 1  up "), "{text}");
    assert!(text.contains("connections 0 of "), "{text}");
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}"));
    assert!(line("web").ends_with(&desk.proxy.web()), "{text}");
    assert!(line("site").contains(&format!("{target}  up ")), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
    let json: Value = serde_json::from_str(&desk.runs(&["status", "--json"])).unwrap();
    assert_eq!(json["pools"][0]["targets"][0]["address"], target.to_string());
    assert!(desk.runs(&["status", "--diff"]).starts_with("nothing is overridden"));
}

#[test]
fn reload_shows_what_has_changed_and_fails_with_the_diagnostics() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    assert_eq!(desk.runs(&["reload"]), "nothing to change: plan 1 stays in force\n");
    desk.rewrite(|text| text.replace("[pools.site]", "[pools.site]\nbalance = \"least-conn\""));
    assert_eq!(desk.runs(&["reload"]), "+ pools.site.balance = \"least-conn\"\nplan 2 is in force\n");
    desk.rewrite(|text| text.replace("least-conn", "least-con"));
    let (code, out, err) = desk.run(&["reload"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("did you mean \"least-conn\"?") && err.contains("plan 2 stays in force"), "{err}");
    // The file has a fault now, and yet it says where the socket is.
    assert!(desk.runs(&["status"]).contains(": failed, plan 2"));
    desk.rewrite(|text| text.replace("least-con", "hash"));
    let out = desk.runs(&["reload", "--share", "5%", "--for", "1h"]);
    assert!(out.contains("it is tried out now"), "{out}");
    assert_eq!(desk.run(&["reload", "--share", "5%"]).0, Some(2));
}

#[test]
fn targets_are_changed_and_put_back() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let desk = start(&http(&[&a]));
    let (a, b) = (a.to_string(), b.to_string());
    let out = desk.runs(&["target", "add", "site", &b, "--weight", "3", "--until", "restart"]);
    assert_eq!(out, format!("+ pools.site.targets[{b}].presence = added, weight 3\nplan 2 is in force\n"));
    let out = desk.runs(&["target", "set", "site", &a, "--state", "drain", "--weight", "9"]);
    assert_eq!(out, format!("+ pools.site.targets[{a}].state = drain\n+ pools.site.targets[{a}].weight = 9\n"));
    assert_eq!(desk.runs(&["target", "set", "site", &a, "--state", "drain"]), "nothing to change\n");
    let list = desk.runs(&["target", "list", "site"]);
    let row = |target: &str| list.lines().find(|line| line.contains(target)).unwrap().to_owned();
    assert!(row(&a).contains("drain") && row(&a).contains("0 (1)") && row(&a).ends_with("overridden"), "{list}");
    assert!(row(&b).contains("up") && row(&b).ends_with("overridden"), "{list}");
    let diff = desk.runs(&["status", "--diff"]);
    assert!(diff.contains(&format!("~ site {a} state: ready → drain\n")), "{diff}");
    assert!(diff.contains(&format!("+ site {b} presence: added, weight 3, until the next start\n")), "{diff}");
    desk.runs(&["target", "set", "site", &a, "--weight", "config"]);
    desk.runs(&["target", "reset", "site", &a]);
    assert!(desk.runs(&["target", "remove", "site", &b]).ends_with("plan 3 is in force\n"));
    let (code, _, err) = desk.run(&["target", "remove", "site", &a]);
    assert_eq!(code, Some(1));
    assert!(err.contains("last target"), "{err}");
    assert_eq!(desk.runs(&["target", "reset", "--all"]), "nothing to change\n");
}

#[test]
fn connections_bans_and_the_log_are_at_hand() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let mut client = Client::from("127.0.0.11", &desk.proxy.web());
    client.get("/");
    let out = desk.runs(&["conns", "--client", "127.0.0.11", "--listener", "web"]);
    let row = out.lines().nth(1).unwrap();
    assert!(row.contains("127.0.0.11:") && row.contains("  h1  ") && row.ends_with(&target.to_string()), "{out}");
    assert_eq!(desk.runs(&["conns", "--client", "127.0.0.11", "--close"]), "1 connection closed\n");
    client.ending();
    let (code, _, err) = desk.run(&["conns", "--close"]);
    assert!(code == Some(1) && err.contains("say which"), "{err}");
    assert_eq!(desk.runs(&["ban", "192.0.2.0/24", "--for", "10m", "--reason", "x"]), "192.0.2.0/24 is banned: 10m\n");
    let out = desk.runs(&["ban"]);
    let row = out.lines().nth(1).unwrap();
    assert!(row.starts_with("192.0.2.0/24  ") && row.contains("  operator  "), "{out}");
    assert_eq!(desk.runs(&["unban", "192.0.2.0/24"]), "192.0.2.0/24 is no longer banned\n");
    assert_eq!(desk.run(&["unban", "192.0.2.0/24"]).0, Some(1));
    assert_eq!(desk.runs(&["log-level"]), "info\n");
    assert_eq!(desk.runs(&["log-level", "ringway::upstream=debug,warn"]), "ringway::upstream=debug,warn\n");
    let (code, _, err) = desk.run(&["log-level", "verbose"]);
    assert!(code == Some(1) && err.contains("write a level such as"), "{err}");
}

#[test]
fn the_log_tells_more_from_when_it_is_told_to() {
    let target = refused();
    let desk = start(&http(&[target]));
    desk.proxy.get("/");
    assert!(!desk.proxy.log.contains(&["DEBUG"]));
    desk.runs(&["log-level", "debug"]);
    desk.proxy.get("/");
    desk.proxy.log.wait(&["DEBUG", "cannot connect"]);
    desk.runs(&["log-level", "info"]);
    assert_eq!(desk.operator.get("/v1/log-level")["filter"], "info");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let setup = setup(&http(&[refused()]), "token_file = \"t\"");
    std::fs::write(setup.directory().join("t"), "0123456789abcdef").unwrap();
    let mut desk = desk(setup.start());
    let admin = format!("http://{}", desk.proxy.admin());
    let (code, _, err) = ringway(&["reload", "--admin", &admin]);
    assert!(code == Some(1) && err.contains("--token-file"), "{err}");
    let folder = desk.proxy.config_file().parent().unwrap().to_owned();
    std::fs::write(folder.join("wrong"), "fedcba9876543210").unwrap();
    let token = |file: &str| folder.join(file).display().to_string();
    let (code, _, err) = ringway(&["reload", "--admin", &admin, "--token-file", &token("wrong")]);
    assert!(code == Some(1) && err.contains("this is not the token"), "{err}");
    let (code, out, err) = ringway(&["reload", "--admin", &admin, "--token-file", &token("t")]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, _, err) = ringway(&["status", "--admin", &admin, "--token-file", "/nosuch"]);
    assert!(code == Some(1) && err.contains("/nosuch"), "{err}");
    let socket = folder.join("admin.sock").display().to_string();
    assert_eq!(ringway(&["status", "--admin", &format!("unix:{socket}")]).0, Some(0));
    desk.proxy.signal(libc::SIGKILL);
    desk.proxy.exit();
    let (code, _, err) = desk.run(&["status"]);
    assert!(code == Some(1) && err.contains("nobody listens on") && err.contains(&socket), "{err}");
    let (code, _, err) = ringway(&["status", "-c", "/nosuch.toml"]);
    assert!(code == Some(1) && err.contains("/nosuch.toml") && err.contains("-c"), "{err}");
}
