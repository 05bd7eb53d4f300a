//! Connections that wait for a target with room.

use super::limits::wait_for_waiting;
use super::{config, limited};
use crate::support::client::Client;
use crate::support::{Proxy, Target, eventually};

#[test]
fn a_connection_waits_until_another_has_ended() {
    let target = Target::greets("a");
    let proxy = Proxy::start(config("tcp", &[limited(&target, 1)], "timeouts = { queue = \"20s\" }"));
    let mut first = proxy.client();
    assert_eq!(first.exact(1).unwrap(), b"a");
    let mut second = proxy.client();
    wait_for_waiting(&proxy, 1);
    assert_eq!(target.connections(), 1);
    drop(first);
    assert_eq!(second.exact(1).unwrap(), b"a");
    wait_for_waiting(&proxy, 0);
    drop(second);
    let line = proxy.out.wait(&["\"protocol\":\"TCP\"", "\"pool_queue\":1,"]);
    assert!(line.contains("\"termination\":\"--") && !line.contains("\"queue_ms\":0.000"), "{line}");
}

#[test]
fn a_connection_that_waits_too_long_is_closed() {
    let target = Target::greets("a");
    let proxy = Proxy::start(config("tcp", &[limited(&target, 1)], "timeouts = { queue = \"200ms\" }"));
    let mut first = proxy.client();
    assert_eq!(first.exact(1).unwrap(), b"a");
    let mut late = proxy.client();
    assert!(late.exact(1).is_err(), "it is closed");
    proxy.out.wait(&["\"reason\":\"queue-timeout\"", "\"termination\":\"sQ"]);
    assert_eq!(target.connections(), 1);
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[("kind", "queue-timeout")]), 1.0);
}

#[test]
fn a_connection_that_leaves_frees_its_place() {
    let target = Target::greets("a");
    let pool = "queue = { length = 1 }\ntimeouts = { queue = \"20s\" }";
    let proxy = Proxy::start(config("tcp", &[limited(&target, 1)], pool));
    let mut first = proxy.client();
    assert_eq!(first.exact(1).unwrap(), b"a");
    let waits = proxy.client();
    wait_for_waiting(&proxy, 1);
    assert!(Client::is_refused(&proxy.web()), "there is no place");
    proxy.out.wait(&["\"reason\":\"queue-full\"", "\"termination\":\"PQ"]);
    drop(waits);
    proxy.out.wait(&["\"reason\":\"client-abort\"", "\"termination\":\"CQ"]);
    let mut next = proxy.client();
    wait_for_waiting(&proxy, 1);
    drop(first);
    assert_eq!(next.exact(1).unwrap(), b"a");
    eventually("two came to the target", || target.connections() == 2);
}
