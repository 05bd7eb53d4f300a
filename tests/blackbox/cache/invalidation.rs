//! What is stored is forgotten when it is changed.

use super::{fresh, hit, origin, says, start, status};
use crate::support::client::request;
use crate::support::{Client, Target, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A target whose unsafe methods answer as the path says, and that tells how often it was asked for the rest.
fn changing() -> Target {
    origin(|seen, nth| match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", _) => says(&["Cache-Control: max-age=60", "Cache-Groups: \"g1\", \"g2\""], &nth.to_string()),
        (_, "/located") => status(201, &["Location: /named", "Content-Location: also?q=1"], ""),
        (_, "/abroad") => {
            status(201, &["Location: http://other.test/named", "Content-Location: https://site.test/named"], "")
        }
        (_, "/refused") => status(403, &["Location: /named"], ""),
        (_, "/failing") => status(500, &["Location: /named"], ""),
        (_, "/moved") => status(303, &["Location: /named"], ""),
        (_, "/grouped") => status(204, &["Cache-Group-Invalidation: \"g2\""], ""),
        _ => status(200, &[], ""),
    })
}

/// Has these stored.
fn store(client: &mut Client, paths: &[&str]) {
    for path in paths {
        client.get(path);
        assert!(hit(&client.get(path)), "{path}");
    }
}

#[test]
fn any_method_that_may_change_something_has_it_forgotten() {
    let target = changing();
    let proxy = start(&target);
    let mut client = proxy.client();
    for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "PURGE", "Got"] {
        store(&mut client, &["/a", "/b"]);
        assert_eq!(client.ask(method, "/a", &["Content-Length: 0"]).status, 200, "{method}");
        assert!(!hit(&client.get("/a")), "{method}");
        assert!(hit(&client.get("/b")), "{method} leaves others alone");
    }
    for method in ["OPTIONS", "HEAD"] {
        store(&mut client, &["/a"]);
        client.ask(method, "/a", &[]);
        assert!(hit(&client.get("/a")), "{method}");
    }
}

#[test]
fn what_the_answer_names_of_the_same_host_is_forgotten_with_it() {
    let target = changing();
    let proxy = start(&target);
    let mut client = proxy.client();
    let all = ["/named", "/also?q=1", "/also", "/x"];
    let mut after = |path: &str| {
        store(&mut client, &all);
        client.post(path, b"x");
        all.map(|path| hit(&client.ask("GET", path, &["Cache-Control: only-if-cached"])))
    };
    assert_eq!(after("/located"), [false, false, true, true]);
    assert_eq!(after("/moved"), [false, true, true, true]);
    assert_eq!(after("/abroad"), [true; 4], "nobody can have others' answers forgotten");
    assert_eq!(after("/refused"), [true; 4]);
    assert_eq!(after("/failing"), [true; 4]);
}

#[test]
fn a_failed_change_changes_nothing() {
    let target = changing();
    let proxy = start(&target);
    let mut client = proxy.client();
    for path in ["/refused", "/failing"] {
        store(&mut client, &[path]);
        client.post(path, b"x");
        assert!(hit(&client.get(path)), "{path}");
    }
}

#[test]
fn a_group_is_forgotten_as_a_whole() {
    let target = origin(|seen, nth| match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/one") => says(&["Cache-Control: max-age=60", "Cache-Groups: \"g1\""], &nth.to_string()),
        ("GET", "/none") => fresh(&nth.to_string()),
        ("GET", _) => says(&["Cache-Control: max-age=60", "Cache-Groups: \"g1\", \"g2\""], &nth.to_string()),
        (_, "/failing") => status(500, &["Cache-Group-Invalidation: \"g2\""], ""),
        _ => status(204, &["Cache-Group-Invalidation: \"g2\""], ""),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    let all = ["/one", "/both", "/two", "/none"];
    store(&mut client, &all);
    client.post("/failing", b"x");
    assert!(all.map(|path| hit(&client.get(path))).iter().all(|hit| *hit), "a change that failed");
    client.post("/change", b"x");
    assert_eq!(all.map(|path| hit(&client.get(path))), [true, false, false, true]);
    store(&mut client, &all);
}

#[test]
fn all_variants_are_forgotten() {
    let target = origin(|_, nth| says(&["Cache-Control: max-age=60", "Vary: X"], &nth.to_string()));
    let proxy = start(&target);
    let mut client = proxy.client();
    for x in ["X: 1", "X: 2"] {
        client.ask("GET", "/a", &[x]);
        assert!(hit(&client.ask("GET", "/a", &[x])));
    }
    client.post("/a", b"x");
    for x in ["X: 1", "X: 2"] {
        assert!(!hit(&client.ask("GET", "/a", &[x])), "{x}");
    }
}

#[test]
fn what_was_asked_for_before_a_change_is_not_stored_after_it() {
    // The change of the thing itself, and that of a group that it belongs to.
    for change in ["/a", "/change"] {
        let (open, got) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (is_open, has_got) = (open.clone(), got.clone());
        let target = Target::with("slow", move |peer| {
            while let Some(seen) = peer.request() {
                let slow = seen.method == "GET" && !has_got.swap(true, Ordering::SeqCst);
                let more = match seen.method.as_str() {
                    "GET" => "Cache-Control: max-age=60\r\nCache-Groups: \"g\"",
                    _ => "Cache-Group-Invalidation: \"g\"",
                };
                let text = if slow { "before" } else { "after." };
                if peer.try_send(format!("HTTP/1.1 200 OK\r\n{more}\r\nContent-Length: 6\r\n\r\n")).is_err() {
                    return;
                }
                while slow && !is_open.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                if peer.try_send(text).is_err() {
                    return;
                }
            }
        });
        let proxy = start(&target);
        let mut early = proxy.client();
        early.send(request("GET", "/a", &[]));
        eventually("its head has come", || early.fill(Duration::from_secs(5)).is_ok());
        let mut other = proxy.client();
        assert_eq!(other.post(change, b"x").status, 200);
        let after = other.get("/a");
        assert_eq!(after.text(), "after.", "who asks after the change gets what is there after it");
        open.store(true, Ordering::SeqCst);
        assert_eq!(early.response().text(), "before");
        let last = other.get("/a");
        assert_eq!((last.text().as_str(), hit(&last)), ("after.", true), "the old one is not stored over it");
    }
}
