//! Limits that change while requests are in flight and wait.

use super::limits::{asking, wait_for_waiting};
use super::{Busy, config, limited};
use crate::reload::{reload, rewrite};
use crate::support::client::Client;
use crate::support::{GLANCE, Proxy, Target, load};
use std::thread;
use std::time::Duration;

#[test]
fn a_raised_limit_lets_in_who_waits() {
    let target = Target::mute("a");
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], "timeouts = { queue = \"20s\" }"));
    let _clients: Vec<Client> = (0..10).map(|n| asking(&proxy, &format!("/{n}"))).collect();
    target.wait_for(1);
    wait_for_waiting(&proxy, 9);
    rewrite(&proxy, |text| text.replace("max_in_flight = 1 ", "max_in_flight = 4 "));
    reload(&proxy, "applied");
    target.wait_for(4);
    wait_for_waiting(&proxy, 6);
    // No limit at all.
    rewrite(&proxy, |text| text.replace(", max_in_flight = 4 ", " "));
    reload(&proxy, "applied");
    target.wait_for(10);
    wait_for_waiting(&proxy, 0);
}

#[test]
fn a_lowered_limit_ends_nothing_and_lets_nobody_in_until_there_is_room() {
    let busy = Busy::working("a", Duration::from_millis(300));
    let proxy = Proxy::start(config("http", &[limited(&busy.target, 4)], "timeouts = { queue = \"20s\" }"));
    let mut first: Vec<Client> = (0..4).map(|_| asking(&proxy, "/first")).collect();
    busy.target.wait_for(4);
    rewrite(&proxy, |text| text.replace("max_in_flight = 4", "max_in_flight = 1"));
    reload(&proxy, "applied");
    let mut later: Vec<Client> = (0..2).map(|_| asking(&proxy, "/later")).collect();
    first.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    later.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    assert_eq!(busy.most(), 4, "nobody on top of those who were there");
}

#[test]
fn a_limit_that_is_new_counts_those_who_were_there_before() {
    let target = Target::mute("a");
    let proxy = Proxy::start(config("http", &[format!("\"{target}\"")], "timeouts = { queue = \"20s\" }"));
    let holders = [asking(&proxy, "/held"), asking(&proxy, "/held")];
    target.wait_for(2);
    rewrite(&proxy, |text| text.replace(&format!("\"{target}\""), &limited(&target, 2)));
    reload(&proxy, "applied");
    let _waits = asking(&proxy, "/waits");
    wait_for_waiting(&proxy, 1);
    thread::sleep(GLANCE);
    assert_eq!(target.requests(), 2);
    drop(holders);
    target.wait_for(3);
}

#[test]
fn reloads_under_load_lose_nobody_and_never_exceed_the_limit() {
    let busy = Busy::working("a", Duration::from_millis(3));
    let proxy = Proxy::start(config("http", &[limited(&busy.target, 4)], "timeouts = { queue = \"20s\" }"));
    let load = load::Load::start(&proxy.web(), 30, Duration::ZERO);
    for round in 0..6 {
        let (from, to) = if round % 2 == 0 { ("\"20s\"", "\"21s\"") } else { ("\"21s\"", "\"20s\"") };
        load.more(50);
        rewrite(&proxy, |text| text.replace(from, to));
        reload(&proxy, "applied");
    }
    load.more(100);
    load.stop().assert_clean();
    assert!(busy.most() <= 4, "{} at a time", busy.most());
    wait_for_waiting(&proxy, 0);
}
