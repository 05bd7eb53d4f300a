use super::super::tests::{LIMIT, Scratch, backends};
use super::super::{Root, TempFile};
use super::*;
use crate::net::runtime::{enter, sleep, spawn, timeout};
use crossbeam::queue::SegQueue;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(20);

impl Share {
    /// Has all of its threads stand still until what is returned is dropped, as they do on a mount that hangs.
    pub(in crate::net::file) async fn stall(&self) -> Vec<SyncSender<()>> {
        let (mut stalled, begun) = (Vec::new(), Arc::new(AtomicUsize::new(0)));
        while stalled.len() < self.0.most {
            let (sender, receiver) = sync_channel(0);
            stalled.push(sender);
            let begun = begun.clone();
            self.leave(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = receiver.recv();
            });
        }
        until(|| begun.load(Ordering::SeqCst) == stalled.len()).await;
        stalled
    }
}

/// Waits until it is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let all = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(LIMIT, all).await.is_some(), "it is not so");
}

fn is_file_thread() -> bool {
    std::thread::current().name() == Some("ringway-files")
}

#[test]
fn what_hangs_holds_its_share_of_the_threads_until_they_come_back() {
    for backend in backends() {
        enter(backend, 0, async {
            let (share, other) = (Share::new(3, 100), Share::new(3, 100));
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (mut senders, ended) = (Vec::new(), Rc::new(Cell::new(0)));
            for _ in 0..20 {
                let (sender, receiver) = sync_channel::<()>(0);
                senders.push(sender);
                let (share, running, most, ended) = (share.clone(), running.clone(), most.clone(), ended.clone());
                spawn("test", async move {
                    let hanging = share.run(move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let _ = receiver.recv();
                        running.fetch_sub(1, Ordering::SeqCst);
                    });
                    assert!(timeout(SHORT, hanging).await.is_none());
                    ended.set(ended.get() + 1);
                });
            }
            until(|| ended.get() == 20).await;
            // All have given up, and the threads hang on.
            assert_eq!(running.load(Ordering::SeqCst), 3, "{backend:?}");
            assert!(share.is_busy() && timeout(SHORT, share.run(|| ())).await.is_none(), "{backend:?}");
            assert_eq!(timeout(LIMIT, other.run(|| 7)).await.unwrap().unwrap(), 7, "{backend:?}: others go on");
            assert!(share.line().waiting.is_empty(), "{backend:?}: who gave up waits no more");
            drop(senders);
            assert_eq!(timeout(LIMIT, share.run(|| 8)).await.unwrap().unwrap(), 8, "{backend:?}");
            until(|| !share.is_busy()).await;
            assert_eq!(most.load(Ordering::SeqCst), 3, "{backend:?}: work that nobody waited for was not begun");
        })
        .unwrap();
    }
}

#[test]
fn turns_come_in_order_and_too_many_are_told_at_once() {
    for backend in backends() {
        enter(backend, 0, async {
            let share = Share::new(1, 5);
            let stalled = share.stall().await;
            let (order, ended) = (Arc::new(SegQueue::new()), Rc::new(Cell::new(0)));
            for number in 0..5 {
                let (share, order, ended) = (share.clone(), order.clone(), ended.clone());
                spawn("test", async move {
                    // The third gives up while it waits.
                    let limit = if number == 2 { SHORT } else { LIMIT };
                    let result = timeout(limit, share.run(move || order.push(number))).await;
                    assert_eq!(result.is_some(), number != 2);
                    ended.set(ended.get() + 1);
                });
            }
            until(|| share.line().waiting.len() == 5).await;
            let refused = timeout(LIMIT, share.run(|| ())).await.unwrap().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ResourceBusy, "{backend:?}");
            until(|| ended.get() == 1).await;
            drop(stalled);
            until(|| ended.get() == 5).await;
            let order: Vec<_> = std::iter::from_fn(|| order.pop()).collect();
            assert_eq!(order, [0, 1, 3, 4], "{backend:?}");
        })
        .unwrap();
    }
}

