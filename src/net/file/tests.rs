use super::super::runtime::{Backend, Driver, enter, probe, sleep};
use super::*;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::pin::pin;

pub(super) const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn backends() -> Vec<Backend> {
    let (best, _) = probe(Driver::Auto).unwrap();
    if best == Backend::Epoll { vec![best] } else { vec![best, Backend::Epoll] }
}

/// A folder of its own for a test, which goes with it.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringway-files-{}-{name}", std::process::id()));
        std::fs::create_dir_all(path.join("in/deep")).unwrap();
        Self(path)
    }

    pub(super) fn inside(&self) -> PathBuf {
        self.0.join("in")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Has the kernel forget what it holds of a file.
fn forget(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

#[test]
fn bytes_come_from_where_they_were_asked_for() {
    let root = Scratch::new("bytes");
    let path = root.inside().join("file");
    let content: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    for backend in backends() {
        for cold in [true, false] {
            if cold {
                forget(&path);
            }
            enter(backend, 0, async {
                let folder = Root::of(&root.inside()).open(LIMIT).await.unwrap();
                let (file, status) = folder.open_file(b"file", LIMIT).await.unwrap();
                assert_eq!((status.kind, status.size), (Kind::Regular, 300_000));
                for (offset, count) in [(0, 300_000), (7, 70_000), (299_990, 100), (300_000, 10), (1 << 40, 10)] {
                    let read = file.read_at(offset, count, LIMIT).await.unwrap();
                    let start = (offset as usize).min(content.len());
                    let end = (start + count).min(content.len());
                    assert!(read[..] == content[start..end], "{backend:?}, cold {cold}: {offset} {count}");
                }
            })
            .unwrap();
        }
    }
}

#[test]
fn what_is_not_in_memory_is_waited_for_elsewhere() {
    let root = Scratch::new("elsewhere");
    let path = root.inside().join("file");
    std::fs::write(&path, vec![b'x'; 100_000]).unwrap();
    for backend in backends() {
        enter(backend, 0, async {
            let file = File::from(std::fs::File::open(&path).unwrap());
            let read = file.read_rest(10, 99_000, Lease::with_room(99_000)).await.unwrap();
            assert!(read.len() == 99_000 && read.iter().all(|&byte| byte == b'x'), "{backend:?}");
            let (result, read) = file.read_elsewhere(99_990, 50, Lease::with_room(50)).await.unwrap();
            assert_eq!((result.unwrap(), &read[..]), (10, &b"xxxxxxxxxx"[..]), "{backend:?}");
        })
        .unwrap();
    }
}

#[test]
fn a_read_given_up_leaves_its_buffer_until_the_kernel_is_done() {
    let root = Scratch::new("dropped");
    let (reader, writer) = std::io::pipe().unwrap();
    let path = root.inside().join("file");
    std::fs::write(&path, "after").unwrap();
    for backend in backends() {
        enter(backend, 0, async {
            // A pipe stands for a disk that never answers.
            let stuck = File::from(std::fs::File::from(OwnedFd::from(reader.try_clone().unwrap())));
            let limit = Duration::from_millis(10);
            if backend != Backend::Epoll {
                let read = timeout(limit, stuck.read_rest(0, 10, Lease::with_room(10))).await;
                assert!(read.is_none());
                {
                    let mut read = pin!(stuck.read_rest(0, 10, Lease::with_room(10)));
                    assert!(read.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
                }
            }
            let file = File::from(std::fs::File::open(&path).unwrap());
            assert_eq!(&file.read_at(0, 10, LIMIT).await.unwrap()[..], b"after");
            sleep(limit).await;
        })
        .unwrap();
    }
    drop(writer);
}

#[test]
fn nothing_outside_of_a_folder_is_opened() {
    let root = Scratch::new("outside");
    std::fs::write(root.0.join("secret"), "secret").unwrap();
    std::fs::write(root.inside().join("deep/file"), "known").unwrap();
    symlink("../secret", root.inside().join("out")).unwrap();
    symlink(root.0.join("secret"), root.inside().join("absolute")).unwrap();
    symlink("..", root.inside().join("up")).unwrap();
    symlink("deep/file", root.inside().join("within")).unwrap();
    symlink("loop", root.inside().join("loop")).unwrap();
    symlink("/proc/self/cwd", root.inside().join("magic")).unwrap();
    for backend in backends() {
        enter(backend, 0, async {
            let folder = Root::of(&root.inside()).open(LIMIT).await.unwrap();
            for name in ["deep/file", "within", "deep/../deep/file", "./deep/file"] {
                assert!(folder.open_file(name.as_bytes(), LIMIT).await.is_ok(), "{backend:?}: {name}");
            }
            assert_eq!(folder.open_file(b"", LIMIT).await.unwrap().1.kind, Kind::Folder);
            let long = "a".repeat(5000);
            for name in [
                "../secret",
                "/etc/passwd",
                "out",
                "absolute",
                "up",
                "up/secret",
                "magic/x",
                "loop",
                "none",
                "deep/file/x",
                "deep/../../secret",
                "deep/file/",
                "nul\0",
                &long,
            ] {
                let error = folder.open_file(name.as_bytes(), LIMIT).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "{backend:?}: {name:.20}: {error}");
            }
        })
        .unwrap();
    }
}

#[test]
fn a_pipe_keeps_nobody_waiting() {
    let root = Scratch::new("pipe");
    let made = std::process::Command::new("mkfifo").arg(root.inside().join("pipe")).status().unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(root.inside().join("socket")).unwrap();
    for backend in backends() {
        enter(backend, 0, async {
            let folder = Root::of(&root.inside()).open(LIMIT).await.unwrap();
            let (_, status) = folder.open_file(b"pipe", LIMIT).await.unwrap();
            assert_eq!(status.kind, Kind::Other);
            assert_eq!(folder.open_file(b"socket", LIMIT).await.unwrap_err().kind(), ErrorKind::NotFound);
        })
        .unwrap();
    }
}

impl Folder {
    /// The same, as if it were on a file system where each look may wait.
    pub(super) fn of_another_host(mut self) -> Self {
        self.is_local = false;
        self
    }
}

impl File {
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
