//! What a page tells of the server through which hosts share what they know.

use super::{Page, Scrape};

impl Scrape<'_> {
    /// Nothing where there is none.
    pub(super) fn write_store(&self, page: &mut Page) {
        if !self.sharing {
            return;
        }
        let of = &self.control.store;
        let help = "Whether the server answers through which hosts share: 1 yes, 0 no.";
        page.gauge("ringway_store_up", help).sample(&[], of.up.get());
        let help = "Hosts that share, as the server has heard of them; this one is one of them.";
        page.gauge("ringway_store_hosts", help).sample(&[], of.hosts.get());
        page.counter("ringway_store_calls_total", "Calls that were made to it.").sample(&[], of.calls.get());
        let help = "Calls that came to nothing: it did not answer in time, or refused.";
        page.counter("ringway_store_failures_total", help).sample(&[], of.failures.get());
        let help = "Times that it was asked; several calls are made at once.";
        page.counter("ringway_store_questions_total", help).sample(&[], of.questions.get());
        let help = "How long it took to be answered, all questions together.";
        let seconds = of.micros.get() as f64 / 1e6;
        page.counter("ringway_store_question_seconds_total", help).sample(&[], seconds);
        let help = "Times that it had no room for one more key of a quota: each host admits its least of that.";
        page.counter("ringway_store_no_room_total", help).sample(&[], of.no_room.get());
    }
}
