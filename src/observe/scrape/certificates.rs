//! What a page tells of TLS.

/// The certificates in service on a listener.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// The listener's position in the shape.
    pub listener: usize,
    /// How many there are.
    pub count: usize,
    /// Whether an authority is asked for one.
    pub acme: bool,
    /// Files of those that end first, and the seconds until they do: negative once they have.
    pub ending: Vec<(String, i64)>,
}

/// A pool that has TLS.
#[derive(Clone, Debug, Default)]
pub struct SecurePool {
    /// The pool's position in the shape.
    pub pool: usize,
    /// The file of the certificate that its targets are shown, and the seconds until it ends: negative once it has.
    pub ending: Option<(String, i64)>,
}
