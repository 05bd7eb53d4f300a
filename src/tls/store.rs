//! The certificates of a listener, and which of them a client gets.
//!
//! Of the certificates for the name that a client asks for, the exact ones go before wildcards, and of each the first
//! whose key the client can check.

use super::certificate::{Certificate, Pair, Stamps};
use super::files::{self, Fault, Place};
use super::names::{Names, fold};
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A certificate file and its key file, which may be the same.
    Files {
        /// The certificate and its chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// All in a directory.
    Directory(PathBuf),
    /// A file with a certificate and its key that an authority issues: there may be none yet.
    Issued(PathBuf),
}

/// When a certificate ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Its file.
    pub file: PathBuf,
    /// Seconds since 1970 after which it is no longer valid.
    pub not_after: i64,
}

/// The certificates of a listener. Immutable; a change makes a new one that shares what has not changed.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: Vec<Entry>,
    names: Names<Vec<u32>>,
    /// For clients that ask for no known name: the first certificate, and those of other keys for its first name.
    default: Vec<u32>,
}

/// A certificate in service, and the state of its files.
#[derive(Clone, Debug)]
struct Entry {
    pair: Pair,
    /// The files' state when they were read.
    stamps: Stamps,
    certificate: Arc<Certificate>,
}

/// What a look at the files gave.
pub(super) struct Renewed {
    /// The certificates as they are now; `None` if nothing has changed.
    pub(super) store: Option<Store>,
    /// Certificates that were replaced, added or taken away, and responses stapled to them.
    pub(super) changes: usize,
    /// What could not be used.
    pub(super) faults: Vec<Fault>,
}

impl Store {
    /// Loads all certificates. Fails with every file that cannot be used.
    pub(super) fn load(sources: &[Source], provider: &CryptoProvider) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let pairs = find(sources, |_| false, &mut faults);
        if pairs.is_empty() && faults.is_empty() && !may_be_empty(sources) {
            faults.push(empty(sources));
        }
        let mut entries = Vec::with_capacity(pairs.len());
        for (pair, stamps, result) in load_all(pairs, provider) {
            match result {
                Ok(certificate) => {
                    entries.push(Entry { pair, stamps, certificate: Arc::new(certificate) });
                }
                // The authority is asked for another one, which the start does not wait for.
                Err(_) if matches!(sources[pair.source], Source::Issued(_)) => {}
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Self::index(entries)) } else { Err(faults) }
    }

    /// Looks at the files again. What cannot be used keeps its predecessor in service.
    pub(super) fn renew(&self, sources: &[Source], provider: &CryptoProvider) -> Renewed {
        let mut faults = Vec::new();
        let known: HashMap<&Pair, &Entry> = self.entries.iter().map(|entry| (&entry.pair, entry)).collect();
        let pairs = find(sources, |pair| known.contains_key(pair), &mut faults);
        let lost: Vec<Place> = faults.iter().map(|fault| fault.at).collect();
        let (mut entries, mut changes, mut kept) = (Vec::with_capacity(pairs.len()), 0, 0);
        for pair in pairs {
            let old = known.get(&pair).copied();
            kept += usize::from(old.is_some());
            let stamps = pair.stamps();
            if let Some(old) = old.filter(|old| old.stamps == stamps) {
                let mut entry = old.clone();
                let (stapled, fault) = old.certificate.look_at_staple(&old.pair);
                if let Some(certificate) = stapled {
                    changes += 1;
                    entry.certificate = Arc::new(certificate);
                }
                faults.extend(fault);
                entries.push(entry);
                continue;
            }
            match pair.load(provider) {
                Ok(certificate) => {
                    changes += 1;
                    entries.push(Entry { pair, stamps, certificate: Arc::new(certificate) });
                }
                Err(fault) => {
                    faults.push(fault);
                    entries.extend(old.cloned());
                }
            }
        }
        if !lost.is_empty() {
            // A directory that cannot be read takes nothing away.
            let stay = self.entries.iter().filter(|entry| lost.contains(&Place::Directory(entry.pair.source)));
            entries.extend(stay.inspect(|_| kept += 1).cloned());
            entries.sort_by(|a, b| a.pair.cmp(&b.pair));
        }
        changes += self.entries.len().saturating_sub(kept);
        if entries.is_empty() {
            if !may_be_empty(sources) {
                faults.push(empty(sources));
            }
            return Renewed { store: None, changes: 0, faults };
        }
        Renewed { store: (changes > 0).then(|| Self::index(entries)), changes, faults }
    }

    fn index(entries: Vec<Entry>) -> Self {
        let mut store = Self { entries, ..Self::default() };
        for (place, entry) in store.entries.iter().enumerate() {
            // There are never more certificates than files.
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            for name in &entry.certificate.names {
                store.names.place(name).push(place);
            }
        }
        store.default = store.defaults();
        store
    }

    fn defaults(&self) -> Vec<u32> {
        let Some(first) = self.entries.first() else { return Vec::new() };
        let name = first.certificate.names.first();
        let others = self.entries.iter().enumerate().skip(1).filter(|(_, entry)| {
            entry.certificate.algorithm != first.certificate.algorithm
                && name.is_some_and(|name| entry.certificate.names.contains(name))
        });
        std::iter::once(0).chain(others.filter_map(|(place, _)| u32::try_from(place).ok())).collect()
    }

    /// Whether a certificate holds a name.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.names.find(&fold(name)).next().is_some()
    }

    /// The certificate for a client that asks for `name` and can check `schemes`.
    pub(super) fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(fold);
        let mut known = name.iter().flat_map(|name| self.names.find(name)).peekable();
        let default = known.peek().is_none().then_some(&self.default);
        let mut usable =
            known.chain(default).flatten().filter_map(|&place| self.entries.get(place as usize)).filter(|entry| {
                // The client's list may name schemes of a kind that the key's curve or length cannot do.
                entry.certificate.key.key.choose_scheme(schemes).is_some()
            });
        usable.next().map(|entry| entry.certificate.key.clone())
    }

    /// How many certificates there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The certificates that end first, at most `limit`.
    pub(super) fn expiries(&self, limit: usize) -> Vec<Expiry> {
        let all = self.entries.iter().map(|entry| (entry.certificate.not_after, &entry.pair.cert));
        let mut all: Vec<_> = all.collect();
        all.sort();
        all.dedup();
        all.into_iter().take(limit).map(|(not_after, file)| Expiry { file: file.clone(), not_after }).collect()
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), hello.signature_schemes())
    }
}

