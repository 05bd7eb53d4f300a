//! What differs between two configurations, key by key, as their authors wrote them.

use super::report::File;
use super::sources::{KeyPath, Sources};
use super::tree::{Node, Table, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One difference. What came from the environment is shown as the placeholder that it was written as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The way to the key: `pools.api.balance`.
    pub key: String,
    /// What it was; `None`: it was not set.
    pub from: Option<String>,
    /// What it is; `None`: it is not set.
    pub to: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, from, to } = self;
        match (from, to) {
            (Some(from), Some(to)) => write!(f, "~ {key}: {from} → {to}"),
            (None, Some(to)) => write!(f, "+ {key} = {to}"),
            (Some(from), None) => write!(f, "- {key} = {from}"),
            (None, None) => write!(f, "~ {key}"),
        }
    }
}

/// All differences, in the order of their keys.
pub fn changes(from: &Sources, to: &Sources) -> Vec<Change> {
    let mut differ = Differ { from: &from.files, to: &to.files, changes: Vec::new() };
    differ.tables(&KeyPath::default(), &from.root, &to.root);
    differ.changes
}

struct Differ<'a> {
    from: &'a [File],
    to: &'a [File],
    changes: Vec<Change>,
}

impl Differ<'_> {
    fn tables(&mut self, at: &KeyPath, from: &Table, to: &Table) {
        let mut keys: Vec<&String> = from.keys().chain(to.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            self.nodes(&at.child(key), from.get(key), to.get(key));
        }
    }

    fn nodes(&mut self, at: &KeyPath, from: Option<&Node>, to: Option<&Node>) {
        match (from, to) {
            (Some(from), Some(to)) if same(from, to) => {}
            (Some(Node { value: Value::Table(from), .. }), Some(Node { value: Value::Table(to), .. })) => {
                self.tables(at, from, to);
            }
            (Some(Node { value: Value::List(from), .. }), Some(Node { value: Value::List(to), .. })) => {
                self.lists(at, from, to);
            }
            // What is in a table that comes or goes stands for itself, but a named thing is one.
            (None, Some(Node { value: Value::Table(to), .. })) if at.keys().len() == 1 => {
                self.tables(at, &Table::new(), to);
            }
            (Some(Node { value: Value::Table(from), .. }), None) if at.keys().len() == 1 => {
                self.tables(at, from, &Table::new());
            }
            (from, to) => {
                let from = from.map(|node| show(at, node, self.from));
                let to = to.map(|node| show(at, node, self.to));
                self.push(at, from, to);
            }
        }
    }

    /// Elements that came and went; their order alone is shown as a whole.
    fn lists(&mut self, at: &KeyPath, from: &[Node], to: &[Node]) {
        let lacks = |list: &[Node], node: &Node| !list.iter().any(|other| same(other, node));
        let gone: Vec<String> =
            from.iter().filter(|node| lacks(to, node)).map(|node| show(at, node, self.from)).collect();
        let come: Vec<String> =
            to.iter().filter(|node| lacks(from, node)).map(|node| show(at, node, self.to)).collect();
        if gone.is_empty() && come.is_empty() {
            let whole =
                |list: &[Node], files| list.iter().map(|node| show(at, node, files)).collect::<Vec<_>>().join(", ");
            let (from, to) = (whole(from, self.from), whole(to, self.to));
            return self.push(at, Some(format!("[{from}]")), Some(format!("[{to}]")));
        }
        gone.into_iter().for_each(|element| self.push(at, Some(element), None));
        come.into_iter().for_each(|element| self.push(at, None, Some(element)));
    }

    fn push(&mut self, at: &KeyPath, from: Option<String>, to: Option<String>) {
        let hide = |value: Option<String>| match is_secret(at) {
            true => value.map(|_| "(secret)".to_owned()),
            false => value,
        };
        self.changes.push(Change { key: at.to_string(), from: hide(from), to: hide(to) });
    }
}

/// Whether nobody may see what a key is set to, or keys below it are.
pub(super) fn is_secret(at: &KeyPath) -> bool {
    match at.keys() {
        [first, second, ..] if first == "tracing" && second == "headers" => true,
        [first, second, third] if first == "store" && second == "redis" && third == "url" => true,
        [first, second, _, fourth, ..] if first == "analytics" && second == "hooks" && fourth == "headers" => true,
        [first, _, third, ..] if first == "consumers" && third == "keys" => true,
        [first, _, third, fourth, ..] => {
            (first == "pools" || first == "defaults") && third == "health" && fourth == "headers"
        }
        _ => false,
    }
}

/// Whether two values are the same, wherever they were written.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Text { text: one, .. }, Value::Text { text: other, .. }) => one == other,
        (Value::Integer(one), Value::Integer(other)) => one == other,
        (Value::Fraction(one), Value::Fraction(other)) => one == other,
        (Value::Boolean(one), Value::Boolean(other)) => one == other,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Table(one), Value::Table(other)) => {
            let pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.into_iter().all(|((a, one), (b, other))| a == b && same(one, other))
        }
        (Value::Other(one), Value::Other(other)) => one == other,
        _ => false,
    }
}

