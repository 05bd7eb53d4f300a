//! `ringway explain` says what a running proxy does; and in words that lead a person to what has to be changed.

use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::tls::{Kind, listener};
use crate::support::toml::{http, http_with, pool};
use crate::support::{Client, Target};
use crate::tls::Edge;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A request as a table has it: method, host, target, header lines.
type Ask<'a> = (&'a str, &'a str, &'a str, &'a [&'a str]);

/// A running proxy, and where its configuration lies.
struct Running {
    proxy: Proxy,
    file: PathBuf,
}

impl Running {
    #[track_caller]
    fn start(config: &str) -> Running {
        let setup = Setup::new(config.to_owned() + "\n[access_log]\n");
        let file = setup.directory().join("ringway.toml");
        Running { proxy: setup.start(), file }
    }

    fn port(&self) -> String {
        self.proxy.web().rsplit_once(':').unwrap().1.to_owned()
    }

    fn explain(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        ringway(&[&["explain", "-c", self.file.to_str().unwrap()], arguments].concat())
    }

    /// Sends all requests from `client`, explains all of them by one HAR file, and compares what is said of each with what
    /// the client got, the log tells and the target saw.
    #[track_caller]
    fn agrees(&self, client: &str, asks: &[Ask<'_>], targets: &[&Target]) {
        let port = self.port();
        let numbered = |n: usize, target: &str| {
            let mark = if target.contains('?') { '&' } else { '?' };
            format!("{target}{mark}n={n}")
        };
        let entry = |(n, (method, host, target, fields)): (usize, &Ask<'_>)| {
            let headers =
                fields.iter().map(|field| field.split_once(": ").unwrap_or((field.trim_end_matches(':'), "")));
            let mut headers: Vec<Value> =
                headers.map(|(name, value)| json!({ "name": name, "value": value })).collect();
            headers.insert(0, json!({ "name": "Host", "value": format!("{host}:{port}") }));
            let url = format!("http://listener.test:{port}{}", numbered(n, target));
            json!({ "request": { "method": method, "url": url, "httpVersion": "HTTP/1.1", "headers": headers } })
        };
        let entries: Vec<Value> = asks.iter().enumerate().map(entry).collect();
        let directory = Directory::new();
        let har = directory.write("all.har", &json!({ "log": { "version": "1.2", "entries": entries } }).to_string());
        let (code, out, err) = self.explain(&["--har", &har, "--client", client, "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let told: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.len(), asks.len());
        for (n, ((method, host, target, fields), told)) in asks.iter().zip(&told).enumerate() {
            let target = numbered(n, target);
            let name = format!("{method} {host} {target} {fields:?}: {told:#}");
            assert_eq!(told["entry"], n);
            let mut connection = Client::from(client, &self.proxy.web());
            let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
            connection.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\n{lines}\r\n"));
            let response = connection.response_to(method).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let seen = targets.iter().flat_map(|t| t.seen()).find(|seen| seen.path.ends_with(&format!("n={n}")));
            assert_eq!(told["outcome"] == "forward", seen.is_some(), "{name}");
            if told["outcome"] == "forward" {
                let (forward, seen) = (&told["forward"], seen.unwrap());
                assert_eq!(forward["request_line"], seen.head.start, "{name}");
                assert_eq!(seen.field("host").as_deref(), forward["target_host"].as_str(), "{name}");
                let line = |line: &Value| {
                    let (name, value) = line.as_str().unwrap().split_once(": ").unwrap();
                    (name.to_ascii_lowercase(), value.to_owned())
                };
                for added in forward["adds"].as_array().unwrap().iter().map(line) {
                    assert!(seen.head.fields.contains(&added), "{added:?} of {name}\n{:?}", seen.head);
                }
                for dropped in forward["drops"].as_array().unwrap().iter().map(line) {
                    assert!(!seen.head.fields.contains(&dropped), "{dropped:?} of {name}\n{:?}", seen.head);
                }
                let rest = seen.head.fields.len() - 1 - forward["adds"].as_array().unwrap().len();
                assert_eq!(rest, fields.len() - forward["drops"].as_array().unwrap().len(), "{name}\n{:?}", seen.head);
            } else {
                assert_eq!(told["status"], response.status, "{name}");
                assert_eq!(told["location"].as_str(), response.field("location").as_deref(), "{name}");
                if let Some(body) = told["body"].as_str().filter(|_| *method != "HEAD") {
                    assert_eq!(body, response.text(), "{name}");
                }
            }
        }
        for (n, told) in told.iter().enumerate().filter(|(_, told)| !told["client"].is_null()) {
            let record = self.proxy.out.wait(&[&format!("n={n}\"")]);
            let record: Value = serde_json::from_str(&record).unwrap();
            let name = format!("{record:#}\n{told:#}");
            let text = |value: &Value| value.as_str().unwrap_or("(none)").to_owned();
            assert_eq!(text(&record["route"]), text(&told["route"]), "{name}");
            assert_eq!(text(&record["pool"]), text(&told["forward"]["pool"]), "{name}");
            assert_eq!(text(&record["reason"]), text(&told["word"]), "{name}");
            assert_eq!(text(&record["client"]), text(&told["client"]), "{name}");
            if told["forward"]["target"].is_string() {
                assert_eq!(record["target"], told["forward"]["target"], "{name}");
            }
        }
    }
}

/// What is said of a request, as JSON.
#[track_caller]
fn told(config: &str, arguments: &[&str]) -> Value {
    let directory = Directory::new();
    let file = directory.write("r.toml", config);
    let (code, out, err) = ringway(&[&["explain", "-c", &file, "--json"], arguments].concat());
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// What a person reads of a request.
#[track_caller]
fn read(config: &str, arguments: &[&str]) -> String {
    let directory = Directory::new();
    let file = directory.write("r.toml", config);
    let (code, out, err) = ringway(&[&["explain", "-c", &file], arguments].concat());
    assert_eq!(code, Some(0), "{err}");
    out
}

/// Why a request cannot be explained.
#[track_caller]
fn refused(config: &str, arguments: &[&str]) -> String {
    let directory = Directory::new();
    let file = directory.write("r.toml", config);
    let (code, out, err) = ringway(&[&["explain", "-c", &file], arguments].concat());
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    err
}

const ROUTES: &str = r#"
[routes.api]
hosts = ["api.test", "*.api.test"]
paths = ["/v1/"]
headers = { x-tenant = "~^[a-z]+$", x-debug = false }
pool = "tenants"
strip_prefix = "/v1"
[routes.api-exact]
hosts = ["api.test"]
paths = ["=/v1/status"]
respond = { status = 200, body = "fine" }
[routes.post]
paths = ["/form/"]
methods = ["POST"]
pool = "site"
host = "inner.test"
[routes.versioned]
paths = ["/q/"]
query = { version = "1" }
respond = { status = 203 }
[routes.inside]
paths = ["/inside/"]
client_ip = ["10.0.0.0/8"]
respond = { status = 202 }
[routes.files]
paths = ["/files/"]
allow_in_path = ["%2F"]
pool = "site"
[routes.moved]
paths = ["/blog/"]
redirect = { scheme = "https", host = "blog.test" }
[routes.moved-here]
paths = ["/old/"]
redirect = { path = "/new" }
[routes.maintenance]
headers = { x-maintenance = true }
priority = 5
respond = { status = 503, body = "later" }
"#;

#[test]
fn what_is_said_is_what_the_proxy_does() {
    let tenants = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| format!("x-tenant: {name}"));
    let mut asks: Vec<Ask<'_>> = vec![
        ("GET", "api.test", "/v1/status", &[]),
        ("GET", "API.test.", "/v1/status/", &["X-Tenant: acme"]),
        ("GET", "api.test", "/v1/x", &["X-Tenant: Acme"]),
        ("GET", "api.test", "/v1/x", &["X-Tenant: acme", "X-Debug: 1"]),
        ("GET", "x.y.api.test", "//v1/./x", &["X-Tenant: acme"]),
        ("GET", "x.api.test", "/v1/%7Ex", &["X-Tenant: acme"]),
        ("GET", "x.api.test", "/v1", &["X-Tenant: acme"]),
        ("GET", "other.test", "/v1/x", &["X-Tenant: acme"]),
        ("POST", "any.test", "/form/x", &["Content-Length: 0"]),
        ("GET", "any.test", "/form/x", &[]),
        ("HEAD", "any.test", "/form/x", &[]),
        ("GET", "any.test", "/q/?version=1", &[]),
        ("GET", "any.test", "/q/?version=2", &[]),
        ("GET", "any.test", "/inside/", &[]),
        ("GET", "any.test", "/inside/", &["X-Forwarded-For: 10.1.2.3"]),
        ("GET", "any.test", "/inside/", &["X-Forwarded-For: 10.1.2.3, 127.0.0.2", "X-Forwarded-Proto: https"]),
        ("GET", "any.test", "/files/a%2Fb", &[]),
        ("GET", "any.test", "/other/a%2Fb", &[]),
        ("GET", "any.test", "/files/a%5Cb", &[]),
        ("GET", "any.test", "/blog/x", &[]),
        ("GET", "any.test", "/old/x", &[]),
        ("GET", "any.test", "/blog;x", &[]),
        ("GET", "a..test", "/", &[]),
        ("GET", "any.test", "/v1/", &["X-Maintenance: 1"]),
        ("OPTIONS", "any.test", "/", &["Max-Forwards: 0"]),
        ("OPTIONS", "any.test", "/", &["Max-Forwards: 3"]),
        ("TRACE", "any.test", "/", &[]),
        ("GET", "any.test", "/", &["Transfer-Encoding: gzip"]),
        ("GET", "any.test", "/", &["X_Forwarded_For: 1.2.3.4", "Connection: x-hop", "X-Hop: 1", "Proxy: p"]),
        ("GET", "any.test", "/", &["Upgrade: h2c", "Connection: Upgrade", "TE: trailers"]),
        ("PURGE", "any.test", "/", &["Forwarded: for=9.9.9.9"]),
    ];
    let fields: Vec<[&str; 1]> = tenants.iter().map(|line| [line.as_str()]).collect();
    asks.extend(fields.iter().map(|fields| ("GET", "api.test", "/v1/", &fields[..])));
    for client in ["127.0.0.1", "127.0.0.2"] {
        let targets = ["site", "one", "two", "three"].map(Target::echo);
        let all: Vec<&Target> = targets.iter().collect();
        let lines = "balance = \"hash\"\nkey = \"header:x-tenant\"";
        let config = http_with("trusted_proxies = [\"127.0.0.2/32\"]\nforwarded = \"both\"", &all[..1], "")
            + &pool("tenants", &all[1..], lines)
            + ROUTES;
        Running::start(&config).agrees(client, &asks, &all);
        let hashed = all[1..].iter().filter(|target| target.requests() > 0).count();
        assert!(hashed > 1, "the tenants are all on one target");
    }
}

#[test]
fn every_spelling_of_a_path_is_explained_as_it_is_served() {
    let target = Target::echo("site");
    let config = http(&[&target])
        + "[routes.guarded]\npaths = [\"/blocked/\"]\nrespond = { status = 403 }\n\
           [routes.stripped]\npaths = [\"/a/\"]\nstrip_prefix = \"/a\"\npool = \"site\"\n";
    let running = Running::start(&config);
    let cases = include_str!("../data/paths.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sayable = |path: &&str| path.starts_with('/') && !path.contains(['\\', '#', '?']) && path.is_ascii();
    let paths: Vec<&str> = cases.filter_map(|line| line.split_whitespace().next()).filter(sayable).collect();
    assert!(paths.len() > 60, "{}", paths.len());
    let asks: Vec<Ask<'_>> = paths.into_iter().map(|path| ("GET", "any.test", path, &[][..])).collect();
    running.agrees("127.0.0.1", &asks, &[&target]);
}

#[test]
fn a_listener_that_redirects_is_explained_as_it_does() {
    let target = Target::echo("site");
    let running = Running::start(&http_with("redirect = \"https\"", &[&target], ""));
    running.agrees("127.0.0.1", &[("GET", "a.test", "/x", &[]), ("GET", "a b", "/", &[])], &[&target]);
}

#[test]
fn over_tls_the_name_of_the_handshake_counts() {
    let edge = Edge::new();
    edge.add("other", &["admin.test"], Kind::Ecdsa);
    let target = Target::echo("site");
    let entries = "[[listeners.web.tls.by_name]]\nnames = [\"admin.test\"]\nlevel = \"modern\"\n";
    let config = http_with(&listener(&["site", "other"], entries), &[&target], "");
    let setup = edge.setup.with(config);
    let file = setup.directory().join("ringway.toml");
    let proxy = setup.start();
    let port = proxy.web().rsplit_once(':').unwrap().1.to_owned();
    let dial = edge.authority.dial();
    for (name, host, status) in
        [("site.test", "site.test", 200), ("site.test", "admin.test", 421), ("admin.test", "admin.test", 200)]
    {
        let mut client = dial.to(&proxy.web(), name);
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, status);
        let url = format!("https://{name}:{port}/");
        let host = format!("Host: {host}");
        let (code, out, err) = ringway(&["explain", "-c", file.to_str().unwrap(), "--json", "-H", &host, &url]);
        assert_eq!(code, Some(0), "{err}");
        let told: Value = serde_json::from_str(&out).unwrap();
        let expected = if status == 200 { json!(null) } else { json!(status) };
        assert_eq!(told["status"], expected, "{told:#}");
    }
}

#[test]
fn each_route_that_does_not_take_a_request_has_its_reason() {
    let config = http(&["127.0.0.1:9"])
        + ROUTES
        + "[listeners.plain]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n\
        [pools.tenants]\ntargets = [\"127.0.0.1:9\"]\n\
        [routes.elsewhere]\nlisteners = [\"plain\"]\npool = \"site\"\n\
        [routes.less]\nmethods = [\"PUT\"]\npool = \"site\"\n";
    let told = told(&config, &["--listener", "web", "-X", "PUT", "-H", "x-tenant: acme", "http://api.test/v1/status"]);
    let routes = told["routes"].as_array().unwrap();
    let of = |name: &str| routes.iter().find(|route| route["name"] == name).unwrap();
    for (name, standing, condition, why) in [
        ("api-exact", "taken", None, "host api.test; path =/v1/status, exact"),
        ("api", "yields", None, "matches, but `api-exact` is more specific: an exact path goes before a prefix"),
        ("less", "yields", None, "matches, but `api-exact` is more specific: an exact host goes before any host"),
        ("elsewhere", "elsewhere", None, "is not on listener `web`, but on `plain`"),
        ("post", "misses", Some("path"), "path /v1/status is not /form/"),
        ("maintenance", "misses", Some("header"), "header x-maintenance is absent"),
    ] {
        let route = of(name);
        assert_eq!((route["standing"].as_str(), route["why"].as_str()), (Some(standing), Some(why)), "{name}");
        assert_eq!(route["condition"].as_str(), condition, "{name}");
    }
    for (arguments, name, why) in [
        (&["http://a.test/form/"][..], "post", "method GET is not POST"),
        (&["http://a.test/q/?version=2"], "versioned", "query version is `2`, not `1`"),
        (&["http://a.test/inside/"], "inside", "client 127.0.0.1 is not within 10.0.0.0/8"),
        (&["--client", "[::1]:80", "http://a.test/inside/"], "inside", "client ::1 is not within 10.0.0.0/8"),
        (&["http://b.test/v1/"], "api", "host b.test is none of api.test, *.api.test"),
    ] {
        let text = read(&config, &[&["--listener", "web"], arguments].concat());
        let line =
            text.lines().find(|line| line.starts_with(&format!("  {name} "))).unwrap_or_else(|| panic!("{text}"));
        assert!(line.ends_with(why), "{line}");
    }
}

#[test]
fn a_person_reads_the_way_of_a_request_from_the_top() {
    let config = "[listeners.web]\nlisten = [\"127.0.0.1:8080\"]\npool = \"site\"\n\
        [routes.api]\npaths = [\"/v1/\"]\npool = \"api\"\nstrip_prefix = \"/v1\"\nretry = { attempts = 1 }\n\
        [routes.hello]\npaths = [\"=/hello\"]\nrespond = { status = 200, body = \"hello\" }\n\
        [pools.site]\ntargets = [\"127.0.0.1:1\"]\n\
        [pools.api]\nbalance = \"hash\"\ntargets = [\"127.0.0.1:2\", { address = \"127.0.0.1:3\", backup = true }]\n";
    let text = read(config, &["-X", "POST", "-H", "X-Real-IP: 1.2.3.4", "http://a.test:8080//v1/x?y=1"]);
    let expected = r#"
POST http://a.test:8080//v1/x?y=1
  X-Real-IP: 1.2.3.4

listener   web  it listens on port 8080 and speaks HTTP in clear
client     127.0.0.1
host       a.test
path       /v1/x  sent as //v1/x
route      api  path /v1/, a prefix
pool       api  balance hash by client-ip
targets    > 127.0.0.1:2  its key's target, while all are up
             127.0.0.1:3  backup: only while none of the others is up
sends      POST /x?y=1 HTTP/1.1
           Host: a.test:8080
           + X-Forwarded-For: 127.0.0.1
           + X-Forwarded-Proto: http
           + X-Forwarded-Host: a.test:8080
           + X-Forwarded-Port: 8080
           - X-Real-IP: 1.2.3.4
timeouts   2s to connect, 1m to the head of the answer, 5m of silence within it
retries    one more try, after a failed connect
note       some targets read such a path otherwise (path-empty-segment): they get it in its normal form
           Location, cookies and the like of the answer are put back into what the client knows

other routes
  hello  path /v1/x is not =/hello
"#;
    assert_eq!(text, expected.trim_start_matches('\n'), "{text}");
    let text = read(config, &["http://a.test:8080/x%2Fy"]);
    for part in ["answer     400 Bad Request  ambiguous-path: path-encoded-slash", "allow_in_path = [\"%2F\"]"] {
        assert!(text.contains(part), "{text}");
    }
    let bare = http(&["127.0.0.1:9"]);
    let monitor = "[routes.up]\npaths = [\"=/up\"]\nrespond = { status = 200, fail_if_down = [\"site\"] }\n";
    let text = read(&(bare.clone() + monitor), &["http://a.test:1/up"]);
    assert!(text.contains("\nnote       503 instead while pool `site` is down, or the process leaves\n"), "{text}");
    let told = told(&bare, &["http://a.test:1/x%2Fy"]);
    assert_eq!((&told["routed"], &told["word"]), (&json!(true), &json!("path-encoded-slash")), "{told:#}");
    let hostile = read(config, &["-H", "X: \u{1b}[2J\u{202e}", "http://a.test:8080/"]);
    assert!(!hostile.contains(['\u{1b}', '\u{202e}']) && hostile.contains("\\u{1b}[2J\\u{202e}"), "{hostile}");
}

#[test]
fn the_listener_is_the_one_that_the_url_leads_to_or_choices_are_told() {
    let two = "[listeners.a]\nlisten = [\"127.0.0.1:8080\"]\npool = \"site\"\n\
        [listeners.b]\nlisten = [\"127.0.0.2:8080\", \"127.0.0.2:80\"]\npool = \"site\"\n\
        [listeners.any]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n\
        [listeners.db]\nlisten = [\"127.0.0.1:5432\"]\nprotocol = \"tcp\"\npool = \"site\"\n\
        [pools.site]\ntargets = [\"127.0.0.1:1\"]\n";
    for (arguments, listener) in [
        (&["http://127.0.0.1:8080/"][..], "a"),
        (&["http://127.0.0.2:8080/"], "b"),
        (&["http://site.test/"], "b"),
        (&["http://site.test:9999/"], "any"),
        (&["--listener", "a", "https://site.test/"], "a"),
    ] {
        assert_eq!(told(two, arguments)["listener"], listener, "{arguments:?}");
    }
    let lone =
        "[listeners.web]\nlisten = [\"127.0.0.1:8080\"]\npool = \"site\"\n[pools.site]\ntargets = [\"127.0.0.1:1\"]\n";
    assert_eq!(told(lone, &["http://site.test/"])["listener"], "web");
    for (config, arguments, parts) in [
        (two, &["http://site.test:8080/"][..], &["`a`", "`b`", "does not say which", "--listener a"][..]),
        (two, &["http://site.test:5432/"], &["`db` speaks tcp", "pool `site`"]),
        (two, &["--listener", "db", "http://site.test/"], &["`db` speaks tcp"]),
        (two, &["--listener", "dbs", "http://site.test/"], &["no listener is named `dbs`", "did you mean `db`?"]),
        (two, &["https://site.test/"], &["no listener ends TLS", "--listener a"]),
        (lone, &["http://site.test:81/"], &["listens on port 81", "`web` (127.0.0.1:8080)"]),
        (lone, &["https://site.test:8080/"], &["port 8080 is listener `web`, which speaks HTTP in clear"]),
    ] {
        let err = refused(config, arguments);
        parts.iter().for_each(|part| assert!(err.contains(part), "{part} is missing in {err}"));
    }
}

#[test]
fn wrong_input_is_told_and_gives_2() {
    let good = http(&["127.0.0.1:9"]);
    for (arguments, part) in [
        (&[][..], "<URL>"),
        (&["site.test/"], "it has no scheme"),
        (&["http://u@site.test/"], "it has a user name"),
        (&["http://site.test/a b"], "a blank cannot be in it"),
        (&["-H", "nonsense", "http://site.test/"], "`nonsense` is no header"),
        (&["-H", "a: b\r\nc: d", "http://site.test/"], "is no header"),
        (&["-X", "GET /", "http://site.test/"], "is no method"),
        (&["--client", "localhost", "http://site.test/"], "it is no IP address"),
        (&["--http2", "-H", "Connection: close", "http://site.test/"], "HTTP/2 has no header `Connection`"),
        (&["--har", "/nowhere.har"], "cannot read `/nowhere.har`"),
        (&["--har", "/dev/null", "http://site.test/"], "cannot be used with"),
    ] {
        let err = refused(&good, arguments);
        assert!(err.contains(part), "{part} is missing in {err}");
    }
    let err = refused(&good.replace("\"site\"", "\"sit\""), &["http://site.test/"]);
    assert!(err.contains("no pool is named `sit`") && err.contains("r.toml:"), "{err}");
    let (code, _, err) = ringway(&["explain", "-c", "/nowhere/r.toml", "http://site.test/"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("cannot read `/nowhere/r.toml`"), "{err}");
}

#[test]
fn an_entry_of_a_har_that_cannot_be_explained_holds_up_no_other() {
    let directory = Directory::new();
    let file = directory.write("r.toml", &http(&["127.0.0.1:9"]));
    let entry = |url: &str| json!({ "request": { "method": "GET", "url": url, "headers": [] } });
    let log =
        json!({ "log": { "entries": [entry("http://a.test:1/x"), entry("data:,"), entry("http://a.test:1/y")] } });
    let har = directory.write("some.har", &log.to_string());
    let (code, out, err) = ringway(&["explain", "-c", &file, "--har", &har]);
    assert_eq!(code, Some(2));
    assert!(err.contains("log.entries[1]: `data:,` is not a URL"), "{err}");
    for part in ["log.entries[0]\nGET http://a.test:1/x\n", "\n\nlog.entries[2]\nGET http://a.test:1/y\n"] {
        assert!(out.contains(part), "{out}");
    }
}

#[test]
fn what_a_head_lacks_or_has_too_much_of_is_told_with_its_status() {
    let config = http(&["127.0.0.1:9"]) + "[limits]\nrequest_body = \"1KiB\"\nrequest_head = \"1KiB\"\n";
    let long = format!("x-long: {}", "x".repeat(2000));
    for (arguments, status, reason) in [
        (&["-H", "Host:"][..], 400, "bad-host"),
        (&["-H", "Content-Length: 2000"], 413, "body-too-large"),
        (&["-H", &long], 431, "head-too-large"),
        (&["-X", "TRACE"], 501, "method"),
        (&["-H", "bad name: x"], 400, "bad-request"),
    ] {
        let told = told(&config, &[arguments, &["http://site.test:1/"]].concat());
        assert_eq!((&told["status"], &told["reason"]), (&json!(status), &json!(reason)), "{told:#}");
    }
    let keyed = "[routes.pay]\npaths = [\"/pay/\"]\npool = \"site\"\nrules = [\"small\", \"once\"]\n\
                 [rules.small]\ntype = \"request-size\"\nmax = \"4KiB\"\n\
                 [rules.once]\ntype = \"idempotency\"\nmax_request_body = \"1KiB\"\n";
    let config_of_keys = http(&["127.0.0.1:9"]) + keyed;
    for (lines, status) in [
        (&["-H", "Idempotency-Key: \"k\"", "-H", "Content-Length: 2000"][..], Some(413)),
        (&["-H", "Idempotency-Key: \"k\"", "-H", "Content-Length: 1024"], None),
        (&["-H", "Content-Length: 2000"], None),
    ] {
        let told = told(&config_of_keys, &[&["-X", "POST"], lines, &["http://site.test:1/pay/"]].concat());
        assert_eq!(told["status"], json!(status), "{told:#}");
        if status.is_some() {
            assert_eq!(
                (&told["word"], &told["rules"][1]["verdict"]),
                (&json!("idempotency-body-too-large"), &json!("refuses"))
            );
            assert!(told["notes"].to_string().contains("the body is longer than rule `once` takes"), "{told:#}");
        }
    }
    let long = told(&config_of_keys, &["-H", "Content-Length: 5000", "http://site.test:1/pay/"]);
    assert!(long["notes"].to_string().contains("the body is longer than rule `small` takes"), "{long:#}");
    let routed = config.replace("pool = \"site\"\n", "") + "[routes.x]\npaths = [\"/x/\"]\npool = \"site\"\n";
    let call = told(&routed, &["--http2", "-H", "content-type: application/grpc", "http://site.test:1/"]);
    assert_eq!((&call["status"], &call["grpc_status"]), (&json!(404), &json!(12)), "{call:#}");
}

#[test]
fn what_a_running_process_alone_knows_of_who_asks_is_said_to_be_unknown() {
    let token = "[routes.x]\npaths = [\"/x/\"]\npool = \"site\"\nrules = [\"token\"]\n\
                 [rules.token]\ntype = \"jwt\"\njwks_url = \"https://id.test/keys\"\n";
    let bearer = "Authorization: Bearer a.b.c";
    let out = read(&(http(&["127.0.0.1:9"]) + token), &["-H", bearer, "http://site.test:1/x/"]);
    for part in ["503", "fetches the keys of rule `token`, which are not known here"] {
        assert!(out.contains(part), "{out}");
    }
    let edge = Edge::new();
    std::fs::write(edge.setup.directory().join("clients.pem"), edge.authority.pem()).unwrap();
    let client_auth = "client_auth = { mode = \"optional\", ca = \"clients.pem\" }";
    let certificate =
        "[routes.x]\npaths = [\"/x/\"]\npool = \"site\"\nrules = [\"mtls\"]\n[rules.mtls]\ntype = \"mtls\"\n";
    let file = edge.setup.directory().join("r.toml");
    let text = http_with(&listener(&["site"], client_auth), &["127.0.0.1:9"], "") + certificate;
    std::fs::write(&file, text).unwrap();
    let (code, out, err) = ringway(&["explain", "-c", file.to_str().unwrap(), "https://site.test/x/"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("401") && out.contains("no certificate is shown here"), "{out}");
}
