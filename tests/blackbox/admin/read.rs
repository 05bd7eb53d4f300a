//! What can be read, and that its document tells the truth.

use super::{Operator, desk, setup, start};
use crate::support::eventually;
use crate::support::proxy::Setup;
use crate::support::target::{Target, refused};
use crate::support::tls::{Authority, Kind, listener};
use crate::support::toml::{http, http_with};
use serde_json::Value;
use std::time::SystemTime;

const METHODS: [&str; 6] = ["get", "put", "post", "patch", "delete", "options"];

#[test]
fn every_operation_of_the_document_is_served_and_no_other() {
    let desk = start(&http(&[refused()]));
    let document = desk.operator.get("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, operations) in paths {
        let real = path
            .replace("{pool}", "nosuch")
            .replace("{target}", "192.0.2.1:1")
            .replace("{client}", "192.0.2.1")
            .replace("{id}", "0-0-0-0");
        for method in METHODS {
            let response = desk.operator.ask(&method.to_ascii_uppercase(), &real, "");
            match operations[method].is_object() {
                true => assert_ne!(response.status, 405, "{method} {path}"),
                false => assert_eq!(response.status, 405, "{method} {path}"),
            }
            let unknown = response.text().contains("there is nothing here");
            assert!(!unknown, "{method} {path} is in the document and not in the router");
            if operations[method].is_object() && response.status < 300 {
                assert!(operations[method]["responses"][response.status.to_string()].is_object(), "{method} {path}");
            }
        }
    }
    let absent = desk.operator.wrong("GET", "/v1/nothing", "", 404);
    assert!(absent.contains("/openapi.json"), "{absent}");
}

#[test]
fn answers_have_the_fields_that_the_document_says() {
    let target = Target::echo("a");
    let route = "\n[routes.api]\npaths = [\"/api/\"]\npool = \"site\"\ncache = \"main\"\n\
                 [routes.next]\npaths = [\"/next/\"]\nsplit = [{ pool = \"site\" }]\nmirror = { pool = \"site\", compare = {} }\n[caches.main]\n[analytics]\n";
    let desk = start(&(http_with("", &[&target], "sticky = { source = true }") + route));
    let _client = desk.proxy.client().get("/api/");
    desk.operator.told("PUT", "/v1/bans/192.0.2.0%2F24", "{\"for\":\"1h\",\"reason\":\"x\"}", 200);
    desk.operator.told("PUT", "/v1/consumers/ann", "{\"keys\":[\"key-of-ann\"]}", 200);
    let document = desk.operator.get("/openapi.json");
    for (path, operations) in document["paths"].as_object().unwrap() {
        let schema = &operations["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        if schema.is_null() || path == "/v1/plan" {
            continue;
        }
        let real = path
            .replace("{pool}", "site")
            .replace("{target}", &target.to_string())
            .replace("{cache}", "main")
            .replace("{route}", "next")
            .replace("{consumer}", "ann");
        check(&document, schema, &desk.operator.get(&real), path);
    }
}

/// What a schema must at least say of a value: every field of it is described, and what is required is there.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    match value {
        Value::Object(fields) => {
            let Some(properties) = schema["properties"].as_object() else { return };
            for (name, value) in fields {
                let property = properties.get(name).unwrap_or_else(|| panic!("{place}: `{name}` is not described"));
                check(document, property, value, &format!("{place}.{name}"));
            }
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(required.as_str().unwrap()), "{place}: {required} is missing");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(document, &schema["items"], item, place)),
        _ => {}
    }
}

