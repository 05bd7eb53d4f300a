//! The binary under test: started with a configuration, spoken to on the addresses that it logs, killed on drop.
//!
//! Every test binds port 0. `RINGWAY_TEST_DRIVER` ("io_uring" or "epoll") chooses the driver for the whole suite;
//! `RINGWAY_TEST_SECCOMP`, if it is there, has all system calls filtered.

use super::{PATIENCE, client, eventually, wait_until_stopped, within};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The binary that cargo built for this test, or the one that `RINGWAY_TEST_BINARY` names.
pub fn binary() -> String {
    std::env::var("RINGWAY_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ringway").to_owned())
}

/// A running Ringway.
pub struct Proxy {
    child: Child,
    /// The process that has taken over from it, or from the one before.
    heir: Option<i32>,
    /// What it wrote to stderr: the operational log.
    pub log: Lines,
    /// What it wrote to stdout: the access log, where that is configured.
    pub out: Lines,
    directory: Directory,
}

/// How to start one.
pub struct Setup {
    config: String,
    runtime: Vec<String>,
    workers: usize,
    driver: Option<String>,
    stdout: Option<Stdio>,
    command: Command,
    directory: Directory,
}

impl Proxy {
    /// Starts with `config`, which has neither `[runtime]` nor `[admin]`: two workers, an admin listener.
    #[track_caller]
    pub fn start(config: impl Into<String>) -> Proxy {
        Setup::new(config).start()
    }

    /// The process that accepts.
    pub fn pid(&self) -> i32 {
        self.heir.unwrap_or(self.child.id() as i32)
    }

    /// Has a new process take over.
    #[track_caller]
    pub fn upgrade(&mut self) {
        let line = "the new process accepts";
        let before = self.log.count(&[line]);
        self.signal(libc::SIGUSR2);
        eventually("a new process takes over", || self.log.count(&[line]) > before);
        self.follow();
    }

    /// Knows the process that has taken over.
    #[track_caller]
    pub fn follow(&mut self) {
        let line = "the new process accepts";
        self.log.wait(&[line]);
        self.heir = self
            .log
            .last(&[line])
            .and_then(|line| value(&line, "pid")?.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok());
        assert!(self.heir.is_some(), "its number is told: {:?}", self.log.last(&[line]));
    }

    /// Where its configuration lies, which it reads again when it is told to.
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("ringway.toml")
    }

    /// The first address of a listener.
    #[track_caller]
    pub fn at(&self, listener: &str) -> String {
        self.all(listener).into_iter().next().unwrap_or_else(|| panic!("no address of {listener} in {:#?}", self.log))
    }

    /// All addresses of a listener, in the order of its configuration.
    pub fn all(&self, listener: &str) -> Vec<String> {
        let mut all = Vec::new();
        for line in self.log.all().iter().filter(|line| line.contains("listening")) {
            if value(line, "listener").as_deref() == Some(listener)
                && let Some(address) = value(line, "address")
                && !all.contains(&address)
            {
                all.push(address);
            }
        }
        all
    }

    /// The address of the listener "web".
    #[track_caller]
    pub fn web(&self) -> String {
        self.at("web")
    }

    /// The address of the admin listener.
    #[track_caller]
    pub fn admin(&self) -> String {
        let line = self
            .log
            .find(|line| line.contains("admin listening") || line.contains("listening admin"))
            .expect("an admin listener");
        value(&line, "address").expect("its address")
    }

    /// A connection to the listener "web".
    #[track_caller]
    pub fn client(&self) -> client::Client {
        client::Client::to(&self.web())
    }

    /// GET on a connection of its own to the listener "web".
    #[track_caller]
    pub fn get(&self, path: &str) -> client::Response {
        client::get(&self.web(), path)
    }

    /// One request to the admin listener.
    #[track_caller]
    pub fn ask_admin(&self, method: &str, path: &str) -> client::Response {
        let mut client = client::Client::to(&self.admin());
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        client.response_to(method).unwrap_or_else(|e| panic!("no response from the admin listener: {e:?}"))
    }

    /// The Prometheus text.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let response = self.ask_admin("GET", "/metrics");
        assert_eq!(response.status, 200);
        response.text()
    }

    /// The sum of all series of a metric that carry `labels`; 0 when there is none.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.metrics();
        series(&text, name)
            .filter(|(set, _)| labels.iter().all(|(k, v)| set.contains(&format!("{k}=\"{v}\""))))
            .map(|(_, value)| value)
            .sum()
    }

    /// Waits until the sum of a metric's series is `value`: an exchange is counted when it is over, a little after its
    /// answer has come.
    #[track_caller]
    pub fn settles(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut last = f64::NAN;
        let settled = within(PATIENCE / 3, || {
            last = self.metric(name, labels);
            last == value
        });
        assert!(settled, "{name} {labels:?} is {last}, not {value}");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the child is ours and not yet waited for, so that its pid is its own.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
        if signal == libc::SIGSTOP {
            wait_until_stopped(self.pid());
        }
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub fn exit(&mut self) -> ExitStatus {
        self.exit_within(PATIENCE).unwrap_or_else(|| panic!("it has not ended\n{:#?}", self.log))
    }

    pub fn exit_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let mut status = None;
        within(time, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Resident memory in bytes, without pages of its binary: which of those are there is not its doing.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
        };
        of("RssAnon:") + of("RssShmem:")
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        super::hurt::threads(self.pid()).into_iter().map(|(_, name)| name).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for pid in self.log.all().iter().filter_map(|line| heir(line)).chain(self.heir) {
            // SAFETY: takes numbers only. What the log names is a process that the test has started.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the proxy's log:\n{}", self.log.all().join("\n"));
        }
    }
}

