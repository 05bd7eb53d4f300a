//! One set of routes, served as several stages.

use crate::support::client::fetch;
use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::target::Target;
use crate::support::toml::{http_with, pool};
use crate::support::{Client, eventually};

const STAGES: &str = "[stages.prod]\nhosts = [\"api.test\"]\n\
                      [stages.staging]\nhosts = [\"staging.test\"]\npools = { orders = \"orders-staging\" }\n\
                      [stages.dev]\nhosts = [\"staging.test\"]\nprefix = \"/dev\"\npools = { orders = \"orders-dev\" }\n";

const ROUTES: &str = "[routes.orders]\npaths = [\"/v1/orders/\"]\nstrip_prefix = \"/v1\"\nstages = [\"dev\", \"staging\", \"prod\"]\npool = \"orders\"\n\
                      [routes.hello]\npaths = [\"=/hello\", \"~^/hello/[0-9]+$|/ho$\"]\nstages = [\"dev\", \"prod\"]\nrespond = { status = 200, body = \"hello\" }\n\
                      [routes.plain]\npaths = [\"/plain/\"]\npool = \"orders\"\n";

fn config(prod: &Target, staging: &Target, dev: &Target) -> String {
    http_with("", &[prod], "")
        + &pool("orders", &[prod], "")
        + &pool("orders-staging", &[staging], "")
        + &pool("orders-dev", &[dev], "")
        + "[access_log]\npath = \"stdout\"\n"
        + STAGES
        + ROUTES
}

/// Asks a host. Returns the status and, of an echo, its target and the path that it saw.
#[track_caller]
fn ask(client: &mut Client, host: &str, path: &str, target: &Target) -> (u16, String, String) {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let response = client.response();
    let name = if response.status == 200 && response.field("x-target").is_some() {
        response.target()
    } else {
        response.text()
    };
    (response.status, name, if target.requests() > 0 { target.last().path } else { String::new() })
}

#[test]
fn each_stage_has_its_hosts_its_prefix_and_its_pools() {
    let [prod, staging, dev] = ["prod", "staging", "dev"].map(Target::echo);
    let proxy = Proxy::start(config(&prod, &staging, &dev));
    let mut client = proxy.client();
    for (host, path, target, seen) in [
        ("api.test", "/v1/orders/1", &prod, "/orders/1"),
        ("staging.test", "/v1/orders/2", &staging, "/orders/2"),
        ("staging.test", "/dev/v1/orders/3", &dev, "/orders/3"),
    ] {
        let before = target.requests();
        let (status, _, path_seen) = ask(&mut client, host, path, target);
        assert_eq!((status, target.requests(), path_seen.as_str()), (200, before + 1, seen), "{host}{path}");
    }
    for (host, path, text) in [
        ("api.test", "/hello", "hello"),
        ("api.test", "/hello/12", "hello"),
        ("staging.test", "/dev/hello", "hello"),
        ("staging.test", "/dev/hello/12", "hello"),
        ("staging.test", "/dev/ho", "hello"),
    ] {
        assert_eq!(ask(&mut client, host, path, &prod).1, text, "{host}{path}");
    }
    assert_eq!(
        ask(&mut client, "staging.test", "/ho", &prod).1,
        "prod",
        "no alternative of a regex is without the prefix"
    );
    let line = proxy.out.wait(&["/dev/v1/orders/3"]);
    assert!(line.contains("\"route\":\"orders@dev\""), "{line}");
    assert!(proxy.metric("ringway_route_requests_total", &[("route", "orders@staging")]) >= 1.0);
    assert!(!proxy.metrics().contains("route=\"orders\""), "it is there for its stages alone");
    assert!(proxy.metrics().contains("route=\"plain\""));
}

#[test]
fn a_reload_changes_a_stage_and_leaves_the_others() {
    let [prod, staging, dev] = ["prod", "staging", "dev"].map(Target::echo);
    let setup = Setup::new(config(&prod, &staging, &dev));
    let file = setup.directory().join("ringway.toml");
    let proxy = setup.start();
    let mut client = proxy.client();
    ask(&mut client, "staging.test", "/v1/orders/", &staging);
    assert_eq!((staging.requests(), dev.requests()), (1, 0));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("orders = \"orders-staging\"", "orders = \"orders-dev\"")).unwrap();
    proxy.signal(libc::SIGHUP);
    eventually("it is taken up", || {
        ask(&mut proxy.client(), "staging.test", "/v1/orders/", &staging);
        dev.requests() > 0
    });
    ask(&mut client, "api.test", "/v1/orders/", &prod);
    assert_eq!(prod.requests(), 1);
    assert_eq!(fetch(&proxy.web(), "GET", "/plain/", &[]).status, 200);
}

#[test]
fn explain_and_the_tests_of_a_configuration_know_routes_by_their_stage() {
    let directory = Directory::new();
    let tests = "[tests.dev]\nrequest = { url = \"http://staging.test/dev/v1/orders/1\" }\n\
                 expect = { route = \"orders@dev\", pool = \"orders-dev\", target_path = \"/orders/1\" }\n";
    let pools = ["orders", "orders-staging", "orders-dev"].map(|name| pool(name, &["127.0.0.1:1"], "")).concat();
    let listener = "[listeners.web]\nlisten = [\"127.0.0.1:80\"]\n".to_owned();
    let file = directory.write("ringway.toml", &(listener.clone() + &pools + STAGES + ROUTES + tests));
    let (code, out, err) = ringway(&["check", "-c", &file]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, err) = ringway(&["explain", "-c", &file, "http://staging.test/dev/v1/orders/1"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("orders@dev") && out.contains("orders-dev") && out.contains("GET /orders/1"), "{out}");
    let same = STAGES.replace("prefix = \"/dev\"\n", "");
    let file = directory.write("tie.toml", &(listener + &pools + &same + ROUTES));
    let (code, _, err) = ringway(&["check", "-c", &file]);
    assert_eq!(code, Some(2));
    assert!(err.contains("\"orders@dev\" and \"orders@staging\" tie"), "{err}");
}
