//! What stands in the files that are read when a plan is made and not again: secrets of cookies, headers and authorities of the
//! collector of traces, pages in place of errors. Other files that a configuration names are read again whenever they change, or each time they are needed.
//!
//! What always holds: a plan that differs in its targets alone goes by what was read for the one before it; nothing of a file is shown.

use crate::config::KeyPath;
use crate::config::model::{Config, RuleKind};
use crate::net;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What stands in these files, by the key that names each.
#[derive(Clone, Default)]
pub struct Files(BTreeMap<KeyPath, Content>);

/// What stands in a file, or why it cannot be read.
type Content = Result<Arc<[u8]>, String>;

/// The largest file that is read, in bytes; of a larger one as much counts.
pub(super) const LARGEST: u64 = 1 << 20;
/// The largest file of a list: a larger one is a fault, as nobody would know what is missing.
const LARGEST_LIST: u64 = 64 << 20;

impl Files {
    /// Reads those that a configuration names. Blocks.
    pub(super) fn read(config: &Config) -> Self {
        let mut read: BTreeMap<(&Path, bool), Content> = BTreeMap::new();
        // Defaults have many name the same file.
        let content = |(key, path): (KeyPath, _)| {
            let is_list = key.keys().iter().any(|key| {
                ["keys_file", "allow_files", "deny_files", "users_file", "openapi", "descriptors"]
                    .contains(&key.as_str())
            });
            (key, read.entry((path, is_list)).or_insert_with(|| content(path, is_list)).clone())
        };
        Self(named(config).map(content).collect())
    }

    /// The same as [`Files::content`], to be kept.
    pub(super) fn shared(&self, key: &KeyPath) -> Result<&Arc<[u8]>, &str> {
        match self.0.get(key) {
            Some(content) => content.as_ref().map_err(String::as_str),
            None => Err("it was not read"),
        }
    }

    /// What stands in the file that a key names, as long as a configuration that it was read for names it.
    pub(super) fn content(&self, key: &KeyPath) -> Result<&[u8], &str> {
        match self.0.get(key) {
            Some(content) => content.as_deref().map_err(String::as_str),
            None => Err("it was not read"),
        }
    }

    /// Whether the same stands in the files of a key and those below it.
    pub fn are_the_same(&self, other: &Self, at: &KeyPath) -> bool {
        let within = |of: &'_ Self| -> Vec<(KeyPath, Content)> {
            of.0.iter()
                .filter(|(key, _)| key.is_within(at))
                .map(|(key, content)| (key.clone(), content.clone()))
                .collect()
        };
        within(self) == within(other)
    }

    /// The keys of files that have something else in them than in `before`, and are named by both.
    pub fn changed_since(&self, before: &Self) -> Vec<KeyPath> {
        let differs = |(key, content): &(&KeyPath, &Content)| before.0.get(*key).is_some_and(|old| old != *content);
        self.0.iter().filter(differs).map(|(key, _)| key.clone()).collect()
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(KeyPath::to_string)).finish()
    }
}

/// The paths of the files that are read when a plan of this configuration is made.
pub fn places(config: &Config) -> Vec<PathBuf> {
    named(config).map(|(_, path)| path.to_owned()).collect()
}

fn named(config: &Config) -> impl Iterator<Item = (KeyPath, &Path)> {
    let secrets = config.pools.iter().filter_map(|(name, pool)| {
        let path = pool.sticky.as_ref()?.secret_file.as_deref()?;
        Some((KeyPath::from(["pools", name, "sticky", "secret_file"]), path))
    });
    let collector = config.tracing.iter().flat_map(|tracing| {
        [("headers_file", tracing.headers_file.as_deref()), ("ca", tracing.ca.as_deref())]
            .into_iter()
            .filter_map(|(key, path)| Some((KeyPath::from(["tracing", key]), path?)))
    });
    let store = config.store.redis.iter().flat_map(|store| {
        [
            ("password_file", store.password_file.as_deref()),
            ("secret_file", store.secret_file.as_deref()),
            ("ca", store.ca.as_deref()),
        ]
        .into_iter()
        .filter_map(|(key, path)| Some((KeyPath::from(["store", "redis", key]), path?)))
    });
    let keys = config.consumers.iter().filter_map(|(name, consumer)| {
        Some((KeyPath::from(["consumers", name, "keys_file"]), consumer.keys_file.as_deref()?))
    });
    let users = config.rules.iter().filter_map(|(name, rule)| match &rule.kind {
        RuleKind::Basic(of) => Some((KeyPath::from(["rules", name, "users_file"]), of.users_file.as_path())),
        RuleKind::Signature(of) => Some((KeyPath::from(["rules", name, "keys_file"]), of.keys_file.as_path())),
        _ => None,
    });
    let apis = config.apis.iter().map(|(name, api)| (KeyPath::from(["apis", name, "openapi"]), api.openapi.as_path()));
    let descriptors = config.translations.iter().filter_map(|(name, translation)| {
        let path = translation.descriptors()?.as_path();
        Some((KeyPath::from(["translations", name, "descriptors"]), path))
    });
    secrets
        .chain(apis)
        .chain(descriptors)
        .chain(collector)
        .chain(store)
        .chain(keys)
        .chain(users)
        .chain(tokens(config))
        .chain(addresses(config))
        .chain(pages(config))
}

