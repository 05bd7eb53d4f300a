//! What the page shows, and what is done with it.

use super::{ending, open, sign_in, start, start_of};
use crate::support::load::Load;
use crate::support::page::Page;
use crate::support::proxy::{Directory, Setup};
use crate::support::target::refused;
use crate::support::toml::{http, http_with, pool};
use crate::support::{Target, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// Whether a cell of this part of the page shows this text.
fn cell(part: &str, text: &str) -> String {
    format!("[...document.querySelectorAll('#{part} td')].some((cell) => cell.textContent.includes('{text}'))")
}

#[track_caller]
fn assert_calm(page: &Page) {
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}

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
    page.wait(&cell("targets", "draining"));
    page.wait("document.querySelector('#figures .figure:last-child').textContent.includes('1 of 2')");
    assert_eq!(page.eval("document.querySelector('#figures .figure:last-child').dataset.state ?? null"), Value::Null);
    let before = a.requests();
    let others = b.requests();
    eventually("the other gets them all", || b.requests() > others + 50);
    assert!(a.requests() <= before + 1, "{} after {before}", a.requests());
    load.stop().assert_clean();
    page.press(&format!("#targets button[aria-label^='Ready: {a}']"));
    page.press("dialog button.go");
    page.wait(&format!("!{}", cell("targets", "draining")));
    page.press(&format!("#targets button[aria-label^='Weight: {b}']"));
    page.wait("document.querySelector('dialog input[type=number]')");
    page.eval("document.querySelector('dialog input[type=number]').value = '7'");
    page.press("dialog button.go");
    page.wait(&cell("targets", "7 (1)"));
    assert_calm(&page);
}

#[test]
fn charts_move_while_requests_come_and_figures_tell_how_many() {
    let target = Target::echo("a");
    let proxy = start(&http(&[&target]));
    let mut page = open(&proxy);
    page.wait("document.querySelector('#state').textContent.includes('All is well')");
    page.wait("document.querySelector('#chart-requests canvas')");
    let look = "document.querySelector('#chart-requests canvas').toDataURL() + document.querySelector('#chart-heat canvas').toDataURL()";
    let idle = page.eval(look);
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(5));
    page.wait("Number(document.querySelector('#figures .value').textContent) > 20");
    page.wait("/all [1-9]/.test(document.querySelector('#chart-requests [role=img]').ariaLabel)");
    page.wait("/50 % .* (ms|µs|s) now/.test(document.querySelector('#chart-latency [role=img]').ariaLabel)");
    assert_ne!(page.eval(look), idle);
    let then = page.eval(look);
    page.wait(&format!("{look} !== {then}"));
    page.wait("document.querySelector('[id=\"listener web\"] .rate').textContent.match(/^[1-9]/)");
    load.stop().assert_clean();
    assert_calm(&page);
}

#[test]
fn a_page_that_nobody_sees_asks_for_nothing() {
    let proxy = start(&http(&[&Target::echo("a")]));
    let mut page = open(&proxy);
    page.eval("Object.defineProperty(document, 'hidden', { value: true, configurable: true })");
    page.eval("document.dispatchEvent(new Event('visibilitychange'))");
    page.eval("performance.setResourceTimingBufferSize(100000)");
    page.eval("new Promise((done) => setTimeout(done, 1500))");
    let asked = page.eval("performance.getEntriesByType('resource').length");
    page.eval("new Promise((done) => setTimeout(done, 2500))");
    assert_eq!(page.eval("performance.getEntriesByType('resource').length"), asked);
    page.eval("Object.defineProperty(document, 'hidden', { value: false, configurable: true })");
    page.eval("document.dispatchEvent(new Event('visibilitychange'))");
    page.wait(&format!("performance.getEntriesByType('resource').length > {asked}"));
}

#[test]
fn what_is_wrong_stands_at_the_top_and_failing_requests_with_their_reason() {
    let slow = Target::slow("slow", Duration::from_millis(1200));
    let config = format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n[routes.lost]\npaths = [\"/lost\"]\npool = \"lost\"\n\
         [pools.site]\ntargets = [\"{slow}\"]\n[pools.lost]\ntargets = [\"{}\"]\nhealth = {{ type = \"tcp\", interval = \"100ms\", fall = 1 }}\n",
        refused()
    );
    let proxy = start(&config);
    let mut page = open(&proxy);
    page.wait("document.querySelector('#headline').dataset.state === 'bad'");
    page.wait("document.querySelector('#state').textContent.includes('No target of pool lost takes work')");
    assert_eq!(proxy.get("/lost?token=secret").status, 503);
    assert_eq!(proxy.get("/page?token=secret").status, 200);
    for text in ["GET site.test/lost", "503 no-target", "200 slow"] {
        page.wait(&cell("requests", text));
    }
    page.wait("document.querySelector('#requests .phases[aria-label*=\"waiting for the answer\"]')");
    assert_eq!(page.eval("document.body.innerText.includes('secret')"), false, "queries are not shown");
    assert_eq!(page.eval("document.title.includes('No target of pool lost')"), true);
    assert_calm(&page);
}

