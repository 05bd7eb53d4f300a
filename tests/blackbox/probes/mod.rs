//! What health checks say to targets, byte by byte, what they make of the answers, and how they leave.

mod agents;
mod conversations;
mod exchanges;
mod pace;
mod programs;
mod tracks;

use crate::support::wire::Broken;
use crate::support::{Proxy, Target, eventually};
use serde_json::Value;
use std::fmt::Display;
use std::sync::{Arc, Mutex};

/// What a target heard on one connection, and how that ended.
type Heard = (Vec<u8>, Broken);

/// A target that does something with each connection and remembers what it heard.
struct Listens {
    target: Target,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Listens {
    /// `act` has a part of the conversation and returns what it heard; the rest is heard to its end.
    fn with(act: impl Fn(&mut crate::support::target::Peer) -> Option<Vec<u8>> + Send + Sync + 'static) -> Listens {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let copy = heard.clone();
        let target = Target::with("listens", move |peer| {
            let mut all = act(peer).unwrap_or_default();
            let end = peer.ending();
            all.append(&mut peer.buffer);
            copy.lock().unwrap().push((all, end));
        });
        Listens { target, heard }
    }

    /// What was heard on the `n`th connection that ended, counted from 1.
    #[track_caller]
    fn wait_for(&self, n: usize) -> Heard {
        eventually("a check ends", || self.heard.lock().unwrap().len() >= n);
        self.heard.lock().unwrap()[n - 1].clone()
    }
}

fn up(proxy: &Proxy, target: &impl Display) -> bool {
    proxy.metric("ringway_target_up", &[("target", &target.to_string())]) == 1.0
}

fn passed(proxy: &Proxy) -> f64 {
    proxy.metric("ringway_target_checks_passed_total", &[])
}

/// A target as the API shows it.
#[track_caller]
fn shown(proxy: &Proxy, pool: &str, target: &impl Display) -> Value {
    let pools: Value = serde_json::from_str(&proxy.ask_admin("GET", "/v1/pools").text()).unwrap();
    let pools = pools["items"].as_array().unwrap();
    let pool = pools.iter().find(|of| of["name"] == pool).expect("the pool is shown");
    let targets = pool["targets"].as_array().unwrap();
    targets.iter().find(|of| of["address"] == target.to_string()).expect("the target is shown").clone()
}

/// A check that is made often; `keys` begin with its type.
fn health(keys: &str) -> String {
    format!("health = {{ interval = \"100ms\", timeout = \"5s\", fall = 1, rise = 1, type = {keys} }}")
}