fn tokens(config: &Config) -> impl Iterator<Item = (KeyPath, &Path)> {
    config.rules.iter().flat_map(|(name, rule)| {
        let files = match &rule.kind {
            RuleKind::Introspection(of) => [("secret_file", Some(of.secret_file.as_path())), ("", None), ("", None)],
            RuleKind::Oidc(of) => [
                ("secret_file", of.secret_file.as_deref()),
                ("client_secret_file", of.client_secret_file.as_deref()),
                ("", None),
            ],
            RuleKind::Jwt(of) => [
                ("jwks_file", of.jwks_file.as_deref()),
                ("key_file", of.key_file.as_deref()),
                ("secret_file", of.secret_file.as_deref()),
            ],
            _ => [("", None); 3],
        };
        files.into_iter().filter_map(move |(key, path)| Some((KeyPath::from(["rules", name, key]), path?)))
    })
}

fn addresses(config: &Config) -> impl Iterator<Item = (KeyPath, &Path)> {
    config.rules.iter().flat_map(|(name, rule)| {
        let (allow, deny) = match &rule.kind {
            RuleKind::Ip(ip) => (&ip.allow_files[..], &ip.deny_files[..]),
            _ => (&[][..], &[][..]),
        };
        let named = [("allow_files", allow), ("deny_files", deny)].into_iter();
        named.flat_map(move |(key, files)| {
            let at = KeyPath::from(["rules", name, key]);
            files.iter().enumerate().map(move |(place, path)| (at.child(place), path.as_path()))
        })
    })
}

fn pages(config: &Config) -> impl Iterator<Item = (KeyPath, &Path)> {
    let routes = config.routes.iter().map(|(name, route)| ("routes", name, &route.error_pages));
    let listeners = config.listeners.iter().map(|(name, listener)| ("listeners", name, &listener.error_pages));
    let errors = routes.chain(listeners).flat_map(|(kind, name, pages)| {
        pages.iter().map(move |(status, page)| {
            (KeyPath::from([kind, name, "error_pages", status]), page.file.as_deref(), page.json.as_deref())
        })
    });
    let maintenance = config.routes.iter().filter_map(|(name, route)| {
        let of = route.maintenance.as_ref()?;
        Some((KeyPath::from(["routes", name, "maintenance"]), of.file.as_deref(), of.json.as_deref()))
    });
    errors.chain(maintenance).flat_map(|(at, file, json)| {
        [("file", file), ("json", json)].into_iter().filter_map(move |(key, path)| Some((at.child(key), path?)))
    })
}

fn content(path: &Path, is_list: bool) -> Content {
    let mut bytes = Vec::new();
    let most = if is_list { LARGEST_LIST + 1 } else { LARGEST };
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), net::reason(&error)))?;
    if is_list && bytes.len() as u64 == most {
        return Err(format!("`{}` is larger than {} MiB", path.display(), LARGEST_LIST >> 20));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Pool, Sticky};

    #[test]
    fn what_differs_is_known_and_never_shown() {
        let path = std::env::temp_dir().join(format!("ringway-files-{}", std::process::id()));
        let sticky = Sticky { cookie: Some("c".to_owned()), secret_file: Some(path.clone()), ..Sticky::default() };
        let pool = Pool { sticky: Some(sticky), ..Pool::default() };
        let config = Config { pools: [("a".to_owned(), pool)].into(), ..Config::default() };
        let key = KeyPath::from(["pools", "a", "sticky", "secret_file"]);
        let none = Files::read(&config);
        assert!(none.content(&key).unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "one secret").unwrap();
        let one = Files::read(&config);
        assert_eq!(one.changed_since(&none), std::slice::from_ref(&key));
        std::fs::write(&path, "two secret").unwrap();
        let two = Files::read(&config);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(two.changed_since(&one), std::slice::from_ref(&key));
        assert!(two.changed_since(&two.clone()).is_empty() && two.changed_since(&Files::default()).is_empty());
        assert!(!two.are_the_same(&one, &KeyPath::from(["pools", "a"])));
        assert!(two.are_the_same(&one, &KeyPath::from(["pools", "b"])));
        assert_eq!(two.content(&key), Ok(&b"two secret"[..]));
        assert_eq!(places(&config), [path]);
        assert!(!format!("{two:?}").contains("two"), "{two:?}");
    }
}
