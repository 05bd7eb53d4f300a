//! What forms send: names and values, as `application/x-www-form-urlencoded` has them.

/// Appends a name and a value.
pub(super) fn push(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    encode(out, name);
    out.push('=');
    encode(out, value);
}

/// Appends a text in which nothing stands for more than itself.
pub(super) fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let digit = |four: u8| char::from(b"0123456789ABCDEF"[usize::from(four & 15)]);
                out.extend(['%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_ends_where_it_ends() {
        let mut out = String::new();
        super::push(&mut out, "token", "a b&c=d+%é");
        super::push(&mut out, "x", "-._~");
        assert_eq!(out, "token=a%20b%26c%3Dd%2B%25%C3%A9&x=-._~");
    }
}