#[test]
fn clients_are_banned_and_requests_explained_and_changes_told_on_the_page() {
    let target = Target::echo("a");
    let proxy = start(&http(&[&target]));
    let mut page = open(&proxy);
    sign_in(&mut page);
    page.press("#bans .title button");
    page.wait("document.activeElement.matches('dialog input')");
    page.write("192.0.2.0/24");
    page.press("dialog button.go");
    page.wait(&cell("bans", "192.0.2.0/24"));
    page.press("#bans td button");
    page.press("dialog button.go");
    page.wait("document.querySelector('#bans').textContent.includes('Nobody is banned')");
    page.eval("document.querySelector('#explain input').focus()");
    page.write(&format!("http://{}/some/page", proxy.web()));
    page.key("Enter");
    page.wait("document.querySelector('#explain pre').textContent.includes('site')");
    let file = proxy.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "\n[pools.other]\ntargets = [\"127.0.0.1:9\"]\n").unwrap();
    proxy.signal(libc::SIGHUP);
    page.wait(&cell("changes", "pools.other"));
    assert_calm(&page);
}

#[test]
fn rules_and_caches_are_told_with_what_they_did() {
    let target = Target::says("a", "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok");
    let config = format!(
        "[caches.pages]\nmemory = \"4MiB\"\n[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n[rules.nobody]\ntype = \"ip\"\ndeny = [\"0.0.0.0/0\"]\n\
         [rules.maybe]\ntype = \"ip\"\ndeny = [\"127.0.0.0/8\"]\nmode = \"shadow\"\n[consumers.acme]\nkeys = [\"a-key-of-16-bytes-or-more\"]\n\
         [routes.closed]\npaths = [\"/closed\"]\npool = \"site\"\nrules = [\"nobody\"]\n\
         [routes.open]\npool = \"site\"\ncache = \"pages\"\nrules = [\"maybe\"]\n[pools.site]\ntargets = [\"{target}\"]\n"
    );
    let proxy = start(&config);
    let mut page = open(&proxy);
    assert_eq!(proxy.get("/closed").status, 403);
    (0..4).for_each(|_| assert_eq!(proxy.get("/page").status, 200));
    let row = |name: &str, texts: &[&str]| {
        format!(
            "[...document.querySelectorAll('tr')].some((row) => row.firstChild.textContent.startsWith('{name}') && \
             {texts:?}.every((text) => [...row.cells].some((cell) => cell.textContent.startsWith(text))))"
        )
    };
    page.wait(&row("nobody", &["ip", "closed", "1"]));
    page.wait(&row("maybe", &["maybeshadow: refuses nobody", "open", "4"]));
    page.wait(&row("acme", &["sha256:", "configuration"]));
    page.wait(&row("pages", &["open", "75 %", "memory"]));
    sign_in(&mut page);
    page.press("#caches button");
    page.wait("document.querySelector('dialog select')");
    page.eval("(() => { const it = document.querySelector('dialog select'); it.value = 'all'; it.dispatchEvent(new Event('change')); })()");
    page.press("dialog button.go");
    page.wait("document.querySelector('#notes').textContent.includes('purged')");
    assert_eq!(proxy.get("/page").status, 200);
    eventually("it is asked for again", || target.requests() == 2);
    assert_calm(&page);
}

#[test]
fn who_asked_for_what_is_told_as_it_is_summed_up() {
    let target = Target::echo("a");
    let rest = format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n[rules.key]\ntype = \"api-key\"\n[consumers.acme]\nkeys = [\"a-key-of-16-bytes-or-more\"]\n\
         [routes.new]\npaths = [\"/v2/\"]\nversion = \"v2\"\npool = \"site\"\nrules = [\"key\"]\n[routes.open]\npool = \"site\"\n[pools.site]\ntargets = [\"{target}\"]\n"
    );
    let proxy = start(&rest);
    let mut page = open(&proxy);
    page.wait("document.querySelector('#usage').textContent.includes('Nothing is summed up')");
    assert_calm(&page);
    drop((page, proxy));
    let state = Directory::new();
    let setup = Setup::new("").runtime(&format!("state_dir = {:?}", state.path()));
    let proxy = start_of(setup, &format!("[analytics]\n{rest}"));
    let mut page = open(&proxy);
    (0..3).for_each(|_| {
        assert_eq!(proxy.client().ask("GET", "/v2/a", &["apikey: a-key-of-16-bytes-or-more"]).status, 200);
    });
    assert_eq!(proxy.get("/").status, 200);
    let row = |first: &str, requests: u32| {
        format!(
            "[...document.querySelectorAll('#usage tbody tr')].some((row) => row.cells[0].textContent === '{first}' && \
             row.cells[1].textContent === '{requests}' && row.cells[2].textContent.includes('none'))"
        )
    };
    let choose = |page: &mut Page, by: &str| {
        page.eval(&format!(
            "(() => {{ const it = document.querySelectorAll('#usage select')[1]; it.value = '{by}'; it.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
        ));
    };
    page.wait(&row("acme", 3));
    page.wait(&row("nobody known", 1));
    choose(&mut page, "consumer,version");
    page.wait(&row("acme · v2", 3));
    choose(&mut page, "route");
    page.wait(&row("open", 1));
    assert_calm(&page);
}

