//! Keys that hosts share: a session of TLS that began at one is taken up at the other, and so is a login.

use super::{is_up, know_each_other, redis, store};
use crate::support::provider::{Browser, Provider};
use crate::support::proxy::{Directory, Proxy, Setup};
use crate::support::servers::Server;
use crate::support::tls::{Authority, Kind, connect, listener, resumed};
use crate::support::toml::{http, http_with};
use crate::support::{Target, eventually};
use rustls::version::{TLS12, TLS13};

const SHARED: &str = "the keys of TLS tickets are those that hosts share";

/// A host with TLS and this secret.
#[track_caller]
fn host(target: &Target, server: &Server, authority: &Authority, secret: &str) -> Proxy {
    let setup = Setup::new("");
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    std::fs::write(setup.directory().join("shared"), secret).unwrap();
    let config = http_with(&listener(&["site"], ""), &[target], "") + &store(server, "secret_file = \"shared\"");
    setup.with(config).start()
}

#[test]
fn a_tls_session_goes_on_at_another_host_and_the_server_never_sees_its_keys() {
    let (server, target, authority) = (Server::redis(&[]), Target::echo("a"), Authority::new("ca"));
    let secret = "s".repeat(40);
    let (one, two) = (host(&target, &server, &authority, &secret), host(&target, &server, &authority, &secret));
    let stranger = host(&target, &server, &authority, &"t".repeat(40));
    one.log.wait(&[SHARED]);
    two.log.wait(&[SHARED]);
    for version in [&TLS12, &TLS13] {
        let config = authority.dial().version(version).config();
        let comes_back = |proxy: &Proxy| {
            let mut client = connect(&config, &proxy.web(), "site.test").unwrap();
            assert_eq!(client.get("/").status, 200);
            resumed(&client)
        };
        assert!(!comes_back(&one));
        assert!(comes_back(&two), "{version:?}");
        assert!(comes_back(&one), "{version:?}");
        assert!(!comes_back(&stranger), "{version:?}");
    }
    stranger.log.wait(&["sealed with another secret"]);
    let kept: String = redis(&server, &["GET", "ringway:tickets:43200000"]);
    assert!(kept.len() > 100 && !kept.contains("secrets"), "{kept}");
}

#[test]
fn who_has_logged_in_at_one_host_is_known_at_the_other() {
    let (server, target, folder) = (Server::redis(&[]), Target::echo("page"), Directory::new());
    let mut provider = Provider::to_come();
    let client = folder.write("client", "secret of ringway\n");
    let secret = folder.write("shared", &"s".repeat(40));
    let config = http(&[&target])
        + "\n[routes.api]\npaths = [\"/v1/\", \"/oidc/\"]\npool = \"site\"\nrules = [\"login\"]\n"
        + &format!(
            "[rules.login]\ntype = \"oidc\"\nissuer = \"{}\"\nclient_id = \"ringway\"\nclient_secret_file = \"{client}\"\nrefresh = \"1s\"\n\
             forward_claims = {{ sub = \"X-User-Id\" }}\n",
            provider.issuer()
        )
        + &store(&server, &format!("secret_file = \"{secret}\""));
    let start = || {
        let setup = Setup::new(config.as_str());
        let state = setup.directory().join("state").display().to_string();
        setup.runtime(&format!("state_dir = {state:?}")).start()
    };
    let (one, two) = (start(), start());
    know_each_other(&[&one, &two]);
    is_up(&one);
    let url = format!("http://{}", one.web());
    provider.start(&url, 600);
    for host in [&one, &two] {
        eventually("the provider is known", || host.metric("ringway_issuer_keys", &[("rule", "login")]) > 0.0);
    }
    let mut browser = Browser::default();
    assert_eq!(browser.look(&format!("{url}/v1/x")).status, 200);
    let cookie = browser.cookies(&url)["ringway"].clone();
    let answer = crate::support::client::fetch(&two.web(), "GET", "/v1/y", &[&format!("Cookie: ringway={cookie}")]);
    assert_eq!(answer.status, 200);
    assert_eq!(target.last().field("x-user-id").as_deref(), Some("alice"));
}
