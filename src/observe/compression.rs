//! What is counted of compression.

use super::counters::{Counter, Counters, Gauge, WorkerCounters};
use super::prometheus::Page;
use super::reason::Uncompressed;
use std::sync::Arc;

/// Per worker.
#[derive(Debug, Default)]
pub struct Compression {
    /// Answers that were compressed, by coding as in [`CODINGS`].
    pub encoded: [Recoded; CODINGS.len()],
    /// Answers that were decompressed, likewise.
    pub decoded: [Recoded; CODINGS.len()],
    /// Answers that were not compressed although their route may.
    pub skipped: Counters<{ Uncompressed::COUNT }>,
    /// Answers that were compressed at a lower level, as there was no time for more.
    pub lowered: Counter,
    /// Bytes that contexts hold.
    pub held: Gauge,
}

/// Answers that were given another coding.
#[derive(Debug, Default)]
pub struct Recoded {
    /// How many.
    pub answers: Counter,
    /// Bytes of their content as it came.
    pub taken: Counter,
    /// Bytes of their content as it went.
    pub given: Counter,
}

/// The codings, by their names in HTTP.
pub const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

impl Counters<{ Uncompressed::COUNT }> {
    /// Counts one answer that is left as it is.
    #[inline]
    pub fn left(&self, why: Uncompressed) {
        self.0[why.index()].inc();
    }
}

/// Writes what all workers have counted.
pub(super) fn write(page: &mut Page, workers: &[Arc<WorkerCounters>]) {
    let sum = |value: &dyn Fn(&Compression) -> u64| {
        workers.iter().map(|worker| value(&worker.worker.compression)).fold(0, u64::wrapping_add)
    };
    let mut families = |verb: &str, past: &str, side: fn(&Compression) -> &[Recoded]| {
        for (name, help, value) in [
            ("responses_total", format!("Answers {past}."), (|of| of.answers.get()) as fn(&Recoded) -> u64),
            ("input_bytes_total", format!("Content of answers {past}, as it came."), |of| of.taken.get()),
            ("output_bytes_total", format!("Content of answers {past}, as it went."), |of| of.given.get()),
        ] {
            let name = format!("ringway_{verb}_{name}");
            let mut family = page.counter(&name, &help);
            for (place, coding) in CODINGS.iter().enumerate() {
                family.sample(&[("coding", coding)], sum(&|of| value(&side(of)[place])));
            }
        }
    };
    families("compression", "compressed", |of| &of.encoded);
    families("decompression", "decompressed", |of| &of.decoded);
    let help = "Answers of routes that compress which were left as they are.";
    let mut skipped = page.counter("ringway_compression_skipped_total", help);
    for why in Uncompressed::ALL {
        skipped.sample(&[("reason", why.word())], sum(&|of| of.skipped.get()[why.index()]));
    }
    let help = "Answers compressed at the fastest level for want of time.";
    page.counter("ringway_compression_lowered_total", help).sample(&[], sum(&|of| of.lowered.get()));
    let help = "Bytes held to compress and decompress.";
    let mut held = page.gauge("ringway_compression_held_bytes", help);
    for (place, worker) in workers.iter().enumerate() {
        held.sample(&[("worker", &place.to_string())], worker.worker.compression.held.get());
    }
}
