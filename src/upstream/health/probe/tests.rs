use super::super::Pattern;
use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

const SOON: Duration = Duration::from_millis(300);

fn http() -> Http {
    Http { path: "/healthz?deep=1".into(), expect: vec![(200, 299), (404, 404)], ..Http::default() }
}

fn holds(text: &str) -> Http {
    Http { expect_body: Some(Pattern::new(text).unwrap()), ..http() }
}

fn holds_not(text: &str) -> Http {
    Http { expect_not_body: Some(Pattern::new(text).unwrap()), ..http() }
}

/// A target that answers each connection with `answer`, keeps it open, and tells what it was asked.
async fn target(answer: &'static [u8]) -> (Address, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Ip(listener.local_addr().unwrap());
    let (tell, asked) = tokio::sync::mpsc::channel(10);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let _ = tell.send(String::from_utf8_lossy(&head[..length]).into_owned()).await;
            let _ = stream.write_all(answer).await;
            kept.push(stream);
        }
    });
    (address, asked)
}

async fn once(address: &Address, probe: impl Into<Probe>) -> Finding {
    run(&CheckSpec { probe: probe.into(), timeout: SOON, ..CheckSpec::of("a", "t", address.clone()) }).await
}

impl From<Http> for Probe {
    fn from(http: Http) -> Self {
        Self::Http(Box::new(http))
    }
}

async fn failure(address: &Address, probe: impl Into<Probe>) -> String {
    let found = once(address, probe).await;
    assert!(!found.passed(), "the check must fail");
    format!("{} {found}", found.outcome)
}

async fn passes(address: &Address, probe: impl Into<Probe>) -> Finding {
    let found = once(address, probe).await;
    assert!(found.passed(), "{found}");
    found
}

