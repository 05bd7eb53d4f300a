//! Stored answers in the codings that clients take. Each is made once, when it is first asked for, and kept with the answer.
//!
//! What always holds: what is made follows the answer as that comes in, and breaks off where that does; no more than a piece is
//! worked on before others have their turn.

use super::fill::WINDOW;
use crate::cache::store::body::{Body, Piece, Reader, Segment};
use crate::cache::store::entry::Entry;
use crate::cache::store::{Key, Store};
use crate::compress::{self, Coding, Decoder, Encoder, Fault};
use crate::http::coded::edited::Edited;
use crate::http::coded::head::Recoding;
use crate::http::exchange::Exchange;
use crate::http::head::Method;
use crate::net;
use crate::observe::reason::Uncompressed;
use crate::plan::Compress;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// By what stored answers are recoded.
#[derive(Clone, Copy)]
pub(super) struct Recoder<'a> {
    pub(super) rule: &'a Compress,
    /// Where the answer is stored, and under which key; `None`: it is not.
    pub(super) store: Option<(&'a Arc<Store>, Key)>,
}

/// What a content goes through.
pub(super) enum Coder {
    /// With the bytes that it is given at a time, and its level.
    Encoder(Encoder, usize, u8),
    Decoder(Decoder),
    /// Edits it, and codes what has become of it, if it is to be coded.
    Edited(Box<Edited>, Option<(Encoder, usize)>),
}

/// The place of a content without its coding among those that an answer has.
const DECODED: usize = Coding::COUNT;
/// Bytes that are decoded at a time.
const AT_A_TIME: usize = 64 << 10;
/// How long content that goes through a window waits for somebody to read it.
const PATIENCE: Duration = Duration::from_secs(10);

impl Recoder<'_> {
    /// How an answer changes for a client, and the content that it then has if that is another. `text` is the head.
    pub(super) fn recode(
        &self,
        exchange: &Exchange<'_>,
        entry: &Arc<Entry>,
        text: &[u8],
    ) -> Option<(Recoding, Option<Arc<Body>>)> {
        let recoding = crate::http::coded::of(exchange, self.rule, entry.length(), text)?;
        let content = match recoding {
            Recoding::Vary(_) | Recoding::WeakTag => return Some((recoding, None)),
            Recoding::Encode { .. } | Recoding::Decode(_) if exchange.heads.request.method == Method::Head => {
                return Some((recoding, None));
            }
            Recoding::Encode { coding, level, .. } => self.content(exchange, entry, coding.index(), |most| {
                Some(Coder::Encoder(Encoder::new(coding, level, most)?, coding.piece(level), level))
            }),
            Recoding::Decode(coding) => {
                self.content(exchange, entry, DECODED, |most| Some(Coder::Decoder(Decoder::new(coding, most)?)))
            }
        };
        match content {
            Some(content) => Some((recoding, Some(content))),
            None => Some((Recoding::Vary(Some(Uncompressed::Memory)), None)),
        }
    }

    /// The content of an answer in another coding: what is there, or what a new task makes. `None`: there is no memory for it, or it
    /// would be no smaller.
    fn content(
        &self,
        exchange: &Exchange<'_>,
        entry: &Arc<Entry>,
        place: usize,
        coder: impl FnOnce(usize) -> Option<Coder>,
    ) -> Option<Arc<Body>> {
        let mut kept = entry.body.is_kept();
        match entry.coded[place].get().filter(|_| kept) {
            // It has turned out too large to be kept, or was given up: each client has it for itself.
            Some(Some(known)) if !known.is_kept() || known.is_broken() => kept = false,
            Some(known) => return known.clone(),
            None => {}
        }
        let plan = &exchange.connection.era.plan;
        let coder = coder(plan.limits.compression / plan.runtime.workers.max(1))?;
        let body = Arc::new(Body::default());
        if kept {
            let mut own = false;
            let whole = Self::whole(entry, &coder, &body);
            let known = entry.coded[place].get_or_init(|| {
                own = true;
                (whole != Some(false)).then(|| body.clone())
            });
            if !own || whole.is_some() {
                if own && let Some((store, key)) = self.store {
                    store.weigh(key);
                }
                return known.clone();
            }
        } else {
            body.slide(WINDOW);
        }
        let again = self.store.filter(|_| kept).map(|(store, key)| (store.clone(), key));
        net::spawn("cache coding", code(entry.clone(), body.clone(), coder, again));
        Some(body)
    }

    /// Codes a short content that is all here at once. Whether it is smaller then; `None`: it is not short, or not all here.
    fn whole(entry: &Entry, coder: &Coder, body: &Body) -> Option<bool> {
        let Coder::Encoder(encoder, piece, level) = coder else { return None };
        let segments = entry.body.segments()?;
        let length: usize = segments.iter().map(|segment| segment.len()).sum();
        if length > *piece {
            return None;
        }
        let (mut content, mut out) = (Vec::with_capacity(length), Vec::new());
        segments.iter().for_each(|segment| content.extend_from_slice(segment));
        let smaller = compress::whole(encoder.coding(), *level, &content, &mut out).unwrap_or(false);
        if smaller {
            body.append(Segment::from(out));
            body.finish(entry.body.trailers());
        }
        Some(smaller)
    }
}

