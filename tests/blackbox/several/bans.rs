//! Bans that hosts share.

use super::{is_away, is_up, know_each_other, redis, store};
use crate::admin::{self, Desk};
use crate::support::client::{self, Client};
use crate::support::servers::Server;
use crate::support::toml::http_with;
use crate::support::{Target, eventually};

/// A host whose rule bans who is refused three times.
#[track_caller]
fn desk(target: &Target, server: &Server) -> Desk {
    admin::start(
        &(http_with("rules = [\"abuse\"]", &[target], "")
            + "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"key\"]\n"
            + "[consumers.acme]\nkeys = [\"key-of-acme\"]\n[rules.key]\ntype = \"api-key\"\n"
            + "[rules.abuse]\ntype = \"ban\"\ndenials = 3\nwithin = \"10m\"\nfor = \"1h\"\n"
            + &store(server, "")),
    )
}

fn banned(desk: &Desk) -> Vec<String> {
    let items = desk.operator.get("/v1/bans")["items"].as_array().unwrap().clone();
    items.iter().map(|ban| ban["client"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn bans(desks: &[&Desk], clients: &[&str]) {
    eventually("the bans are the same everywhere", || desks.iter().all(|desk| banned(desk) == clients));
}

#[test]
fn who_is_banned_at_one_host_is_refused_at_the_others_until_it_is_taken_back_at_any() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (desk(&target, &server), desk(&target, &server));
    know_each_other(&[&one.proxy, &two.proxy]);
    let mut bad = Client::from("127.0.9.1", &one.proxy.web());
    (0..3).for_each(|_| assert_eq!(bad.get("/v1/x").status, 401));
    bans(&[&one, &two], &["127.0.9.1/32"]);
    Client::from("127.0.9.1", &two.proxy.web()).ending();
    two.proxy.log.wait(&["banned, as another host has", "127.0.9.1/32"]);
    let item = two.operator.get("/v1/bans")["items"][0].clone();
    assert_eq!((&item["rule"], &item["reason"]), (&"abuse".into(), &"3 refusals within 10m".into()));
    let left = item["left"].as_u64().unwrap();
    assert!((3500..=3600).contains(&left), "{left}");
    one.operator.told("PUT", "/v1/bans/127.0.9.0%2F28", "{\"reason\":\"probing\"}", 200);
    bans(&[&one, &two], &["127.0.9.0/28", "127.0.9.1/32"]);
    two.operator.told("DELETE", "/v1/bans/127.0.9.1", "", 204);
    two.operator.told("DELETE", "/v1/bans/127.0.9.0%2F28", "", 204);
    bans(&[&one, &two], &[]);
    assert_eq!(Client::from("127.0.9.1", &one.proxy.web()).get("/").status, 200);
    one.operator.told("PUT", "/v1/bans/127.0.9.2", "{\"for\":\"1s\"}", 200);
    eventually("what is over is over everywhere", || {
        two.proxy.log.count(&["127.0.9.2"]) > 0 && banned(&two).is_empty()
    });
    let late = desk(&target, &server);
    is_up(&late.proxy);
    one.operator.told("PUT", "/v1/bans/192.0.2.7", "{}", 200);
    bans(&[&one, &two, &late], &["192.0.2.7/32"]);
    let later = desk(&target, &server);
    bans(&[&later], &["192.0.2.7/32"]);
}

#[test]
fn a_server_that_was_away_merges_what_hosts_did_and_one_that_is_empty_lifts_nothing() {
    let (mut server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (desk(&target, &server), desk(&target, &server));
    know_each_other(&[&one.proxy, &two.proxy]);
    one.operator.told("PUT", "/v1/bans/192.0.2.1", "{}", 200);
    one.operator.told("PUT", "/v1/bans/192.0.2.2", "{\"for\":\"1h\"}", 200);
    bans(&[&one, &two], &["192.0.2.1/32", "192.0.2.2/32"]);
    server.freeze();
    is_away(&one.proxy);
    is_away(&two.proxy);
    one.operator.told("PUT", "/v1/bans/192.0.2.3", "{}", 200);
    two.operator.told("PUT", "/v1/bans/192.0.2.4", "{}", 200);
    two.operator.told("DELETE", "/v1/bans/192.0.2.1", "", 204);
    assert_eq!(client::get(&one.proxy.web(), "/").status, 200);
    assert_eq!(banned(&one), ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"], "each goes on by itself");
    server.thaw();
    bans(&[&one, &two], &["192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32"]);
    // It keeps nothing on a disk.
    server.kill();
    is_away(&one.proxy);
    is_away(&two.proxy);
    server.revive();
    is_up(&one.proxy);
    is_up(&two.proxy);
    eventually("they are put back", || redis::<usize>(&server, &["HLEN", "ringway:bans"]) == 3);
    bans(&[&one, &two], &["192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32"]);
    two.operator.told("DELETE", "/v1/bans/192.0.2.2", "", 204);
    bans(&[&one, &two], &["192.0.2.3/32", "192.0.2.4/32"]);
}
