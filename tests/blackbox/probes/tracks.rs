//! Pools whose targets are as healthy as those of another one.

use super::{health, shown, up};
use crate::support::proxy::{Setup, ringway};
use crate::support::toml::{http_with, pool};
use crate::support::{Proxy, Target, eventually};

#[test]
fn targets_follow_those_at_the_same_address_and_are_not_asked_themselves() {
    let (mut a, b) = (Target::echo("a"), Target::echo("b"));
    let config = http_with("", &[&a, &b], "balance = \"round-robin\"\ntrack = \"checked\"")
        + "[routes.checked]\npaths = [\"/checked/\"]\npool = \"checked\"\n"
        + &pool("checked", &[&b, &a], &health("\"tcp\""));
    let proxy = Proxy::start(config);
    let in_site = |proxy: &Proxy| proxy.metric("ringway_target_up", &[("target", &a.to_string()), ("pool", "site")]);
    a.kill();
    eventually("the follower is down, too", || in_site(&proxy) == 0.0);
    assert!((0..6).all(|_| proxy.get("/").target() == "b"));
    proxy.log.wait(&["target is down", "pool=\"site\"", "it follows checked/", "connection refused"]);
    let target = shown(&proxy, "site", &a);
    assert_eq!((&target["up"], &target["follows"]), (&false.into(), &format!("checked/{a}").into()));
    a.revive();
    eventually("and back", || {
        proxy.metric("ringway_target_up", &[("target", &a.to_string()), ("pool", "site")]) == 1.0
    });
    eventually("and serves", || proxy.get("/").target() == "a");
}

#[test]
fn one_target_may_stand_for_a_whole_pool_and_pools_follow_in_a_row() {
    let (lead, a) = (Target::echo("lead"), Target::echo("a"));
    let config = http_with("", &[&a], "track = \"middle\"")
        + "[routes.lead]\npaths = [\"/lead/\"]\npool = \"lead\"\n[routes.middle]\npaths = [\"/middle/\"]\npool = \"middle\"\n"
        + &pool("middle", &[&a], &format!("track = \"lead/{lead}\""))
        + &pool("lead", &[&lead], &health("\"tcp\""));
    let proxy = Proxy::start(config);
    lead.kill();
    eventually("all are down", || proxy.metric("ringway_target_up", &[]) == 0.0);
    assert_eq!(proxy.get("/").status, 503);
    assert!(!up(&proxy, &a));
}

#[test]
fn a_target_on_the_same_host_is_followed_whatever_its_port() {
    let web = Target::echo("web");
    let mut other = web.address;
    other.set_port(1);
    let config = http_with("", &[&web], "track = \"checked\"")
        + "[routes.checked]\npaths = [\"/checked/\"]\npool = \"checked\"\n"
        + &pool("checked", &[other], &health("\"tcp\""));
    let proxy = Proxy::start(config);
    eventually("its neighbour is down", || proxy.get("/").status == 503);
}

/// Field case 11: what is not held for down by anything any more is up, and is shown so.
#[test]
fn who_follows_nobody_any_more_is_up_again() {
    let (a, lead) = (Target::echo("a"), Target::echo("lead"));
    let config = |track: &str| {
        http_with("", &[&a], track)
            + "[routes.lead]\npaths = [\"/lead/\"]\npool = \"lead\"\n"
            + &pool("lead", &[&lead], &health("\"tcp\""))
    };
    let follows = format!("track = \"lead/{lead}\"");
    let proxy = Proxy::start(config(&follows));
    lead.kill();
    eventually("it is down", || !up(&proxy, &a) && proxy.get("/").status == 503);
    let text = std::fs::read_to_string(proxy.config_file()).unwrap();
    std::fs::write(proxy.config_file(), text.replace(&follows, "")).unwrap();
    proxy.signal(libc::SIGHUP);
    eventually("it serves", || proxy.get("/").status == 200);
    eventually("it is shown so", || up(&proxy, &a));
    assert!(!up(&proxy, &lead));
}

