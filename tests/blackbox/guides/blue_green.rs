//! A new version beside the old one: a look at it, a share of the traffic, all of it, and back.

use super::Guide;
use crate::reload::rewrite;
use crate::support::client::Client;
use crate::support::proxy::{Proxy, ringway};
use crate::support::{Target, eventually};
use std::collections::BTreeSet;

struct Shop {
    proxy: Proxy,
    blue: [Target; 2],
    green: [Target; 2],
}

/// A version that answers its checks, and everything else with this status.
fn version(name: &'static str, status: u16) -> Target {
    Target::with(name, move |peer| {
        while let Some(seen) = peer.request() {
            let status = if seen.path == "/healthz" { 200 } else { status };
            if peer.reply(status, &[], name.as_bytes()).is_none() {
                return;
            }
        }
    })
}

/// Blue is live; green answers with this status.
fn start(green: u16) -> Shop {
    let blue = ["blue", "blue"].map(|name| version(name, 200));
    let green = ["green", "green"].map(|name| version(name, green));
    let proxy = Guide::read("blue-green")
        .listening(&["\"0.0.0.0:80\""])
        .with("10.0.0.81:8080", &blue[0])
        .with("10.0.0.82:8080", &blue[1])
        .with("10.0.0.91:8080", &green[0])
        .with("10.0.0.92:8080", &green[1])
        .start();
    eventually("all are checked", || {
        [&blue, &green].into_iter().flatten().all(|target| !target.requests_for("/healthz").is_empty())
    });
    Shop { proxy, blue, green }
}

impl Shop {
    /// Which version answers on a connection of its own.
    #[track_caller]
    fn who(&self, fields: &str) -> String {
        let mut client = self.proxy.client();
        self.ask(&mut client, fields)
    }

    #[track_caller]
    fn ask(&self, client: &mut Client, fields: &str) -> String {
        client.send(format!("GET / HTTP/1.1\r\nHost: shop.example.com\r\n{fields}\r\n"));
        client.response().target()
    }

    fn versions(&self, requests: usize) -> BTreeSet<String> {
        (0..requests).map(|_| self.who("")).collect()
    }

    /// Writes which one is live, as the page says it.
    fn write(&self, from: &str, to: &str) {
        let route = |name: &str| format!("[routes.shop]\nhosts = [\"shop.example.com\"]\npool = \"{name}\"");
        rewrite(&self.proxy, |text| {
            assert!(text.contains(&route(from)), "{text}");
            text.replace(&route(from), &route(to))
        });
    }

    #[track_caller]
    fn command(&self, words: &[&str]) -> String {
        let file = self.proxy.config_file();
        let (code, said, why) = ringway(&[words, &["-c", file.to_str().unwrap()]].concat());
        assert_eq!(code, Some(0), "{words:?}: {said}{why}");
        said
    }
}

#[test]
fn green_is_looked_at_then_live_and_blue_is_a_word_away() {
    let shop = start(200);
    assert_eq!(shop.versions(20), ["blue".to_owned()].into());
    assert_eq!(shop.who("x-preview: green\r\n"), "green");
    assert_eq!(shop.who("x-preview: blue\r\n"), "blue");
    let mut kept = shop.proxy.client();
    assert_eq!(shop.ask(&mut kept, ""), "blue");
    for (from, to) in [("blue", "green"), ("green", "blue")] {
        shop.write(from, to);
        let said = shop.command(&["reload"]);
        assert!(said.contains(&format!("routes.shop.pool: \"{from}\" → \"{to}\"")), "{said}");
        assert_eq!(shop.versions(20), [to.to_owned()].into());
        assert_eq!(shop.ask(&mut kept, ""), to, "also on connections that were open");
        assert_eq!(
            (shop.who("x-preview: green\r\n"), shop.who("x-preview: blue\r\n")),
            ("green".into(), "blue".into())
        );
    }
}

#[test]
fn a_share_tries_green_out_and_what_does_well_is_put_into_force() {
    let shop = start(200);
    shop.write("blue", "green");
    let said = shop.command(&["reload", "--share", "50%", "--for", "3s"]);
    assert!(said.contains("it is tried out now"), "{said}");
    eventually("both are live", || shop.versions(20).len() == 2);
    let log = &shop.proxy.log;
    eventually("green has proven itself", || {
        shop.versions(20);
        log.contains(&["it has proven itself: plan 2 is in force"])
    });
    assert_eq!(shop.versions(20), ["green".to_owned()].into());
}

#[test]
fn green_that_fails_is_taken_back_at_once() {
    let shop = start(500);
    shop.write("blue", "green");
    shop.command(&["reload", "--share", "50%", "--for", "10m"]);
    eventually("it is rolled back", || {
        shop.versions(20);
        shop.proxy.metric("ringway_config_reloads_total", &[("result", "rolled-back")]) == 1.0
    });
    assert_eq!(shop.versions(20), ["blue".to_owned()].into());
    assert!(shop.blue.iter().all(|target| target.requests() > 0));
}

#[test]
fn greens_targets_can_be_put_into_the_live_pool_one_by_one() {
    let shop = start(200);
    let green = shop.green[0].to_string();
    shop.command(&["target", "add", "blue", &green, "--weight", "1"]);
    eventually("green has its part", || shop.versions(20).len() == 2);
    shop.command(&["target", "set", "blue", &green, "--weight", "2"]);
    let diff = shop.command(&["status", "--diff"]);
    assert_eq!(diff, format!("+ blue {green} presence: added, weight 1\n~ blue {green} weight: 2\n"));
    shop.command(&["target", "reset", "--all"]);
    assert_eq!(shop.versions(20), ["blue".to_owned()].into());
}
