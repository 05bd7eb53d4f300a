//! Whatever way a request is written, it comes past no rule: one table of spellings and methods, put to every type of rule that refuses, by a
//! route's path and by a condition on it, over both protocols.

use crate::support::client::request;
use crate::support::issuer::Issuer;
use crate::support::proxy::{Directory, Proxy};
use crate::support::toml::http;
use crate::support::{Target, h2};
use http::{Method, Uri};

/// Rules that let nobody in who sends what is sent here, each by its name, its keys and the status that it refuses with.
fn rules(folder: &Directory) -> Vec<(&'static str, String, u16)> {
    let issuer = Issuer::new("kid");
    let (users, keys) =
        (folder.write("users", "ann:$2y$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm\n"), "");
    let signed = folder.write("signed", "key-1 hmac-sha256 YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcywgb2s= acme\n");
    let jwks = folder.write("keys.json", &issuer.jwks());
    let (client, secret) = (folder.write("client", "secret\n"), folder.write("secret", &"s".repeat(48)));
    let away = "http://127.0.0.1:1";
    vec![
        ("key", format!("type = \"api-key\"\nheader = \"X-Key\"{keys}"), 401),
        ("basic", format!("type = \"basic\"\nusers_file = \"{users}\""), 401),
        (
            "jwt",
            format!("type = \"jwt\"\nissuer = \"https://id.test\"\naudiences = [\"api\"]\njwks_file = \"{jwks}\""),
            401,
        ),
        (
            "introspection",
            format!(
                "type = \"introspection\"\nendpoint = \"{away}/introspect\"\nclient_id = \"us\"\nsecret_file = \"{client}\""
            ),
            401,
        ),
        (
            "oidc",
            format!(
                "type = \"oidc\"\nissuer = \"{away}\"\nclient_id = \"us\"\nclient_secret_file = \"{client}\"\n\
                 secret_file = \"{secret}\"\ncallback = \"/r-oidc/callback\"\nlogout = \"/r-oidc/logout\""
            ),
            401,
        ),
        ("signature", format!("type = \"signature\"\nkeys_file = \"{signed}\""), 401),
        ("forward-auth", format!("type = \"forward-auth\"\nurl = \"{away}/verify\""), 503),
        ("opa", format!("type = \"opa\"\nurl = \"{away}/v1/data/app/allow\""), 503),
        ("ip", "type = \"ip\"\ndeny = [\"127.0.0.0/8\"]".into(), 403),
        ("cel", "type = \"cel\"\nallow = \"request.path == '/elsewhere'\"".into(), 403),
        ("agent", "type = \"user-agent\"\ndeny = [\"evil\"]".into(), 403),
        ("rate", "type = \"rate-limit\"\nrate = \"1/d\"\nburst = 1".into(), 429),
        (
            "window",
            "type = \"rate-limit\"\nrate = \"1/d\"\nalgorithm = \"sliding-window\"\nkey = \"route\"".into(),
            429,
        ),
        ("quota", "type = \"quota\"\nlimit = 1\nperiod = \"month\"".into(), 429),
        ("any", "type = \"any-of\"\nrules = [\"key\", \"basic\"]".into(), 401),
        ("all", "type = \"all-of\"\nrules = [\"jwt\", \"ip\"]".into(), 401),
    ]
}

/// Paths that a target may read as `/NAME/x`.
fn spellings(name: &str) -> Vec<String> {
    let (first, rest) = name.split_at(1);
    let encoded = format!("%{:02x}", first.as_bytes()[0]);
    let dash = name.replace('-', "%2D");
    [
        "/NAME/x",
        "//NAME/x",
        "///NAME//x",
        "/./NAME/x",
        "/a/../NAME/x",
        "/a/b/../../NAME/x",
        "/a/../../NAME/x",
        "/%2e/NAME/x",
        "/a/%2e%2E/NAME/x",
        "/a/.%2e/NAME/x",
        "/a/..%2FNAME/x",
        "/a/..%5cNAME/x",
        "/NAME/a/../x",
        "/NAME/../NAME/x",
        "/NAME/%2e%2e/NAME/x",
        "/NAME%2Fx",
        "/%2FNAME/x",
        "/NAME;v=1/x",
        "/a/..;/NAME/x",
        "/NAME/x?y=/../open",
        "/NAME/x%00",
        "/NAME/x%0a",
    ]
    .into_iter()
    .map(|text| text.replace("NAME", name))
    .chain([format!("/{encoded}{rest}/x"), format!("/{dash}/x"), format!("/{}/x", dash.to_lowercase())])
    .collect()
}

