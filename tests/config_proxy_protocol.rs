//! What a user is told who has the PROXY protocol wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

/// The faults of a listener with these lines.
#[track_caller]
fn told(lines: &str) -> Vec<String> {
    brief(&Folder::with(&[("ring.toml", &format!("[listeners.other]\npool = 'site'\n{lines}{REST}"))]).faults())
}

#[test]
fn a_listener_that_nobody_may_send_a_header_to_is_a_fault() {
    let expected =
        "4:1 nobody's PROXY header counts; add from = [\"10.0.0.0/8\"], the addresses of the proxies in front";
    assert_eq!(told("listen = [':1']\nproxy_protocol = {}"), [expected]);
    assert_eq!(told("listen = [':1', 'unix:/run/x']\nproxy_protocol = { require = true }"), [expected]);
    let unix = "[listeners.other]\npool = 'site'\nlisten = ['unix:/run/x']\nproxy_protocol = { require = true }";
    assert_eq!(load(&format!("{unix}{REST}")).warnings.to_string(), "", "who may connect may say so");
    let wrong = told("listen = [':1']\nproxy_protocol = { from = ['10.0.0.1/8'] }");
    assert!(wrong.len() == 1 && wrong[0].starts_with("4:28 '10.0.0.1/8' is not an address range"), "{wrong:?}");
}
