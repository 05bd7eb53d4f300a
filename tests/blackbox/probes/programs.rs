//! Checks by a program.

use super::{passed, shown, up};
use crate::support::proxy::Setup;
use crate::support::toml::tcp_with;
use crate::support::{Target, eventually};
use std::path::Path;

fn write(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_is_told_whom_to_check_and_decides_by_its_exit_code() {
    let target = Target::greets("a");
    let setup = Setup::new("").env("SECRET_OF_RINGWAY", "1");
    let (program, told, fails) = ("check", "told", "fails");
    let at = |name: &str| setup.directory().join(name);
    let script = format!(
        "env > {}.new; mv {}.new {}; test ! -e {} || {{ echo 'no quorum' >&2; exit 7; }}",
        at(told).display(),
        at(told).display(),
        at(told).display(),
        at(fails).display()
    );
    write(&at(program), &script);
    let health = format!(
        "health = {{ type = \"command\", command = [\"{}\"], interval = \"100ms\", timeout = \"20s\", fall = 1, rise = 1 }}",
        at(program).display()
    );
    let (told, fails) = (at(told), at(fails));
    let proxy = setup.with(tcp_with("", &[&target], &health)).start();
    eventually("it passes", || passed(&proxy) >= 1.0);
    let told = std::fs::read_to_string(told).unwrap();
    for line in [
        "RINGWAY_POOL=site".to_owned(),
        format!("RINGWAY_TARGET={target}"),
        format!("RINGWAY_ADDRESS={}", target.address.ip()),
        format!("RINGWAY_PORT={}", target.address.port()),
    ] {
        assert!(told.lines().any(|of| of == line), "{line} in {told}");
    }
    assert!(!told.contains("SECRET_OF_RINGWAY"), "the environment of Ringway is its own: {told}");
    std::fs::write(fails, "").unwrap();
    eventually("it is down", || !up(&proxy, &target));
    proxy.log.wait(&["target is down", "check=\"PROCERR\"", "exit status: 7: no quorum"]);
    assert_eq!(shown(&proxy, "site", &target)["check"]["code"], 7);
}

#[test]
fn a_program_that_hangs_is_killed_with_what_it_started_and_few_run_at_a_time() {
    let targets: Vec<Target> = (0..40).map(|n| Target::greets(&format!("t{n}"))).collect();
    let setup = Setup::new("");
    let program = setup.directory().join("hangs");
    let mark = format!("{}", 86_000 + std::process::id() % 1000);
    write(&program, &format!("sleep {mark}.{mark} & wait"));
    let health = format!(
        "health = {{ type = \"command\", command = [\"{}\"], interval = \"100ms\", timeout = \"300ms\", fall = 1 }}",
        program.display()
    );
    let mut proxy = setup.with(tcp_with("", &targets, &health)).start();
    let sleeping = || {
        let processes = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
        let word = format!("{mark}.{mark}");
        processes.filter(|line| line.split(|&b| b == 0).any(|of| of == word.as_bytes())).count()
    };
    let mut most = 0;
    eventually("all have failed", || {
        most = most.max(sleeping());
        targets.iter().all(|target| !up(&proxy, target))
    });
    assert!((1..=20).contains(&most), "{most} at a time");
    proxy.log.wait(&["target is down", "the program took too long"]);
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
    eventually("nothing of it is left", || sleeping() == 0);
}