/// Those that no client but one that writes bytes by hand can ask for.
fn raw(name: &str) -> Vec<String> {
    let raw = [
        "\\NAME/x",
        "/\\NAME/x",
        "/a\\..\\NAME/x",
        "/NAME\\x",
        "/NAME/x#/open",
        "http://site.test/NAME/x",
        "http://site.test//NAME/x",
    ];
    raw.into_iter().map(|text| text.replace("NAME", name)).collect()
}

const METHODS: [&str; 12] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "FOO", "get", "Post", "TRACE"];

struct Site {
    target: Target,
    proxy: Proxy,
    rules: Vec<(&'static str, u16)>,
    _folder: Directory,
}

impl Site {
    /// Each rule is there for what is below `/PREFIX-NAME/`, and nothing is for all else.
    fn start(prefix: &str) -> Self {
        let (target, folder) = (Target::echo("a"), Directory::new());
        let (rules, mut text) = (rules(&folder), http(&[&target]));
        let of_condition: Vec<String> = rules.iter().map(|(name, ..)| format!("\"{name}\"")).collect();
        text += "\n[consumers.acme]\nkeys = [\"key-of-acme\"]\n";
        for (name, keys, _) in &rules {
            text += &match prefix {
                "r" => format!(
                    "[routes.{name}]\npaths = [\"/r-{name}/\"]\npool = \"site\"\nrules = [\"{name}\"]\n[rules.{name}]\n{keys}\n"
                ),
                _ => format!("[rules.{name}]\nwhen = 'request.path.startsWith(\"/w-{name}/\")'\n{keys}\n"),
            };
        }
        if prefix == "w" {
            // Members of others have no conditions.
            let names = of_condition.iter().filter(|name| !["\"any\"", "\"all\""].contains(&name.as_str()));
            let names: Vec<&str> = names.map(String::as_str).collect();
            text += &format!("[routes.all]\npaths = [\"/\"]\npool = \"site\"\nrules = [{}]\n", names.join(", "));
            let (ours, _) = text.split_once("[rules.any]").unwrap();
            let (_, rest) = text.split_once("[routes.all]").unwrap();
            text = format!("{ours}[routes.all]{rest}");
        }
        let is_there = |name: &str| prefix == "r" || !["any", "all"].contains(&name);
        let rules = rules.iter().map(|(name, _, status)| (*name, *status)).filter(|(name, _)| is_there(name)).collect();
        Self { target, proxy: Proxy::start(text), rules, _folder: folder }
    }

    fn by_h1(&self, method: &str, path: &str) -> u16 {
        let mut client = self.proxy.client();
        client.send(request(method, path, &["User-Agent: evil", "Content-Length: 0"]));
        client.response_to(method).map_or(0, |answer| answer.status)
    }

    fn check(&self, prefix: &str) {
        let client = h2::Client::to(&self.proxy.web());
        for (name, status) in &self.rules {
            let name = format!("{prefix}-{name}");
            if *status == 429 {
                assert_eq!(self.by_h1("GET", &format!("/{name}/x")), 200, "{name}: the first that may");
            }
            let before = self.target.requests();
            assert_eq!(self.by_h1("GET", &format!("/{name}/x")), *status, "{name}");
            let plain = [format!("/{name}/x")];
            let all = spellings(&name).into_iter().chain(raw(&name)).map(|path| ("GET", path));
            for (method, path) in all.chain(METHODS.iter().map(|method| (*method, plain[0].clone()))) {
                let got = self.by_h1(method, &path);
                assert!(got == *status || [400, 501].contains(&got), "{method} {path}: {got}");
                assert_eq!(self.target.requests(), before, "{method} {path} has come past {name}");
            }
            let spelled = spellings(&name).into_iter().map(|path| ("POST", path));
            for (method, path) in spelled.chain(METHODS.iter().map(|method| (*method, plain[0].clone()))) {
                let Ok(uri) = format!("http://site.test{path}").parse::<Uri>() else { continue };
                let mut request = h2::request(Method::from_bytes(method.as_bytes()).unwrap(), "/");
                *request.uri_mut() = uri;
                request.headers_mut().insert("user-agent", http::HeaderValue::from_static("evil"));
                let got = client.ask(request, b"").map_or(0, |answer| answer.status.as_u16());
                assert!(got == *status || [0, 400, 501].contains(&got), "h2: {method} {path}: {got}");
                assert_eq!(self.target.requests(), before, "h2: {method} {path} has come past {name}");
            }
        }
        let before = self.target.requests();
        assert_eq!(self.by_h1("GET", "/open"), 200);
        assert_eq!(self.target.requests(), before + 1, "elsewhere everybody comes through");
    }
}

#[test]
fn no_spelling_and_no_method_comes_past_the_rules_of_a_path() {
    Site::start("r").check("r");
}

#[test]
fn none_comes_past_a_condition_on_the_path() {
    Site::start("w").check("w");
}
