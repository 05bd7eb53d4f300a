//! Why a signature is not taken.

/// Why a signature is not taken: a closed set, each with a word for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// There is none, or none for this purpose.
    Absent,
    /// What is said of signatures is not what RFC 9421 has.
    Malformed,
    /// A component is of a kind that is not understood.
    Component,
    /// A component is not in the request.
    Missing,
    /// Something is not signed that has to be.
    Uncovered,
    /// It is by no key that is known, or names none.
    KeyUnknown,
    /// It names another algorithm than that of its key.
    Algorithm,
    /// It is not that of what was sent.
    Wrong,
    /// It does not say when it was made.
    NoCreated,
    /// It was made too long ago, or its time is over.
    Old,
    /// It is from the future.
    Later,
    /// It has no nonce.
    NoNonce,
    /// Its nonce was used before.
    Replayed,
    /// What is said of the content is no digest that is understood.
    Digest,
    /// The content is not that of its digest.
    Content,
}

impl Denial {
    /// All there are.
    pub const ALL: [Self; 15] = [
        Self::Absent,
        Self::Malformed,
        Self::Component,
        Self::Missing,
        Self::Uncovered,
        Self::KeyUnknown,
        Self::Algorithm,
        Self::Wrong,
        Self::NoCreated,
        Self::Old,
        Self::Later,
        Self::NoNonce,
        Self::Replayed,
        Self::Digest,
        Self::Content,
    ];

    /// The word for logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "no-signature",
            Self::Malformed => "signature-malformed",
            Self::Component => "signature-component-unknown",
            Self::Missing => "signature-component-missing",
            Self::Uncovered => "signature-uncovered",
            Self::KeyUnknown => "signature-key-unknown",
            Self::Algorithm => "signature-algorithm",
            Self::Wrong => "signature-wrong",
            Self::NoCreated => "signature-no-created",
            Self::Old => "signature-old",
            Self::Later => "signature-later",
            Self::NoNonce => "signature-no-nonce",
            Self::Replayed => "signature-replayed",
            Self::Digest => "content-digest-malformed",
            Self::Content => "content-digest-wrong",
        }
    }
}
