//! Pictures of the page for the documents: `scripts/screenshots` has them taken.

use super::{ending, open, sign_in, start};
use crate::support::client::get;
use crate::support::page::Page;
use crate::support::proxy::Directory;
use crate::support::{Target, eventually};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A target that takes about so long, sometimes much longer, and fails a share of what it is asked.
fn target(name: &str, millis: f64, failing: f64) -> Target {
    Target::with(name, move |peer| {
        while let Some(seen) = peer.request() {
            let factor = if fastrand::f64() < 0.01 { 90.0 } else { (fastrand::f64() * 1.6).exp() };
            std::thread::sleep(Duration::from_secs_f64(millis * factor / 1000.0));
            let fails = seen.path != "/healthz" && fastrand::f64() < failing;
            let status = if fails { 503 } else { 200 };
            if peer.reply(status, &["Cache-Control: max-age=20"], &[b'x'; 900]).is_none() {
                return;
            }
        }
    })
}

/// Asks for this and that, more at some times than at others.
fn visit(web: &str, client: usize, stop: &AtomicBool) {
    let paths = ["/api/orders", "/", "/static/app.js", "/api/users/7", "/pricing", "/static/logo.svg"];
    for n in client.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let path = if n % 40 == 0 { "/staff/x" } else { paths[n % paths.len()] };
        get(web, &format!("{path}?{}", n % 25));
        let wave = 1.0 + (n as f64 / 60.0).sin();
        std::thread::sleep(Duration::from_secs_f64(fastrand::f64() * 0.03 * wave));
    }
}

/// Ends the load, also when something has failed.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn save(page: &mut Page, name: &str, whole: bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), page.picture(whole)).unwrap();
}

#[test]
#[ignore = "it is for scripts/screenshots, and takes a minute and a half"]
fn pictures() {
    let (a, b, c) = (target("a", 9.0, 0.0), target("b", 7.0, 0.0), target("c", 22.0, 0.05));
    let lost = target("d", 5.0, 0.0);
    lost.kill();
    let folder = Directory::new();
    ending(9).write(folder.path(), "site");
    let folder = folder.path().display();
    let config = format!(
        "[caches.static]\nmemory = \"64MiB\"\n\
         [listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n\
         [listeners.secure]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n\
         tls = {{ certificates = [{{ cert = \"{folder}/site.pem\", key = \"{folder}/site.key\" }}] }}\n\
         [listeners.postgres]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\npool = \"orders-db\"\n\
         [consumers.acme]\nkeys = [\"a-key-of-acme-0123\"]\ngroups = [\"gold\"]\n[consumers.globex]\nkeys = [\"a-key-of-globex-0123\"]\n\
         [rules.office]\ntype = \"ip\"\nallow = [\"10.0.0.0/8\"]\n[rules.new-keys]\ntype = \"api-key\"\nmode = \"shadow\"\n\
         [rules.per-client]\ntype = \"rate-limit\"\nrate = \"5000/s\"\nkey = \"client-ip\"\n\
         [routes.api]\nlisteners = [\"web\", \"secure\"]\npaths = [\"/api/\"]\npool = \"api\"\nrules = [\"new-keys\", \"per-client\"]\n\
         [routes.static]\nlisteners = [\"web\", \"secure\"]\npaths = [\"/static/\"]\npool = \"site\"\ncache = \"static\"\n\
         [routes.staff]\nlisteners = [\"web\", \"secure\"]\npaths = [\"/staff/\"]\npool = \"site\"\nrules = [\"office\"]\n\
         [pools.site]\ntargets = [\"{a}\", \"{b}\"]\nhealth = {{ type = \"http\", path = \"/healthz\" }}\n\
         [pools.api]\ntargets = [\"{c}\", \"{a}\", \"{lost}\"]\nbalance = \"least-conn\"\nhealth = {{ type = \"http\", path = \"/healthz\" }}\n\
         [pools.orders-db]\ntargets = [\"{b}\"]\n"
    );
    let proxy = start(&config);
    let (web, stop) = (proxy.web(), AtomicBool::new(false));
    let mut page = open(&proxy);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (web, stop) = (&web, &stop);
            scope.spawn(move || visit(web, client, stop));
        }
        let _stop = Stop(&stop);
        sign_in(&mut page);
        let file = proxy.config_file();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("rate = \"5000/s\"", "rate = \"6000/s\"")).unwrap();
        proxy.signal(libc::SIGHUP);
        page.wait("document.querySelector('#changes tbody tr')");
        page.wait("document.querySelectorAll('#requests tbody tr').length > 8");
        eventually("a target is down", || proxy.metric("ringway_target_up", &[("target", &lost.to_string())]) == 0.0);
        std::thread::sleep(Duration::from_secs(70));
        page.eval("document.activeElement.blur()");
        for scheme in ["light", "dark"] {
            page.prefers(scheme);
            for (device, width, height) in [("desktop", 1280, 1330), ("phone", 390, 844)] {
                page.size(width, height);
                page.eval("scrollTo({ top: 0, behavior: 'instant' })");
                page.eval("new Promise((done) => setTimeout(done, 2500))");
                save(&mut page, &format!("{device}-{scheme}"), false);
            }
        }
        page.prefers("light");
        page.size(1280, 900);
        for part in ["requests", "targets"] {
            page.eval(&format!("document.querySelector('#{part}').scrollIntoView({{ behavior: 'instant' }})"));
            page.eval("new Promise((done) => setTimeout(done, 1500))");
            save(&mut page, part, false);
        }
        page.size(390, 844);
        page.eval("document.querySelector('#targets').scrollIntoView({ behavior: 'instant' })");
        page.press("#targets button[aria-label^='Drain']");
        page.wait("document.querySelector('dialog[open]')");
        save(&mut page, "phone-drain", false);
    });
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}
