//! What hosts, paths, methods and headers may look like. Each function takes the text as written and gives the form
//! that matching uses, or says what is wrong. Pure text.

use super::units::Invalid;
use regex::Regex;
use std::net::{IpAddr, SocketAddr};

/// A host that requests are matched against: a name, `*.` and a name, or an IP address. Lower case, no final dot.
pub fn host_pattern(text: &str) -> Result<String, Invalid> {
    match text.strip_prefix("*.") {
        _ if text == "*" => Err(Invalid::new("a lone star is no host").help("leave `hosts` out to match every host")),
        Some(rest) => {
            let parent = host_name(rest)?;
            if parent.starts_with('[') || parent.parse::<IpAddr>().is_ok() {
                return Err(Invalid::new("an IP address has no subdomains"));
            }
            Ok(format!("*.{parent}"))
        }
        None => host_name(text),
    }
}

/// A host name or IP address without a port, in lower case and without the final dot.
pub fn host_name(text: &str) -> Result<String, Invalid> {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let ip: std::net::Ipv6Addr = inner.parse().map_err(|_| Invalid::new("no IPv6 address in the brackets"))?;
        return Ok(format!("[{ip}]"));
    }
    if !text.is_ascii() {
        return Err(Invalid::new("it has letters beyond ASCII").help("write the name as DNS has it: \"xn--…\""));
    }
    if text.contains("://") || text.contains('/') {
        return Err(Invalid::new("it is more than a host").help("write the name alone: \"www.example.com\""));
    }
    if text.contains(':') {
        return Err(match text.parse::<IpAddr>() {
            Ok(_) => Invalid::new("an IPv6 address stands in brackets").help(format!("write \"[{text}]\"")),
            Err(_) => Invalid::new("it has a port").help("write the name alone; the port of a request is ignored"),
        });
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(Invalid::new("it is empty"));
    }
    if name.contains('*') {
        return Err(Invalid::new("a star stands only for the first labels").help("write \"*.example.com\""));
    }
    if name.len() > 253 || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(Invalid::new("its labels must have 1 to 63 characters, 253 in all"));
    }
    match name.bytes().find(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))) {
        Some(wrong) => Err(Invalid::new(format!("{} cannot be in a host name", shown(wrong)))),
        None => Ok(name.to_ascii_lowercase()),
    }
}

/// A word of printable ASCII.
pub fn printable(text: &str, most: usize) -> Result<&str, Invalid> {
    match text.bytes().find(|b| !b.is_ascii_graphic()) {
        _ if text.is_empty() => Err(Invalid::new("it is empty")),
        _ if text.len() > most => Err(Invalid::new(format!("it is longer than {most} bytes"))),
        Some(wrong) => Err(Invalid::new(format!("{} cannot be in it", shown(wrong)))),
        None => Ok(text),
    }
}

/// A key of a query, as it reads without percent-encoding.
pub fn query_key(text: &str) -> Result<&str, Invalid> {
    match text.bytes().find(|b| b"=&?;#/,%".contains(b) || b.is_ascii_control()) {
        _ if text.is_empty() => Err(Invalid::new("it is empty")),
        Some(b'%') => Err(Invalid::new("it is percent-encoded").help("write what it stands for")),
        Some(wrong) => Err(Invalid::new(format!("{} cannot be in it", shown(wrong)))),
        None => Ok(text),
    }
}

/// The path of a file or a folder.
pub fn file_path(text: &str) -> Result<&str, Invalid> {
    match text {
        "" => Err(Invalid::new("it is empty")),
        _ if text.contains('\0') => Err(Invalid::new("it has a zero byte")),
        _ => Ok(text),
    }
}

