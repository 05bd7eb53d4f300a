//! Mounts that hang: a server of files that is gone keeps nothing else waiting.

use super::write;
use crate::support::client::request;
use crate::support::proxy::{Directory, Setup};
use crate::support::{Client, Proxy, eventually};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

const FAILED: Duration = Duration::from_secs(20);
const THREAD: &str = "ringway-files";
/// More than there are threads for one folder, by far.
const ASKING: usize = 100;

/// A file system whose server answers nothing, as long as this is there.
struct Hung {
    server: Option<File>,
    path: CString,
}

impl Hung {
    /// Mounts it over a folder, for the calling thread and its children alone.
    fn over(folder: &Path) -> io::Result<Hung> {
        let server = File::options().read(true).write(true).open("/dev/fuse")?;
        let path = CString::new(folder.to_str().unwrap()).unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        mount(c"hung", &path, c"fuse", libc::MS_NOSUID | libc::MS_NODEV, &CString::new(options).unwrap())?;
        Ok(Hung { server: Some(server), path })
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        drop(self.server.take());
        // SAFETY: the path ends with a zero.
        unsafe { libc::umount2(self.path.as_ptr(), libc::MNT_DETACH) };
    }
}

fn mount(
    source: &std::ffi::CStr,
    target: &std::ffi::CStr,
    kind: &std::ffi::CStr,
    flags: u64,
    data: &std::ffi::CStr,
) -> io::Result<()> {
    // SAFETY: all strings end with a zero, and the kernel keeps none.
    let result = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the calling thread, and what it starts, mounts that nobody else sees. Whoever may not have them says so.
fn own_mounts() -> io::Result<()> {
    // SAFETY: it takes a number, and concerns the calling thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE, c"")
}

/// On one driver: a folder on a mount that hangs from the beginning, one whose path hangs later on, and one that is well.
struct Sites {
    driver: &'static str,
    /// Before the folder that it is in, which could not be removed otherwise.
    dead: Hung,
    proxy: Proxy,
    folder: Directory,
}

impl Sites {
    fn start(driver: &'static str) -> io::Result<Sites> {
        let folder = Directory::new();
        for name in ["dead", "later/www", "well"] {
            write(folder.path(), &format!("{name}/x"), name);
        }
        let dead = Hung::over(&folder.path().join("dead"))?;
        let routes: String = [("dead", "dead"), ("later", "later/www"), ("well", "well")]
            .map(|(name, root)| {
                let root = folder.path().join(root);
                format!(
                    "[routes.{name}]\npaths = [\"/{name}/\"]\nstrip_prefix = \"/{name}\"\n\
                     files = {{ root = \"{}\", timeout = \"200ms\" }}\n",
                    root.display()
                )
            })
            .concat();
        // A worker knows what it has opened itself.
        let setup = Setup::new(format!("[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n{routes}")).workers(1);
        Ok(Sites { driver, dead, proxy: setup.driver(driver).start(), folder })
    }

    /// What is not in memory takes a thread, even if it is nothing.
    fn others_are_well(&self, turn: usize) {
        let Sites { driver, proxy, .. } = self;
        assert_eq!(proxy.get(&format!("/well/none-{turn}")).status, 404, "{driver}");
        assert_eq!(proxy.get("/well/x").text(), "well", "{driver}");
    }

    fn dead_takes_few_threads(&self) {
        let Sites { driver, proxy, .. } = self;
        let mut asking: Vec<Client> = (0..ASKING).map(|_| proxy.client()).collect();
        for client in &mut asking {
            client.send(request("GET", "/dead/x", &[]));
        }
        let begun = Instant::now();
        self.others_are_well(1);
        for client in &mut asking {
            assert_eq!(client.response().status, 503, "{driver}");
        }
        self.others_are_well(2);
        assert!(begun.elapsed() < FAILED, "{driver}");
        let threads = proxy.threads().iter().filter(|name| name.starts_with(THREAD)).count();
        assert!((1..16).contains(&threads), "{driver}: {threads}");
        proxy.log.wait(&["cannot be opened", "dead", "requests for its files fail"]);
    }

    fn later_stays(&self) -> Hung {
        let Sites { driver, proxy, folder, .. } = self;
        assert_eq!(proxy.get("/later/x").text(), "later/www", "{driver}");
        let hung = Hung::over(&folder.path().join("later")).unwrap();
        eventually("somebody looks where the path leads", || {
            assert_eq!(proxy.get("/later/x").text(), "later/www", "{driver}");
            proxy.log.contains(&["cannot be opened", "later", "what it was before goes on being used"])
        });
        // Nobody waits for it any more.
        for turn in 0..10 {
            assert_eq!(proxy.get("/later/x").text(), "later/www", "{driver}");
            assert_eq!(proxy.get(&format!("/later/none-{turn}")).status, 404, "{driver}");
        }
        hung
    }
}

fn on(driver: &'static str) {
    let sites = match own_mounts().and_then(|()| Sites::start(driver)) {
        Ok(sites) => sites,
        Err(error) => return eprintln!("passed over: who runs the tests may not mount: {error}"),
    };
    sites.dead_takes_few_threads();
    drop(sites.later_stays());
    let Sites { dead, proxy, .. } = sites;
    drop(dead);
    // What comes back is a mount without a server, or no mount.
    eventually("the threads come back", || proxy.get("/dead/x").status != 503);
    assert_eq!(proxy.get("/well/x").text(), "well", "{driver}");
}

#[test]
fn a_mount_that_hangs_holds_few_threads_and_files_below_a_path_that_hangs_go_on() {
    // The mounts are those of the threads, which must not run another test after this one.
    let both = ["auto", "epoll"].map(|driver| std::thread::spawn(move || on(driver)));
    let ended = both.map(std::thread::JoinHandle::join);
    ended.into_iter().for_each(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
}
