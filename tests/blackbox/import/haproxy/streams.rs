//! TCP: clusters, mail, brokers, databases, and who may connect.

use super::{Case, echo, greeting};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::secure::{Secure, Speaks};
use crate::support::target::Target;
use crate::support::tls::{Authority, Kind};

#[test]
fn a_cluster_is_reached_by_all_its_ports() {
    let authority = Authority::new("Test");
    let made = authority.server(&["kube.test"], Kind::Ecdsa);
    let secure = |name: &str| Secure::echo(name, &Speaks::with(&made));
    let (bootstrap, master) = (secure("bootstrap"), secure("master"));
    let (one, two) = (echo("one"), echo("two"));
    let imported = Case::new("haproxy/11-kubernetes.cfg")
        .bind("*:6443")
        .bind("*:80")
        .swap("10.11.0.9:6443", &bootstrap)
        .swap("    server master-1 10.11.0.11:6443 check inter 1s\n", "")
        .swap("10.11.0.10:6443", &master)
        .swap("10.11.0.20:80", &one)
        .swap("10.11.0.21:80", &two)
        .run();
    let api = imported.proxy.at("kube-api");
    assert_eq!(authority.dial().to(&api, "kube.test").get("/").target(), "master");
    let http = imported.proxy.at("ingress-http");
    let mut seen = [super::target(&http, "/"), super::target(&http, "/")];
    seen.sort();
    assert_eq!(seen, ["one", "two"]);
    assert_eq!(imported.unsupported(), ["user haproxy"]);
    assert!(imported.line("balance source").notes.contains("consistent"));
}

#[test]
fn sections_go_by_the_defaults_that_they_name() {
    let (pages, queue) = (echo("pages"), Target::greets("queue"));
    let imported = Case::new("haproxy/12-named-defaults.cfg")
        .bind("*:80")
        .bind("*:5672")
        .swap("10.12.0.1:80", &pages)
        .swap("10.12.0.2:5672", &queue)
        .run();
    let response = super::ask(&imported.proxy.at("pages"), "GET", "/", "site.test", &[]);
    assert_eq!((response.target().as_str(), response.field("x-served-by").as_deref()), ("pages", Some("web-defaults")));
    assert!(pages.last().field("x-forwarded-for").is_some());
    assert_eq!(greeting(&imported.proxy.at("queue")), "queue");
    assert!(
        imported.toml.contains("response_head = \"7s\"") && imported.toml.contains("tunnel = \"3h\""),
        "{}",
        imported.toml
    );
    assert_eq!(
        imported.line("timeout check 9s").verdict,
        "carried",
        "the last defaults are for `plain`, which names none"
    );
}

