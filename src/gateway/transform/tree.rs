//! Edits of a body, as trees of the names on their paths: one of what is removed and renamed, by the names that a body comes with, and one
//! of what is set, added and appended to, by the names that it then has.

use super::text::push_text;
use std::fmt;

/// Edits of a body, done in this order: remove, rename, set, add, append. A path is the names on it, of which a number names an item of
/// an array as well, and `*` all of its items. Values are named by their places in what the [`super::Editor`] is given.
#[derive(Debug, Default)]
pub struct Spec {
    /// What does not pass.
    pub remove: Vec<Vec<String>>,
    /// What passes under another name, in the same object.
    pub rename: Vec<(Vec<String>, String)>,
    /// What has this value, in place of what is there or not.
    pub set: Vec<(Vec<String>, usize)>,
    /// What has this value where it is not there.
    pub add: Vec<(Vec<String>, usize)>,
    /// Arrays that get this item; what is none becomes the first item of one.
    pub append: Vec<(Vec<String>, usize)>,
}

/// Edits of a body, compiled.
#[derive(Debug)]
pub struct Edits {
    before: Tree<Before>,
    after: Tree<After>,
    /// The longest name that an edit names, in the bytes that it may be written with.
    pub(super) longest: usize,
}

/// Edits whose paths cross so often that there would be no end of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths with `*` and with numbers cross too often")
    }
}

/// Places in both trees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) before: Option<usize>,
    pub(super) after: Option<usize>,
}

/// What becomes of something by the name that it comes with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Before {
    #[default]
    Stays,
    Removed,
    Renamed(Box<str>),
}

/// What becomes of something by the name that it then has.
#[derive(Debug, Default)]
pub(super) struct After {
    pub(super) set: Option<usize>,
    add: Option<usize>,
    pub(super) append: Vec<usize>,
    /// Whether it is made where it is not there.
    is_made: bool,
}

/// What becomes of a member.
pub(super) enum Member<'t> {
    Removed,
    /// It passes, under another name if there is one; its value is there in the trees.
    Passes(Option<&'t str>, At),
}

/// What an object has had so far of the names that edits name.
#[derive(Debug, Default)]
pub(super) struct Seen(smallvec::SmallVec<[u64; 1]>);

#[derive(Debug)]
struct Tree<Op>(Vec<Node<Op>>);

#[derive(Debug)]
struct Node<Op> {
    op: Op,
    members: Vec<(Box<str>, usize)>,
    /// Names that members get by being renamed.
    taken: Vec<Box<str>>,
    items: Option<usize>,
    indexed: Vec<(u64, usize)>,
}

/// Nodes of a tree.
const MOST: usize = 1 << 14;

type Paths<'p, T> = Vec<(&'p [String], T)>;

impl<Op: Default> Tree<Op> {
    fn new<T: Copy>(paths: Paths<'_, T>, set: &impl Fn(&mut Op, T)) -> Result<Self, TooMany> {
        let mut tree = Self(Vec::new());
        tree.grow(paths, set)?;
        Ok(tree)
    }

    /// Adds the node from which these paths go on.
    fn grow<T: Copy>(&mut self, paths: Paths<'_, T>, set: &impl Fn(&mut Op, T)) -> Result<usize, TooMany> {
        let own = self.0.len();
        if own >= MOST {
            return Err(TooMany);
        }
        let mut op = Op::default();
        let mut names: Vec<&String> = Vec::new();
        for (path, value) in &paths {
            match path.first() {
                None => set(&mut op, *value),
                Some(name) if !names.contains(&name) => names.push(name),
                Some(_) => {}
            }
        }
        self.0.push(Node { op, members: Vec::new(), taken: Vec::new(), items: None, indexed: Vec::new() });
        let below = |wanted: &dyn Fn(&str) -> bool| -> Paths<'_, T> {
            let through = paths.iter().filter(|(path, _)| path.first().is_some_and(|name| wanted(name)));
            through.map(|(path, value)| (&path[1..], *value)).collect()
        };
        for name in names {
            let node = self.grow(below(&|other| other == name), set)?;
            self.0[own].members.push((name.as_str().into(), node));
            if name == ALL {
                self.0[own].items = Some(node);
            } else if let Some(index) = index(name) {
                let node = self.grow(below(&|other| other == name || other == ALL), set)?;
                self.0[own].indexed.push((index, node));
            }
        }
        Ok(own)
    }
}