/// A mail address, in the form that a `mailto:` URL takes as it is.
pub fn mail_address(text: &str) -> Result<String, Invalid> {
    if let Some(address) = text.strip_prefix("mailto:") {
        return Err(Invalid::new("it is a URL").help(format!("write \"{address}\"")));
    }
    let Some((local, host)) = text.rsplit_once('@') else { return Err(Invalid::new("it has no `@`")) };
    let wrong = |b: &u8| !(b.is_ascii_alphanumeric() || b"!$'*+-./=^_`{|}~".contains(b));
    match local.bytes().find(wrong) {
        _ if local.is_empty() => return Err(Invalid::new("nothing is before the `@`")),
        Some(b) => return Err(Invalid::new(format!("{} cannot be in it", shown(b)))),
        None => {}
    }
    let host = host_name(host)?;
    if host.parse::<IpAddr>().is_ok() || !host.contains('.') {
        return Err(Invalid::new("no domain is behind the `@`"));
    }
    Ok(format!("{local}@{host}"))
}

/// The URL of an authority's directory: over TLS (RFC 8555 §6.1).
pub fn directory_url(text: &str) -> Result<String, Invalid> {
    let Some(rest) = text.strip_prefix("https://") else {
        return Err(Invalid::new("it does not begin with `https://`"));
    };
    check_url(text, rest).map(|()| text.to_owned())
}

/// The URL of a collector, with the path that OTLP over HTTP has by default if it has none.
pub fn otlp_url(text: &str) -> Result<String, Invalid> {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        let grpc = text.starts_with("grpc");
        let what =
            if grpc { "OTLP over gRPC is not spoken" } else { "it begins with neither `http://` nor `https://`" };
        return Err(Invalid::new(what).help("write \"http://127.0.0.1:4318\": OTLP over HTTP"));
    };
    check_url(text, rest)?;
    match rest.split_once('/') {
        None if rest.contains('?') => Err(Invalid::new("it has a query and no path")),
        None => Ok(format!("{text}/v1/traces")),
        Some((_, "")) => Ok(format!("{text}v1/traces")),
        Some(_) => Ok(text.to_owned()),
    }
}

/// A URL of HTTP.
pub fn http_url(text: &str) -> Result<String, Invalid> {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return Err(Invalid::new("it begins with neither `http://` nor `https://`"));
    };
    check_url(text, rest).map(|()| text.to_owned())
}

/// What a `Link` may point at (RFC 8288 §3.1): a URL of HTTP or a path, with a fragment or without.
pub fn link_target(text: &str) -> Result<String, Invalid> {
    if let Some(wrong) = text.bytes().find(|b| !b.is_ascii_graphic() || matches!(b, b'<' | b'>' | b'"' | b'\\')) {
        return Err(Invalid::new(format!("{} cannot be in it", shown(wrong))));
    }
    let whole = text.split('#').next().unwrap_or_default();
    match whole.strip_prefix('/') {
        Some(path) if path.starts_with('/') => Err(Invalid::new("it begins with two slashes")),
        Some(_) => Ok(text.to_owned()),
        None => http_url(whole).map(|_| text.to_owned()),
    }
}

/// What names of keys in a store begin with.
pub fn store_prefix(text: &str) -> Result<&str, Invalid> {
    match text.bytes().find(|b| !(b.is_ascii_alphanumeric() || b"-_.:".contains(b))) {
        _ if text.is_empty() => Err(Invalid::new("it is empty")),
        _ if text.len() > 64 => Err(Invalid::new("it is longer than 64 bytes")),
        Some(wrong) => Err(Invalid::new(format!("{} cannot be in it", shown(wrong)))),
        None => Ok(text),
    }
}

/// A line of text that is not empty.
pub fn plain_text(text: &str) -> Result<String, Invalid> {
    match text.chars().any(char::is_control) {
        true => Err(Invalid::new("it has control characters")),
        false if text.trim().is_empty() => Err(Invalid::new("it is empty")),
        false => Ok(text.to_owned()),
    }
}

/// What a URL, of which `rest` stands behind the scheme, may hold. Names and passwords belong into headers.
fn check_url(text: &str, rest: &str) -> Result<(), Invalid> {
    if let Some(wrong) = text.bytes().find(|&b| b <= b' ' || b >= 0x7f || b == b'#' || b == b'@') {
        return Err(Invalid::new(format!("{} cannot be in it", shown(wrong))));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    host_name(host)?;
    match port {
        Some(port) if !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Err(Invalid::new("its port must be 1 to 65535"))
        }
        _ => Ok(()),
    }
}

