//! What a cache keeps on the disk, over restarts and kills.

use crate::admin::{Desk, desk, setup};
use crate::support::client::request;
use crate::support::proxy::{Directory, Setup};
use crate::support::toml::http;
use crate::support::{Proxy, Target, eventually};
use std::path::Path;

/// A target whose answers are fresh for long, and tagged by the first part of their path; `/vary/` varies on X-Kind.
fn origin() -> Target {
    Target::with("origin", move |peer| {
        while let Some(seen) = peer.request() {
            let tag = format!("Surrogate-Key: {}", seen.path.split('/').nth(1).unwrap_or_default());
            let vary = if seen.path.starts_with("/vary/") { "Vary: X-Kind" } else { "X-Same: 1" };
            let body = seen.path.repeat(if seen.path.contains("large") { 100_000 } else { 3 });
            if peer.reply(200, &["Cache-Control: max-age=600", &tag, vary], body.as_bytes()).is_none() {
                return;
            }
        }
    })
}

/// A target whose answers are fresh for long, each with a body made of its path.
fn fresh(body: impl Fn(&str) -> String + Send + Sync + 'static) -> Target {
    Target::with("origin", move |peer| {
        while let Some(seen) = peer.request() {
            if peer.reply(200, &["Cache-Control: max-age=600"], body(&seen.path).as_bytes()).is_none() {
                return;
            }
        }
    })
}

fn config(target: &Target, folder: &Path) -> String {
    http(&[target])
        + &format!("\n[caches.c]\nmemory = \"4MiB\"\ndisk = {{ path = \"{}\", size = \"64MiB\" }}\n", folder.display())
        + "[routes.all]\npool = \"site\"\ncache = \"c\"\n"
}

fn start(target: &Target, folder: &Path) -> Desk {
    start_with(&config(target, folder))
}

fn start_with(text: &str) -> Desk {
    let desk = desk(setup(text, "").start());
    desk.proxy.log.wait(&["the disk cache is read"]);
    desk
}

/// Asks for a path until it is on the disk as well.
fn keep(desk: &Desk, paths: &[&str]) {
    for (nth, path) in paths.iter().enumerate() {
        assert_eq!(desk.proxy.get(path).body, path.repeat(if path.contains("large") { 100_000 } else { 3 }).as_bytes());
        eventually("it is on the disk", || {
            desk.proxy.metric("ringway_cache_objects", &[("cache", "c"), ("tier", "disk")]) > nth as f64
        });
    }
}

#[test]
fn what_is_on_the_disk_is_found_again_after_a_kill() {
    let (target, folder) = (origin(), Directory::new());
    let paths = ["/a/small", "/a/large", "/vary/x"];
    let mut before = start(&target, folder.path());
    keep(&before, &paths);
    before.proxy.signal(libc::SIGKILL);
    before.proxy.exit();
    let after = start(&target, folder.path());
    for path in paths {
        let answer = after.proxy.get(path);
        assert!(super::hit(&answer), "{path}: {}", super::told(&answer));
        assert!(answer.body == path.repeat(if path.contains("large") { 100_000 } else { 3 }).as_bytes(), "{path}");
    }
    let other = after.proxy.client().ask("GET", "/vary/x", &["X-Kind: 2"]);
    assert!(!super::hit(&other), "another variant is asked for");
    assert_eq!(target.requests(), 4);
}

#[test]
fn what_memory_has_no_room_for_is_given_from_the_disk_and_taken_in_once_it_is_asked_for_again() {
    let folder = Directory::new();
    let body = |path: &str| path.repeat(16_000 / path.len());
    let target = fresh(body);
    let desk = start_with(&config(&target, folder.path()).replace("\"4MiB", "\"1MiB"));
    let paths: Vec<String> = (100..300).map(|nth| format!("/{nth}")).collect();
    let mut client = desk.proxy.client();
    paths.iter().for_each(|path| assert_eq!(client.get(path).status, 200));
    let disk = |what: &str| desk.proxy.metric(&format!("ringway_cache_disk_{what}_total"), &[("cache", "c")]);
    eventually("all are on the disk", || disk("stored") >= 200.0);
    for path in &paths {
        let answer = client.get(path);
        assert!(super::hit(&answer) && answer.body == body(path).as_bytes(), "{path}: {}", super::told(&answer));
    }
    let read = disk("read");
    assert!(read > 100.0, "{read}: memory has room for a third of them at most");
    for _ in 0..3 {
        assert!(super::hit(&client.get("/100")));
    }
    assert!(disk("read") <= read + 2.0, "it is in memory by now");
    assert_eq!(target.requests(), 200);
}

#[test]
fn what_a_client_does_not_take_at_once_of_what_is_on_the_disk_is_whole_all_the_same() {
    let folder = Directory::new();
    let body = |path: &str| path.repeat(60_000 / path.len());
    let target = fresh(body);
    let desk = start_with(&config(&target, folder.path()).replace("\"4MiB", "\"1MiB"));
    let paths: Vec<String> = (100..500).map(|nth| format!("/{nth}")).collect();
    let mut client = desk.proxy.client();
    paths.iter().for_each(|path| assert_eq!(client.get(path).status, 200));
    let disk = |what: &str| desk.proxy.metric(&format!("ringway_cache_disk_{what}_total"), &[("cache", "c")]);
    eventually("all are on the disk", || disk("stored") >= 400.0);
    client.send(paths.iter().map(|path| request("GET", path, &[])).collect::<String>());
    // More than fits between the two of them: some answer has been taken in part.
    let (mut reads, mut same) = (0.0, 0);
    eventually("it is held back", || {
        let now = disk("read");
        same = if now == reads && now > 0.0 { same + 1 } else { 0 };
        reads = now;
        same > 20
    });
    assert!(reads < 390.0, "{reads}");
    for path in &paths {
        let answer = client.response();
        assert!(super::hit(&answer) && answer.body == body(path).as_bytes(), "{path}: {}", super::told(&answer));
    }
    assert_eq!(target.requests(), 400);
}