/// Whom there is to follow comes and goes.
#[test]
fn targets_that_are_found_follow_those_that_are_found() {
    let (mut a, b) = (Target::echo("a"), Target::echo("b"));
    let found = |list: &str| format!("discover = {{ file = \"{list}\" }}\n");
    let text = "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n[pools.site]\n".to_owned()
        + &found("site.targets")
        + "track = \"checked\"\n[routes.checked]\npaths = [\"/checked/\"]\npool = \"checked\"\n[pools.checked]\n"
        + &found("checked.targets")
        + &health("\"tcp\"");
    let setup = Setup::new(text);
    let state = format!("state_dir = \"{}/state\"", setup.directory().display());
    let folder = setup.directory().to_owned();
    let write = |list: &str, targets: &str| std::fs::write(folder.join(list), targets).unwrap();
    write("site.targets", &format!("{a}\n"));
    write("checked.targets", &format!("{b}\n"));
    let proxy = setup.runtime(&state).start();
    let address = a.to_string();
    assert_eq!(proxy.get("/").target(), "a", "it follows nobody yet");
    a.kill();
    write("checked.targets", &format!("{address}\n{b}\n"));
    eventually("it is down as the one that has come", || {
        let at = [("target", address.as_str()), ("pool", "site")];
        proxy.metric("ringway_target_up", &at) == 0.0
    });
    assert_eq!(proxy.get("/").status, 503);
    assert_eq!(shown(&proxy, "site", &address)["follows"], format!("checked/{address}"));
    a.revive();
    eventually("and up again", || proxy.get("/").target() == "a");
    write("site.targets", &format!("{b}\n"));
    eventually("who comes follows at once", || shown_all(&proxy, "site") == [b.to_string()]);
    assert_eq!(shown(&proxy, "site", &b)["follows"], format!("checked/{b}"));
}

/// The addresses of a pool's targets.
fn shown_all(proxy: &Proxy, pool: &str) -> Vec<String> {
    let pool: serde_json::Value =
        serde_json::from_str(&proxy.ask_admin("GET", &format!("/v1/pools/{pool}")).text()).unwrap();
    let addresses = pool["targets"].as_array().unwrap().iter();
    addresses.map(|target| target["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_cannot_be_followed_is_a_fault() {
    let directory = crate::support::proxy::Directory::new();
    let listener =
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"a\"\n[routes.b]\npaths = [\"/b/\"]\npool = \"b\"\n";
    for (pools, words) in [
        (
            "[pools.a]\ntargets = [\"10.0.0.1:1\"]\ntrack = \"c\"\n[pools.b]\ntargets = [\"10.0.0.1:1\"]\n",
            "no pool is named `c`",
        ),
        (
            "[pools.a]\ntargets = [\"10.0.0.1:1\"]\ntrack = \"b\"\n[pools.b]\ntargets = [\"10.0.0.1:1\"]\ntrack = \"a\"\n",
            "pools follow each other in a circle: `a` → `b` → `a`",
        ),
        (
            "[pools.a]\ntargets = [\"10.0.0.1:1\"]\ntrack = \"b\"\n[pools.b]\ntargets = [\"10.0.0.1:1\"]\n",
            "the targets of pool `b` are not checked",
        ),
        (
            "[pools.a]\ntargets = [\"10.0.0.1:1\", \"10.0.0.2:1\"]\ntrack = \"b\"\n[pools.b]\ntargets = [\"10.0.0.1:1\"]\nhealth = { type = \"tcp\" }\n",
            "no target of pool `b` is at the address or the host of `10.0.0.2:1`",
        ),
        (
            "[pools.a]\ntargets = [\"10.0.0.1:1\"]\ntrack = \"b\"\nhealth = { type = \"tcp\" }\n[pools.b]\ntargets = [\"10.0.0.1:1\"]\nhealth = { type = \"tcp\" }\n",
            "targets are checked, or follow others, but not both",
        ),
    ] {
        let file = directory.write("c.toml", &format!("{listener}{pools}"));
        let (code, out, errors) = ringway(&["check", "-c", &file]);
        assert_eq!(code, Some(2), "{pools}: {out}{errors}");
        assert!(format!("{out}{errors}").contains(words), "{words}: {out}{errors}");
    }
}
