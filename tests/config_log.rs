//! What a user is told about a wrong access log, and what a right one comes to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::config::model::{LogStatus, SyslogTo};

#[track_caller]
fn told(lines: &str) -> Vec<String> {
    let routes = "\n[routes.health]\npaths = ['/health']\npool = 'site'\n";
    brief(&Folder::with(&[("ring.toml", &format!("[access_log]\n{lines}{routes}{REST}"))]).faults())
}

#[test]
fn a_name_that_nothing_has_is_told_with_the_nearest() {
    assert_eq!(told("listeners = ['wbe']"), ["2:14 no listener is named `wbe`; did you mean `web`?"]);
    assert_eq!(told("except_routes = ['health', 'helth']"), ["2:28 no route is named `helth`; did you mean `health`?"]);
    assert_eq!(told("routes = ['xyzzy']"), ["2:11 no route is named `xyzzy`; the only route is `health`"]);
}

#[test]
fn a_field_that_nobody_knows_is_told_with_the_nearest() {
    let no = |template: &str, what: &str, help: &str| {
        let expected = format!("2:10 '{template}' is not a log's format: {what}; {help}");
        assert_eq!(told(&format!("format = '{template}'")), [expected]);
    };
    no("{clent.ip} {status}", "no field is named `clent.ip`", "did you mean `client.ip`?");
    no("{uri}", "no field is named `uri`", "did you mean `request.uri`?");
    no("{request.header.x}", "no field is named `request.header.x`", "did you mean `request.headers.NAME`?");
    no("{time", "it has a brace without its other half", "write \"{{\" and \"}}\" for braces");
    let told = told("format = '{bogus}'");
    assert!(told[0].contains("no field is named `bogus`; the fields are time, "), "{told:?}");
}

#[test]
fn keys_that_exclude_each_other_are_faults() {
    for (lines, expected) in [
        (
            "path = 'stdout'\nsyslog = { to = 'unix:/dev/log' }",
            "3:1 the access log goes to one place, and there are two; remove `path` or `syslog`",
        ),
        (
            "routes = ['health']\nexcept_routes = ['health']",
            "3:17 `except_routes` means nothing beside `routes`; remove one of them",
        ),
        ("slow = '2s'", "2:8 `slow` means nothing unless what is slow is kept; set keep = [\"slow\"], or remove it"),
        (
            "format = '{status}'\nheaders = ['x-tenant']",
            "3:11 `headers` means nothing beside a template; write {request.headers.NAME} in the template",
        ),
        (
            "redact = { headers = ['host'] }",
            "2:23 `host` cannot be redacted: it is how requests are told apart; remove it",
        ),
        (
            "redact = { except_headers = ['x-y'] }",
            "2:30 `x-y` is shown without being excepted; those that are not shown are `authorization`, \
             `proxy-authorization`, `cookie`, `set-cookie`, `x-api-key`, `apikey`, `x-auth-token`",
        ),
    ] {
        assert_eq!(told(lines), [expected], "{lines}");
    }
}

#[test]
fn a_server_or_status_that_cannot_be_says_why() {
    for (lines, expected) in [
        (
            "syslog = { to = 'udp://log.test:514' }",
            "2:17 'udp://log.test:514' is not a syslog server: names are not resolved; write the IP address in place of the name",
        ),
        (
            "syslog = { to = '127.0.0.1:514' }",
            "2:17 '127.0.0.1:514' is not a syslog server: it does not say how to send; write \"udp://127.0.0.1:514\", \
             \"tcp://127.0.0.1:514\", or \"unix:/dev/log\"; names are not resolved",
        ),
        ("syslog = {}", "2:1 `access_log.syslog` has no `to`; `to`: the server: \"udp://127"),
        (
            "syslog = { to = 'unix:/dev/log', facility = 'local9' }",
            "2:45 'local9' is no value of `facility`; did you mean \"local",
        ),
        ("status = ['700']", "2:11 '700' is not a set of status codes: a status is a number from 100 to 599; write"),
        ("redact = { query = ['a=b'] }", "2:21 'a=b' is not a query's key: `=` cannot be in it; write \"token\""),
    ] {
        let told = told(lines);
        assert!(told[0].starts_with(expected), "{lines}: {told:?}");
    }
}

#[test]
fn a_right_one_reads_as_it_was_written() {
    let log = "[access_log]\nstatus = [404, '500-599', 'none']\nheaders = ['X-Tenant']\n\
               syslog = { to = 'unix:log.sock', facility = 'daemon' }\nredact = { except_headers = ['Cookie'] }\n";
    let log = load(&format!("{log}{REST}")).config.access_log.unwrap();
    let ranges: Vec<_> = log.status.iter().flat_map(LogStatus::ranges).collect();
    assert_eq!(ranges, [(404, 404), (500, 599), (0, 0)]);
    assert_eq!(log.headers, ["x-tenant"]);
    let syslog = log.syslog.unwrap();
    assert!(matches!(&syslog.to, SyslogTo::Unix(path) if path.is_absolute() && path.ends_with("log.sock")));
    assert_eq!((syslog.facility as u8, syslog.app_name.as_str()), (3, "ringway"));
    let hidden = log.redact.all_headers();
    assert!(hidden.contains(&"set-cookie".to_owned()) && !hidden.contains(&"cookie".to_owned()));
}