#[test]
fn what_runs_is_shown_with_what_it_has_done() {
    let target = Target::echo("a");
    let other = refused();
    let desk = start(
        &(http(&[target.address, other])
            + "health = { type = \"tcp\", interval = \"100ms\" }\n\
               [routes.api]\npaths = [\"/api/\"]\nhosts = [\"site.test\"]\npool = \"site\"\n\
               [routes.gone]\npaths = [\"/gone\"]\nrespond = { status = 500 }\n"),
    );
    let other = other.to_string();
    eventually("a check has failed", || desk.operator.get("/v1/pools/site")["up"] == 1);
    let mut client = desk.proxy.client();
    for path in ["/api/1", "/gone", "/x"] {
        client.get(path);
    }
    eventually("all are counted", || desk.operator.get("/v1/listeners")["items"][0]["requests"] == 3);
    let status = desk.operator.get("/v1/status");
    assert_eq!((&status["pid"], &status["plan"]), (&desk.proxy.pid().into(), &1.into()));
    assert_eq!(status["connections"]["open"], 1);
    let listener = &desk.operator.get("/v1/listeners")["items"][0];
    assert_eq!(listener["addresses"][0], desk.proxy.web(), "the real port");
    assert_eq!((&listener["name"], &listener["pool"], &listener["routes"]), (&"web".into(), &"site".into(), &2.into()));
    let routes = desk.operator.get("/v1/routes");
    let route = |n: usize| &routes["items"][n];
    assert_eq!(
        (&route(0)["name"], &route(0)["pool"], &route(0)["requests"]),
        (&"api".into(), &"site".into(), &1.into())
    );
    assert_eq!((&route(1)["action"], &route(1)["errors"]), (&"respond".into(), &1.into()));
    let pool = desk.operator.get("/v1/pools/site");
    // A check may fall between the two.
    let both = || (desk.operator.get("/v1/pools/site"), desk.operator.get("/v1/pools")["items"][0].clone());
    eventually("a list shows it as it is by itself", || {
        let (alone, listed) = both();
        alone == listed
    });
    assert_eq!((&pool["requests"], &pool["checked"]), (&2.into(), &true.into()));
    let one = desk.operator.get(&format!("/v1/pools/site/targets/{}", target.address));
    assert_eq!((&one["up"], &one["state"], &one["origin"]), (&true.into(), &"ready".into(), &"config".into()));
    assert_eq!((&one["weight"]["configured"], &one["weight"]["in_force"]), (&1.into(), &1.into()));
    assert_eq!(desk.operator.get(&format!("/v1/pools/site/targets/{other}"))["up"], false);
    assert_eq!(desk.operator.get("/v1/pools/site/targets")["items"].as_array().unwrap().len(), 2);
    let limits = desk.operator.get("/v1/limits");
    assert_eq!(limits["request_head"], 32768);
    assert!(limits["descriptors"]["open"].as_u64().unwrap() > 5);
    desk.operator.wrong("GET", "/v1/pools/nosuch", "", 404);
    desk.operator.wrong("GET", "/v1/pools/site/targets/192.0.2.9:9", "", 404);
}

