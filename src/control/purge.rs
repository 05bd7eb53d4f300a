//! What operators have purged of caches. A URL is brought into the form that requests are looked up by, so that each spelling of it that
//! a client may use is meant.
//!
//! What always holds: once it is said to be done, no lookup that begins finds what was purged, on any worker.

use crate::cache::disk::Receipt;
use crate::cache::store::purge::{Force, Purge};
use crate::cache::{KeyRules, Uri, groups, key};
use crate::config::url::Url;
use crate::plan::path::{self, Forms, Verdict};
use crate::plan::{self, Plan, host};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

/// What is to be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// All that is stored for a URL.
    Url(String),
    /// All whose URL begins so.
    Prefix(String),
    /// All that has a tag.
    Tag(String),
    /// All of a host.
    Host(String),
    /// Everything.
    All,
}

/// What a cache has purged.
#[derive(Debug)]
pub(super) struct Done {
    /// The cache.
    pub(super) cache: String,
    /// How many answers that were; `None`: they are found when they are looked for.
    pub(super) answers: Option<u64>,
    /// What comes once the disk will remember it over a restart.
    pub(super) receipts: Vec<Receipt>,
}

/// What a purge comes to in the terms of stores.
#[derive(Debug)]
enum Order {
    /// A URL: scheme, host, path, query.
    Url(Parts),
    Marks(Vec<Purge>),
}

#[derive(Debug)]
struct Parts {
    scheme: &'static str,
    host: Vec<u8>,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
}

/// Purges what is meant from these caches of the plan.
///
/// # Errors
/// What is wrong with what is to be purged.
pub(super) fn purge(plan: &Plan, caches: &[usize], what: &What, force: Force) -> Result<Vec<Done>, String> {
    let order = order(what)?;
    let done = |&cache: &usize| {
        let store = &plan.caches[cache].shared;
        let mut done = Done { cache: store.name.clone(), answers: None, receipts: Vec::new() };
        match &order {
            Order::Marks(purges) => {
                done.receipts.extend(purges.iter().filter_map(|purge| store.purge(purge.clone(), force)));
            }
            Order::Url(parts) => purge_url(&plan.caches[cache], parts, force, &mut done),
        }
        done
    };
    Ok(caches.iter().map(done).collect())
}

/// Purges what is stored for a URL by any route.
fn purge_url(cache: &plan::Store, parts: &Parts, force: Force, done: &mut Done) {
    let store = &cache.shared;
    let uri =
        Uri { scheme: parts.scheme.as_bytes(), host: &parts.host, path: &parts.path, query: parts.query.as_deref() };
    let (mut purged, mut known, mut bytes) = (BTreeSet::new(), Some(0), Vec::new());
    for way in &cache.uses {
        let by_uri = KeyRules { headers: Vec::new(), cookies: Vec::new(), ..way.key.clone() };
        by_uri.write(&uri, &[][..], None, &mut bytes);
        if by_uri != way.key {
            known = None;
        }
        if cache.has_longer_keys {
            done.receipts.extend(store.purge(Purge::Uri(groups::tag(key::uri(&bytes))), force));
        }
        let key = key::hash(way.seed(), &bytes);
        if by_uri == way.key && purged.insert(key) {
            let (answers, receipt) = store.purge_key(key, force);
            known = known.map(|before| before + answers as u64);
            done.receipts.extend(receipt);
        }
    }
    done.answers = known;
}

fn order(what: &What) -> Result<Order, String> {
    Ok(match what {
        What::All => Order::Marks(vec![Purge::All]),
        What::Tag(name) if name.is_empty() || name.contains(|c: char| c == ',' || c.is_control()) => {
            return Err(format!("`{name}` is no tag: it is one name of Surrogate-Key or Cache-Tag"));
        }
        What::Tag(name) => Order::Marks(vec![Purge::Tag(groups::tag(name.trim().as_bytes()))]),
        What::Host(name) => {
            // Which port is the scheme's own is not said.
            let mut hashes: Vec<u64> = Vec::new();
            for own_port in [80, 443] {
                let hash = xxh3_64(&named(name, own_port)?);
                hashes.extend((!hashes.contains(&hash)).then_some(hash));
            }
            Order::Marks(hashes.into_iter().map(Purge::Host).collect())
        }
        What::Url(text) => Order::Url(parts(text)?),
        What::Prefix(text) => {
            let Parts { scheme, host, path, query } = parts(text)?;
            let mut prefix = [scheme.as_bytes(), b"://", &host, &path].concat();
            query.iter().for_each(|query| prefix.extend([b"?", query.as_slice()].concat()));
            Order::Marks(vec![Purge::Prefix(prefix.into())])
        }
    })
}

