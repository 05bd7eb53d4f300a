//! When requests are due: at a fixed rate that does not wait for answers, or each as soon as a connection is free.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Hands out the requests of a run.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    end: Instant,
    rate: f64,
    due: Arc<Semaphore>,
    over: Arc<AtomicBool>,
}

impl Pace {
    /// `rate` requests a second for `duration`, or until `over` is set; 0 is as many as the connections can take.
    pub fn new(rate: f64, duration: Duration, over: Arc<AtomicBool>) -> Self {
        let start = Instant::now();
        let due = Arc::new(Semaphore::new(0));
        let pace = Self { start, end: start + duration, rate, due, over };
        if rate > 0.0 {
            let (due, over, total) = (pace.due.clone(), pace.over.clone(), pace.total());
            // A thread of its own: an async timer rounds to milliseconds and runs late when the client is busy.
            std::thread::spawn(move || release(&due, &over, start, rate, total));
        }
        pace
    }

    /// Waits until request number `number` is due, says when that was. `None` when the run is over.
    pub async fn wait(&self, number: &std::cell::Cell<u64>) -> Option<(u64, Instant)> {
        if self.rate > 0.0 {
            self.due.acquire().await.ok()?.forget();
        }
        let now = Instant::now();
        let mine = number.get();
        let ended = if self.rate > 0.0 { mine >= self.total() } else { now >= self.end };
        if ended || self.over.load(Ordering::Relaxed) {
            self.due.close();
            return None;
        }
        number.set(mine + 1);
        let due = if self.rate > 0.0 { self.start + Duration::from_secs_f64(mine as f64 / self.rate) } else { now };
        Some((mine, due))
    }

    fn total(&self) -> u64 {
        (self.rate * (self.end - self.start).as_secs_f64()) as u64
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn release(due: &Semaphore, over: &AtomicBool, start: Instant, rate: f64, total: u64) {
    let mut released = 0;
    while released < total && !over.load(Ordering::Relaxed) {
        let now = ((start.elapsed().as_secs_f64() * rate) as u64 + 1).min(total);
        due.add_permits((now - released) as usize);
        released = now;
        let next = start + Duration::from_secs_f64(released as f64 / rate);
        std::thread::sleep(next.saturating_duration_since(Instant::now()).max(Duration::from_micros(100)));
    }
    // One more permit lets one connection see the end; it closes the semaphore for all.
    due.add_permits(1);
}
