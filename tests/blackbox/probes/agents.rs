//! HAProxy's agents: what they say changes state and weight, what they do not say stays, and operators go before them. Protects
//! checks/agent-check.

use super::{health, passed, shown, up};
use crate::support::toml::http_with;
use crate::support::{GLANCE, Proxy, Target, eventually};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

/// A target with an agent beside it that says what it is told to.
struct Spoken {
    target: Target,
    agent: Target,
    line: Arc<Mutex<String>>,
}

impl Spoken {
    fn new(line: &str) -> Spoken {
        let line = Arc::new(Mutex::new(line.to_owned()));
        let copy = line.clone();
        let target = Target::echo("spoken");
        let mut agent = Target::with("agent", move |peer| {
            let line = copy.lock().unwrap().clone();
            let _ = peer.try_send(format!("{line}\n"));
        });
        // On the target's own host, so that other targets have none.
        agent.kill();
        agent.address = SocketAddr::new(target.address.ip(), 0);
        agent.revive();
        Spoken { target, agent, line }
    }

    fn says(&self, line: &str) {
        *self.line.lock().unwrap() = line.to_owned();
    }

    /// The table of an agent beside the checks.
    fn table(&self) -> String {
        format!("agent = {{ port = {}, interval = \"100ms\" }}\n", self.agent.address.port())
    }

    fn shown(&self, proxy: &Proxy) -> serde_json::Value {
        shown(proxy, "site", &self.target)
    }

    /// Waits until what it says is known.
    #[track_caller]
    fn is_heard(&self, proxy: &Proxy, said: &str) {
        eventually(&format!("{said:?} is heard"), || self.shown(proxy)["agent"]["said"] == said);
    }
}

/// The shares of requests that come to "spoken".
fn share(proxy: &Proxy) -> f64 {
    let mine = (0..40).filter(|_| proxy.get("/").target() == "spoken").count();
    mine as f64 / 40.0
}

#[test]
fn an_agent_drains_weighs_downs_and_takes_it_back() {
    let (spoken, other) = (Spoken::new("up 100%"), Target::echo("other"));
    let lines = format!("balance = \"round-robin\"\n{}{}", spoken.table(), health("\"tcp\""));
    let mut config = http_with("", &[&spoken.target, &other], &lines);
    for target in [&spoken.target, &other] {
        let weighty = format!("{{ address = \"{target}\", weight = 100 }}");
        config = config.replace(&format!("\"{target}\""), &weighty);
    }
    let proxy = Proxy::start(config);
    spoken.is_heard(&proxy, "up 100%");
    assert!((0.4..=0.6).contains(&share(&proxy)));
    spoken.says("25%");
    spoken.is_heard(&proxy, "up 25%");
    let share_of_a_quarter = share(&proxy);
    assert!((0.15..=0.25).contains(&share_of_a_quarter), "{share_of_a_quarter} instead of a fifth");
    let weight = &spoken.shown(&proxy)["weight"];
    assert_eq!((&weight["configured"], &weight["in_force"]), (&100.into(), &25.into()));
    spoken.says("drain maxconn:30");
    spoken.is_heard(&proxy, "up drain 25% maxconn:30");
    assert_eq!(share(&proxy), 0.0);
    assert!(up(&proxy, &spoken.target), "who drains is not down");
    assert_eq!(spoken.shown(&proxy)["agent"]["limit"], 30);
    spoken.says("down #no disk");
    eventually("it is down", || !up(&proxy, &spoken.target));
    proxy.log.wait(&["target is down", "agent: down #no disk"]);
    spoken.says("ready");
    spoken.is_heard(&proxy, "down 25% maxconn:30");
    assert!(!up(&proxy, &spoken.target), "only `up` takes `down` back");
    spoken.says("up 100% maxconn:0");
    spoken.is_heard(&proxy, "up 100%");
    assert!((0.4..=0.6).contains(&share(&proxy)));
    proxy.log.wait(&["target is up", "agent: up 100% maxconn:0"]);
    spoken.says("maint");
    spoken.is_heard(&proxy, "up maint 100%");
    assert_eq!(share(&proxy), 0.0);
}

#[test]
fn an_agent_that_is_gone_or_talks_nonsense_changes_nothing_beside_checks() {
    let spoken = Spoken::new("up 50%");
    let lines = format!("{}{}", spoken.table(), health("\"tcp\""));
    let proxy = Proxy::start(http_with("", &[&spoken.target], &lines));
    spoken.is_heard(&proxy, "up 50%");
    let endless = "up ".repeat(3000);
    for (nonsense, shown) in [
        ("sideways", "`sideways` is no word of an agent"),
        ("weight 999999999%", "`weight` is no word of an agent"),
        ("99999999999%", "`99999999999%` has no number"),
        ("up -5%", "`-5%` has no number"),
        ("down maxconn:99999999999", "`maxconn:99999999999` has no number"),
        ("down\0", "is no word of an agent"),
        (&endless, "the line is too long"),
        ("", "closed without an answer"),
    ] {
        spoken.says(nonsense);
        eventually(&format!("{shown} is shown"), || {
            spoken.shown(&proxy)["agent"]["asked"]["detail"].as_str().is_some_and(|detail| detail.contains(shown))
        });
        assert_eq!(spoken.shown(&proxy)["agent"]["said"], "up 50%", "{nonsense:.40}");
    }
    spoken.agent.kill();
    eventually("its absence is shown", || spoken.shown(&proxy)["agent"]["asked"]["result"] == "L4CON");
    assert!(up(&proxy, &spoken.target));
    assert_eq!(spoken.shown(&proxy)["agent"]["said"], "up 50%");
    spoken.target.kill();
    eventually("a target is up only if both say so", || !up(&proxy, &spoken.target));
}

