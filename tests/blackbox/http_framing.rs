//! HTTP/1 messages come through whole, in order and as they come; what is cut short never looks complete.

use crate::support::client::{request, status};
use crate::support::target::Leave;
use crate::support::toml::{http, http_with};
use crate::support::wire::Broken;
use crate::support::{Client, GLANCE, PATIENCE, Proxy, Target, assert_same, eventually, pattern, within};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn large_bodies_pass_both_ways_by_length() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    for size in [1, 4095, 16384, 65537, 3 << 20] {
        let body = pattern(size);
        let mut writer = client.socket.try_clone().unwrap();
        let copy = [request("POST", "/", &[&format!("Content-Length: {size}")]).as_bytes(), &body].concat();
        let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &copy).unwrap());
        assert_same(&client.response().body, &body);
        writing.join().unwrap();
        assert_same(&target.last().body, &body);
    }
    assert!(target.seen().iter().all(|s| s.head.length().is_some() && !s.head.chunked()));
}

#[test]
fn messages_as_long_as_a_buffer_end_where_they_end() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    // The next request follows in the same write, so that a receive past the end of a body would swallow it.
    for size in (3800..4300).step_by(7).chain([12_000, 16_384, 60_000, 73_728, 500_000, 524_288, 600_000]) {
        let body = pattern(size);
        let head = request("POST", "/", &[&format!("Content-Length: {size}")]);
        let both = [head.as_bytes(), &body, request("GET", "/next", &[]).as_bytes()].concat();
        let mut writer = client.socket.try_clone().unwrap();
        let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &both).unwrap());
        assert_same(&client.response().body, &body);
        assert_eq!(client.response().status, 200);
        writing.join().unwrap();
        let seen = target.seen();
        assert_same(&seen[seen.len() - 2].body, &body);
        assert_eq!(seen[seen.len() - 1].path, "/next");
    }
}

