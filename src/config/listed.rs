//! The file of consumers that a configuration names: tables `[consumers.NAME]`, and nothing else.

use super::model::{Config, Consumer};
use super::report::{Entry, Report};
use super::tree::{Node, Table};
use super::{read, schema, walk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Those that stand in such a file, by name.
pub type Listed = BTreeMap<String, Consumer>;

/// The largest one, in bytes.
const LARGEST: u64 = 64 << 20;

/// Reads one; `env` gives the values for `${NAME}`. Blocks.
///
/// # Errors
/// All faults of it.
pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Listed, Report> {
    let read::Reading { files, mut root, mut entries, gaps, torn, .. } = read::read(path, env, LARGEST);
    let files = Arc::new(files);
    if files.is_empty() {
        return Err(Report::faults(files, entries));
    }
    alone(&mut root, &mut entries);
    let mut outcome = walk::walk(&root, &schema::schema(), &files, gaps, torn);
    entries.append(&mut outcome.entries);
    if !entries.is_empty() {
        return Err(Report::faults(files, entries));
    }
    match serde_json::from_value::<Config>(outcome.json.into()) {
        Ok(config) => Ok(config.consumers),
        Err(error) => {
            let what = format!("the consumers cannot be read: {error}");
            Err(Report::faults(files, vec![Entry { at: None, also: None, what, help: None }]))
        }
    }
}

/// Leaves nothing but consumers, each whole in this file.
fn alone(root: &mut Table, entries: &mut Vec<Entry>) {
    root.retain(|key, node| {
        if key != "consumers" {
            let what = format!("`{key}` has no place in a file of consumers");
            entries.push(Entry::at(&node.key, what).help(Some("write [consumers.NAME] and its keys alone".to_owned())));
        }
        key == "consumers"
    });
    let consumers = root.get("consumers").and_then(Node::table).into_iter().flatten();
    for (_, node) in consumers {
        if let Some(file) = node.table().and_then(|consumer| consumer.get("keys_file")) {
            let what = "a consumer of this file names its keys itself, and no other file";
            entries.push(Entry::at(&file.key, what).help(Some("write keys = [\"…\"]".to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Listed, String> {
        let path =
            std::env::temp_dir().join(format!("ringway-listed-{}-{:x}.toml", std::process::id(), fastrand::u64(..)));
        std::fs::write(&path, text).unwrap();
        let listed = read(&path, &|_| None).map_err(|report| report.brief());
        std::fs::remove_file(&path).unwrap();
        listed
    }

    #[test]
    fn consumers_are_read_and_nothing_else_has_a_place_there() {
        let listed = read_text("[consumers.a]\ngroups = [\"g\"]\nkeys = [\"key-number-1\"]\n[consumers.b]\n").unwrap();
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((&listed["a"].groups[..], listed["a"].keys[0].0.as_str()), (&["g".to_owned()][..], "key-number-1"));
        assert!(read_text("").unwrap().is_empty());
        for (text, line, what) in [
            ("[pools.a]\ntargets = []\n", 1, "`pools` has no place"),
            ("[consumers.a]\nkeys_file = \"k\"\n", 2, "no other file"),
            ("[consumers.a]\ncolour = \"red\"\n", 2, "colour"),
            ("[consumers.a]\nkeys = \"a-secret-key\"\n", 2, "array"),
            ("[consumers.\"a b\"]\n", 1, "a b"),
            ("[consumers.a]\nkeys = [\"a-secret-key\n", 2, ""),
            ("[consumers.a]\n[consumers.a]\n", 2, ""),
        ] {
            let told = read_text(text).unwrap_err();
            assert!(told.contains(&format!(".toml:{line}: ")) && told.contains(what), "{text}: {told}");
            assert!(!told.contains("a-secret-key"), "a secret is not shown: {told}");
        }
    }

    #[test]
    fn a_hundred_thousand_are_read() {
        let text: String = (0..100_000)
            .map(|number| {
                format!("[consumers.c{number}]\ngroups = [\"g{}\"]\nkeys = [\"key-{number:08}\"]\n", number % 9)
            })
            .collect();
        assert_eq!(read_text(&text).unwrap().len(), 100_000);
    }
}
