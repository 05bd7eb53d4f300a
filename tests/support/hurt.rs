//! Ways to hurt a process: stop or kill one of its threads, take system calls or descriptors from it.

use super::eventually;
use std::io;

/// The threads of a process: id and name.
pub fn threads(pid: i32) -> Vec<(i32, String)> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            Some((path.file_name()?.to_str()?.parse().ok()?, name.trim().to_owned()))
        })
        .collect()
}

/// A thread that stands still until this is dropped. Only the test's thread that made it may drop it.
pub struct Frozen {
    thread: i32,
}

impl Frozen {
    /// Stops the thread of that name.
    #[track_caller]
    pub fn thread(pid: i32, name: &str) -> Frozen {
        let (thread, _) = threads(pid)
            .into_iter()
            .find(|(_, n)| n == name)
            .unwrap_or_else(|| panic!("no thread {name} in {:?}", threads(pid)));
        // SAFETY: plain ptrace requests on a thread of our own child; they touch no memory of ours.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, 0, 0), 0, "{}", io::Error::last_os_error());
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, 0, 0), 0, "{}", io::Error::last_os_error());
        }
        let frozen = Frozen { thread };
        frozen.wait();
        frozen
    }

    fn wait(&self) {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let waited = unsafe { libc::waitpid(self.thread, &mut status, libc::__WALL) };
        assert_eq!(waited, self.thread, "{}", io::Error::last_os_error());
        assert!(libc::WIFSTOPPED(status));
    }

    /// Makes the thread end at once, as if it had run exit(2): nothing of its stack is unwound.
    #[cfg(target_arch = "x86_64")]
    pub fn kill(self, pid: i32) {
        let thread = self.thread;
        // SAFETY: `registers` outlives the calls; the thread is stopped. It was interrupted inside a system call, so that
        // a `syscall` instruction of two bytes lies before its instruction pointer.
        unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            // Inside a system call the kernel keeps its number here; a busy thread is let go on until it makes one.
            for _ in 0..10_000 {
                assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, thread, 0, &raw mut registers), 0);
                if registers.orig_rax as i64 >= 0 {
                    break;
                }
                assert_eq!(libc::ptrace(libc::PTRACE_SYSCALL, thread, 0, 0), 0);
                self.wait();
            }
            assert!(registers.orig_rax as i64 >= 0, "the thread makes system calls");
            registers.rip -= 2;
            registers.rax = libc::SYS_exit as u64;
            registers.orig_rax = u64::MAX;
            registers.rdi = 0;
            assert_eq!(libc::ptrace(libc::PTRACE_SETREGS, thread, 0, &raw const registers), 0);
        }
        drop(self);
        eventually("the thread is gone", || threads(pid).iter().all(|(id, _)| *id != thread));
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // SAFETY: as in `thread`; the thread may be gone already, which is no fault.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.thread, 0, 0) };
    }
}

/// For [`super::proxy::Setup::before`]: at most `n` open files.
pub fn file_limit(n: u64) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    let limit = libc::rlimit { rlim_cur: n, rlim_max: n };
    // SAFETY: `limit` outlives the call.
    move || check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })
}

/// For [`super::proxy::Setup::before`]: no file grows beyond `n` bytes, as on a disk that is full by then.
pub fn file_size_limit(n: u64) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    let limit = libc::rlimit { rlim_cur: n, rlim_max: n };
    // SAFETY: `limit` outlives the call; a signal that is ignored has no handler. That it is stays so in the binary.
    move || unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        check(libc::setrlimit(libc::RLIMIT_FSIZE, &limit))
    }
}

/// For [`super::proxy::Setup::before`]: a soft limit of `n` open files under the hard one that there is.
pub fn soft_file_limit(n: u64) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    move || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` outlives the calls.
        unsafe {
            check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
            limit.rlim_cur = n;
            check(libc::setrlimit(libc::RLIMIT_NOFILE, &limit))
        }
    }
}

/// For [`super::proxy::Setup::before`]: io_uring_setup fails with `errno`, as in a container that denies it.
pub fn deny_io_uring(errno: i32) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        // The number of the system call is the first word of what a filter is shown.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_io_uring_setup as u32, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: `program` and the filter that it points to outlive the calls.
        unsafe {
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            check(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program))
        }
    }
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
