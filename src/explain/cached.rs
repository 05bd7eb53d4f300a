//! What there is to tell of the cache of a route.

use super::explanation::readable;
use crate::http::dry::Lookup;
use crate::plan::Caching;
use serde::Serialize;

/// How a request stands to the cache of its route.
#[derive(Clone, Debug, Serialize)]
pub struct Cached {
    /// The cache.
    pub store: String,
    /// Whether the request is looked up; if not, the pool answers it.
    pub looked_up: bool,
    /// Why not.
    pub why: Option<String>,
    /// The URI that it is known by, without what of its query makes no difference.
    pub uri: String,
    /// Headers of the request that tell answers apart, beside those that the answers vary on.
    pub headers: Vec<String>,
    /// Cookies that do.
    pub cookies: Vec<String>,
    /// Whether an answer that is no error makes forgotten what is stored for the URI.
    pub forgets: bool,
}

/// Puts what was found into words.
pub(super) fn tell(caching: &Caching, lookup: &Lookup) -> Cached {
    let names = |names: &[Box<[u8]>]| names.iter().map(|name| readable(name)).collect();
    Cached {
        store: caching.store.name.clone(),
        looked_up: lookup.passes.is_none(),
        why: lookup.passes.map(str::to_owned),
        uri: readable(&lookup.uri),
        headers: names(&caching.key.headers),
        cookies: names(&caching.key.cookies),
        forgets: lookup.changes,
    }
}

impl Cached {
    /// In sentences.
    pub(super) fn sentences(&self) -> Vec<String> {
        let Self { uri, headers, cookies, .. } = self;
        let kinds = [("header", headers), ("cookie", cookies)];
        let also: Vec<String> =
            kinds.iter().flat_map(|(kind, names)| names.iter().map(move |name| format!(", {kind} {name}"))).collect();
        let mut told = vec![match &self.why {
            None => format!("looked up by {uri}{}", also.concat()),
            Some(why) => format!("passed by: {why}"),
        }];
        if self.looked_up {
            told.push(
                "what is not stored is asked for whole and unconditionally, and without what makes no difference"
                    .to_owned(),
            );
        }
        if self.forgets {
            told.push(format!("an answer that is no error makes forgotten what is stored for {uri}"));
        }
        told
    }
}