/// The name of a protocol in ALPN (RFC 7301 §3.1).
pub fn alpn(text: &str) -> Result<String, Invalid> {
    match text.len() {
        1..=255 => Ok(text.into()),
        _ => Err(Invalid::new("it must have 1 to 255 bytes")),
    }
}

/// A path that requests are matched against: `/prefix/`, `=/exact`, or `~regex`.
pub fn path_pattern(text: &str) -> Result<String, Invalid> {
    match text.as_bytes().first() {
        None => Err(Invalid::new("it is empty").help("write \"/\" to match every path")),
        Some(b'/') => normal_path(text).map(|()| text.to_owned()),
        Some(b'=') => normal_path(&text[1..]).map(|()| text.to_owned()),
        Some(b'~') => regex(&text[1..]).map(|()| text.to_owned()),
        Some(_) => Err(Invalid::new("it begins with none of `/`, `=/`, `~`").help(format!("write \"/{text}\""))),
    }
}

/// A regex.
pub fn pattern(text: &str) -> Result<String, Invalid> {
    regex(text).map(|()| text.to_owned())
}

/// A path in the one form that matching sees: percent-encoded only where needed, in upper case, no `//`, no dot segments.
pub fn plain_path(text: &str) -> Result<String, Invalid> {
    normal_path(text).map(|()| text.to_owned())
}

fn normal_path(path: &str) -> Result<(), Invalid> {
    let never = |what: &str| Err(Invalid::new(format!("{what}, so that it could match no request")));
    if !path.starts_with('/') {
        return Err(Invalid::new("a path begins with `/`").help(format!("write \"/{path}\"")));
    }
    if let Some(wrong) = path.bytes().find(|&b| b <= b' ' || b >= 0x7f) {
        return Err(Invalid::new(format!("{} must be percent-encoded in a path", shown(wrong))));
    }
    if let Some(mark) = path.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(Invalid::new(format!("`{mark}` ends a path")).help("a query is matched with `query`"));
    }
    if path.contains("//") {
        return never("matching merges `//` into `/`");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return never("matching removes the segments `.` and `..`");
    }
    for (at, _) in path.match_indices('%') {
        let Some(Ok(code)) = path.get(at + 1..at + 3).map(|hex| u8::from_str_radix(hex, 16)) else {
            return Err(Invalid::new("two hexadecimal digits must follow `%`"));
        };
        if code.is_ascii_alphanumeric() || matches!(code, b'-' | b'.' | b'_' | b'~') {
            return never(&format!("matching decodes `{}`", &path[at..at + 3]));
        }
        if path[at + 1..at + 3].bytes().any(|b| b.is_ascii_lowercase()) {
            return never("matching has the digits after `%` in upper case");
        }
    }
    Ok(())
}

/// What `path` and a health check ask for: a path that may have a query.
pub fn request_target(text: &str) -> Result<String, Invalid> {
    if !text.starts_with('/') {
        return Err(Invalid::new("it does not begin with `/`").help(format!("write \"/{text}\"")));
    }
    match text.bytes().find(|&b| b <= b' ' || b >= 0x7f || b == b'#') {
        Some(wrong) => Err(Invalid::new(format!("{} must be percent-encoded", shown(wrong)))),
        None => Ok(text.to_owned()),
    }
}

/// A method token (RFC 9110 §9.1), in the case that the client sends.
pub fn method(text: &str) -> Result<String, Invalid> {
    token(text)?;
    let upper = text.to_ascii_uppercase();
    if upper == "CONNECT" {
        return Err(Invalid::new("it is never passed on"));
    }
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"].contains(&upper.as_str());
    if known && text != upper {
        return Err(Invalid::new("methods are case-sensitive").help(format!("write \"{upper}\"")));
    }
    Ok(text.to_owned())
}

/// A header's name, in lower case.
pub fn header_name(text: &str) -> Result<String, Invalid> {
    token(text)?;
    Ok(text.to_ascii_lowercase())
}

