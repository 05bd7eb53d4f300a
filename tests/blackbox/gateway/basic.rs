//! Users by their names and passwords.

use super::{faults, in_order};
use crate::reload::{reload, rewrite};
use crate::support::client::{Client, Response, request};
use crate::support::proxy::{Directory, Proxy};
use crate::support::toml::http_with;
use crate::support::{Target, eventually, h2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Of "password": by glibc's crypt(3), and from the tests of Argon2's reference.
const BCRYPT: &str = "$2y$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm";
const ARGON2: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

/// A route `/v1/` for users of a file, in front of a target that is checked.
fn config(target: &Target, users: &str, more: &str) -> String {
    let checked = "health = { type = \"http\", path = \"/healthz\", interval = \"1s\", timeout = \"900ms\" }";
    http_with("", &[target], checked)
        + &format!(
            "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"people\"]\n\
             [rules.people]\ntype = \"basic\"\nusers_file = \"{users}\"\n{more}\n\
             [consumers.ann]\ngroups = [\"gold\"]\n[access_log]\n"
        )
}

fn users(folder: &Directory) -> String {
    folder.write("users", &format!("# people\nann:{BCRYPT}\nbob:{ARGON2}\n"))
}

fn line(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn ask(proxy: &Proxy, fields: &[&str]) -> Response {
    proxy.client().ask("GET", "/v1/x", fields)
}

fn reason(proxy: &Proxy, count: usize) -> String {
    eventually("the log has it", || proxy.out.all().len() >= count);
    let line: Value = serde_json::from_str(proxy.out.all().last().unwrap()).unwrap();
    line["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_user_is_the_consumer_of_that_name_and_the_password_stays_here() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = Proxy::start(config(&target, &users(&folder), ""));
    for (user, groups) in [("ann", Some("gold")), ("bob", None)] {
        for _ in 0..3 {
            assert_eq!(ask(&proxy, &[&line(user, "password")]).status, 200);
            let seen = target.last();
            assert_eq!(seen.field("x-consumer-username").as_deref(), Some(user));
            assert_eq!(seen.field("x-consumer-groups").as_deref(), groups);
            assert_eq!(seen.field("authorization"), None);
        }
    }
    let fits = proxy.metric("ringway_password_checks_total", &[("result", "fits")]);
    assert_eq!(fits, 2.0, "a password is computed once");
    assert_eq!(proxy.metric("ringway_passwords_waiting", &[]), 0.0);
}

#[test]
fn who_proves_nothing_is_told_how_to_and_the_log_says_what_was_wrong() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = in_order(config(&target, &users(&folder), "realm = \"staff\""));
    let before = target.requests_for("/v1/x").len();
    let good = line("ann", "password");
    for (number, (fields, word)) in [
        (&[][..], "no-credentials"),
        (&["Authorization: Bearer abc"], "no-credentials"),
        (&["Authorization: Basic !"], "malformed-credentials"),
        (&["Authorization: Basic YWJj"], "malformed-credentials"),
        (&[&*line("ann", "Password")], "wrong-password"),
        (&[&*line("ann", "Password")], "wrong-password"),
        (&[&*line("ann", "")], "wrong-password"),
        (&[&*line("Ann", "password")], "unknown-user"),
        (&[&*line("nobody", "password")], "unknown-user"),
        (&[&*line("", "password")], "unknown-user"),
        (&[&good, &good], "several-credentials"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ask(&proxy, fields);
        assert_eq!(answer.status, 401, "{fields:?}");
        let challenge = "Basic realm=\"staff\", charset=\"UTF-8\"";
        assert_eq!(answer.field("www-authenticate").as_deref(), Some(challenge), "{fields:?}");
        assert_eq!(reason(&proxy, number + 1), word, "{fields:?}");
    }
    assert_eq!(target.requests_for("/v1/x").len(), before);
    assert_eq!(proxy.out.count(&["YW5uOnBhc3N3b3Jk"]) + proxy.log.count(&["password\""]), 0, "passwords are no log's");
}

#[test]
fn over_http2_it_is_the_same() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = Proxy::start(config(&target, &users(&folder), ""));
    let client = h2::Client::to(&proxy.web());
    let ask = |user: &str, password: &str| {
        let mut request = h2::request(Method::GET, "/v1/x");
        let sent = line(user, password);
        request.headers_mut().append("authorization", sent.split_once(": ").unwrap().1.parse().unwrap());
        client.ask(request, b"").unwrap().status.as_u16()
    };
    assert_eq!(
        [ask("ann", "password"), ask("bob", "password"), ask("bob", "passwort"), ask("eve", "password")],
        [200, 200, 401, 401]
    );
    let requests = (0..20).map(|_| {
        let mut request = h2::request(Method::GET, "/v1/x");
        let sent = line("bob", "passwort!");
        request.headers_mut().append("authorization", sent.split_once(": ").unwrap().1.parse().unwrap());
        request
    });
    for answer in client.ask_all(requests.collect()) {
        assert_eq!(answer.unwrap().status.as_u16(), 401);
    }
    let wrong = proxy.metric("ringway_password_checks_total", &[("result", "wrong")]);
    assert!(wrong <= 2.0 + 20.0, "{wrong}");
}

#[test]
fn a_password_that_is_changed_counts_at_once_and_a_file_that_is_wrong_changes_nothing() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let file = users(&folder);
    let proxy = Proxy::start(config(&target, &file, ""));
    let with = |user: &str| ask(&proxy, &[&line(user, "password")]).status;
    assert_eq!([with("ann"), with("bob"), with("carl")], [200, 200, 401]);
    // Not the hash of "password".
    std::fs::write(&file, format!("ann:{}\ncarl:{BCRYPT}\n", BCRYPT.replace("ghE8E", "ghE8x"))).unwrap();
    reload(&proxy, "applied");
    assert_eq!([with("ann"), with("bob"), with("carl")], [401, 401, 200]);
    std::fs::write(&file, format!("ann:{BCRYPT}\nbob:$apr1$abc$def\ncarl:secret-of-carl\n")).unwrap();
    reload(&proxy, "failed");
    assert_eq!([with("ann"), with("carl")], [401, 200]);
    proxy.log.wait(&["line 2: user `bob`: it is an MD5 hash"]);
    proxy.log.wait(&["line 3: user `carl`: it is no hash"]);
    assert_eq!(proxy.log.count(&["secret-of-carl"]) + proxy.log.count(&["$apr1$abc"]), 0, "hashes are no log's");
}

#[test]
fn what_was_found_of_passwords_outlives_a_reload() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let proxy = Proxy::start(config(&target, &users(&folder), ""));
    assert_eq!(ask(&proxy, &[&line("ann", "password")]).status, 200);
    rewrite(&proxy, |text| text.replace("users_file", "realm = \"other\"\nusers_file"));
    reload(&proxy, "applied");
    assert_eq!(ask(&proxy, &[&line("ann", "password")]).status, 200);
    assert_eq!(proxy.metric("ringway_password_checks_total", &[("result", "fits")]), 1.0);
    rewrite(&proxy, |text| text.replace("users_file", "remember = \"0s\"\nusers_file"));
    reload(&proxy, "applied");
    for _ in 0..2 {
        assert_eq!(ask(&proxy, &[&line("ann", "password")]).status, 200);
    }
    assert_eq!(proxy.metric("ringway_password_checks_total", &[("result", "fits")]), 3.0, "nothing is remembered");
}

