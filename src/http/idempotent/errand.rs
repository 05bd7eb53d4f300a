//! A request with a key on its way to its target, which nobody's connection carries.
//!
//! What always holds: it goes on when its client leaves, and what came of it is told however it ends, also by a panic.

use super::keeper::Keeper;
use crate::gateway::Who;
use crate::http::apart::{Apart, read_again};
use crate::http::buffer::Held;
use crate::http::connection::{keep_heads, take_heads};
use crate::http::exchange::Exchange;
use crate::http::forward::{self, Path};
use crate::http::head::Version;
use crate::http::outcome::{Beside, Outcome};
use crate::http::taker::Taker;
use crate::net::{self, Lease};
use crate::observe::trace::Facts;
use crate::plan;
use crate::tls::Channel;
use std::rc::Rc;
use std::sync::Arc;

/// A request on its way.
pub(super) struct Errand {
    keeper: Keeping,
    apart: Apart,
    rule: Arc<plan::Forward>,
    path: Path,
    /// Who asks. What rules hold of the request goes along: it is under way for as long as this is.
    who: Who,
    trace: Facts,
    /// The normal path, where the raw one is not.
    normal: Vec<u8>,
    /// The whole head.
    text: Lease,
    beside: Beside,
    held: Box<Held>,
    content: Lease,
}

/// Whoever takes the answer in, who is told that no more comes.
struct Keeping(Rc<Keeper>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.over(true);
    }
}

impl Errand {
    /// The request of `exchange`, with its content.
    pub(super) fn new(
        exchange: &mut Exchange<'_>,
        (rule, path): (&Arc<plan::Forward>, Path),
        (held, content): (Box<Held>, Lease),
        keeper: &Rc<Keeper>,
    ) -> Self {
        let Exchange { connection, heads, text, outcome, .. } = exchange;
        let mut copy = Lease::with_room(text.len());
        copy.buffer().extend_from_slice(text);
        let mut who = heads.who.clone();
        who.holds = std::mem::take(&mut heads.who.holds);
        Self {
            keeper: Keeping(keeper.clone()),
            apart: Apart::of(connection),
            rule: rule.clone(),
            path,
            who,
            trace: std::mem::take(&mut heads.trace),
            normal: if path.plain { Vec::new() } else { heads.path.clone() },
            text: copy,
            beside: outcome.beside(),
            held,
            content,
        }
    }

    /// Sends it, on a task of its own. `again`: it may be sent to targets more than once.
    pub(super) fn leave(self, again: bool) {
        net::spawn("idempotent", self.run(again));
    }

    async fn run(self, again: bool) {
        let Self { keeper, apart, rule, path, text, content, held, .. } = self;
        let Some(connection) = apart.connection(Channel::Multiplexed(&*keeper.0)) else { return };
        let mut heads = take_heads();
        if read_again(&text, &mut heads.request).is_none() {
            return keep_heads(heads);
        }
        // What comes in chunks has an end for us, whatever its client can do.
        heads.request.version = Version::Http11;
        if rule.edits_answers() {
            heads.request.asks_for_all(&text);
        }
        (heads.path, heads.who, heads.trace) = (self.normal, self.who, self.trace);
        let mut exchange = Exchange::begin(connection, &mut heads);
        (exchange.text, exchange.outcome) = (text, Outcome::of_beside(&connection, self.beside));
        (exchange.keep_alive, exchange.again) = (true, again);
        exchange.taker = Some(Taker::Keeper(&keeper.0));
        forward::forward(&mut exchange, &rule, path, &held.incoming, content).await;
        keeper.0.came_to(&mut exchange);
        drop(exchange);
        heads.clear();
        keep_heads(heads);
    }
}
