//! What clients come in, by what they say that they are.

use super::{config, faults};
use crate::support::proxy::Proxy;
use crate::support::{Target, h2};
use http::{HeaderValue, Method};

fn text(target: &Target, rule: &str) -> String {
    let rule = format!("[rules.tools]\ntype = \"user-agent\"\n{rule}\n[rules.key]");
    config(target, "[\"tools\", \"key\"]", "").replace("[rules.key]", &rule)
}

fn status(proxy: &Proxy, agents: &[&str]) -> [u16; 2] {
    let lines: Vec<String> = agents.iter().map(|agent| format!("User-Agent: {agent}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut request = h2::request(Method::GET, "/v1/x");
    for agent in agents {
        request.headers_mut().append("user-agent", HeaderValue::from_str(agent).unwrap());
    }
    let second = h2::Client::to(&proxy.web()).ask(request, b"").unwrap().status.as_u16();
    [proxy.client().ask("GET", "/v1/x", &lines).status, second]
}

#[test]
fn tools_that_say_what_they_are_are_kept_out_before_anybody_asks_who_it_is() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "deny = [\"SQLmap\", \"~^curl/[0-7]\\\\.\"]"));
    for (agents, expected) in [
        (&["sqlmap/1.5"][..], 403),
        (&["x (SQLMAP)"], 403),
        (&["curl/7.88"], 403),
        (&["Curl/7.88"], 401),
        (&["curl/8.1"], 401),
        (&["x curl/7.88"], 401),
        (&["Mozilla/5.0", "sqlmap"], 403),
        (&[], 401),
    ] {
        assert_eq!(status(&proxy, agents), [expected; 2], "{agents:?}");
    }
    proxy.out.wait(&["\"reason\":\"agent-denied\"", "\"denied_by\":\"tools\""]);
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "user-agent")]), 8.0);
    assert_eq!(target.requests(), 0);
}

#[test]
fn a_list_of_what_comes_in_keeps_out_all_else_and_who_says_nothing() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "allow = [\"mozilla\", \"our-app\"]\ndeny = [\"bot\"]"));
    for (agents, expected) in [
        (&["Mozilla/5.0"][..], 401),
        (&["our-app/2"], 401),
        (&["Mozilla/5.0 (Bot)"], 403),
        (&["other"], 403),
        (&["Mozilla/5.0", "other"], 403),
        (&[], 403),
        (&[""], 403),
    ] {
        assert_eq!(status(&proxy, agents), [expected; 2], "{agents:?}");
    }
    proxy.out.wait(&["agent-not-allowed"]);
    proxy.out.wait(&["no-agent"]);
    let proxy = Proxy::start(text(&target, "require = true"));
    assert_eq!([status(&proxy, &[]), status(&proxy, &["x"])], [[403; 2], [401; 2]]);
}

#[test]
fn a_rule_that_keeps_nobody_out_or_cannot_be_read_is_a_fault() {
    let good = text(&Target::echo("a"), "deny = [\"bot\"]");
    for (to, said) in [
        ("", "rule `tools` keeps nobody out"),
        ("deny = [\"~(\"]", "the regex is wrong"),
        ("deny = [\"\"]", "nothing is a part of everything"),
    ] {
        let told = faults(&good, "deny = [\"bot\"]", to);
        assert!(told.contains(said), "{to}: {told}");
    }
}
