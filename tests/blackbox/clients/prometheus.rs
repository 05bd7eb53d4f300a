//! Prometheus, which scrapes, and promtool, which looks at what it would scrape.

use super::Front;
use crate::support::client::fetch;
use crate::support::{PATIENCE, Target, eventually};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A page with something in every family that a small setup has.
fn busy(secure: bool) -> (Front, Target) {
    let target = Target::echo("a");
    let dead = crate::support::target::refused();
    let health = "health = { type = \"tcp\", interval = \"200ms\" }\n";
    let front = Front::start(secure, &[target.address, dead], health);
    for _ in 0..10 {
        let answer = match secure {
            true => front.authority.dial().to(&front.proxy.web(), "site.test").get("/"),
            false => front.proxy.get("/"),
        };
        assert_eq!(answer.status, 200);
    }
    (front, target)
}

#[test]
fn promtool_finds_no_fault() {
    for secure in [false, true] {
        let (front, _target) = busy(secure);
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(front.proxy.metrics().as_bytes()).unwrap();
        let told = promtool.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&told.stdout) + String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success() && text.trim().is_empty(), "{text}");
    }
}

/// A process that goes with its owner.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_it() {
    let (front, _target) = busy(false);
    let folder = front.ca.parent().unwrap().join("prometheus");
    std::fs::create_dir(&folder).unwrap();
    let config = format!(
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n- job_name: ringway\n  static_configs:\n  - targets: ['{}']\n",
        front.proxy.admin()
    );
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let _prometheus = Killed(
        Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let ask = |query: &str| -> Option<f64> {
        std::net::TcpStream::connect(&address).ok()?;
        let answer = fetch(&address, "GET", &format!("/api/v1/query?query={query}"), &["Connection: close"]);
        let value: serde_json::Value = serde_json::from_str(&answer.text()).ok()?;
        value["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    eventually("a scrape succeeds", || ask("up%7Bjob=%22ringway%22%7D") == Some(1.0));
    let taken = Instant::now();
    while ask("sum(ringway_http_requests_total)") != Some(10.0) {
        assert!(taken.elapsed() < PATIENCE, "{:?}", ask("sum(ringway_http_requests_total)"));
        std::thread::sleep(Duration::from_millis(50));
    }
    let quantile = "histogram_quantile(0.5,sum(rate(ringway_http_request_duration_seconds_bucket%5B1m%5D))by(le))";
    eventually("a quantile can be asked for", || ask(quantile).is_some());
}
