//! Why a token is not taken.

/// Why a token is not taken: a closed set, each with a word for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It is longer than allowed.
    TooLong,
    /// It is no JWS in its compact form, or what it carries is no JSON object.
    Malformed,
    /// An object in it has two members of one name, which two readers could read differently.
    DuplicateMember,
    /// It is not signed.
    AlgorithmNone,
    /// It is signed in a way that is not understood.
    AlgorithmUnknown,
    /// It is signed in a way that the key is not for.
    AlgorithmMismatch,
    /// It wants extensions understood (`crit`); none is.
    Critical,
    /// It was not made for this purpose (`typ`).
    Type,
    /// It names a key that there is not; a fresh copy of the keys may have it.
    KeyUnknown,
    /// It names no key, and too many fit.
    KeyAmbiguous,
    /// No key verifies its signature.
    Signature,
    /// A registered claim is not of the type that RFC 7519 §4.1 gives it, or a time is beyond the year 9999.
    BadClaim,
    /// It does not say when it expires.
    NoExpiry,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// It was issued in the future.
    IssuedLater,
    /// Another issuer made it.
    Issuer,
    /// It was made for others.
    Audience,
    /// A claim that is asked for is not there or says something else.
    Claim,
    /// It does not allow what is asked of it.
    Scope,
}

impl Denial {
    /// All there are.
    pub const ALL: [Self; 20] = [
        Self::TooLong,
        Self::Malformed,
        Self::DuplicateMember,
        Self::AlgorithmNone,
        Self::AlgorithmUnknown,
        Self::AlgorithmMismatch,
        Self::Critical,
        Self::Type,
        Self::KeyUnknown,
        Self::KeyAmbiguous,
        Self::Signature,
        Self::BadClaim,
        Self::NoExpiry,
        Self::Expired,
        Self::NotYet,
        Self::IssuedLater,
        Self::Issuer,
        Self::Audience,
        Self::Claim,
        Self::Scope,
    ];

    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        self.said().0
    }

    /// A sentence for the client: fit for `error_description` (RFC 6750 §3), and tells it nothing of keys.
    pub fn description(self) -> &'static str {
        self.said().1
    }

    fn said(self) -> (&'static str, &'static str) {
        match self {
            Self::TooLong => ("token-too-long", "The token is too long"),
            Self::Malformed => ("token-malformed", "The token is malformed"),
            Self::DuplicateMember => ("token-duplicate-member", "The token has two members of one name"),
            Self::AlgorithmNone => ("token-unsigned", "The token is not signed"),
            Self::AlgorithmUnknown => ("token-algorithm-unknown", "The algorithm of the token is not supported"),
            Self::AlgorithmMismatch => {
                ("token-algorithm-mismatch", "The algorithm of the token is not that of the key")
            }
            Self::Critical => ("token-critical", "The token uses extensions that are not supported"),
            Self::Type => ("token-type", "The token is of another type"),
            Self::KeyUnknown => ("token-key-unknown", "The key of the token is not known"),
            Self::KeyAmbiguous => ("token-key-ambiguous", "The token does not name its key"),
            Self::Signature => ("token-signature", "The signature of the token is not valid"),
            Self::BadClaim => ("token-bad-claim", "A claim of the token is malformed"),
            Self::NoExpiry => ("token-no-expiry", "The token does not expire"),
            Self::Expired => ("token-expired", "The token has expired"),
            Self::NotYet => ("token-not-yet", "The token is not valid yet"),
            Self::IssuedLater => ("token-issued-later", "The token was issued in the future"),
            Self::Issuer => ("token-issuer", "The token is of another issuer"),
            Self::Audience => ("token-audience", "The token is for another audience"),
            Self::Claim => ("token-claim", "The token lacks a claim"),
            Self::Scope => ("token-scope", "The token lacks a scope"),
        }
    }

    /// The status (RFC 6750 §3.1).
    pub fn status(self) -> u16 {
        if self == Self::Scope { 403 } else { 401 }
    }

    /// The code for `error` in `WWW-Authenticate` (RFC 6750 §3.1).
    pub fn error(self) -> &'static str {
        if self == Self::Scope { "insufficient_scope" } else { "invalid_token" }
    }
}
