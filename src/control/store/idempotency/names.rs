//! What keys of a rule are called in the server, and what is asked of them.

use super::words;
use crate::control::store::seal::Seal;
use crate::control::store::{Call, Link, Script};
use crate::gateway::idempotency::{News, Print, Scope, Terms, Tiding};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long it is known at least that a request is under way; it is told again before.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// For how long it is told that a key has become free.
const FREE: Duration = Duration::from_secs(10);

static CLAIM: Script = Script::new(include_str!("claim.lua"));
static TELL: Script = Script::new(include_str!("tell.lua"));

/// Those of a rule.
pub(super) struct Names {
    pub(super) rule: Arc<str>,
    prefix: String,
    host: String,
    epoch: [String; 2],
}

impl Names {
    /// `None`: nothing of it is shared.
    pub(super) fn of(link: &Link, terms: &Terms) -> Option<Self> {
        let rule = terms.shared.clone()?;
        link.sharing()?;
        let epoch = [link.key("epoch"), link.standing().epoch.clone()];
        Some(Self { prefix: link.key(&format!("once:{rule}:")), host: link.id().to_owned(), epoch, rule })
    }

    /// That of one key.
    pub(super) fn key(&self, scope: &Scope) -> String {
        format!("{}{}", self.prefix, hex(scope))
    }

    fn of_all(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }

    /// Asks whether a request is carried out by this host.
    pub(super) fn claim(&self, (scope, print): (&Scope, &Print), terms: &Terms) -> Call {
        let [name, epoch] = &self.epoch;
        let call = Call::new(&CLAIM).key(self.key(scope)).key(self.of_all("all")).key(name.as_str());
        let call = call.arg(&self.host).arg(&print[..]);
        let call = call.arg(millis(terms.ttl.max(UNDER_WAY))).arg(terms.bounds.max_keys);
        call.arg(u8::from(!terms.bounds.forgets)).arg(epoch)
    }

    /// Tells how a key stands. An answer that is larger than `most` is left out.
    pub(super) fn tell(&self, tiding: &Tiding, terms: &Terms, (seal, most): (Option<&Seal>, usize)) -> Call {
        let name = self.key(&tiding.scope);
        let (text, left) = match &tiding.news {
            News::Running(print) => return self.claim((&tiding.scope, print), terms),
            News::Free => (words::free(&self.host), FREE),
            News::Done(print, left, known) => (words::done((&name, &self.host), print, known, (seal, most)), *left),
        };
        let all = ["all", "answers", "bytes"].map(|what| self.of_all(what));
        let call = all.into_iter().fold(Call::new(&TELL).key(name), Call::key);
        let call = call.arg(&self.host).arg(text).arg(millis(left)).arg(hex(&tiding.scope));
        let call = call.arg(terms.bounds.max_keys).arg(u8::from(!terms.bounds.forgets)).arg(terms.bounds.memory);
        call.arg(&self.prefix)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
