//! `${NAME}` and `${NAME:-default}` in strings. Pure: the environment is a function.

use super::units::Invalid;

/// A string after expansion.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text with each placeholder replaced.
    pub text: String,
    /// Whether anything came from a placeholder: then the text is not shown to anybody.
    pub secret: bool,
    /// Placeholders that could not be replaced, as they stand in the text.
    pub broken: Vec<(String, Invalid)>,
}

/// Replaces the placeholders of a text. `$${` stands for `${`; any other `$` is a dollar.
pub fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Expanded {
    let mut result = Expanded::default();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            result.text.push_str(&rest[..at - 1]);
            result.text.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        result.text.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}').map(|n| at + n) else {
            let help = "close it with `}`, or write `$${` for a literal `${`";
            result.broken.push((rest[at..].into(), Invalid::new("`${` is never closed").help(help)));
            return result;
        };
        let placeholder = &rest[at..=end];
        match value(&rest[at + 2..end], env) {
            Ok(value) => {
                result.text.push_str(&value);
                result.secret = true;
            }
            Err(invalid) => result.broken.push((placeholder.into(), invalid)),
        }
        rest = &rest[end + 1..];
    }
    result.text.push_str(rest);
    result
}

fn value(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Invalid> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(Invalid::new(format!("`{name}` cannot be the name of an environment variable"))
            .help("write `${NAME}` or `${NAME:-default}`; `$${` is a literal `${`"));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.into()),
        (None, None) => Err(Invalid::new(format!("the environment has no `{name}`"))
            .help(format!("set it, or give a default: `${{{name}:-default}}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Expanded {
        expand(text, &|name| match name {
            "PORT" => Some("8080".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn placeholders_are_replaced() {
        for (text, result, secret) in [
            ("127.0.0.1:${PORT}", "127.0.0.1:8080", true),
            ("${PORT}${PORT}", "80808080", true),
            ("${NONE:-a:-b}", "a:-b", true),
            ("${EMPTY:-x}", "x", true),
            ("[${EMPTY}]", "[]", true),
            ("$${PORT}", "${PORT}", false),
            ("~^a$", "~^a$", false),
            ("$5 {x}", "$5 {x}", false),
        ] {
            assert_eq!(expanded(text), Expanded { text: result.into(), secret, broken: vec![] }, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_named() {
        for (text, placeholder, what) in [
            ("a ${NONE} b", "${NONE}", "the environment has no `NONE`"),
            ("${PORT", "${PORT", "`${` is never closed"),
            ("${a-b}", "${a-b}", "`a-b` cannot be the name of an environment variable"),
            ("${}", "${}", "`` cannot be the name of an environment variable"),
        ] {
            let broken = expanded(text).broken;
            assert_eq!((broken[0].0.as_str(), broken[0].1.what.as_str()), (placeholder, what), "{text}");
        }
    }
}
