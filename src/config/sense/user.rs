//! What makes no sense in whom the process is to run as.

use super::Sense;
use crate::config::sources::{Fault, KeyPath};
use crate::net::{Account, NoAccount};

/// Looks at the user and the group of the process, which are names of this host.
pub(super) fn check(sense: &mut Sense<'_>) {
    let at = KeyPath::from(["runtime"]);
    let runtime = &sense.config.runtime;
    if !sense.is_sound(&at, "user") || !sense.is_sound(&at, "group") {
        return;
    }
    let (user, group) = match (&runtime.user, &runtime.group) {
        (Some(user), group) => (user, group.as_deref()),
        (None, None) => return,
        (None, Some(_)) => {
            let fault = Fault::new(at.child("group"), "a group without a user: whose it is to be is not said");
            return sense.fault(fault.help("add user = \"ringway\", or remove it"));
        }
    };
    let fault = match Account::find(user, group) {
        Ok(account) if account.is_root() => Fault::new(at.child("user"), "`root` is no user to take on")
            .help("name one that may do less, or remove it: without it the process stays who starts it"),
        Ok(_) => return,
        Err(NoAccount::User) => Fault::new(at.child("user"), format!("this host has no user `{user}`"))
            .help(format!("make one: useradd --system --home-dir /var/lib/ringway --shell /usr/sbin/nologin {user}")),
        Err(NoAccount::Group) => {
            let name = group.unwrap_or_default();
            Fault::new(at.child("group"), format!("this host has no group `{name}`"))
                .help(format!("make one: groupadd --system {name}"))
        }
        Err(NoAccount::Unreadable(error)) => {
            Fault::new(at.child("user"), format!("the users of this host cannot be looked up: {error}"))
                .help("/etc/passwd and /etc/group must be readable")
        }
    };
    sense.fault(fault);
}
