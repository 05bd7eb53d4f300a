//! What the page shows, and what is done with it.

use super::{open, sign_in, start};
use crate::support::load::Load;
use crate::support::toml::http;
use crate::support::{Target, eventually};
use std::time::Duration;

#[test]
fn a_target_that_is_drained_on_the_page_gets_no_more_requests() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = start(&http(&[&a, &b]));
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(5));
    let mut page = open(&proxy);
    eventually("both get requests", || a.requests() > 5 && b.requests() > 5);
    sign_in(&mut page);
    page.press(&format!("#targets button[aria-label^='Drain: {a}']"));
    page.wait("document.querySelector('dialog').textContent.includes('1 other target of site takes work')");
    page.press("dialog button.go");
    page.wait("[...document.querySelectorAll('#targets td')].some((cell) => cell.textContent === 'draining')");
    let before = a.requests();
    let others = b.requests();
    eventually("the other gets them all", || b.requests() > others + 50);
    assert!(a.requests() <= before + 1, "{} after {before}", a.requests());
    load.stop().assert_clean();
    page.press(&format!("#targets button[aria-label^='Ready: {a}']"));
    page.press("dialog button.go");
    page.wait("![...document.querySelectorAll('#targets td')].some((cell) => cell.textContent === 'draining')");
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}
