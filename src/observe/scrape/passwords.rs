//! What a page tells of passwords.

use super::{Page, Scrape};
use crate::observe::reason::PasswordCheck;

impl Scrape<'_> {
    /// Nothing where none was ever asked for, as in most processes.
    pub(super) fn write_passwords(&self, page: &mut Page) {
        let passwords = &self.control.passwords;
        let counts = passwords.checks.get();
        if counts.iter().all(|&count| count == 0) && passwords.waiting.get() == 0 {
            return;
        }
        let mut checks = page.counter("ringway_password_checks_total", "Passwords by what came of looking at them.");
        for (what, count) in PasswordCheck::ALL.iter().zip(counts) {
            checks.sample(&[("result", what.word())], count);
        }
        page.gauge("ringway_passwords_waiting", "Passwords that wait to be looked at, or are.")
            .sample(&[], passwords.waiting.get());
    }
}