#[test]
fn a_question_is_answered_by_the_keyboard_alone() {
    let target = Target::echo("a");
    let proxy = start(&http(&[&target]));
    let mut page = open(&proxy);
    sign_in(&mut page);
    page.eval("document.querySelector('#targets button').focus()");
    page.key("Enter");
    page.wait("document.querySelector('dialog[open]') && document.activeElement.closest('dialog')");
    page.key("Escape");
    page.wait("!document.querySelector('dialog')");
    assert_eq!(page.eval("document.activeElement.ariaLabel.startsWith('Drain')"), true, "the focus is where it was");
    page.key(" ");
    page.wait("document.querySelector('dialog[open]')");
    page.wait("document.querySelector('dialog').textContent.includes('No other target')");
    for _ in 0..6 {
        if page.eval("document.activeElement.classList.contains('go')") == true {
            break;
        }
        page.key("Tab");
    }
    page.key("Enter");
    page.wait(&cell("targets", "draining"));
    page.wait("document.activeElement.ariaLabel?.startsWith('Ready')");
    assert_eq!(proxy.get("/").status, 503);
    assert_calm(&page);
}

#[test]
fn certificates_are_shown_with_the_days_that_they_have_left() {
    let folder = Directory::new();
    ending(5).write(folder.path(), "site");
    let folder = folder.path().display();
    let tls = format!("tls = {{ certificates = [{{ cert = \"{folder}/site.pem\", key = \"{folder}/site.key\" }}] }}\n");
    let proxy = start(&http_with(&tls, &[&Target::echo("a")], ""));
    let mut page = open(&proxy);
    page.wait(&cell("certificates", "5 days"));
    page.wait("document.querySelector('#state').textContent.includes('ends in 5 days')");
    assert_eq!(page.eval("document.querySelector('#headline').dataset.state"), "warn");
    assert_calm(&page);
}

#[test]
fn much_trouble_leaves_the_rest_of_the_page_in_sight() {
    let pools = (0..30).map(|n| {
        let check = "health = { type = \"tcp\", interval = \"200ms\", fall = 1 }";
        pool(&format!("lost{n}"), &[&refused()], check)
    });
    let proxy = start(&(http(&[&Target::echo("a")]) + &pools.collect::<String>()));
    let mut page = open(&proxy);
    page.wait("document.querySelector('#state').textContent.includes('and 29 more')");
    page.wait("document.querySelector('#findings li:last-child').textContent.includes('and 24 more')");
    assert_eq!(page.eval("document.querySelectorAll('#findings li').length"), 7);
    assert_calm(&page);
}

#[test]
fn what_nobody_has_asked_for_a_long_time_is_forgotten() {
    let proxy = start(&http(&[&Target::echo("a")]));
    let mut page = open(&proxy);
    let told = page.eval(
        "import('/dashboard/js/rates.js').then(({ rate }) => { const then = performance.now(); let at = then; performance.now = () => at; \
         const told = [rate('gone', 0)]; at = then + 2000; told.push(rate('gone', 20)); at = then + 200000; told.push(rate('gone', 30)); \
         at = then + 201000; told.push(rate('gone', 35)); return told; })",
    );
    assert_eq!(told, json!([null, 10, null, 5]), "no average over the time in between");
}

#[test]
fn moments_of_before_a_clock_was_put_back_do_not_stop_the_charts() {
    let proxy = start(&http(&[&Target::echo("a")]));
    let moments = |after: u64| {
        let told = proxy.ask_admin("GET", &format!("/v1/traffic?after={after}"));
        let told: Value = serde_json::from_slice(&told.body).unwrap();
        told["items"].as_array().unwrap().clone()
    };
    eventually("there are moments", || !moments(0).is_empty());
    let last = moments(0).last().unwrap()["at"].as_u64().unwrap();
    assert!(moments(last).iter().all(|moment| moment["at"].as_u64() > Some(last)));
    assert!(!moments(last + 3600).is_empty(), "an hour from now none is known");
}