#[test]
fn a_turn_that_comes_to_who_has_just_left_goes_on_to_the_next() {
    for backend in backends() {
        enter(backend, 0, async {
            let share = Share::new(1, 5);
            let held = share.turn().await.unwrap();
            let mut left = Box::pin(share.turn());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(left.as_mut().poll(&mut context).is_pending());
            drop(held);
            // It has the turn by now, and does not know.
            drop(left);
            assert!(timeout(LIMIT, share.run(|| ())).await.is_some(), "{backend:?}");
            until(|| !share.is_busy()).await;
        })
        .unwrap();
    }
}

#[test]
fn what_is_left_is_done_by_threads_alone_however_much_it_is() {
    for backend in backends() {
        enter(backend, 0, async {
            let share = Share::new(2, 0);
            let stalled = share.stall().await;
            let (done, elsewhere) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            for _ in 0..5000 {
                let (done, elsewhere) = (done.clone(), elsewhere.clone());
                share.leave(move || {
                    elsewhere.fetch_add(usize::from(is_file_thread()), Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
            assert_eq!(done.load(Ordering::SeqCst), 0, "{backend:?}: nobody has a turn");
            drop(stalled);
            until(|| done.load(Ordering::SeqCst) == 5000).await;
            assert_eq!(elsewhere.load(Ordering::SeqCst), 5000, "{backend:?}");
            until(|| !share.is_busy()).await;
        })
        .unwrap();
    }
}

#[test]
fn mounts_that_hang_leave_other_folders_and_bodies_on_the_disk_alone() {
    let scratch = Scratch::new("hanging");
    std::fs::write(scratch.inside().join("file"), "content").unwrap();
    for backend in backends() {
        enter(backend, 0, async {
            let root = Root::of(&scratch.inside());
            let folder = root.open(LIMIT).await.unwrap().of_another_host();
            let mut stalled = Vec::new();
            // Three mounts, where the files hang as well as the paths.
            for name in ["a", "b", "c"] {
                let hung = Root::of(&scratch.inside().join(name));
                stalled.push((hung.clone(), hung.stall().await));
                assert_eq!(hung.open(SHORT).await.unwrap_err().kind(), ErrorKind::TimedOut, "{backend:?}");
            }
            assert!(folder.open_file(b"file", LIMIT).await.is_ok(), "{backend:?}");
            let file = TempFile::create(&scratch.inside(), LIMIT).await.unwrap();
            assert!(file.read_at(0, 0, LIMIT).await.is_ok());
            // Below a folder whose path hangs, files go on being opened; the same path is the same few threads.
            let paths = root.stall_lookups().await;
            let again = Root::of(&scratch.inside());
            assert!(again.is_being_opened() && !Root::of(&scratch.0).is_being_opened());
            assert_eq!(again.open(SHORT).await.unwrap_err().kind(), ErrorKind::TimedOut, "{backend:?}");
            assert!(folder.open_file(b"file", LIMIT).await.is_ok(), "{backend:?}");
            drop(paths);
            let (opened, _) = folder.open_file(b"file", LIMIT).await.unwrap();
            let files = root.stall().await;
            let failed = folder.open_file(b"file", SHORT).await.unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::TimedOut, "{backend:?}");
            let read = timeout(SHORT, opened.read_elsewhere(0, 7, crate::net::Lease::with_room(7))).await;
            assert!(read.is_none(), "{backend:?}: reads have no threads beyond those");
            drop((files, stalled));
            assert!(folder.open_file(b"file", LIMIT).await.is_ok(), "{backend:?}");
        })
        .unwrap();
    }
}

#[test]
fn no_worker_closes_what_may_take_long() {
    let scratch = Scratch::new("closing");
    std::fs::write(scratch.inside().join("file"), "content").unwrap();
    for backend in backends() {
        enter(backend, 0, async {
            let root = Root::of(&scratch.inside());
            let folder = root.open(LIMIT).await.unwrap().of_another_host();
            let (file, _) = folder.open_file(b"file", LIMIT).await.unwrap();
            let descriptor = file.descriptor();
            let path = std::path::PathBuf::from(format!("/proc/self/fd/{descriptor}"));
            let file_path = scratch.inside().join("file").canonicalize().unwrap();
            let is_open = || std::fs::read_link(&path).is_ok_and(|target| target == file_path);
            let stalled = root.stall().await;
            drop(file);
            assert!(is_open(), "{backend:?}: the threads hang");
            drop(stalled);
            until(|| !is_open()).await;
        })
        .unwrap();
    }
}
