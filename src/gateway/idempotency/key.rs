//! The value of an Idempotency-Key: a structured String (RFC 9651 §3.3.3), or the same without its quotes, as many clients send it.

use crate::gateway::Request;
use sfv::{BareItem, Item, Parser};

/// Bytes that a key may have.
pub(super) const LONGEST: usize = 255;

/// What a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// This key.
    Key(Vec<u8>),
    /// Something that is none.
    Bad,
}

/// What a request says under `header`.
pub(super) fn read(request: &dyn Request, header: &str) -> Said {
    let mut said = Said::Nothing;
    request.each(header, &mut |value| {
        said = match said {
            Said::Nothing => parse(value.trim_ascii()).map_or(Said::Bad, Said::Key),
            // It is a single item: two lines are none, even of the same.
            _ => Said::Bad,
        };
    });
    said
}

fn parse(value: &[u8]) -> Option<Vec<u8>> {
    let key = match value {
        [b'"', ..] => {
            let item: Item = Parser::new(value).parse().ok()?;
            match item.bare_item {
                BareItem::String(text) => text.as_str().as_bytes().to_vec(),
                _ => return None,
            }
        }
        _ if value.iter().all(|&byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',')) => value.to_vec(),
        _ => return None,
    };
    (1..=LONGEST).contains(&key.len()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::sent::Sent;

    fn said(values: &[&str]) -> Said {
        let fields: Vec<(&str, &str)> = values.iter().map(|value| ("idempotency-key", *value)).collect();
        read(&Sent::with(&fields), "Idempotency-Key")
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        let uuid = "8e03978e-40d5-43e8-bc93-6894a57f9324";
        assert_eq!(said(&[uuid]), Said::Key(uuid.into()));
        assert_eq!(said(&[&format!("\"{uuid}\"")]), Said::Key(uuid.into()));
        assert_eq!(said(&[&format!("  \"{uuid}\";a=1 ")]), Said::Key(uuid.into()), "parameters say nothing");
        assert_eq!(said(&[r#""a \"b\" c""#]), Said::Key(br#"a "b" c"#.to_vec()));
        assert_eq!(said(&[]), Said::Nothing);
    }

    #[test]
    fn what_is_no_key_is_told_from_none() {
        let (long, longest) = ("k".repeat(LONGEST + 1), "k".repeat(LONGEST));
        for bad in ["", "\"\"", "\"open", "a b", "a,b", "a\"b", "é", "\"a\" b", "\"é\"", &long] {
            assert_eq!(said(&[bad]), Said::Bad, "{bad}");
        }
        assert_eq!(said(&["a", "a"]), Said::Bad);
        assert_eq!(said(&[&longest]), Said::Key(longest.as_str().into()));
    }
}
