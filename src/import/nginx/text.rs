//! Texts with variables as templates with fields in braces, and nginx's times and sizes.
//!
//! May depend on nothing.

/// The template that a text is.
///
/// # Errors
/// Which variable has no field.
pub(super) fn template(text: &str) -> Result<String, String> {
    // Path and query together are the URI.
    let text = text.replace("$uri$is_args$args", "$request_uri").replace("$uri$is_args$query_string", "$request_uri");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(place) = rest.find('$') {
        literal(&rest[..place], &mut out);
        rest = &rest[place + 1..];
        let (name, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(found) => found,
            None => rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
        };
        out.push_str(&field(name).ok_or_else(|| format!("the variable `${name}` has no field"))?);
        rest = after;
    }
    literal(rest, &mut out);
    Ok(out)
}

/// Text that stays, its braces doubled.
pub(super) fn literal(text: &str, out: &mut String) {
    for c in text.chars() {
        if c == '{' || c == '}' {
            out.push(c);
        }
        out.push(c);
    }
}

fn field(name: &str) -> Option<String> {
    let known = match name {
        "remote_addr" | "proxy_protocol_addr" => "client.ip",
        "remote_port" => "client.port",
        "host" | "http_host" => "request.host",
        "request_uri" => "request.uri",
        "uri" | "document_uri" => "request.path",
        "args" | "query_string" => "request.query",
        "scheme" => "request.scheme",
        "request_method" => "request.method",
        "request_id" => "request.id",
        "server_protocol" => "request.protocol",
        "ssl_protocol" => "tls.version",
        "ssl_cipher" => "tls.cipher",
        "ssl_server_name" | "ssl_preread_server_name" => "tls.sni",
        "status" => "status",
        "upstream_addr" => "target",
        other => {
            return other.strip_prefix("http_").map(|name| format!("{{request.headers.{}}}", name.replace('_', "-")));
        }
    };
    Some(format!("{{{known}}}"))
}

/// A time as the configuration writes it: nginx's seconds where no unit is said.
pub(super) fn duration(text: &str, least: u64, most: u64) -> Option<String> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) =
            [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))
                .unwrap_or(("", 1000));
        rest = rest[unit.len()..].trim_start();
        total = total.checked_add(number.checked_mul(length)?)?;
    }
    let kept = total.clamp(least, most);
    let unit = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        .into_iter()
        .find(|(_, length)| kept >= *length && kept.is_multiple_of(*length));
    Some(unit.map_or_else(|| format!("{kept}ms"), |(unit, length)| format!("{}{unit}", kept / length)))
}

/// Bytes of a size: a number, or with k, m or g.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// A size as the configuration writes it.
pub(super) fn size(bytes: u64) -> String {
    let unit = [("GiB", 30), ("MiB", 20), ("KiB", 10)]
        .into_iter()
        .find(|(_, shift)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_fields_and_units_ours() {
        assert_eq!(template("https://$host$request_uri?{x}").unwrap(), "https://{request.host}{request.uri}?{{x}}");
        assert_eq!(template("${http_x_tenant}-$remote_addr").unwrap(), "{request.headers.x-tenant}-{client.ip}");
        assert!(template("$upstream_response_time").is_err());
        assert_eq!(duration("1h30m", 0, u64::MAX).as_deref(), Some("90m"));
        assert_eq!(duration("75", 0, u64::MAX).as_deref(), Some("75s"));
        assert_eq!(duration("75x", 0, u64::MAX), None);
        assert_eq!((bytes("10m").map(size).as_deref(), bytes("0").map(size).as_deref()), (Some("10MiB"), Some("0B")));
    }
}
