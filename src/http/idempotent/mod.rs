//! Requests with an Idempotency-Key: carried out once, on a task of its own, and answered to all who send them.
//!
//! What always holds: what is looked at of a body is looked at before a key is taken; a request that has taken its key is carried out to its
//! end, whoever leaves meanwhile, and its answer is stored before a byte of its end goes to anybody; what a client gets again is what the first
//! was sent, byte for byte of its content.

mod errand;
mod follow;
mod give;
mod keeper;

use super::body::Body;
use super::buffer::{self, Held};
use super::exchange::Exchange;
use super::forward::{self, Path, answer_instead};
use super::h1::{Framing, Incoming};
use super::intake;
use super::reply::Reply;
use super::seen::Seen;
use crate::gateway::idempotency::{
    Claim, Claimed, Claiming, Ended, Figures, Flight, Kept, Keyed, Print, Refused, Run, Seen as Shown, refused,
};
use crate::net::{self, Caller, Either, Lease, breathe, call, coarse_now, race};
use crate::observe::reason::{Failure, Reason};
use crate::plan::{self, Keys};
use aws_lc_rs::digest::{Context, SHA256};
pub(super) use keeper::Keeper;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes that are hashed before others have their turn.
const PIECE: usize = 64 << 10;

/// What the log says of a request that got a stored answer.
const REPLAYED: &str = "replayed";
/// And of one that got the answer of another that it waited for.
const COLLAPSED: &str = "collapsed";
/// And of one that was carried out though other hosts could not be asked.
const ALONE: &str = "alone";
/// How often a request is carried out or waits again whose key became free at another host.
const AGAIN: u32 = 2;

/// Serves a request that names a key. Returns what was received beyond it if the client's connection goes on.
pub(super) async fn serve(
    exchange: &mut Exchange<'_>,
    rule: &Arc<plan::Forward>,
    path: Path,
    incoming: &Incoming,
    received: Lease,
) -> Option<Lease> {
    let keyed = exchange.heads.who.keyed.take().filter(|_| !incoming.websocket && !exchange.grpc);
    let keyed = match keyed {
        // What would become of it is found out where bodies are looked at, which holds back none of them.
        Some(keyed) if keyed.shadow => {
            exchange.heads.who.keyed = Some(keyed);
            None
        }
        keyed => keyed,
    };
    let keys = keyed.as_ref().and_then(|keyed| exchange.connection.era.plan.lasting.keys_at(keyed.rule));
    let (Some(keyed), Some(keys)) = (keyed, keys.cloned()) else {
        return forward::forward(exchange, rule, path, incoming, received).await;
    };
    let mut body = match intake::begin(exchange, rule, incoming, received) {
        Ok(body) => body,
        Err(error) => return intake::refuse(exchange, &error).await,
    };
    let most = keyed.terms.max_request_body;
    let (mut held, content) = match buffer::whole(exchange, incoming, &mut body, most).await {
        Ok(whole) => whole,
        Err(Some(reply)) => {
            let reply = if reply.status == 413 { refuse(exchange, &keyed, Refused::TooLarge) } else { reply };
            return answer_instead(exchange, reply, body).await;
        }
        Err(None) => return None,
    };
    held.becomes(content, incoming.accepts_trailers, &mut body);
    if incoming.framing == Framing::None {
        held.incoming.framing = Framing::None;
    }
    if let Some(seen) = Seen::of(exchange)
        && let Err(reply) = seen.look(exchange, &mut body).await
    {
        return answer_instead(exchange, reply, body).await;
    }
    let print = print_of(exchange, body.first()).await;
    let mut keyed = Asked { exchange, keys, keyed, print };
    let refused = keyed.answer(rule, path, held, &mut body).await.err();
    match refused {
        Some(reply) => answer_instead(exchange, reply, body).await,
        None if exchange.keep_alive => Some(body.into_beyond()),
        None => {
            if body.has_beyond() {
                exchange.linger().await;
            }
            None
        }
    }
}