/// Makes a content in another coding as it comes in.
pub(super) async fn code(entry: Arc<Entry>, body: Arc<Body>, mut coder: Coder, again: Option<(Arc<Store>, Key)>) {
    let largest = again.as_ref().map(|(store, _)| store.largest());
    let made = make(&entry, &body, &mut coder, largest).await;
    let finished = made && finish(coder, &body).is_ok();
    if !finished {
        return body.fail();
    }
    body.finish(entry.body.trailers());
    if let Some((store, key)) = again {
        // Its weight is another now.
        store.weigh(key);
    }
}

/// Returns whether all has been coded. `largest`: what is longer is kept no more.
async fn make(entry: &Arc<Entry>, body: &Body, coder: &mut Coder, mut largest: Option<u64>) -> bool {
    let mut reader = Reader::new(entry.body.clone(), 0);
    loop {
        match reader.read() {
            Ok(Piece::Content(segment, offset)) => {
                if push(coder, &segment[offset..], body).await.is_err() {
                    return false;
                }
            }
            Ok(Piece::Later(callee)) => {
                let mut out = Vec::new();
                if let Coder::Encoder(encoder, ..) | Coder::Edited(_, Some((encoder, _))) = coder
                    && encoder.flush(&mut out).is_err()
                {
                    return false;
                }
                body.append(Segment::from(out));
                callee.await;
            }
            Ok(Piece::End) => return true,
            Ok(Piece::Gone | Piece::Broken) | Err(_) => return false,
        }
        if largest.is_some_and(|largest| body.received() > largest) {
            largest = None;
            body.slide(WINDOW);
        }
        while let Ok(Some(callee)) = body.ahead() {
            if net::timeout(PATIENCE, callee).await.is_none() && !body.has_readers() {
                return false;
            }
        }
        if !body.is_wanted() {
            return false;
        }
    }
}

async fn push(coder: &mut Coder, mut content: &[u8], body: &Body) -> Result<(), Fault> {
    loop {
        let mut out = Vec::new();
        let more = match coder {
            Coder::Encoder(encoder, piece, _) => {
                let here = content.len().min(*piece);
                encoder.push(&content[..here], &mut out)?;
                content = &content[here..];
                !content.is_empty()
            }
            Coder::Decoder(decoder) => {
                let step = decoder.push(content, AT_A_TIME, &mut out)?;
                content = &content[step.consumed..];
                step.more
            }
            Coder::Edited(edited, encoder) => {
                let mut plain = Vec::new();
                let pushed = edited.push(content, &mut plain).map_err(unedited)?;
                content = &content[pushed.0..];
                encode(encoder, plain, &mut out)?;
                pushed.1 || !content.is_empty()
            }
        };
        body.append(Segment::from(out));
        if !more {
            return Ok(());
        }
        breathe().await;
    }
}

fn finish(coder: Coder, body: &Body) -> Result<(), Fault> {
    let mut out = Vec::new();
    match coder {
        Coder::Encoder(encoder, ..) => encoder.finish(&mut out)?,
        Coder::Decoder(decoder) => decoder.finish()?,
        Coder::Edited(edited, mut encoder) => {
            let mut plain = Vec::new();
            edited.finish(&mut plain).map_err(unedited)?;
            encode(&mut encoder, plain, &mut out)?;
            if let Some((encoder, _)) = encoder {
                encoder.finish(&mut out)?;
            }
        }
    }
    body.append(Segment::from(out));
    Ok(())
}

/// Codes what was edited, if it is to be coded.
fn encode(encoder: &mut Option<(Encoder, usize)>, plain: Vec<u8>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match encoder {
        None => *out = plain,
        Some((encoder, piece)) => plain.chunks(*piece).try_for_each(|piece| encoder.push(piece, out))?,
    }
    Ok(())
}

/// What is stored cannot be edited: who waits for it is cut off.
#[cold]
fn unedited(word: &'static str) -> Fault {
    tracing::warn!(word, "the body of a stored answer cannot be edited");
    Fault::Corrupt
}

/// Lets others have their turn.
async fn breathe() {
    let mut waited = false;
    poll_fn(|cx| match std::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
