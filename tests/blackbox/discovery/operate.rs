//! What operators see of targets that are found, and what they change of them.

use super::{finding, has, targets};
use crate::admin::{Desk, desk, setup};
use crate::support::load::Load;
use crate::support::{GLANCE, Target, eventually, rounds};
use std::path::PathBuf;
use std::time::Duration;

/// A pool by a file, with a desk for operators.
fn by_file(text: &str) -> (Desk, PathBuf) {
    let setup = setup(&finding("file = \"targets\"", "balance = \"round-robin\""), "");
    let path = setup.directory().join("targets");
    std::fs::write(&path, text).unwrap();
    (desk(setup.start()), path)
}

#[test]
fn operators_overrides_lie_over_what_is_found() {
    let (a, b, c) = (Target::echo("a"), Target::echo("b"), Target::echo("c"));
    let (desk, path) = by_file(&format!("{a}\n{b}\n"));
    let at = |target: &Target| format!("/v1/pools/site/targets/{target}");
    desk.operator.told("PATCH", &at(&a), "{\"state\":\"drain\"}", 200);
    desk.operator.told("DELETE", &at(&b), "", 200);
    has(&desk.proxy, &[format!("{a} 1")]);
    std::fs::write(&path, format!("{a}\n{b}\n{c}\n")).unwrap();
    let mut left = [format!("{a} 1"), format!("{c} 1")];
    left.sort();
    has(&desk.proxy, &left);
    for _ in 0..6 {
        assert_eq!(desk.proxy.get("/").target(), "c", "the one drains, the other stays removed");
    }
    let rows = desk.operator.get("/v1/overrides")["items"].clone();
    let removed = rows.as_array().unwrap().iter().find(|row| row["what"] == "presence").unwrap().clone();
    assert_eq!(
        (&removed["from"], &removed["to"], &removed["effect"]),
        (&"weight 1".into(), &"removed".into(), &true.into())
    );
    desk.operator.told("DELETE", &format!("/v1/overrides/site/{b}"), "", 200);
    eventually("it is there again", || targets(&desk.proxy).len() == 3);
    assert_eq!(desk.operator.get(&at(&b))["origin"], "discovery");
}

#[test]
fn status_shows_where_targets_come_from() {
    let a = Target::echo("a");
    let (desk, path) = by_file(&format!("{a}\n"));
    eventually("it is asked", || desk.operator.get("/v1/pools/site")["discovery"].get("age").is_some());
    let shown = desk.runs(&["status"]);
    let line = shown.lines().find(|line| line.contains("file /")).unwrap_or_else(|| panic!("{shown}"));
    assert!(line.starts_with("site ") && line.contains(" 1 ") && line.contains(" ago "), "{line}");
    assert!(shown.contains("discovered"), "{shown}");
    std::fs::remove_file(path).unwrap();
    eventually("what is wrong with it is shown", || desk.runs(&["status"]).contains("there is no such file"));
    let json: serde_json::Value = serde_json::from_str(&desk.runs(&["status", "--json"])).unwrap();
    assert_eq!(json["pools"][0]["discovery"]["targets"], 1);
}

/// One of a thousand: nobody is kept waiting for it, and what is the same stays the same.
#[test]
fn a_change_of_one_in_a_thousand_keeps_nobody_waiting() {
    let live = Target::echo("live");
    // They are never used: all but one are backups.
    let rest = |from: usize| -> String {
        (from..from + 999).map(|n| format!("10.9.{}.{}:80 backup\n", n / 250, 1 + n % 250)).collect()
    };
    let (desk, path) = by_file(&format!("{live}\n{}", rest(0)));
    assert_eq!(targets(&desk.proxy).len(), 1000);
    let load = Load::start(&desk.proxy.web(), 2, Duration::from_millis(1));
    load.more(50);
    let connections = live.connections();
    for turn in 1..=rounds(5, 2) {
        std::fs::write(&path, format!("{live}\n{}", rest(turn))).unwrap();
        desk.proxy.log.wait(&["pool site: 1 came, 1 went", &format!("plan={}", turn + 1)]);
        load.more(50);
    }
    std::thread::sleep(GLANCE);
    assert_eq!(live.connections(), connections, "connections are kept over changes of others");
    load.stop().assert_clean();
}
