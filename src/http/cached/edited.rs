//! A stored answer whose JSON body rules edit for each client anew: what is stored is what the origin has sent.
//!
//! What always holds: a short one that is all there is edited at once and has a length; another one as it comes, and what breaks off or
//! cannot be edited breaks off for its client.

use super::coded::{Coder, Recoder, code};
use super::deliver::Content;
use super::fill::WINDOW;
use crate::cache::store::body::{Body, Segment};
use crate::cache::store::entry::Entry;
use crate::compress::Encoder;
use crate::http::coded::edited::{Edited, Verdict, rewrite, verdict, weaken};
use crate::http::coded::head::Recoding;
use crate::http::exchange::Exchange;
use crate::http::h1::Framing;
use crate::net;
use crate::observe::reason::{Failure, Uncompressed};
use crate::plan::Bodies;
use std::sync::Arc;

/// Bytes of a body that is edited at once.
const SHORT: usize = 64 << 10;

/// A stored answer, and what becomes of it.
pub(super) struct Stored<'a> {
    pub(super) entry: &'a Arc<Entry>,
    pub(super) bodies: &'a Bodies,
    pub(super) recoder: Option<&'a Recoder<'a>>,
}

impl Stored<'_> {
    /// Edits an answer whose head is in the exchange and stands in `text`. Returns whether that has settled its coding as well.
    ///
    /// # Errors
    /// It cannot be edited.
    #[cold]
    pub(super) fn edit(
        &self,
        exchange: &mut Exchange<'_>,
        content: &mut Content,
        text: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        let coding = match verdict(exchange, self.bodies, text) {
            Verdict::Leave => return Ok(false),
            Verdict::WeakTag => {
                weaken(&mut exchange.heads.response, text);
                return Ok(false);
            }
            Verdict::Refuse(word) => return Err(unedited(word)),
            Verdict::Edit(coding) => coding,
        };
        let edited = Edited::new(exchange, self.bodies, coding, text).ok_or(Failure::Internal)?;
        rewrite(&mut exchange.heads.response, text);
        let has_content = content.framing != Framing::None;
        if has_content && self.recoder.is_none() && edited.is_plain() {
            let stored =
                self.entry.body.segments().filter(|all| all.iter().map(|one| one.len()).sum::<usize>() <= SHORT);
            if let Some(stored) = stored {
                let mut out = Vec::new();
                edited.whole(&stored.concat(), &mut out).map_err(unedited)?;
                let length = out.len() as u64;
                *content = Content::all(Arc::new(Body::complete(vec![Segment::from(out)])), length);
                content.recoded = true;
                return Ok(true);
            }
        }
        let mut recoding = self.recoder.and_then(|recoder| crate::http::coded::of(exchange, recoder.rule, None, text));
        let mut encoder = None;
        if let Some(Recoding::Encode { coding, level, .. }) = recoding.filter(|_| has_content) {
            let plan = &exchange.connection.era.plan;
            match Encoder::new(coding, level, plan.limits.compression / plan.runtime.workers.max(1)) {
                Some(made) => encoder = Some((made, coding.piece(level))),
                None => recoding = Some(Recoding::Vary(Some(Uncompressed::Memory))),
            }
        }
        if let Some(recoding) = recoding {
            recoding.rewrite(&mut exchange.heads.response, text);
        }
        if has_content {
            let body = Arc::new(Body::default());
            body.slide(WINDOW);
            let coder = Coder::Edited(Box::new(edited), encoder);
            net::spawn("cache editing", code(self.entry.clone(), body.clone(), coder, None));
            *content = Content::open(body, exchange.heads.request.version);
            content.recoded = true;
        }
        Ok(true)
    }
}

#[cold]
fn unedited(word: &'static str) -> Failure {
    tracing::warn!(word, "the body of a stored answer cannot be edited");
    Failure::BadBody
}