/// What a header's or query parameter's value must be: the value itself, or `~regex`.
pub fn value_pattern(text: &str) -> Result<String, Invalid> {
    match text.strip_prefix('~') {
        Some(pattern) => regex(pattern)?,
        None => drop(header_value(text)?),
    }
    Ok(text.to_owned())
}

/// What an answer must hold: a text, blanks and line ends included, or `~regex`.
pub fn body_pattern(text: &str) -> Result<String, Invalid> {
    match text.strip_prefix('~') {
        Some(pattern) => regex(pattern)?,
        None => drop(some_text(text)?),
    }
    Ok(text.to_owned())
}

/// Any text but none at all.
pub fn some_text(text: &str) -> Result<String, Invalid> {
    match text.is_empty() {
        true => Err(Invalid::new("it is empty")),
        false => Ok(text.to_owned()),
    }
}

/// Bytes as hexadecimal digits, in lower case and without blanks.
pub fn hex(text: &str) -> Result<String, Invalid> {
    let digits: String = some_text(text)?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(Invalid::new(format!("{wrong:?} is no hexadecimal digit")));
    }
    match digits.len() % 2 {
        0 => Ok(digits.to_ascii_lowercase()),
        _ => Err(Invalid::new("the last byte has one digit")),
    }
}

/// An IP address that a connection can go to, in brackets or without.
pub fn ip_address(text: &str) -> Result<String, Invalid> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Err(_) if text.parse::<SocketAddr>().is_ok() => Err(Invalid::new("it has a port").help("write that as `port`")),
        Err(_) => Err(Invalid::new("it is no IP address")),
        Ok(ip) if ip.is_unspecified() || ip.is_multicast() => Err(Invalid::new("a connection cannot go there")),
        Ok(ip) => Ok(ip.to_string()),
    }
}

/// A header's value: no control characters but the tab, no blanks around it (RFC 9110 §5.5).
pub fn header_value(text: &str) -> Result<String, Invalid> {
    if let Some(wrong) = text.bytes().find(|&b| b.is_ascii_control() && b != b'\t') {
        return Err(Invalid::new(format!("{} cannot be in a header", shown(wrong))));
    }
    if text.trim() != text {
        return Err(Invalid::new("it begins or ends with a blank"));
    }
    Ok(text.to_owned())
}

/// An attribute of a cookie, without the `;` before it (RFC 6265 §4.1.1).
pub fn cookie_attribute(text: &str) -> Result<String, Invalid> {
    let wrong = text.bytes().find(|&byte| !matches!(byte, b' '..=b'~') || matches!(byte, b';' | b','));
    match wrong {
        Some(wrong) => Err(Invalid::new(format!("{} cannot be in an attribute", shown(wrong)))),
        None if text.is_empty() => Err(Invalid::new("it is empty")),
        None => header_value(text),
    }
}

/// A media type: `type/subtype` and parameters.
pub fn media_type(text: &str) -> Result<String, Invalid> {
    header_value(text)?;
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    match essence.split_once('/') {
        Some((kind, sub)) if token(kind).is_ok() && token(sub).is_ok() => Ok(text.to_owned()),
        _ => Err(Invalid::new("it has no type and subtype").help("write \"text/plain\"")),
    }
}

/// A media type without parameters, a family of them, a suffix, or all.
pub fn type_pattern(text: &str) -> Result<String, Invalid> {
    match text.split_once(';') {
        Some((bare, _)) => Err(Invalid::new("it has parameters").help(format!("write \"{}\"", bare.trim()))),
        None if crate::compress::is_type_pattern(text) => Ok(text.to_ascii_lowercase()),
        None => Err(Invalid::new("it has no type and subtype")),
    }
}

/// An IP address, with a port (`10.0.0.1:80`, `[::1]:80`) or without.
pub fn client_address(text: &str) -> Result<SocketAddr, Invalid> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match (bare.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
        (Ok(ip), _) => Ok(SocketAddr::new(ip, 0)),
        (_, Ok(address)) => Ok(address),
        _ => Err(Invalid::new("it is no IP address")),
    }
}

