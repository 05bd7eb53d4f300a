//! Delivering spans to a collector, by OTLP over HTTP: <https://opentelemetry.io/docs/specs/otlp/>.
//!
//! What always holds: what waits is bounded, also while a request is under way; every span that a worker handed over is
//! counted exactly once, by what became of it; and a collector that does not take them is told of once, not each time.

mod backlog;
mod client;

use crate::config::KeyPath;
use crate::observe::counters::Counters;
use crate::observe::reason::Delivered;
use crate::observe::trace::{Batch, Spans, Writer};
use crate::plan::{Collector, Plan};
use backlog::{Backlog, Backoff};
use client::{Answer, Client};
use hyper::body::Bytes;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout_at};

/// How often what the workers handed over is taken up.
const TICK: Duration = Duration::from_millis(200);
/// How often spans are posted before they are given up.
const TRIES: u32 = 5;
/// Bytes of a value of the resource.
const VALUE: usize = 1024;

/// How long the last spans have when there is nothing more to come, or another collector is next.
const LAST_SPANS: Duration = Duration::from_secs(1);

/// The delivery of the workers' spans, over all plans.
pub(super) struct Traces {
    spans: Spans,
    counters: Arc<Counters<{ Delivered::COUNT }>>,
    /// What tells this process from others.
    instance: String,
    exporter: Option<Exporter>,
}

/// Where spans go under a plan that follows.
pub(super) enum Next {
    /// Where they went before.
    AsBefore,
    /// There, if anywhere.
    To(Option<Box<Delivery>>),
}

impl Traces {
    /// That of `spans`, which go nowhere yet.
    pub(super) fn new(spans: Spans, counters: Arc<Counters<{ Delivered::COUNT }>>) -> Self {
        Self { spans, counters, instance: instance_id(), exporter: None }
    }

    /// Where spans go under `plan`, if it asks for another way than the one `before` it. Fails, with a message for the user, if
    /// its collector cannot be asked at all.
    pub(super) fn prepare(&self, before: Option<&Plan>, plan: &Plan) -> Result<Next, String> {
        let asked = |plan: &Plan| plan.config.tracing.clone();
        let same = match (before.map(asked), asked(plan)) {
            (Some(Some(before)), Some(next)) => before.delivers_as(&next),
            (Some(None), None) => true,
            _ => false,
        };
        let at = KeyPath::from(["tracing"]);
        let same = same && before.is_some_and(|before| before.files.are_the_same(&plan.files, &at));
        if same {
            return Ok(Next::AsBefore);
        }
        let delivery =
            plan.tracing.as_ref().map(|tracing| Delivery::new(&tracing.collector, &self.instance).map(Box::new));
        Ok(Next::To(delivery.transpose()?))
    }

    /// Spans go there from now on. What was taken up already goes where it was to go.
    pub(super) fn follow(&mut self, next: Next) {
        let Next::To(delivery) = next else { return };
        match self.exporter.take() {
            Some(before) => drop(tokio::spawn(before.close())),
            // Of exchanges that began when nothing was traced any more, or not yet.
            None => while self.spans.take().is_some() {},
        }
        self.exporter = delivery.map(|delivery| delivery.start(self.spans.clone(), self.counters.clone()));
    }

    /// Delivers what there still is, within a second. Workers must have handed over all of theirs before.
    pub(super) async fn close(&mut self) {
        if let Some(exporter) = self.exporter.take() {
            exporter.close().await;
        }
    }
}

/// How spans are delivered to a collector.
pub(super) struct Delivery {
    client: Client,
    envelope: Envelope,
    url: String,
}

/// Delivers spans until it is closed.
struct Exporter {
    stop: oneshot::Sender<Instant>,
    task: JoinHandle<()>,
}

impl Delivery {
    fn new(collector: &Collector, instance: &str) -> Result<Self, String> {
        Ok(Self {
            client: Client::new(collector)?,
            envelope: Envelope::new(&collector.service_name, instance),
            url: collector.url.clone(),
        })
    }

    fn start(self, spans: Spans, counters: Arc<Counters<{ Delivered::COUNT }>>) -> Exporter {
        let work = Work {
            to: self,
            spans,
            counters,
            backlog: Backlog::default(),
            backoff: Backoff::default(),
            way: Way::Free,
            lost: None,
        };
        let (stop, stopped) = oneshot::channel();
        Exporter { stop, task: tokio::spawn(work.run(stopped)) }
    }
}

impl Exporter {
    /// Delivers what there still is, for a while.
    async fn close(self) {
        if self.stop.send(Instant::now() + LAST_SPANS).is_ok() {
            // It ends by itself; if it does not, its runtime is about to.
            let _ = self.task.await;
        }
    }
}

/// What a request has beside its spans.
struct Envelope {
    resource: Vec<u8>,
}

impl Envelope {
    fn new(service_name: &str, instance: &str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let mut resource = Vec::new();
        let mut out = Writer::new(&mut resource);
        let mut add = |key, value: &str| {
            if !value.is_empty() {
                out.attribute(1, key, value.as_bytes(), VALUE);
            }
        };
        add("service.name", service_name);
        add("service.version", env!("CARGO_PKG_VERSION"));
        add("service.instance.id", instance);
        add("host.name", host.trim());
        Self { resource }
    }

    /// An `ExportTraceServiceRequest`.
    fn around(&self, spans: &[u8]) -> Bytes {
        let mut body = Vec::with_capacity(self.resource.len() + spans.len() + 64);
        Writer::new(&mut body).message(1, |out| {
            out.bytes(1, &self.resource);
            out.message(2, |out| {
                out.message(1, |out| {
                    out.bytes(1, b"ringway");
                    out.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
                });
                out.raw(spans);
            });
        });
        body.into()
    }
}

