//! What an exchange notes for its spans: of a fixed size, reused, and without a look at the clock that it would not take
//! anyway.

use super::context::Context;
use std::time::{Duration, Instant};

/// Tries that are kept apart; of more than that, the first ones and the last.
pub const TRIES: usize = 4;

/// What an exchange notes for its spans. Without a place in a trace it notes nothing.
#[derive(Debug, Default)]
pub struct Facts {
    context: Option<Context>,
    tries: [Try; TRIES],
    /// Tries begun.
    begun: u32,
    /// When a target with room was waited for first, and for how long in all.
    queue: Option<(Instant, Duration)>,
}

/// One try at one target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Try {
    /// The id of its span.
    pub span_id: u64,
    /// How many came before it.
    pub before: u32,
    /// The target's position in its pool.
    pub target: usize,
    /// When a connection was asked for, and how long it took; without the latter it never stood.
    pub connect: Option<(Instant, Option<Duration>)>,
    /// When the request went out.
    pub sent: Option<Instant>,
    /// How long after that the first byte came.
    pub first_byte: Option<Duration>,
    /// The status that the target answered with; 0 if none came.
    pub status: u16,
    /// Whether HTTP/2 was spoken.
    pub h2: bool,
    /// How and when it failed; without it, it lasted as long as the exchange.
    pub failed: Option<(&'static str, Instant)>,
}

impl Facts {
    /// Takes its place in a trace; what was noted before is gone.
    pub fn begin(&mut self, context: Context) {
        (self.context, self.begun, self.queue) = (Some(context), 0, None);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.context, self.begun, self.queue) = (None, 0, None);
    }

    /// Its place in a trace; `None` while it has none.
    #[inline]
    pub fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// The tries that were kept, in their order.
    pub fn tries(&self) -> &[Try] {
        &self.tries[..(self.begun as usize).min(TRIES)]
    }

    /// A target with room was waited for.
    pub fn queued(&mut self, from: Instant, took: Duration) {
        if self.context.is_some() {
            let (first, before) = self.queue.unwrap_or((from, Duration::ZERO));
            self.queue = Some((first, before + took));
        }
    }

    /// When a target with room was waited for first, and for how long in all.
    pub fn queue(&self) -> Option<(Instant, Duration)> {
        self.queue
    }

    /// A try at the target at `target` begins, in a span called `span_id`.
    pub fn try_begins(&mut self, target: usize, span_id: u64) {
        let place = (self.begun as usize).min(TRIES - 1);
        self.tries[place] = Try { span_id, before: self.begun, target, ..Try::default() };
        self.begun += 1;
    }

    /// The value of `traceparent` for the target that is tried; `None` where nothing is traced.
    pub fn traceparent(&self) -> Option<[u8; 55]> {
        let context = self.context?;
        Some(context.value(self.tries().last()?.span_id))
    }

    /// A connection is asked for.
    pub fn connecting(&mut self, at: Instant) {
        if let Some(last) = self.last() {
            last.connect = Some((at, None));
        }
    }

    /// It stands, `took` after it was asked for.
    pub fn connected(&mut self, took: Duration) {
        if let Some(connect) = self.last().and_then(|last| last.connect.as_mut()) {
            connect.1 = Some(took);
        }
    }

    /// The request goes out.
    pub fn sent(&mut self, at: Instant, h2: bool) {
        if let Some(last) = self.last() {
            (last.sent, last.h2) = (Some(at), h2);
        }
    }

    /// The target's first byte came, `took` after the request went out.
    pub fn first_byte(&mut self, took: Duration) {
        if let Some(last) = self.last() {
            last.first_byte = Some(took);
        }
    }

    /// The target answers.
    pub fn answered(&mut self, status: u16) {
        if let Some(last) = self.last() {
            last.status = status;
        }
    }

    /// The target failed in the way that `word` says. The clock is asked only where something is traced.
    pub fn failed(&mut self, word: &'static str, now: impl FnOnce() -> Instant) {
        if let Some(last) = self.last() {
            last.failed = Some((word, now()));
        }
    }

    /// The try before the last one is the one that counts from here on.
    pub fn swap_last(&mut self) {
        if let Some(last) = (self.begun as usize).min(TRIES).checked_sub(1).filter(|last| *last > 0) {
            self.tries.swap(last - 1, last);
        }
    }

    #[inline]
    fn last(&mut self) -> Option<&mut Try> {
        let place = (self.begun as usize).min(TRIES).checked_sub(1)?;
        self.tries.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::Ids;
    use super::*;

    #[test]
    fn of_many_tries_the_first_and_the_last_are_kept() {
        let mut facts = Facts::default();
        facts.begin(Context { ids: Ids { trace_id: 1, span_id: 2 }, parent: 0, sampled: true, random: true });
        for target in 0..9 {
            facts.try_begins(target, 100 + target as u64);
            facts.answered(500 + target as u16);
        }
        let kept: Vec<_> = facts.tries().iter().map(|one| (one.target, one.before, one.span_id, one.status)).collect();
        assert_eq!(kept, [(0, 0, 100, 500), (1, 1, 101, 501), (2, 2, 102, 502), (8, 8, 108, 508)]);
        assert!(facts.traceparent().is_some_and(|value| value[36..52] == *b"000000000000006c"));
    }

    #[test]
    fn of_two_at_a_time_either_can_be_the_one_that_counts() {
        let mut facts = Facts::default();
        facts.begin(Context { ids: Ids { trace_id: 1, span_id: 2 }, parent: 0, sampled: true, random: true });
        facts.try_begins(7, 100);
        facts.swap_last();
        facts.try_begins(8, 101);
        facts.swap_last();
        facts.answered(200);
        let kept: Vec<_> = facts.tries().iter().map(|one| (one.target, one.before, one.status)).collect();
        assert_eq!(kept, [(8, 1, 0), (7, 0, 200)]);
    }

    #[test]
    fn an_exchange_that_is_not_traced_notes_nothing() {
        let mut facts = Facts::default();
        facts.connecting(Instant::now());
        facts.failed("reset", || unreachable!("the clock is not asked"));
        assert!(facts.tries().is_empty() && facts.traceparent().is_none());
    }
}