impl<Op> Tree<Op> {
    fn member(&self, node: Option<usize>, name: &[u8]) -> Option<(usize, usize)> {
        let members = &self.0.get(node?)?.members;
        let place = members.iter().position(|(known, _)| known.as_bytes() == name)?;
        Some((place, members[place].1))
    }

    fn item(&self, node: Option<usize>, index: u64) -> Option<usize> {
        let node = self.0.get(node?)?;
        node.indexed.iter().find(|(known, _)| *known == index).map(|(_, node)| *node).or(node.items)
    }

    fn op(&self, node: Option<usize>) -> Option<&Op> {
        Some(&self.0.get(node?)?.op)
    }
}

impl Edits {
    /// Compiles edits.
    ///
    /// # Errors
    /// Their paths cross too often.
    pub fn new(spec: &Spec) -> Result<Self, TooMany> {
        let removed = spec.remove.iter().map(|path| (path.as_slice(), None));
        let renamed = spec.rename.iter().map(|(path, to)| (path.as_slice(), Some(to.as_str())));
        let mut before = Tree::new(removed.chain(renamed).collect(), &|op: &mut Before, to| match to {
            None => *op = Before::Removed,
            Some(_) if *op == Before::Removed => {}
            Some(to) => *op = Before::Renamed(to.into()),
        })?;
        for place in 0..before.0.len() {
            let names = before.0[place].members.iter().filter_map(|(_, node)| match &before.0[*node].op {
                Before::Renamed(name) => Some(name.clone()),
                _ => None,
            });
            before.0[place].taken = names.collect();
        }
        let values = |which: &'static str, edits: &'_ [(Vec<String>, usize)]| -> Vec<(Vec<String>, (&str, usize))> {
            edits.iter().map(|(path, value)| (path.clone(), (which, *value))).collect()
        };
        let all = [values("set", &spec.set), values("add", &spec.add), values("append", &spec.append)].concat();
        let paths = all.iter().map(|(path, value)| (path.as_slice(), *value)).collect();
        let mut after = Tree::new(paths, &|op: &mut After, (which, value)| match which {
            "set" => op.set = Some(value),
            "add" => op.add = Some(value),
            _ => op.append.push(value),
        })?;
        // Nodes come behind those that they hang on.
        for place in (0..after.0.len()).rev() {
            let below = after.0[place].members.iter().any(|(name, node)| is_name(name) && after.0[*node].op.is_made);
            let op = &mut after.0[place].op;
            op.is_made = below || op.set.is_some() || op.add.is_some() || !op.append.is_empty();
        }
        let names = before.0.iter().flat_map(|node| &node.members).chain(after.0.iter().flat_map(|node| &node.members));
        let taken = before.0.iter().flat_map(|node| &node.taken);
        let longest = names.map(|(name, _)| name.len()).chain(taken.map(|name| name.len())).max().unwrap_or(0);
        Ok(Self { before, after, longest: 6 * longest + 2 })
    }

    /// Where the whole text is.
    pub(super) fn root(&self) -> At {
        At { before: Some(0), after: Some(0) }
    }

