//! What others have written, as targets: databases from Debian's packages that are killed, frozen and brought back while Ringway
//! checks them, and that must have nothing to complain of.

mod dnsmasq;
mod failover;
mod faults;
mod nginx;
mod secure;

use crate::support::servers::Server;
use crate::support::toml::tcp_with;
use crate::support::{PATIENCE, Proxy, eventually, rounds, within};
use std::thread;
use std::time::Duration;

/// What a server needs to write down that it was left.
const SETTLE: Duration = Duration::from_millis(150);

fn up(proxy: &Proxy, server: &Server) -> bool {
    proxy.metric("ringway_target_up", &[("target", &server.to_string())]) == 1.0
}

fn health(keys: &str) -> String {
    format!("health = {{ interval = \"100ms\", timeout = \"500ms\", fall = 2, rise = 1, {keys} }}")
}

/// Checked, killed, back, frozen, back.
fn lives_through(mut server: Server, keys: &str) {
    let proxy = Proxy::start(tcp_with("", &[&server], &health(keys)));
    let passed = || proxy.metric("ringway_target_checks_passed_total", &[]);
    eventually("checks pass", || passed() >= 2.0);
    assert!(up(&proxy, &server));
    server.kill();
    eventually("it is down", || !up(&proxy, &server));
    server.revive();
    eventually("it is back", || up(&proxy, &server));
    server.freeze();
    // Two checks at 500 ms each, and what a busy machine needs.
    assert!(within(PATIENCE / 3, || !up(&proxy, &server)), "a frozen server is down");
    server.thaw();
    eventually("it goes on", || up(&proxy, &server));
}

/// Checks of all kinds that leave nothing in the server's log while they are made.
fn leaves_no_scars(server: &Server, checks: &[&str], complaints: &[&str]) {
    for keys in checks {
        let before = server.complaints(complaints);
        let proxy = Proxy::start(tcp_with("", &[server], &health(keys).replace("500ms", "5s")));
        let wanted = rounds(100, 12) as f64;
        eventually("many checks", || {
            assert!(up(&proxy, server), "{keys}: {:#?}", proxy.log);
            proxy.metric("ringway_target_checks_passed_total", &[]) >= wanted
        });
        assert_eq!(proxy.metric("ringway_target_checks_failed_total", &[]), 0.0);
        thread::sleep(SETTLE);
        let after = server.complaints(complaints);
        assert_eq!(after.get(before.len()..), Some(&[][..]), "{keys}:\n{}", server.log());
        // A process that is killed in the middle of a check takes no leave.
        drop(proxy);
        thread::sleep(SETTLE);
    }
}

#[test]
fn postgres_is_checked_through_death_and_frost() {
    lives_through(Server::postgres(), "type = \"postgres\", user = \"ringway\", database = \"postgres\"");
}

#[test]
fn postgres_has_nothing_to_complain_of() {
    let server = Server::postgres();
    let session = "type = \"postgres\", user = \"ringway\", database = \"postgres\"";
    let primary = format!("{session}, query = \"SELECT pg_is_in_recovery()\", expect_value = \"f\"");
    // Everybody else is asked for a password, whoever they are.
    let stranger = "type = \"postgres\", user = \"stranger\"";
    leaves_no_scars(
        &server,
        &[session, &primary, stranger],
        &["ERROR", "FATAL", "LOG:  unexpected", "incomplete", "reset by peer"],
    );
    let standby = format!("{session}, query = \"SELECT pg_is_in_recovery()\", expect_value = \"t\"");
    let proxy = Proxy::start(tcp_with("", &[&server], &health(&standby)));
    eventually("a primary is no standby", || !up(&proxy, &server));
    proxy.log.wait(&["target is down", "the query gives `f`, not `t`"]);
}

#[test]
fn mariadb_is_checked_through_death_and_frost() {
    lives_through(Server::mariadb(&[]), "type = \"mysql\", user = \"ringway\"");
}

#[test]
fn mariadb_has_nothing_to_complain_of() {
    let server = Server::mariadb(&["--log-warnings=9", "--skip-name-resolve"]);
    let session = "type = \"mysql\", user = \"ringway\"";
    let query = format!("{session}, query = \"SELECT 1, 'x'\", expect_value = \"~^1$\"");
    leaves_no_scars(&server, &[session, &query], &["Abort", "ERROR", "denied", "packet"]);
    let proxy = Proxy::start(tcp_with("", &[&server], &health(&query.replace("~^1$", "2"))));
    eventually("another value is not taken", || !up(&proxy, &server));
    proxy.log.wait(&["target is down", "the query gives `1`, not `2`"]);
}

/// A host whose greetings are left unanswered is let in no more after `max_connect_errors` of them. (From 127.0.0.1 nobody is counted so; the
/// counter below is what it goes by.)
#[test]
fn mariadb_never_counts_a_check_as_a_handshake_cut_short() {
    let server = Server::mariadb(&["--max-connect-errors=5"]);
    let proxy = Proxy::start(tcp_with("", &[&server], &health("type = \"mysql\"")));
    let aborted = "SHOW GLOBAL STATUS LIKE 'Aborted_connects_preauth'";
    eventually("many checks", || proxy.metric("ringway_target_checks_passed_total", &[]) >= rounds(50, 12) as f64);
    assert_eq!(server.sql(aborted), "Aborted_connects_preauth\t0\n");
    assert!(up(&proxy, &server), "a refused login is an answer");
}

#[test]
fn redis_is_checked_through_death_and_frost() {
    lives_through(Server::redis(&[]), "type = \"redis\"");
}

#[test]
fn redis_has_nothing_to_complain_of_and_asks_for_its_password() {
    let server = Server::redis(&["--requirepass", "secret"]);
    let setup = crate::support::proxy::Setup::new("");
    let password = setup.directory().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    let with = format!("type = \"redis\", password_file = \"{}\"", password.display());
    leaves_no_scars(&server, &[&with], &["# ", "rror"]);
    let proxy = Proxy::start(tcp_with("", &[&server], &health("type = \"redis\"")));
    eventually("without a password it is down", || !up(&proxy, &server));
    proxy.log.wait(&["target is down", "NOAUTH"]);
}