#[test]
fn lists_come_in_parts_and_in_a_stable_order() {
    let config = (0..25).fold(http(&[refused()]), |config, n| {
        config + &format!("[routes.r{n:02}]\npaths = [\"/{n}/\"]\nrespond = {{ status = 200 }}\n")
    });
    let desk = start(&config);
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let part = desk.operator.get(&format!("/v1/routes?limit=10{after}"));
        names.extend(part["items"].as_array().unwrap().iter().map(|route| route["name"].as_str().unwrap().to_owned()));
        match part["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, (0..25).map(|n| format!("r{n:02}")).collect::<Vec<_>>());
}

#[test]
fn the_plan_shows_everything_but_what_the_environment_gave() {
    let secret = refused().to_string();
    let config = http(&["${SECRET_TARGET}"]) + "[limits]\nheaders = \"${SECRET_HEADERS}\"\n";
    let desk = desk(setup(&config, "").env("SECRET_TARGET", &secret).env("SECRET_HEADERS", "77").start());
    let plan = desk.operator.get("/v1/plan");
    assert_eq!(plan["pools"]["site"]["targets"][0]["address"], "${SECRET_TARGET}");
    assert_eq!(plan["limits"]["headers"], "${SECRET_HEADERS}");
    assert_eq!(plan["limits"]["request_head"], "32KiB", "with its defaults");
    assert_eq!(plan["listeners"]["web"]["protocol"], "http");
    assert!(!plan.to_string().contains(&secret) && !plan["limits"].to_string().contains("77"), "{plan}");
    let new = refused().to_string();
    desk.operator.told("POST", "/v1/pools/site/targets", &format!("{{\"address\":\"{new}\"}}"), 201);
    desk.operator.told("DELETE", &format!("/v1/pools/site/targets/{secret}"), "", 200);
    let plan = desk.operator.get("/v1/plan");
    assert_eq!(plan["pools"]["site"]["targets"][0]["address"], new.as_str(), "{plan}");
}

#[test]
fn reloads_are_remembered_with_who_asked() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let reload = |status| desk.operator.told("POST", "/v1/reload", "", status);
    assert_eq!(reload(200)["result"], "unchanged");
    desk.rewrite(|text| text.replace("[pools.site]", "[pools.site]\nbalance = \"least-conn\""));
    let told = reload(200);
    assert_eq!((&told["result"], &told["plan"]), (&"applied".into(), &2.into()));
    assert_eq!(told["changes"][0]["key"], "pools.site.balance");
    desk.rewrite(|text| text.replace("least-conn", "least-con"));
    let told = reload(422);
    assert_eq!(told["result"], "failed");
    assert!(told["diagnostics"].as_str().unwrap().contains("did you mean \"least-conn\"?"), "{told}");
    let history = desk.operator.get("/v1/reloads");
    let results: Vec<&str> =
        history["items"].as_array().unwrap().iter().map(|told| told["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["failed", "applied", "unchanged"], "the newest first");
    let by = history["items"][0]["by"].as_str().unwrap();
    assert!(by.starts_with("admin socket (uid ") && by.contains("pid"), "{by}");
    assert_eq!(desk.operator.get("/v1/status")["last_reload"]["result"], "failed");
    desk.proxy.signal(libc::SIGHUP);
    eventually("a signal is remembered, too", || desk.operator.get("/v1/reloads")["items"][0]["by"] == "signal");
}

#[test]
fn a_reload_may_be_tried_out_first() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    desk.rewrite(|text| text.replace("[pools.site]", "[pools.site]\nbalance = \"least-conn\""));
    for (body, told) in [
        ("{\"share\":\"5%\"}", "give both, or neither"),
        ("{\"share\":\"100%\",\"for\":\"1m\"}", "less than 100%"),
        ("{\"share\":\"5\",\"for\":\"1m\"}", "`share` cannot be"),
    ] {
        let detail = desk.operator.ask("POST", "/v1/reload", body).text();
        assert!(detail.contains(told), "{body}: {detail}");
    }
    let told = desk.operator.told("POST", "/v1/reload", "{\"share\":\"50%\",\"for\":\"1h\"}", 202);
    assert_eq!(told["result"], "trying");
    assert_eq!(desk.operator.get("/v1/status")["plan"], 1);
    let new = refused();
    desk.operator.told("POST", "/v1/pools/site/targets", &format!("{{\"address\":\"{new}\"}}"), 201);
    let history = desk.operator.get("/v1/reloads").to_string();
    assert!(!history.contains("rolled-back"), "a change of targets comes to both plans: {history}");
    assert_eq!(desk.proxy.metric("ringway_config_trying", &[]), 1.0);
}

#[test]
fn certificates_are_shown_with_their_end() {
    let setup = Setup::new("");
    let authority = Authority::new("Test");
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let proxy = setup.with(http(&[refused()]) + &listener(&["site"], "")).start();
    let certificates = Operator::at(proxy.admin()).get("/v1/certificates");
    let [one] = &certificates["items"].as_array().unwrap()[..] else { panic!("{certificates}") };
    assert_eq!(one["listener"], "web");
    assert!(one["file"].as_str().unwrap().ends_with("site.pem"), "{one}");
    let (left, end) = (one["left"].as_i64().unwrap(), one["not_after"].as_i64().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!(left > 0 && (end - left - now).abs() < 60, "{one}");
    assert!(Operator::at(proxy.admin()).get("/v1/listeners")["items"][0]["tls"] == true);
}