/// A mail server that greets and shows what it was told first.
fn mail(name: &'static str) -> Target {
    Target::with(name, move |peer| {
        let _ = peer.fill(std::time::Duration::from_secs(30));
        let told = String::from_utf8_lossy(&std::mem::take(&mut peer.buffer)).into_owned();
        let _ = peer.try_send(format!("220 {name} {}\r\n", told.escape_debug()));
        while peer.fill(std::time::Duration::from_secs(30)).is_ok_and(|n| n > 0) {
            let bytes = std::mem::take(&mut peer.buffer);
            let answer = if bytes.starts_with(b"QUIT") { "221 bye\r\n" } else { "250 fine\r\n" };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    })
}

#[test]
fn mail_servers_learn_who_has_connected() {
    let (one, two, secure) = (mail("mx1"), mail("mx2"), mail("imap"));
    let imported = Case::new("haproxy/13-mail.cfg")
        .bind("*:25")
        .bind("*:993")
        .swap("10.13.0.1:10025", &one)
        .swap("10.13.0.2:10025", &two)
        .swap("10.13.0.1:10993", &secure)
        .run();
    let told = greeting(&imported.proxy.at("smtp"));
    assert!(told.starts_with("220 mx1 ") && told.contains("QUIT"), "version 2 of the PROXY protocol: {told}");
    let told = greeting(&imported.proxy.at("imaps"));
    assert!(told.contains("PROXY TCP4 127.0.0.1 127.0.0.1"), "{told}");
    assert!(imported.toml.contains(r#"health = { type = "smtp", host = "balancer.mail.test""#), "{}", imported.toml);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn brokers_are_checked_where_they_say() {
    let (one, two, mqtt) = (Target::greets("rabbit1"), Target::greets("rabbit2"), Target::greets("mqtt"));
    let imported = Case::new("haproxy/14-brokers.cfg")
        .bind("*:5672")
        .bind("*:1883")
        .swap("10.14.0.1:5672", &one)
        .swap("10.14.0.2:5672", &two)
        .swap("10.14.0.3:1883", &mqtt)
        .swap("connect port 1884", format!("connect port {}", mqtt.address.port()))
        .run();
    let amqp = imported.proxy.at("amqp");
    let mut held = Client::to(&amqp);
    let first = String::from_utf8(held.exact(7).unwrap()).unwrap();
    let second = greeting(&amqp);
    assert!(first != second && second.starts_with("rabbit"), "the least connections: {first}, {second}");
    assert_eq!(greeting(&imported.proxy.at("mqtt")), "mqtt");
    assert!(imported.toml.contains("[admin]\nsocket = \"/run/ringway/admin.sock\""));
    assert_eq!(imported.unsupported(), [""; 0]);
}

/// A Redis that says which role it has.
fn redis(name: &'static str, role: &'static str) -> Target {
    Target::with(name, move |peer| {
        while peer.fill(std::time::Duration::from_secs(30)).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&std::mem::take(&mut peer.buffer)).into_owned();
            for line in text.lines() {
                let answer = match line {
                    "PING" => "+PONG\r\n".to_owned(),
                    "info replication" => format!("$20\r\n# Replication\r\nrole:{role}\r\n"),
                    "QUIT" => "+OK\r\n".to_owned(),
                    _ => format!("+{name}\r\n"),
                };
                if peer.try_send(answer).is_err() {
                    return;
                }
            }
        }
    })
}

#[test]
fn commands_go_to_the_redis_that_is_the_master() {
    let (replica, master) = (redis("one", "slave"), redis("two", "master"));
    let imported = Case::new("haproxy/15-redis.cfg")
        .bind("*:6379")
        .swap("10.15.0.1:6379", &replica)
        .swap("10.15.0.2:6379", &master)
        .run();
    let at = imported.proxy.at("redis-in");
    imported.proxy.log.wait(&["target is down", &replica.to_string()]);
    for _ in 0..4 {
        let mut client = Client::to(&at);
        client.send("WHO\r\n");
        assert_eq!(client.exact(6).unwrap(), b"+two\r\n");
    }
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn what_replaces_first_is_said() {
    let (one, two) = (Target::greets("node1"), Target::greets("node2"));
    let case = Case::new("haproxy/16-mysql.cfg").bind("10.16.0.100:3306");
    // What greets otherwise than MySQL is down to its check, so that the backup works.
    let imported = case.swap("10.16.0.1:3306", &one).swap("10.16.0.2:3306 check", &two).run();
    imported.proxy.log.wait(&["target is down", &one.to_string()]);
    assert_eq!(imported.unsupported(), ["balance first"]);
    assert!(imported.toml.contains(r#"type = "mysql", user = "haproxy""#), "{}", imported.toml);
    assert!(imported.toml.contains("on_down = \"close\"\non_up = \"close-backups\""));
    assert!(imported.line("server node2").notes.contains("it is checked"), "{:?}", imported.line("server node2"));
}

#[test]
fn a_client_of_tcp_comes_to_its_server_again() {
    let (one, two) = (Target::greets("ts1"), Target::greets("ts2"));
    let imported = Case::new("haproxy/18-source-table.cfg")
        .bind("*:3389")
        .swap("10.18.0.1:3389", &one)
        .swap("10.18.0.2:3389", &two)
        .run();
    let at = imported.proxy.at("rdp");
    let mut held = Client::to(&at);
    let first = String::from_utf8(held.exact(3).unwrap()).unwrap();
    for _ in 0..4 {
        assert_eq!(greeting(&at), first, "although the other one has less to do");
    }
    assert_eq!(imported.unsupported(), ["peers cluster", "peer here 10.18.0.200:1024", "peer there 10.18.0.201:1024"]);
}

#[test]
fn strangers_get_few_connections() {
    let bastion = Target::greets("bastion");
    let imported = Case::new("haproxy/30-connections.cfg").bind("*:2222").swap("10.30.0.1:22", &bastion).run();
    let at = imported.proxy.at("ssh");
    let mut held: Vec<Client> = (0..2).map(|_| Client::to(&at)).collect();
    held.iter_mut().for_each(|client| assert_eq!(client.exact(7).unwrap(), b"bastion"));
    assert!(Client::is_refused(&at), "the third");
    held.pop();
    eventually("there is room again", || !Client::is_refused(&at));
    assert!(imported.toml.contains(r#"allow = ["127.0.0.0/8", "10.0.0.0/8"]"#), "{}", imported.toml);
    assert!(imported.toml.contains(r#"rate = "2/s", burst = 120"#), "{}", imported.toml);
    assert_eq!(imported.unsupported(), [""; 0]);
}