#[test]
fn large_bodies_pass_both_ways_in_chunks_with_their_trailers() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
            for part in seen.body.chunks(70_001) {
                peer.send([format!("{:X}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
            }
            peer.send("0\r\nX-Sum: 42\r\n\r\n");
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let body = pattern(2 << 20);
    let mut client = proxy.client();
    for round in 0..2 {
        client.send(request("PUT", "/", &["Transfer-Encoding: chunked", "TE: trailers", "Trailer: X-Check"]));
        for part in body.chunks(33_333) {
            client.send([format!("{:x};note=1\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
        }
        client.send("0\r\nX-Check: yes\r\n\r\n");
        let response = client.response();
        assert_same(&response.body, &body);
        assert_eq!(response.trailers, [("x-sum".to_owned(), "42".to_owned())], "round {round}");
        assert_same(&target.last().body, &body);
        assert_eq!(target.last().trailers, [("x-check".to_owned(), "yes".to_owned())]);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let text = format!("{} {}", seen.path, String::from_utf8_lossy(&seen.body));
            if peer.reply(200, &[], text.as_bytes()).is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    let mut all = String::new();
    for n in 0..50 {
        match n % 3 {
            0 => all += &request("GET", &format!("/{n}"), &[]),
            1 => all += &(request("PUT", &format!("/{n}"), &["Content-Length: 3"]) + "abc"),
            _ => all += &(request("PUT", &format!("/{n}"), &["Transfer-Encoding: chunked"]) + "2\r\nde\r\n0\r\n\r\n"),
        }
    }
    client.send(all);
    for n in 0..50 {
        assert_eq!(client.response().text(), format!("/{n} {}", ["", "abc", "de"][n % 3]));
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let sent = match seen.path.as_str() {
                "/204" => peer.try_send("HTTP/1.1 204 No Content\r\n\r\n"),
                "/304" => peer.try_send("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 500\r\n\r\n"),
                "/head" => peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
                "/chunked-head" => peer.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                "/empty" => peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
                _ => peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            };
            if sent.is_err() {
                return;
            }
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.get("/204").status, 204);
        let unchanged = client.get("/304");
        assert_eq!((unchanged.status, unchanged.field("etag").as_deref()), (304, Some("\"x\"")));
        let head = client.ask("HEAD", "/head", &[]);
        assert_eq!((head.status, head.field("content-length").as_deref()), (200, Some("1000000")));
        assert_eq!(client.ask("HEAD", "/chunked-head", &[]).status, 200);
        assert_eq!(client.get("/empty").body, b"");
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(target.connections(), 1, "each answer's end was known without closing");
}

#[test]
fn http_1_0_clients_get_what_they_understand() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let sent = match seen.path.as_str() {
                "/chunked" => {
                    peer.try_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                }
                "/hints" => peer.try_send(
                    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                ),
                _ => peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            };
            if sent.is_err() {
                return;
            }
        }
    });
    let proxy = Proxy::start(http(&[&target]));

    let mut plain = proxy.client();
    plain.send("GET / HTTP/1.0\r\nHost: site.test\r\n\r\n");
    assert_eq!(plain.response().text(), "ok");
    assert_eq!(plain.ending(), Broken::Closed);

    let mut kept = proxy.client();
    for _ in 0..2 {
        kept.send("GET / HTTP/1.0\r\nHost: site.test\r\nConnection: keep-alive\r\n\r\n");
        let response = kept.response();
        assert_eq!(response.text(), "ok");
        assert!(response.head.names("connection", "keep-alive"));
    }

    let mut streamed = proxy.client();
    streamed.send("GET /chunked HTTP/1.0\r\nHost: site.test\r\nConnection: keep-alive\r\n\r\n");
    let response = streamed.response();
    assert!(!response.head.chunked() && response.until_close, "{:?}", response.head);
    assert_eq!(response.text(), "abc");

    let mut hinted = proxy.client();
    hinted.send("GET /hints HTTP/1.0\r\nHost: site.test\r\n\r\n");
    let response = hinted.response();
    assert_eq!((response.status, response.interim.len()), (200, 0), "HTTP/1.0 knows no 1xx");
}

#[test]
fn a_body_until_close_reaches_the_client_with_an_end_of_its_own() {
    let target = Target::says_and_closes("a", [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &pattern(300_000)].concat());
    let proxy = Proxy::start(http(&[&target]));
    let response = proxy.client().get("/");
    assert_same(&response.body, &pattern(300_000));
    let old = Target::says_and_closes("b", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold");
    let response = Proxy::start(http(&[&old])).client().get("/");
    assert_eq!((response.text().as_str(), response.head.start.as_str()), ("old", "HTTP/1.1 200 OK"));
}

#[test]
fn a_response_cut_short_never_looks_complete() {
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ] {
        let target = Target::says_and_closes("a", cut);
        let proxy = Proxy::start(http(&[&target]));
        let mut client = proxy.client();
        client.send(request("GET", "/", &[]));
        let broken = client.response_to("GET").expect_err(cut);
        assert!(matches!(broken, Broken::Truncated | Broken::Reset), "{cut:?}: {broken:?}");
        assert_eq!(target.requests(), 1, "a half answer is not asked for again");
        proxy.settles("ringway_pool_errors_total", &[("kind", "reset")], 1.0);
    }
}

#[test]
fn a_response_head_cut_short_is_a_502() {
    let target = Target::says_and_closes("a", "HTTP/1.1 200 OK\r\nContent-Le");
    let proxy = Proxy::start(http(&[&target]));
    assert_eq!(proxy.get("/").status, 502);
}

#[test]
fn expect_100_is_the_targets_to_answer_and_comes_once() {
    let target = Target::with("a", |peer| {
        while let Some(mut seen) = peer.head() {
            if !peer.quiet(GLANCE) {
                return;
            }
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            peer.rest(&mut seen);
            peer.echo(&seen);
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("PUT", "/", &["Content-Length: 5", "Expect: 100-continue"]));
    let interim = client.head(PATIENCE).unwrap();
    assert_eq!(status(&interim), Ok(100));
    assert!(target.last().head.names("expect", "100-continue"));
    client.send("hello");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert!(response.interim.is_empty(), "one 100 is enough");
    assert!(client.alive());
}

#[test]
fn early_hints_arrive_before_the_answer() {
    let target = Target::with("a", |peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </b.js>; rel=preload\r\n\r\n");
        let _ = peer.exact(1);
        peer.reply(200, &[], b"done");
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    for link in ["</style.css>; rel=preload", "</b.js>; rel=preload"] {
        let hint = client.head(PATIENCE).unwrap();
        assert_eq!((status(&hint), hint.field("link").as_deref()), (Ok(103), Some(link)));
    }
    assert!(client.quiet(GLANCE));
    target.hang_up();
}

#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let patient = Target::refuses_early("drain", 413, Leave::Drain);
    let closing = Target::refuses_early("close", 413, Leave::Close);
    for target in [&patient, &closing] {
        let proxy = Proxy::start(http(&[target]));
        for round in 0..5 {
            let mut client = proxy.client();
            client.send(request("PUT", &format!("/{round}"), &["Content-Length: 20000000"]));
            let mut writer = client.socket.try_clone().unwrap();
            let writing = thread::spawn(move || {
                for part in pattern(20_000_000).chunks(100_000) {
                    if std::io::Write::write_all(&mut writer, part).is_err() {
                        return;
                    }
                }
            });
            let response = client.response_to("PUT").unwrap_or_else(|e| panic!("{}: {e:?}", target.name()));
            assert_eq!((response.status, response.text().as_str()), (413, "no"), "{}", target.name());
            drop(client);
            writing.join().unwrap();
        }
        assert_eq!(target.requests(), 5, "an upload that was begun is not begun again");
    }
}

#[test]
fn a_refusal_followed_by_a_reset_mostly_reaches_the_client() {
    let target = Target::refuses_early("reset", 400, Leave::Reset);
    let proxy = Proxy::start(http(&[&target]));
    let mut refused = 0;
    for _ in 0..10 {
        let mut client = proxy.client();
        client.send(request("PUT", "/", &["Content-Length: 20000000"]));
        let _ = client.dribble(pattern(500_000), 50_000, Duration::from_millis(2));
        match client.response_to("PUT") {
            Ok(response) if response.status == 400 => refused += 1,
            Ok(response) => assert_eq!(response.status, 502),
            Err(broken) => assert_ne!(broken, Broken::TimedOut),
        }
    }
    assert!(refused >= 5, "{refused} of 10");
    assert_eq!(target.requests(), 10, "a body partly sent is not replayed");
}

#[test]
fn no_body_byte_reaches_a_target_that_said_no_to_an_expectation() {
    let target = Target::with("a", |peer| {
        while peer.head().is_some() {
            peer.reply(417, &[], b"no");
            assert!(peer.quiet(GLANCE), "a body byte came");
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("PUT", "/", &["Content-Length: 20", "Expect: 100-continue"]));
    let response = client.response_to("PUT").unwrap();
    assert_eq!((response.status, response.interim.as_slice()), (417, &[][..]));
}

#[test]
fn an_event_stream_arrives_tick_by_tick() {
    let target = Target::ticks("a", 5, Duration::from_millis(200));
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/events", &["Accept: text/event-stream"]));
    let head = client.head(PATIENCE).unwrap();
    assert_eq!(head.field("content-type").as_deref(), Some("text/event-stream"));
    let mut times = Vec::new();
    for n in 0..5 {
        assert_eq!(client.chunk().unwrap().unwrap(), format!("data: {n}\n\n").into_bytes());
        times.push(Instant::now());
    }
    let spread = times[4] - times[0];
    assert!(spread > Duration::from_millis(500), "the ticks came in one lump: {spread:?}");
}

#[test]
fn a_single_byte_is_sent_on_as_it_comes() {
    let target = Target::with("a", |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
        let _ = peer.exact(1);
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    client.head(PATIENCE).unwrap();
    assert_eq!(client.exact(1).unwrap(), b"a");
}

#[test]
fn an_upload_streams_before_it_is_complete() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.head() {
            let _ = peer.exact(5);
            peer.reply(200, &[], seen.path.as_bytes());
            let _ = peer.exact(5);
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("PUT", "/first", &["Content-Length: 10"]));
    client.send("12345");
    assert_eq!(client.response().text(), "/first");
}

#[test]
fn a_stuck_target_holds_back_the_upload() {
    let target = Target::with("a", |peer| {
        peer.head();
        // Holds the connection without reading.
        while peer.try_send("").is_ok() {
            thread::sleep(Duration::from_millis(50));
            if !peer.buffer.is_empty() && peer.buffer[0] == b'q' {
                return;
            }
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let before = proxy.resident();
    let mut client = proxy.client();
    client.socket.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    client.send(request("PUT", "/", &["Content-Length: 200000000"]));
    let block = pattern(1 << 20);
    let sent = (0..200).take_while(|_| client.try_send(&block).is_ok()).count();
    assert!(sent < 64, "{sent} MiB were taken for a target that reads none");
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "grew by {grown} bytes");
}

#[test]
fn a_stuck_client_holds_back_the_download() {
    let target = Target::with("a", |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let block = pattern(1 << 20);
        while peer.try_send(&block).is_ok() {}
    });
    let proxy = Proxy::start(http(&[&target]));
    let before = proxy.resident();
    let mut stuck: Vec<Client> = (0..8).map(|_| proxy.client()).collect();
    for client in &mut stuck {
        client.send(request("GET", "/", &[]));
    }
    target.wait_for(8);
    assert!(!within(Duration::from_secs(1), || proxy.resident().saturating_sub(before) > 16 << 20), "memory grows");
}

#[test]
fn a_head_beyond_its_limit_is_431() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + "\n[limits]\nrequest_head = \"8KiB\"\nheaders = 20\n");
    let large = format!("X-Large: {}", "v".repeat(9000));
    assert_eq!(proxy.client().ask("GET", "/", &[&large]).status, 431);
    let many: Vec<String> = (0..30).map(|n| format!("X-{n}: v")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(proxy.client().ask("GET", "/", &many).status, 431);
    let long = proxy.client().ask("GET", &format!("/{}", "p".repeat(9000)), &[]).status;
    assert!(long == 414 || long == 431, "{long}");
    let fits = format!("X-Fits: {}", "v".repeat(7000));
    assert_eq!(proxy.client().ask("GET", "/", &[&fits]).status, 200);
    assert_eq!(target.requests(), 1);
    assert!(proxy.metric("ringway_refused_total", &[("reason", "head-too-large")]) >= 1.0);
    proxy.settles("ringway_refused_total", &[("reason", "too-many-headers")], 1.0);
}

#[test]
fn a_body_beyond_its_limit_is_413_and_never_complete_at_the_target() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + "\n[limits]\nrequest_body = \"1KiB\"\n");
    let mut declared = proxy.client();
    declared.send(request("PUT", "/", &["Content-Length: 1025"]));
    assert_eq!(declared.response_to("PUT").unwrap().status, 413);
    assert_eq!(target.requests(), 0, "a declared length is refused before the target hears of it");

    let mut chunked = proxy.client();
    chunked.send(request("PUT", "/", &["Transfer-Encoding: chunked"]));
    let chunk = [b"200\r\n".as_slice(), &[b'x'; 512], b"\r\n"].concat();
    let _ = chunked.try_send([chunk.clone(), chunk.clone(), chunk].concat());
    let _ = chunked.try_send("0\r\n\r\n");
    assert_eq!(chunked.response_to("PUT").unwrap().status, 413);
    assert!(target.seen().iter().all(|s| !s.whole));

    let mut fits = proxy.client();
    assert_eq!(fits.post("/", &[b'y'; 1024]).status, 200);
}

#[test]
fn an_unfinished_body_is_408_and_never_complete_at_the_target() {
    let target = Target::echo("a");
    let config = http(&[&target]) + "\n[listeners.web.timeouts]\nclient_body = \"500ms\"\n";
    let proxy = Proxy::start(config);
    for start in [
        request("POST", "/", &["Content-Length: 100"]) + "half",
        request("POST", "/", &["Transfer-Encoding: chunked"]) + "4\r\nhalf\r\n",
    ] {
        let mut client = proxy.client();
        client.send(start);
        assert_eq!(client.response_to("POST").unwrap().status, 408);
        assert_eq!(client.ending(), Broken::Closed);
    }
    eventually("the target's connections end", || target.open() == 0);
    assert!(target.seen().iter().all(|s| !s.whole), "behaviours: http_request_buffer, http_wait_for_body");
    proxy.settles("ringway_refused_total", &[("reason", "body-timeout")], 2.0);
}

#[test]
fn a_body_that_the_client_cuts_is_cut_at_the_target() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for (n, start) in [
        request("POST", "/", &["Content-Length: 100"]) + "half",
        request("POST", "/", &["Transfer-Encoding: chunked"]) + "4\r\nhalf\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = proxy.client();
        client.send(start);
        target.wait_for(n + 1);
        drop(client);
        eventually("the target sees the end", || target.open() == 0);
        assert!(!target.last().whole);
    }
    eventually("both are counted as the client's doing", || {
        let left = proxy.metric("ringway_pool_errors_total", &[("kind", "client-abort")]);
        left + proxy.metric("ringway_refused_total", &[("reason", "bad-framing")]) == 2.0
    });
}

#[test]
fn requests_that_could_be_read_in_two_ways_are_refused() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for (fields, body) in [
        (&["Content-Length: 5", "Content-Length: 6"][..], "hello"),
        (&["Content-Length: +5"][..], "hello"),
        (&["Content-Length: 5, 6"][..], "hello"),
        (&["Transfer-Encoding: chunked, identity"][..], "0\r\n\r\n"),
        (&["Transfer-Encoding: xchunked"][..], "0\r\n\r\n"),
        (&["Transfer-Encoding : chunked"][..], "0\r\n\r\n"),
        (&["X: a\r\n folded"][..], ""),
    ] {
        let mut client = proxy.client();
        client.send(request("POST", "/", fields) + body);
        let response = client.response_to("POST").unwrap();
        assert!(response.status == 400 || response.status == 501, "{fields:?}: {}", response.status);
        assert_eq!(client.ending(), Broken::Closed, "{fields:?}");
    }
    assert_eq!(target.requests(), 0);
}

#[test]
fn nonsense_from_a_target_is_a_502_counted_by_kind() {
    let kinds = [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nbad name: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
    ];
    for nonsense in kinds {
        let target = Target::says_and_closes("a", nonsense);
        let proxy = Proxy::start(http(&[&target]));
        let response = proxy.get("/");
        assert_eq!(response.status, 502, "{nonsense:?}");
        assert!(!response.text().contains(&target.to_string()), "{nonsense:?}: internals are hidden");
        proxy.settles("ringway_pool_errors_total", &[("kind", "bad-response")], 1.0);
        proxy.settles("ringway_http_requests_total", &[("code_class", "5xx")], 1.0);
        assert_eq!(target.requests(), 1, "nonsense is not asked for twice");
    }
}

#[test]
fn an_endless_response_head_is_bounded() {
    let target = Target::with("a", |peer| {
        peer.request();
        let _ = peer.try_send("HTTP/1.1 200 OK\r\n");
        while peer.try_send(format!("X-More: {}\r\n", "m".repeat(4000))).is_ok() {}
    });
    let proxy = Proxy::start(http(&[&target]));
    assert_eq!(proxy.get("/").status, 502);
}

#[test]
fn a_large_but_reasonable_response_head_passes() {
    let cookie = format!("Set-Cookie: {}\r\n", "c".repeat(3000));
    let target =
        Target::says("a", format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", cookie.repeat(5)).into_bytes());
    let response = Proxy::start(http(&[&target])).get("/");
    assert_eq!((response.status, response.head.lines("set-cookie").len()), (200, 5), "repeated lines stay apart");
}

/// http_abortonclose: a client that has gone, whichever way, keeps no target busy.
#[test]
fn a_client_that_leaves_frees_its_target() {
    for polite in [true, false] {
        let target = Target::mute("a");
        let proxy = Proxy::start(http(&[&target]));
        let mut client = proxy.client();
        client.send(request("GET", "/", &[]));
        target.wait_for(1);
        if polite {
            drop(client)
        } else {
            client.reset()
        }
        eventually("the abandoned exchange ends at the target", || target.open() == 0);
        proxy.settles("ringway_pool_errors_total", &[("kind", "client-abort")], 1.0);
        proxy.settles("ringway_pool_in_flight", &[], 0.0);
    }
}

#[test]
fn a_body_on_get_and_delete_is_passed_on() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("", &[&target], "balance = \"round-robin\""));
    let mut client = proxy.client();
    for method in ["GET", "DELETE", "PATCH", "PROPFIND"] {
        client.send(request(method, "/", &["Content-Length: 4"]) + "body");
        assert_eq!(client.response().text(), "body", "{method}");
        assert_eq!(target.last().method, method);
    }
}

#[test]
fn many_tiny_chunks_pass() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let body = pattern(20_000);
    let chunks: Vec<u8> = body.iter().flat_map(|byte| [b'1', b'\r', b'\n', *byte, b'\r', b'\n']).collect();
    let mut client = proxy.client();
    client.send(request("PUT", "/", &["Transfer-Encoding: chunked"]));
    client.send([&chunks[..], b"0\r\n\r\n"].concat());
    assert_same(&client.response().body, &body);
}
