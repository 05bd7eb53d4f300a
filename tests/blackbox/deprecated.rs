//! Routes that come to their end: what their answers say of it, brown-outs, and who still calls.

use crate::admin::Operator;
use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::target::Target;
use crate::support::toml::http_with;
use crate::support::{eventually, h2};
use http::Method;
use jiff::Timestamp;
use serde_json::Value;

/// What each answer of a route says that is deprecated from 2026-01-01 on and ends with the year 2099.
const DEPRECATION: &str = "@1767225600";
const SUNSET: &str = "Thu, 31 Dec 2099 12:00:00 GMT";
const LINK: &str = "<https://docs.example.com/v1#end>; rel=\"deprecation\", </policy>; rel=\"sunset\", \
                    <https://api.example.com/v2/>; rel=\"successor-version\"";

/// Lines of such a route.
const ENDING: &str = "since = \"2026-01-01\", sunset = \"2099-12-31T12:00:00Z\", link = \"https://docs.example.com/v1#end\", \
                      policy = \"/policy\", successor = \"https://api.example.com/v2/\"";

/// A time so many seconds from now.
fn in_seconds(seconds: i64) -> String {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap().to_string()
}

fn start(target: &Target, routes: &str) -> Proxy {
    Proxy::start(http_with("", &[target], "") + "\n[access_log]\npath = \"stdout\"\n" + routes)
}

#[test]
fn each_answer_says_that_its_route_ends_and_no_other_says_anything() {
    let target = Target::with("v1", |peer| {
        while peer.request().is_some() {
            let fields = ["Cache-Control: max-age=60", "Link: </style.css>; rel=\"preload\"", "Deprecation: true"];
            if peer.reply(200, &fields, b"old").is_none() {
                return;
            }
        }
    });
    let proxy = start(
        &target,
        &format!(
            "[caches.kept]\n[rules.key]\ntype = \"api-key\"\n[consumers.ann]\nkeys = [\"key-of-ann\"]\n\
             [routes.v1]\npaths = [\"/v1/\"]\npool = \"site\"\ndeprecated = {{ {ENDING} }}\n\
             [routes.kept]\npaths = [\"/kept/\"]\npool = \"site\"\ncache = \"kept\"\ndeprecated = {{ {ENDING} }}\n\
             [routes.locked]\npaths = [\"/locked/\"]\npool = \"site\"\nrules = [\"key\"]\ndeprecated = {{ {ENDING} }}\n\
             [routes.fixed]\npaths = [\"/fixed/\"]\nrespond = {{ status = 200, body = \"x\" }}\ndeprecated = {{ since = \"2030-01-01\" }}\n"
        ),
    );
    let mut client = proxy.client();
    for (path, status) in [("/v1/", 200), ("/kept/", 200), ("/kept/", 200), ("/locked/", 401)] {
        let response = client.get(path);
        assert_eq!(response.status, status, "{path}");
        let all = |name: &str| response.head.lines(name);
        assert_eq!(all("deprecation"), [DEPRECATION], "{path}: in place of what the target says");
        assert_eq!(all("sunset"), [SUNSET], "{path}");
        assert_eq!(all("link").last().copied(), Some(LINK), "{path}");
        assert_eq!(all("link").len(), if status == 200 { 2 } else { 1 }, "{path}: beside what the target says");
    }
    assert_eq!(target.requests_for("/kept/").len(), 1, "the second came from the cache");
    let multiplexed = h2::Client::to(&proxy.web());
    for path in ["/v1/", "/kept/", "/locked/"] {
        let answer = multiplexed.ask(h2::request(Method::GET, path), b"").unwrap();
        assert_eq!(
            (&answer.fields["deprecation"], &answer.fields["sunset"]),
            (&DEPRECATION.parse().unwrap(), &SUNSET.parse().unwrap()),
            "{path}"
        );
        assert_eq!(answer.fields.get_all("link").iter().next_back().unwrap(), LINK, "{path}");
    }
    let response = client.get("/fixed/");
    assert_eq!(response.field("deprecation").as_deref(), Some("@1893456000"), "a time to come is said, too");
    assert_eq!((response.field("sunset"), response.field("link")), (None, None));
    let response = client.get("/other/");
    assert_eq!(
        response.field("deprecation").as_deref(),
        Some("true"),
        "what is not configured says what its target says"
    );
    assert_eq!(response.field("sunset"), None);
    assert!(proxy.metric("ringway_deprecated_requests_total", &[("route", "v1")]) >= 2.0);
    assert_eq!(proxy.metric("ringway_route_sunset_timestamp_seconds", &[("route", "v1")]), 4_102_401_600.0);
    assert!(!proxy.metrics().contains("ringway_route_sunset_timestamp_seconds{route=\"fixed\"}"));
    let plain = Proxy::start(http_with("", &[&target], ""));
    assert!(!plain.metrics().contains("ringway_deprecated"), "nothing is paid for what is off");
}

