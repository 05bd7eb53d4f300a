//! Texts with samples in them, as `http-request set-header` takes them, as templates with fields in braces.
//!
//! May depend on the reader of samples.

use super::acl::Variable;
use super::sample::{self, Piece};
use crate::import::emit::ENV;
use std::collections::BTreeMap;

/// What variables were set to.
pub(super) type Variables = BTreeMap<String, Variable>;

/// The template that a text is.
///
/// # Errors
/// Which sample has no field.
pub(super) fn template(text: &str, variables: &Variables) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(place) = rest.find('%') {
        literal(&rest[..place], &mut out);
        rest = &rest[place + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let Some(end) = closing(after) else { return Err("a bracket is not closed".to_owned()) };
            out.push_str(&sampled(&after[..end], variables, 0)?);
            rest = &after[end + 1..];
        } else {
            // `%{+Q}ci`: flags say how a value is written.
            let mut after = rest;
            if let Some(flags) = after.strip_prefix('{')
                && let Some((_, behind)) = flags.split_once('}')
            {
                after = behind;
            }
            let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let Some((field, length)) =
                (1..=end).rev().find_map(|length| named(&after[..length]).map(|field| (field, length)))
            else {
                return Err(format!("`%{}` has no field", &after[..end]));
            };
            out.push_str(field);
            rest = &after[length..];
        }
    }
    literal(rest, &mut out);
    match out.chars().any(|c| c.is_control()) {
        true => Err("a value of a header has no control characters".to_owned()),
        false => Ok(out),
    }
}

/// Whether a text has samples whose case would be changed.
pub(super) fn changes_case(text: &str, variables: &Variables) -> bool {
    let changes = |text: &str| text.contains(",lower") || text.contains(",upper");
    let named = |(name, set): (&String, &Variable)| matches!(set, Variable::Is(of, _) if changes(of) && text.contains(&format!("var({name})")));
    changes(text) || variables.iter().any(named)
}

/// Text that stays, its braces doubled; what comes from the environment stays a placeholder.
pub(super) fn literal(text: &str, out: &mut String) {
    for c in text.chars() {
        if c == '{' || c == '}' {
            out.push(c);
        }
        out.push(c);
    }
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (place, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ']' if depth == 0 => return Some(place),
            _ => {}
        }
    }
    None
}

fn named(word: &str) -> Option<&'static str> {
    Some(match word {
        "ci" => "{client.ip}",
        "cp" => "{client.port}",
        "f" | "ft" => "{listener}",
        "b" => "{pool}",
        "s" => "{target}",
        "ID" => "{request.id}",
        "HM" => "{request.method}",
        "HU" | "HPO" => "{request.uri}",
        "HP" => "{request.path}",
        "HQ" => "{request.query}",
        "HV" => "{request.protocol}",
        "ST" => "{status}",
        "sslv" => "{tls.version}",
        "sslc" => "{tls.cipher}",
        _ => return None,
    })
}

/// The field that a sample is, or the text that it always is.
fn sampled(text: &str, variables: &Variables, depth: u32) -> Result<String, String> {
    let pieces = sample::pieces(text);
    let Some((fetch, converters)) = pieces.split_first() else { return Err("a sample is empty".to_owned()) };
    let is_host = fetch.name.ends_with("hdr") && fetch.argument.eq_ignore_ascii_case("host");
    let changes = converters.iter().find(|piece| match piece.name.as_str() {
        // A host is told without its port.
        "field" | "word" => !is_host || piece.argument.replace(' ', "") != "1,:",
        name => !["lower", "upper", "str", "strip", "url_dec", "host_only"].contains(&name),
    });
    if let Some(Piece { name, .. }) = changes {
        return Err(format!("the converter `{name}` is not known in texts"));
    }
    let argument = fetch.argument.split(',').next().unwrap_or_default().trim().trim_matches(['\'', '"']);
    let header = argument.to_ascii_lowercase();
    let name = fetch.name.strip_prefix("req.").unwrap_or(&fetch.name);
    Ok(match name {
        "src" => "{client.ip}".to_owned(),
        "src_port" => "{client.port}".to_owned(),
        "hdr" | "fhdr" if header == "host" => "{request.host}".to_owned(),
        "hdr" | "fhdr" => format!("{{request.headers.{header}}}"),
        "res.hdr" | "res.fhdr" | "shdr" => format!("{{response.headers.{header}}}"),
        "path" => "{request.path}".to_owned(),
        "url" | "pathq" | "capture.req.uri" => "{request.uri}".to_owned(),
        "query" => "{request.query}".to_owned(),
        "method" | "meth" | "capture.req.method" => "{request.method}".to_owned(),
        "base" => "{request.host}{request.path}".to_owned(),
        "unique-id" | "uuid" => "{request.id}".to_owned(),
        "ssl_fc_sni" => "{tls.sni}".to_owned(),
        "ssl_fc_protocol" => "{tls.version}".to_owned(),
        "ssl_fc_cipher" => "{tls.cipher}".to_owned(),
        "ver" => "{request.protocol}".to_owned(),
        "fe_name" => "{listener}".to_owned(),
        "be_name" => "{pool}".to_owned(),
        "srv_name" => "{target}".to_owned(),
        "status" | "res.status" => "{status}".to_owned(),
        "str" | "int" => {
            let mut out = String::new();
            literal(fetch.argument.trim_matches(['\'', '"']), &mut out);
            out
        }
        "env" => format!("{}{argument}{}", ENV.0, ENV.1),
        "var" => match variables.get(argument) {
            Some(Variable::Is(of, _)) if depth < 16 => sampled(of, variables, depth + 1)?,
            _ => return Err(format!("the variable `{argument}` is not known in texts")),
        },
        _ => return Err(format!("`{}` has no field", fetch.name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_fields_and_braces_are_doubled() {
        let variables = [("txn.host".to_owned(), Variable::Is("req.hdr(host)".to_owned(), Default::default()))].into();
        let of = |text: &str| template(text, &variables);
        assert_eq!(of("%[src]:%[src_port] 100%% {a}").unwrap(), "{client.ip}:{client.port} 100% {{a}}");
        assert_eq!(of("https://%[hdr(Host)]%[capture.req.uri]").unwrap(), "https://{request.host}{request.uri}");
        assert_eq!(of("%ci/%{+Q}HM-%ID").unwrap(), "{client.ip}/{request.method}-{request.id}");
        assert_eq!(of("%[var(txn.host),lower]").unwrap(), "{request.host}");
        assert_eq!(of("%[req.hdr(X-A)]").unwrap(), "{request.headers.x-a}");
        assert!(of("%[date()]").is_err() && of("%Tr").is_err() && of("%[path,sha1]").is_err());
    }
}
