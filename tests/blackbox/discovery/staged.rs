//! Targets that come and go while a plan is tried out by a share of connections: both plans have them, and the trial goes on.

use super::{finding, has};
use crate::admin::{Desk, desk, setup};
use crate::support::client::Client;
use crate::support::load::Load;
use crate::support::target::Target;
use crate::support::{eventually, within};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a plan that is tried out has and the present one has not.
const MARK: &str = "\n[routes.mark]\npaths = [\"=/plan\"]\nrespond = { status = 410, body = \"tried\" }\n";

/// A pool by a file `targets`, and a plan that is tried out for `span` with `more`, which has another way to balance.
fn trying(target: &Target, span: &str, more: &str) -> Desk {
    let setup = setup(&finding("file = \"targets\"", "balance = \"round-robin\""), "");
    for list in ["targets", "others"] {
        std::fs::write(setup.directory().join(list), target.to_string()).unwrap();
    }
    let desk = desk(setup.start());
    desk.rewrite(|text| text.replace("round-robin", "least-conn") + MARK + more);
    let out = desk.runs(&["reload", "--share", "50%", "--for", span]);
    assert!(out.contains("it is tried out now"), "{out}");
    desk
}

/// Writes a list beside the configuration.
fn write(desk: &Desk, name: &str, targets: &[&Target]) {
    let text: String = targets.iter().map(|target| format!("{target}\n")).collect();
    std::fs::write(desk.proxy.config_file().with_file_name(name), text).unwrap();
}

/// Who answers `path`, by connections that go by the plan that is tried out (true) and by the present one.
fn answering(desk: &Desk, path: &str, tried: bool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut connections = 0;
    for turn in 0.. {
        if connections == 6 {
            break;
        }
        assert!(turn < 300, "no connection goes by the plan that is wanted: tried: {tried}");
        let mut client = Client::to(&desk.proxy.web());
        if (client.get("/plan").status == 410) == tried {
            seen.extend((0..3).map(|_| client.get(path).target()));
            connections += 1;
        }
    }
    seen
}

#[track_caller]
fn answer(desk: &Desk, tried: bool, targets: &[&Target]) {
    let names: BTreeSet<String> = targets.iter().map(|target| target.name().to_owned()).collect();
    let mut last = BTreeSet::new();
    let came = within(crate::support::PATIENCE, || {
        last = answering(desk, "/", tried);
        last == names
    });
    assert!(came, "tried: {tried}: {last:?}, not {names:?}");
}

fn reloads(desk: &Desk, result: &str) -> f64 {
    desk.proxy.metric("ringway_config_reloads_total", &[("result", result)])
}

#[test]
fn both_plans_have_the_targets_that_come_while_one_is_tried_out() {
    let (a, b, c) = (Target::echo("a"), Target::echo("b"), Target::echo("c"));
    let desk = trying(&a, "1h", "");
    let load = Load::start(&desk.proxy.web(), 2, Duration::from_millis(2));
    write(&desk, "targets", &[&b]);
    has(&desk.proxy, &[format!("{b} 1")]);
    for tried in [false, true] {
        answer(&desk, tried, &[&b]);
    }
    // What an operator adds ends it no more than that.
    desk.runs(&["target", "add", "site", &c.to_string()]);
    for tried in [false, true] {
        answer(&desk, tried, &[&b, &c]);
    }
    desk.runs(&["target", "set", "site", &b.to_string(), "--state", "maintenance"]);
    for tried in [false, true] {
        answer(&desk, tried, &[&c]);
    }
    assert_eq!((reloads(&desk, "rolled-back"), desk.proxy.metric("ringway_config_trying", &[])), (0.0, 1.0));
    load.stop().assert_clean();
}

#[test]
fn what_was_tried_out_is_promoted_with_the_targets_that_came_meanwhile() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let desk = trying(&a, "3s", "");
    // Each connection goes by one of the plans; of so few as four all may go by the present one.
    let load = Load::start(&desk.proxy.web(), 24, Duration::from_millis(15));
    write(&desk, "targets", &[&b]);
    has(&desk.proxy, &[format!("{b} 1")]);
    eventually("it is promoted", || reloads(&desk, "applied") == 1.0);
    assert!((0..10).all(|_| desk.proxy.get("/plan").status == 410 && desk.proxy.get("/").target() == "b"));
    assert_eq!(reloads(&desk, "rolled-back"), 0.0);
    load.stop().assert_clean();
    write(&desk, "targets", &[&a, &b]);
    eventually("what is found is followed on", || super::targets(&desk.proxy).len() == 2);
}

/// A pool that the present plan does not have is looked for as well.
#[test]
fn targets_of_what_is_tried_out_alone_are_followed() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let more =
        "[routes.other]\npaths = [\"/other/\"]\npool = \"other\"\n[pools.other]\ndiscover = { file = \"others\" }\n";
    let desk = trying(&a, "1h", more);
    assert_eq!(answering(&desk, "/other/", true), ["a".to_owned()].into());
    write(&desk, "others", &[&b]);
    eventually("its list is followed", || answering(&desk, "/other/", true) == ["b".to_owned()].into());
    assert_eq!(answering(&desk, "/other/", false), ["a".to_owned()].into());
    assert_eq!(reloads(&desk, "rolled-back"), 0.0);
}
