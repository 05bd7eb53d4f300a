//! Paths into JSON (RFC 6901): `/user/name`, `/items/0`; `*` stands for all items of an array.

use super::units::Invalid;

/// The longest path, in bytes.
const LONGEST: usize = 512;
/// The most steps of a path.
const MOST: usize = 32;

/// The names on a path, of which a number may mean an item, and `*` all items.
///
/// # Errors
/// What is wrong with it.
pub fn steps(text: &str) -> Result<Vec<String>, Invalid> {
    let Some(path) = text.strip_prefix('/') else {
        let nothing = text.is_empty().then(Vec::new);
        return nothing.ok_or_else(|| Invalid::new("it begins with no `/`").help(format!("write \"/{text}\"")));
    };
    let steps = path.split('/').map(unescaped).collect::<Result<Vec<_>, _>>()?;
    if text.len() > LONGEST || steps.len() > MOST {
        return Err(Invalid::new(format!("it is longer than {LONGEST} bytes or {MOST} steps")));
    }
    Ok(steps)
}

/// Whether there is something that both steps name.
pub fn meet(one: &str, other: &str) -> bool {
    let is_item = |step: &str| step == "*" || !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    one == other || one == "*" && is_item(other) || is_item(one) && other == "*"
}

fn unescaped(step: &str) -> Result<String, Invalid> {
    let mut parts = step.split('~');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match part.split_at_checked(1) {
            Some(("0", rest)) => ('~', rest),
            Some(("1", rest)) => ('/', rest),
            _ => return Err(Invalid::new("a `~` in a name is written ~0, and a `/` ~1")),
        };
        out.push(sign);
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_their_standard_has_it() {
        for (text, wanted) in [
            ("", Some(&[][..])),
            ("/", Some(&[""][..])),
            ("/a/b~1c/~0/0", Some(&["a", "b/c", "~", "0"][..])),
            ("/~01", Some(&["~1"][..])),
            ("a", None),
            ("/~", None),
            ("/~2", None),
        ] {
            assert_eq!(
                steps(text).ok().as_deref(),
                wanted.map(|of| of.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text}"
            );
        }
        assert!(steps(&"/a".repeat(33)).is_err() && steps(&"/a".repeat(32)).is_ok());
    }
}