/// In shadow mode: what would become of a request with this content is counted; `None`: that is more than is taken of one. It goes on as any
/// other.
pub(super) async fn shown(exchange: &mut Exchange<'_>, keyed: &Keyed, content: Option<&[u8]>) {
    let Some(keys) = exchange.connection.era.plan.lasting.keys_at(keyed.rule) else { return };
    let Some(content) = content.filter(|content| content.len() <= keyed.terms.max_request_body) else {
        return exchange.count_shadowed(keyed.rule);
    };
    let print = print_of(exchange, content).await;
    match keys.look(keyed.scope, print, &keyed.terms, coarse_now()) {
        Shown::Mismatch => exchange.count_shadowed(keyed.rule),
        Shown::First | Shown::Again => exchange.count_body(keyed.rule, true),
    }
}

/// What tells a request from another with its key: its query and its content. Method and path are part of what the key is known by.
async fn print_of(exchange: &Exchange<'_>, content: &[u8]) -> Print {
    let mut context = Context::new(&SHA256);
    match exchange.heads.request.query {
        None => context.update(&[0]),
        Some(query) => {
            let query = query.of(&exchange.text);
            context.update(&[1]);
            context.update(&(query.len() as u64).to_be_bytes());
            context.update(query);
        }
    }
    for (place, piece) in content.chunks(PIECE).enumerate() {
        if place > 0 {
            breathe().await;
        }
        context.update(piece);
    }
    let mut print = Print::default();
    print.copy_from_slice(context.finish().as_ref());
    print
}

/// The refusal of a request with a key, which is counted.
#[cold]
fn refuse(exchange: &mut Exchange<'_>, keyed: &Keyed, why: Refused) -> Reply {
    exchange.count_body(keyed.rule, false);
    Reply::denied(refused(why))
}

/// A request with a key, whose body is there.
struct Asked<'e, 'a> {
    exchange: &'e mut Exchange<'a>,
    keys: Arc<Keys>,
    keyed: Box<Keyed>,
    print: Print,
}

impl Asked<'_, '_> {
    /// Has it answered.
    ///
    /// # Errors
    /// It is refused.
    async fn answer(
        &mut self,
        rule: &Arc<plan::Forward>,
        path: Path,
        held: Box<Held>,
        body: &mut Body,
    ) -> Result<(), Reply> {
        let Keyed { rule: place, scope, .. } = *self.keyed;
        let (mut turns, begun) = (0, coarse_now());
        let why = loop {
            let claim = match self.keys.claim(scope, self.print, &self.keyed.terms, coarse_now()) {
                Claim::Own(run) => self.agree(run).await,
                claim => claim,
            };
            break match claim {
                Claim::Own(run) => {
                    run.begin();
                    self.exchange.count_body(place, true);
                    let keeper = Keeper::new(run, &self.keyed.terms, self.exchange.heads.request.method);
                    let errand = errand::Errand::new(self.exchange, (rule, path), (held, body.take_first()), &keeper);
                    errand.leave(self.keyed.terms.retry);
                    follow::follow(self.exchange, keeper).await;
                    return Ok(());
                }
                Claim::Replay(kept) => {
                    self.count(|figures| &figures.replayed);
                    return self.give(&kept, REPLAYED).await;
                }
                Claim::Wait(flight) => match self.wait(&flight, begun).await? {
                    None => return Ok(()),
                    Some(Ended::Answered(kept)) => {
                        self.count(|figures| &figures.collapsed);
                        return self.give(&kept, COLLAPSED).await;
                    }
                    Some(Ended::Unkept(_)) => Refused::Unkept,
                    // At another host its key became free, and what that has answered is not known here.
                    Some(Ended::Lost) if !flight.is_here() && turns < AGAIN => {
                        turns += 1;
                        continue;
                    }
                    Some(Ended::Lost) => Refused::Lost,
                },
                Claim::Unkept(_) => Refused::Unkept,
                Claim::Mismatch => Refused::Mismatch,
                Claim::Full => Refused::Full,
                Claim::Away => Refused::Away,
            };
        };
        Err(self.refuse(why))
    }

