//! Lists of targets: files that are watched, endpoints that are asked.

use super::{fails, finding, has, setup, site, start, targets};
use crate::support::client::request;
use crate::support::load::Load;
use crate::support::proxy::ringway;
use crate::support::secure::{Secure, Speaks};
use crate::support::target::{Peer, Target};
use crate::support::tls::{Authority, Kind};
use crate::support::{Proxy, eventually};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A pool by a file `targets` beside the configuration, which holds `text`; or there is none.
fn by_file(text: Option<&str>) -> (Proxy, PathBuf) {
    let setup = setup(finding("file = \"targets\", hold = \"1s\"", "balance = \"round-robin\""));
    let path = setup.directory().join("targets");
    if let Some(text) = text {
        std::fs::write(&path, text).unwrap();
    }
    (setup.start(), path)
}

#[test]
fn a_file_is_followed_and_one_that_is_broken_or_gone_changes_nothing() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let (proxy, path) = by_file(Some(&format!("# ours\n{a}\n")));
    assert_eq!(targets(&proxy), [format!("{a} 1")], "it is known before the first request");
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(2));
    let json = format!(
        "[{{\"targets\": [\"{a}\"], \"labels\": {{\"env\": \"prod\"}}}}, {{\"targets\": [\"{b}\"], \"labels\": {{\"weight\": \"3\"}}}}]"
    );
    std::fs::write(&path, &json).unwrap();
    let mut both = [format!("{a} 1"), format!("{b} 3")];
    both.sort();
    has(&proxy, &both);
    let unknown = format!("targets = [{{ address = \"{a}\", wieght = 2 }}]\n");
    for broken in [json.replace('}', ""), format!("{a}\napp.test:80\n"), json.replace("\"3\"", "\"300\""), unknown] {
        std::fs::write(&path, broken).unwrap();
        fails(&proxy, 2.0);
        assert_eq!(targets(&proxy), both);
        std::fs::write(&path, &json).unwrap();
        eventually("it is mended", || site(&proxy)["discovery"].get("trouble").is_none());
    }
    std::fs::remove_file(&path).unwrap();
    fails(&proxy, 1.0);
    proxy.log.wait(&["does not answer", "there is no such file"]);
    assert_eq!(targets(&proxy), both);
    let next = path.with_file_name("next");
    std::fs::write(&next, format!("{b} weight=3\n")).unwrap();
    std::fs::rename(&next, &path).unwrap();
    has(&proxy, &[format!("{b} 3")]);
    load.stop().assert_clean();
}

#[test]
fn a_file_that_is_not_there_yet_and_one_that_is_empty_are_told_apart() {
    let a = Target::echo("a");
    let (proxy, path) = by_file(None);
    assert_eq!(proxy.get("/").status, 503);
    std::fs::write(&path, format!("{a} backup\n")).unwrap();
    has(&proxy, &[format!("{a} 1 backup")]);
    assert_eq!(proxy.get("/").target(), "a");
    std::fs::write(&path, "[]").unwrap();
    has(&proxy, &[]);
    proxy.log.wait(&["the source says that there is no target"]);
    assert_eq!(proxy.get("/").status, 503);
}

/// What an endpoint answers: status, tag, body.
type Said = Arc<Mutex<(u16, String, String)>>;

fn said(body: &str) -> Said {
    Arc::new(Mutex::new((200, "\"1\"".to_owned(), body.to_owned())))
}

/// Answers as it is told, and by 304 to whoever knows it already.
fn tell(said: &Said) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    let said = said.clone();
    move |peer| {
        while let Some(seen) = peer.request() {
            let (status, tag, body) = said.lock().unwrap().clone();
            let field = format!("ETag: {tag}");
            let sent = match seen.field("if-none-match") == Some(tag) && status == 200 {
                true => peer.reply(304, &[&field], b""),
                false => peer.reply(status, &[&field], body.as_bytes()),
            };
            if sent.is_none() {
                return;
            }
        }
    }
}

fn list(targets: &[&Target]) -> String {
    let all: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    format!("[{{\"targets\": [{}]}}]", all.join(", "))
}

