//! Clients that belong to a target, beside retries and HTTP/2 on both sides.

use super::{config, cookie, limited, names, nothing_is_left, single};
use crate::support::streams::{Says, Streams};
use crate::support::{Proxy, Target, eventually, h2};
use http::{HeaderValue, Method};
use std::thread;
use std::time::Duration;

fn get(path: &str, cookies: &[&str]) -> http::Request<()> {
    let mut request = h2::request(Method::GET, path);
    for cookie in cookies {
        request.headers_mut().append("cookie", HeaderValue::from_str(cookie).unwrap());
    }
    request
}

/// A client of HTTP/2 sends each cookie in a field of its own; an HTTP/2 target gets all of them but ours, in their order.
#[test]
fn over_h2_on_both_sides_targets_see_all_cookies_but_ours() {
    let targets = [Streams::echo("a", Duration::ZERO), Streams::echo("b", Duration::ZERO)];
    let pool = "protocol = \"h2\"\nsticky = { cookie = \"RWSRV\" }";
    let proxy = single(config(&[&targets[0], &targets[1]], pool, ""));
    let client = h2::Client::to(&proxy.web());
    let first = client.ask(get("/", &["a=1"]), b"").unwrap();
    let own = first.fields["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let owner = targets.iter().find(|target| first.fields["x-target"] == *target.name()).unwrap();
    for (sent, wanted) in [
        (vec!["a=1", "b=2", &own, "c=3"], "a=1; b=2; c=3"),
        (vec![&*own], ""),
        (vec!["", &own, "d=4"], "d=4"),
        (vec![&format!("e=5; {own}; f=6"), "g=7"], "e=5; f=6; g=7"),
    ] {
        let answer = client.ask(get("/own", &sent), b"").unwrap();
        assert_eq!((answer.status.as_u16(), &answer.fields["x-target"]), (200, &first.fields["x-target"]), "{sent:?}");
        assert!(!answer.fields.contains_key("set-cookie"));
        let seen = owner.seen().pop().unwrap();
        let fields: Vec<&str> = seen.fields.get_all("cookie").iter().map(|field| field.to_str().unwrap()).collect();
        assert_eq!(fields.join("; "), wanted, "{sent:?}");
    }
}

/// HAProxy's `option redispatch`: a client whose target does not take its request goes to another one and belongs there, whatever
/// the protocol on either side.
#[test]
fn a_retry_takes_a_client_to_another_target_which_the_answer_names() {
    let bad = |status| {
        Streams::with("bad", move |asked, _| match asked.path.as_str() {
            "/" => Says::Echo(Duration::ZERO),
            _ => Says::Status(status),
        })
    };
    let (bad, good) = (bad(503), Streams::echo("good", Duration::ZERO));
    let pool = "protocol = \"h2\"\nsticky = { cookie = \"RWSRV\" }";
    let proxy = single(config(&[&bad, &good], pool, "retry = { on = [\"503\"] }"));
    let client = h2::Client::to(&proxy.web());
    let set = |answer: &h2::Answer| {
        let line = answer.fields.get("set-cookie")?.to_str().unwrap();
        Some(line.split(';').next().unwrap().to_owned())
    };
    let mut own = None;
    for _ in 0..2 {
        let answer = client.get("/");
        if answer.fields["x-target"] == "bad" {
            own = set(&answer);
        }
    }
    let own = own.expect("each has its turn");
    let moved = client.ask(get("/fails", &["a=1", &own]), b"").unwrap();
    assert_eq!((moved.status.as_u16(), &moved.fields["x-target"]), (200, &HeaderValue::from_static("good")));
    let next = set(&moved).expect("it is told where it belongs from now on");
    assert_ne!(next, own);
    let stays = client.ask(get("/", &[&next]), b"").unwrap();
    assert_eq!((&stays.fields["x-target"], set(&stays)), (&HeaderValue::from_static("good"), None));
    // Where all say no, the last one's answer is the client's, which belongs to who gave it.
    let both = [Streams::with("a", |_, _| Says::Status(503)), Streams::with("b", |_, _| Says::Status(503))];
    let proxy = single(config(&[&both[0], &both[1]], pool, "retry = { on = [\"503\"] }"));
    let answer = h2::Client::to(&proxy.web()).get("/");
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (503, &b"no"[..]));
    assert!(set(&answer).is_some());
    nothing_is_left(&proxy);
}

#[test]
fn a_client_that_is_bound_to_its_target_is_tried_there_again() {
    let mut targets = [Target::echo("a"), Target::echo("b")];
    let route = "retry = { attempts = 10, backoff = \"150ms\" }";
    let proxy =
        single(config(&names(&[&targets[0], &targets[1]]), "sticky = { cookie = \"RWSRV\", strict = true }", route));
    let first = proxy.get("/");
    let own = cookie(&first);
    let place = targets.iter().position(|target| target.name() == first.target()).unwrap();
    targets[place].kill();
    thread::scope(|scope| {
        let asking = scope.spawn(|| proxy.client().ask("GET", "/own", &[&format!("Cookie: {own}")]));
        eventually("it is tried in vain", || proxy.metric("ringway_pool_errors_total", &[("kind", "connect")]) >= 1.0);
        targets[place].revive();
        let answer = asking.join().unwrap();
        assert_eq!((answer.status, answer.target(), answer.field("set-cookie")), (200, first.target(), None));
    });
    nothing_is_left(&proxy);
}

