//! Host names, as clients ask for them in a handshake, and what is kept by them.
//!
//! What always holds: exact names go before wildcards, and a wildcard stands for one label (RFC 9525 §6.3), whatever is kept.

use std::borrow::Cow;
use std::collections::HashMap;

/// What is kept by names and wildcards.
#[derive(Debug)]
pub(super) struct Names<V> {
    exact: HashMap<Box<str>, V>,
    /// By what follows the star and its dot.
    wildcard: HashMap<Box<str>, V>,
}

impl<V> Default for Names<V> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new() }
    }
}

impl<V: Default> Names<V> {
    /// The place for a canonical name, which may begin with `*.`.
    pub(super) fn place(&mut self, name: &str) -> &mut V {
        let (map, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name),
        };
        map.entry(name.into()).or_default()
    }
}

impl<V> Names<V> {
    /// What a canonical name finds, the most specific first.
    pub(super) fn find(&self, name: &str) -> impl Iterator<Item = &V> {
        let wildcard = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(name).into_iter().chain(std::iter::once_with(wildcard).flatten())
    }
}

/// A host name in the form that all of Ringway compares: lower case, no final dot.
pub(super) fn canonical(name: &str) -> Box<str> {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into_boxed_str()
}

/// The same for a name that mostly is in that form.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    match name.ends_with('.') || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(canonical(name).into()),
        false => Cow::Borrowed(name),
    }
}
