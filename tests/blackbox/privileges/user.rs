//! `runtime.user`: the process runs as that user once it has bound its sockets, and does all that it did as root.

use super::of_threads;
use crate::support::network::alone;
use crate::support::proxy::{Proxy, Setup, ringway};
use crate::support::tls::{Authority, Kind, listener};
use crate::support::toml::{http, http_with};
use crate::support::{Target, client, eventually, load};
use nix::unistd::User;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const USER: &str = "nobody";
/// CAP_NET_BIND_SERVICE.
const KEPT: &str = "0000000000000400";
const NOTHING: &str = "0000000000000000";

/// Root alone can take on another user; whoever else tries is told, which is tested then.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn uid() -> u32 {
    User::from_name(USER).unwrap().unwrap().uid.as_raw()
}

fn setup(config: impl Into<String>) -> Setup {
    Setup::new(config).for_every_user().runtime(&format!("user = \"{USER}\""))
}

/// Every thread of the process is that user's, and may do no more.
#[track_caller]
fn assert_confined(proxy: &Proxy) {
    let is = |name: &str, value: &str| {
        let all = of_threads(proxy.pid(), name);
        assert!(all.len() > 2 && all.iter().all(|of| of == value), "{name} is {all:?}, not {value}");
    };
    let uid = uid();
    is("Uid", &format!("{uid} {uid} {uid} {uid}"));
    is("NoNewPrivs", "1");
    is("CapBnd", KEPT);
    is("CapAmb", NOTHING);
    let groups = of_threads(proxy.pid(), "Groups").concat();
    assert!(!groups.split(' ').any(|group| group == "0"), "root's groups are gone: {groups}");
    for capabilities in ["CapPrm", "CapEff", "CapInh"] {
        // The thread of the operational log is older than the change, and keeps nothing.
        for one in of_threads(proxy.pid(), capabilities) {
            assert!(one == KEPT || one == NOTHING, "{capabilities}: {one}");
        }
    }
    assert!(of_threads(proxy.pid(), "CapEff").iter().any(|one| one == KEPT));
    let owner = fs::metadata(format!("/proc/{}/environ", proxy.pid())).unwrap().uid();
    assert_eq!(owner, 0, "its memory is root's alone");
}

#[test]
fn who_may_not_take_on_a_user_is_told_so() {
    let target = Target::echo("a");
    if is_root() {
        return;
    }
    let mut proxy = setup(http(&[&target])).spawn();
    assert_eq!(proxy.exit().code(), Some(2));
    proxy.log.wait(&["runtime.user = \"nobody\"", "cannot take on another user"]);
}