/// A random UUID (RFC 9562 §5.4), which tells one process from another.
fn instance_id() -> String {
    let random = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{random:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Spans on their way.
struct Parcel {
    body: Bytes,
    spans: u64,
    tries: u32,
}

/// What the way to the collector is used for. One request is under way at a time.
enum Way {
    Free,
    /// A parcel is on it.
    Taken(Parcel, Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// It is left alone until then, with the parcel that is tried again.
    Closed(Option<Parcel>, Instant),
}

struct Work {
    to: Delivery,
    spans: Spans,
    counters: Arc<Counters<{ Delivered::COUNT }>>,
    backlog: Backlog,
    backoff: Backoff,
    way: Way,
    /// While the collector does not take what it should: spans that were lost since.
    lost: Option<u64>,
}

impl Work {
    async fn run(mut self, mut stop: oneshot::Receiver<Instant>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let spans = self.spans.clone();
            tokio::select! {
                _ = tick.tick() => {}
                () = spans.many() => {}
                () = self.proceed() => {}
                until = &mut stop => {
                    if let Ok(until) = until {
                        self.finish(until).await;
                    }
                    return;
                }
            }
            self.take_up();
            self.set_out();
        }
    }

    /// Takes up what the workers handed over.
    fn take_up(&mut self) {
        let now = Instant::now();
        while let Some(batch) = self.spans.take() {
            if let Err(dropped) = self.backlog.add(batch, now) {
                self.lose(Delivered::Dropped, dropped);
            }
        }
    }

    /// Begins a request if it is time for one and the way is free.
    fn set_out(&mut self) {
        if matches!(self.way, Way::Free)
            && let Some(batch) = self.backlog.due(Instant::now())
        {
            self.post(self.parcel(&batch));
        }
    }

    fn parcel(&self, batch: &Batch) -> Parcel {
        Parcel { body: self.to.envelope.around(&batch.bytes), spans: batch.spans.into(), tries: 0 }
    }

    fn post(&mut self, mut parcel: Parcel) {
        parcel.tries += 1;
        let answer = Box::pin(self.to.client.clone().post(parcel.body.clone()));
        self.way = Way::Taken(parcel, answer);
    }

    /// Waits for what comes next on the way, and acts upon it. Given up, it loses nothing.
    async fn proceed(&mut self) {
        let answer = match &mut self.way {
            Way::Free => return pending().await,
            Way::Taken(_, answer) => answer.await,
            Way::Closed(_, until) => {
                sleep_until((*until).into()).await;
                if let Way::Closed(Some(parcel), _) = std::mem::replace(&mut self.way, Way::Free) {
                    self.post(parcel);
                }
                return;
            }
        };
        if let Way::Taken(parcel, _) = std::mem::replace(&mut self.way, Way::Free) {
            self.answered(parcel, answer);
        }
    }

    fn answered(&mut self, parcel: Parcel, answer: Answer) {
        match answer {
            Answer::Taken { rejected: 0, .. } => {
                self.backoff.reset();
                self.counters.delivered(Delivered::Sent, parcel.spans);
                if let Some(lost) = self.lost.take() {
                    tracing::info!(collector = self.to.url, lost, "spans are delivered again");
                }
            }
            Answer::Taken { rejected, why } => {
                self.backoff.reset();
                let rejected = rejected.min(parcel.spans);
                self.trouble(&format!("it rejects spans: {why}"));
                self.counters.delivered(Delivered::Sent, parcel.spans - rejected);
                self.lose(Delivered::Rejected, rejected);
            }
            Answer::Refused(why) => {
                self.backoff.reset();
                self.trouble(&why);
                self.lose(Delivered::Rejected, parcel.spans);
            }
            Answer::Later { why, after } => {
                self.trouble(&why);
                let until = Instant::now() + self.backoff.failed(after, fastrand::f64());
                let again = if parcel.tries < TRIES {
                    Some(parcel)
                } else {
                    self.lose(Delivered::Failed, parcel.spans);
                    None
                };
                self.way = Way::Closed(again, until);
            }
        }
    }

    /// Counts spans that nobody will see.
    fn lose(&mut self, how: Delivered, spans: u64) {
        self.counters.delivered(how, spans);
        if let Some(lost) = &mut self.lost {
            *lost += spans;
        }
    }

    /// The collector does not take what it should. Told when it begins, not each time.
    fn trouble(&mut self, why: &str) {
        if self.lost.is_none() {
            self.lost = Some(0);
            tracing::warn!(
                collector = self.to.url,
                why,
                "spans are not delivered; they are kept for a while and tried again"
            );
        }
    }

    /// Delivers what there is until it is time to end. Each parcel has one more try.
    async fn finish(mut self, until: Instant) {
        let deadline = until.into();
        self.take_up();
        if let Way::Closed(waiting, _) = &mut self.way {
            let waiting = waiting.take();
            self.way = Way::Free;
            if let Some(parcel) = waiting {
                self.post(parcel);
            }
        }
        loop {
            if matches!(self.way, Way::Free)
                && let Some(batch) = self.backlog.next(Instant::now())
            {
                self.post(self.parcel(&batch));
            }
            if !matches!(self.way, Way::Taken(..)) || timeout_at(deadline, self.proceed()).await.is_err() {
                break;
            }
        }
        let under_way = match &self.way {
            Way::Free | Way::Closed(None, _) => 0,
            Way::Taken(parcel, _) | Way::Closed(Some(parcel), _) => parcel.spans,
        };
        let lost = under_way + self.backlog.spans();
        if lost > 0 {
            self.counters.delivered(Delivered::Failed, lost);
            tracing::warn!(
                collector = self.to.url,
                lost,
                "the last spans are lost: the collector did not take them in time"
            );
        }
    }
}
