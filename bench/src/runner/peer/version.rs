//! What a peer says about itself: its version, and the TLS library that its handshakes will be made with.

use super::known;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// The version of the peer `name` whose binary is `program`, and its TLS library where that can be told.
pub fn describe(name: &str, program: &str) -> Result<String> {
    let (flag, tls) = match name {
        known::FLOOR => {
            anyhow::ensure!(Path::new(program).is_file(), "{program}: not built");
            return Ok("a bare ring without a proxy's work".to_owned());
        }
        "ringway" | known::BARE => ("--version", std::fs::read(program).ok().and_then(|bytes| rustls_version(&bytes))),
        "nginx" => ("-v", nginx_tls(&said(program, &["-V"])?)),
        "apache" => ("-v", apache_tls(program)),
        // Its version ends with the library's name.
        "envoy" => ("--version", None),
        "caddy" => ("version", go_tls(&said(program, &["build-info"])?)),
        _ => ("-v", haproxy_tls(&said(program, &["-vv"])?)),
    };
    let version = version(program, flag)?;
    Ok(match tls {
        Some(tls) => format!("{version}, {tls}"),
        None => version,
    })
}

/// The first line that `program` says about its version.
pub fn version(program: &str, flag: &str) -> Result<String> {
    let text = said(program, &[flag])?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or_default();
    // Envoy repeats the path that it was started by.
    let rest = line.strip_prefix(program).filter(|_| program.contains('/'));
    Ok(rest.map_or(line, str::trim_start).to_owned())
}

fn said(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| program.to_owned())?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The library that it runs with, which may be newer than the one that it was built with.
fn haproxy_tls(text: &str) -> Option<String> {
    let line = |label: &str| text.lines().find_map(|line| Some(line.strip_prefix(label)?.split_once(':')?.1.trim()));
    line("Running on OpenSSL version").or_else(|| line("Built with OpenSSL version")).map(str::to_owned)
}

fn nginx_tls(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("built with "))?;
    let running = line.split_once("(running with ").and_then(|(_, rest)| rest.strip_suffix(')'));
    Some(running.unwrap_or(line).to_owned())
}

fn go_tls(text: &str) -> Option<String> {
    Some(format!("crypto/tls of {}", text.lines().next()?.strip_prefix("go\t")?.trim()))
}

/// Apache itself does not say: what its module is linked with does.
fn apache_tls(program: &str) -> Option<String> {
    let module = format!("{}/mod_ssl.so", known::apache_modules(program));
    let linked = said("ldd", &[&module]).ok()?;
    let library = linked.lines().find(|line| line.contains("libcrypto"))?.split_whitespace().nth(2)?;
    library_version(&std::fs::read(library).ok()?)
}

/// The version that a libcrypto has written in it: `OpenSSL 3.0.19 27 Jan 2026`.
fn library_version(bytes: &[u8]) -> Option<String> {
    let found = memchr::memmem::find_iter(bytes, b"OpenSSL ").find_map(|at| {
        let text = bytes[at..].split(|&byte| byte == 0).next()?;
        text.get(8)?.is_ascii_digit().then_some(text)
    });
    Some(String::from_utf8_lossy(found?).into_owned())
}

/// The version of rustls, from the path of a source file that a Rust program has written in it for its panics.
fn rustls_version(bytes: &[u8]) -> Option<String> {
    let found = memchr::memmem::find_iter(bytes, b"/rustls-").find_map(|at| {
        let name = bytes[at + 1..].split(|&byte| byte == b'/').next()?;
        name.get(7)?.is_ascii_digit().then_some(name)
    });
    Some(String::from_utf8_lossy(found?).replacen('-', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_that_runs_is_named() {
        let haproxy = "HAProxy version 2.6.12-1+deb12u4 2026/10/17\nRunning on: Linux 6.18.44 x86_64\nBuilt with OpenSSL version : OpenSSL 3.0.22 25 Aug 2026\n\
            Running on OpenSSL version : OpenSSL 3.0.19 27 Jan 2026\nOpenSSL library supports TLS extensions : yes\n";
        assert_eq!(haproxy_tls(haproxy).unwrap(), "OpenSSL 3.0.19 27 Jan 2026");
        let nginx = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.22 25 Aug 2026 (running with OpenSSL 3.0.19 27 Jan 2026)\n";
        assert_eq!(nginx_tls(nginx).unwrap(), "OpenSSL 3.0.19 27 Jan 2026");
        assert_eq!(
            nginx_tls("nginx version: nginx/1.31.0\nbuilt with OpenSSL 3.5.1 1 Jul 2025\n").unwrap(),
            "OpenSSL 3.5.1 1 Jul 2025"
        );
        assert_eq!(nginx_tls("nginx version: nginx/1.22.1\n"), None);
        assert_eq!(go_tls("go\tgo1.26.8\npath\tcaddy\n").unwrap(), "crypto/tls of go1.26.8");
        let paths =
            b"\0src/rustls-native/a.rs\0/x/rustls-native-certs-0.8.5/src/lib.rs\0/x/rustls-0.23.46/src/conn.rs\0";
        assert_eq!(rustls_version(paths).unwrap(), "rustls 0.23.46");
        assert_eq!(
            library_version(b"\0OpenSSL PKCS\0OpenSSL 3.0.19 27 Jan 2026\0").unwrap(),
            "OpenSSL 3.0.19 27 Jan 2026"
        );
    }
}
