//! What a user is told about a wrong `[analytics]`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

#[test]
fn values_that_cannot_be_are_told_with_what_could() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "max_series = 5\nretention = { minutes = '5m' }",
            &[
                "2:14 5 is out of range for `max_series`; it may be 100 to 1000000",
                "3:25 '5m' is out of range for `minutes`; it may be 1h to 90d",
            ],
        ),
        (
            "retention = { minutes = '3d', hours = '2d' }",
            &["2:39 `hours` ends before `minutes` does, so that there would be none; write hours = \"3d\" or longer"],
        ),
        (
            "hooks.a = { path = 'a', syslog = 'unix:/dev/log' }",
            &["2:34 a hook has one of `url`, `path` and `syslog`; write url = \"https://events.example.com/requests\""],
        ),
        ("hooks.a = { path = 'a', headers = { a = 'b' } }", &["2:25 `headers` means nothing without `url`; remove it"]),
    ];
    for (lines, expected) in cases {
        let told = brief(&Folder::with(&[("ring.toml", &format!("[analytics]\n{lines}{REST}"))]).faults());
        assert_eq!(told, *expected, "\n{lines}");
    }
}

#[test]
fn a_table_alone_is_enough() {
    let analytics = load(&format!("[analytics]{REST}")).config.analytics.unwrap();
    assert_eq!((analytics.max_series, analytics.retention.days.to_string().as_str()), (10_000, "730d"));
    assert!(load(REST).config.analytics.is_none());
}
