//! Quotas that hosts share: all of one is admitted over all hosts, and no more, whatever becomes of the server.

use super::{is_away, is_up, know_each_other, redis, store};
use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::servers::Server;
use crate::support::toml::http;
use crate::support::{PATIENCE, Target, eventually};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: usize = 400;

#[track_caller]
fn host(target: &Target, server: &Server) -> Proxy {
    let rule = format!(
        "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"daily\"]\n[rules.daily]\ntype = \"quota\"\nlimit = {LIMIT}\n\
         period = \"day\"\nkey = \"header:x-who\"\nscope = \"cluster\"\nsize = 1000\n"
    );
    Setup::new(http(&[target]) + &rule + &store(server, "")).start()
}

/// Asks this often. Returns how many were admitted; all others were told that there is no more, and nobody waited.
#[track_caller]
fn ask(proxy: &Proxy, who: &str, times: usize) -> usize {
    let (mut client, field) = (Client::to(&proxy.web()), format!("X-Who: {who}"));
    let one = |_| {
        let begun = Instant::now();
        let status = client.ask("GET", "/v1/x", &[&field]).status;
        assert!(status == 200 || status == 429, "{status}");
        assert!(begun.elapsed() < PATIENCE / 10, "a request waited");
        usize::from(status == 200)
    };
    (0..times).map(one).sum()
}

/// Asks once. Returns how many it may admit after that.
#[track_caller]
fn asks_and_has(proxy: &Proxy, who: &str, admitted: &mut usize) -> usize {
    let answer = Client::to(&proxy.web()).ask("GET", "/v1/x", &[&format!("X-Who: {who}")]);
    *admitted += usize::from(answer.status == 200);
    let says = answer.field("ratelimit").unwrap();
    let (_, remaining) = says.split_once(";r=").unwrap();
    remaining.split(';').next().unwrap().parse().unwrap()
}

/// Asks at all of them in turn until `enough` were admitted, of `had` before.
#[track_caller]
fn ask_all(hosts: &[&Proxy], who: &str, had: usize, enough: usize) -> usize {
    let mut admitted = had;
    eventually("enough are admitted", || {
        admitted += hosts.iter().map(|host| ask(host, who, 5)).sum::<usize>();
        admitted >= enough
    });
    // Whatever may still be under way.
    for _ in 0..10 {
        admitted += hosts.iter().map(|host| ask(host, who, 5)).sum::<usize>();
        thread::sleep(Duration::from_millis(50));
    }
    admitted
}

#[test]
fn all_of_a_quota_is_admitted_over_all_hosts_and_no_more() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (host(&target, &server), host(&target, &server));
    know_each_other(&[&one, &two]);
    let admitted = ask_all(&[&one, &two], "ann", 0, LIMIT * 95 / 100);
    assert!(admitted <= LIMIT, "{admitted} of {LIMIT}");
    assert_eq!(target.requests(), admitted);
    // Who comes to one host alone has all of it, too: the other gives back what it holds.
    let admitted = ask_all(&[&one], "bob", 0, LIMIT * 95 / 100);
    assert!(admitted <= LIMIT, "{admitted} of {LIMIT}");
    let more = ask(&two, "bob", 20);
    assert!(admitted + more <= LIMIT, "{admitted} and {more} of {LIMIT}");
}