/// An origin as browsers write it (RFC 6454 §6.2), one with `*` for what is before a domain, or `*`.
pub fn origin(text: &str) -> Result<String, Invalid> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Invalid::new("it does not begin with https:// or http://"));
    };
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return Err(Invalid::new("its scheme is neither https nor http")),
    };
    let rest = rest.to_ascii_lowercase();
    let rest = rest.strip_suffix(own_port).unwrap_or(&rest);
    let (name, port) = rest.split_once(':').map_or((rest, None), |(name, port)| (name, Some(port)));
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)) {
        return Err(Invalid::new("its port is none"));
    }
    let domain = name.strip_prefix("*.").unwrap_or(name);
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !domain.split('.').all(is_label) {
        return Err(
            Invalid::new("it has no host, or something behind it").help("write scheme and host, without a path")
        );
    }
    Ok(format!("{scheme}://{rest}"))
}

/// An address range; a lone address is a range of one. Host bits must be zero.
pub fn network(text: &str) -> Result<String, Invalid> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ipnet::IpNet::from(ip).to_string());
    }
    let Ok(range) = text.parse::<ipnet::IpNet>() else {
        return Err(Invalid::new(match text.split_once('/').map(|(ip, _)| ip.parse::<IpAddr>()) {
            Some(Ok(IpAddr::V4(_))) => "the prefix length must be 0 to 32",
            Some(Ok(IpAddr::V6(_))) => "the prefix length must be 0 to 128",
            Some(Err(_)) => "no IP address is before the `/`",
            None => "it is no IP address",
        }));
    };
    if range != range.trunc() {
        return Err(Invalid::new("bits are set beyond its prefix length").help(format!(
            "write \"{}\" or \"{}\"",
            range.trunc(),
            range.addr()
        )));
    }
    Ok(range.to_string())
}

/// The name of a listener, route or pool: also a label of metrics and logs.
pub fn name(text: &str) -> Result<String, Invalid> {
    if text.is_empty() || text.len() > 64 {
        return Err(Invalid::new("it must have 1 to 64 characters"));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        Some(c) => {
            Err(Invalid::new(format!("{c:?} cannot be in a name")).help("use letters, digits, `-`, `_` and `.`"))
        }
        None => Ok(text.to_owned()),
    }
}

/// The name of a route, of one at a stage, or of one that was made of an operation there.
pub fn route_name(text: &str) -> Result<String, Invalid> {
    match text.split_once('@') {
        Some((route, stage)) => name(route).and(name(stage)).map(|_| text.to_owned()),
        None => name(text),
    }
}