#[tokio::test]
async fn a_get_carries_what_targets_expect() {
    let (address, mut asked) = target(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    passes(&address, http()).await;
    let head = asked.recv().await.unwrap().to_ascii_lowercase();
    let Address::Ip(ip) = address else { panic!("an IP address") };
    assert!(head.starts_with("get /healthz?deep=1 http/1.1\r\n"), "{head}");
    for line in [format!("host: {ip}\r\n"), "user-agent: ringway-health\r\n".into(), "connection: close\r\n".into()] {
        assert!(head.contains(&line), "{head}");
    }
    let named = Http { host: Some("app.example".into()), ..http() };
    passes(&address, named).await;
    assert!(asked.recv().await.unwrap().contains("host: app.example\r\n"));
    let post = Http {
        method: "POST".into(),
        headers: vec![("x-probe".into(), "1".into()), ("user-agent".into(), "me".into())],
        body: b"{}".to_vec(),
        ..http()
    };
    assert_eq!(passes(&address, post).await.code, Some(204));
    let head = asked.recv().await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post /healthz?deep=1 ") && head.ends_with("\r\n\r\n{}"), "{head}");
    assert!(head.contains("x-probe: 1\r\n") && head.contains("content-length: 2\r\n"), "{head}");
    assert!(head.contains("user-agent: me\r\n") && !head.contains("ringway-health"), "{head}");
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_matter_unless_something_must_not_be_in_it() {
    let (address, _asked) = target(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nsome words").await;
    passes(&address, http()).await;
    passes(&address, holds("some")).await;
    assert_eq!(failure(&address, holds_not("~w.rds")).await, "L7RSP the body holds `~w.rds`");
    assert_eq!(failure(&address, holds_not("error")).await, "L7TOUT response timeout");
    assert_eq!(failure(&address, holds("other")).await, "L7TOUT response timeout");
}

#[tokio::test]
async fn a_whole_body_is_searched() {
    let (address, _asked) =
        target(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nsta\r\n6\r\ntus ok\r\n0\r\n\r\n").await;
    passes(&address, holds("status ok")).await;
    passes(&address, holds_not("status bad")).await;
    assert_eq!(failure(&address, holds("~^ok")).await, "L7RSP the body does not hold `~^ok`");
    assert_eq!(failure(&address, holds_not("tatu")).await, "L7RSP the body holds `tatu`");
}

#[tokio::test]
async fn headers_of_the_answer_must_be_as_is_said() {
    let answer = b"HTTP/1.1 200 OK\r\nX-Role: primary\r\nx-tag: a\r\nx-tag: b\r\ncontent-length: 0\r\n\r\n";
    let (address, _asked) = target(answer).await;
    let with = |fields: &[(&str, Field)]| Http {
        expect_headers: fields.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect(),
        ..http()
    };
    let is = |value: &str| Field::Is(value.as_bytes().to_vec());
    let holds = |regex: &str| Field::Holds(Pattern::new(regex).unwrap());
    let good = [("x-role", is("primary")), ("x-tag", is("b")), ("x-tag", holds("~^a$")), ("x-draining", Field::Absent)];
    passes(&address, with(&good)).await;
    passes(&address, with(&[("x-role", Field::Present)])).await;
    for (field, told) in [
        (("x-role", is("prim")), "L7RSP the header `x-role` is `primary`"),
        (("x-role", holds("~^standby")), "L7RSP the header `x-role` is `primary`"),
        (("x-role", Field::Absent), "L7RSP the header `x-role` is `primary`"),
        (("x-mode", Field::Present), "L7RSP the header `x-mode` is not there"),
        (("x-mode", is("rw")), "L7RSP the header `x-mode` is not there"),
    ] {
        assert_eq!(failure(&address, with(&[good[0].clone(), field])).await, told);
    }
}

#[tokio::test]
async fn an_early_hint_is_not_the_answer() {
    let hinted = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n";
    let (address, _asked) = target(hinted).await;
    assert_eq!(failure(&address, http()).await, "L7STS status 503");
}

#[tokio::test]
async fn each_failure_has_its_words() {
    let (silent, _asked) = target(b"").await;
    assert_eq!(passes(&silent, Probe::Tcp).await.outcome, Outcome::Connected);
    assert_eq!(failure(&silent, http()).await, "L7TOUT response timeout");
    let (stalls, _asked) = target(b"HTTP/1.1 200 OK\r\nx: ").await;
    assert_eq!(failure(&stalls, http()).await, "L7TOUT response timeout");
    let (nonsense, _asked) = target(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    assert_eq!(failure(&nonsense, http()).await, "L7RSP the answer is not HTTP/1");
    assert_eq!(failure(&nonsense, Http { h2: true, ..http() }).await, "L7RSP the answer is not HTTP/2");
    let (huge, _asked) = target(HUGE).await;
    assert_eq!(failure(&huge, http()).await, "L7RSP the response head is too large");
    let bad = Http { path: "/ \n".into(), expect: vec![], ..http() };
    assert!(failure(&silent, bad).await.starts_with("SOCKERR the check cannot be sent: "));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Ip(listener.local_addr().unwrap());
    let closes = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    assert_eq!(failure(&address, http()).await, "L7RSP closed without an answer");
    assert_eq!(failure(&address, Probe::Smtp { domain: "a".into() }).await, "L7TOUT response timeout");
    closes.abort();
    let _ = closes.await;
    assert_eq!(failure(&address, Probe::Tcp).await, "L4CON connection refused");
    assert_eq!(failure(&Address::Unix("/nonexistent.sock".into()), http()).await, "L4CON no such socket");
}

static HUGE: &[u8] = &{
    let mut head = [b'a'; 100_000];
    let start = b"HTTP/1.1 200 OK\r\nx: ";
    let mut i = 0;
    while i < start.len() {
        head[i] = start[i];
        i += 1;
    }
    head
};

#[tokio::test]
async fn a_target_on_a_unix_socket_is_asked_for_localhost() {
    let path = std::env::temp_dir().join(format!("ringway-probe-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    passes(&Address::Unix(path.clone()), http()).await;
    assert!(server.await.unwrap().contains("host: localhost\r\n"));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_script_says_and_expects_in_turn() {
    let (address, mut asked) = target(b"+OK first\r\n+ERR second\r\n").await;
    let (send, expect) =
        (|text: &str| Step::Send(text.as_bytes().to_vec()), |text: &str| Step::Expect(Pattern::new(text).unwrap()));
    let never = |text: &str, least| Step::ExpectNot { pattern: Pattern::new(text).unwrap(), least };
    let script = |steps: &[Step]| Probe::Script(steps.to_vec());
    let found = passes(&address, script(&[send("HELLO\r\n"), expect("+OK"), expect("~ERR s.c")])).await;
    assert_eq!((found.outcome, asked.recv().await.unwrap()), (Outcome::Answered, "HELLO\r\n".to_owned()));
    let failed = failure(&address, script(&[send("a"), expect("+OK"), expect("+OK")])).await;
    assert_eq!(failed, "L7TOUT step 3: response timeout", "what was taken is not found again");
    let failed = failure(&address, script(&[send("a"), never("ERR", None)])).await;
    assert_eq!(failed, "L7RSP step 2: `ERR` has come");
    passes(&address, script(&[send("a"), never("FATAL", None)])).await;
    let failed = failure(&address, script(&[send("a"), never("FATAL", Some(1000))])).await;
    assert_eq!(failed, "L7TOUT step 2: response timeout", "that something does not come shows once enough has");
}
