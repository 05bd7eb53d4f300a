//! Configurations in folders of their own.

use ringway::config::{self, Loaded, Report};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of its own for each configuration, removed in the end.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes a folder with these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ringway-config-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder.canonicalize().unwrap())
    }

    /// Loads its `ring.toml`.
    pub fn load(&self) -> Result<Loaded, Report> {
        config::load(&self.0.join("ring.toml"), &environment)
    }

    /// The report as text, with paths relative to the folder.
    #[allow(dead_code, reason = "each test file uses its part")]
    pub fn faults(&self) -> String {
        let report = self.load().err().map(|report| report.to_string()).unwrap_or_default();
        report.replace(&format!("{}/", self.0.display()), "")
    }
}

/// Each fault in one line: `line:column what; help`.
#[allow(dead_code, reason = "each test file uses its part")]
pub fn brief(report: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for part in report.split("\n\n") {
        let after = |mark: &str| part.lines().find_map(|line| line.trim_start().strip_prefix(mark));
        let place = after("--> ").and_then(|place| place.split_once(':')).map_or("-", |(_, place)| place);
        let help = after("= help: ").map(|help| format!("; {help}")).unwrap_or_default();
        lines.push(format!("{place} {}{help}", after("error: ").unwrap_or_default()));
    }
    lines
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "PORT" => "8080",
        "ADDRESS" => "127.0.0.1:8080",
        "SECRET" => "Hunter2-is-secret",
        _ => return None,
    };
    Some(value.into())
}

/// Loads a configuration that is right.
pub fn load(toml: &str) -> Loaded {
    Folder::with(&[("ring.toml", toml)]).load().unwrap_or_else(|report| panic!("{report}"))
}

/// A listener and a pool that are right, for cases about something else.
pub const REST: &str =
    "\n[listeners.web]\nlisten = ['127.0.0.1:80']\npool = 'site'\n[pools.site]\ntargets = ['127.0.0.1:1']\n";