#[test]
fn an_agent_that_is_the_check_must_be_there() {
    let spoken = Spoken::new("ready");
    let at = spoken.agent.address;
    let keys = format!("\"agent\", address = \"{}\", port = {}", at.ip(), at.port());
    let proxy = Proxy::start(http_with("", &[&spoken.target], &health(&keys)));
    eventually("it passes", || passed(&proxy) >= 1.0);
    spoken.says("stopped");
    eventually("it is down", || !up(&proxy, &spoken.target));
    spoken.says("up");
    eventually("it is up", || up(&proxy, &spoken.target));
    spoken.agent.kill();
    eventually("nobody says that all is well", || !up(&proxy, &spoken.target));
    eventually("and why is shown", || spoken.shown(&proxy)["check"]["detail"] == "connection refused");
}

#[test]
fn an_agent_is_told_what_it_wants_to_know_and_heard_without_a_line_end() {
    let agent = Target::with("agent", |peer| {
        if peer.exact(9).is_ok_and(|line| line == b"be/app-1\n") {
            let _ = peer.try_send("75%");
        }
    });
    let target = Target::echo("a");
    let (ip, port) = (agent.address.ip(), agent.address.port());
    let lines =
        format!("agent = {{ address = \"{ip}\", port = {port}, interval = \"100ms\", send = \"be/app-1\\n\" }}");
    let proxy = Proxy::start(http_with("", &[&target], &lines));
    eventually("it is heard", || shown(&proxy, "site", &target)["agent"]["said"] == "up 75%");
}

#[test]
fn what_an_agent_said_outlives_reloads_and_upgrades_and_goes_with_it() {
    let spoken = Spoken::new("down");
    let with = format!("{}{}", spoken.table(), health("\"tcp\""));
    let mut proxy = Proxy::start(http_with("", &[&spoken.target], &with));
    eventually("it is down", || !up(&proxy, &spoken.target));
    // From now on it says nothing of that any more.
    spoken.says("90%");
    let reload = |proxy: &Proxy, lines: &str| {
        let text = std::fs::read_to_string(proxy.config_file()).unwrap();
        let head = text.split("[listeners.web]").next().unwrap();
        std::fs::write(proxy.config_file(), format!("{head}{}", http_with("", &[&spoken.target], lines))).unwrap();
        proxy.signal(libc::SIGHUP);
    };
    reload(&proxy, &with.replace("interval = \"100ms\"", "interval = \"150ms\""));
    spoken.is_heard(&proxy, "down 90%");
    proxy.upgrade();
    spoken.is_heard(&proxy, "down 90%");
    thread::sleep(GLANCE);
    assert!(!up(&proxy, &spoken.target), "the new process knows what the agent said to the old one");
    reload(&proxy, &health("\"tcp\""));
    eventually("without the agent its word counts no more", || up(&proxy, &spoken.target));
    assert!(spoken.shown(&proxy)["agent"].is_null());
}

#[test]
fn an_operator_goes_before_an_agent() {
    let spoken = Spoken::new("maint");
    let lines = format!("{}{}", spoken.table(), health("\"tcp\""));
    let desk = crate::admin::start(&http_with("", &[&spoken.target], &lines));
    let proxy = &desk.proxy;
    let target = spoken.target.to_string();
    let agent = |word: &str| desk.runs(&["target", "set", "site", &target, "--agent", word, "--until", "restart"]);
    spoken.is_heard(proxy, "up maint");
    assert_eq!(proxy.get("/").status, 503);
    assert_eq!(agent("off"), format!("+ pools.site.targets[{target}].agent = off\n"));
    assert_eq!(proxy.get("/").status, 200);
    spoken.says("down 0%");
    spoken.is_heard(proxy, "down maint 0%");
    assert_eq!((proxy.get("/").status, up(proxy, &spoken.target)), (200, true), "it is heard, and does not count");
    assert!(
        spoken.shown(proxy)["agent"]["off"] == true && desk.runs(&["status"]).contains("agent (off): down maint 0%")
    );
    // A reload leaves it as it is.
    desk.rewrite(|text| text.replace("interval = \"100ms\"", "interval = \"150ms\""));
    desk.runs(&["reload"]);
    assert_eq!((proxy.get("/").status, up(proxy, &spoken.target)), (200, true));
    assert_eq!(agent("on"), format!("- pools.site.targets[{target}].agent = off\n"));
    assert_eq!((proxy.get("/").status, up(proxy, &spoken.target)), (503, false));
    desk.operator.told("PATCH", &format!("/v1/pools/site/targets/{target}"), "{\"agent\":\"off\"}", 200);
    assert_eq!(proxy.get("/").status, 200);
    desk.runs(&["target", "reset", "site", &target]);
    assert_eq!(proxy.get("/").status, 503);
}
