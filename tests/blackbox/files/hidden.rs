//! What is never sent: what is outside of the folder, hidden, or no file.

use super::{Site, write};
use crate::support::Client;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

/// The answer to a request whose target goes out as it is.
#[track_caller]
fn raw(client: &mut Client, target: &str) -> (u16, String) {
    let response = client.get(target);
    (response.status, response.text())
}

#[test]
fn nothing_outside_of_the_folder_is_sent_however_it_is_spelled() {
    let site = Site::with(
        "[routes.site]\nfiles = { root = \"www\" }\n\
         [routes.alias]\npaths = [\"/i/\"]\nstrip_prefix = \"/i\"\nfiles = { root = \"www/images\" }\n\
         [routes.lax]\npaths = [\"/lax/\"]\nstrip_prefix = \"/lax\"\nfiles = { root = \"www/images\" }\n\
         allow_in_path = [\"%2F\", \"%5C\", \"%00\", \"\\\\\", \";\", \"dot-segments\"]\n",
    );
    let above = site.root.parent().unwrap().to_owned();
    write(&above, "secret", "SECRET");
    write(&above, "www-other/secret", "SECRET");
    site.write("secret-images", "SECRET");
    site.write("images/cat.png", "cat");
    site.write("ok", "ok");
    symlink("../secret", site.root.join("out")).unwrap();
    symlink(above.join("secret"), site.root.join("absolute")).unwrap();
    symlink("..", site.root.join("up")).unwrap();
    symlink("ok", site.root.join("within")).unwrap();
    symlink("loop", site.root.join("loop")).unwrap();
    let proxy = site.setup.start();
    for target in [
        "/../secret",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/%2e%2e/secret",
        "/%2e%2e%2fsecret",
        "/.%2e/secret",
        "/%2e./secret",
        "/%252e%252e/secret",
        "/..%252fsecret",
        "/..;/secret",
        "/..%3b/secret",
        "/..\\secret",
        "/..%5csecret",
        "/%c0%ae%c0%ae/secret",
        "/images/../../secret",
        "//../secret",
        "/./../secret",
        "/out",
        "/absolute",
        "/up/secret",
        "/up",
        "/loop",
        "/i../secret",
        "/i../secret-images",
        "/i/../../secret",
        "/i/..%2f..%2fsecret",
        "/lax/..%2f..%2fsecret",
        "/lax/..%2fsecret-images",
        "/lax/%2e%2e/%2e%2e/secret",
        "/lax/%2e%2e%2f%2e%2e%2fsecret",
        "/lax/..;/..;/secret",
        "/lax/..\\..\\secret",
        "/lax/cat.png%00.html",
        "/lax/cat.png%00",
        "/ok%00",
        "/ok%00.html",
        "/ok.",
        "/OK",
        "/ok%20",
        "/ok/",
        "/ok::$DATA",
        "/proc/self/environ",
        "/etc/passwd",
        "/%2fetc%2fpasswd",
        "/www-other/secret",
        "/images",
        "/images/",
    ] {
        let (status, text) = raw(&mut Client::to(&proxy.web()), target);
        assert!(
            matches!(status, 400 | 404) && !text.contains("SECRET") && !text.contains("root:"),
            "{target}: {status} {text}"
        );
    }
    let mut client = proxy.client();
    for (target, text) in [
        ("/ok", "ok"),
        ("/within", "ok"),
        ("/i/cat.png", "cat"),
        ("/lax/cat.png", "cat"),
        ("/lax/x/%2e%2e/cat.png", "cat"),
    ] {
        assert_eq!(raw(&mut client, target), (200, text.to_owned()), "{target}");
    }
}

#[test]
fn names_with_a_dot_are_hidden_but_for_well_known_ones() {
    let site = Site::with(
        "[routes.site]\nfiles = { root = \"www\" }\n\
         [routes.all]\npaths = [\"/all/\"]\nstrip_prefix = \"/all\"\nfiles = { root = \"www\", dotfiles = true }\n",
    );
    for name in
        [".git/config", ".env", "sub/.htpasswd", ".well-known/security.txt", ".well-known/.hidden", "sub/.well-known/x"]
    {
        site.write(name, name);
    }
    let proxy = site.setup.start();
    let mut client = proxy.client();
    for path in [
        "/.git/config",
        "/%2egit/config",
        "/.env",
        "/sub/.htpasswd",
        "/.well-known/.hidden",
        "/sub/.well-known/x",
        "/.git",
        "/.git/",
    ] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    assert_eq!(client.get("/.well-known/security.txt").status, 200);
    for path in ["/all/.git/config", "/all/.env", "/all/sub/.htpasswd"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
}

#[test]
fn what_is_no_file_is_not_found_and_keeps_nobody_waiting() {
    let site = Site::new(", timeout = \"5s\"");
    let fifo = site.root.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(site.root.join("socket")).unwrap();
    symlink("/dev/zero", site.root.join("zero")).unwrap();
    let closed = site.write("closed", "x");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    // SAFETY: takes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let proxy = site.setup.start();
    let mut client = proxy.client();
    for path in ["/fifo", "/socket", "/zero", "/fifo/x"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    assert_eq!(client.get("/closed").status, if is_root { 200 } else { 403 });
}