#[test]
fn a_host_without_the_server_admits_what_it_was_given_and_an_empty_server_gives_nothing_twice() {
    let (mut server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (host(&target, &server), host(&target, &server));
    know_each_other(&[&one, &two]);
    let hosts = [&one, &two];
    let mut admitted = 0;
    eventually("each was given something, of more than what they have of any key", || {
        admitted += hosts.iter().map(|host| ask(host, "ann", 1)).sum::<usize>();
        admitted > LIMIT * 55 / 100 && hosts.iter().all(|host| asks_and_has(host, "ann", &mut admitted) >= 5)
    });
    server.kill();
    hosts.into_iter().for_each(is_away);
    let alone: Vec<usize> = hosts.iter().map(|host| ask(host, "ann", LIMIT)).collect();
    admitted += alone.iter().sum::<usize>();
    assert!(alone.iter().all(|&alone| alone > 0), "each has its part: {alone:?}");
    assert!(admitted <= LIMIT * 105 / 100, "{alone:?}: {admitted} of {LIMIT}");
    // A key of which nobody knows has its part at each.
    let strangers: usize = hosts.iter().map(|host| ask(host, "bob", LIMIT)).sum();
    assert!(0 < strangers && strangers <= LIMIT * 105 / 100, "{strangers}");
    // It keeps nothing on a disk.
    server.revive();
    hosts.into_iter().for_each(is_up);
    let admitted = ask_all(&hosts, "ann", admitted, LIMIT * 95 / 100);
    assert!(admitted <= LIMIT * 105 / 100, "{admitted} of {LIMIT}");
}

#[test]
fn a_server_that_comes_back_from_a_former_state_gives_nothing_twice() {
    let (mut server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (host(&target, &server), host(&target, &server));
    let hosts = [&one, &two];
    know_each_other(&hosts);
    let admitted = ask_all(&hosts, "ann", 0, LIMIT / 4);
    assert_eq!(redis::<String>(&server, &["SAVE"]), "OK");
    let admitted = ask_all(&hosts, "ann", admitted, LIMIT * 60 / 100);
    server.kill();
    server.revive();
    hosts.into_iter().for_each(is_up);
    let admitted = ask_all(&hosts, "ann", admitted, LIMIT * 95 / 100);
    assert!(admitted <= LIMIT * 105 / 100, "{admitted} of {LIMIT}");
}

#[test]
fn nobody_waits_for_a_server_that_is_slow_and_no_more_is_admitted_than_there_is() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (host(&target, &server), host(&target, &server));
    let hosts = [&one, &two];
    know_each_other(&hosts);
    let mut admitted = ask_all(&hosts, "ann", 0, LIMIT / 4);
    server.freeze();
    admitted += hosts.iter().map(|host| ask(host, "ann", LIMIT)).sum::<usize>();
    assert!(admitted <= LIMIT * 105 / 100, "{admitted} of {LIMIT}");
    server.thaw();
    hosts.into_iter().for_each(is_up);
    let admitted = ask_all(&hosts, "ann", admitted, LIMIT * 95 / 100);
    assert!(admitted <= LIMIT * 105 / 100, "{admitted} of {LIMIT}");
}

#[test]
fn a_host_that_leaves_gives_back_what_it_had_and_one_that_comes_knows_what_was_used() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, mut two) = (host(&target, &server), host(&target, &server));
    know_each_other(&[&one, &two]);
    let admitted = ask_all(&[&one, &two], "ann", 0, LIMIT / 4);
    two.signal(libc::SIGTERM);
    two.exit();
    let admitted = ask_all(&[&one], "ann", admitted, LIMIT * 95 / 100);
    assert!(admitted <= LIMIT, "{admitted} of {LIMIT}");
    let late = host(&target, &server);
    know_each_other(&[&one, &late]);
    let more = ask_all(&[&late], "ann", 0, 0);
    assert!(admitted + more <= LIMIT * 105 / 100, "{admitted} and {more} of {LIMIT}");
}

#[test]
fn a_server_holds_no_more_keys_than_there_is_room_for_and_each_host_admits_its_least_of_others() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (host(&target, &server), host(&target, &server));
    let hosts = [&one, &two];
    know_each_other(&hosts);
    let mut admitted = ask_all(&hosts, "ann", 0, 4);
    let mut rows = None;
    eventually("her row is there", || {
        let names: Vec<String> = redis(&server, &["KEYS", "*quota:daily:*"]);
        rows = names.into_iter().find(|name| redis::<String>(&server, &["TYPE", name]) == "hash");
        rows.is_some()
    });
    let rows = rows.unwrap();
    let fields: Vec<String> = (0..2000).map(|n| format!("{n:x}")).collect();
    let mut words = vec!["HSET", &rows];
    fields.iter().for_each(|field| words.extend([field, "1 1 1"]));
    let _: usize = redis(&server, &words);
    // What a host may admit of a key of which it knows nothing: of two hosts a quarter each.
    let least = LIMIT / 4 * 2;
    let strangers = ask_all(&hosts, "bob", 0, least * 95 / 100);
    assert!(strangers <= least, "{strangers}");
    eventually("the log says so", || hosts.iter().any(|host| host.log.contains(&["no room for more keys of a quota"])));
    let no_room = |host: &&Proxy| host.metric("ringway_store_no_room_total", &[]) > 0.0;
    assert!(hosts.iter().any(no_room));
    assert!(one.metric("ringway_rule_keys", &[("rule", "daily")]) > 0.0, "{}", one.metrics());
    admitted = ask_all(&hosts, "ann", admitted, LIMIT * 95 / 100);
    assert!(admitted <= LIMIT, "{admitted} of {LIMIT}");
    let held: usize = redis(&server, &["HLEN", &rows]);
    assert_eq!(held, 2001, "no row was added");
}
