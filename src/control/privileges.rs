//! What the process may do, and as whom: `runtime.user` is taken on when all is bound, before there are threads and rings.
//!
//! What always holds: what that user could not read on a reload is an error at the start already; folders that the process
//! is to write to are its own before root is gone; who cannot take on the user does not start.

use super::admin::Doors;
use super::sockets::Sockets;
use crate::config::Loaded;
use crate::config::model::{Config, SourceAddress};
use crate::net::{self, Account};
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// As whom the process is to run, and what it keeps for that.
#[derive(Debug, Default)]
pub struct Privileges {
    account: Option<Account>,
    /// Whether addresses of other hosts are to be bound.
    transparent: bool,
    /// Whether a filter of system calls is to be set.
    seccomp: bool,
}

impl Privileges {
    /// Finds out what a configuration wants, and begins with it: whatever is read from now on is read by that user. `confined`: whether
    /// the process before has set the filter of system calls, which this one has, too.
    ///
    /// # Errors
    /// The user cannot be taken on, or may not read or write what it must: a message for the operator.
    pub fn begin(loaded: &Loaded, confined: bool) -> Result<Self, String> {
        let runtime = &loaded.config.runtime;
        let seccomp = runtime.seccomp && !confined;
        let Some(name) = &runtime.user else { return Ok(Self { seccomp, ..Self::default() }) };
        let account = Account::find(name, runtime.group.as_deref())
            .map_err(|error| format!("runtime.user = \"{name}\" cannot be looked up: {error:?}"))?;
        let transparent = is_transparent(&loaded.config);
        let this = Self { account: Some(account.clone()), transparent, seccomp };
        if !account.is_ours() && !net::may_change_user() {
            return Err(format!(
                "runtime.user = \"{name}\", but this process runs as {} and cannot take on another user\n  help: start it as root or as \
                 `{name}`, or remove the key",
                net::whoami()
            ));
        }
        let failed = |error: std::io::Error| format!("user `{name}` cannot be taken on: {error}");
        let kept = net::kept(transparent);
        net::give_up_more_than(kept).map_err(failed)?;
        if account.is_ours() {
            account.take_on(kept).map_err(failed)?;
        } else {
            folders(&loaded.config).for_each(|folder| make(folder, &account));
            account.act_as().map_err(failed)?;
        }
        readable(loaded, name)?;
        writable(&runtime.state_dir, name)?;
        Ok(this)
    }

    /// Is root again, if the process was started so, for what is to be bound.
    ///
    /// # Errors
    /// The kernel refuses: a message for the operator.
    pub fn regain(&self) -> Result<(), String> {
        match &self.account {
            Some(account) if !account.is_ours() => {
                net::regain().map_err(|error| format!("the sockets cannot be bound as root: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// Takes the user on for good, with all that is bound, and gives up the system calls that there is no use for.
    pub(super) fn give_up(&self, sockets: &Sockets, admin: Option<&Doors>) -> Result<(), String> {
        if let Some(account) = self.account.as_ref().filter(|account| !account.is_ours()) {
            let failed = |error: std::io::Error| format!("user `{}` cannot be taken on: {error}", account.name());
            for slot in sockets.slots().chain(admin.into_iter().flat_map(Doors::slots)) {
                account.own_slot(slot).map_err(failed)?;
            }
            account.take_on(net::kept(self.transparent)).map_err(failed)?;
            tracing::info!(user = account.name(), "running as this user");
        }
        if self.seccomp {
            net::confine().map_err(|error| {
                format!(
                    "runtime.seccomp = true, but system calls cannot be filtered here: {error}\n  help: it \
                     needs a kernel with CONFIG_SECCOMP_FILTER, on x86_64, aarch64 or riscv64"
                )
            })?;
            tracing::info!("system calls are filtered");
        }
        Ok(())
    }
}

/// Whether a configuration binds addresses of other hosts.
fn is_transparent(config: &Config) -> bool {
    config.listeners.values().any(|listener| listener.transparent)
        || config.pools.values().any(|pool| matches!(pool.source, Some(SourceAddress::Client)))
}

/// The folders that the user is to have.
fn folders(config: &Config) -> impl Iterator<Item = &Path> {
    let socket = config.admin.as_ref().and_then(|admin| admin.socket.as_deref()).and_then(Path::parent);
    let socket = socket.filter(|folder| !folder.as_os_str().is_empty());
    // The one of the socket may be any folder of the host's, which is not ours to give away.
    [config.runtime.state_dir.as_path()].into_iter().chain(socket.filter(|folder| !folder.exists()))
}

/// Makes a folder for the user. One that is there is given to it if it is root's and nothing is in it, as a volume of a
/// container may be; others stay as they are.
fn make(folder: &Path, account: &Account) {
    let is_there = DirBuilder::new().recursive(true).mode(0o750).create(folder).is_ok();
    if is_there
        && is_unused(folder)
        && let Err(error) = account.own(folder)
    {
        eprintln!("ringway: `{}` cannot be given to user `{}`: {error}", folder.display(), account.name());
    }
}

fn is_unused(folder: &Path) -> bool {
    let is_roots = fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir() && about.uid() == 0);
    is_roots && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether the user can read the configuration again, and the token of operators, which is read while root binds.
fn readable(loaded: &Loaded, name: &str) -> Result<(), String> {
    let config = &loaded.config;
    let listed = config.runtime.consumers_file.as_deref();
    let token = config.admin.as_ref().and_then(|admin| admin.token_file.as_deref());
    for file in loaded.sources.files().chain(listed).chain(token) {
        if File::open(file).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
            return Err(format!(
                "user `{name}` cannot read `{file}`, which it must for reloads\n  help: let it read the file and enter its folders, as \
                 its owner or by its group",
                file = file.display()
            ));
        }
    }
    Ok(())
}

fn writable(folder: &Path, name: &str) -> Result<(), String> {
    if !folder.is_dir() || net::may_write_in(folder) {
        return Ok(());
    }
    Err(format!(
        "user `{name}` cannot write to `{folder}`, which is runtime.state_dir\n  help: chown -R {name}: {folder}",
        folder = folder.display()
    ))
}
