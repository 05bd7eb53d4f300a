//! Keys from a JSON Web Key Set (RFC 7517). A key that is not for signatures, or not understood, is left out with a reason (§5): an
//! issuer may publish it for others.

use super::key::{Curve, Key};
use super::token::{LONGEST_ID, decoded};
use super::{Algorithm, Denial, json};
use serde_json::{Map, Value};

/// A larger document is not read, in bytes.
const LARGEST: usize = 512 << 10;
/// As many keys as a document may hold.
const MOST: usize = 256;

/// The keys of a document, and why others were left out.
pub(super) fn read(document: &[u8]) -> Result<(Vec<Key>, Vec<String>), String> {
    if document.len() > LARGEST {
        return Err(format!("a JSON Web Key Set has at most {} KiB", LARGEST >> 10));
    }
    let set = json::object(document).map_err(|why| match why {
        Denial::DuplicateMember => "an object of it has two members of one name",
        _ => "it is no JSON object",
    })?;
    let Some(Value::Array(all)) = set.get("keys") else {
        return Err("it is no JSON Web Key Set: there is no array `keys` in it".to_owned());
    };
    if all.len() > MOST {
        return Err(format!("a JSON Web Key Set has at most {MOST} keys, this one {}", all.len()));
    }
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (place, value) in all.iter().enumerate() {
        let read = value.as_object().ok_or_else(|| "it is no object".to_owned()).and_then(key);
        match read {
            Ok(key) => keys.push(key),
            Err(why) => {
                let id: String =
                    value.get("kid").and_then(Value::as_str).unwrap_or_default().chars().take(64).collect();
                skipped.push(format!("key {place} ({id:?}) is left out: {why}"));
            }
        }
    }
    Ok((keys, skipped))
}

fn key(members: &Map<String, Value>) -> Result<Key, String> {
    let id = text(members, "kid")?;
    if id.is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(format!("its `kid` has more than {LONGEST_ID} bytes"));
    }
    if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err("it is not for signatures (`use`)".to_owned());
    }
    match members.get("key_ops") {
        None => {}
        Some(Value::Array(all)) if all.iter().any(|one| one == "verify") => {}
        Some(_) => return Err("it is not for verifying (`key_ops`)".to_owned()),
    }
    let pinned = match text(members, "alg")? {
        None => None,
        Some(name) => Some(Algorithm::named(name).ok_or("its `alg` is none of signatures that is understood")?),
    };
    let kind = text(members, "kty")?.ok_or("it has no `kty`")?;
    if kind != "oct" && members.contains_key("d") {
        return Err("it holds a private key: publish its public half alone".to_owned());
    }
    match kind {
        "RSA" => Key::rsa(id, &number(members, "n")?, &number(members, "e")?, pinned),
        "EC" => {
            let curve = match text(members, "crv")? {
                Some("P-256") => Curve::P256,
                Some("P-384") => Curve::P384,
                Some("P-521") => Curve::P521,
                _ => return Err("its curve is not understood".to_owned()),
            };
            let mut point = vec![4];
            for name in ["x", "y"] {
                let coordinate = number(members, name)?;
                if coordinate.len() != curve.coordinate() {
                    return Err(format!("its `{name}` has not {} bytes", curve.coordinate()));
                }
                point.extend(coordinate);
            }
            Key::ec(id, curve, &point, pinned)
        }
        "OKP" => match text(members, "crv")? {
            Some("Ed25519") => Key::ed25519(id, &number(members, "x")?, pinned),
            _ => Err("its curve is not understood".to_owned()),
        },
        "oct" => Key::secret(id, &number(members, "k")?, pinned),
        _ => Err("its `kty` is not understood".to_owned()),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its `{name}` is no string")),
    }
}

fn number(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = text(members, name)?.ok_or_else(|| format!("it has no `{name}`"))?;
    decoded(text).map_err(|_| format!("its `{name}` is no base64url without padding"))
}
