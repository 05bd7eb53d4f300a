//! Databases that take nobody in clear, or nobody whom they do not know: what their checks make of it.

use super::{SETTLE, health, leaves_no_scars, up};
use crate::support::proxy::Directory;
use crate::support::servers::{Kind, Server, lend};
use crate::support::tls::{self, Authority};
use crate::support::toml::tcp_with;
use crate::support::{Proxy, eventually};
use serde_json::Value;
use std::thread;

/// What a server's own files are: a certificate for `db.test`, and who may come in.
fn files(authority: &Authority) -> Directory {
    let directory = Directory::new();
    authority.server(&["db.test"], tls::Kind::Ecdsa).write(directory.path(), "server");
    directory.write("hba", "hostssl all ringway all trust\nhostssl all all all scram-sha-256\n");
    lend(directory.path());
    directory
}

/// Checked with these keys: whether it is up, and the verdict and words of its check.
#[track_caller]
fn checked(server: &Server, keys: &str) -> (bool, String, String) {
    let (proxy, found) = goes_on_checking(server, keys);
    // A process that is killed in the middle of a check takes no leave.
    drop(proxy);
    thread::sleep(SETTLE);
    found
}

/// The same, by a process that goes on.
#[track_caller]
fn goes_on_checking(server: &Server, keys: &str) -> (Proxy, (bool, String, String)) {
    let check = health(keys).replace("500ms", "5s").replace("100ms", "300ms");
    let proxy = Proxy::start(tcp_with("", &[server], &check));
    let mut last = Value::Null;
    eventually("it is checked", || {
        let pools: Value = serde_json::from_str(&proxy.ask_admin("GET", "/v1/pools").text()).unwrap();
        last = pools["items"][0]["targets"][0]["check"].clone();
        last["result"].is_string()
    });
    let word = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
    let found = (up(&proxy, server), word("result"), word("detail"));
    (proxy, found)
}

/// `tls` of a check that trusts this authority.
fn trusting(authority: &Authority, directory: &Directory) -> String {
    format!("tls = {{ ca = \"{}\", sni = \"db.test\" }}", directory.write("ca.pem", &authority.pem()))
}

#[test]
fn postgres_that_takes_nobody_in_clear_is_asked_for_tls_as_its_clients_do() {
    let authority = Authority::new("Test");
    let (files, own) = (files(&authority), Directory::new());
    let file = |name: &str| files.path().join(name).display().to_string();
    let options = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", file("server.pem")),
        format!("ssl_key_file={}", file("server.key")),
        format!("hba_file={}", file("hba")),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-c", option.as_str()]).collect();
    let server = Server::with(Kind::Postgres, &options);
    let session = "type = \"postgres\", user = \"ringway\", database = \"postgres\"";
    // Who is turned away was heard: the server works.
    let (is_up, result, detail) = checked(&server, session);
    assert!(is_up && result == "L7OK" && detail.starts_with("28000 no pg_hba.conf entry"), "{result} {detail}");
    let query = format!("{session}, query = \"SELECT 1\", expect_value = \"1\"");
    let (is_up, result, detail) = checked(&server, &query);
    assert!(!is_up && result == "L7STS" && detail.starts_with("28000"), "{result} {detail}");
    let trusted = trusting(&authority, &own);
    let (session, query) = (format!("{session}, {trusted}"), format!("{query}, {trusted}"));
    let stranger = format!("type = \"postgres\", user = \"stranger\", {trusted}");
    assert_eq!(checked(&server, &session), (true, "L7OK".to_owned(), "ready for query".to_owned()));
    let complaints = ["FATAL", "ERROR", "LOG:  could not", "unexpected", "incomplete", "reset by peer"];
    leaves_no_scars(&server, &[&query], &complaints);
    assert_eq!(checked(&server, &stranger).2, "a password is asked for");
    let another = trusting(&Authority::new("Another"), &own);
    let (is_up, result, _) = checked(&server, &session.replace(&trusted, &another));
    assert!(!is_up && result == "L6RSP", "{result}: another's certificate is not taken");
}

#[test]
fn postgres_is_well_where_it_lets_in_but_has_no_such_database() {
    let server = Server::postgres();
    let (is_up, _, detail) = checked(&server, "type = \"postgres\", user = \"ringway\"");
    assert!(is_up && detail.starts_with("3D000"), "{detail}: as for HAProxy's checks");
    let (is_up, result, detail) =
        checked(&server, "type = \"postgres\", user = \"ringway\", database = \"postgres\", tls = true");
    assert!(!is_up && result == "L6RSP" && detail == "the server has no TLS", "{result} {detail}");
    assert_eq!(server.complaints(&["incomplete", "reset by peer", "unexpected"]), [""; 0]);
}

#[test]
fn mariadb_that_takes_nobody_in_clear_is_asked_for_tls_as_its_clients_do() {
    let authority = Authority::new("Test");
    let (files, own) = (files(&authority), Directory::new());
    let file = |key: &str, name: &str| format!("--{key}={}", files.path().join(name).display());
    let options = [
        file("ssl-cert", "server.pem"),
        file("ssl-key", "server.key"),
        "--require-secure-transport=ON".to_owned(),
        "--log-warnings=9".to_owned(),
    ];
    let server = Server::mariadb(&options.each_ref().map(String::as_str));
    assert!(checked(&server, "type = \"mysql\"").0, "a stranger is heard");
    let session = "type = \"mysql\", user = \"ringway\"";
    let (is_up, result, detail) = checked(&server, session);
    assert!(!is_up && result == "L7STS", "{result} {detail}");
    let trusted = trusting(&authority, &own);
    let query = format!("{session}, query = \"SELECT 1\", expect_value = \"1\", {trusted}");
    leaves_no_scars(&server, &[&query], &["Abort", "packet"]);
    assert!(checked(&server, &format!("type = \"mysql\", {trusted}")).0);
}

#[test]
fn mariadb_is_left_as_it_should_be_whatever_it_asks_who_logs_in() {
    let server = Server::mariadb(&["--max-connect-errors=5"]);
    server.sql("INSTALL SONAME 'auth_ed25519'; CREATE USER signer@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')");
    server.sql("CREATE USER keeper@'%' IDENTIFIED BY 'secret'");
    let mut checking = Vec::new();
    for user in ["signer", "keeper", "nobody"] {
        let (proxy, (is_up, result, detail)) =
            goes_on_checking(&server, &format!("type = \"mysql\", user = \"{user}\""));
        assert!(!is_up && result == "L7STS" && detail.starts_with("1045"), "{user}: {result} {detail}");
        checking.push(proxy);
    }
    let (proxy, (is_up, result, detail)) =
        goes_on_checking(&server, "type = \"mysql\", user = \"ringway\", tls = true");
    checking.push(proxy);
    assert!(!is_up && result == "L6RSP" && detail == "the server has no TLS", "{result} {detail}");
    assert_eq!(server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_connects_preauth'"), "Aborted_connects_preauth\t0\n");
}
