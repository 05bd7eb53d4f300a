//! Bodies changed by hand, against serde_json, and in all pieces.

mod cases;
mod model;
mod random;

use super::{Editor, Edits, Fault, Spec};
use std::sync::Arc;

/// What a path names.
fn path(text: &str) -> Vec<String> {
    let steps = text.split('/').skip(1);
    steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// Edits as a configuration has them.
#[derive(Clone, Copy, Default)]
struct Told<'a> {
    remove: &'a [&'a str],
    rename: &'a [(&'a str, &'a str)],
    set: &'a [(&'a str, &'a str)],
    add: &'a [(&'a str, &'a str)],
    append: &'a [(&'a str, &'a str)],
}

impl Told<'_> {
    fn compiled(&self) -> (Spec, Vec<Vec<u8>>) {
        let mut values = Vec::new();
        let mut valued = |edits: &[(&str, &str)]| -> Vec<(Vec<String>, usize)> {
            let mut place = |(at, value): &(&str, &str)| {
                values.push(value.as_bytes().to_vec());
                (path(at), values.len() - 1)
            };
            edits.iter().map(&mut place).collect()
        };
        let (set, add, append) = (valued(self.set), valued(self.add), valued(self.append));
        let remove = self.remove.iter().map(|at| path(at)).collect();
        let rename = self.rename.iter().map(|(at, to)| (path(at), (*to).to_owned())).collect();
        (Spec { remove, rename, set, add, append }, values)
    }
}

/// What becomes of a body that comes in pieces of these lengths, over and over.
fn run(spec: &Spec, values: &[Vec<u8>], body: &[u8], pieces: &[usize], most: usize) -> Result<Vec<u8>, Fault> {
    let mut editor = Editor::new(Arc::new(Edits::new(spec).unwrap()), values.to_vec());
    let (mut out, mut rest) = (Vec::new(), body);
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut now, later) = rest.split_at((*piece).clamp(1, rest.len()));
        rest = later;
        while !now.is_empty() {
            let before = out.len();
            let count = editor.push(now, most, &mut out)?;
            assert!(count > 0 || out.len() > before, "it goes on");
            now = &now[count..];
        }
    }
    editor.finish(&mut out)?;
    Ok(out)
}

fn edited(told: &Told<'_>, body: &str) -> Result<String, Fault> {
    let (spec, values) = told.compiled();
    let whole = run(&spec, &values, body.as_bytes(), &[usize::MAX], usize::MAX);
    for pieces in [&[1][..], &[2], &[3, 1], &[7]] {
        assert_eq!(run(&spec, &values, body.as_bytes(), pieces, 1), whole, "{body} in pieces of {pieces:?}");
    }
    whole.map(|out| String::from_utf8(out).unwrap())
}