/// A URL as requests are looked up.
fn parts(text: &str) -> Result<Parts, String> {
    let wrong = |what: &str| format!("`{text}` cannot be purged: {what}");
    let url = Url::parse(text).map_err(|invalid| {
        let help = invalid.help.map(|help| format!("; {help}")).unwrap_or_default();
        wrong(&format!("{}{help}", invalid.what))
    })?;
    let (scheme, own_port) = if url.secure { ("https", 443) } else { ("http", 80) };
    let host = named(&url.authority(), own_port)?;
    let (raw, query) = match url.target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
        None => (&*url.target, None),
    };
    let mut path = Vec::new();
    match path::normalise(raw.as_bytes(), &mut path) {
        Verdict::Plain => path = raw.as_bytes().to_vec(),
        Verdict::Normalised => {}
        Verdict::Ambiguous(forms) => {
            let all = Forms::NAMES.iter().fold(Forms::NONE, |all, &(_, form)| all | form);
            let refused = |refusal: path::Refusal| wrong(&format!("no request has such a path ({})", refusal.reason()));
            path::forward(forms, all).map_err(refused)?;
        }
    }
    Ok(Parts { scheme, host, path, query })
}

/// A host as keys have it: in canonical form, with its port unless that is the scheme's own.
fn named(text: &str, own_port: u16) -> Result<Vec<u8>, String> {
    let mut buffer = host::Buffer::new();
    let host =
        host::canonical(text.as_bytes(), own_port, &mut buffer).ok().filter(|host| !host.name.is_empty()).ok_or_else(
            || format!("`{text}` is no host: write it as \"www.example.com\", with its port if clients name one"),
        )?;
    let mut named = host.name.to_vec();
    if let Some(port) = host.port {
        named.extend_from_slice(format!(":{port}").as_bytes());
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<String, String> {
        let Parts { scheme, host, path, query } = parts(text)?;
        let query = query.map(|query| [b"?", query.as_slice()].concat()).unwrap_or_default();
        Ok(String::from_utf8([scheme.as_bytes(), b"://", &host, &path, &query].concat()).unwrap())
    }

    #[test]
    fn a_url_is_looked_up_as_requests_are() {
        for (text, known) in [
            ("http://A.Test", "http://a.test/"),
            ("HTTPS://a.test.:443/x/../%7ey//z?B=1&a#f", "https://a.test/~y/z?B=1&a"),
            ("http://a.test:8080/%e2?", "http://a.test:8080/%E2?"),
            ("http://[0::1]:80/", "http://[::1]/"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(known), "{text}");
        }
    }

    #[test]
    fn what_no_request_can_be_for_is_told() {
        for text in ["/x", "ftp://a/", "http://a_b@c/", "http://a.test/%zz", "http://a..b/", "https://"] {
            assert!(url(text).unwrap_err().contains(text) || text.contains(".."), "{text}");
        }
        assert!(order(&What::Tag("a,b".into())).is_err() && order(&What::Tag(String::new())).is_err());
        assert!(order(&What::Host("a/b".into())).is_err() && order(&What::Host(String::new())).is_err());
    }

    #[test]
    fn a_host_is_meant_by_either_scheme_and_a_prefix_ends_where_it_says() {
        let hosts = |text: &str| match order(&What::Host(text.into())).unwrap() {
            Order::Marks(purges) => purges.len(),
            Order::Url(_) => 0,
        };
        assert_eq!((hosts("A.test"), hosts("a.test:443"), hosts("a.test:8080")), (1, 2, 1));
        let Ok(Order::Marks(purges)) = order(&What::Prefix("http://a.test".into())) else { panic!() };
        assert_eq!(purges, [Purge::Prefix(b"http://a.test/".as_slice().into())], "no longer name is meant");
    }
}
