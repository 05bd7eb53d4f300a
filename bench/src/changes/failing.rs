//! Changes that come to nothing: new processes that are killed while they take over, and configurations with faults.

use super::ledger::{Loss, Sum};
use super::load::Load;
use super::proxy::Proxy;
use crate::checks::Checks;
use crate::succession;
use anyhow::Result;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// The time in which a process that was killed may have accepted connections.
#[derive(Clone, Copy, Debug)]
pub struct Rise {
    from: Instant,
    to: Instant,
}

/// What came in while it died may have been accepted by it, too.
const UNSEEN: Duration = Duration::from_millis(100);

/// Kills the new process of `count` upgrades, each at another moment.
pub fn kill(proxy: &mut Proxy, load: &Load, count: usize, checks: &mut Checks) -> Result<Vec<Rise>> {
    let (mut rises, mut still_there) = (Vec::new(), true);
    let (back, as_it_was) = ("this one accepts again", "this process goes on as it was");
    let before = (proxy.processes.said(back), proxy.processes.said(as_it_was));
    for number in 0..count {
        proxy.processes.forget_log()?;
        load.moment();
        let from = Instant::now();
        let pid = proxy.processes.begin_upgrade()?;
        // It accepts after some tens of milliseconds: many are killed before, as many after.
        let share = number as f64 / count as f64;
        std::thread::sleep(Duration::from_secs_f64(0.15 * share * share + 0.01 * fastrand::f64()));
        load.moment();
        succession::signal(pid, Signal::KILL)?;
        rises.push(Rise { from, to: Instant::now() + UNSEEN });
        proxy.processes.wait_until_back()?;
        load.moment();
        std::thread::sleep(Duration::from_millis(300));
        still_there &= proxy.processes.metric("ringway_config_plan_number").is_ok();
    }
    let (returned, never_left) = (proxy.processes.said(back) - before.0, proxy.processes.said(as_it_was) - before.1);
    println!("  {count} new processes killed: {never_left} before they accepted, {returned} after");
    checks.add("the process before is there each time", still_there, String::new());
    Ok(rises)
}

/// Those that no kill explains: a connection that the killed process could not have accepted, or another end than a broken
/// connection.
pub fn unexplained<'a>(sums: &'a [Sum], rises: &'a [Rise]) -> impl Iterator<Item = (&'static str, &'a Loss)> {
    let met = |loss: &Loss| {
        let accepted = |rise: &Rise| loss.opened >= rise.from && loss.opened <= rise.to && loss.ended >= rise.from;
        let foul = ["status", "another request", "corrupt", "lost on the way", "changed", "in time", "timeout"];
        rises.iter().any(accepted) && !foul.iter().any(|words| loss.what.contains(words))
    };
    let all = sums.iter().flat_map(|sum| sum.losses.iter().map(|loss| (sum.kind, loss)));
    all.filter(move |(_, loss)| !met(loss))
}

/// Reloads `count` configurations with faults; how many changed nothing.
pub fn reload(proxy: &mut Proxy, load: &Load, count: usize) -> Result<usize> {
    let (http, taken) = (proxy.at.http, proxy.at.backend);
    let pool = "[pools.site]\ntargets = [\"127.0.0.1:1\"]\n";
    let listener = format!("[listeners.web]\nlisten = [\"{http}\"]\npool = \"site\"\n");
    let faults = [
        "[listeners.web".to_owned(),
        String::new(),
        format!("{listener}{pool}[pools.other]\ntarget = []\n"),
        format!("{listener}{pool}[routes.a]\npaths = [\"/a\"]\npool = \"nowhere\"\n"),
        format!("{listener}{pool}[listeners.more]\nlisten = [\"{taken}\"]\npool = \"site\"\n"),
        format!("{listener}{pool}[listeners.more]\nlisten = [\"192.0.2.1:80\"]\npool = \"site\"\n"),
        format!("{listener}{pool}[listeners.web.tls]\ncertificates = [{{ cert = \"missing.pem\" }}]\n"),
        format!("{listener}{pool}[access_log]\npath = \"/nowhere/access.log\"\n"),
    ];
    let mut without_effect = 0;
    for fault in faults.iter().cycle().take(count) {
        load.moment();
        without_effect += usize::from(proxy.reload_fault(fault)?);
    }
    Ok(without_effect)
}