#[test]
fn a_flood_of_passwords_delays_no_health_check_past_its_interval_and_no_other_request() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    // 64 MiB, gone through twice.
    let heavy = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAApF8wZ02bBCDf0";
    let file = folder.write("users", &format!("ann:{BCRYPT}\nheavy:{heavy}\n"));
    let proxy = Proxy::start(config(&target, &file, ""));
    assert_eq!(ask(&proxy, &[&line("ann", "password")]).status, 200);
    let waiting = || proxy.metric("ringway_passwords_waiting", &[]);
    let mut flood: Vec<Client> = (0..300)
        .map(|number| {
            let sent = request("GET", "/v1/x", &[&line("heavy", &format!("guess-{number}"))]);
            Client::to(&proxy.web()).dribbled(sent, 4096, Duration::ZERO)
        })
        .collect();
    eventually("many wait", || waiting() > 100.0);
    let (begun, mut other) = (Instant::now(), proxy.client());
    for number in 0..50 {
        assert_eq!(other.get("/open").status, 200);
        assert_eq!(other.ask("GET", "/v1/x", &[&line("ann", "password")]).status, 200, "{number}: it is known to fit");
    }
    let took = begun.elapsed();
    assert!(waiting() > 0.0, "100 other requests take {took:?}, and are done before the flood is");
    let mut counts = std::collections::BTreeMap::new();
    for client in &mut flood {
        let answer = client.response();
        assert_eq!(answer.field("retry-after").is_some(), answer.status == 503);
        *counts.entry(answer.status).or_insert(0) += 1;
    }
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [401, 503], "{counts:?}");
    let checks = |result: &str| proxy.metric("ringway_password_checks_total", &[("result", result)]);
    assert!(checks("busy") >= 300.0 - 128.0 - checks("wrong") - 4.0, "no more than 128 wait: {counts:?}");
    assert_eq!(
        proxy.metric("ringway_refused_total", &[("reason", "passwords")]),
        checks("busy") + checks("late"),
        "each is counted"
    );
    let late = proxy.metric("ringway_health_lateness_seconds", &[]);
    assert!(late < 1.0, "a check was {late} s late");
    assert_eq!(proxy.metric("ringway_target_up", &[("pool", "site")]), 1.0);
}

#[test]
fn users_that_make_no_sense_are_told_where_they_stand() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let text = config(&target, &users(&folder), "realm = \"staff\"");
    let file = format!("users_file = \"{}\"", users(&folder));
    let twice = folder.write("twice", &format!("ann:{BCRYPT}\nann:{BCRYPT}\n"));
    for (from, to, said) in [
        ("realm = \"staff\"", "realm = \"st\\\"aff\"", "a realm has no `\"`"),
        ("realm = \"staff\"", "relam = \"staff\"", "did you mean `realm`?"),
        ("realm = \"staff\"", "remember = \"25h\"", "24h"),
        (&*file, "", "users_file"),
        (&*file, "users_file = \"/nowhere\"", "`/nowhere` cannot be read"),
        (&*file, &*format!("users_file = \"{twice}\""), "line 2: user `ann` stands twice"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(said), "{to}: {told}");
    }
}
