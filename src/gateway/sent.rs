//! A request for tests: to `a.test`, and what they say of it.

use super::Request;

/// What is sent; by default a GET of `/` in clear that says no more.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) method: &'a str,
    pub(super) scheme: &'a str,
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
    pub(super) fields: &'a [(&'a str, &'a str)],
}

impl<'a> Sent<'a> {
    /// One with these header lines.
    pub(super) fn with(fields: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: "GET", scheme: "http", path: b"/", query: None, fields }
    }
}

impl Request for Sent<'_> {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn scheme(&self) -> &str {
        self.scheme
    }

    fn authority(&self) -> &[u8] {
        b"A.test"
    }

    fn path(&self) -> &[u8] {
        self.path
    }

    fn query(&self) -> Option<&[u8]> {
        self.query
    }

    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        let fields = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        fields.for_each(|(_, value)| see(value.as_bytes()));
    }
}
