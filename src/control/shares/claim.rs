//! Which host spoke from this machine before: a file in `runtime.state_dir` that is locked for as long as who has written it lives. Whoever gets the
//! lock knows that the one before is dead, and what that one had need not be waited for. Everything here blocks for a moment.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Claim(File);

/// What the file is called.
const NAME: &str = "limits.host";
/// Bytes that a host's name has at the most.
const LONGEST: u64 = 64;

impl Claim {
    /// That of a folder; `None`: somebody lives who has it, or there is no such folder.
    pub(super) fn take(folder: &Path) -> Option<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(folder.join(NAME)).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self(file))
    }

    /// Writes who speaks from now on. Returns who did before.
    pub(super) fn write(&mut self, id: &str) -> Option<String> {
        let mut before = String::new();
        let written = (|| -> io::Result<()> {
            self.0.rewind()?;
            (&self.0).take(LONGEST).read_to_string(&mut before)?;
            self.0.rewind()?;
            self.0.set_len(0)?;
            self.0.write_all(id.as_bytes())
        })();
        if let Err(error) = written {
            tracing::debug!(%error, "who speaks for this host is not noted");
        }
        let is_name = before.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(before).filter(|before| is_name && !before.is_empty() && before != id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_after_one_that_is_dead_knows_who_that_was() {
        let folder = std::env::temp_dir().join(format!("ringway-claim-{:x}", fastrand::u64(..)));
        assert!(Claim::take(&folder).is_none(), "there is no such folder");
        std::fs::create_dir(&folder).unwrap();
        let mut first = Claim::take(&folder).unwrap();
        assert_eq!(first.write("a1"), None);
        assert_eq!(first.write("b2").as_deref(), Some("a1"));
        assert!(Claim::take(&folder).is_none(), "it lives");
        drop(first);
        let mut second = Claim::take(&folder).unwrap();
        assert_eq!(second.write("c3").as_deref(), Some("b2"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
