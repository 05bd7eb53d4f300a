//! The guides of docs/guides: the one configuration of each page is accepted as it stands, and does what the page promises.
//!
//! A test takes a page's configuration, puts its own addresses in the place of the page's, and nothing else: where the page
//! no longer holds what is to be replaced, the test fails.

mod api;
mod blue_green;
mod https;
mod kubernetes_api;
mod mail;
mod postgresql;
mod several_hosts;
mod sni;
mod websocket;

use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::tls::{Authority, Kind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The pages that have a test of what they promise.
const PAGES: [&str; 9] =
    ["api", "blue-green", "https", "kubernetes-api", "mail", "postgresql", "several-hosts", "sni", "websocket"];

/// A page's configuration, with places of the test's own.
struct Guide {
    page: String,
    text: String,
}

impl Guide {
    /// The first configuration of docs/guides/NAME.md.
    #[track_caller]
    fn read(page: &str) -> Guide {
        let text = std::fs::read_to_string(folder().join(format!("{page}.md"))).unwrap();
        let block = blocks(&text).into_iter().next().expect("a page has a configuration");
        Guide { page: page.to_owned(), text: block.to_owned() }
    }

    /// Puts `own` in the place of what the page says, wherever it says so.
    #[track_caller]
    fn with(mut self, said: &str, own: impl std::fmt::Display) -> Guide {
        assert!(self.text.contains(said), "{}.md does not say {said:?} any more:\n{}", self.page, self.text);
        self.text = self.text.replace(said, &own.to_string());
        self
    }

    /// The same for addresses that are listened on: any free port.
    #[track_caller]
    fn listening(self, said: &[&str]) -> Guide {
        said.iter().fold(self, |guide, said| guide.with(said, "\"127.0.0.1:0\""))
    }

    /// To be started, with an admin listener of its own; files that it names may be put beside it.
    #[track_caller]
    fn setup(self) -> Setup {
        let own = self.with("\"127.0.0.1:9901\"", "\"127.0.0.1:0\"").with("/run/ringway/admin.sock", "admin.sock");
        Setup::new(own.text)
    }

    #[track_caller]
    fn start(self) -> Proxy {
        self.setup().start()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides")
}

/// The configurations of a page.
fn blocks(text: &str) -> Vec<&str> {
    text.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
}

/// Makes the files that a configuration names: certificates with their keys, keys, and what is secret.
fn make_files(config: &str, directory: &Directory) {
    let authority = Authority::new("Guide");
    let pair = authority.server(&["example.com"], Kind::Ecdsa);
    for quoted in config.split('"').skip(1).step_by(2) {
        let text = match quoted.rsplit_once('.').map(|(_, end)| end) {
            Some("pem") if quoted.contains("ca") => authority.pem(),
            Some("pem") => pair.cert.clone(),
            Some("key") => pair.key.clone(),
            Some("secret") => "s".repeat(48),
            Some("json") => "{\"keys\": []}".to_owned(),
            _ => continue,
        };
        directory.write(quoted, &text);
    }
}

#[test]
fn every_guide_has_one_configuration_that_is_accepted_as_it_stands() {
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "README" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let all = blocks(&text);
        let [block] = all[..] else { panic!("{name}.md has {} configurations", all.len()) };
        let directory = Directory::new();
        make_files(block, &directory);
        let file = directory.write("ringway.toml", block);
        let (code, said, why) = ringway(&["check", "-c", &file]);
        assert_eq!(code, Some(0), "{name}.md:\n{said}{why}");
        assert!(!why.contains("warning"), "{name}.md:\n{why}");
        pages.insert(name);
    }
    assert_eq!(pages, PAGES.map(str::to_owned).into(), "the pages that are tried");
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for page in PAGES {
        assert!(index.contains(&format!("({page}.md)")), "the index has {page}.md");
    }
}