#[test]
fn a_user_or_group_that_is_not_there_is_a_fault() {
    let target = Target::echo("a");
    let faults = |line: &str| {
        let setup = Setup::new("");
        let text = format!("[runtime]\n{line}\n{}", http(&[&target]));
        let file = setup.directory().join("ringway.toml");
        fs::write(&file, text).unwrap();
        let (code, _, told) = ringway(&["check", "-c", file.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{told}");
        told
    };
    let told = faults("user = \"no-such-user\"");
    assert!(told.contains("this host has no user `no-such-user`") && told.contains("useradd --system"), "{told}");
    let told = faults("user = \"nobody\"\ngroup = \"no-such-group\"");
    assert!(told.contains("this host has no group `no-such-group`"), "{told}");
    assert!(faults("user = \"root\"").contains("`root` is no user to take on"));
    assert!(faults("group = \"daemon\"").contains("a group without a user"));
}

#[test]
fn the_user_is_taken_on_and_everything_goes_on_over_reloads_and_upgrades() {
    if !is_root() {
        return;
    }
    let target = Target::echo("a");
    let setup = setup("");
    let socket = setup.directory().join("run/admin.sock");
    let unix = setup.directory().join("web.sock");
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\nsocket = {socket:?}\n");
    let config = format!("{admin}{}", http(&[&target]));
    let config = config.replace("\"127.0.0.1:0\"]", &format!("\"127.0.0.1:0\", \"unix:{}\"]", unix.display()));
    let mut proxy = setup.with(config).start();
    proxy.log.wait(&["running as this user"]);
    assert_confined(&proxy);
    for path in [&socket, &unix, &socket.with_file_name(""), &proxy.config_file().with_file_name("state")] {
        assert_eq!(fs::metadata(path).unwrap().uid(), uid(), "{}", path.display());
    }
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    load::run(&proxy.web(), 4, 200, |n| format!("/{n}")).assert_clean();

    // A reload binds; an upgrade to more workers binds more sockets for ports that root has bound.
    let text = fs::read_to_string(proxy.config_file()).unwrap();
    let more = "[listeners.more]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n";
    fs::write(proxy.config_file(), text.replace("workers = 2", "workers = 3") + more).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.log.wait(&["plan 2 is in force"]);
    assert_eq!(client::get(&proxy.at("more"), "/").status, 200);
    for _ in 0..2 {
        proxy.upgrade();
        assert_confined(&proxy);
        load::run(&proxy.web(), 4, 200, |n| format!("/{n}")).assert_clean();
        assert_eq!(client::get(&proxy.at("more"), "/").status, 200);
    }
    let threads = proxy.threads();
    assert!((0..3).all(|worker| threads.contains(&format!("ringway-w{worker}"))), "{threads:?}");
    // What operators change is kept in the folder that was made for the user.
    let asked = format!("unix:{}", socket.display());
    let (code, _, told) =
        ringway(&["target", "set", "--admin", &asked, "site", &target.to_string(), "--state", "drain"]);
    assert_eq!(code, Some(0), "{told}");
    proxy.signal(libc::SIGTERM);
    eventually("its socket's file is gone, which is in a folder of its own", || !socket.exists());
}

#[test]
fn ports_below_1024_are_bound_by_starts_reloads_and_upgrades() {
    if !is_root() {
        return;
    }
    alone(|_| {
        let target = Target::echo("a");
        let at = |ports: &str| http(&[&target]).replace("\"127.0.0.1:0\"", ports);
        let mut proxy = setup(at("\"127.0.0.1:80\"")).start();
        assert_eq!(client::get("127.0.0.1:80", "/").status, 200);
        let text = fs::read_to_string(proxy.config_file()).unwrap();
        let text = text.replace("\"127.0.0.1:80\"", "\"127.0.0.1:80\", \"127.0.0.1:81\"");
        fs::write(proxy.config_file(), text.replace("workers = 2", "workers = 3")).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.log.wait(&["plan 2 is in force"]);
        proxy.upgrade();
        assert_confined(&proxy);
        fs::write(proxy.config_file(), text.replace("127.0.0.1:81", "127.0.0.1:82")).unwrap();
        proxy.signal(libc::SIGHUP);
        eventually("what was upgraded binds, too", || std::net::TcpStream::connect("127.0.0.1:82").is_ok());
        load::run("127.0.0.1:80", 4, 100, |n| format!("/{n}")).assert_clean();
    });
}

#[test]
fn what_the_user_cannot_read_is_an_error_that_names_it() {
    if !is_root() {
        return;
    }
    let target = Target::echo("a");
    let hide = |file: &Path| fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let hidden = setup(http(&[&target]));
    let file = hidden.directory().join("ringway.toml");
    fs::write(&file, "").unwrap();
    hide(&file);
    let mut proxy = hidden.spawn();
    assert_eq!(proxy.exit().code(), Some(2));
    proxy.log.wait(&["user `nobody` cannot read", "ringway.toml", "which it must for reloads"]);

    let authority = Authority::new("root");
    let secure = |setup: &Setup| {
        authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
        http_with(&listener(&["site"], ""), &[&target], "")
    };
    let hidden = setup("");
    let config = secure(&hidden);
    hide(&hidden.directory().join("site.key"));
    let mut proxy = hidden.with(config).spawn();
    assert_eq!(proxy.exit().code(), Some(2));
    proxy.log.wait(&["site.key", "permission denied to user `nobody`"]);

    let hidden = setup("");
    let token = hidden.directory().join("admin.token");
    fs::write(&token, "0123456789abcdef0123").unwrap();
    hide(&token);
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = {token:?}\n");
    let mut proxy = hidden.with(admin + &http(&[&target])).spawn();
    assert_eq!(proxy.exit().code(), Some(2));
    proxy.log.wait(&["user `nobody` cannot read", "admin.token"]);

    let hidden = setup("");
    let log = hidden.directory().join("access.log");
    let mut proxy = hidden.with(http(&[&target]) + &format!("[access_log]\npath = {log:?}\n")).spawn();
    assert_eq!(proxy.exit().code(), Some(1));
    proxy.log.wait(&["user `nobody` must be able to write to it"]);

    let open = setup("");
    let config = secure(&open);
    let proxy = open.with(config).start();
    hide(&proxy.config_file());
    proxy.signal(libc::SIGHUP);
    proxy.log.wait(&["permission denied to user `nobody`"]);
    authority.dial().to(&proxy.web(), "site.test");
}

#[test]
fn a_state_folder_of_others_is_refused_with_what_to_do() {
    if !is_root() {
        return;
    }
    let target = Target::echo("a");
    let setup = setup(http(&[&target]));
    let state = setup.directory().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("kept"), "of root's").unwrap();
    let mut proxy = setup.spawn();
    assert_eq!(proxy.exit().code(), Some(2));
    proxy.log.wait(&["user `nobody` cannot write to", "state"]);
    proxy.log.wait(&["chown -R nobody:"]);
    assert_eq!(fs::metadata(&state).unwrap().uid(), 0, "what is not empty is given to nobody");
}
