//! What a token says, once its signature is good.

use super::token::{Token, decoded};
use super::{Algorithm, Denial, Pointer, json};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// The end of the year 9999, in seconds since 1970. A time beyond it is none that was meant: milliseconds, mostly.
const LATEST: u64 = 253_402_300_799;

/// Integers up to it are exact in any reader (RFC 8259 §6).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The claims of a token whose signature is good.
pub struct Claims {
    members: Map<String, Value>,
    typ: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    key: Option<Box<str>>,
    expires: Option<u64>,
    begins: Option<u64>,
    issued: Option<u64>,
}

/// Why a claim cannot be written in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is an array or an object.
    Composite,
    /// There are control characters in it.
    Control,
    /// It is a number so large that its last digits are lost.
    Inexact,
}

impl Claims {
    /// Those that the token carries. Its signature has been verified.
    pub(super) fn read(token: Token<'_>) -> Result<Self, Denial> {
        let members = json::object(&decoded(token.payload)?)?;
        Self::of(members, token.typ.map(Into::into), Some(token.algorithm), token.id.map(Into::into))
    }

    /// Those of a token that was verified before, and has been nowhere since where anybody could change it.
    ///
    /// # Errors
    /// It is none.
    pub fn trusted(token: &str) -> Result<Self, Denial> {
        Self::read(Token::read(token)?)
    }

    /// What an issuer says of a token (RFC 7662 §2.2); `None`: it is not good.
    ///
    /// # Errors
    /// It says nothing of the kind.
    pub fn introspected(text: &[u8]) -> Result<Option<Self>, Denial> {
        let members = json::object(text)?;
        match members.get("active").and_then(Value::as_bool) {
            Some(true) => Self::of(members, None, None, None).map(Some),
            Some(false) => Ok(None),
            None => Err(Denial::Malformed),
        }
    }

    fn of(
        members: Map<String, Value>,
        typ: Option<Box<str>>,
        algorithm: Option<Algorithm>,
        key: Option<Box<str>>,
    ) -> Result<Self, Denial> {
        let good = |name, fits: fn(&Value) -> bool| members.get(name).is_none_or(fits);
        if !good("iss", Value::is_string) || !good("sub", Value::is_string) || !good("aud", is_audience) {
            return Err(Denial::BadClaim);
        }
        Ok(Self {
            typ,
            algorithm,
            key,
            expires: time(&members, "exp")?,
            begins: time(&members, "nbf")?,
            issued: time(&members, "iat")?,
            members,
        })
    }

    /// Whom it is about (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.string("sub")
    }

    /// Who made it (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.string("iss")
    }

    /// For whom it was made (`aud`).
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        strings(self.members.get("aud"))
    }

    /// What it allows: the words of `scope` (RFC 8693 §4.2), or where there is none of `scp`; either may be an array.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let scopes = self.members.get("scope").or_else(|| self.members.get("scp"));
        strings(scopes).flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty())
    }

    /// When it expires (`exp`), in seconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// From when on it is valid (`nbf`), in seconds since 1970.
    pub fn begins(&self) -> Option<u64> {
        self.begins
    }

    /// When it was made (`iat`), in seconds since 1970.
    pub fn issued(&self) -> Option<u64> {
        self.issued
    }

    /// How it is signed; `None`: that is not what makes it good.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The key that it names.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What it says that it is (`typ`), in lower case and without `application/`.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// All that it says.
    pub fn all(&self) -> &Map<String, Value> {
        &self.members
    }

    /// One claim.
    pub fn get(&self, at: &Pointer) -> Option<&Value> {
        at.find(&self.members)
    }

    /// A claim as the value of a header line: strings as they are, numbers and booleans as JSON writes them. `None` where there is
    /// none, or null.
    ///
    /// # Errors
    /// Why it cannot be written so.
    pub fn text(&self, at: &Pointer) -> Result<Option<Cow<'_, str>>, Unfit> {
        match self.get(at) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().any(char::is_control) => Err(Unfit::Control),
            Some(Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(Value::Bool(value)) => Ok(Some(Cow::Borrowed(if *value { "true" } else { "false" }))),
            Some(Value::Number(number)) => match number.as_f64() {
                Some(value) if number.is_f64() && value.abs() >= EXACT => Err(Unfit::Inexact),
                _ => Ok(Some(Cow::Owned(number.to_string()))),
            },
            Some(Value::Array(_) | Value::Object(_)) => Err(Unfit::Composite),
        }
    }

    /// What they take, in bytes, by and large.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.members.iter().map(|(name, value)| member(name, value)).sum::<usize>()
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }
}

// What a token says is its bearer's business, and not for a log.
impl fmt::Debug for Claims {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Claims").field("count", &self.members.len()).finish_non_exhaustive()
    }
}

/// A NumericDate (RFC 7519 §2) in whole seconds; one before 1970 is 1970.
fn time(members: &Map<String, Value>, name: &str) -> Result<Option<u64>, Denial> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let seconds = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        // Saturates, at nought as well.
        (None, Some(seconds)) => seconds as u64,
        (None, None) => return Err(Denial::BadClaim),
    };
    if seconds > LATEST {
        return Err(Denial::BadClaim);
    }
    Ok(Some(seconds))
}

fn is_audience(value: &Value) -> bool {
    value.is_string() || value.as_array().is_some_and(|all| all.iter().all(Value::is_string))
}

/// The strings that a claim is, or has in its array.
fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = (value.and_then(Value::as_str), value.and_then(Value::as_array));
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

/// The bytes of a member: a node of the tree that holds it has room for eleven, and may hold but one.
fn member(name: &str, value: &Value) -> usize {
    128 + name.len() + weight(value)
}

fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(all) => all.iter().map(weight).sum::<usize>() * 2,
            Value::Object(members) => 640 + members.iter().map(|(name, value)| member(name, value)).sum::<usize>(),
            _ => 0,
        }
}
