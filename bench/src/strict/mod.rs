//! The strict client: every request that it sent has exactly one complete, verified answer, or is a failure with a name.

pub mod answer;
pub mod link;
pub mod pace;
pub mod request;
pub mod tally;

use anyhow::{Context, Result};
use link::{Link, State};
use pace::Pace;
use request::{Mix, Request};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tally::{Failure, Fault, Tally, Trace};

/// Arguments of `bench strict`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Proxy and path before /strict, as in http://127.0.0.1:8080/prefix
    #[arg(long)]
    pub url: String,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Requests a second, whether or not answers come; 0: as many as the connections can take.
    #[arg(long, default_value_t = 0.0)]
    pub rate: f64,
    /// Seconds.
    #[arg(long, default_value_t = 10.0)]
    pub duration: f64,
    /// Seconds from sending a request until it counts as failed.
    #[arg(long, default_value_t = 10.0)]
    pub timeout: f64,
    /// Give back the cookie that a connection was given, and see that it leads to the same target.
    #[arg(long)]
    pub sticky: bool,
    /// How requests vary.
    #[command(flatten)]
    pub mix: Mix,
}

struct Run {
    args: Args,
    host: String,
    prefix: String,
    first: u64,
    number: Cell<u64>,
    pace: Pace,
    tally: RefCell<Tally>,
}

/// Runs it, prints the tally; fails if a request did.
pub fn run(args: Args) -> Result<()> {
    let tally = drive(args)?;
    println!("{tally}");
    anyhow::ensure!(tally.failed == 0 && tally.passed == tally.issued, "not every request has its answer");
    Ok(())
}

/// Runs it on the calling thread until all requests have ended.
pub fn drive(args: Args) -> Result<Tally> {
    drive_until(args, Arc::default())
}

/// The same, but it ends when `over` is set, if that comes first.
pub fn drive_until(args: Args, over: Arc<AtomicBool>) -> Result<Tally> {
    let rest = args.url.strip_prefix("http://").context("--url must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = if path.is_empty() { String::new() } else { format!("/{}", path.trim_end_matches('/')) };
    let pace = Pace::new(args.rate, Duration::from_secs_f64(args.duration), over);
    let first = fastrand::u64(..) & !0xffff_ffff;
    let (host, tally) = (host.to_owned(), RefCell::new(Tally::new()?));
    let run = Rc::new(Run { host, prefix, first, number: Cell::new(0), pace, tally, args });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    for _ in 0..run.args.connections {
        tasks.spawn_local(connection(run.clone()));
    }
    runtime.block_on(tasks);
    let run = Rc::into_inner(run).context("a connection's task outlives the run")?;
    Ok(run.tally.into_inner())
}

async fn connection(run: Rc<Run>) {
    let (mut link, mut wire) = (None, Vec::new());
    while let Some((number, due)) = run.pace.wait(&run.number).await {
        let request = Request::new(run.first + number, &run.args.mix);
        let cookie = link.as_ref().and_then(Link::cookie).filter(|_| run.args.sticky);
        request.render(&run.host, &run.prefix, cookie, &mut wire);
        let belongs = cookie.is_some();
        run.tally.borrow_mut().issued += 1;
        let sent = Instant::now();
        let mut trace = Trace { opened: sent, previous: None, target: None };
        let limit = Duration::from_secs_f64(run.args.timeout);
        let ended = tokio::time::timeout(limit, run.exchange(&mut link, &request, &wire, &mut trace)).await;
        match ended.unwrap_or(Err(Fault::Timeout)) {
            Ok(()) => {
                let mut tally = run.tally.borrow_mut();
                tally.pass(due);
                if belongs && let (Some(before), Some(now)) = (trace.previous, trace.target) {
                    tally.belonged(&before, &now, sent.elapsed());
                }
            }
            Err(fault) => {
                link = None;
                let (id, method) = (request.id, request.method);
                let replayable = request.is_idempotent() && request.body.is_none();
                let ended = Instant::now();
                run.tally.borrow_mut().fail(Failure { id, fault, method, replayable, sent, ended, trace });
            }
        }
    }
}

impl Run {
    /// One request and its answer; `slot` holds the connection while it can be used again.
    async fn exchange(
        &self,
        slot: &mut Option<Link>,
        request: &Request,
        wire: &[u8],
        trace: &mut Trace,
    ) -> Result<(), Fault> {
        let kept = slot.take();
        let state = kept.as_ref().map(Link::state);
        self.tally.borrow_mut().resets += u64::from(state == Some(State::Reset));
        let mut link = match (kept, state) {
            (_, Some(State::Extra)) => return Err(Fault::Extra),
            (Some(link), Some(State::Open)) => link,
            _ => {
                let link = Link::open(&self.host).await?;
                self.tally.borrow_mut().connects += 1;
                link
            }
        };
        if link.exchange(request, wire, trace).await? {
            *slot = Some(link);
        }
        Ok(())
    }
}
