//! What a user is told about the TLS of a listener or a pool, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

#[test]
fn tls_needs_certificates_and_makes_sense_where_it_is() {
    let web = "[listeners.a]\nlisten = [':1']\npool = 'site'\n[listeners.a.tls]\n";
    let tcp = "[listeners.a]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'site'\n[listeners.a.tls]\n";
    let good = "certificates = [{ cert = 'a.pem' }]\n";
    for (toml, expected) in [
        (
            web.to_owned(),
            r#"4:14 listener `a` has TLS but no certificate; write certificates = [{ cert = "cert.pem", key = "key.pem" }], or acme = { names = ["www.example.com"] }"#,
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
fn what_is_different_for_names_is_different_and_said_once() {
    let tls = |protocol: &str, rest: &str| {
        let listener = format!("[listeners.a]\nlisten = [':1']\nprotocol = '{protocol}'\npool = 'site'\n");
        format!("{listener}[listeners.a.tls]\ncertificates = [{{ cert = 'a.pem' }}]\n{rest}{REST}")
    };
    let entry = "[[listeners.a.tls.by_name]]\n";
    for (entries, expected) in [
        (format!("{entry}level = 'modern'"), r#"7:1 the entry is for no name; write names = ["www.example.com"]"#),
        (
            format!("{entry}names = []\nlevel = 'modern'"),
            r#"7:1 the entry is for no name; write names = ["www.example.com"]"#,
        ),
        (
            format!("{entry}names = ['a.test']"),
            "7:1 the entry changes nothing; give it one of `level`, `alpn`, `client_auth`",
        ),
        (
            format!(
                "{entry}names = ['a.test', 'b.test']\nlevel = 'modern'\n{entry}names = ['*.test', 'B.Test.']\nalpn = []"
            ),
            "11:20 `b.test` is named twice; say all that is different for it in one entry",
        ),
        (
            format!("{entry}names = ['*.a.test', '*.a.test']\nlevel = 'modern'"),
            "8:22 `*.a.test` is named twice; say all that is different for it in one entry",
        ),
        (
            format!("{entry}names = ['10.0.0.1']\nlevel = 'modern'"),
            "8:10 `10.0.0.1` is an address: no handshake asks for one by name; write a host name",
        ),
        (
            format!("{entry}names = ['a.test:443']\nlevel = 'modern'"),
            "8:10 'a.test:443' is not a host: it has a port; write the name alone; the port of a request is ignored",
        ),
        (
            format!("{entry}names = ['a.test']\nclient_auth = {{ mode = 'required' }}"),
            r#"9:1 clients' certificates are asked for, but no authority is named; add ca = "clients.pem", the authorities whose certificates are taken"#,
        ),
        (
            format!("{entry}names = ['a.test']\nclient_auth = {{ crl = 'r.pem' }}"),
            r#"9:23 `crl` means nothing while no certificate is asked for; add mode = "required" or "optional""#,
        ),
        (
            format!("{entry}names = ['a.test']\nalpn = ['h2', 'h3']"),
            r#"9:15 an http listener does not speak `h3`; it speaks "h2" and "http/1.1""#,
        ),
        (
            format!("{entry}names = ['a.test']\ntickets = {{ lifetime = '1h' }}"),
            "9:1 unknown key `tickets` in `listeners.a.tls.by_name[0]`; the keys here are `alpn`, `client_auth`, `level`, `names`",
        ),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &tls("http", &entries))]).faults());
        assert_eq!(told, [expected], "\n{entries}");
    }
    // On a tcp listener any protocol may be agreed on.
    let loaded = load(&tls("tcp", &format!("{entry}names = ['*.A.test.']\nalpn = ['mqtt']\nlevel = 'modern'")));
    let tls_of = |loaded: &ringway::config::Loaded| loaded.config.listeners["a"].tls.clone().unwrap();
    assert_eq!(tls_of(&loaded).by_name[0].names, ["*.a.test"]);
    assert_eq!(tls_of(&loaded).by_name[0].alpn.as_deref(), Some(&["mqtt".to_owned()][..]));
    assert!(tls_of(&loaded).by_name[0].client_auth.is_none());
    // What the listener says anyhow is likely a mistake, unless another entry's star says otherwise.
    let same = format!("{entry}names = ['b.a.test']\nclient_auth = {{ mode = 'none' }}\n");
    let warnings = load(&tls("http", &same)).warnings.to_string();
    assert!(warnings.contains("the entry changes nothing: the listener says the same"), "{warnings}");
    let star = format!("{same}{entry}names = ['*.a.test']\nclient_auth = {{ mode = 'required', ca = 'c.pem' }}");
    let loaded = load(&tls("http", &star));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn an_authority_is_asked_for_names_that_it_can_certify() {
    let tls = "[listeners.a]\nlisten = [':1']\npool = 'site'\n[listeners.a.tls]\n";
    for (acme, expected) in [
        ("{ names = [] }", r#"5:1 an authority, but no name to certify; write names = ["www.example.com"]"#),
        ("{ contact = 'a@b.test' }", r#"5:1 an authority, but no name to certify; write names = ["www.example.com"]"#),
        (
            "{ names = ['10.0.0.1'] }",
            "5:19 `10.0.0.1` is an address: authorities are asked for names alone; write a host name, or name files with `certificates`",
        ),
        (
            "{ names = ['a.test', '*.a.test'] }",
            r#"5:29 `*.a.test` can only be shown to be ours in DNS; set challenge = "dns-01" and a `dns_hook`"#,
        ),
        (
            "{ names = ['https://a.test'] }",
            r#"5:19 'https://a.test' is not a host: it is more than a host; write the name alone: "www.example.com""#,
        ),
        (
            "{ names = ['a.test'], contact = 'ops' }",
            r#"5:40 'ops' is not a mail address: it has no `@`; write "ops@example.com""#,
        ),
        (
            "{ names = ['a.test'], directory = 'http://ca.test/dir' }",
            r#"5:42 'http://ca.test/dir' is not the URL of a directory: it does not begin with `https://`; write "https://ca.example.com/directory""#,
        ),
        (
            "{ names = ['a.test'], challenge = 'dns-01' }",
            r#"5:1 challenge = "dns-01" without a program that writes to DNS; add dns_hook = "dns-hook", which is run as dns-hook present|cleanup RECORD VALUE"#,
        ),
        (
            "{ names = ['a.test'], dns_hook = 'hook' }",
            r#"5:41 `dns_hook` means nothing unless the challenge is "dns-01"; set challenge = "dns-01", or remove it"#,
        ),
        (
            "{ names = ['a.test'], challenge = 'http-02' }",
            r#"5:42 'http-02' is no value of `challenge`; did you mean "http-01"?"#,
        ),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &format!("{tls}acme = {acme}{REST}"))]).faults());
        assert_eq!(told, [expected], "\n{acme}");
    }
    let good = "acme = { names = ['a.test'], contact = 'ops@a.test' }";
    let two = format!("{tls}{good}\n[listeners.b]\nlisten = [':2']\npool = 'site'\n[listeners.b.tls]\n");
    let told = brief(&Folder::with(&[("ring.toml", &format!("{two}acme = {{ names = ['b.test'] }}{REST}"))]).faults());
    assert_eq!(
        told,
        [
            "10:1 another contact for the same authority, with which there is one account; write the same `contact` in both, or in [defaults.listener.tls.acme]"
        ]
    );
    let alone = "[listeners.a]\nlisten = [':1']\npool = 'p'\n".to_owned()
        + "tls = { acme = { names = ['a.test'] } }\n[pools.p]\ntargets = ['127.0.0.1:1']\n";
    let told = brief(&Folder::with(&[("ring.toml", &alone)]).faults());
    assert_eq!(
        told,
        [
            r#"4:9 challenge = "http-01", but no http listener in clear could answer it; add one on port 80, or set challenge = "tls-alpn-01""#
        ]
    );
}

#[test]
fn defaults_say_how_an_authority_is_asked_not_that_it_is() {
    let toml = format!(
        "[defaults.listener.tls.acme]\ncontact = 'ops@a.test'\n[listeners.s]\nlisten = [':1']\npool = 'site'\ntls = {{ acme = {{ names = ['A.test'] }} }}\n[listeners.t]\nlisten = [':2']\npool = 'site'\ntls = {{ certificates = [{{ cert = 'a.pem' }}] }}{REST}"
    );
    let config = load(&toml).config;
    let acme = |listener: &str| config.listeners[listener].tls.as_ref().unwrap().acme.as_ref();
    let asked = acme("s").unwrap();
    assert_eq!((asked.contact.as_deref(), &asked.names[..]), (Some("ops@a.test"), &["a.test".to_owned()][..]));
    assert!(acme("t").is_none());
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
            "tls = { alpn = ['h2'] }",
            "6:16 `alpn` is for tcp listeners: for http ones, `protocol` says what targets speak; remove it, or give the tcp listeners a pool of their own",
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
