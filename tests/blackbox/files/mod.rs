//! Files of a folder that a route sends: what is found and said of it, what is never sent, and what becomes of a transfer. Protects
//! nginx's alias traversal, CVE-2021-41773, CVE-2011-3192 and the case "a short answer that looks complete".

mod conditions;
mod found;
mod hanging;
mod hidden;
mod transfers;

use crate::support::proxy::Setup;
use std::path::{Path, PathBuf};

/// A proxy that is still to start, and the folder whose files it sends.
struct Site {
    setup: Setup,
    root: PathBuf,
}

impl Site {
    /// Files of a folder `www` beside the configuration, by one route with these further keys of `files`.
    fn new(keys: &str) -> Site {
        Site::with(&format!("[routes.site]\nfiles = {{ root = \"www\"{keys} }}\n"))
    }

    /// The same with routes of its own.
    fn with(routes: &str) -> Site {
        let setup = Setup::new(format!("[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n{routes}"));
        let root = setup.directory().join("www");
        std::fs::create_dir(&root).unwrap();
        Site { setup, root }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write(&self.root, name, content)
    }
}

fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}