    /// What becomes of a member of an object.
    pub(super) fn member(&self, at: At, name: &[u8], seen: &mut Seen) -> Result<Member<'_>, super::Fault> {
        let came = self.before.member(at.before, name);
        let op = came.and_then(|(_, node)| self.before.op(Some(node)));
        if op == Some(&Before::Removed) {
            return Ok(Member::Removed);
        }
        let renamed = match op {
            Some(Before::Renamed(to)) => Some(&**to),
            _ => None,
        };
        let then = renamed.map_or(name, str::as_bytes);
        let taken = at.before.map_or(&[][..], |node| &self.before.0[node].taken);
        let first = at.before.map_or(0, |node| self.before.0[node].members.len());
        if came.is_some_and(|(place, _)| !seen.note(place)) {
            return Err(super::Fault::Duplicate);
        }
        if taken.iter().position(|name| name.as_bytes() == then).is_some_and(|place| !seen.note(first + place)) {
            return Err(super::Fault::Taken);
        }
        let goes = self.after.member(at.after, then);
        if goes.is_some_and(|(place, _)| !seen.note(first + taken.len() + place)) {
            return Err(super::Fault::Duplicate);
        }
        Ok(Member::Passes(renamed, At { before: came.map(|(_, node)| node), after: goes.map(|(_, node)| node) }))
    }

    /// What becomes of an item of an array; `None`: it is removed.
    pub(super) fn item(&self, at: At, index: u64) -> Option<At> {
        let before = self.before.item(at.before, index);
        let removed = self.before.op(before) == Some(&Before::Removed);
        (!removed).then(|| At { before, after: self.after.item(at.after, index) })
    }

    /// What becomes of the value there.
    pub(super) fn value(&self, at: At) -> Option<&After> {
        self.after.op(at.after)
    }

    /// Makes the members that an object lacks, each behind a comma unless it is the `first`.
    pub(super) fn make_missing(&self, at: At, seen: &Seen, first: bool, values: &[Vec<u8>], out: &mut Vec<u8>) {
        let Some(node) = at.after else { return };
        let (mine, taken) = at.before.map_or((0, 0), |node| {
            let Node { members, taken, .. } = &self.before.0[node];
            (members.len(), taken.len())
        });
        self.make_members(node, first, |place| !seen.has(mine + taken + place), values, out);
    }

    fn make_members(
        &self,
        node: usize,
        mut first: bool,
        wanted: impl Fn(usize) -> bool,
        values: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) {
        for (place, (name, node)) in self.after.0[node].members.iter().enumerate() {
            if !is_name(name) || !self.after.0[*node].op.is_made || !wanted(place) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            push_text(name.as_bytes(), out);
            out.push(b':');
            self.make(*node, values, out);
        }
    }

    /// Makes what is not there.
    fn make(&self, node: usize, values: &[Vec<u8>], out: &mut Vec<u8>) {
        let op = &self.after.0[node].op;
        match op.set.or(op.add) {
            Some(value) => push_value(value, values, out),
            None if !op.append.is_empty() => {
                out.push(b'[');
                push_items(&op.append, true, values, out);
                out.push(b']');
            }
            None => {
                out.push(b'{');
                self.make_members(node, true, |_| true, values, out);
                out.push(b'}');
            }
        }
    }
}

impl At {
    /// Whether anything in it may change.
    pub(super) fn is_edited(self) -> bool {
        self.before.is_some() || self.after.is_some()
    }
}

impl Seen {
    /// Notes one. False: it was noted before.
    fn note(&mut self, place: usize) -> bool {
        let (word, bit) = (place / 64, 1 << (place % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }
}

/// Writes a value.
pub(super) fn push_value(value: usize, values: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(values.get(value).map_or(b"null", |text| text));
}

/// Writes items, each behind a comma unless it is the `first`.
pub(super) fn push_items(items: &[usize], mut first: bool, values: &[Vec<u8>], out: &mut Vec<u8>) {
    for item in items {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        push_value(*item, values, out);
    }
}

/// The step of a path that stands for all items of an array.
const ALL: &str = "*";

/// Whether what a step names can be made: nothing tells how many items there should be.
fn is_name(step: &str) -> bool {
    step != ALL && index(step).is_none()
}

/// The item of an array that a step names (RFC 6901 §4).
fn index(step: &str) -> Option<u64> {
    let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (step == "0" || !step.starts_with('0'))).then(|| step.parse().ok()).flatten()
}
