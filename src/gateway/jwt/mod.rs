//! JSON Web Tokens (RFC 7519): whether a token is good, and what it says.
//!
//! What always holds:
//! - Without I/O and without a clock; no panic, whatever comes; what a token takes is bounded by its length.
//! - A key's algorithms are its own ([`Keys`]); a token's `alg` only picks among them, so a public key never serves as a secret, and
//!   nothing unsigned is taken.
//! - `kid` is only ever compared with the names of keys. `jku`, `x5u`, `jwk` and `x5c` are not looked at.
//! - Claims are read once the signature is good, and are believed once a [`Policy`] has judged them, each time anew.
//! - Secrets, tokens and claims are in no message and in no `Debug`.
//!
//! Signatures are aws-lc's, JSON is serde_json's, base64 and PEM and X.509 are their crates'. A crate for tokens would add the splitting
//! at two dots and the comparing of claims to it; what makes the difference here, algorithms pinned to keys, members that stand once,
//! keys that are left out one by one, a bound on how many are tried, would still be ours, around an interface made for
//! other uses. So there is none (RFC 8725 is the list of what such crates got wrong).
//!
//! Depends on nothing else of Ringway.

mod algorithm;
mod cache;
mod claims;
mod denial;
mod json;
mod jwk;
mod key;
mod keys;
mod pem;
mod pointer;
mod policy;
mod token;

pub use algorithm::Algorithm;
pub use cache::Cache;
pub use claims::{Claims, Unfit};
pub use denial::Denial;
pub use key::Print;
pub use keys::Keys;
pub use pointer::Pointer;
pub use policy::{LONGEST, MOST_LEEWAY, Policy, Types, Wanted};

use aws_lc_rs::digest::{Context, SHA256};

/// What tells one who says whether tokens are good from another, made of all there is to them.
pub fn print(parts: &[&[u8]]) -> Print {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut print = Print::default();
    // SHA-256 has as many bytes.
    print.iter_mut().zip(hash.finish().as_ref()).for_each(|(own, byte)| *own = *byte);
    print
}

/// The claims of a token, if one of the keys has signed it and the policy lets it pass at `now`, in seconds since 1970.
///
/// # Errors
/// Why it is not taken.
pub fn verify(token: &str, keys: &Keys, policy: &Policy, now: u64) -> Result<Claims, Denial> {
    policy.admits(token)?;
    let claims = keys.authenticate(token)?;
    policy.judge(&claims, now)?;
    Ok(claims)
}

#[cfg(test)]
mod tests;