/// HAProxy's `preserve`: an application may end its sessions' stickiness.
#[test]
fn a_cookie_of_that_name_from_the_target_goes_on_where_the_pool_says_so() {
    let application = |name: &str| {
        Target::with(name, |peer| {
            while let Some(seen) = peer.request() {
                let fields = if seen.path == "/logout" { &["Set-Cookie: RWSRV=; Max-Age=0"][..] } else { &[] };
                if peer.reply(200, fields, b"x").is_none() {
                    return;
                }
            }
        })
    };
    let targets = [application("a"), application("b")];
    let names = names(&[&targets[0], &targets[1]]);
    for (keys, wanted, letter) in [("preserve = true", Some("RWSRV=; Max-Age=0"), 'P'), ("preserve = false", None, 'D')]
    {
        let pool = format!("sticky = {{ cookie = \"RWSRV\", {keys} }}");
        let proxy = Proxy::start(config(&names, &pool, ""));
        let own = cookie(&proxy.get("/"));
        let answer = proxy.client().ask("GET", "/logout", &[&format!("Cookie: {own}")]);
        assert_eq!(answer.field("set-cookie").as_deref(), wanted, "{keys}");
        let line = proxy.out.wait(&["\"uri\":\"/logout\""]);
        assert!(line.contains(&format!("\"termination\":\"--V{letter}\"")), "{line}");
        // Who comes without a cookie is given none beside it.
        let answer = proxy.get("/logout");
        assert_eq!(answer.head.lines("set-cookie").len(), 1, "{keys}");
    }
}

#[test]
fn a_cookie_has_the_further_attributes_that_are_wanted() {
    let target = Target::echo("a");
    let sticky = "sticky = { cookie = \"RWSRV\", attributes = [\"Partitioned\", \"Priority=High\"] }";
    let proxy = Proxy::start(config(&names(&[&target]), sticky, ""));
    let line = proxy.get("/").field("set-cookie").unwrap();
    let (_, attributes) = line.split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax; Partitioned; Priority=High; Secure");
}

/// What HAProxy logs as `%sq/%bq`: a place among those who wait for one target, or for any.
#[test]
fn the_log_tells_the_places_of_those_who_waited() {
    let gated = |name: &str| {
        Target::with(name, |peer| {
            while let Some(seen) = peer.request() {
                if seen.path == "/hold" {
                    thread::sleep(Duration::from_millis(500));
                }
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    };
    for format in ["json", "haproxy"] {
        let targets = [gated("a"), gated("b")];
        let names = names(&[&targets[0], &targets[1]]);
        let pool = "sticky = { cookie = \"RWSRV\" }\ntimeouts = { queue = \"20s\" }";
        let text = limited(&names, 1, pool, "").replace("\"json\"", &format!("\"{format}\""));
        let proxy = single(text);
        let first = proxy.get("/");
        let own = format!("Cookie: {}", cookie(&first));
        let waiting = |wanted: f64| {
            eventually("they wait", || proxy.metric("ringway_pool_queue_length", &[("pool", "site")]) == wanted);
        };
        let ask = |path: &str, cookie: &[&str]| {
            let mut client = proxy.client();
            client.send(crate::support::client::request("GET", path, cookie));
            client
        };
        let mut clients = vec![ask("/hold", &[&own])];
        eventually("it is held", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) == 1.0);
        clients.push(ask("/own1", &[&own]));
        waiting(1.0);
        clients.push(ask("/own2", &[&own]));
        waiting(2.0);
        // The other target takes it as soon as it comes, but it has stood in line.
        clients.push(ask("/hold", &[]));
        eventually("both are held", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) == 4.0);
        eventually("it was let in", || targets.iter().all(|target| !target.requests_for("/hold").is_empty()));
        clients.push(ask("/any", &[]));
        waiting(3.0);
        for client in &mut clients {
            assert_eq!(client.response().status, 200);
        }
        let line = |path: &str| {
            proxy.out.wait(&[&match format {
                "json" => format!("\"uri\":\"{path}\""),
                _ => format!("\"GET {path} HTTP/1.1\""),
            }])
        };
        for (path, target, pool) in [("/own1", 1, 0), ("/own2", 2, 0), ("/any", 0, 1), ("/", 0, 0)] {
            let line = line(path);
            if format == "haproxy" {
                assert!(line.contains(&format!("/0 {target}/{pool} \"GET")), "{line}");
                continue;
            }
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            let place = |name: &str| record.get(name).map_or(0, |place| place.as_u64().unwrap());
            assert_eq!((place("target_queue"), place("pool_queue")), (target, pool), "{line}");
            assert_eq!(record["queue_ms"].as_f64().unwrap() > 0.0, target + pool > 0, "{line}");
        }
    }
}
