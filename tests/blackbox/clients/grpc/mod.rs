//! tonic as client and as target of gRPC, with a proxy that speaks HTTP/2 on both sides.

pub mod service;

use super::Front;
use crate::support::{PATIENCE, Target, assert_same, eventually, h2, pattern};
use bytes::Bytes;
use futures_util::future::join_all;
use service::{Calls, Server, failure};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

/// With clients and targets in clear, and with TLS on both sides.
fn each_way(act: impl AsyncFn(Calls, &Server)) {
    for secure in [false, true] {
        let server = Server::start(secure);
        let front = Front::start(secure, &[server.address], &server.pool);
        calls(&front, async |calls| act(calls, &server).await);
    }
}

fn calls(front: &Front, act: impl AsyncFnOnce(Calls)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(PATIENCE, act(Calls::to(front).await)).await });
    done.expect("all calls end in time");
}

#[track_caller]
fn assert_failure(status: &Status) {
    let want = failure();
    assert_eq!((status.code(), status.message(), status.details()), (want.code(), want.message(), want.details()));
    for name in ["x-why", "x-why-bin"] {
        let value = |status: &Status| status.metadata().clone().into_headers().get(name).cloned();
        assert_eq!(value(status), value(&want), "{name} in {status:?}");
    }
}

#[test]
fn a_call_has_its_answer_and_metadata_pass_both_ways() {
    let bytes = Bytes::from(pattern(3 << 20));
    each_way(async |calls, _| {
        for size in [0, 1, 16_384, 70_000, 3 << 20] {
            let mut request = Request::new(bytes.slice(..size));
            request.metadata_mut().insert("x-asked", "1, 2".parse().unwrap());
            request.metadata_mut().insert_bin("x-asked-bin", MetadataValue::from_bytes(&[0, 1, 254]));
            let response = calls.one(request).await.unwrap();
            assert_eq!(response.metadata().get("x-asked").unwrap(), "1, 2");
            let binary = response.metadata().get_bin("x-asked-bin").unwrap();
            assert_eq!(binary.to_bytes().unwrap(), Bytes::from_static(&[0, 1, 254]));
            assert_same(response.get_ref(), &bytes[..size]);
        }
    });
}

#[test]
fn many_calls_share_a_connection() {
    each_way(async |calls, _| {
        let asked = (0..300).map(|n| {
            let calls = calls.clone();
            async move { calls.one(Request::new(format!("{n}").into())).await.unwrap().into_inner() }
        });
        let answers = join_all(asked).await;
        assert!(answers.iter().enumerate().all(|(n, answer)| *answer == n.to_string()), "{answers:?}");
    });
}

#[test]
fn a_stream_of_the_clients_is_collected() {
    let bytes = Bytes::from(pattern(2 << 20));
    each_way(async |calls, _| {
        let messages: Vec<_> = bytes.chunks(50_000).map(Bytes::copy_from_slice).collect();
        assert_same(&calls.collect(messages).await.unwrap(), &bytes);
        assert_eq!(calls.collect(Vec::new()).await.unwrap(), "");
    });
}

#[test]
fn a_stream_of_the_targets_comes_message_by_message() {
    let bytes = Bytes::from(pattern(200_000));
    each_way(async |calls, _| {
        for size in [0, 5, 200_000] {
            let mut messages = calls.repeat(bytes.slice(..size)).await.unwrap();
            for _ in 0..10 {
                assert_same(&messages.message().await.unwrap().unwrap(), &bytes[..size]);
            }
            assert_eq!(messages.message().await.unwrap(), None);
        }
    });
}

#[test]
fn in_a_conversation_each_message_is_answered_before_the_next_is_sent() {
    each_way(async |calls, server| {
        let (sender, mut answers) = calls.talk().await.unwrap();
        // The target has the call before its first message.
        server.has(1).await;
        for n in 0..100 {
            let message = Bytes::from(format!("{n}").repeat(n * n));
            sender.send(message.clone()).unwrap();
            assert_same(&answers.message().await.unwrap().unwrap(), &message);
        }
        drop(sender);
        assert_eq!(answers.message().await.unwrap(), None);
        assert_eq!(answers.trailers().await.unwrap().map(|trailers| trailers.contains_key("grpc-status")), Some(true));
    });
}

#[test]
fn an_error_comes_through_as_its_target_has_put_it() {
    each_way(async |calls, _| {
        let fail = || Bytes::from_static(b"fail");
        // Without an answer before it the status stands in the only head; behind messages it is a trailer.
        assert_failure(&calls.one(Request::new(fail())).await.unwrap_err());
        assert_failure(&calls.collect(vec!["a".into(), fail()]).await.unwrap_err());
        let mut messages = calls.repeat(fail()).await.unwrap();
        for _ in 0..10 {
            assert_eq!(messages.message().await.unwrap().unwrap(), "fail");
        }
        assert_failure(&messages.message().await.unwrap_err());
        let (sender, mut answers) = calls.talk().await.unwrap();
        sender.send("a".into()).unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), "a");
        sender.send(fail()).unwrap();
        assert_failure(&answers.message().await.unwrap_err());
        // The connection is as good as before.
        assert_eq!(calls.one(Request::new("b".into())).await.unwrap().into_inner(), "b");
    });
}

#[test]
fn a_call_that_the_client_gives_up_ends_at_the_target() {
    each_way(async |calls, server| {
        let (asks, asked) = (calls.clone(), Request::new("wait".into()));
        let waiting = tokio::spawn(async move { asks.one(asked).await });
        server.has(1).await;
        waiting.abort();
        server.has(0).await;
        // The connection is as good as before.
        assert_eq!(calls.one(Request::new("a".into())).await.unwrap().into_inner(), "a");
        let conversation = calls.talk().await.unwrap();
        server.has(1).await;
        drop((calls, conversation));
        server.has(0).await;
    });
}

#[test]
fn who_cannot_be_asked_is_unavailable() {
    let gone = crate::support::target::refused();
    let down = "health = { type = \"tcp\", interval = \"100ms\", fall = 1 }";
    for (secure, lines) in [(false, ""), (true, ""), (false, down), (true, down)] {
        let front = Front::start(secure, &[gone], &format!("protocol = \"h2\"\n{lines}"));
        if !lines.is_empty() {
            eventually("the target is down", || front.proxy.metric("ringway_target_up", &[]) == 0.0);
        }
        calls(&front, async |calls| {
            let status = calls.one(Request::new("a".into())).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert_eq!(calls.talk().await.unwrap_err().code(), Code::Unavailable);
        });
    }
}

/// tonic keeps the time itself, and is sooner with its own word for it than any proxy: so the call is made by hand.
#[test]
fn a_deadline_that_has_passed_is_told_as_one() {
    let target = Target::mute("a");
    let front = Front::start(false, &[&target], "timeouts = { response_head = \"1h\" }");
    let mut call = h2::request(http::Method::POST, "/site.Echo/One");
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    call.headers_mut().insert("te", "trailers".parse().unwrap());
    call.headers_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let answer = h2::Client::to(&front.proxy.web()).ask(call, b"\0\0\0\0\x01a").unwrap();
    let status = Status::from_header_map(&answer.fields).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(target.last().field("grpc-timeout").unwrap(), "300m", "the target may keep it too");
}