/// Started by nobody's settings.
fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env_remove("RINGWAY_LOG").env("NO_COLOR", "1");
    command
}

impl Setup {
    pub fn new(config: impl Into<String>) -> Setup {
        Setup {
            config: config.into(),
            runtime: Vec::new(),
            workers: 2,
            driver: std::env::var("RINGWAY_TEST_DRIVER").ok(),
            stdout: None,
            command: quiet(Path::new(&binary())),
            directory: Directory::new(),
        }
    }

    /// Another configuration, once the directory is known.
    pub fn with(mut self, config: impl Into<String>) -> Setup {
        self.config = config.into();
        self
    }

    pub fn workers(mut self, workers: usize) -> Setup {
        self.workers = workers;
        self
    }

    /// Starts a copy that every user may run, where the binary lies in a folder that not every user may enter.
    pub fn for_every_user(mut self) -> Setup {
        use std::os::unix::fs::PermissionsExt;
        let binary = PathBuf::from(binary());
        let is_closed = |folder: &Path| folder.metadata().is_ok_and(|about| about.permissions().mode() & 0o001 == 0);
        if binary.ancestors().skip(1).any(is_closed) {
            let copy = self.directory.path().join("ringway");
            std::fs::copy(&binary, &copy).unwrap();
            self.command = quiet(&copy);
        }
        self
    }

    /// A line of `[runtime]`.
    pub fn runtime(mut self, line: &str) -> Setup {
        self.runtime.push(line.to_owned());
        self
    }

    /// The driver, whatever the suite's is.
    pub fn driver(mut self, driver: &str) -> Setup {
        self.driver = Some(driver.to_owned());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.command.env(name, value);
        self
    }

