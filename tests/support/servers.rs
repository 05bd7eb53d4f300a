//! Servers that others have written, as actors: PostgreSQL, MariaDB and Redis from Debian's packages, each with a data folder of its
//! own and an address that no other test uses. Dropping one kills it.

use super::network::Host;
use super::proxy::Directory;
use super::target::own_address;
use super::{PATIENCE, wait_until_stopped, within};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    kind: Kind,
    child: Option<Child>,
    directory: Directory,
    options: Vec<String>,
    /// Where it runs; `None`: where the test does.
    host: Option<Host>,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    MariaDb,
    Redis,
    Dnsmasq,
}

/// Who has no business here but exists everywhere: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

impl Server {
    /// PostgreSQL with the role `ringway`, who may come in without a password; everybody else is asked for one (SCRAM).
    #[track_caller]
    pub fn postgres() -> Server {
        Server::start(Kind::Postgres, &[], None)
    }

    /// MariaDB with the user `ringway`, who has no password, and further options.
    #[track_caller]
    pub fn mariadb(options: &[&str]) -> Server {
        Server::start(Kind::MariaDb, options, None)
    }

    /// Redis with further options.
    #[track_caller]
    pub fn redis(options: &[&str]) -> Server {
        Server::start(Kind::Redis, options, None)
    }

    /// One with further options; files that they name must be [`lend`]ed to it.
    #[track_caller]
    pub fn with(kind: Kind, options: &[&str]) -> Server {
        Server::start(kind, options, None)
    }

    /// One that runs on a host of its own, which lets everybody in who comes from elsewhere.
    #[track_caller]
    pub fn on(host: &Host, kind: Kind) -> Server {
        let options: &[&str] = match kind {
            Kind::Postgres | Kind::Dnsmasq => &[],
            // Nobody answers questions for names there.
            Kind::MariaDb => &["--skip-name-resolve"],
            Kind::Redis => &["--protected-mode", "no"],
        };
        Server::start(kind, options, Some(host.clone()))
    }

    #[track_caller]
    fn start(kind: Kind, options: &[&str], host: Option<Host>) -> Server {
        let directory = Directory::in_memory();
        if let Some(template) = kind.template() {
            copy(&template, &directory.path().join("data"));
        }
        own(directory.path());
        let ip = host.as_ref().map_or_else(own_address, |host| host.ip);
        let address = SocketAddr::new(ip.into(), kind.port());
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Server { address, kind, child: None, directory, options, host };
        server.revive();
        server
    }

    /// Kills it, as the kernel does when memory runs out.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Starts it (again) and waits until it serves.
    #[track_caller]
    pub fn revive(&mut self) {
        self.kill();
        let before = self.serves();
        let up = within(PATIENCE, || {
            // What is left of the process before may keep it from starting for a moment.
            let gone = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            if gone {
                let spawn = || self.command().spawn();
                let child = self.host.as_ref().map_or_else(spawn, |host| host.within(spawn));
                self.child = Some(child.unwrap_or_else(|error| panic!("{:?}: {error}", self.kind)));
            }
            within(Duration::from_millis(500), || self.serves() > before)
        });
        assert!(up, "{:?} does not start:\n{}", self.kind, self.log());
    }

