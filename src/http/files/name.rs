//! From the path of a request to the name of a file.

/// The name of a file below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Segments with a slash between each two.
    pub bytes: Vec<u8>,
    /// Whether it can only be a folder: it ended in a slash.
    pub is_folder: bool,
}

/// The name that a path in normal form stands for, without `prefix`. `None`: no file has such a name, or it is hidden: all that begin
/// with a dot are, but for what is in `/.well-known/` (RFC 8615), unless `dotfiles`.
pub fn relative(path: &[u8], prefix: Option<&str>, dotfiles: bool) -> Option<Name> {
    let prefix = prefix.map_or(&b""[..], |prefix| prefix.trim_end_matches('/').as_bytes());
    // What does not begin with the prefix keeps all of it, as it does on its way to a target.
    let rest = path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with(b"/")).unwrap_or(path);
    let is_folder = rest.ends_with(b"/");
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    let mut bytes = Vec::with_capacity(rest.len() + 12);
    if rest.is_empty() {
        return Some(Name { bytes, is_folder });
    }
    for (place, segment) in rest.split(|&byte| byte == b'/').enumerate() {
        if place > 0 {
            bytes.push(b'/');
        }
        let start = bytes.len();
        decode(segment, &mut bytes)?;
        let is_hidden = match &bytes[start..] {
            b"" | b"." | b".." => return None,
            b".well-known" => place > 0,
            name => name.starts_with(b"."),
        };
        if is_hidden && !dotfiles {
            return None;
        }
    }
    Some(Name { bytes, is_folder })
}

/// Decodes a segment. `None`: a byte of it cannot be in a name.
fn decode(segment: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut bytes = segment.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'%' { digit(bytes.next())? << 4 | digit(bytes.next())? } else { byte };
        if matches!(byte, 0 | b'/') {
            return None;
        }
        out.push(byte);
    }
    Some(())
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str, prefix: Option<&str>) -> Option<(String, bool)> {
        let name = relative(path.as_bytes(), prefix, false)?;
        Some((String::from_utf8_lossy(&name.bytes).into_owned(), name.is_folder))
    }

    #[test]
    fn a_prefix_is_taken_on_segment_borders() {
        for (path, prefix, name) in [
            ("/", None, Some(("", true))),
            ("/a/b.html", None, Some(("a/b.html", false))),
            ("/a/", None, Some(("a", true))),
            ("/static", Some("/static"), Some(("", false))),
            ("/static/", Some("/static/"), Some(("", true))),
            ("/static/x", Some("/static/"), Some(("x", false))),
            ("/statically", Some("/static"), Some(("statically", false))),
            ("/a%20b%C3%A9", None, Some(("a b\u{e9}", false))),
            ("/%252e%252e/x", None, Some(("%2e%2e/x", false))),
        ] {
            let name = name.map(|(name, is_folder): (&str, bool)| (name.to_owned(), is_folder));
            assert_eq!(named(path, prefix), name, "{path}");
        }
    }

    #[test]
    fn what_is_hidden_or_no_name_is_none() {
        for path in [
            "/.git/config",
            "/a/.htpasswd",
            "/.env",
            "/a/.well-known/x",
            "/.well-known/.x",
            "/..",
            "/../x",
            "/a/%2e%2e/x",
            "/a%2Fb",
            "/a%2f..%2fb",
            "/a%00",
            "/%00",
            "/a//b",
            "/%",
            "/%4",
            "/%zz",
            "/...",
            "/.%2e/x",
        ] {
            assert_eq!(named(path, None), None, "{path}");
        }
        assert_eq!(named("/.well-known/acme", None), Some((".well-known/acme".to_owned(), false)));
        assert!(relative(b"/.env", None, true).is_some() && relative(b"/../x", None, true).is_none());
    }
}