    /// Starts it as a supervisor does that has opened a socket for it (sd_listen_fds(3)).
    pub fn activated_by(mut self, socket: std::os::fd::RawFd) -> Setup {
        // The shell's number is that of the binary that it becomes.
        let mut shell = Command::new("sh");
        shell.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"", &binary()]);
        shell.stdin(Stdio::null()).env_remove("RINGWAY_LOG").env("NO_COLOR", "1");
        self.command = shell;
        // SAFETY: the call copies a descriptor that the test holds open until the child has started.
        self.before(move || match unsafe { libc::dup2(socket, 3) } {
            3 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    }

    /// Where stdout goes, instead of being read.
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Setup {
        self.stdout = Some(to.into());
        self
    }

    /// Runs in the child before the binary; it may only make system calls.
    pub fn before(mut self, act: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Setup {
        // SAFETY: the callers in `hurt` make system calls only and allocate nothing.
        unsafe { self.command.pre_exec(act) };
        self
    }

    /// Where the configuration will lie; other files may be put beside it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it and waits until it accepts.
    #[track_caller]
    pub fn start(self) -> Proxy {
        let mut proxy = self.spawn();
        eventually("the proxy is ready or has ended", || {
            proxy.log.find(|line| line.split_whitespace().any(|word| word == "ready")).is_some() || !proxy.running()
        });
        assert!(proxy.running(), "the proxy ended at start\n{:#?}", proxy.log);
        proxy
    }

    /// Starts it without waiting for anything.
    pub fn spawn(mut self) -> Proxy {
        let file = self.directory.path().join("ringway.toml");
        std::fs::write(&file, self.text()).unwrap();
        self.command.arg("run").arg("-c").arg(&file).stderr(Stdio::piped());
        self.command.stdout(self.stdout.take().unwrap_or_else(Stdio::piped));
        let mut child = self.command.spawn().expect("the binary starts");
        let log = Lines::read(child.stderr.take());
        let out = Lines::read(child.stdout.take());
        Proxy { child, heir: None, log, out, directory: self.directory }
    }

    fn text(&self) -> String {
        let mut text = format!("[runtime]\nworkers = {}\n", self.workers);
        if let Some(driver) = &self.driver {
            text += &format!("driver = \"{driver}\"\n");
        }
        let set = |key: &str| self.runtime.iter().any(|line| line.starts_with(key));
        if std::env::var_os("RINGWAY_TEST_SECCOMP").is_some() && !set("seccomp") {
            text += "seccomp = true\n";
        }
        // What outlives one process is no other test's.
        if !set("state_dir") {
            text += &format!("state_dir = {:?}\n", self.directory.path().join("state"));
        }
        for line in &self.runtime {
            text += line;
            text += "\n";
        }
        if !self.config.contains("[admin]") {
            text += "[admin]\nlisten = \"127.0.0.1:0\"\n";
        }
        text + &self.config
    }
}

/// Runs a subcommand to its end: exit code, stdout, stderr.
#[track_caller]
pub fn ringway(arguments: &[&str]) -> (Option<i32>, String, String) {
    ringway_with(arguments, &[])
}

/// The same with more in its environment.
#[track_caller]
pub fn ringway_with(arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut child = Command::new(binary())
        .args(arguments)
        .env("NO_COLOR", "1")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let err = thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    let code = child.wait().unwrap().code();
    (code, text, err.join().unwrap().unwrap())
}

/// The lines of a stream, read as they come.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn read(stream: Option<impl Read + Send + 'static>) -> Lines {
        let lines = Lines::default();
        let (Some(stream), copy) = (stream, lines.clone()) else { return lines };
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                copy.0.lock().unwrap().push(line);
            }
        });
        lines
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The first line for which `matches` holds.
    pub fn find(&self, matches: impl Fn(&str) -> bool) -> Option<String> {
        self.0.lock().unwrap().iter().find(|line| matches(line)).cloned()
    }

    /// Waits for a line that holds all of `parts`.
    #[track_caller]
    pub fn wait(&self, parts: &[&str]) -> String {
        let holds = |line: &str| parts.iter().all(|part| line.contains(part));
        eventually(&format!("a line with {parts:?} in {self:#?}"), || self.find(holds).is_some());
        self.find(holds).unwrap()
    }

    /// How many lines hold all of `parts`.
    pub fn count(&self, parts: &[&str]) -> usize {
        self.0.lock().unwrap().iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    /// The last line that holds all of `parts`.
    pub fn last(&self, parts: &[&str]) -> Option<String> {
        self.0.lock().unwrap().iter().rfind(|line| parts.iter().all(|part| line.contains(part))).cloned()
    }

    pub fn contains(&self, parts: &[&str]) -> bool {
        self.find(|line| parts.iter().all(|part| line.contains(part))).is_some()
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

/// A directory that goes with its owner.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Directory {
        Directory::below(&std::env::temp_dir())
    }

    /// One whose files are no work for a disk, where there is such a place.
    pub fn in_memory() -> Directory {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Directory::below(memory) } else { Directory::new() }
    }

    fn below(folder: &Path) -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        let path = folder.join(format!("ringway-test-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The process that a line of the log says was started to take over.
fn heir(line: &str) -> Option<i32> {
    let named = value(line, "pid").filter(|_| line.contains("a new process is started"))?;
    named.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

/// The value of `name=` in a log line, without quotes.
pub fn value(line: &str, name: &str) -> Option<String> {
    let start = line.find(&format!("{name}="))? + name.len() + 1;
    let text = line[start..].split_whitespace().next()?;
    Some(text.trim_matches('"').to_owned())
}

/// The series of a metric in Prometheus text: labels as text, value.
pub fn series<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(inner) => inner.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        Some((labels, value.split(' ').next()?.parse().ok()?))
    })
}
