//! Configuration number N: each differs from the one before, over time in all that a reload can change.

use super::proxy::Addresses;
use std::fmt::Write;
use std::path::Path;

/// After so many the first one comes again.
pub const PERIOD: usize = 84;

/// What the configuration `number` fills into bench/peers/changes.toml. `drain` is `upgrade.drain`.
pub fn values(number: usize, at: &Addresses, directory: &Path, drain: &str) -> Vec<(&'static str, String)> {
    let number = number % PERIOD;
    let pick = |choices: &[&str]| choices[number % choices.len()].to_owned();
    let port = |address: std::net::SocketAddr| address.port().to_string();
    let log = directory.join("access.log");
    let log = |format: &str| format!("[access_log]\npath = \"{}\"\nformat = \"{format}\"", log.display());
    let guest = format!("[listeners.guest]\nlisten = [\"{}\"]\npool = \"site\"", at.guest);
    let mut routes = String::new();
    for route in 0..number % 7 {
        let pool = if route % 2 == 0 || number.is_multiple_of(3) { "site" } else { "side" };
        // Writing to a String cannot fail.
        let _ = writeln!(routes, "[routes.some-{route}]\npaths = [\"/route-000{route}/\"]\npool = \"{pool}\"\n");
    }
    let side = "[pools.side]\nbalance = \"least-conn\"\ntargets = [{{side_targets}}]";
    let targets = |count: usize, weighted: bool| {
        let target = |target: usize| {
            let address = format!("127.1.0.{}:{}", target + 1, at.backend.port());
            let weight = 1 + (number + target) % 5;
            if weighted {
                format!("{{ address = \"{address}\", weight = {weight} }}")
            } else {
                format!("\"{address}\"")
            }
        };
        (0..count).map(|place| target((number + place) % 8)).collect::<Vec<_>>().join(", ")
    };
    vec![
        ("drain", drain.to_owned()),
        ("http", port(at.http)),
        ("tcp", port(at.tcp)),
        ("echo_port", port(at.echo)),
        ("admin", port(at.admin)),
        ("echo_target", at.echo_backend.to_string()),
        ("access_log", pick(&["", &log("json"), &log("json"), &log("combined")])),
        ("guest", if number % 4 < 2 { guest } else { String::new() }),
        ("request_head", format!("{}s", 5 + number % 5)),
        ("idle", format!("{}s", 30 + number % 3)),
        ("routes", routes),
        ("side", if number.is_multiple_of(3) { String::new() } else { side.to_owned() }),
        ("side_targets", targets(2, false)),
        ("balance", pick(&["random", "least-conn", "round-robin", "latency"])),
        ("targets", targets(2 + number % 4, number.is_multiple_of(2))),
        ("tcp_targets", targets(1 + number % 3, false)),
        ("max_idle", (4 + number % 6 * 10).to_string()),
        ("response_head", format!("{}s", 30 + number % 6)),
        (
            "health",
            pick(&["", "health = { type = \"tcp\", interval = \"500ms\", timeout = \"5s\", fall = 5, rise = 1 }", ""]),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{Directory, peer};

    #[test]
    fn each_is_whole_and_differs_from_the_one_before() {
        let directory = Directory::new().unwrap();
        let at = Addresses::free().unwrap();
        let text = |number| {
            let values = values(number, &at, &directory.0, "1h");
            let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            std::fs::read_to_string(peer::render("changes.toml", &directory.0, &values).unwrap()).unwrap()
        };
        for number in 0..PERIOD {
            let text = text(number);
            assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{text}");
        }
        assert!((0..PERIOD).all(|number| text(number) != text(number + 1)));
        assert_eq!(text(0), text(PERIOD));
    }
}
