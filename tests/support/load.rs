//! Load with a strict count: every request sent has exactly one complete, verified answer, or is counted by what went wrong.

use super::client::{Client, request};
use super::wire::Broken;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// Answers by status and target.
    pub answers: BTreeMap<(u16, String), usize>,
    /// Requests without a complete answer, by what came instead.
    pub broken: BTreeMap<String, usize>,
    /// The longest wait for an answer, connecting included.
    pub longest: Duration,
}

impl Count {
    /// Answers of a target with 200.
    pub fn of(&self, target: &str) -> usize {
        self.answers.get(&(200, target.to_owned())).copied().unwrap_or(0)
    }

    /// All requests sent.
    pub fn sent(&self) -> usize {
        self.answers.values().sum::<usize>() + self.broken.values().sum::<usize>()
    }

    /// Fails unless every request got 200.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.broken.is_empty() && self.answers.keys().all(|(status, _)| *status == 200), "{self:?}");
    }

    fn add(&mut self, other: Count) {
        for (key, n) in other.answers {
            *self.answers.entry(key).or_default() += n;
        }
        for (key, n) in other.broken {
            *self.broken.entry(key).or_default() += n;
        }
        self.longest = self.longest.max(other.longest);
    }
}

/// `requests` GETs of what `path` makes of their number, over `clients` keep-alive connections.
pub fn run(address: &str, clients: usize, requests: usize, path: impl Fn(usize) -> String + Send + Sync) -> Count {
    let next = AtomicU64::new(0);
    let total = Mutex::new(Count::default());
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut one = One::new(address, "GET");
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed) as usize;
                    if n >= requests {
                        break;
                    }
                    one.exchange(&path(n));
                }
                total.lock().unwrap().add(one.count);
            });
        }
    });
    total.into_inner().unwrap()
}

/// Load in the background until it is told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Count>>,
    done: Arc<[AtomicU64]>,
}

impl Load {
    /// GETs over `clients` keep-alive connections, each pausing `pause` between.
    pub fn start(address: &str, clients: usize, pause: Duration) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let done: Arc<[AtomicU64]> = (0..clients).map(|_| AtomicU64::new(0)).collect();
        let threads = (0..clients)
            .map(|client| {
                let (stop, done, address) = (stop.clone(), done.clone(), address.to_owned());
                thread::spawn(move || {
                    let mut one = One::new(&address, "GET");
                    while !stop.load(Ordering::Relaxed) {
                        one.exchange("/load");
                        done[client].fetch_add(1, Ordering::Relaxed);
                        thread::sleep(pause);
                    }
                    one.count
                })
            })
            .collect();
        Load { stop, threads, done }
    }

    /// Requests finished so far.
    pub fn done(&self) -> u64 {
        self.done.iter().map(|done| done.load(Ordering::Relaxed)).sum()
    }

    /// Waits for `n` more requests, and until each client has had the answer to one that it began after this was called.
    #[track_caller]
    pub fn more(&self, n: u64) {
        let want = self.done() + n;
        let begun: Vec<u64> = self.done.iter().map(|done| done.load(Ordering::Relaxed) + 2).collect();
        super::eventually("the load goes on", || {
            self.done() >= want
                && self.done.iter().zip(&begun).all(|(done, begun)| done.load(Ordering::Relaxed) >= *begun)
        });
    }

    pub fn stop(self) -> Count {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = Count::default();
        for thread in self.threads {
            total.add(thread.join().unwrap());
        }
        total
    }
}

struct One<'a> {
    address: &'a str,
    method: &'a str,
    client: Option<Client>,
    count: Count,
}

impl<'a> One<'a> {
    fn new(address: &'a str, method: &'a str) -> One<'a> {
        One { address, method, client: None, count: Count::default() }
    }

    fn exchange(&mut self, path: &str) {
        let begun = Instant::now();
        match self.attempt(path) {
            Ok(key) => *self.count.answers.entry(key).or_default() += 1,
            Err(broken) => *self.count.broken.entry(broken).or_default() += 1,
        }
        self.count.longest = self.count.longest.max(begun.elapsed());
    }

    fn attempt(&mut self, path: &str) -> Result<(u16, String), String> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::try_to(self.address).map_err(|e| format!("connect: {e}"))?,
        };
        client.try_send(request(self.method, path, &[])).map_err(|e| format!("send: {e}"))?;
        let response = client.response_to(self.method).map_err(|e| match e {
            Broken::Malformed(text) => text,
            other => format!("{other:?}"),
        })?;
        let target = response.target();
        let right = response.status != 200 || response.text() == target && !target.is_empty();
        let close = response.head.names("connection", "close") || response.until_close;
        if !right || !client.buffer.is_empty() {
            return Err(format!("another answer's body {:?}", response.text()));
        }
        if !close {
            self.client = Some(client);
        }
        Ok((response.status, target))
    }
}
