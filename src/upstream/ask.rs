//! What a worker's side of a pool is asked for: a target for one exchange or connection.

use super::local::Tried;

/// What a target is chosen by.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The hash that the `hash` policy goes by.
    pub key: u64,
    /// What is not to be chosen again.
    pub tried: &'a Tried,
    /// The target that goes before what the policy says, by its place: while it can be used it is taken whatever its weight, so
    /// that one that drains keeps those who belong to it.
    pub owner: Option<usize>,
    /// Whether none is chosen where the owner cannot be.
    pub only_owner: bool,
}

impl<'a> Ask<'a> {
    /// For a target as the policy finds it.
    pub fn any(key: u64, tried: &'a Tried) -> Self {
        Self { key, tried, owner: None, only_owner: false }
    }
}