#[test]
fn what_is_damaged_on_the_disk_is_asked_for_anew_and_counted() {
    let (target, folder) = (origin(), Directory::new());
    let mut before = start(&target, folder.path());
    keep(&before, &["/a/small", "/b/small"]);
    let stored = |desk: &Desk| desk.proxy.metric("ringway_cache_disk_stored_total", &[("cache", "c")]);
    assert_eq!(stored(&before), 2.0);
    before.proxy.signal(libc::SIGTERM);
    before.proxy.exit();
    // One letter of one body.
    let mut found = 0;
    for file in std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(16).position(|window| window == b"/a/small/a/small") {
            bytes[at + 3] = b'S';
            std::fs::write(&file, bytes).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1, "it is on the disk as it is");
    let after = start(&target, folder.path());
    for (path, stays) in [("/a/small", false), ("/b/small", true)] {
        let answer = after.proxy.get(path);
        assert_eq!((answer.body.as_slice(), super::hit(&answer)), (path.repeat(3).as_bytes(), stays), "{path}");
    }
    let corrupt = after.proxy.metric("ringway_cache_disk_errors_total", &[("cache", "c"), ("kind", "corrupt")]);
    assert_eq!(corrupt, 1.0);
}

#[test]
fn what_was_purged_stays_so_after_a_kill_and_a_loss_of_power() {
    let (target, folder) = (origin(), Directory::new());
    let mut before = start(&target, folder.path());
    keep(&before, &["/tag/x", "/other/x", "/prefix/x", "/url/x"]);
    // What the disk has of them by now is what it has after the power was lost; of purges it has what was waited for.
    let is_segment = |path: &Path| path.extension().is_some_and(|end| end == "segment");
    let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let segments: Vec<_> =
        files.filter(|path| is_segment(path)).map(|path| (std::fs::read(&path).unwrap(), path)).collect();
    for what in [&["--tag", "tag"][..], &["--prefix", "http://site.test/prefix/"], &["http://site.test/url/x"]] {
        let (code, told, wrong) = before.run(&[&["purge"], what].concat());
        assert_eq!(code, Some(0), "{told}{wrong}");
    }
    before.proxy.signal(libc::SIGKILL);
    before.proxy.exit();
    segments.iter().for_each(|(bytes, path)| std::fs::write(path, bytes).unwrap());
    let after = start(&target, folder.path());
    for (path, stays) in [("/tag/x", false), ("/other/x", true), ("/prefix/x", false), ("/url/x", false)] {
        let answer = after.proxy.get(path);
        assert_eq!(super::hit(&answer), stays, "{path}: {}", super::told(&answer));
    }
}

#[test]
fn what_a_client_has_changed_stays_changed_over_a_restart() {
    let (target, folder) = (origin(), Directory::new());
    let text = config(&target, folder.path())
        .replace("cache = \"c\"\n", "cache = { store = \"c\", key = { headers = [\"x-lang\"] } }\n");
    let start = || start_with(&text);
    let mut before = start();
    let ask = |desk: &Desk, method: &str, path: &str| {
        desk.proxy.client().ask(method, path, &["X-Lang: en", "Content-Length: 0"])
    };
    for (nth, path) in ["/a/x", "/b/x"].into_iter().enumerate() {
        ask(&before, "GET", path);
        eventually("it is on the disk", || {
            before.proxy.metric("ringway_cache_disk_stored_total", &[("cache", "c")]) > nth as f64
        });
    }
    // It names no X-Lang, so that what it has changed is found by its URI alone.
    before.proxy.client().ask("POST", "/a/x", &["Content-Length: 0"]);
    before.proxy.signal(libc::SIGTERM);
    before.proxy.exit();
    let after = start();
    assert!(!super::hit(&ask(&after, "GET", "/a/x")));
    assert!(super::hit(&ask(&after, "GET", "/b/x")));
}

#[test]
fn a_folder_that_cannot_be_had_is_told_before_anything_is_served() {
    let target = origin();
    let mut failed = Setup::new(config(&target, Path::new("/proc/none"))).spawn();
    assert!(!failed.exit().success());
    failed.log.wait(&["cache `c` cannot use the folder /proc/none"]);
    failed.log.wait(&["caches.c.disk.path"]);
}

#[test]
fn two_caches_cannot_have_one_folder() {
    let (target, folder) = (origin(), Directory::new());
    let text = config(&target, folder.path());
    let two = text.clone()
        + &text[text.find("[caches.c]").unwrap()..text.find("[routes.all]").unwrap()].replace("caches.c", "caches.d")
        + "[routes.b]\npaths = [\"/b/\"]\npool = \"site\"\ncache = \"d\"\n";
    let mut failed = Setup::new(two).spawn();
    assert!(!failed.exit().success());
    failed.log.wait(&["the caches `c` and `d` have one folder"]);
    drop(Proxy::start(text));
}
