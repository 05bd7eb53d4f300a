//! Forms (`application/x-www-form-urlencoded`) as JSON, and JSON as forms.

use super::{Wrong, query};
use serde_json::{Map, Value};

/// What is taken for a form, and how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether `a[b]` is the member `b` of an object `a`, and `a[]` an item of a list.
    pub brackets: bool,
    /// Fields that a form may have.
    pub fields: usize,
}

/// Levels of brackets.
const DEEP: usize = 8;

/// A form as an object: a name that stands there more than once has a list. All values are texts.
///
/// # Errors
/// It is no form, or has more than is taken.
pub fn to_json(form: &[u8], terms: Terms) -> Result<Vec<u8>, Wrong> {
    let mut root = Map::new();
    for (place, pair) in query::pairs(form).enumerate() {
        if place == terms.fields {
            return Err(Wrong::new("form", format_args!("it has more than {} fields", terms.fields)));
        }
        let (name, value) = pair.ok_or_else(|| Wrong::new("form", "it is no text in UTF-8"))?;
        let names = if terms.brackets { split(&name) } else { vec![&name[..]] };
        if names.len() > DEEP {
            return Err(Wrong::new("form", "its names are nested too deep"));
        }
        put(&mut root, &names, Value::String(value))?;
    }
    Ok(Value::Object(root).to_string().into_bytes())
}

/// The parts of `a[b][]`; what is not in this form is one.
fn split(name: &str) -> Vec<&str> {
    let Some((first, rest)) = name.split_once('[') else { return vec![name] };
    let Some(rest) = rest.strip_suffix(']').filter(|_| !first.is_empty()) else { return vec![name] };
    let mut parts = vec![first];
    parts.extend(rest.split("]["));
    if parts[1..].iter().any(|part| part.contains(['[', ']'])) { vec![name] } else { parts }
}

fn put(at: &mut Map<String, Value>, names: &[&str], value: Value) -> Result<(), Wrong> {
    let clash = |name: &str| Wrong::new("form", format_args!("`{name}` is a value and holds others"));
    match names {
        [] => Ok(()),
        [name] | [name, ""] => {
            let is_list = names.len() == 2;
            match at.get_mut(*name) {
                None => {
                    at.insert((*name).to_owned(), if is_list { Value::Array(vec![value]) } else { value });
                }
                Some(Value::Array(values)) => values.push(value),
                Some(Value::Object(_)) => return Err(clash(name)),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
            Ok(())
        }
        [name, rest @ ..] => match at.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(within) => put(within, rest, value),
            _ => Err(clash(name)),
        },
    }
}

/// An object as a form: lists stand there as often as they have items, nulls not at all.
///
/// # Errors
/// It is no object, or has what no form says.
pub fn of_json(json: &[u8], terms: Terms) -> Result<Vec<u8>, Wrong> {
    let value = serde_json::from_slice(json).map_err(|error| Wrong::new("body", error))?;
    let Value::Object(fields) = value else { return Err(Wrong::new("body", "it is no object")) };
    let mut writer = Writer { out: Vec::new(), left: terms.fields, terms };
    for (name, value) in &fields {
        writer.push(name, value, 0)?;
    }
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    left: usize,
    terms: Terms,
}

impl Writer {
    fn push(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), Wrong> {
        let text = match value {
            Value::Null => return Ok(()),
            Value::String(text) => text.as_str(),
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Number(number) => &number.to_string(),
            Value::Array(items) => {
                let is_single = |item: &Value| !item.is_array() && !item.is_object();
                if !items.iter().all(is_single) {
                    return Err(Wrong::new("body", format_args!("the items of `{name}` are no single values")));
                }
                let name = if self.terms.brackets { format!("{name}[]") } else { name.to_owned() };
                return items.iter().try_for_each(|item| self.push(&name, item, depth));
            }
            Value::Object(fields) if self.terms.brackets && depth < DEEP => {
                let mut inner = fields.iter();
                return inner.try_for_each(|(inner, value)| self.push(&format!("{name}[{inner}]"), value, depth + 1));
            }
            Value::Object(_) => return Err(Wrong::new("body", format_args!("`{name}` is an object"))),
        };
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Wrong::new("body", format_args!("it has more than {} values", self.terms.fields)))?;
        if !self.out.is_empty() {
            self.out.push(b'&');
        }
        query::encode(name, false, &mut self.out);
        self.out.push(b'=');
        query::encode(text, false, &mut self.out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: Terms = Terms { brackets: false, fields: 5 };
    const DEEPER: Terms = Terms { brackets: true, fields: 5 };

    fn json(form: &str, terms: Terms) -> Result<String, String> {
        to_json(form.as_bytes(), terms).map(|json| String::from_utf8(json).unwrap()).map_err(|wrong| wrong.what)
    }

    #[test]
    fn a_form_is_an_object_of_texts() {
        assert_eq!(json("a=1&b=x+y%26&a=2&c&", FLAT).unwrap(), r#"{"a":["1","2"],"b":"x y&","c":""}"#);
        assert_eq!(json("", FLAT).unwrap(), "{}");
        assert_eq!(json("a[b]=1", FLAT).unwrap(), r#"{"a[b]":"1"}"#);
        assert_eq!(
            json("a[b]=1&a[c][]=2&a[c][]=3&d[]=4", DEEPER).unwrap(),
            r#"{"a":{"b":"1","c":["2","3"]},"d":["4"]}"#
        );
        assert_eq!(json("[a]=1&b]=2&c[=3&d[[]]=4", DEEPER).unwrap(), r#"{"[a]":"1","b]":"2","c[":"3","d[[]]":"4"}"#);
    }

    #[test]
    fn what_is_no_form_or_too_much_is_refused() {
        for bad in ["a=%ff", "%ff=a", "a=1&a=2&a=3&a=4&a=5&a=6"] {
            assert!(json(bad, FLAT).is_err(), "{bad}");
        }
        for bad in ["a=1&a[b]=2", "a[b]=2&a=1", "a[b][c][d][e][f][g][h][i][j]=1", "a[]=1&a[b]=1"] {
            assert!(json(bad, DEEPER).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_object_is_a_form() {
        let form = |json: &str, terms| of_json(json.as_bytes(), terms).map(|form| String::from_utf8(form).unwrap());
        assert_eq!(form(r#"{"a":[1,"x y"],"b":true,"c":null,"d":"&="}"#, FLAT).unwrap(), "a=1&a=x%20y&b=true&d=%26%3D");
        assert_eq!(form(r#"{"a":{"b":[1]}}"#, DEEPER).unwrap(), "a%5Bb%5D%5B%5D=1");
        for bad in ["", "[]", "1", "{", r#"{"a":{}}"#, r#"{"a":[[]]}"#, r#"{"a":[1,2,3,4,5,6]}"#] {
            assert!(form(bad, FLAT).is_err(), "{bad}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        assert!(form(&deep, DEEPER).is_err() && form(&r#"{"a":"#.repeat(100_000), DEEPER).is_err());
    }
}
