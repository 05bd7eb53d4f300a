//! What a user is told about the TLS of a listener or a pool, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, load};

/// Each fault in one line: `line:column what; help`.
fn brief(report: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for part in report.split("\n\n") {
        let after = |mark: &str| part.lines().find_map(|line| line.trim_start().strip_prefix(mark));
        let place = after("--> ").and_then(|place| place.split_once(':')).map_or("-", |(_, place)| place);
        let help = after("= help: ").map(|help| format!("; {help}")).unwrap_or_default();
        lines.push(format!("{place} {}{help}", after("error: ").unwrap_or_default()));
    }
    lines
}

#[test]
fn tls_needs_certificates_and_makes_sense_where_it_is() {
    let web = "[listeners.a]\nlisten = [':1']\npool = 'site'\n[listeners.a.tls]\n";
    let tcp = "[listeners.a]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'site'\n[listeners.a.tls]\n";
    let good = "certificates = [{ cert = 'a.pem' }]\n";
    for (toml, expected) in [
        (
            web.to_owned(),
            r#"4:14 listener `a` has TLS but no certificate; write certificates = [{ cert = "cert.pem", key = "key.pem" }]"#,
        ),
        (
            format!("{web}certificates = [{{ key = 'a.key' }}, {{ directory = 'd' }}]"),
            r#"5:17 a key without a certificate; write { cert = "cert.pem", key = "key.pem" } or { directory = "certs" }"#,
        ),
        (
            format!("{web}certificates = [{{ cert = 'a.pem', directory = 'd' }}]"),
            r#"5:17 both a file and a directory; write { cert = "cert.pem", key = "key.pem" } or { directory = "certs" }"#,
        ),
        (
            format!("{web}{good}client_auth = {{ mode = 'required' }}"),
            r#"6:1 clients' certificates are asked for, but no authority is named; add ca = "clients.pem", the authorities whose certificates are taken"#,
        ),
        (
            format!("{web}{good}client_auth = {{ ca = 'c.pem' }}"),
            r#"6:22 `ca` means nothing while no certificate is asked for; add mode = "required" or "optional""#,
        ),
        (
            format!("{web}{good}alpn = ['h3']"),
            r#"6:9 an http listener does not speak `h3`; it speaks "h2" and "http/1.1""#,
        ),
        (
            format!("{tcp}{good}hsts = {{ preload = true }}"),
            r#"7:1 `hsts` means nothing on a tcp listener; remove it, or set protocol = "http""#,
        ),
        (format!("{web}{good}level = 'old'"), r#"6:9 'old' is no value of `level`; write "modern" or "intermediate""#),
        (
            "[listeners.a]\nlisten = [':1']\nredirect = 'https'\n[listeners.a.tls]\n".to_owned() + good,
            "3:12 listener `a` redirects to where it is: it has TLS; remove `redirect` here; it belongs on the listener in clear",
        ),
        (
            // Routes are then on the listener with TLS alone.
            format!("{web}{good}[listeners.plain]\nlisten = [':2']\n[routes.r]\npool = 'site'"),
            "6:12 nothing answers on listener `plain`; give it a pool or a redirect, or define a route",
        ),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &format!("{toml}{REST}"))]).faults());
        assert_eq!(told, [expected], "\n{toml}");
    }
}

#[test]
fn defaults_say_how_tls_is_spoken_not_that_it_is() {
    let toml = format!(
        "[defaults.listener.tls]\nlevel = 'modern'\nhsts = {{}}\n[listeners.t]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'site'\ntls = {{ certificates = [{{ cert = 'a.pem' }}] }}{REST}"
    );
    let config = load(&toml).config;
    assert!(config.listeners["web"].tls.is_none());
    let tls = config.listeners["t"].tls.as_ref().unwrap();
    assert!(tls.level == ringway::config::model::TlsLevel::Modern && tls.hsts.is_none());
}

#[test]
fn tls_with_targets_makes_sense_where_it_is() {
    let pool = "[listeners.a]\nlisten = [':1']\npool = 'p'\n[pools.p]\ntargets = ['127.0.0.1:2']\n";
    for (toml, expected) in [
        (
            "protocol = 'alpn'",
            r#"6:12 "alpn" is agreed on within TLS, which this pool does not have; add tls = {}, or write "h1" or "h2""#,
        ),
        ("tls = { key = 'a.key' }", r#"6:15 a key without a certificate; add cert = "cert.pem", or remove it"#),
        (
            "tls = { verify = false, ca = 'a.pem' }",
            "6:30 `ca` means nothing while nothing is verified; remove verify = false, or remove `ca`",
        ),
        (
            "tls = { sni = 'a.test:443' }",
            r#"6:15 'a.test:443' is not a name to ask for: it has a port; write the name alone; the port of a request is ignored"#,
        ),
        (
            "tls = { ca = '' }",
            r#"6:14 '' is not a source of authorities: it is empty; write "system" or the path of a PEM file"#,
        ),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &format!("{pool}{toml}\n"))]).faults());
        assert_eq!(told, [expected], "\n{toml}");
    }
    let loaded = load(&format!("{pool}tls = {{ verify = false }}\n"));
    let warnings = loaded.warnings.to_string();
    assert!(warnings.contains("targets of pool `p` are not verified"), "{warnings}");
    let loaded =
        load(&format!("[defaults.pool.tls]\nsni = 'x.test'\n{pool}[pools.q]\ntargets = ['127.0.0.1:3']\ntls = {{}}\n"));
    let (p, q) = (&loaded.config.pools["p"], &loaded.config.pools["q"]);
    assert!(p.tls.is_none(), "defaults say how TLS is spoken, not that it is");
    assert_eq!(q.tls.as_ref().unwrap().sni, ringway::config::model::SniPolicy::Fixed("x.test".into()));
}
