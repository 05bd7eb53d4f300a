//! Both drivers, and the way from one to the other where the kernel or a container does not allow io_uring.

use crate::support::hurt::deny_io_uring;
use crate::support::proxy::Setup;
use crate::support::toml::{http, http_with};
use crate::support::{Target, assert_same, eventually, load, pattern};

/// A container that denies io_uring_setup: balancing, health checks, metrics and both logs work all the same.
#[test]
fn where_io_uring_is_denied_everything_works_on_epoll() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let (target, dying) = (Target::echo("a"), Target::echo("b"));
        let lines = "health = { type = \"tcp\", interval = \"100ms\", fall = 2 }";
        let config =
            http_with("", &[&target, &dying], lines) + "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";
        let mut proxy = Setup::new(config).driver("auto").before(deny_io_uring(errno)).start();
        proxy.log.wait(&["WARN", "epoll"]);
        let body = pattern(1 << 20);
        assert_same(&proxy.client().post("/", &body).body, &body);
        load::run(&proxy.web(), 4, 200, |n| format!("/{n}")).assert_clean();
        dying.kill();
        eventually("control checks health", || {
            proxy.metric("ringway_target_up", &[("target", &dying.to_string())]) == 0.0
        });
        eventually("the access log is written", || proxy.out.all().len() >= 201);
        proxy.settles("ringway_access_log_lines_lost_total", &[], 0.0);
        proxy.signal(libc::SIGTERM);
        assert_eq!(proxy.exit().code(), Some(0));
    }
}

#[test]
fn io_uring_asked_for_by_name_and_denied_is_an_error() {
    let target = Target::echo("a");
    let mut proxy = Setup::new(http(&[&target])).driver("io_uring").before(deny_io_uring(libc::EPERM)).spawn();
    assert_eq!(proxy.exit().code(), Some(1));
    proxy.log.wait(&["io_uring"]);
}

#[test]
fn each_driver_serves() {
    for driver in ["io_uring", "epoll", "auto"] {
        let target = Target::echo("a");
        let proxy = Setup::new(http(&[&target])).driver(driver).start();
        load::run(&proxy.web(), 4, 200, |n| format!("/{n}")).assert_clean();
        let rings = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid()))
            .unwrap()
            .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
            .filter(|link| link.to_string_lossy().contains("io_uring"))
            .count();
        if driver == "epoll" {
            // The access log's thread may have one; the workers have none.
            assert!(rings <= 1, "{rings} rings");
        } else {
            assert!(rings >= 2, "{driver}: {rings} rings");
        }
    }
}
