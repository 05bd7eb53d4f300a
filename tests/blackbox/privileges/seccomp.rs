//! `runtime.seccomp`: everything that is done without the filter is done under it, and what is not on the list is refused.

use super::of_threads;
use crate::support::h2;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::{Authority, Kind, listener};
use crate::support::toml::{http_with, pool};
use crate::support::{Target, eventually, load};
use std::fs;

#[track_caller]
fn assert_filtered(proxy: &Proxy) {
    for (name, value) in [("Seccomp", "2"), ("NoNewPrivs", "1"), ("Seccomp_filters", "2")] {
        let all = of_threads(proxy.pid(), name);
        // Older kernels do not tell the last one.
        assert!(all.len() > 2 && all.iter().all(|of| of == value || of.is_empty()), "{name}: {all:?}");
    }
    assert!(of_threads(proxy.pid(), "Seccomp").iter().all(|of| of == "2"));
}

/// HTTP/1.1 and HTTP/2 over TLS, checks of several kinds, a log, a cache on the disk, reloads and upgrades.
#[test]
fn everything_is_served_under_the_filter_over_reloads_and_upgrades() {
    let (target, by_program, refused) = (Target::echo("a"), Target::echo("b"), Target::echo("c"));
    let setup = Setup::new("").runtime("seccomp = true");
    let authority = Authority::new("root");
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let log = setup.directory().join("access.log");
    let check = |words: &str| {
        format!("health = {{ type = \"command\", command = {words}, interval = \"100ms\", rise = 1, fall = 1 }}")
    };
    let config = http_with(&listener(&["site"], ""), &[&target], "health = { type = \"http\", path = \"/\" }")
        + &pool("programs", &[&by_program], &check(r#"["sh", "-c", "echo x | grep -q x && test -d /"]"#))
        + &pool("refused", &[&refused], &check(r#"["chroot", "/", "true"]"#))
        + "[routes.programs]\npaths = [\"/programs\"]\npool = \"programs\"\n"
        + "[routes.refused]\npaths = [\"/refused\"]\npool = \"refused\"\n"
        + "[routes.kept]\npaths = [\"/kept/\"]\npool = \"site\"\ncache = \"some\"\n"
        + "[caches.some]\nmemory = \"1MiB\"\ndisk = { path = \"kept\", size = \"64MiB\" }\n"
        + "[listeners.clear]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n"
        + &format!("[access_log]\npath = {log:?}\n");
    let mut proxy = setup.with(config).start();
    proxy.log.wait(&["system calls are filtered"]);
    for round in 0..3 {
        assert_filtered(&proxy);
        load::run(&proxy.at("clear"), 4, 100, |n| format!("/{n}")).assert_clean();
        load::run(&proxy.at("clear"), 2, 20, |n| format!("/kept/{n}")).assert_clean();
        let mut client = authority.dial().to(&proxy.web(), "site.test");
        assert_eq!(client.ask("GET", "/", &[]).status, 200);
        let client = h2::Client::secure(authority.dial().alpn(&["h2"]).config(), &proxy.web(), "site.test");
        assert_eq!(client.get("/").status, 200);
        let up = |target: &Target| proxy.metric("ringway_target_up", &[("target", &target.to_string())]);
        eventually("a program that a check runs does its work", || up(&by_program) == 1.0);
        eventually("one that asks the kernel for more does not", || up(&refused) == 0.0);
        fs::rename(&log, log.with_extension("old")).unwrap();
        proxy.signal(libc::SIGUSR1);
        eventually("the log is opened anew", || log.exists());

        let text = fs::read_to_string(proxy.config_file()).unwrap();
        let more = format!("[listeners.more{round}]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n");
        fs::write(proxy.config_file(), text + &more).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.log.wait(&["is in force", &format!("listeners.more{round}")]);
        load::run(&proxy.at(&format!("more{round}")), 2, 20, |n| format!("/{n}")).assert_clean();
        proxy.upgrade();
    }
    proxy.signal(libc::SIGTERM);
    eventually("it ends", || !std::path::Path::new(&format!("/proc/{}/fd", proxy.pid())).exists());
}
