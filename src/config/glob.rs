//! Paths with `*` and `?`, as `include` takes them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Whether a path stands for several.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// The files that a path stands for, sorted; relative ones are under `folder`. `*` and `?` match within one component and
/// no leading dot. A folder that does not exist has no files.
pub fn find(folder: &Path, path: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_path_buf()];
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) if name.to_str().is_some_and(is_pattern) => found = expand(&found, name)?,
            other => found.iter_mut().for_each(|path| path.push(other)),
        }
    }
    let pattern = is_pattern(path);
    found.retain(|path| if pattern { path.is_file() } else { path.exists() });
    Ok(found)
}

fn expand(folders: &[PathBuf], pattern: &OsStr) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in folders {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = match here.read_dir() {
            Ok(entries) => entries,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(e) => return Err(e),
        };
        for entry in entries {
            let name = entry?.file_name();
            if fits(pattern.as_bytes(), name.as_bytes()) {
                found.push(folder.join(name));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_within_a_name() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", false),
            ("*.toml", "a.toml.bak", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xaybz", true),
            ("*a*b*", "xbya", false),
            (".*", ".x", true),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_sorted_and_folders_are_left_out() {
        let folder = std::env::temp_dir().join(format!("ringway-glob-{}", std::process::id()));
        for name in ["c/b.toml", "c/a.toml", "c/x.txt", "d/z.toml", "c/e.toml/f"] {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = find(&folder, pattern).unwrap();
            found.iter().map(|p| p.strip_prefix(&folder).unwrap().display().to_string()).collect()
        };
        assert_eq!(names("c/*.toml"), ["c/a.toml", "c/b.toml"]);
        assert_eq!(names("*/?.toml"), ["c/a.toml", "c/b.toml", "d/z.toml"]);
        assert_eq!(names("none/*.toml"), [""; 0]);
        assert_eq!(names("c/none.toml"), [""; 0]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