    /// Stops it in the middle of everything (SIGSTOP): the kernel goes on accepting for it.
    pub fn freeze(&self) {
        wait_until_stopped(self.signal(libc::SIGSTOP));
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// The host that it runs on, where that is not the test's.
    #[track_caller]
    pub fn host(&self) -> &Host {
        self.host.as_ref().expect("it has a host of its own")
    }

    /// All that it has written to its log.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The lines of its log that hold any of `words`.
    pub fn complaints(&self, words: &[&str]) -> Vec<String> {
        let log = self.log();
        log.lines().filter(|line| words.iter().any(|word| line.contains(word))).map(str::to_owned).collect()
    }

    /// What MariaDB answers to a query by root, a row a line.
    #[track_caller]
    pub fn sql(&self, query: &str) -> String {
        let socket = format!("--socket={}/s", self.directory.path().display());
        output(Command::new("mariadb").args(["--no-defaults", "-uroot", "-N", &socket, "-e", query]))
    }

    fn serves(&self) -> usize {
        let words =
            ["ready to accept connections", "ready for connections", "Ready to accept connections", "started, version"];
        self.complaints(&words).len()
    }

    fn signal(&self, signal: i32) -> i32 {
        let pid = self.child.as_ref().expect("it runs").id() as i32;
        // SAFETY: the child is ours and not yet waited for, so that its pid is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        pid
    }

    fn command(&self) -> Command {
        let path = self.directory.path();
        let data = path.join("data").display().to_string();
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let mut command = Command::new(self.kind.program());
        match self.kind {
            Kind::Postgres => {
                command.args(["-D", &data, "-h", &ip, "-p", &port, "-F"]);
                command.arg("-k").arg(path).args(["-c", "shared_buffers=1MB", "-c", "max_connections=50"]);
                // Sessions of whom packets were lost end.
                command.args(["-c", "tcp_keepalives_idle=1", "-c", "tcp_keepalives_interval=1"]);
            }
            Kind::MariaDb => {
                command.args(["--no-defaults", &format!("--datadir={data}"), &format!("--bind-address={ip}")]);
                command.args([&format!("--port={port}"), &format!("--socket={}/s", path.display())]);
                command.args([
                    "--innodb-buffer-pool-size=8M",
                    "--innodb-log-file-size=4M",
                    "--loose-innodb-flush-log-at-trx-commit=0",
                ]);
                command.args([&format!("--pid-file={}/pid", path.display()), &format!("--tmpdir={}", path.display())]);
            }
            Kind::Redis => {
                command.args(["--bind", &ip, "--port", &port, "--save", "", "--dir"]).arg(path);
            }
            Kind::Dnsmasq => {
                command.args(["--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--no-resolv"]);
                command.args(["--no-hosts", "--bind-interfaces", "--user=", "--group=", "--pid-file="]);
                command.args([&format!("--listen-address={ip}"), &format!("--port={port}")]);
                command.arg(format!("--address=/test/{ip}"));
            }
        }
        command.args(&self.options);
        let log = std::fs::File::options().create(true).append(true).open(path.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        as_nobody(&mut command);
        command
    }
}

/// The address, as a configuration names it.
impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Kind {
    fn port(self) -> u16 {
        match self {
            Kind::Postgres => 5432,
            Kind::MariaDb => 3306,
            Kind::Redis => 6379,
            // Not below 1024: it runs as nobody.
            Kind::Dnsmasq => 5300,
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Kind::Postgres => postgres("postgres"),
            Kind::MariaDb => "mariadbd".into(),
            Kind::Redis => "redis-server".into(),
            Kind::Dnsmasq => "dnsmasq".into(),
        }
    }

    /// A data folder as it is before the first start: made once for each version of the program, and kept with what cargo builds.
    fn template(self) -> Option<PathBuf> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let make = match self {
            Kind::Postgres => postgres_template,
            Kind::MariaDb => mariadb_template,
            Kind::Redis | Kind::Dnsmasq => return None,
        };
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let version = output(Command::new(self.program()).arg("--version"));
        let version: String = version.chars().filter(char::is_ascii_alphanumeric).collect();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{self:?}-{version}-small"));
        if !kept.exists() {
            let made = make();
            let new = kept.with_extension(std::process::id().to_string());
            copy(made.path(), &new);
            // Another run of the tests may have been faster.
            if std::fs::rename(&new, &kept).is_err() {
                let _ = std::fs::remove_dir_all(&new);
            }
        }
        Some(kept)
    }
}

/// A program of the newest PostgreSQL, which Debian keeps out of the path.
fn postgres(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Debian's package postgresql is installed");
    let mut paths: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin").join(program)).collect();
    paths.retain(|path| path.exists());
    paths.sort();
    paths.pop().unwrap_or_else(|| panic!("no {program} below /usr/lib/postgresql"))
}

fn postgres_template() -> Directory {
    let directory = Directory::new();
    let data = directory.path();
    own(data);
    let mut initdb = Command::new(postgres("initdb"));
    initdb.arg("-D").arg(data).args([
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        "--no-sync",
        "--no-locale",
        "-E",
        "UTF8",
        // What is copied for each server is little.
        "--wal-segsize=1",
    ]);
    let secret = Directory::new();
    initdb.arg(format!("--pwfile={}", secret.write("password", "secret\n")));
    finish(&mut initdb, "");
    let access = "host all ringway all trust\nhost all all all scram-sha-256\nlocal all all trust\n";
    std::fs::write(data.join("pg_hba.conf"), access).unwrap();
    let mut single = Command::new(postgres("postgres"));
    single.arg("--single").arg("-F").arg("-D").arg(data).arg("postgres");
    finish(&mut single, "CREATE ROLE ringway LOGIN\n");
    directory
}

fn mariadb_template() -> Directory {
    let directory = Directory::new();
    let data = directory.path();
    own(data);
    let mut install = Command::new("mariadb-install-db");
    install.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
    ]);
    install.arg("--innodb-log-file-size=4M").arg(format!("--datadir={}", data.display()));
    finish(&mut install, "");
    let mut bootstrap = Command::new("mariadbd");
    bootstrap.args(["--no-defaults", "--bootstrap", "--innodb-log-file-size=4M"]);
    bootstrap.arg(format!("--datadir={}", data.display()));
    finish(&mut bootstrap, "FLUSH PRIVILEGES;\nCREATE USER ringway@'%';\n");
    directory
}

/// Runs a program that prepares something; what it is told ends up in its standard input.
#[track_caller]
fn finish(command: &mut Command, input: &str) {
    use std::io::Write;
    as_nobody(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && !words.contains("ERROR"), "{command:?}:\n{words}");
}

/// What a program says.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_root() -> bool {
    // SAFETY: it has no conditions.
    unsafe { libc::geteuid() == 0 }
}

fn as_nobody(command: &mut Command) {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Gives a folder to whoever runs the servers, as they want it for keys.
pub fn lend(path: &Path) {
    own(path);
    for entry in std::fs::read_dir(path).unwrap() {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(entry.unwrap().path(), mode).unwrap();
    }
}

fn own(path: &Path) {
    if is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        let done = Command::new("chown").args(["-R", &owner]).arg(path).status().unwrap();
        assert!(done.success(), "chown {path:?}");
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(path, mode).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success(), "cp {from:?}");
}
