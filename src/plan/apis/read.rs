//! A description as its file has it, JSON or YAML.

use crate::gateway::openapi::Wrong;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Number, Value};

/// How deep values may be nested.
const DEEP: usize = 100;

/// Reads one: what begins with a brace is JSON.
pub(super) fn read(text: &[u8]) -> Result<Value, Wrong> {
    let wrong = |what: String| Wrong { at: String::new(), what };
    let text = std::str::from_utf8(text).map_err(|_| wrong("it is no text in UTF-8".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| wrong(format!("it is no JSON: {error}")));
    }
    let mut all = Yaml::load_from_str(text).map_err(|error| {
        let at = error.marker();
        wrong(format!("it is no YAML: {}, at line {}, column {}", error.info(), at.line(), at.col() + 1))
    })?;
    match all.len() {
        1 => value(&all.remove(0), "", 0),
        count => Err(wrong(format!("it has {count} documents, and one is taken"))),
    }
}

fn value(yaml: &Yaml<'_>, at: &str, depth: usize) -> Result<Value, Wrong> {
    let wrong = |what: &str| Wrong { at: at.to_owned(), what: what.to_owned() };
    if depth > DEEP {
        return Err(wrong("values are nested too deep"));
    }
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(is)) => Value::Bool(*is),
        Yaml::Value(Scalar::Integer(number)) => Value::Number((*number).into()),
        Yaml::Value(Scalar::FloatingPoint(number)) => {
            Value::Number(Number::from_f64(number.into_inner()).ok_or_else(|| wrong("it is no finite number"))?)
        }
        Yaml::Value(Scalar::String(text)) => Value::String(text.to_string()),
        Yaml::Representation(text, ..) => Value::String(text.to_string()),
        Yaml::Tagged(_, inner) => value(inner, at, depth + 1)?,
        Yaml::Sequence(items) => {
            let item = |(index, item): (usize, &Yaml<'_>)| value(item, &format!("{at}/{index}"), depth + 1);
            Value::Array(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(pairs) => {
            let mut map = Map::new();
            for (key, inner) in pairs {
                let name = match value(key, at, depth + 1)? {
                    Value::String(name) => name,
                    // Statuses are written as numbers.
                    name @ (Value::Number(_) | Value::Bool(_) | Value::Null) => name.to_string(),
                    _ => return Err(wrong("a name is a text")),
                };
                let inner = value(inner, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), depth + 1)?;
                map.insert(name, inner);
            }
            Value::Object(map)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err(wrong("it cannot be read")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "a: &x\n  - 1\n  - 2.5\n  - yes\n  - true\n  - null\n  - '3'\nb: *x\nresponses:\n  200: ok\n";
        let json = r#"{"a":[1,2.5,"yes",true,null,"3"],"b":[1,2.5,"yes",true,null,"3"],"responses":{"200":"ok"}}"#;
        assert_eq!(read(yaml.as_bytes()), read(json.as_bytes()));
        assert!(read(b"{").is_err() && read(b"a: [").is_err() && read(b"").is_err() && read(b"\xff").is_err());
    }
}
