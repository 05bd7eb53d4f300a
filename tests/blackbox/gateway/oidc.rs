//! People who log in with an OpenID provider.

use super::{config, faults};
use crate::support::provider::{Browser, Provider};
use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::{Target, eventually, within};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

/// A site behind a login, and what belongs to it.
struct Site {
    target: Target,
    provider: Provider,
    proxy: Proxy,
    /// Its URL.
    url: String,
    _folder: Directory,
}

fn rule(folder: &Directory, issuer: &str) -> String {
    let secret = folder.write("secret", &"s".repeat(48));
    let client = folder.write("client", "secret of ringway\n");
    format!(
        "[rules.login]\ntype = \"oidc\"\nissuer = \"{issuer}\"\nclient_id = \"ringway\"\nclient_secret_file = \"{client}\"\n\
         secret_file = \"{secret}\"\nscopes = [\"openid\", \"offline_access\"]\nafter_logout = \"/bye\"\nrefresh = \"1s\"\n\
         callback = \"/oidc/callback\"\nlogout = \"/oidc/logout\"\nforward_claims = {{ sub = \"X-User-Id\" }}\n"
    )
}

impl Site {
    fn start(name: &str, seconds: u64) -> Site {
        let (target, folder, mut provider) = (Target::echo("page"), Directory::new(), Provider::to_come());
        let text = rule(&folder, &provider.issuer())
            + &config(&target, "[\"login\"]", "").replace("paths = [\"/v1/\"]", "paths = [\"/v1/\", \"/oidc/\"]");
        let proxy = Proxy::start(text);
        let port = proxy.web().rsplit_once(':').unwrap().1.to_owned();
        let url = format!("http://{name}:{port}");
        provider.start(&url, seconds);
        eventually("the provider is known", || proxy.metric("ringway_issuer_keys", &[("rule", "login")]) > 0.0);
        Site { target, provider, proxy, url, _folder: folder }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

#[test]
fn who_looks_at_a_page_logs_in_and_comes_back_to_it() {
    let site = Site::start("127.0.0.1", 600);
    let mut browser = Browser::default();
    let page = site.page("/v1/page?a=1&b=%2F");
    let answer = browser.look(&page);
    assert_eq!((answer.status, browser.at.as_str()), (200, page.as_str()), "{}", answer.text());
    let seen = site.target.last();
    assert_eq!((seen.path.as_str(), seen.field("x-user-id").as_deref()), ("/v1/page?a=1&b=%2F", Some("alice")));
    assert_eq!(seen.field("cookie"), None, "the session is nobody else's");
    let cookies = browser.cookies(&page);
    assert_eq!(cookies.keys().map(String::as_str).collect::<Vec<_>>(), ["ringway"], "the login is over");
    assert!(!cookies["ringway"].contains('.'), "it is sealed");
    // Whoever asks for data, too, once they are logged in.
    let answer = browser.ask("POST", &site.page("/v1/data"), &["Content-Length: 0", "X-User-Id: root"]);
    assert_eq!(answer.status, 200);
    assert_eq!(site.target.last().field("x-user-id").as_deref(), Some("alice"));
    assert_eq!(browser.ask("GET", &site.page("/open"), &[]).status, 200);
}

#[test]
fn scripts_forms_and_forged_sessions_get_401_and_reach_no_target() {
    let site = Site::start("127.0.0.1", 600);
    for (method, fields) in [
        ("GET", &["Accept: application/json"][..]),
        ("GET", &[]),
        ("GET", &["Accept: text/html", "Sec-Fetch-Mode: cors"]),
        ("POST", &["Accept: text/html", "Content-Length: 0"]),
        ("GET", &["X-User-Id: root"]),
        ("GET", &["Cookie: ringway=abc"]),
    ] {
        let answer = Browser::default().ask(method, &site.page("/v1/x"), fields);
        assert_eq!(answer.status, 401, "{fields:?}");
        assert!(answer.field("www-authenticate").is_some() && answer.field("location").is_none(), "{fields:?}");
    }
    let mut browser = Browser::default();
    assert_eq!(browser.look(&site.page("/v1/x")).status, 200);
    let good = browser.cookies(&site.url)["ringway"].clone();
    let before = site.target.requests();
    for place in [0, good.len() / 2, good.len() - 2] {
        let mut changed = good.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        browser.keep(&site.url, "ringway", std::str::from_utf8(&changed).unwrap());
        assert_eq!(browser.ask("GET", &site.page("/v1/x"), &[]).status, 401, "{place}");
    }
    assert_eq!(site.target.requests(), before);
}

#[test]
fn a_code_counts_for_the_browser_that_began_its_login_and_once() {
    let site = Site::start("127.0.0.1", 600);
    let (mut browser, mut other) = (Browser::default(), Browser::default());
    browser.look_until(&site.page("/v1/x"), |url| url.contains("/oidc/callback"));
    let back = browser.at.clone();
    assert_eq!(other.ask("GET", &back, &["Accept: text/html"]).status, 400, "another browser");
    let begun = other.look_until(&site.page("/v1/x"), |url| url.contains("/auth?"));
    assert_eq!(begun.status, 302);
    assert_eq!(other.ask("GET", &back, &["Accept: text/html"]).status, 400, "another login");
    let state = back.split(['?', '&']).find(|part| part.starts_with("state=")).unwrap();
    for wrong in [back.replace(state, "state=x"), back.replace(state, ""), format!("{back}&{state}")] {
        assert_eq!(browser.ask("GET", &wrong, &[]).status, 400, "{wrong}");
    }
    let mut copy = Browser::default();
    for (name, value) in browser.cookies(&site.url) {
        copy.keep(&site.url, &name, &value);
    }
    let answer = browser.ask("GET", &back, &[]);
    assert_eq!((answer.status, answer.field("location").as_deref()), (303, Some("/v1/x")));
    assert_eq!(copy.ask("GET", &back, &[]).status, 403, "the code is spent");
    assert_eq!(site.target.requests(), 0);
}

#[test]
fn nobody_is_sent_to_another_site_after_logging_in() {
    let site = Site::start("127.0.0.1", 600);
    for path in ["/v1/..//evil.test/", "/v1/%2e%2e//evil.test", "/v1/x?next=http://evil.test/"] {
        let mut browser = Browser::default();
        browser.look_until(&site.page(path), |url| url.contains("/oidc/callback"));
        if !browser.at.contains("/oidc/callback") {
            continue;
        }
        let back = browser.at.clone();
        let to = browser.ask("GET", &back, &[]).field("location").unwrap();
        assert!(to.starts_with("/v1/") && !to.starts_with("//"), "{path}: {to}");
    }
}

#[test]
fn a_session_is_renewed_when_its_access_token_ends_however_much_is_asked_at_once() {
    let site = Site::start("127.0.0.1", 2);
    let mut browser = Browser::default();
    assert_eq!(browser.look(&site.page("/v1/x")).status, 200);
    let first = browser.cookies(&site.url)["ringway"].clone();
    let renewed = within(Duration::from_secs(20), || {
        let answer = browser.ask("POST", &site.page("/v1/x"), &["Content-Length: 0"]);
        assert!([200, 307].contains(&answer.status), "{}", answer.status);
        answer.status == 307 && answer.field("location").as_deref() == Some("/v1/x")
    });
    assert!(renewed);
    let second = browser.cookies(&site.url)["ringway"].clone();
    assert_ne!(first, second);
    assert_eq!(browser.ask("POST", &site.page("/v1/x"), &["Content-Length: 0"]).status, 200);
    // What was under way with the first goes on for a while, and does not have it renewed twice.
    let mut late = Browser::default();
    late.keep(&site.url, "ringway", &first);
    for _ in 0..5 {
        assert_eq!(late.ask("GET", &site.page("/v1/x"), &[]).status, 200);
    }
    assert_eq!(site.target.last().field("x-user-id").as_deref(), Some("alice"));
}

#[test]
fn who_logs_out_is_logged_out_at_the_provider_too() {
    let site = Site::start("127.0.0.1", 600);
    let mut browser = Browser::default();
    assert_eq!(browser.look(&site.page("/v1/x")).status, 200);
    let answer = browser.ask("GET", &site.page("/oidc/logout"), &["Accept: text/html"]);
    let to = answer.field("location").unwrap();
    assert!(answer.status == 303 && to.starts_with(&format!("{}/session/end?id_token_hint=", site.provider.issuer())));
    assert!(browser.cookies(&site.url).is_empty(), "{:?}", browser.cookies(&site.url));
    assert_eq!(browser.ask("GET", &site.page("/v1/x"), &[]).status, 401);
    assert_eq!(
        Browser::default().ask("GET", &site.page("/oidc/logout"), &[]).field("location").as_deref(),
        Some("/bye")
    );
}

#[test]
fn while_the_provider_is_away_who_is_logged_in_stays_and_nobody_else_comes_in() {
    let mut site = Site::start("127.0.0.1", 600);
    let (mut browser, mut waiting) = (Browser::default(), Browser::default());
    assert_eq!(browser.look(&site.page("/v1/x")).status, 200);
    waiting.look_until(&site.page("/v1/x"), |url| url.contains("/oidc/callback"));
    site.provider.stop();
    assert_eq!(browser.ask("GET", &site.page("/v1/x"), &[]).status, 200);
    let back = waiting.at.clone();
    let answer = waiting.ask("GET", &back, &["Accept: text/html"]);
    assert_eq!((answer.status, answer.field("retry-after").as_deref()), (503, Some("5")));
    eventually("the log says so", || site.proxy.out.all().iter().any(|line| line.contains("\"reason\":\"oidc-away\"")));
}

#[test]
fn a_browser_with_scripts_logs_in() {
    let site = Site::start("site.test", 600);
    let folder = Directory::new();
    let out = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .args(["--host-resolver-rules=MAP site.test 127.0.0.1", "--virtual-time-budget=30000", "--dump-dom"])
        .arg(site.page("/v1/page"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("page"), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    let seen = site.target.seen().into_iter().find(|seen| seen.path == "/v1/page").expect("the page was asked for");
    assert_eq!((seen.field("x-user-id").as_deref(), seen.field("cookie")), (Some("alice"), None));
}

#[test]
fn logins_that_cannot_be_are_told_where_they_stand() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let text = rule(&folder, "https://id.test") + &config(&target, "[\"login\"]", "");
    let secret = text.lines().find(|line| line.starts_with("secret_file")).unwrap().to_owned();
    let short = folder.write("short", "too short");
    for (from, to, expected) in [
        (&*secret, &*format!("secret_file = \"{short}\""), "needs 32"),
        (&*secret, "secret_file = \"none\"", "cannot be read"),
        ("scopes = [\"openid\", ", "scopes = [", "without \"openid\""),
        ("logout = \"/oidc/logout\"", "logout = \"/oidc/callback\"", "the same path"),
        ("after_logout = \"/bye\"", "after_logout = \"//evil.test\"", "no path and no URL"),
        ("refresh = \"1s\"", "public_url = \"https://a.test/x\"", "scheme, host and port"),
        ("forward_claims = { sub = \"X-User-Id\" }", "forward_claims = { sub = \"Host\" }", "Host"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(expected) && told.contains("ringway.toml:"), "{to}: {told}");
    }
}

#[test]
fn a_secret_that_nobody_names_is_made_once_and_who_is_logged_in_stays_so() {
    let (target, folder, state) = (Target::echo("page"), Directory::new(), Directory::new());
    let mut provider = Provider::to_come();
    let rule = rule(&folder, &provider.issuer());
    let rule: String =
        rule.lines().filter(|line| !line.starts_with("secret_file")).map(|line| format!("{line}\n")).collect();
    let port = crate::support::free_port();
    let text = rule
        + &config(&target, "[\"login\"]", "")
            .replace("paths = [\"/v1/\"]", "paths = [\"/v1/\", \"/oidc/\"]")
            .replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let below = state.path().join("state");
    let start = || Setup::new(text.clone()).runtime(&format!("state_dir = \"{}\"", below.display())).start();
    let path = folder.write("ringway.toml", &format!("[runtime]\nstate_dir = \"{}\"\n{text}", below.display()));
    let (code, out, err) = ringway(&["check", "-c", &path]);
    assert_eq!((code, below.exists()), (Some(0), false), "a check writes nothing: {out}{err}");
    let mut proxy = start();
    let file = below.join("oidc.secret");
    let made = std::fs::metadata(&file).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(&file).unwrap();
    let url = format!("http://127.0.0.1:{port}");
    provider.start(&url, 600);
    eventually("the provider is known", || proxy.metric("ringway_issuer_keys", &[("rule", "login")]) > 0.0);
    let mut browser = Browser::default();
    let page = format!("{url}/v1/x");
    assert_eq!(browser.look(&page).status, 200);
    proxy.upgrade();
    assert_eq!(browser.ask("GET", &page, &[]).status, 200, "after an upgrade");
    drop(proxy);
    let proxy = start();
    assert_eq!(browser.ask("GET", &page, &[]).status, 200, "after a restart");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret);
    assert!(!proxy.log.contains(&[secret.trim_end()]));
    std::fs::write(folder.path().join("taken"), "a file").unwrap();
    let wrong = Setup::new(text).runtime(&format!("state_dir = \"{}/taken\"", folder.path().display())).spawn();
    wrong.log.wait(&["rule `login` has no `secret_file`, and none can be kept"]);
}
