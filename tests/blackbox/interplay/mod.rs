//! What keeps requests going, one beside the other: retries, second targets, the queue and stickiness, over both protocols.

mod hedges;
mod leaving;
mod sticky;
mod streams;
mod tries;

use crate::support::client::{Response, request};
use crate::support::toml::http_with;
use crate::support::{Client, Proxy, Target};
use std::fmt::Display;

/// A listener in front of these targets, asked in turn, with further keys of the pool and of a route to it, and a log.
fn config<A: Display>(targets: &[A], pool: &str, route: &str) -> String {
    http_with("", targets, &format!("balance = \"round-robin\"\n{pool}"))
        + &format!(
            "\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\n{route}\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n"
        )
}

/// The same with a limit at each target.
fn limited<A: Display>(targets: &[A], most: usize, pool: &str, route: &str) -> String {
    let text = config(targets, pool, route);
    targets.iter().fold(text, |text, target| {
        text.replace(&format!("\"{target}\""), &format!("{{ address = \"{target}\", max_in_flight = {most} }}"))
    })
}

/// One worker, so that targets are asked strictly in turn.
fn single(config: String) -> Proxy {
    crate::support::proxy::Setup::new(config).workers(1).start()
}

/// A client that has sent its request.
fn asking(proxy: &Proxy, path: &str) -> Client {
    let mut client = proxy.client();
    client.send(request("GET", path, &[]));
    client
}

/// Nothing is counted as under way, anywhere.
#[track_caller]
fn nothing_is_left(proxy: &Proxy) {
    for name in ["ringway_pool_queue_length", "ringway_pool_in_flight", "ringway_target_in_flight"] {
        proxy.settles(name, &[("pool", "site")], 0.0);
    }
}

/// The cookie that an answer sets, as a client sends it back.
fn cookie(answer: &Response) -> String {
    let line = answer.field("set-cookie").expect("a cookie");
    line.split(';').next().unwrap_or_default().to_owned()
}

fn names(targets: &[&Target]) -> Vec<String> {
    targets.iter().map(ToString::to_string).collect()
}
