//! What a user is told who has wrong who may connect.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

fn with(lines: &str) -> String {
    format!("[listeners.other]\npool = 'site'\n{lines}{REST}")
}

/// The faults of a listener with these lines.
#[track_caller]
fn told(lines: &str) -> Vec<String> {
    brief(&Folder::with(&[("ring.toml", &with(lines))]).faults())
}

#[track_caller]
fn warned(lines: &str) -> String {
    load(&with(lines)).warnings.to_string()
}

#[test]
fn limits_that_limit_nothing_are_faults() {
    let nothing = "4:1 these limits limit nothing; set `connections`, how many a client may have open, or `rate`, how many it may make";
    assert_eq!(told("listen = [':1']\nlimits = {}"), [nothing]);
    assert_eq!(told("listen = [':1']\nlimits = { except = ['10.0.0.0/8'] }"), [nothing]);
    assert_eq!(
        told("listen = [':1']\nlimits = { connections = 3, burst = 4 }"),
        ["4:37 `burst` means nothing without a rate; set rate = \"20/s\", or remove it"]
    );
    assert_eq!(
        told("listen = [':1']\nlimits = { rate = '20' }"),
        ["4:19 '20' is not a rate: it does not say in which time; write \"20/s\""]
    );
    let udp = "; remove it: datagrams come without connections";
    assert_eq!(
        told("listen = [':1']\nprotocol = 'udp'\nlimits = { connections = 3 }\non_refuse = 'silent'\ndeny = ['::1']"),
        [
            format!("5:1 `limits` means nothing on a udp listener{udp}"),
            format!("6:13 `on_refuse` means nothing on a udp listener{udp}")
        ]
    );
    let wrong = told("listen = [':1']\nlimits = { connections = 0, ipv6_prefix = 129, size = 10 }");
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    let wrong = told("listen = [':1']\ndeny = ['10.0.0.1/8']\non_refuse = 'silence'");
    assert!(wrong.len() == 2 && wrong[0].starts_with("4:9 '10.0.0.1/8' is not an address range"), "{wrong:?}");
}

#[test]
fn sources_that_no_target_can_be_connected_to_from_are_faults() {
    let told = |source: &str| {
        let rest = REST.replace("[pools.site]", &format!("[pools.site]\nsource = {source}"));
        brief(&Folder::with(&[("ring.toml", &rest)]).faults())
    };
    assert_eq!(told("[]"), ["6:10 there is no source address; write source = [\"10.0.0.5\"]"]);
    assert_eq!(told("['::1']"), ["7:12 no source address is of IPv4, and this target is"]);
    for fine in ["['::1', '127.0.0.1']", "'client'"] {
        load(&REST.replace("[pools.site]", &format!("[pools.site]\nsource = {fine}")));
    }
}

#[test]
fn what_is_said_in_vain_is_a_warning() {
    let warning = warned("listen = [':1']\nallow = ['10.1.0.0/16']\ndeny = ['10.0.0.0/8']");
    assert!(warning.contains("`10.1.0.0/16` is never let in: `deny` goes first"), "{warning}");
    let warning = warned("listen = [':1']\non_refuse = 'silent'");
    assert!(warning.contains("nobody is refused here"), "{warning}");
    let warning = warned("listen = ['unix:/run/x']\ndeny = ['10.0.0.0/8']");
    assert!(warning.contains("`deny` means nothing where all clients come by a Unix socket"), "{warning}");
    for fine in [
        "listen = [':1']\nallow = ['10.0.0.0/8']\ndeny = ['10.1.0.0/16']\non_refuse = 'silent'",
        "listen = ['unix:/run/x']\nproxy_protocol = {}\nlimits = { connections = 3 }",
    ] {
        assert_eq!(warned(fine), "");
    }
}
