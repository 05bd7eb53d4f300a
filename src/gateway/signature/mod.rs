//! Signatures of requests (RFC 9421): what a client says that it has signed, whether one of the known keys has, and whether that is enough.
//!
//! What always holds:
//! - Without I/O and without a clock; no panic, whatever comes; what a request takes is bounded by its head, and so is how many signatures
//!   are looked at.
//! - A key's algorithm is its own ([`Keys`]); what the client names has to be that one, and never picks another.
//! - What has to be signed is said here ([`Policy`]), not by the client: a signature of less is none.
//! - What goes on is what was signed: components are taken from the request as it was sent.
//! - A nonce counts as used only once its signature is good, and by one request alone, however many threads ask.
//! - Secrets and signatures are in no message and in no `Debug`.
//!
//! Depends on nothing else of Ringway but what a request is, who consumers are, and the table of limits.

mod base;
mod denial;
mod digest;
mod keys;
mod nonces;
mod policy;
mod rule;
mod signed;

pub use denial::Denial;
pub use digest::{Content, ContentDigest, Promised};
pub use keys::Keys;
pub use nonces::Nonces;
pub use policy::{Component, Policy};
pub use rule::Signature;
pub use signed::Signed;

use super::{Consumer, Request};
use std::sync::Arc;

/// Signatures of one request that are looked at.
const MOST: usize = 4;

/// Who has signed a request, at `now`, in seconds since 1970, and what is said of its content.
///
/// # Errors
/// Why nobody has, or not enough: of several signatures what is said of the first that says anything of a known key.
pub fn verify(
    request: &dyn Request,
    keys: &Keys,
    policy: &Policy,
    nonces: Option<&Nonces>,
    now: u64,
) -> Result<(Arc<Consumer>, Option<ContentDigest>), Denial> {
    let all = Signed::read(request)?;
    let content = policy.content(request)?;
    let mut worst = Denial::Absent;
    for signed in all.iter().filter(|signed| policy.is_meant(signed)).take(MOST) {
        match one(request, signed, keys, policy, nonces, now) {
            Ok(consumer) => return Ok((consumer, content)),
            Err(why) if worst == Denial::Absent || worst == Denial::KeyUnknown => worst = why,
            Err(_) => {}
        }
    }
    Err(worst)
}

fn one(
    request: &dyn Request,
    signed: &Signed,
    keys: &Keys,
    policy: &Policy,
    nonces: Option<&Nonces>,
    now: u64,
) -> Result<Arc<Consumer>, Denial> {
    let key = keys.find(signed).ok_or(Denial::KeyUnknown)?;
    policy.judge(signed, request, now)?;
    let base = base::of(request, signed)?;
    key.verify(signed, &base)?;
    if let Some(nonces) = nonces {
        let nonce = signed.nonce.as_deref().ok_or(Denial::NoNonce)?;
        nonces.take(&signed.key, nonce, policy.last(signed), now)?;
    }
    Ok(key.consumer.clone())
}

#[cfg(test)]
mod tests;
