//! From `[tracing]` to which exchanges are told of, and to whom.

use crate::config::Fault;
use crate::config::model::{self, Secret, TraceTrust};
use crate::net;
use crate::observe::trace::{Rules, Trust};
use crate::tls;
use rustls::ClientConfig;
use std::path::Path;
use std::sync::Arc;

/// Which exchanges are told of, and to whom.
#[derive(Debug)]
pub struct Tracing {
    /// What workers go by.
    pub rules: Rules,
    /// What whoever delivers the spans goes by.
    pub collector: Collector,
}

/// Who takes spans.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The URL that they are posted to.
    pub url: String,
    /// Further headers of such a request, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// What it is spoken to by TLS with; `None`: it is in clear.
    pub tls: Option<Arc<ClientConfig>>,
    /// What we are called there.
    pub service_name: String,
}

/// What a request to a collector says by itself, or what would break it.
const OURS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Reads the files that `[tracing]` names. Fails with every one that cannot be used.
pub(super) fn compile(tracing: &model::Tracing) -> Result<Tracing, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut headers = Vec::new();
    let mut add = |key: &str, name: &str, value: Secret| match OURS.contains(&name) {
        true => faults.push(
            Fault::new(["tracing", key], format!("the header `{name}` cannot be chosen"))
                .help("remove it: Ringway writes it itself"),
        ),
        false => headers.push((name.to_owned(), value)),
    };
    for (name, value) in &tracing.headers {
        add("headers", name, value.clone());
    }
    let read = tracing.headers_file.as_deref().map(lines).transpose();
    match read {
        Ok(lines) => lines.into_iter().flatten().for_each(|(name, value)| add("headers_file", &name, value)),
        Err(what) => faults.push(
            Fault::new(["tracing", "headers_file"], what)
                .help("write a line for each header: `authorization: Bearer …`"),
        ),
    }
    let secure = tracing.otlp.starts_with("https://");
    let tls = secure.then(|| tls::acme::client(tracing.ca.as_deref())).transpose().unwrap_or_else(|what| {
        let key = if tracing.ca.is_some() { "ca" } else { "otlp" };
        faults.push(Fault::new(["tracing", key], what).help("name a PEM file of authorities: ca = \"ca.pem\""));
        None
    });
    if !faults.is_empty() {
        return Err(faults);
    }
    let trust = match tracing.trust {
        TraceTrust::Proxies => Trust::Proxies,
        TraceTrust::All => Trust::All,
        TraceTrust::None => Trust::None,
    };
    let collector = Collector {
        url: tracing.otlp.clone(),
        headers,
        tls: tls.map(Arc::new),
        service_name: tracing.service_name.clone(),
    };
    Ok(Tracing { rules: Rules::new(tracing.sample.0, tracing.slow.0, trust), collector })
}

/// The headers in a file. What is wrong with it is told without its text, which is secret.
fn lines(path: &Path) -> Result<Vec<(String, Secret)>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{}`: {}", path.display(), net::reason(&error)))?;
    let mut headers = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header = header(line).ok_or_else(|| format!("line {} of `{}` is no header", number + 1, path.display()))?;
        headers.push(header);
    }
    Ok(headers)
}

/// A line `name: value` (RFC 9110 §5.1, §5.5), without the characters beyond ASCII that nobody reads alike.
fn header(line: &str) -> Option<(String, Secret)> {
    let (name, value) = line.split_once(':')?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let sound = !name.is_empty()
        && name.bytes().all(token)
        && value.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte));
    sound.then(|| (name.to_ascii_lowercase(), Secret(value.trim().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_headers_is_read_or_named_without_its_secrets() {
        let path = std::env::temp_dir().join(format!("ringway-headers-{}", std::process::id()));
        std::fs::write(&path, "# for the collector\n\nAuthorization: Bearer a:b\r\nx-tenant:1\n").unwrap();
        let read = lines(&path).unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.0.as_str())).collect();
        assert_eq!(read, [("authorization", "Bearer a:b"), ("x-tenant", "1")]);
        for wrong in ["secret", ": secret", "na me: secret", "a: sec\u{1}ret", "a: sécret"] {
            std::fs::write(&path, format!("a: b\n{wrong}\n")).unwrap();
            let what = lines(&path).unwrap_err();
            assert!(what.starts_with("line 2 of `") && !what.contains("ret"), "{what}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(lines(&path).unwrap_err().starts_with("cannot read `"));
    }
}