#[test]
fn after_its_sunset_a_route_is_gone_and_says_so() {
    let target = Target::echo("old");
    let proxy = start(
        &target,
        "[routes.gone]\npaths = [\"/gone/\"]\npool = \"site\"\n\
         deprecated = { since = \"2020-01-01\", sunset = \"2021-01-01\", successor = \"/v2/\" }\n\
         [routes.lost]\npaths = [\"/lost/\"]\npool = \"site\"\n\
         deprecated = { since = \"2020-01-01\", sunset = \"2021-01-01\", after_sunset = 404 }\n\
         [routes.served]\npaths = [\"/served/\"]\npool = \"site\"\n\
         deprecated = { since = \"2020-01-01\", sunset = \"2021-01-01\", after_sunset = \"serve\" }\n",
    );
    let mut client = proxy.client();
    let response = client.get("/gone/x");
    assert_eq!((response.status, response.field("content-type").as_deref()), (410, Some("application/problem+json")));
    let problem: Value = serde_json::from_str(&response.text()).unwrap();
    assert_eq!((&problem["title"], &problem["status"]), (&"Gone".into(), &410.into()));
    assert_eq!((&problem["sunset"], &problem["successor"]), (&"2021-01-01".into(), &"/v2/".into()));
    assert_eq!(response.field("sunset").as_deref(), Some("Fri, 01 Jan 2021 00:00:00 GMT"));
    assert_eq!(response.field("link").as_deref(), Some("</v2/>; rel=\"successor-version\""));
    let line = proxy.out.wait(&["\"/gone/x\""]);
    assert!(line.contains("\"reason\":\"sunset\"") && line.contains("\"route\":\"gone\""), "{line}");
    assert_eq!(client.get("/lost/").status, 404);
    assert_eq!(client.get("/served/").target(), "old");
    let answer = h2::Client::to(&proxy.web()).ask(h2::request(Method::GET, "/gone/"), b"").unwrap();
    assert_eq!(answer.status.as_u16(), 410);
    assert_eq!(target.requests(), 1, "nothing of what is over goes on");
    assert!(proxy.metric("ringway_refused_total", &[("reason", "sunset")]) >= 3.0);
    assert!(proxy.metric("ringway_deprecated_requests_total", &[("route", "gone")]) >= 2.0);
}

#[test]
fn a_brownout_refuses_its_share_until_it_is_over() {
    let target = Target::echo("old");
    let (begun, far) = (in_seconds(-1), in_seconds(3600));
    let proxy = start(
        &target,
        &format!(
            "[routes.soon]\npaths = [\"/soon/\"]\npool = \"site\"\n\
             deprecated = {{ since = \"2020-01-01\", brownouts = [{{ from = \"{begun}\", for = \"6s\" }}] }}\n\
             [routes.half]\npaths = [\"/half/\"]\npool = \"site\"\n\
             deprecated = {{ since = \"2020-01-01\", brownouts = [{{ from = \"{begun}\", for = \"1h\", every = \"1d\", share = \"50%\", status = 429 }}] }}\n\
             [routes.later]\npaths = [\"/later/\"]\npool = \"site\"\n\
             deprecated = {{ since = \"2020-01-01\", brownouts = [{{ from = \"{far}\", for = \"1h\" }}] }}\n"
        ),
    );
    let mut client = proxy.client();
    let response = client.get("/soon/");
    assert_eq!((response.status, response.field("content-type").as_deref()), (503, Some("application/problem+json")));
    let after: u64 = response.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&after), "{after}");
    assert!(response.field("deprecation").is_some());
    let line = proxy.out.wait(&["\"/soon/\""]);
    assert!(line.contains("\"reason\":\"brown-out\""), "{line}");
    let refused = (0..200).map(|_| client.get("/half/")).filter(|response| response.status == 429).count();
    assert!((50..=150).contains(&refused), "{refused} of 200");
    let part = (0..200).map(|_| client.get("/half/")).find(|response| response.status == 429).unwrap();
    assert_eq!(part.field("retry-after"), None, "the next one may be served");
    assert_eq!(client.get("/later/").target(), "old");
    eventually("it is over", || proxy.get("/soon/").status == 200);
    assert!(proxy.metric("ringway_refused_total", &[("reason", "brown-out")]) >= 50.0);
}

