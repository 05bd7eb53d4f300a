//! All kinds of clients at once, for as long as they are wanted.

use super::ledger::{Ledger, Sum};
use super::proxy::Addresses;
use super::{idle, lasting, multiplexed, slow};
use crate::strict::request::{Methods, Mix};
use crate::strict::{self, tally::Tally};
use anyhow::{Result, anyhow};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;

/// Clients under way.
pub struct Load {
    over: Arc<AtomicBool>,
    moment: watch::Sender<u64>,
    strict: Vec<(&'static str, JoinHandle<Result<Tally>>)>,
    others: Vec<JoinHandle<Result<()>>>,
    ledgers: Vec<Arc<Ledger>>,
}

/// What a client needs to know.
#[derive(Clone)]
pub struct Orders {
    /// Where everything is.
    pub at: Addresses,
    /// Set when it is to end.
    pub over: Arc<AtomicBool>,
    /// Says when something is about to change.
    pub moment: watch::Receiver<u64>,
    /// The number of the last request.
    number: Rc<Cell<u64>>,
    /// Where it adds what became of what it sent.
    pub ledger: Arc<Ledger>,
}

/// How requests vary, but for those of [`slow`].
pub fn mix() -> Mix {
    let sizes = vec![0, 1, 128, 128, 128, 4096, 4096, 65536];
    Mix { methods: Methods::Mix, bodies: 0.3, chunked: 0.3, close: 0.05, sizes }
}

/// How long a client waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(20);

impl Orders {
    /// The number of a new request.
    pub fn number(&self) -> u64 {
        self.number.set(self.number.get() + 1);
        self.number.get()
    }

    /// Whether it is to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

impl Load {
    /// Starts all of them.
    pub fn start(at: Addresses) -> Self {
        let (over, moment) = (Arc::<AtomicBool>::default(), watch::Sender::new(0));
        let strict = |kind, address: SocketAddr, connections, rate| {
            let args = strict::Args {
                url: format!("http://{address}"),
                connections,
                rate,
                duration: 86_400.0,
                timeout: PATIENCE.as_secs_f64(),
                sticky: false,
                mix: mix(),
            };
            let over = over.clone();
            (kind, thread::spawn(move || strict::drive_until(args, over)))
        };
        let mut load = Self {
            strict: vec![
                strict("h1, at a fixed rate", at.http, 32, 800.0),
                strict("h1 through a TCP listener", at.tcp, 12, 250.0),
            ],
            others: Vec::new(),
            ledgers: Vec::new(),
            moment,
            over: over.clone(),
        };
        type Run = fn(Orders, usize) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;
        let groups: [&[(&'static str, usize, Run)]; 2] = [
            &[
                ("h1, idle until the moment", 32, |orders, index| Box::pin(idle::keep_alive(orders, index))),
                ("h1 on a listener that comes and goes", 6, |orders, _| Box::pin(idle::guest(orders))),
                ("h1 downloads by slow readers", 4, |orders, _| Box::pin(slow::download(orders))),
                ("WebSocket messages", 8, |orders, _| Box::pin(lasting::websocket(orders))),
                ("TCP tunnels, pieces", 8, |orders, _| Box::pin(lasting::tunnel(orders))),
            ],
            &[
                ("h2", 8, |orders, _| Box::pin(multiplexed::busy(orders))),
                ("h2, idle until the moment", 16, |orders, index| Box::pin(multiplexed::idle(orders, index))),
                ("h2 downloads by slow readers", 4, |orders, _| Box::pin(multiplexed::download(orders))),
            ],
        ];
        for (thread, group) in groups.into_iter().enumerate() {
            let ledgers: Vec<_> = group.iter().map(|(kind, ..)| Arc::new(Ledger::new(kind))).collect();
            load.ledgers.extend(ledgers.iter().cloned());
            let (over, moment) = (over.clone(), load.moment.subscribe());
            load.others.push(thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let tasks = tokio::task::LocalSet::new();
                // Apart from those of the other thread.
                let number = Rc::new(Cell::new(fastrand::u64(..) << 32 | (thread as u64) << 31));
                for ((_, count, run), ledger) in group.iter().zip(ledgers) {
                    for index in 0..*count {
                        let (over, moment, number) = (over.clone(), moment.clone(), number.clone());
                        tasks.spawn_local(run(Orders { at, over, moment, number, ledger: ledger.clone() }, index));
                    }
                }
                runtime.block_on(tasks);
                Ok(())
            }));
        }
        load
    }

    /// Something is about to change: those that idle until then send a request within the next moments.
    pub fn moment(&self) {
        self.moment.send_modify(|number| *number += 1);
    }

    /// What has been lost so far, but for the clients at a fixed rate.
    pub fn losses(&self) -> usize {
        self.ledgers.iter().map(|ledger| ledger.sum().losses.len()).sum()
    }

    /// Lets what is under way end.
    pub fn end(self) -> Result<Vec<Sum>> {
        let Self { over, moment, strict, others, ledgers } = self;
        over.store(true, Ordering::Relaxed);
        drop(moment);
        let panicked = |_| anyhow!("a client panicked");
        let mut sums = Vec::new();
        for (kind, thread) in strict {
            sums.push(Sum::of(kind, thread.join().map_err(panicked)??));
        }
        for thread in others {
            thread.join().map_err(panicked)??;
        }
        sums.extend(ledgers.iter().map(|ledger| ledger.sum()));
        Ok(sums)
    }
}

/// Waits for the next moment and then a little, differently for each client and each time: before a change, in the middle of it
/// and after. `false`: it is over.
pub async fn wait_for_moment(orders: &mut Orders, index: usize) -> bool {
    if orders.moment.changed().await.is_err() {
        return false;
    }
    let number = *orders.moment.borrow_and_update() as usize;
    match (number + index) % 4 {
        0 => {}
        place => {
            let most = [5_000, 25_000, 80_000][place - 1];
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..most))).await;
        }
    }
    !orders.is_over()
}
