//! What a user is told about a wrong `[tracing]`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

#[test]
fn values_that_cannot_be_are_told_with_what_could() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "otlp = 'grpc://127.0.0.1:4317'",
            &[
                r#"2:8 'grpc://127.0.0.1:4317' is not the URL of a collector: OTLP over gRPC is not spoken; write "http://127.0.0.1:4318": OTLP over HTTP"#,
            ],
        ),
        (
            "ca = 'ca.pem'",
            &["2:6 `ca` means nothing where the collector is asked in clear; remove it, or write an https URL"],
        ),
        (
            "slow = '0s'\ntrust = 'nobody'\nservice_name = ' '\nheaders = { 'a b' = 'c' }",
            &[
                "2:8 '0s' is out of range for `slow`; it may be 1ms to 24h",
                r#"3:9 'nobody' is no value of `trust`; write "proxies", "all" or "none""#,
                "4:16 ' ' is not a text: it is empty; write one line of text",
                r#"5:13 `a b` is not a header's name: a blank cannot be in it; write "a-b""#,
            ],
        ),
        ("sample = '101%'", &[r#"2:10 '101%' is not a share: it is more than 100%; a share is a percentage: "20%""#]),
    ];
    for (lines, expected) in cases {
        let told = brief(&Folder::with(&[("ring.toml", &format!("[tracing]\n{lines}{REST}"))]).faults());
        assert_eq!(told, *expected, "\n{lines}");
    }
}

#[test]
fn secrets_that_would_leave_the_host_in_clear_are_warned_of() {
    for (to, warned) in [("http://127.0.0.1:4318", false), ("http://otel.test", true), ("https://otel.test", false)] {
        let toml = format!("[tracing]\notlp = '{to}'\nheaders = {{ authorization = 'Bearer x' }}{REST}");
        let warnings = load(&toml).warnings.to_string();
        assert_eq!(warnings.contains("`headers` goes to another host in clear"), warned, "{to}: {warnings}");
        assert!(!warnings.contains("Bearer x"), "{warnings}");
    }
}
