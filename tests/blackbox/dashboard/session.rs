//! Who may look, and who may change something.

use super::{TOKEN, open, sign_in, start};
use crate::admin::Operator;
use crate::support::page::Page;
use crate::support::proxy::Setup;
use crate::support::target::refused;
use crate::support::toml::http;
use crate::support::within;
use serde_json::Value;
use std::time::Duration;

const BAN: &str = "/v1/bans/192.0.2.1";

/// Signs in without a browser: the cookie and the key.
fn signed_in(at: &str) -> (String, String) {
    let told = Operator::at(at).with(format!("Authorization: Bearer {TOKEN}")).ask("POST", "/v1/session", "");
    assert_eq!(told.status, 201, "{}", told.text());
    let cookie = told.field("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let key: Value = serde_json::from_slice(&told.body).unwrap();
    (cookie.split(';').next().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
}

#[test]
fn the_cookie_and_the_key_change_something_together_and_neither_does_alone() {
    let proxy = start(&http(&[refused()]));
    let at = proxy.admin();
    let (cookie, key) = signed_in(&at);
    let (_, other) = signed_in(&at);
    let cookie = format!("Cookie: a=b; {cookie}");
    for (fields, status) in [
        (vec![cookie.clone()], 401),
        (vec![format!("Ringway-Session: {key}")], 401),
        (vec![cookie.clone(), format!("Ringway-Session: {other}")], 401),
        (vec![cookie.clone(), format!("Ringway-Session: {key}"), "Origin: http://evil.example".to_owned()], 403),
        (vec![cookie.clone(), format!("Ringway-Session: {key}"), "Sec-Fetch-Site: same-site".to_owned()], 403),
        (vec![cookie.clone(), format!("Ringway-Session: {key}")], 200),
    ] {
        let asks = fields.into_iter().fold(Operator::at(&at), Operator::with);
        assert_eq!(asks.ask("PUT", BAN, "{}").status, status, "{:?}", asks.fields);
    }
    let knowing = Operator::at(&at).with(&*cookie).with(format!("Ringway-Session: {key}"));
    assert_eq!(knowing.get("/v1/session")["changes"], true);
    assert_eq!(Operator::at(&at).get("/v1/session")["changes"], false);
    // Another tab of the same browser signs in.
    let tab =
        Operator::at(&at).with(&*cookie).with(format!("Authorization: Bearer {TOKEN}")).ask("POST", "/v1/session", "");
    let again = tab.field("set-cookie").unwrap();
    let first = Operator::at(&at).with(format!("Cookie: {}", again.split(';').next().unwrap()));
    assert_eq!(first.with(format!("Ringway-Session: {key}")).get("/v1/session")["changes"], true);
    std::fs::write(proxy.config_file().with_file_name("token"), "another-token-of-16-bytes").unwrap();
    let ended = within(Duration::from_secs(20), || knowing.ask("PUT", BAN, "{}").status == 401);
    assert!(ended, "a session ends with the token that it was begun by");
    assert!(!proxy.log.contains(&[TOKEN]) && !proxy.log.contains(&[&key]));
}

#[test]
fn where_others_can_reach_it_the_page_comes_to_all_and_data_to_who_is_signed_in() {
    let setup = Setup::new("");
    let file = setup.directory().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let admin = format!("[admin]\nlisten = \"0.0.0.0:0\"\ntoken_file = \"{}\"\n", file.display());
    let proxy = setup.with(admin + &http(&[refused()])).start();
    let at = proxy.admin().replace("0.0.0.0", "127.0.0.1");
    for (path, status) in [
        ("/", 302),
        ("/dashboard", 302),
        ("/dashboard/", 200),
        ("/dashboard/js/main.js", 200),
        ("/dashboard/../v1/status", 404),
        ("/dashboard/%2e%2e/v1/status", 404),
        ("/v1/status", 401),
        ("/v1/session", 401),
    ] {
        let told = Operator::at(&at).ask("GET", path, "");
        assert_eq!(told.status, status, "{path}");
        for (name, part) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
            assert_eq!(told.field(name).as_deref(), Some(part), "{path}");
        }
        let policy = told.field("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(told.field("cache-control").unwrap() == "no-cache", status == 200, "{path}");
    }
    let (cookie, key) = signed_in(&at);
    let knowing = Operator::at(&at).with(format!("Cookie: {cookie}")).with(format!("Ringway-Session: {key}"));
    assert_eq!(knowing.get("/v1/status")["state"], "ready");
    let mut page = Page::start();
    page.go(&format!("http://{at}/"));
    page.wait("document.activeElement.matches('dialog input')");
    assert_eq!(page.eval("document.querySelector('#headline').textContent.includes('Not signed in')"), true);
    page.write(TOKEN);
    page.key("Enter");
    page.wait("document.querySelector('#targets tbody tr') && !document.querySelector('dialog')");
}

#[test]
fn who_has_a_wrong_token_is_told_so_and_who_signs_out_changes_nothing_more() {
    let proxy = start(&http(&[refused()]));
    let mut page = open(&proxy);
    page.press("#sign");
    page.wait("document.activeElement.matches('dialog input')");
    page.write("not the token at all");
    page.key("Enter");
    page.wait("document.querySelector('dialog [role=alert]').textContent.includes('not the token')");
    page.key("Escape");
    page.wait("!document.querySelector('dialog')");
    assert!(page.complaints.iter().all(|one| one.contains("401")), "{:?}", page.complaints);
    page.complaints.clear();
    sign_in(&mut page);
    assert_eq!(page.eval("document.cookie"), "", "no script can read it");
    assert_eq!(page.eval("Object.values({ ...localStorage, ...sessionStorage }).join().includes('0123456789')"), false);
    page.press("#sign");
    page.wait("document.querySelector('#sign').textContent === 'Sign in'");
    page.press("#targets button[aria-label^='Drain']");
    page.wait("document.querySelector('dialog input[type=password]')");
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}

#[test]
fn without_the_page_nothing_is_served_of_it() {
    let setup = Setup::new("");
    let proxy =
        setup.with("[admin]\nlisten = \"127.0.0.1:0\"\ndashboard = false\n".to_owned() + &http(&[refused()])).start();
    for path in ["/", "/dashboard/", "/dashboard/js/main.js"] {
        assert_eq!(Operator::at(proxy.admin()).ask("GET", path, "").status, 404, "{path}");
    }
    assert_eq!(Operator::at(proxy.admin()).ask("GET", "/v1/status", "").status, 200);
}
