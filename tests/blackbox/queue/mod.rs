//! Limits of what is in flight, and who waits for room. Protects balance/balance-hash-maxconn, http-messaging/http_abortonclose
//! and the case "queued request left waiting while servers idle".

mod adaptive;
mod fair;
mod leaving;
mod limits;
mod reload;
mod tcp;

use crate::support::Target;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A target that notes how many requests it had in hand at a time, at most.
struct Busy {
    target: Target,
    most: Arc<AtomicUsize>,
}

impl Busy {
    /// Works on each request for `time`.
    fn working(name: &str, time: Duration) -> Busy {
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let noted = most.clone();
        let target = Target::with(name, move |peer| {
            while let Some(seen) = peer.request() {
                noted.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(time);
                // Before the answer is out: what comes after it may come at once.
                now.fetch_sub(1, Ordering::SeqCst);
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        });
        Busy { target, most }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// A target as a table, with a limit.
fn limited(target: &Target, most: usize) -> String {
    format!("{{ address = \"{target}\", max_in_flight = {most} }}")
}

/// One listener in front of these targets, each as it is written in a table; further keys of the pool.
fn config(protocol: &str, targets: &[String], pool: &str) -> String {
    format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"{protocol}\"\npool = \"site\"\n\
         [access_log]\npath = \"stdout\"\nformat = \"json\"\n\
         [pools.site]\ntargets = [{}]\n{pool}\n",
        targets.join(", ")
    )
}
