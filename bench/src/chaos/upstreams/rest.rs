//! What is looked at once all is over: nothing is in hand, and a limit can be used to its end.

use super::Addresses;
use super::variety::POOL_LIMIT;
use crate::plain;
use crate::succession::Succession;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long it may take until the last sessions of datagrams are over, and targets are up.
const LIMIT: Duration = Duration::from_secs(15);

/// What is still in hand; empty: nothing is.
pub fn in_hand(processes: &Succession) -> Result<String> {
    let gauges = ["_in_flight{", "_queue_length{", "ringway_udp_sessions{", "ringway_worker_retry_bytes{"];
    let end = Instant::now() + LIMIT;
    loop {
        let page = processes.metrics()?;
        let series = page.lines().filter(|line| gauges.iter().any(|name| line.contains(name)));
        let limit = |line: &&str| line.contains("max_in_flight");
        let held: Vec<&str> = series.filter(|line| !limit(line) && !line.ends_with(" 0")).collect();
        if held.is_empty() || Instant::now() > end {
            return Ok(held.join(", "));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Takes the whole limit of the pool `site` with requests that have not come to their end, and one more, which must wait; then
/// lets all of them end.
pub fn use_limit(processes: &Succession, at: &Addresses) -> Result<()> {
    let of_site = |name: &str| processes.metric(&format!("{name}{{pool=\"site\"}}"));
    let wait_for = |name: &str, wanted: f64| -> Result<()> {
        let end = Instant::now() + LIMIT;
        while of_site(name)? != wanted {
            ensure!(Instant::now() < end, "{name} is {}, not {wanted}", of_site(name)?);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    };
    let end = Instant::now() + LIMIT;
    while processes.metric("ringway_target_up{pool=\"site\"")? < 3.0 {
        ensure!(Instant::now() < end, "a target of `site` does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    let begin = || -> Result<TcpStream> {
        let mut stream = TcpStream::connect(at.http)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"POST /128 HTTP/1.1\r\nhost: last\r\nconnection: close\r\ncontent-length: 2\r\n\r\na")?;
        Ok(stream)
    };
    let mut all = (0..POOL_LIMIT).map(|_| begin()).collect::<Result<Vec<_>>>()?;
    wait_for("ringway_pool_in_flight", POOL_LIMIT as f64).context("the limit cannot be used to its end")?;
    wait_for("ringway_pool_queue_length", 0.0)?;
    all.push(begin()?);
    wait_for("ringway_pool_queue_length", 1.0).context("one beyond the limit does not wait")?;
    for mut stream in all {
        let mut answer = String::new();
        stream.write_all(b"b")?;
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    wait_for("ringway_pool_in_flight", 0.0)
}

/// Waits until metrics can be had of it.
pub fn wait_until_served(at: &Addresses) -> Result<()> {
    plain::wait_for(at.http, false, "/health", LIMIT)
}
