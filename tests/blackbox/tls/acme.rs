//! Certificates that an authority issues: every challenge, restarts, renewal, refusals, and an authority that is down.

use crate::support::client::fetch;
use crate::support::pebble::Pebble;
use crate::support::proxy::{Directory, Proxy, Setup, value};
use crate::support::tls::{Authority, Kind, shown};
use crate::support::{Client, Target, eventually, free_port, within};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pebble fails at random, waits, and looks again: several tries may be needed.
const ISSUING: Duration = Duration::from_secs(120);

/// What a proxy and its authority have in common; the state outlives the proxy.
struct Site {
    pebble: Pebble,
    state: Directory,
    target: Target,
    plain: u16,
    secure: u16,
    /// Further keys of the TLS of the listener.
    keys: String,
}

impl Site {
    fn new() -> Site {
        let (plain, secure) = (free_port(), free_port());
        Site {
            pebble: Pebble::new(),
            state: Directory::new(),
            target: Target::echo("a"),
            plain,
            secure,
            keys: String::new(),
        }
    }

    /// With the authority running.
    fn open(lifetime: u32) -> Site {
        let mut site = Site::new();
        site.pebble.start(site.plain, site.secure, lifetime);
        site
    }

    /// A listener in clear that redirects, and one with TLS that has an authority.
    fn start(&self, names: &[&str], more: &str) -> Proxy {
        let Site { plain, secure, target, keys, .. } = self;
        let config = format!(
            "[listeners.plain]\nlisten = [\"127.0.0.1:{plain}\"]\nredirect = \"https\"\n\
             [listeners.web]\nlisten = [\"127.0.0.1:{secure}\"]\npool = \"site\"\n[listeners.web.tls]\n{}\n{keys}\n\
             [pools.site]\ntargets = [\"{target}\"]\n",
            self.pebble.key(names, more)
        );
        Setup::new(config).runtime(&format!("state_dir = {:?}", self.state.path())).start()
    }

    fn web(&self) -> String {
        format!("127.0.0.1:{}", self.secure)
    }

    /// A connection for `name`, once there is a certificate for it.
    fn wait_for(&self, name: &str) -> Client {
        let dial = self.pebble.dial();
        let mut client = None;
        let issued = within(ISSUING, || {
            client = dial.try_to(&self.web(), name).ok();
            client.is_some()
        });
        assert!(issued, "no certificate for {name}");
        client.unwrap()
    }