/// The value of a key as it may be told.
fn show(at: &KeyPath, node: &Node, files: &[File]) -> String {
    match &node.value {
        _ if is_secret(at) => "(secret)".to_owned(),
        Value::Text { secret: true, .. } | Value::Lost => node.shown(files).to_owned(),
        Value::Text { text, .. } => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Fraction(number) => number.clone(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| show(at, item, files)).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) => {
            let own = table.iter().filter(|(_, node)| !node.inherited);
            let keys = own.map(|(key, node)| format!("{key} = {}", show(&at.child(key), node, files)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        Value::Other(kind) => (*kind).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn diff(from: &str, to: &str) -> Vec<String> {
        let folder = std::env::temp_dir().join(format!("ringway-diff-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&folder).unwrap();
        let env = |name: &str| (name == "WEIGHT").then(|| "7".to_owned());
        let read = |text: &str| {
            let path = folder.join("c.toml");
            std::fs::write(&path, text).unwrap();
            load(&path, &env).unwrap_or_else(|report| panic!("{report}")).sources
        };
        let (from, to) = (read(from), read(to));
        std::fs::remove_dir_all(&folder).unwrap();
        changes(&from, &to).iter().map(Change::to_string).collect()
    }

    const BASE: &str =
        "[listeners.web]\nlisten = [\"127.0.0.1:80\"]\npool = \"a\"\n[pools.a]\ntargets = [\"127.0.0.1:1\"]\n";

    #[test]
    fn what_is_only_written_otherwise_is_no_difference() {
        let other = "# a comment\n[pools]\na = { targets = [ '127.0.0.1:1' ] }\n[listeners.web]\npool = \"a\"\nlisten = [\"127.0.0.1:80\"]\n";
        assert!(diff(BASE, other).is_empty());
    }

    #[test]
    fn each_key_that_differs_is_told_with_both_values() {
        let to = BASE.replace("targets = [\"127.0.0.1:1\"]", "balance = \"least-conn\"\ntargets = [\"127.0.0.1:2\"]");
        assert_eq!(
            diff(BASE, &to),
            [
                "+ pools.a.balance = \"least-conn\"",
                "- pools.a.targets = \"127.0.0.1:1\"",
                "+ pools.a.targets = \"127.0.0.1:2\"",
            ]
        );
    }

    #[test]
    fn a_named_thing_comes_and_goes_as_one() {
        let to = format!("{BASE}[routes.x]\npaths = [\"/x/\"]\npool = \"a\"\n");
        assert_eq!(diff(BASE, &to), ["+ routes.x = { paths = [\"/x/\"], pool = \"a\" }"]);
        assert_eq!(diff(&to, BASE), ["- routes.x = { paths = [\"/x/\"], pool = \"a\" }"]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let with = |token: &str| format!("{BASE}[tracing]\nheaders = {{ authorization = \"{token}\" }}\n");
        assert_eq!(diff(&with("a"), &with("b")), ["~ tracing.headers.authorization: (secret) → (secret)"]);
        assert_eq!(diff(BASE, &with("b")), ["+ tracing.headers = (secret)"]);
        assert_eq!(diff(&with("b"), BASE), ["- tracing.headers = (secret)"]);
        let with = |keys: &str| format!("{BASE}[consumers.a]\ngroups = [\"g\"]\nkeys = [{keys}]\n");
        let (one, two) = ("\"key-number-1\"", "\"key-number-1\", \"key-number-2\"");
        assert_eq!(diff(BASE, &with(one)), ["+ consumers.a = { groups = [\"g\"], keys = (secret) }"]);
        assert_eq!(diff(&with(one), &with(two)), ["+ consumers.a.keys = (secret)"]);
        assert_eq!(diff(&with(one), BASE), ["- consumers.a = { groups = [\"g\"], keys = (secret) }"]);
        let with = |pool: &str| format!("{BASE}[pools.b]\ntargets = [\"127.0.0.1:2\"]\n{pool}");
        let health = with("health = { type = \"http\", headers = { authorization = \"b\" } }\n");
        assert!(diff(BASE, &health)[0].contains("headers = (secret)"), "{:?}", diff(BASE, &health));
    }

    #[test]
    fn what_comes_from_the_environment_is_not_shown() {
        let to = BASE.replace("\"127.0.0.1:1\"", "{ address = \"127.0.0.1:1\", weight = \"${WEIGHT}\" }");
        assert_eq!(
            diff(BASE, &to),
            [
                "- pools.a.targets = \"127.0.0.1:1\"",
                "+ pools.a.targets = { address = \"127.0.0.1:1\", weight = \"${WEIGHT}\" }",
            ]
        );
    }
}