#[test]
fn who_still_calls_what_is_deprecated_is_read_with_the_time_of_the_last_call() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let keys = "[rules.key]\ntype = \"api-key\"\nquery = \"key\"\n[consumers.ann]\nkeys = [\"key-of-ann\"]\n\
                [consumers.bob]\nkeys = [\"key-of-bob\"]\n[analytics]\n\
                [routes.v1]\npaths = [\"/v1/\"]\nversion = \"v1\"\nrules = [\"key\"]\npool = \"site\"\n\
                deprecated = { since = \"2020-01-01\", sunset = \"2021-01-01\" }\n\
                [routes.v2]\npaths = [\"/v2/\"]\nversion = \"v2\"\nrules = [\"key\"]\npool = \"site\"\n";
    let before = Timestamp::now().as_second();
    let config = http_with("", &[&target], "") + "\n" + keys;
    let proxy = Setup::new(config).runtime(&format!("state_dir = {:?}", state.path())).start();
    let mut client = proxy.client();
    for (path, times) in [("/v1/?key=key-of-ann", 3), ("/v2/?key=key-of-ann", 5), ("/v2/?key=key-of-bob", 7)] {
        (0..times).for_each(|_| drop(client.get(path)));
    }
    let operator = Operator::at(proxy.admin());
    eventually("all are written", || operator.get("/v1/analytics")["items"][0]["requests"] == 15);
    let sums = operator.get("/v1/analytics?by=consumer,route,status&deprecated=true");
    let items = sums["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{sums}");
    let item = &items[0];
    assert_eq!((&item["consumer"], &item["route"], &item["status"]), (&"ann".into(), &"v1".into(), &410.into()));
    assert_eq!(item["requests"], 3);
    let last = item["last"].as_i64().unwrap();
    assert!(last % 60 == 0 && last > before - 60 && last <= Timestamp::now().as_second(), "{last}");
    let all = operator.get("/v1/analytics?by=route&deprecated=false");
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "{all}");
    let at = format!("http://{}", proxy.admin());
    let (code, out, err) = ringway(&["analytics", "--admin", &at, "--deprecated"]);
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with("LAST"), "{out}");
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(
        (cells[..3].join(" "), cells.last().map(|cell| cell.len())),
        ("ann v1 v1".to_owned(), Some(20)),
        "{out}"
    );
}

#[test]
fn explain_says_how_a_route_stands() {
    let (begun, far) = (in_seconds(-60), in_seconds(7200));
    let directory = Directory::new();
    let config = format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:80\"]\n\
         [defaults.route]\nrespond = {{ status = 200 }}\n\
         [routes.over]\npaths = [\"/over/\"]\ndeprecated = {{ since = \"2020-01-01\", sunset = \"2021-01-01T12:00:00Z\" }}\n\
         [routes.half]\npaths = [\"/half/\"]\ndeprecated = {{ since = \"2020-01-01\", brownouts = [{{ from = \"{begun}\", for = \"1h\", share = \"50%\" }}] }}\n\
         [routes.all]\npaths = [\"/all/\"]\ndeprecated = {{ since = \"2020-01-01\", brownouts = [{{ from = \"{begun}\", for = \"1h\" }}] }}\n\
         [routes.next]\npaths = [\"/next/\"]\ndeprecated = {{ since = \"2090-01-01\", brownouts = [{{ from = \"{far}\", for = \"1h\" }}] }}\n"
    );
    let file = directory.write("ringway.toml", &config);
    for (path, parts) in [
        (
            "/over/",
            &[
                "410 Gone",
                "sunset",
                "deprecated since 2020-01-01",
                "its sunset was at 2021-01-01T12:00:00Z",
                "answers 410",
            ][..],
        ),
        ("/half/", &["200 OK", "a brown-out answers 50% of its requests with 503 until "]),
        ("/all/", &["503 Service Unavailable", "brown-out", "100% of its requests"]),
        ("/next/", &["200 OK", "will be deprecated from 2090-01-01", &format!("its next brown-out begins at {far}")]),
    ] {
        let (code, out, err) = ringway(&["explain", "-c", &file, &format!("http://x{path}")]);
        assert_eq!(code, Some(0), "{err}");
        let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
        parts.iter().for_each(|part| assert!(out.contains(part), "{part}: {out}"));
    }
}

#[test]
fn of_an_api_those_operations_end_that_its_description_marks() {
    let target = Target::echo("api");
    let directory = Directory::new();
    let description = r#"{"openapi":"3.0.3","paths":{"/new":{"get":{"operationId":"new"}},"/old":{"get":{"operationId":"old","deprecated":true}}}}"#;
    let file = directory.write("api.json", description);
    let route = |operations: &str| {
        format!(
            "[apis.shop]\nopenapi = {file:?}\n[routes.shop]\nfrom_openapi = \"shop\"\npool = \"site\"\n\
             deprecated = {{ since = \"2026-01-01\", operations = \"{operations}\" }}\n"
        )
    };
    for (operations, new) in [("marked", None), ("all", Some(DEPRECATION))] {
        let proxy = start(&target, &route(operations));
        assert_eq!(proxy.get("/old").field("deprecation").as_deref(), Some(DEPRECATION));
        assert_eq!(proxy.get("/new").field("deprecation").as_deref(), new, "{operations}");
    }
}
