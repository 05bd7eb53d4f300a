//! Heads as the cache's rules read them.

use crate::cache::Fields;
use crate::http::head::Field;

/// The fields of a head with the text that they are in.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) fields: &'a [Field],
    pub(super) text: &'a [u8],
}

impl Fields for View<'_> {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name.of(self.text), field.value.of(self.text)))
    }
}