/// Whether an authority will fill what is empty.
fn may_be_empty(sources: &[Source]) -> bool {
    sources.iter().any(|source| matches!(source, Source::Issued(_)))
}

fn empty(sources: &[Source]) -> Fault {
    let folder = sources.iter().enumerate().find_map(|(place, source)| match source {
        Source::Directory(path) => Some((place, path)),
        Source::Files { .. } | Source::Issued(_) => None,
    });
    match folder {
        Some((place, path)) => Fault::new(
            Place::Directory(place),
            format!("`{}` holds no certificate", path.display()),
            "put NAME.pem and NAME.key into it, or folders with fullchain.pem and privkey.pem",
        ),
        None => Fault::new(Place::Whole, "there is no certificate", "name one"),
    }
}

/// The pairs of all sources. Those of directories that are not `known` are looked into: a key alone is no fault.
fn find(sources: &[Source], known: impl Fn(&Pair) -> bool, faults: &mut Vec<Fault>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (source, from) in sources.iter().enumerate() {
        match from {
            Source::Files { cert, key } => pairs.push(Pair { source, cert: cert.clone(), key: key.clone() }),
            Source::Issued(path) if !path.exists() => {}
            Source::Issued(path) => pairs.push(Pair { source, cert: path.clone(), key: path.clone() }),
            Source::Directory(path) => match files::pairs(Place::Directory(source), path) {
                Ok(found) => {
                    let found = found.into_iter().map(|(cert, key)| Pair { source, cert, key });
                    pairs.extend(found.filter(|pair| known(pair) || holds_certificate(pair)));
                }
                Err(fault) => faults.push(fault),
            },
        }
    }
    pairs
}

/// Whether there is a certificate in a file that may hold a key alone. One that cannot be read is told when it is loaded.
fn holds_certificate(pair: &Pair) -> bool {
    pair.cert != pair.key || std::fs::read(&pair.cert).map_or(true, |text| files::holds_certificate(&text))
}

type Loaded = (Pair, Stamps, Result<Certificate, Fault>);

/// Loads many at once: checking a key costs more than reading it.
fn load_all(pairs: Vec<Pair>, provider: &CryptoProvider) -> Vec<Loaded> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(1 + pairs.len() / ALONE);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            // The stamps come first: a file that changes meanwhile is read again at the next look.
            let stamps = pair.stamps();
            done.push((pair.clone(), stamps, pair.load(provider)));
        }
        done
    };
    let mut loaded: Vec<Loaded> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = helpers.into_iter().flat_map(|helper| helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        others.chain(own).collect()
    });
    // The first one named is the default.
    let order: HashMap<&Pair, usize> = pairs.iter().enumerate().map(|(place, pair)| (pair, place)).collect();
    loaded.sort_by_key(|(pair, ..)| order.get(pair).copied());
    loaded
}

/// Certificates that are not worth another thread.
const ALONE: usize = 64;