fn token(text: &str) -> Result<(), Invalid> {
    let wrong = |b: &u8| !(b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
    match text.as_bytes().iter().find(|b| wrong(b)) {
        _ if text.is_empty() => Err(Invalid::new("it is empty")),
        Some(b) => Err(Invalid::new(format!("{} cannot be in it", shown(*b)))),
        None => Ok(()),
    }
}

/// The longest compiled regex, in bytes: enough for any real pattern, too little to hurt.
const REGEX_SIZE: usize = 1 << 20;

fn regex(pattern: &str) -> Result<(), Invalid> {
    if pattern.is_empty() {
        return Err(Invalid::new("the regex after `~` is empty"));
    }
    match regex::RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build() {
        Ok::<Regex, _>(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(Invalid::new("the regex is too big")),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            Err(Invalid::new(format!("the regex is wrong: {}", last.trim_start_matches("error: ").trim())))
        }
    }
}

fn shown(byte: u8) -> String {
    match byte {
        b' ' => "a blank".into(),
        0x21..=0x7e => format!("`{}`", char::from(byte)),
        0x80.. => "a character beyond ASCII".into(),
        _ => format!("the control character {byte:#04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&str) -> Result<String, Invalid>;

    #[test]
    fn a_good_text_takes_the_form_that_matching_uses() {
        for (check, text, form) in [
            (host_pattern as Check, "WWW.Example.com.", "www.example.com"),
            (host_pattern, "*.Example.com", "*.example.com"),
            (host_pattern, "[::1]", "[::1]"),
            (path_pattern, "/v1/", "/v1/"),
            (path_pattern, "=/exact%2F", "=/exact%2F"),
            (path_pattern, "~^/u/(?<id>[0-9]+)$", "~^/u/(?<id>[0-9]+)$"),
            (method, "GET", "GET"),
            (method, "purge", "purge"),
            (header_name, "X-Tenant", "x-tenant"),
            (network, "10.0.0.1", "10.0.0.1/32"),
            (network, "fd00::/8", "fd00::/8"),
            (mail_address, "ops+tls@Example.com", "ops+tls@example.com"),
            (directory_url, "https://[::1]:14000/dir?a=b", "https://[::1]:14000/dir?a=b"),
            (directory_url, "https://ca.test", "https://ca.test"),
            (otlp_url, "http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            (otlp_url, "https://otel.test/", "https://otel.test/v1/traces"),
            (otlp_url, "https://otel.test/otlp/?a=b", "https://otel.test/otlp/?a=b"),
            (media_type, "text/html; charset=utf-8", "text/html; charset=utf-8"),
            (type_pattern, "Text/*", "text/*"),
            (type_pattern, "+json", "+json"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(form), "{text}");
        }
    }

    #[test]
    fn a_wrong_text_is_refused_with_a_reason() {
        for (check, text, expected) in [
            (host_pattern as Check, "*", "a lone star is no host"),
            (host_pattern, "a.*.com", "a star stands only for the first labels"),
            (host_pattern, "www.example.com:80", "it has a port"),
            (host_pattern, "http://x", "it is more than a host"),
            (host_pattern, "bücher.de", "it has letters beyond ASCII"),
            (host_pattern, "a..b", "its labels must have 1 to 63 characters, 253 in all"),
            (host_pattern, "a b", "a blank cannot be in a host name"),
            (host_pattern, "*.10.0.0.1", "an IP address has no subdomains"),
            (path_pattern, "v1", "it begins with none of `/`, `=/`, `~`"),
            (path_pattern, "/a//b", "matching merges `//` into `/`, so that it could match no request"),
            (path_pattern, "/a/../b", "matching removes the segments `.` and `..`, so that it could match no request"),
            (path_pattern, "/%7Euser", "matching decodes `%7E`, so that it could match no request"),
            (
                path_pattern,
                "/a%2fb",
                "matching has the digits after `%` in upper case, so that it could match no request",
            ),
            (path_pattern, "/a%é", "a character beyond ASCII must be percent-encoded in a path"),
            (path_pattern, "/a%2", "two hexadecimal digits must follow `%`"),
            (path_pattern, "/a?b", "`?` ends a path"),
            (path_pattern, "~(", "the regex is wrong: unclosed group"),
            (path_pattern, "~", "the regex after `~` is empty"),
            (path_pattern, "~(a{1000}){1000}", "the regex is too big"),
            (method, "get", "methods are case-sensitive"),
            (method, "CONNECT", "it is never passed on"),
            (method, "A B", "a blank cannot be in it"),
            (header_name, "x:y", "`:` cannot be in it"),
            (value_pattern, "a\nb", "the control character 0x0a cannot be in a header"),
            (network, "10.0.0.1/8", "bits are set beyond its prefix length"),
            (network, "10.0.0.0/33", "the prefix length must be 0 to 32"),
            (network, "office", "it is no IP address"),
            (mail_address, "ops", "it has no `@`"),
            (mail_address, "mailto:ops@example.com", "it is a URL"),
            (mail_address, "a b@example.com", "a blank cannot be in it"),
            (mail_address, "ops@localhost", "no domain is behind the `@`"),
            (directory_url, "http://ca.test/directory", "it does not begin with `https://`"),
            (directory_url, "https://", "it is empty"),
            (directory_url, "https://ca.test:0/", "its port must be 1 to 65535"),
            (name, "a b", "' ' cannot be in a name"),
        ] {
            assert_eq!(check(text).map_err(|i| i.what), Err(expected.to_owned()), "{text}");
        }
    }
}
