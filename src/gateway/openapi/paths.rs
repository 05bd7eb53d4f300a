//! The paths of a description as a tree of their segments.
//!
//! What always holds: of all templates that a path fits, the one is found that says most of it in its own words, segment by segment from
//! the left (OpenAPI 3.1 §4.8.8.2).

use super::Wrong;
use std::collections::HashMap;

/// A tree of paths.
#[derive(Clone, Debug)]
pub struct Paths {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literal: HashMap<Box<[u8]>, usize>,
    /// Segments that are parameters in part, those with the longest text of their own first.
    mixed: Vec<(Mixed, usize)>,
    parameter: Option<usize>,
    /// What stands at this path.
    here: Option<usize>,
}

/// A segment such as `{id}.json`: texts, each behind a parameter, but for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mixed {
    texts: Box<[Box<[u8]>]>,
}

/// The values of parameters in a path, as they were sent, in the order of the template.
pub type Values<'p> = smallvec::SmallVec<[&'p [u8]; 4]>;

impl Default for Paths {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Paths {
    /// One without paths.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a template of a description. Returns the names of its parameters in their order.
    pub(super) fn add(&mut self, template: &str, what: usize, at: &str) -> Result<Vec<String>, Wrong> {
        let (found, names) = self.place(template, what).map_err(|what| Wrong::new(at, what))?;
        if found == what {
            return Ok(names);
        }
        Err(Wrong::new(at, "another path of this document is the same but for the names of parameters"))
    }

    /// What stands at a template; where nothing does, that is `new`. With the names of its parameters in their order.
    ///
    /// # Errors
    /// It is none.
    pub fn place(&mut self, template: &str, new: usize) -> Result<(usize, Vec<String>), &'static str> {
        let rest = template.strip_prefix('/').ok_or("a path begins with `/`")?;
        let (mut node, mut names) = (0, Vec::new());
        for segment in rest.split('/') {
            let (texts, own) = parts(segment).ok_or("a `{` or `}` has no other")?;
            node = self.child(node, texts);
            names.extend(own);
        }
        let here = self.nodes.get_mut(node).map(|node| *node.here.get_or_insert(new));
        Ok((here.unwrap_or(new), names))
    }

    fn child(&mut self, node: usize, texts: Vec<Box<[u8]>>) -> usize {
        let next = self.nodes.len();
        let Some(parent) = self.nodes.get_mut(node) else { return 0 };
        let found = match &texts[..] {
            [text] => *parent.literal.entry(text.clone()).or_insert(next),
            [before, after] if before.is_empty() && after.is_empty() => *parent.parameter.get_or_insert(next),
            _ => {
                let mixed = Mixed { texts: texts.into() };
                match parent.mixed.iter().find(|(other, _)| *other == mixed) {
                    Some((_, child)) => *child,
                    None => {
                        parent.mixed.push((mixed, next));
                        parent.mixed.sort_by_key(|(mixed, _)| std::cmp::Reverse(mixed.length()));
                        next
                    }
                }
            }
        };
        if found == next {
            self.nodes.push(Node::default());
        }
        found
    }

    /// What stands at a path, and the values of its parameters.
    pub fn find<'p>(&self, path: &'p [u8]) -> Option<(usize, Values<'p>)> {
        let mut values = Values::new();
        let found = self.within(0, path.strip_prefix(b"/")?, &mut values)?;
        Some((found, values))
    }

    fn within<'p>(&self, node: usize, path: &'p [u8], values: &mut Values<'p>) -> Option<usize> {
        let node = self.nodes.get(node)?;
        let (segment, rest) = match memchr::memchr(b'/', path) {
            Some(at) => (&path[..at], Some(&path[at + 1..])),
            None => (path, None),
        };
        let onward = |child: usize, values: &mut Values<'p>| match rest {
            Some(rest) => self.within(child, rest, values),
            None => self.nodes.get(child)?.here,
        };
        if let Some(&child) = node.literal.get(segment)
            && let Some(found) = onward(child, values)
        {
            return Some(found);
        }
        let before = values.len();
        for (mixed, child) in &node.mixed {
            if mixed.fits(segment, values)
                && let Some(found) = onward(*child, values)
            {
                return Some(found);
            }
            values.truncate(before);
        }
        let child = node.parameter.filter(|_| !segment.is_empty())?;
        values.push(segment);
        let found = onward(child, values);
        if found.is_none() {
            values.truncate(before);
        }
        found
    }
}

impl Mixed {
    fn length(&self) -> usize {
        self.texts.iter().map(|text| text.len()).sum()
    }

    /// Whether a segment has all of the texts, with something between each two of them.
    fn fits<'p>(&self, segment: &'p [u8], values: &mut Values<'p>) -> bool {
        let [first, between @ .., last] = &*self.texts else { return false };
        let Some(mut rest) = segment.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        for text in between {
            // A parameter has one byte at least.
            let Some(found) = rest.get(1..).and_then(|rest| memchr::memmem::find(rest, text)) else { return false };
            let (value, after) = rest.split_at(found + 1);
            values.push(value);
            rest = &after[text.len()..];
        }
        values.push(rest);
        !rest.is_empty()
    }
}

/// Texts, and the names of the parameters between them.
type Parts = (Vec<Box<[u8]>>, Vec<String>);

/// What a segment is made of.
fn parts(segment: &str) -> Option<Parts> {
    let (mut texts, mut names, mut rest) = (Vec::new(), Vec::new(), segment);
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        (!text.contains('}') && !name.is_empty() && !name.contains('{')).then_some(())?;
        texts.push(text.as_bytes().into());
        names.push(name.to_owned());
        rest = after;
    }
    (!rest.contains('}')).then_some(())?;
    texts.push(rest.as_bytes().into());
    Some((texts, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_goes_before_what_is_a_parameter() {
        let mut paths = Paths::new();
        let all = ["/a/{id}", "/a/mine", "/a/{id}/b", "/a/{id}.json", "/a/{x}-{y}", "/", "/a/", "/{any}/c/d"];
        for (index, template) in all.iter().enumerate() {
            paths.add(template, index, "").unwrap();
        }
        let found = |path: &str| {
            let (found, values) = paths.find(path.as_bytes())?;
            let values: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            Some((all[found], values.join(",")))
        };
        for (path, expected) in [
            ("/a/mine", Some(("/a/mine", ""))),
            ("/a/7", Some(("/a/{id}", "7"))),
            ("/a/mine/b", Some(("/a/{id}/b", "mine"))),
            ("/a/7.json", Some(("/a/{id}.json", "7"))),
            ("/a/.json", Some(("/a/{id}", ".json"))),
            ("/a/1-2-3", Some(("/a/{x}-{y}", "1,2-3"))),
            ("/a/c/d", Some(("/{any}/c/d", "a"))),
            ("/", Some(("/", ""))),
            ("/a/", Some(("/a/", ""))),
            ("/a", None),
            ("/a//b", None),
            ("/a/7/b/", None),
        ] {
            assert_eq!(found(path), expected.map(|(path, values)| (path, values.to_owned())), "{path}");
        }
    }

    #[test]
    fn two_paths_that_differ_in_names_alone_are_one_too_many() {
        let mut paths = Paths::new();
        assert_eq!(paths.add("/a/{id}/{other}", 0, "").unwrap(), ["id", "other"]);
        assert!(paths.add("/a/{name}/{x}", 1, "").is_err());
        for wrong in ["a", "/{", "/}", "/{}", "/{a{b}}"] {
            assert!(paths.add(wrong, 2, "").is_err(), "{wrong}");
        }
    }
}
