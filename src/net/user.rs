//! The user that the process runs as: another one is taken on once, after what only root may do.
//!
//! What always holds: all threads of the process change together; what the process may do beyond what its user may is
//! [`kept`], and a program that it starts gets none of it unless it is [`lent`].

use super::socket::{Address, Slot};
use nix::unistd::{self, Gid, Group, Uid, User};
use rustix::fs::{Access, AtFlags, CWD};
use rustix::process::DumpableBehavior;
use rustix::thread::{self, CapabilitySet, CapabilitySets};
use std::ffi::CString;
use std::io;
use std::path::Path;

/// A user of this host, with the groups that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// Why there is no such account.
#[derive(Debug)]
pub enum NoAccount {
    /// The host has no user of that name.
    User,
    /// It has no group of that name.
    Group,
    /// The host's list of them cannot be read.
    Unreadable(io::Error),
}

impl Account {
    /// Finds a user by name, as a member of its own groups; `group` takes the place of its first one. Blocks.
    pub fn find(name: &str, group: Option<&str>) -> Result<Self, NoAccount> {
        let unreadable = |error: nix::Error| NoAccount::Unreadable(error.into());
        let user = User::from_name(name).map_err(unreadable)?.ok_or(NoAccount::User)?;
        let gid = match group {
            Some(group) => Group::from_name(group).map_err(unreadable)?.ok_or(NoAccount::Group)?.gid,
            None => user.gid,
        };
        let text = CString::new(name).map_err(|_| NoAccount::User)?;
        let groups = unistd::getgrouplist(&text, gid).map_err(unreadable)?;
        Ok(Self { name: name.to_owned(), uid: user.uid, gid, groups })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the one that may do everything.
    pub fn is_root(&self) -> bool {
        self.uid.is_root()
    }

    /// Whether the process runs as this user already.
    pub fn is_ours(&self) -> bool {
        unistd::getuid() == self.uid && unistd::geteuid() == self.uid && unistd::getegid() == self.gid
    }

    /// Makes this user the owner of a file; a link is not followed.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        let (uid, gid) = self.owner();
        Ok(rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Makes this user the owner of a listening socket, and of its file: the kernel lets a port be shared by sockets of
    /// one user alone, and this one may have to bind more of them.
    pub fn own_slot(&self, slot: &Slot) -> io::Result<()> {
        let (uid, gid) = self.owner();
        rustix::fs::fchown(slot.descriptor(), uid, gid)?;
        match slot.address() {
            Address::Ip(_) => Ok(()),
            Address::Unix(path) => self.own(path),
        }
    }

    /// Has files be opened as by this user from now on, until [`regain`]. Root alone may do so.
    pub fn act_as(&self) -> io::Result<()> {
        unistd::setgroups(&self.groups)?;
        unistd::setegid(self.gid)?;
        Ok(unistd::seteuid(self.uid)?)
    }

    /// Runs as this user from now on, for good, with what is `kept`.
    pub fn take_on(&self, kept: CapabilitySet) -> io::Result<()> {
        if !self.is_ours() {
            thread::set_keep_capabilities(true)?;
            unistd::setgroups(&self.groups)?;
            unistd::setresgid(self.gid, self.gid, self.gid)?;
            unistd::setresuid(self.uid, self.uid, self.uid)?;
            thread::set_keep_capabilities(false)?;
        }
        let kept = kept & thread::capabilities(None)?.permitted;
        thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
        thread::clear_ambient_capability_set()?;
        // Its memory holds private keys: no other process of this user reads them there, and no core file has them.
        Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
    }

    fn owner(&self) -> (Option<rustix::fs::Uid>, Option<rustix::fs::Gid>) {
        (Some(rustix::fs::Uid::from_raw(self.uid.as_raw())), Some(rustix::fs::Gid::from_raw(self.gid.as_raw())))
    }
}

/// What is kept of what root may do: to bind ports below 1024 and, if `transparent`, addresses of other hosts.
pub fn kept(transparent: bool) -> CapabilitySet {
    let had = thread::capabilities(None).map(|sets| sets.permitted).unwrap_or(CapabilitySet::empty());
    // Each of them is enough, and the first is less.
    let foreign = [CapabilitySet::NET_RAW, CapabilitySet::NET_ADMIN].into_iter().find(|one| had.contains(*one));
    let foreign = foreign.filter(|_| transparent).unwrap_or(CapabilitySet::empty());
    CapabilitySet::NET_BIND_SERVICE | foreign
}

/// Whether the process may take on another user.
pub fn may_change_user() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Has no program that this process starts get more than is `kept`, whoever owns it. To be called before there are other
/// threads: it is theirs, too, if they are made later.
pub fn give_up_more_than(kept: CapabilitySet) -> io::Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(one) {
            continue;
        }
        match thread::remove_capability_from_bounding_set(one) {
            // The kernel knows no more of them; or a supervisor has left us none to give up.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => break,
            result => result?,
        }
    }
    Ok(thread::set_no_new_privs(true)?)
}

/// Ends what [`Account::act_as`] began.
pub fn regain() -> io::Result<()> {
    unistd::seteuid(unistd::getuid())?;
    unistd::setegid(unistd::getgid())?;
    Ok(unistd::setgroups(&[])?)
}

/// Starts a program with what this process may do beyond what its user may: our own binary, that is to take over.
pub fn lent<T>(start: impl FnOnce() -> T) -> T {
    let had = thread::capabilities(None).map(|sets| sets.inheritable & sets.permitted);
    let had = had.unwrap_or(CapabilitySet::empty());
    let lend = |enable| {
        for one in had.iter().filter(|one| one.bits().count_ones() == 1) {
            // Where the kernel refuses, the new process says what it may not do.
            let _ = thread::configure_capability_in_ambient_set(one, enable);
        }
    };
    lend(true);
    let result = start();
    lend(false);
    result
}

/// Whether the process may make, replace and remove files in a folder.
pub fn may_write_in(folder: &Path) -> bool {
    let access = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, folder, access, AtFlags::EACCESS).is_ok()
}

/// Why a file cannot be used, with the user who may not where that is it.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("permission denied to {}", whoami()),
        _ => error.to_string(),
    }
}

/// Who the process is where a file must not be read: "user `ringway`".
pub fn whoami() -> String {
    let uid = unistd::geteuid();
    match User::from_uid(uid) {
        Ok(Some(user)) => format!("user `{}`", user.name),
        _ => format!("user {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name_with_their_groups() {
        let root = Account::find("root", None).unwrap();
        assert!(root.is_root() && root.name() == "root" && root.groups.contains(&root.gid));
        assert!(matches!(Account::find("no-such-user", None), Err(NoAccount::User)));
        assert!(matches!(Account::find("root", Some("no-such-group")), Err(NoAccount::Group)));
        assert!(Account::find("a\0b", None).is_err());
        let other = Account::find("root", Some("daemon")).unwrap();
        assert!(other.gid != root.gid && other.groups.contains(&other.gid));
    }

    #[test]
    fn no_more_is_kept_than_is_of_use() {
        assert_eq!(kept(false), CapabilitySet::NET_BIND_SERVICE);
        assert!(kept(true).contains(kept(false)) && kept(true).bits().count_ones() <= 2);
    }
}