#[test]
fn an_endpoint_is_asked_with_its_token_and_tells_what_is_new() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let said = said(&list(&[&a]));
    let registry = Target::with("registry", tell(&said));
    let discover = format!(
        "http = \"http://{registry}/v1/targets?secret=1\", interval = \"100ms\", timeout = \"1s\", token_file = \"token\""
    );
    let setup = setup(finding(&discover, ""));
    let token = setup.directory().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let proxy = setup.start();
    assert_eq!(targets(&proxy), [format!("{a} 1")]);
    let first = registry.wait_for(1);
    assert_eq!((first.method.as_str(), first.path.as_str()), ("GET", "/v1/targets?secret=1"));
    assert_eq!(first.field("authorization").as_deref(), Some("Bearer s3cret"));
    eventually("it is asked whether that has changed", || {
        registry.last().field("if-none-match").as_deref() == Some("\"1\"")
    });
    eventually("it has not, several times", || {
        proxy.metric("ringway_discovery_lookups_total", &[("result", "targets")]) >= 5.0
    });
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(2));
    let say = |status: u16, tag: &str, body: &str| *said.lock().unwrap() = (status, tag.to_owned(), body.to_owned());
    for (status, body, trouble) in [
        (500, list(&[&b]), "status 500"),
        (404, String::new(), "status 404"),
        (200, "<html>".to_owned(), "line 1: `<html>` is not a target's address"),
        (200, format!("[{}]", " ".repeat(9 << 20)), "length limit exceeded"),
    ] {
        say(status, "\"bad\"", &body);
        eventually(trouble, || {
            site(&proxy)["discovery"]["trouble"].as_str().is_some_and(|text| text.contains(trouble))
        });
        assert_eq!(targets(&proxy), [format!("{a} 1")], "{trouble}");
    }
    std::fs::write(&token, "other").unwrap();
    say(200, "\"2\"", &list(&[&b]));
    has(&proxy, &[format!("{b} 1")]);
    load.stop().assert_clean();
    eventually("the token is read anew", || registry.last().field("authorization").as_deref() == Some("Bearer other"));
    let shown = site(&proxy)["discovery"]["source"].clone();
    assert_eq!(shown, format!("http http://{registry}/v1/targets"), "what may be secret is not shown");
    let log = proxy.log.all().join("\n");
    assert!(!log.contains("s3cret") && !log.contains("secret=1"), "{log}");
}

#[test]
fn an_endpoint_is_believed_over_tls_if_it_proves_its_name() {
    let (a, authority) = (Target::echo("a"), Authority::new("Registry"));
    let made = authority.server(&["127.0.0.1", "localhost"], Kind::Ecdsa);
    let said = said(&list(&[&a]));
    let registry = Secure::with("registry", &Speaks::with(&made), tell(&said));
    let port = registry.target.address.port();
    let ip = registry.target.address.ip().to_string();
    let good = authority.server(&[&ip], Kind::Ecdsa);
    let discover = format!("http = \"https://{ip}:{port}/\", interval = \"100ms\", ca = \"ca.pem\"");
    let setup = setup(finding(&discover, ""));
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    let proxy = setup.start();
    proxy.log.wait(&["does not answer", "ertificate"]);
    assert_eq!(targets(&proxy), [""; 0], "it has proven another name");
    registry.now(&Speaks::with(&good));
    has(&proxy, &[format!("{a} 1")]);
}

#[test]
fn more_targets_than_there_may_be_are_left_out_and_told_of() {
    let setup = setup(finding("file = \"targets\", max_targets = 2", ""));
    std::fs::write(setup.directory().join("targets"), "10.0.0.3:80\n10.0.0.1:80\n10.0.0.2:80\n").unwrap();
    let proxy = setup.start();
    assert_eq!(targets(&proxy), ["10.0.0.1:80 1", "10.0.0.2:80 1"]);
    proxy.log.wait(&["more targets than `max_targets`", "beyond=1"]);
    assert_eq!(proxy.metric("ringway_discovery_left_out_targets", &[("pool", "site")]), 1.0);
}

/// They read the configuration alone: no name is looked up, no file of targets is read.
#[test]
fn check_and_explain_look_for_nothing() {
    let folder = crate::support::proxy::Directory::new();
    let text = "[listeners.web]\nlisten = [\"127.0.0.1:8080\"]\npool = \"site\"\n\
        [pools.site]\ndiscover = { dns = \"api.invalid\", port = 80 }\n[dns]\nservers = [\"127.0.0.1:9\"]\n\
        [tests.it-goes-on]\nrequest = { url = \"http://a.test:8080/\" }\nexpect = { pool = \"site\" }\n";
    let file = folder.write("ringway.toml", text);
    let (code, out, err) = ringway(&["check", "-c", &file]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("1 pool (0 targets; 1 pool finds its own)") && out.contains("1 test passed"), "{out}");
    let (code, out, _) = ringway(&["explain", "-c", &file, "http://a.test:8080/x"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("found by dns api.invalid:80"), "{out}");
    assert!(!start(finding("file = \"nowhere\"", "")).log.contains(&["panic"]));
}

#[test]
fn the_room_of_a_target_is_what_its_list_says_or_the_pool() {
    let target = Target::mute("a");
    let setup = setup(finding("file = \"targets\", max_in_flight = 1", "queue = { length = 0 }"));
    let path = setup.directory().join("targets");
    std::fs::write(&path, format!("targets = [\"{target}\"]\n")).unwrap();
    let proxy = setup.start();
    let ask = || {
        let mut client = proxy.client();
        client.send(request("GET", "/", &[]));
        client
    };
    let _first = ask();
    target.wait_for(1);
    assert_eq!(proxy.get("/").status, 503, "there is room for one");
    std::fs::write(&path, format!("targets = [{{ address = \"{target}\", max_in_flight = 2 }}]\n")).unwrap();
    eventually("there is room for two", || site(&proxy)["targets"][0]["max_in_flight"] == 2);
    let _second = ask();
    target.wait_for(2);
    assert_eq!(proxy.get("/").status, 503, "and no more");
}
