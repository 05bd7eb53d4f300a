//! The measured process: one connection served as a worker serves it.
//!
//! All of it is the library's public face, so nothing had to be opened up for measuring: `net::enter` is the worker's event
//! loop, `http::serve` its task. The worker's tick is left out, as its share would depend on how slow valgrind is.

use crate::peers::TARGETS;
use ringway::lane::{Desk, Lane, Visit};
use ringway::net::{self, Address, Backend, Listener, Signal};
use ringway::observe::access::{Format, Log, Policy, Settings};
use ringway::observe::counters::WorkerCounters;
use ringway::observe::file::{Destination, FileThread};
use ringway::observe::{analytics, trace};
use ringway::plan::{self, Plan};
use ringway::tls::Clear;
use ringway::{config, http};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;

/// Serves `requests` requests of a client that it starts.
pub fn run(requests: usize, logs: bool, traces: bool) {
    let mut peers = Command::new(std::env::current_exe().unwrap())
        .args(["peers", &requests.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(peers.stdout.take().unwrap()).lines();
    let ports: Vec<u16> = lines.take(TARGETS).map(|line| line.unwrap().parse().unwrap()).collect();
    let plan = Arc::new(plan(&ports, if traces { "[tracing]\nsample = \"1%\"" } else { "" }));
    let slot = net::bind(&Address::Ip("127.0.0.1:0".parse().unwrap()), false).unwrap();
    let Address::Ip(address) = slot.address() else { unreachable!("an IP address was bound") };
    let port = address.port();
    let counters = Arc::new(WorkerCounters::new(&plan.shape));
    let file = logs.then(|| FileThread::start(Destination::File("/dev/null".into()), false).unwrap());
    let policy = Arc::new(Policy::new(Settings::new(Format::Json)));
    let hooks = FileThread::start(Destination::File("/dev/null".into()), false).unwrap();
    let log = file.as_ref().map(|file| Log::new(policy.clone(), 1, file.queue(), counters.worker.clone()));
    fastrand::seed(1);
    net::enter(Backend::Epoll, 0, async {
        let lane = Rc::new(Lane::new(
            plan,
            0,
            counters.clone(),
            Arc::default(),
            Desk { rules: net::desk(1).0, keys: net::desk(1).0 },
            log,
            (trace::queue().0, analytics::queue().0, hooks.queue()),
        ));
        let socket = Listener::new(&slot).unwrap();
        writeln!(peers.stdin.take().unwrap(), "{port}").unwrap();
        let accepted = loop {
            socket.ready().await.unwrap();
            if let Some(accepted) = socket.accept().unwrap() {
                break accepted;
            }
        };
        let done = Signal::default();
        let ended = done.clone();
        net::spawn("bench", async move {
            let gate = lane.gate(0).unwrap();
            let visit = Visit::begin(lane, gate, &accepted);
            http::serve(&visit, &accepted, Clear).await;
            ended.raise();
        });
        done.raised().await;
    })
    .unwrap();
    assert!(peers.wait().unwrap().success(), "the client got all of its answers");
    assert_eq!(counters.pool(0).requests.get(), requests as u64);
}

/// A plan that asks a little of everything: hosts and paths to choose by, and two targets.
fn plan(targets: &[u16], more: &str) -> Plan {
    let targets: Vec<String> = targets.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let text = format!(
        r#"
[listeners.web]
listen = ["127.0.0.1:0"]

[routes.site]
paths = ["/"]
pool = "site"

[routes.assets]
paths = ["/assets/"]
pool = "site"

[routes.api]
hosts = ["api.test"]
paths = ["/v1/"]
pool = "site"

[pools.site]
targets = [{}]
{more}
"#,
        targets.join(", ")
    );
    let path = std::env::temp_dir().join(format!("ringway-instructions-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let loaded = config::load(&path, &|_| None).unwrap_or_else(|report| panic!("{report}"));
    std::fs::remove_file(&path).unwrap();
    plan::compile(&loaded.config, 1).unwrap_or_else(|faults| panic!("{faults:?}"))
}
