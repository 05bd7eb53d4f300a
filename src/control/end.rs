//! The end of a process: of what is live when it is told to stop, and when a new process has taken over.

use super::handover::{self, Answer};
use super::life::{Control, TICK};
use super::limits;
use super::shelves;
use super::signals::{Signals, Stop};
use super::systemd;
use super::upgrade::Risen;
use crate::worker::Order;
use std::time::{Duration, Instant};

/// How long this process stays after a new one has taken over, at least: if that one dies at once, this one goes on.
const GRACE: Duration = Duration::from_secs(2);
/// How long tunnels get to say goodbye before what is live is cut.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long workers get to log what is cut.
const LAST_BEATS: Duration = Duration::from_millis(500);

/// What became of a process that another one took over from.
pub(super) enum Retired {
    /// It has nothing left to do.
    Done,
    /// The new one died, and this one accepts again.
    Back,
}

/// When what is live has to end.
struct Deadline {
    /// When tunnels are told to.
    goodbye: Instant,
    /// When all is cut.
    cut: Instant,
    told: bool,
}

impl Deadline {
    fn after(limit: Duration) -> Self {
        let now = Instant::now();
        // As far away as the clock goes, where the limit is further.
        let cut = now.checked_add(limit).unwrap_or(now + Duration::from_secs(100 * 365 * 24 * 3600));
        Self { goodbye: cut.checked_sub(GOODBYE.min(limit / 4)).unwrap_or(cut), cut, told: false }
    }

    /// Everything ends now, after a goodbye.
    fn bring_forward(&mut self) {
        let now = Instant::now();
        (self.goodbye, self.cut) = (now, self.cut.min(now + GOODBYE));
    }
}

impl Control {
    /// Ends what is live, within the plan's time.
    pub(super) async fn drain(&mut self, stop: &mut Stop) {
        let limit = self.plan().runtime.shutdown_timeout;
        tracing::info!(?limit, "stopping: no new connections, live exchanges end first; a second signal ends at once");
        systemd::stopping();
        if let Some(elder) = &self.elder {
            // It may have ended long ago.
            let _ = handover::answer(&elder.stream, &Answer::Farewell);
        }
        self.report.set_ready(false);
        self.crew.order(Order::Drain);
        // The workers have descriptors of their own; a socket closes when its worker has emptied its queue.
        self.crew.sockets().close();
        let mut deadline = Deadline::after(limit);
        let mut tick = tokio::time::interval(TICK / 5);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if self.crew.is_gone() {
                        tracing::info!("stopped");
                        return;
                    }
                    if self.is_over(&mut deadline) {
                        let left = self.crew.connections();
                        tracing::warn!(connections = left, "stopped: shutdown_timeout is over, what was live is cut");
                        return self.crew.cut(LAST_BEATS).await;
                    }
                }
                () = stop.asked() => {
                    tracing::warn!("stopped at once, as asked twice");
                    return self.crew.cut(LAST_BEATS).await;
                }
            }
        }
    }

    /// Serves who came here to their end, within the plan's time for it, while a new process serves all others.
    pub(super) async fn retire(&mut self, risen: Risen, signals: &mut Signals) -> Retired {
        let Risen { child, successor, spare } = risen;
        let limit = self.plan().runtime.upgrade_drain;
        tracing::info!(
            pid = child.id(),
            ?limit,
            "the new process accepts; this one serves its connections to their end"
        );
        if let Some(pid) = child.id() {
            systemd::main_process(pid);
        }
        self.report.reloads().upgrades.inc();
        self.report.set_ready(false);
        if let Some(admin) = &mut self.admin {
            admin.stop();
        }
        self.keepers.stop();
        self.discovery.stop();
        shelves::hand_over(&self.plan());
        if !spare.is_empty() {
            // Nobody else will ever take who waits there.
            self.crew.sockets().close_some(&spare);
            self.go_by_again().await;
        }
        self.crew.order(Order::HandOver);
        if let Some(elder) = self.elder.take() {
            // If the new process dies, this one comes back, and no other.
            let _ = handover::answer(&elder.stream, &Answer::Farewell);
        }
        self.origin.thin_out(self.plan().runtime.upgrade_max_old);
        let since = Instant::now();
        let mut deadline = Deadline::after(limit);
        let mut tick = tokio::time::interval(TICK / 5);
        let Ok(watched) = successor.share() else { return Retired::Done };
        let mut outlived = tokio::task::spawn_blocking(move || watched.outlive());
        let mut alone = false;
        let retired = loop {
            tokio::select! {
                _ = tick.tick() => {
                    if self.crew.is_gone() && since.elapsed() >= GRACE.min(limit) {
                        tracing::info!("all connections have ended: this process does, too");
                        break Retired::Done;
                    }
                    if self.is_over(&mut deadline) {
                        let left = self.crew.connections();
                        tracing::warn!(connections = left, "upgrade.drain is over, what was live is cut");
                        self.crew.cut(LAST_BEATS).await;
                        break Retired::Done;
                    }
                }
                farewell = &mut outlived, if !alone => {
                    alone = true;
                    if !farewell.unwrap_or(true) {
                        tracing::error!("the new process has died; this one accepts again");
                        self.come_back().await;
                        return Retired::Back;
                    }
                    // Whoever is to listen there next must find it free, however long this process lives.
                    self.crew.sockets().leave();
                    self.admin = None;
                }
                () = signals.stop.asked() => {
                    tracing::info!("told to end: what is live ends now");
                    deadline.bring_forward();
                }
                _ = signals.reopen.recv() => self.report.reopen_log(),
                _ = signals.reload.recv() => tracing::warn!("another process has taken over: tell that one to reload"),
                _ = signals.upgrade.recv() => tracing::warn!("another process has taken over: tell that one to upgrade"),
            }
        };
        successor.hang_up();
        if let Some(admin) = self.admin.take() {
            admin.leave();
        }
        self.crew.sockets().leave();
        retired
    }

    /// Tells tunnels to end when it is time. Returns whether all is to be cut.
    fn is_over(&self, deadline: &mut Deadline) -> bool {
        let now = Instant::now();
        if now >= deadline.goodbye && !std::mem::replace(&mut deadline.told, true) {
            self.crew.order(Order::End);
        }
        now >= deadline.cut
    }

    /// Accepts again, as before.
    async fn come_back(&mut self) {
        let present = self.present.load_full();
        self.shared_limits.go_on();
        systemd::main_process(std::process::id());
        self.crew.sockets().revive();
        if let Err(error) = self.crew.resume(present.clone(), limits::max_connections(&present.plan)) {
            tracing::error!(%error, "the workers cannot accept again");
        }
        self.settle().await;
        if let Err(error) = shelves::follow(&present.plan, None) {
            tracing::error!(error, "a cache goes on without its disk");
        }
        self.report.reach(&self.crew);
        self.keepers.set(&present, &self.look, &self.again);
        self.discovery.set(&[&present.plan.config]);
        if let Some(admin) = &mut self.admin {
            admin.start();
        }
        self.begin_waiting();
    }

    /// Has the workers accept where the sockets are, by the same plan.
    async fn go_by_again(&mut self) {
        let present = self.present.load_full();
        let taken = self.crew.take_on(present.clone(), limits::max_connections(&present.plan), None, None);
        match taken {
            Ok(()) => self.settle().await,
            Err(error) => tracing::error!(%error, "some queues are not emptied"),
        }
    }
}
