//! The page for browsers, in a browser.

mod looks;
mod page;
mod pictures;
mod session;

use crate::support::page::Page;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::{Authority, Kind, Made};
use rcgen::SanType;
use std::time::{Duration, SystemTime};

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A proxy with this configuration whose page can be signed in to.
pub fn start(config: &str) -> Proxy {
    start_of(Setup::new(""), config)
}

/// The same of what is set up already.
pub fn start_of(setup: Setup, config: &str) -> Proxy {
    let file = setup.directory().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"{}\"\n", file.display());
    setup.with(admin + config).start()
}

/// The page of a proxy, in a browser that says so many things of its own.
pub fn open(proxy: &Proxy) -> Page {
    let mut page = Page::start();
    page.size(1280, 900);
    page.go(&format!("http://{}/", proxy.admin()));
    page.wait("document.querySelector('#targets tbody tr')");
    page
}

/// Signs in.
pub fn sign_in(page: &mut Page) {
    page.press("#sign");
    page.wait("document.activeElement.matches('dialog input')");
    page.write(TOKEN);
    page.key("Enter");
    page.wait("document.querySelector('#sign').textContent === 'Sign out' && !document.querySelector('dialog')");
}

/// A certificate that ends in so many days.
pub fn ending(days: u64) -> Made {
    let left = Duration::from_secs(days * 86_400 + 3600);
    Authority::new("dashboard").make(Kind::Ecdsa, |params| {
        params.subject_alt_names = vec![SanType::DnsName("www.example.com".try_into().unwrap())];
        params.not_after = (SystemTime::now() + left).into();
    })
}
