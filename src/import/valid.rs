//! What a configuration takes as an address or a name, so that nothing else is written.
//!
//! May depend on `config`.

use crate::config::model::Address;

/// Whether it is a name that can be looked up, or asked for as a host.
pub fn host(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let fine = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    // What ends with a number would be an address.
    let number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(fine) && !number
}

/// Whether a connection can go there.
pub fn target(text: &str) -> bool {
    Address::parse_target(text).is_ok()
}

/// Whether it can be listened on.
pub fn listen(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

/// Whether it is a word of HTTP: the name of a header, a cookie, a method.
pub fn token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether it is a method that clients send, in its case.
pub fn method(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"].contains(&upper.as_str());
    token(text) && upper != "CONNECT" && (!known || upper == text)
}

/// Whether it is a media type, or several: `text/html`, `text/*`.
pub fn media_type(text: &str) -> bool {
    text == "*" || text.split_once('/').is_some_and(|(kind, rest)| token(kind) && token(rest))
}

/// Whether it is one status, or several: `200`, `200-299`.
pub fn statuses(text: &str) -> bool {
    let status = |text: &str| text.len() == 3 && text.parse::<u16>().is_ok_and(|status| (100..600).contains(&status));
    match text.split_once('-') {
        Some((first, last)) => status(first) && status(last) && first <= last,
        None => status(text),
    }
}

/// A text that is looked for as it is, where one that begins with `~` would be a regex.
pub fn plain(text: &str) -> String {
    if text.starts_with('~') { format!("~{}", regex::escape(text)) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_and_no_address_is_told_apart() {
        assert!(host("api.service.local.") && host("my_service") && host("x--1"));
        for wrong in ["", ".", "a..b", "a b", "10.0.0.1", "a/b", "a:80", "*.a", &"x".repeat(64)] {
            assert!(!host(wrong), "{wrong}");
        }
        assert!(target("10.0.0.1:80") && !target("0.0.0.0:80") && !target("10.0.0.1:0") && !target("unix:"));
        assert!(method("PURGE") && !method("get") && !method("CONNECT") && !method("a b"));
        assert!(
            media_type("text/*") && !media_type("text") && statuses("200-299") && !statuses("20x") && !statuses("0")
        );
        assert_eq!((plain("~a.b").as_str(), plain("a.b").as_str()), (r"~\~a\.b", "a.b"));
        assert!(listen(":80") && listen("[::1]:0") && !listen("www:80"));
    }
}