    /// Asks other hosts, where keys are those of all, whether it is carried out here.
    async fn agree(&mut self, run: Run<Caller>) -> Claim<Caller> {
        let terms = &self.keyed.terms;
        if terms.shared.is_none() {
            return Claim::Own(run);
        }
        let flight = run.flight().clone();
        match self.exchange.connection.lane.desk.keys.ask(Claiming { terms: terms.clone(), run }).await {
            Some(Claimed::Here(run)) => Claim::Own(run),
            Some(Claimed::Alone(run)) => {
                self.exchange.outcome.shares(ALONE);
                Claim::Own(run)
            }
            Some(Claimed::Known) => match flight.ended() {
                Some(Ended::Answered(kept)) => Claim::Replay(kept.clone()),
                Some(Ended::Unkept(why)) => Claim::Unkept(*why),
                Some(Ended::Lost) | None => Claim::Wait(flight),
            },
            Some(Claimed::Joined) => Claim::Wait(flight),
            Some(Claimed::Mismatch) => Claim::Mismatch,
            Some(Claimed::Away) => Claim::Away,
            // Too many are asking, or have asked before: the key is free again.
            Some(Claimed::Full) | None => Claim::Full,
        }
    }

    async fn give(&mut self, kept: &Arc<Kept>, how: &'static str) -> Result<(), Reply> {
        self.exchange.count_body(self.keyed.rule, true);
        give::give(self.exchange, kept, how).await;
        Ok(())
    }

    /// Waits until another request with the key has ended, for as long as that may take. `None`: the client has left.
    ///
    /// # Errors
    /// It has not, in that time.
    async fn wait(&mut self, flight: &Flight<Caller>, begun: Duration) -> Result<Option<Ended>, Reply> {
        if let Some(ended) = flight.ended() {
            return Ok(Some(ended.clone()));
        }
        let limit = self.keyed.terms.wait.saturating_sub(coarse_now().saturating_sub(begun));
        if limit.is_zero() {
            return Err(self.refuse(Refused::Conflict));
        }
        let Ok((caller, mut callee)) = call() else { return Err(Reply::failure(Failure::Internal)) };
        if !flight.wait(caller) {
            return Ok(flight.ended().cloned());
        }
        self.exchange.outcome.waits();
        let client = self.exchange.connection.client;
        client.set_deadline(None);
        let called = async {
            match race(&mut callee, client.closed()).await {
                Either::Left(()) => true,
                Either::Right(true) => false,
                // The client has sent more: it is still there, and can be watched no further.
                Either::Right(false) => {
                    callee.await;
                    true
                }
            }
        };
        match net::timeout(limit, called).await {
            Some(true) => Ok(Some(flight.ended().cloned().unwrap_or(Ended::Lost))),
            Some(false) => {
                self.exchange.keep_alive = false;
                self.exchange.outcome.client_left();
                Ok(None)
            }
            None => Err(self.refuse(Refused::Conflict)),
        }
    }

    fn count(&self, what: impl Fn(&Figures) -> &AtomicU64) {
        what(&self.keys.figures).fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    fn refuse(&mut self, why: Refused) -> Reply {
        self.count(|figures| match why {
            Refused::Conflict => &figures.conflicts,
            Refused::Mismatch => &figures.mismatches,
            Refused::Lost => &figures.lost,
            Refused::Full => &figures.full,
            Refused::Away => &figures.away,
            // The others have no key that was looked for.
            Refused::Unkept | Refused::Missing | Refused::Bad | Refused::TooLarge => &figures.unkept,
        });
        refuse(self.exchange, &self.keyed, why)
    }
}

/// The reason of a request that was broken off within its answer.
const BROKEN: Reason = Reason::Internal;
