//! The same edits done the simple way, on a tree that is all there.

use super::super::Spec;
use serde_json::{Map, Value};

/// What becomes of a body in which no name stands twice. `None`: it would be refused.
pub(super) fn edited(spec: &Spec, values: &[Vec<u8>], mut body: Value) -> Option<Value> {
    // Numbers mean items as they came: those that go are marked, and taken out in the end.
    body = removed(body, &spec.remove.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let renames: Vec<(&[String], &str)> = spec.rename.iter().map(|(path, to)| (path.as_slice(), to.as_str())).collect();
    body = renamed(body, &renames)?;
    let value = |place: usize| serde_json::from_slice::<Value>(&values[place]).unwrap();
    for (path, place) in &spec.set {
        at(&mut body, path, &mut |there| *there = Some(value(*place)));
    }
    for (path, place) in &spec.add {
        at(&mut body, path, &mut |there| {
            there.get_or_insert_with(|| value(*place));
        });
    }
    for (path, place) in &spec.append {
        at(&mut body, path, &mut |there| {
            let item = value(*place);
            *there = Some(match there.take() {
                None => Value::Array(vec![item]),
                Some(Value::Array(mut items)) => {
                    items.push(item);
                    Value::Array(items)
                }
                Some(other) => Value::Array(vec![other, item]),
            });
        });
    }
    Some(body)
}

/// Stands for an item that is gone, so that others keep their numbers.
fn gone() -> Value {
    Value::Object(Map::from_iter([("\u{0}gone".to_owned(), Value::Null)]))
}

fn below<'p>(paths: &[&'p [String]], name: &str, is_item: bool) -> Vec<&'p [String]> {
    let through = paths.iter().filter(|path| path.first().is_some_and(|step| step == name || is_item && step == "*"));
    through.map(|path| &path[1..]).collect()
}

fn removed(body: Value, paths: &[&[String]]) -> Value {
    let is_gone = |below: &[&[String]]| below.iter().any(|path| path.is_empty());
    match body {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter_map(|(name, value)| {
                    let below = below(paths, &name, false);
                    (!is_gone(&below)).then(|| (name, removed(value, &below)))
                })
                .collect(),
        ),
        Value::Array(items) => {
            let each = items.into_iter().enumerate().map(|(place, item)| {
                let below = below(paths, &place.to_string(), true);
                if is_gone(&below) { gone() } else { removed(item, &below) }
            });
            Value::Array(each.collect())
        }
        other => other,
    }
}

fn renamed(body: Value, paths: &[(&[String], &str)]) -> Option<Value> {
    let below = |name: &str, is_item: bool| -> Vec<(&[String], &str)> {
        let through =
            paths.iter().filter(|(path, _)| path.first().is_some_and(|step| step == name || is_item && step == "*"));
        through.map(|(path, to)| (&path[1..], *to)).collect()
    };
    Some(match body {
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, value) in members {
                let below = below(&name, false);
                // Of two that rename the same, the last one counts.
                let to = below.iter().rev().find(|(path, _)| path.is_empty()).map(|(_, to)| (*to).to_owned());
                let value = renamed(value, &below)?;
                if out.insert(to.unwrap_or(name), value).is_some() {
                    return None;
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => {
            let each =
                items.into_iter().enumerate().map(|(place, item)| renamed(item, &below(&place.to_string(), true)));
            Value::Array(each.collect::<Option<_>>()?)
        }
        other => other,
    })
}

/// Takes out what is marked as gone.
pub(super) fn without_gone(body: Value) -> Value {
    match body {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, without_gone(value))).collect())
        }
        Value::Array(items) => {
            let marked = gone();
            Value::Array(items.into_iter().filter(|item| *item != marked).map(without_gone).collect())
        }
        other => other,
    }
}

fn is_name(step: &str) -> bool {
    step != "*" && !(step == "0" || step.bytes().all(|byte| byte.is_ascii_digit()) && !step.starts_with('0'))
}

/// Calls `edit` with what is at a path, and where there is nothing, with that, if it can be made.
fn at(body: &mut Value, path: &[String], edit: &mut dyn FnMut(&mut Option<Value>)) {
    if *body == gone() {
        return;
    }
    let Some((step, rest)) = path.split_first() else {
        let mut there = Some(body.take());
        edit(&mut there);
        *body = there.unwrap();
        return;
    };
    match body {
        Value::Object(members) => match members.get_mut(step) {
            Some(value) => at(value, rest, edit),
            None if is_name(step) && rest.iter().all(|step| is_name(step)) => {
                let mut made = None;
                edit(&mut made);
                let wrap = |value, step: &String| Value::Object(Map::from_iter([(step.clone(), value)]));
                let value = rest.iter().rev().fold(made.unwrap(), wrap);
                members.insert(step.clone(), value);
            }
            None => {}
        },
        Value::Array(items) => {
            for (place, item) in items.iter_mut().enumerate() {
                if step == "*" || *step == place.to_string() {
                    at(item, rest, edit);
                }
            }
        }
        _ => {}
    }
}
