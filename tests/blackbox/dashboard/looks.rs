//! How the page looks: for all who use it, in light and dark, wide and narrow; and pictures of it for the documents.

use super::{open, sign_in, start};
use crate::support::Target;
use crate::support::load::Load;
use crate::support::page::Page;
use crate::support::provider::package;
use crate::support::target::refused;
use crate::support::toml::http;
use serde_json::Value;
use std::time::Duration;

/// What axe finds that is serious or critical, each with where.
fn barriers(page: &mut Page) -> Vec<String> {
    page.bring(&package("axe-core").join("axe.min.js"));
    let found = page.eval(
        "axe.run(document, { resultTypes: ['violations'] }).then(({ violations, passes }) => ({ passes: passes.length, \
         found: violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id, nodes }) => \
         `${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`) }))",
    );
    assert!(found["passes"].as_u64().is_some_and(|passes| passes > 10), "it has looked: {found}");
    let texts = found["found"].as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn nothing_keeps_anybody_from_using_the_page() {
    let target = Target::echo("a");
    let rules = "[rules.maybe]\ntype = \"ip\"\ndeny = [\"127.0.0.0/8\"]\nmode = \"shadow\"\n";
    let long = "a-name-of-64-letters".repeat(4)[..64].replace('-', "_");
    let place = "/nowhere/".to_owned() + &"folder".repeat(12);
    let config = format!(
        "[caches.{long}]\nmemory = \"4MiB\"\n[rules.{long}]\ntype = \"ip\"\nallow = [\"10.0.0.0/8\"]\n\
         [consumers.{long}]\nkeys = [\"a-key-of-16-bytes-and-more\"]\n[pools.{long}]\ntargets = [\"unix:{place}\"]\n\
         [caches.pages]\nmemory = \"4MiB\"\n[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n{rules}\
         [routes.lost]\npaths = [\"/lost\"]\npool = \"lost\"\nrules = [\"maybe\"]\ncache = \"pages\"\n\
         [consumers.acme]\nkeys = [\"a-key-of-16-bytes-or-more\"]\n[pools.site]\ntargets = [\"{target}\"]\n\
         [pools.lost]\ntargets = [\"{}\"]\nhealth = {{ type = \"tcp\", interval = \"100ms\", fall = 1 }}\n",
        refused()
    );
    let proxy = start(&config);
    let load = Load::start(&proxy.web(), 1, Duration::from_millis(20));
    assert_ne!(proxy.get("/lost").status, 200);
    let file = proxy.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "\n[pools.other]\ntargets = [\"127.0.0.1:9\"]\n").unwrap();
    proxy.signal(libc::SIGHUP);
    let mut page = open(&proxy);
    sign_in(&mut page);
    for part in ["requests", "rules", "caches", "changes"] {
        page.wait(&format!("document.querySelector('#{part} tbody tr')"));
    }
    for scheme in ["light", "dark"] {
        page.prefers(scheme);
        for (width, height) in [(1280, 900), (390, 844)] {
            page.size(width, height);
            assert_eq!(barriers(&mut page), Vec::<String>::new(), "{scheme}, {width} px");
            let wider = page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assert_eq!(wider, 0, "{scheme}, {width} px: it has to be pushed sideways");
            page.press("#targets button[aria-label^='Drain']");
            page.wait("document.querySelector('dialog[open]')");
            assert_eq!(barriers(&mut page), Vec::<String>::new(), "{scheme}, {width} px, a question");
            page.key("Escape");
            page.wait("!document.querySelector('dialog')");
        }
    }
    load.stop().assert_clean();
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}

#[test]
fn the_switch_makes_the_page_dark_and_that_stays() {
    let proxy = start(&http(&[Target::echo("a").to_string()]));
    let mut page = open(&proxy);
    page.prefers("light");
    let dark = "getComputedStyle(document.body).backgroundColor !== 'rgb(243, 245, 248)'";
    page.wait(&format!("!({dark})"));
    page.eval("(() => { const it = document.querySelector('#theme'); it.value = 'dark'; it.dispatchEvent(new Event('change')); })()");
    page.wait(dark);
    page.go(&format!("http://{}/dashboard/", proxy.admin()));
    page.wait(dark);
    page.prefers("dark");
    page.eval("(() => { const it = document.querySelector('#theme'); it.value = 'light'; it.dispatchEvent(new Event('change')); })()");
    page.wait(&format!("!({dark})"));
}

#[test]
fn what_draws_the_charts_is_as_it_was_published() {
    let package = package("uplot");
    let ours = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/dashboard/assets/vendor");
    let about: Value = serde_json::from_str(&std::fs::read_to_string(package.join("package.json")).unwrap()).unwrap();
    let notice = std::fs::read_to_string(ours.join("THIRD-PARTY.md")).unwrap();
    assert!(notice.contains(&format!("| {}, the npm package `uplot` |", about["version"].as_str().unwrap())));
    for (theirs, name) in [
        ("dist/uPlot.iife.min.js", "uPlot.iife.min.js"),
        ("dist/uPlot.min.css", "uPlot.min.css"),
        ("LICENSE", "uPlot.LICENSE"),
    ] {
        assert!(std::fs::read(package.join(theirs)).unwrap() == std::fs::read(ours.join(name)).unwrap(), "{name}");
    }
}
