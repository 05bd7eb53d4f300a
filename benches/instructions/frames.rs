//! From an address to the functions that it belongs to, inlined ones included: with link-time optimisation a symbol says
//! little.

use crate::profile::Site;
use addr2line::Loader;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

/// A function at a place in its source.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its name; line tables hold no module for what was inlined.
    pub function: String,
    /// As the compiler was given it; a file of ours from `src/` on.
    pub file: String,
    /// The line; 0 if not known.
    pub line: u32,
}

/// Reads the debug information of one executable.
pub struct Frames {
    loader: Loader,
    object: String,
    known: RefCell<HashMap<u64, Rc<[Frame]>>>,
}

impl Frames {
    /// For the executable at `path`.
    pub fn new(path: &Path) -> Self {
        let loader = Loader::new(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { loader, object: path.to_string_lossy().into_owned(), known: RefCell::default() }
    }

    /// The functions that the instruction belongs to, innermost first; none in other objects than the executable.
    pub fn of(&self, site: &Site) -> Rc<[Frame]> {
        if site.function.object != self.object {
            return Rc::default();
        }
        self.known.borrow_mut().entry(site.address).or_insert_with(|| self.read(site.address)).clone()
    }

    fn read(&self, address: u64) -> Rc<[Frame]> {
        let mut frames = Vec::new();
        let Ok(mut found) = self.loader.find_frames(address) else { return Rc::default() };
        while let Ok(Some(frame)) = found.next() {
            let function = frame.function.and_then(|name| name.demangle().ok().map(|name| plain(&name)));
            let (file, line) = frame.location.map_or((None, None), |place| (place.file, place.line));
            let file = file.unwrap_or_default();
            let own = concat!(env!("CARGO_MANIFEST_DIR"), "/");
            frames.push(Frame {
                function: function.unwrap_or_default(),
                file: file.strip_prefix(own).unwrap_or(file).to_owned(),
                line: line.unwrap_or(0),
            });
        }
        frames.into()
    }
}

impl Frame {
    /// Whether it is Ringway's.
    pub fn is_ours(&self) -> bool {
        self.file.starts_with("src/")
    }

    /// The crate from a registry that it is of, if it is.
    pub fn library(&self) -> Option<&str> {
        let (_, rest) = self.file.split_once("/registry/src/")?;
        let folder = rest.split('/').nth(1)?;
        folder.rsplit_once('-').map(|(name, _)| name)
    }

    /// Whether it is of Rust's own libraries.
    pub fn is_std(&self) -> bool {
        !self.is_ours() && self.library().is_none()
    }
}

/// A name without the hash that ends it.
fn plain(name: &str) -> String {
    match name.rsplit_once("::h") {
        Some((rest, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => rest.to_owned(),
        _ => name.to_owned(),
    }
}
