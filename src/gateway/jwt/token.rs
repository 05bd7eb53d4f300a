//! A token taken apart: JWS in its compact form (RFC 7515 §7.1), nothing of it believed yet.

use super::{Algorithm, Denial, json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A longer name of a key is none.
pub(super) const LONGEST_ID: usize = 256;

/// A token, unverified.
pub(super) struct Token<'a> {
    /// What is signed.
    pub(super) signed: &'a str,
    /// What is signed of it as claims, encoded.
    pub(super) payload: &'a str,
    /// The signature.
    pub(super) signature: Vec<u8>,
    /// How it says that it is signed.
    pub(super) algorithm: Algorithm,
    /// The key that it names.
    pub(super) id: Option<String>,
    /// What it says that it is: in lower case, without `application/` (RFC 7515 §4.1.9).
    pub(super) typ: Option<String>,
}

impl<'a> Token<'a> {
    /// Takes it apart. Where it says that a key is to be found, or brings one along, is not looked at.
    pub(super) fn read(token: &'a str) -> Result<Self, Denial> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Denial::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Denial::Malformed)?;
        if payload.contains('.') {
            return Err(Denial::Malformed);
        }
        let header = json::object(&decoded(header)?)?;
        let text = |name| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Denial::Malformed),
        };
        let name = text("alg")?.ok_or(Denial::Malformed)?;
        if name.eq_ignore_ascii_case("none") {
            return Err(Denial::AlgorithmNone);
        }
        let algorithm = Algorithm::named(name).ok_or(Denial::AlgorithmUnknown)?;
        if header.contains_key("crit") {
            return Err(Denial::Critical);
        }
        let id = text("kid")?.cloned();
        if id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
            return Err(Denial::KeyUnknown);
        }
        let typ = text("typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
        });
        Ok(Self { signed, payload, signature: decoded(signature)?, algorithm, id, typ })
    }
}

/// What base64url stands for: without padding, space and bits that count for nothing, so that it is written in one way alone.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Denial::Malformed)
}