    /// The folder of the one authority.
    fn folder(&self) -> PathBuf {
        fs::read_dir(self.state.path().join("acme")).unwrap().next().unwrap().unwrap().path()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn http_01_is_answered_before_the_redirect_and_a_restart_keeps_account_and_certificate() {
    let site = Site::open(1_000_000);
    let proxy = site.start(&["site.test", "www.site.test"], "");
    let mut client = site.wait_for("site.test");
    assert_eq!(client.get("/").target(), "a");
    let first = shown(&client);
    assert_eq!(shown(&site.wait_for("www.site.test")), first, "one certificate for both");
    proxy.log.wait(&["certificate issued", "site.test, www.site.test", "ca=\"127.0.0.1:"]);
    proxy.settles("ringway_acme_issued_total", &[("listener", "web")], 1.0);
    assert!(proxy.metric("ringway_acme_last_issued_timestamp_seconds", &[]) > 1.7e9);
    let left = proxy.metric("ringway_tls_certificate_expiry_seconds", &[("listener", "web")]);
    assert!((900_000.0..1_000_001.0).contains(&left), "{left}");

    // All else is redirected, and so is what no authority asks for.
    for path in ["/", "/.well-known/acme-challenge/unknown", "/.well-known/acme-challenge/"] {
        let answer = fetch(&format!("127.0.0.1:{}", site.plain), "GET", path, &["Connection: close"]);
        assert_eq!((answer.status, answer.field("location")), (308, Some(format!("https://site.test{path}"))));
    }

    let folder = site.folder();
    assert_eq!((mode(&site.state.path().join("acme")), mode(&folder)), (0o700, 0o700));
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files, [folder.join("account.json"), folder.join("web.pem")]);
    assert!(files.iter().all(|file| mode(file) == 0o600));
    let account = fs::read(folder.join("account.json")).unwrap();
    assert!(!proxy.log.all().iter().any(|line| line.contains("PRIVATE") || line.contains("key_pkcs8")));

    drop(proxy);
    let proxy = site.start(&["site.test", "www.site.test"], "");
    // At once, without asking.
    assert_eq!(shown(&site.pebble.dial().to(&site.web(), "site.test")), first);
    assert_eq!(proxy.metric("ringway_acme_issued_total", &[]), 0.0);
    drop(proxy);
    // Another name needs another certificate, but no other account; until it comes the old one serves.
    let proxy = site.start(&["site.test", "new.site.test"], "");
    assert_eq!(shown(&site.pebble.dial().to(&site.web(), "site.test")), first);
    site.wait_for("new.site.test");
    assert!(!proxy.log.contains(&["account made"]));
    assert_eq!(fs::read(folder.join("account.json")).unwrap(), account);
}

#[test]
fn tls_alpn_01_is_answered_in_the_handshake() {
    let mut site = Site::open(1_000_000);
    let own = Authority::new("Own");
    own.server(&["own.test"], Kind::Rsa).write(site.state.path(), "own");
    let file = |name| site.state.path().join(name);
    site.keys = format!("certificates = [{{ cert = {:?}, key = {:?} }}]", file("own.pem"), file("own.key"));
    let _proxy = site.start(&["site.test", "other.test"], ", challenge = \"tls-alpn-01\", key = \"ecdsa-p384\"");
    assert_eq!(own.dial().to(&site.web(), "own.test").get("/").status, 200, "what there is serves at once");
    let mut client = site.wait_for("site.test");
    assert_eq!(client.get("/").status, 200);
    site.wait_for("other.test");
    // Outside of a challenge there is nothing to be had by it.
    let asked = site.pebble.dial().alpn(&["acme-tls/1"]).try_to(&site.web(), "site.test").err().unwrap();
    assert!(asked.contains("UnrecognisedName"), "{asked}");
}

#[test]
fn dns_01_has_a_program_write_records_and_take_them_away() {
    let site = Site::open(1_000_000);
    let calls = site.state.path().join("calls");
    let hook = site.state.write(
        "hook",
        &format!(
            r#"#!/usr/bin/env python3
import json, sys, urllib.request
act, record, value = sys.argv[1:]
open({calls:?}, "a").write(" ".join(sys.argv[1:]) + "\n")
path, body = ("/set-txt", {{"host": record + ".", "value": value}}) if act == "present" else ("/clear-txt", {{"host": record + "."}})
urllib.request.urlopen("{}" + path, json.dumps(body).encode()).read()
"#,
            site.pebble.records()
        ),
    );
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let more = format!(", challenge = \"dns-01\", dns_hook = {hook:?}");
    let proxy = site.start(&["*.site.test", "site.test"], &more);
    let first = shown(&site.wait_for("any.site.test"));
    assert_eq!(shown(&site.wait_for("site.test")), first);
    proxy.log.wait(&["certificate issued"]);
    let calls = fs::read_to_string(calls).unwrap();
    let of = |act: &str| -> Vec<&str> { calls.lines().filter_map(|line| line.strip_prefix(act)).collect() };
    assert!(of("present _acme-challenge.site.test ").len() >= 2, "{calls}");
    let sorted = |mut all: Vec<&str>| {
        all.sort();
        all.join("\n")
    };
    assert_eq!(sorted(of("present ")), sorted(of("cleanup ")), "what was written is gone");
}

#[test]
fn an_authority_that_is_down_keeps_nothing_from_starting_and_is_asked_again() {
    let mut site = Site::new();
    let proxy = site.start(&["site.test"], "");
    proxy.log.wait(&["no certificate yet", "site.test", "ca=\"127.0.0.1:"]);
    let plain = format!("127.0.0.1:{}", site.plain);
    assert_eq!(fetch(&plain, "GET", "/", &["Connection: close"]).status, 308, "the rest is served");
    let strangers = Authority::new("Other").dial();
    let refused = strangers.try_to(&site.web(), "site.test").err().unwrap();
    assert!(refused.contains("UnrecognisedName"), "{refused}");
    proxy.settles("ringway_refused_total", &[("listener", "web"), ("reason", "unknown-name")], 1.0);
    let line = proxy.log.wait(&["no certificate: the authority cannot be asked", "refused", "retry_in=2s"]);
    assert!(line.contains("ERROR"), "{line}");
    eventually("a failure is counted", || proxy.metric("ringway_acme_failures_total", &[("listener", "web")]) >= 1.0);
    site.pebble.start(site.plain, site.secure, 1_000_000);
    assert_eq!(site.wait_for("site.test").get("/").status, 200);
    assert_eq!(proxy.metric("ringway_acme_issued_total", &[]), 1.0);
}

#[test]
fn a_certificate_is_renewed_in_time_and_no_handshake_fails_over_it() {
    let site = Site::open(25);
    let proxy = site.start(&["site.test"], "");
    let first = shown(&site.wait_for("site.test"));
    let dial = site.pebble.dial();
    let renewed = within(ISSUING, || {
        let mut client = dial.to(&site.web(), "site.test");
        assert_eq!(client.get("/").status, 200);
        std::thread::sleep(Duration::from_millis(100));
        shown(&client) != first
    });
    assert!(renewed, "it was not renewed");
    assert!(proxy.metric("ringway_acme_issued_total", &[]) >= 2.0);
}

#[test]
fn a_refusal_is_told_in_the_authoritys_words_and_a_restart_does_not_ask_more_often() {
    let mut site = Site::new();
    // Where the authority looks nobody answers.
    site.pebble.start(free_port(), site.secure, 1_000_000);
    let proxy = site.start(&["site.test"], "");
    let told = within(ISSUING, || proxy.log.contains(&["no certificate: the authority does not see", "`site.test`"]));
    assert!(told, "{:#?}", proxy.log);
    let line = proxy.log.wait(&["no certificate: the authority does not see"]);
    let retry: u64 = value(&line, "retry_in").unwrap().trim_end_matches('s').parse().unwrap();
    assert!((900..=1125).contains(&retry) && line.contains("ca=\"127.0.0.1:"), "{line}");
    let refusal = site.folder().join("web.refused");
    eventually("the refusal is kept", || refusal.exists());
    assert!(fs::read_to_string(&refusal).unwrap().contains("`site.test`: "));
    drop(proxy);
    let proxy = site.start(&["site.test"], "");
    proxy.log.wait(&["the authority refused a short while ago", "web.refused"]);
    assert_eq!(proxy.metric("ringway_acme_failures_total", &[]), 0.0);
    // Unless who mended it says so.
    proxy.signal(libc::SIGHUP);
    eventually("it is asked again", || proxy.metric("ringway_acme_failures_total", &[]) >= 1.0);
}

#[test]
fn an_account_that_the_authority_has_forgotten_is_put_aside_and_made_anew() {
    let mut site = Site::open(1_000_000);
    let proxy = site.start(&["site.test"], "");
    site.wait_for("site.test");
    drop(proxy);
    site.pebble.start(site.plain, site.secure, 1_000_000);
    let proxy = site.start(&["site.test", "new.test"], "");
    site.wait_for("new.test");
    let aside = site.folder().join("account.unknown");
    assert!(aside.exists() && mode(&aside) == 0o600);
    assert!(proxy.log.contains(&["account made"]));
}
