//! What is looked at of a request's body before any of it goes on.
//!
//! What always holds: no target sees a byte of a body that is not what was promised of it, or not as it has to be; what is looked at was
//! taken whole, and has a bound.

use super::body::Body;
use super::exchange::Exchange;
use super::idempotent;
use super::intake::refusal_of;
use super::reply::Reply;
use crate::gateway::Denial;
use crate::gateway::idempotency::Keyed;
use crate::gateway::openapi::Awaited;
use crate::gateway::signature::Promised;
use crate::net::breathe;
use crate::observe::reason::Reason;
use smallvec::SmallVec;

/// What a body has to be.
pub(super) struct Seen {
    /// As its head promised.
    promised: Option<Promised>,
    /// As rules say.
    awaited: SmallVec<[Awaited; 1]>,
    /// What its key is, where that binds nobody.
    keyed: Option<Box<Keyed>>,
}

/// Of what is longer others have their turn before it is read. It is read at one go: how long that takes has its bound in how much rules
/// take of a body.
const LONG: usize = 64 << 10;

impl Seen {
    /// What the rules of a request's route have left to be looked at; `None`: nothing.
    #[inline]
    pub(super) fn of(exchange: &mut Exchange<'_>) -> Option<Self> {
        let who = &mut exchange.heads.who;
        if who.promised.is_none() && who.bodies.is_empty() && who.keyed.is_none() {
            return None;
        }
        let keyed = who.keyed.take().filter(|keyed| keyed.shadow);
        Some(Self { promised: who.promised.take(), awaited: std::mem::take(&mut who.bodies), keyed })
    }

    /// Bytes that are taken to look at them.
    pub(super) fn most(&self) -> usize {
        let awaited = self.awaited.iter().map(|awaited| awaited.most);
        let others = [
            self.promised.as_ref().map(|promised| promised.most),
            self.keyed.as_ref().map(|keyed| keyed.terms.max_request_body),
        ];
        awaited.chain(others.into_iter().flatten()).max().unwrap_or(0)
    }

    /// Looks at what was taken.
    ///
    /// # Errors
    /// It is not what it has to be: it is answered so.
    pub(super) async fn look(&self, exchange: &mut Exchange<'_>, body: &mut Body) -> Result<(), Reply> {
        if let Some(promised) = &self.promised {
            keeps(promised, body).await?;
        }
        if !self.awaited.is_empty() {
            self.fits(exchange, body).await?;
        }
        if let Some(keyed) = &self.keyed {
            // What is on the disk is more than is taken of one with a key, or there was no room for it.
            let content = (body.is_ended() && !body.is_aside()).then(|| body.first());
            idempotent::shown(exchange, keyed, content).await;
        }
        Ok(())
    }

    /// Whether a body is as rules say.
    async fn fits(&self, exchange: &mut Exchange<'_>, body: &mut Body) -> Result<(), Reply> {
        let aside = match body.is_aside() {
            true => Some(whole(body).await?),
            false => None,
        };
        for awaited in &self.awaited {
            let content = aside.as_deref().unwrap_or(body.first());
            if content.len() > LONG {
                breathe().await;
            }
            let checked = match body.is_ended() {
                true => awaited.check(content),
                false => Err(awaited.too_large()),
            };
            match checked {
                Ok(()) => exchange.count_body(awaited.rule, true),
                Err(_) if awaited.shadow => exchange.count_shadowed(awaited.rule),
                Err(denial) => {
                    exchange.count_body(awaited.rule, false);
                    return Err(Reply::denied(denial));
                }
            }
        }
        Ok(())
    }
}

/// Whether content that was taken whole is what was promised of it.
#[cold]
async fn keeps(promised: &Promised, body: &mut Body) -> Result<(), Reply> {
    let refused = |status, word| Reply::denied(Denial::new(status, Reason::ContentDigest, word));
    if !body.is_ended() {
        return Err(refused(413, "content-digest-too-long"));
    }
    let mut content = promised.digest.begin();
    while let Some(piece) = body.next_aside().await.map_err(|error| refusal_of(&error))? {
        content.add(&piece);
    }
    content.add(body.first());
    if body.is_aside() {
        body.rewind();
    }
    content.end().map_err(|why| refused(400, why.word()))
}

/// A body of which a part is on the disk, in one piece.
#[cold]
async fn whole(body: &mut Body) -> Result<Vec<u8>, Reply> {
    let mut content = Vec::new();
    while let Some(piece) = body.next_aside().await.map_err(|error| refusal_of(&error))? {
        content.extend_from_slice(&piece);
    }
    content.extend_from_slice(body.first());
    body.rewind();
    Ok(content)
}
